//! What a configuration without mistakes resolves to.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use boathook::config::{self, Config};
use boathook::hook::{Action, Deadline, Debounce, Hook, HookSet, Method, OnFailure, Outage, Retry, Test};
use boathook::launch::Launch;
use boathook::lifecycle::Point;

use super::scratch::Scratch;

fn load(scratch: &Scratch, text: &str) -> Config {
    let path = scratch.write("config.yaml", text.as_bytes(), 0o644);
    config::load(&path).unwrap_or_else(|report| panic!("{report}"))
}

/// The only hook of a file that holds nothing else; `text` is its keys in a line.
fn hook(scratch: &Scratch, keys: &str) -> Hook {
    let config = load(scratch, &format!("version: 1\nhooks:\n  - {{name: h, {keys}}}\n"));
    Hook::clone(&config.hooks[0])
}

#[test]
fn a_file_that_says_nothing_gives_the_defaults() {
    let scratch = Scratch::new();

    let config = load(&scratch, "version: 1\n");

    assert_eq!(config.path, scratch.path("config.yaml"));
    assert_eq!(config.docker, "unix:///var/run/docker.sock");
    assert_eq!(config.state_dir, Path::new("/var/lib/boathook"));
    assert_eq!(config.plugin.socket_path(), Path::new("/run/docker/plugins/boathook.sock"));
    assert_eq!(config.outage, Outage::Open);
    assert_eq!(config.gate_deadline, Duration::from_secs(60));
    assert_eq!(config.concurrency.get(), 8);
    assert_eq!(config.output_bytes_max, 65_536);
    assert_eq!(config.drain, Duration::from_secs(10));
    assert_eq!(config.retention_runs, Duration::from_secs(30 * 24 * 3600));
    assert_eq!(config.reconcile_every, Duration::from_secs(60));
    assert!(config.hooks.is_empty());
}

#[test]
fn what_is_written_holds() {
    let scratch = Scratch::new();

    let config = load(
        &scratch,
        "version: 1\ndocker: unix:///run/other.sock\nstate_dir: /srv/state\nplugin: {name: mine, kinds: authz}\n\
         outage: closed\ngate_deadline: 1m30s\ndefaults: {timeout: 2s, kill_after: 0s}\nconcurrency: 2\n\
         retention: {runs: 1d12h, output: 1MiB}\nreconcile: {every: 1s}\ndrain: 0s\nhooks:\n  - {name: h, at: post_start, exec: [hooks/sound.sh]}\n",
    );

    assert_eq!(config.docker, "unix:///run/other.sock");
    assert_eq!(config.state_dir, Path::new("/srv/state"));
    assert_eq!(config.plugin.as_str(), "mine");
    assert_eq!(config.outage, Outage::Closed);
    assert_eq!(config.gate_deadline, Duration::from_secs(90));
    assert_eq!(config.concurrency.get(), 2);
    assert_eq!(config.output_bytes_max, 1 << 20);
    assert_eq!(config.drain, Duration::ZERO);
    assert_eq!(config.retention_runs, Duration::from_secs(36 * 3600));
    assert_eq!(config.reconcile_every, Duration::from_secs(1));
    let deadline = Deadline { limit: Duration::from_secs(2), grace: Duration::ZERO };
    assert_eq!(config.hooks[0].deadline, deadline);
}

#[test]
fn a_program_is_found_beside_the_file_or_in_the_path() {
    let scratch = Scratch::new();
    let command = |exec: &str| match hook(&scratch, &format!("at: post_start, exec: {exec}")).action {
        Action::Exec(command) => command,
        Action::Inside(_) | Action::Http(_) | Action::Deny { .. } => panic!("an exec was written"),
    };

    let beside = command("[hooks/sound.sh, \"{}\", 1.10]");
    assert_eq!(beside.program, scratch.path("hooks/sound.sh"));
    assert_eq!(beside.argv, ["hooks/sound.sh", "{}", "1.10"].map(OsString::from));
    assert_eq!(beside.working_dir, scratch.path("").components().as_path());
    let looked_up = command("[sh]");
    assert!(looked_up.program.is_absolute() && looked_up.program.ends_with("sh"), "{looked_up:?}");
    assert_eq!(looked_up.argv, [OsString::from("sh")]);
}

#[test]
fn a_shell_hook_stops_at_the_first_error() {
    let scratch = Scratch::new();
    let config =
        load(&scratch, "version: 1\nhooks:\n  - name: h\n    at: post_start\n    shell: |\n      echo hi\n");

    let Action::Exec(command) = &config.hooks[0].action else { panic!("a shell runs") };

    assert_eq!(command.program, Path::new("/bin/sh"));
    assert_eq!(command.argv, ["sh", "-eu", "-c", "echo hi\n"].map(OsString::from));
}

#[test]
fn a_failure_means_what_the_points_make_of_it() {
    let scratch = Scratch::new();
    let on_failure = |keys: &str| hook(&scratch, &format!("{keys}, exec: [hooks/sound.sh]")).on_failure;

    assert_eq!(on_failure("at: pre_create"), OnFailure::Deny);
    assert_eq!(on_failure("at: post_stop"), OnFailure::Ignore);
    assert_eq!(on_failure("at: [pre_create, post_stop]"), OnFailure::Deny);
    assert_eq!(on_failure("at: pre_create, on_failure: ignore"), OnFailure::Ignore);
    assert_eq!(on_failure("at: post_start, on_failure: stop"), OnFailure::Stop);
}

#[test]
fn the_environment_is_text_as_it_was_written() {
    let scratch = Scratch::new();
    let hook = hook(
        &scratch,
        "at: post_start, exec: [hooks/sound.sh], environment: {A: 1.10, B: true, C: '', D: 0x10, PATH: /bin}",
    );

    let Action::Exec(command) = hook.action else { panic!("an exec was written") };
    let variables: Vec<(&str, &str)> =
        command.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(variables, [("A", "1.10"), ("B", "true"), ("C", ""), ("D", "0x10"), ("PATH", "/bin")]);
}

#[test]
fn retry_fills_in_what_is_not_written() {
    let scratch = Scratch::new();
    let retry = |keys: &str| hook(&scratch, &format!("at: post_start, exec: [hooks/sound.sh]{keys}")).retry;

    assert_eq!(retry(""), None);
    assert_eq!(retry(", retry: {}"), Some(Retry::ON_REQUEST));
    let written =
        Retry { max_attempts: 2, delay: Duration::from_secs(300), max_delay: Duration::from_secs(300) };
    assert_eq!(retry(", retry: {max_attempts: 2, delay: 5m}"), Some(written));
}

#[test]
fn each_key_of_a_label_table_must_hold_and_of_a_list_one() {
    let scratch = Scratch::new();
    let labels = |label: &str| {
        let hook = hook(&scratch, &format!("at: pre_create, deny: no, when: {{label: {label}}}"));
        let counts = hook.when.tests.iter().map(|it| match it {
            Test::Label(patterns) => patterns.len(),
            other => panic!("only labels were written: {other:?}"),
        });
        counts.collect::<Vec<_>>()
    };

    assert_eq!(labels("a"), [1]);
    assert_eq!(labels("[a, b=x*]"), [2]);
    assert_eq!(labels("{a: x, b: [y, z]}"), [1, 2]);
}

#[test]
fn hooks_keep_the_order_of_the_file_and_their_points() {
    let scratch = Scratch::new();
    let text = "version: 1\nhooks:\n  - {name: b, at: [post_stop, post_start], exec: [hooks/sound.sh]}\n\
                \x20 - {name: a, at: pre_create, deny: no way, nested: true}\n";

    let config = load(&scratch, text);

    let names: Vec<&str> = config.hooks.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["b", "a"]);
    assert_eq!(config.hooks[0].at.iter().collect::<Vec<_>>(), [Point::PostStart, Point::PostStop]);
    assert!(config.hooks[1].nested);
    assert_eq!(config.hooks[1].action, Action::Deny { message: "no way".to_owned() });
}

#[test]
fn a_hook_is_set_up_as_it_is_written() {
    let scratch = Scratch::new();
    let text = include_str!("launch.yaml");

    let Action::Exec(command) = &load(&scratch, text).hooks[0].action else { panic!("an exec was written") };

    let launch = &command.launch;
    assert_eq!(command.working_dir, scratch.path("hooks"));
    assert_eq!(launch.user.as_ref().map(ToString::to_string).as_deref(), Some("0:0"));
    assert_eq!((launch.umask, launch.no_new_privileges), (0o027, true));
    let limits = launch.rlimits.iter().map(|it| (it.resource.name(), it.soft, it.hard));
    let same = |name, amount| (name, Some(amount), Some(amount));
    assert_eq!(
        limits.collect::<Vec<_>>(),
        [
            ("nofile", Some(64), Some(128)),
            same("nproc", 100),
            same("as", 1 << 30),
            same("core", 0),
            ("cpu", Some(30), Some(60)),
            same("fsize", 1 << 20),
            ("data", None, None),
            same("stack", 8 << 20),
            same("memlock", 64 << 10),
        ]
    );
}

#[test]
fn a_hook_that_says_nothing_is_boathooks_own_user_with_the_usual_umask() {
    let scratch = Scratch::new();

    let Action::Exec(command) = hook(&scratch, "at: post_start, exec: [hooks/sound.sh]").action else {
        panic!("an exec was written")
    };

    assert_eq!(command.launch, Launch::default());
    assert_eq!(command.launch.umask, 0o022);
    assert!(!command.launch.no_new_privileges);
}

#[test]
fn what_the_configuration_says_itself_wins_over_a_file_of_variables() {
    let scratch = Scratch::new();
    let keys = "at: post_start, exec: [hooks/sound.sh], env_file: [hooks/sound.env, hooks/later.env], environment: [B=2]";
    scratch.write("hooks/later.env", b"A=later\nB=1\n", 0o600);

    let Action::Exec(command) = hook(&scratch, keys).action else { panic!("an exec was written") };

    let variables: Vec<(&str, &str)> =
        command.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(variables, [("A", "later"), ("B", "2"), ("QUOTED", "# $HOME")]);
}

#[test]
fn events_are_gathered_for_as_long_as_it_is_written_and_four_waits_otherwise() {
    let scratch = Scratch::new();
    let debounce = |keys: &str| {
        hook(&scratch, &format!("at: post_start, exec: [hooks/sound.sh], debounce: {{{keys}}}")).debounce
    };
    let of =
        |wait, max| Some(Debounce { wait: Duration::from_millis(wait), max: Duration::from_millis(max) });

    assert_eq!(debounce("wait: 500ms"), of(500, 2000));
    assert_eq!(debounce("wait: 500ms, max: 500ms"), of(500, 500));
    assert_eq!(hook(&scratch, "at: post_start, exec: [hooks/sound.sh]").debounce, None);
}

#[test]
fn the_hooks_of_a_group_take_turns_unless_it_has_more_places() {
    let scratch = Scratch::new();
    let group = |keys: &str| {
        let keys = format!("at: post_start, exec: [hooks/sound.sh], concurrency: {{group: proxy{keys}}}");
        hook(&scratch, &keys).group.expect("it is in a group")
    };

    assert_eq!((&*group("").name, group("").max.get()), ("proxy", 1));
    assert_eq!(group(", max: 3").max.get(), 3);
}

#[test]
fn a_hook_runs_after_those_it_names_and_a_deny_before_every_program() {
    let scratch = Scratch::new();
    let config = load(
        &scratch,
        "version: 1\nhooks:\n\
         \x20 - {name: last, at: [pre_start, post_start], exec: [hooks/sound.sh], after: [middle, no]}\n\
         \x20 - {name: middle, at: pre_start, exec: [hooks/sound.sh], after: first}\n\
         \x20 - {name: first, at: [pre_start, post_start], exec: [hooks/sound.sh]}\n\
         \x20 - {name: no, at: pre_start, when: {privileged: true}, deny: no}\n",
    );

    let set = HookSet::new(&config.hooks);
    let at = |point| set.at(point).iter().map(|it| it.name.to_string()).collect::<Vec<_>>();

    assert_eq!(at(Point::PreStart), ["no", "first", "middle", "last"]);
    assert_eq!(at(Point::PostStart), ["last", "first"], "nothing was said about these two");
}

#[test]
fn a_request_is_what_was_written_and_a_post_otherwise() {
    let scratch = Scratch::new();
    let request = |keys: &str| match hook(&scratch, &format!("at: pre_start, http: {{{keys}}}")).action {
        Action::Http(request) => request,
        other => panic!("an http was written, this is {other:?}"),
    };

    let plain = request("url: \"http://[::1]:9000/alert?to=me\"");
    let full = request("url: \"https://hooks.example\", method: PUT, headers: {X-Token: \"5\", Accept: any}");

    assert_eq!((plain.url.as_str(), plain.method), ("http://[::1]:9000/alert?to=me", Method::Post));
    assert_eq!(plain.headers, []);
    assert_eq!((full.url.as_str(), full.method), ("https://hooks.example", Method::Put));
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(full.headers, [header("X-Token", "5"), header("Accept", "any")]);
}
