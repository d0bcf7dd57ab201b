//! What a `cleanup` without mistakes resolves to.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::Duration;

use boathook::config::{self, Good, Written};
use boathook::hook::{Action, Cleanup, Command, Deadline, HookSet, Retry};
use boathook::lifecycle::Point;
use jiff::Timestamp;

use super::scratch::Scratch;

/// The clean-up of the only hook of a file; `keys` are those of the hook in a line.
fn cleanup(scratch: &Scratch, keys: &str) -> Cleanup {
    let text = format!("version: 1\nhooks:\n  - {{name: h, exec: [hooks/sound.sh, open], {keys}}}\n");
    let path = scratch.write("config.yaml", text.as_bytes(), 0o644);
    let config = config::load(&path).unwrap_or_else(|report| panic!("{report}"));
    let cleanup = config.hooks[0].cleanup.as_deref().expect("it has a clean-up");
    cleanup.clone()
}

fn command(cleanup: &Cleanup) -> &Command {
    let Action::Exec(command) = &cleanup.action else { panic!("a program was written") };
    command
}

#[test]
fn where_it_falls_due_follows_from_where_it_is_set_up() {
    let scratch = Scratch::new();
    for (setups, due) in [
        ("pre_create", &["post_remove"][..]),
        ("post_create", &["post_remove"]),
        ("[post_create, post_start]", &["post_remove"]),
        ("pre_start", &["post_stop"]),
        ("post_start", &["post_stop"]),
        ("[post_start, reconcile]", &["post_stop"]),
        ("healthy", &["post_stop"]),
        ("pause", &["post_stop"]),
        ("pre_stop", &["post_stop"]),
        ("network.pre_create", &["network.post_remove"]),
        ("network.post_create", &["network.post_remove"]),
        ("network.connect", &["network.disconnect"]),
        ("volume.pre_create", &["volume.post_remove"]),
        ("volume.post_create", &["volume.post_remove"]),
        ("volume.mount", &["volume.unmount"]),
        ("daemon.start", &["daemon.stop"]),
        ("[network.connect, reconcile]", &["post_stop"]),
        ("[network.post_create, post_start]", &["post_stop", "network.post_remove"]),
    ] {
        let cleanup = cleanup(&scratch, &format!("at: {setups}, cleanup: {{exec: [hooks/sound.sh]}}"));

        assert_eq!(cleanup.at.iter().map(Point::name).collect::<Vec<_>>(), due, "{setups}");
    }
}

#[test]
fn where_it_says_that_it_falls_due_is_where_it_does() {
    let scratch = Scratch::new();
    for (setups, due) in [
        ("post_start", "[unhealthy, post_stop]"),
        ("[healthy, reconcile]", "[unhealthy, post_stop]"),
        ("unhealthy", "healthy"),
        ("pause", "unpause"),
        ("post_stop", "post_remove"),
        ("pre_remove", "post_remove"),
        ("pre_start", "post_start"),
        ("[network.connect, post_start]", "[post_stop, network.disconnect]"),
        ("daemon.start", "[daemon.reload, daemon.stop]"),
    ] {
        let keys = format!("at: {setups}, cleanup: {{exec: [hooks/sound.sh], at: {due}}}");
        let cleanup = cleanup(&scratch, &keys);

        let named = cleanup.at.iter().map(Point::name).collect::<Vec<_>>().join(", ");
        assert_eq!(named, due.trim_matches(['[', ']']), "{setups}");
    }
}

#[test]
fn it_runs_as_its_hook_does() {
    let scratch = Scratch::new();
    let keys = "at: post_start, user: \"0:0\", umask: 027, working_dir: hooks, environment: {A: 1}, \
                env_file: hooks/sound.env, rlimits: {nofile: 64}, cleanup: {exec: [hooks/sound.sh, close]}";

    let cleanup = cleanup(&scratch, keys);

    let command = command(&cleanup);
    assert_eq!(command.program, scratch.path("hooks/sound.sh"));
    assert_eq!(command.argv, ["hooks/sound.sh", "close"].map(OsString::from));
    assert_eq!(command.working_dir, scratch.path("hooks"));
    let names: Vec<&str> = command.environment.keys().map(String::as_str).collect();
    assert_eq!(names, ["A", "QUOTED"]);
    assert_eq!((command.launch.umask, command.launch.rlimits.len()), (0o027, 1));
    assert!(command.launch.user.is_some());
}

#[test]
fn its_script_is_run_as_any_other() {
    let scratch = Scratch::new();

    let cleanup = cleanup(&scratch, "at: post_start, cleanup: {shell: echo bye}");

    assert_eq!(command(&cleanup).program, Path::new("/bin/sh"));
    assert_eq!(command(&cleanup).argv, ["sh", "-eu", "-c", "echo bye"].map(OsString::from));
}

#[test]
fn a_server_may_clean_up_after_a_program_and_a_program_after_a_server() {
    let scratch = Scratch::new();
    let server = cleanup(&scratch, "at: post_start, cleanup: {http: {url: \"http://127.0.0.1:9/bye\"}}");
    let text = "version: 1\nhooks:\n  - {name: h, at: post_start, http: {url: \"http://127.0.0.1:9/\"}, \
                umask: 077, cleanup: {exec: [hooks/sound.sh]}}\n";
    let path = scratch.write("config.yaml", text.as_bytes(), 0o644);
    let config = config::load(&path).unwrap_or_else(|report| panic!("{report}"));
    let program = config.hooks[0].cleanup.as_deref().expect("it has a clean-up");

    let Action::Http(request) = &server.action else { panic!("a request was written") };
    assert_eq!(request.url, "http://127.0.0.1:9/bye");
    assert_eq!(command(program).launch.umask, 0o077);
}

#[test]
fn its_time_is_its_own_or_the_default_and_not_that_of_its_hook() {
    let scratch = Scratch::new();
    let deadline = |keys: &str| {
        let keys =
            format!("at: post_start, timeout: 1s, kill_after: 1s, cleanup: {{exec: [hooks/sound.sh]{keys}}}");
        cleanup(&scratch, &keys).deadline
    };

    assert_eq!(deadline(""), Deadline::DEFAULT);
    let written = Deadline { limit: Duration::from_secs(120), grace: Duration::ZERO };
    assert_eq!(deadline(", timeout: 2m, kill_after: 0"), written);
    let text = "version: 1\ndefaults: {timeout: 9s, kill_after: 2s}\nhooks:\n  \
                - {name: h, at: post_start, timeout: 1s, exec: [hooks/sound.sh], cleanup: {exec: [hooks/sound.sh]}}\n";
    let path = scratch.write("config.yaml", text.as_bytes(), 0o644);
    let config = config::load(&path).unwrap_or_else(|report| panic!("{report}"));
    let inherited = config.hooks[0].cleanup.as_ref().expect("it has a clean-up").deadline;
    assert_eq!(inherited, Deadline { limit: Duration::from_secs(9), grace: Duration::from_secs(2) });
}

#[test]
fn it_is_tried_twenty_times_unless_it_says_otherwise() {
    let scratch = Scratch::new();
    let retry = |keys: &str| {
        cleanup(&scratch, &format!("at: post_start, retry: {{}}, cleanup: {{exec: [hooks/sound.sh]{keys}}}"))
            .retry
    };

    assert_eq!(retry(""), Retry::OF_CLEANUP);
    assert_eq!(retry(", retry: {}"), Retry::OF_CLEANUP);
    assert_eq!(retry(", retry: {max_attempts: 3}"), Retry { max_attempts: 3, ..Retry::OF_CLEANUP });
    let slow = Duration::from_secs(600);
    let written = Retry { delay: slow, max_delay: slow, ..Retry::OF_CLEANUP };
    assert_eq!(retry(", retry: {delay: 10m}"), written);
}

#[test]
fn somebody_listens_where_it_falls_due() {
    let scratch = Scratch::new();
    let text = "version: 1\nhooks:\n  \
                - {name: h, at: healthy, exec: [hooks/sound.sh], cleanup: {exec: [hooks/sound.sh], at: unhealthy}}\n";
    let path = scratch.write("config.yaml", text.as_bytes(), 0o644);
    let config = config::load(&path).unwrap_or_else(|report| panic!("{report}"));

    let set = HookSet::new(&config.hooks);

    let points: Vec<&str> = set.points().iter().map(Point::name).collect();
    assert_eq!(points, ["healthy", "unhealthy", "post_remove"]);
    assert!(set.at(Point::Unhealthy).is_empty());
}

#[test]
fn the_last_good_configuration_keeps_a_clean_up_whose_program_is_gone() {
    let scratch = Scratch::new();
    let text = b"version: 1\nhooks:\n  \
                - {name: h, at: post_start, exec: [hooks/sound.sh], cleanup: {exec: [./bye.sh]}}\n";
    scratch.write("config.yaml", text, 0o644);
    let bye = scratch.write("bye.sh", b"#!/bin/sh\n", 0o755);
    let written = Written::read(&scratch.path("config.yaml"));
    written.check().unwrap_or_else(|report| panic!("{report}"));
    Good::keep(&written, &scratch.path("state"), Timestamp::UNIX_EPOCH).expect("there is room");
    fs::remove_file(&bye).expect("it was there");

    let good = Good::find(&scratch.path("state"), &scratch.path("config.yaml"));
    let good = good.expect("it can be read").expect("it was kept");
    let (config, gone) = good.resolve().unwrap_or_else(|report| panic!("{report}"));

    let cleanup = config.hooks[0].cleanup.as_deref().expect("it is there still");
    assert!(command(cleanup).program.ends_with("bye.sh"));
    assert_eq!(gone.iter().map(|it| it.code).collect::<Vec<_>>(), ["program"]);
}
