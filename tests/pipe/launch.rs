//! What a hook's process is: its user, groups, limits, directory, umask, descriptors, session.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use serde_json::Value;

use super::world::{Config, World};
use crate::engine::{BoathookOptions, DockerdOptions, Generation, Sandbox, wait_for};

/// Tells what can be seen of a process from within, one `name=value` a line.
const VIEW: &str = r#"#!/bin/sh -eu
exec 2>&1
# No pipe and no substitution: those would be open as well. 10 is the script, as the shell reads it.
printf 'fds='
ls -m /proc/$$/fd
of() { awk -v key="$1:" '$1 == key { $1 = ""; print substr($0, 2) }' /proc/$$/status; }
stat=$(sed 's/.*) //' /proc/$$/stat)
set -- $stat
echo "uid=$(of Uid)"
echo "gid=$(of Gid)"
echo "groups=$(of Groups)"
echo "inheritable=$(of CapInh)"
echo "permitted=$(of CapPrm)"
echo "ambient=$(of CapAmb)"
echo "nnp=$(of NoNewPrivs)"
echo "ignored=$(of SigIgn)"
echo "blocked=$(of SigBlk)"
echo "leads=$([ "$3" = $$ ] && [ "$4" = $$ ] && echo yes)"
echo "umask=$(umask)"
echo "cwd=$(pwd)"
echo "home=$HOME"
echo "nofile=$(ulimit -Sn):$(ulimit -Hn)"
echo "core=$(ulimit -c)"
echo "stdin=$(head -c 12)"
echo "event=$(head -c 12 "$HOOK_EVENT_FILE")"
echo "dir=$(stat -c '%u %a' "$(dirname "$HOOK_EVENT_FILE")")"
echo "client=$(grep -c X-Boathook-Run "$DOCKER_CONFIG/config.json")"
echo "variables=${A-} ${B-}"
echo again >> /dev/stderr
"#;

/// Makes the programs of these tests, where every user can run them.
fn prepare(sandbox: &Sandbox) {
    sandbox.write_program("view", VIEW);
    sandbox.write("hook.env", "A=from the file\nB=kept\n");
    fs::set_permissions(sandbox.dir(), fs::Permissions::from_mode(0o711)).expect("it is ours");
}

/// What the hook called `hook` has seen, once it has run.
struct View(String);

impl View {
    #[track_caller]
    fn of(world: &World, hook: &str) -> View {
        let ended = world.wait_for_end_of(hook);
        assert_eq!(ended["outcome"], "exited", "{ended}");
        assert_eq!(ended["detail"], "exited with 0", "{ended}");
        View(ended["stdout"].as_str().expect("what it printed").to_owned())
    }

    #[track_caller]
    fn get(&self, name: &str) -> &str {
        let value = self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.unwrap_or_else(|| panic!("no `{name}` in:\n{}", self.0))
    }
}

impl View {
    /// The signals that it ignores, but for the two that belong to the C library.
    fn ignored(&self) -> u64 {
        u64::from_str_radix(self.get("ignored"), 16).expect("a set of signals") & !(0b11 << 31)
    }
}

fn view_hook(name: &str, keys: &str) -> String {
    format!("{{name: {name}, at: post_create, exec: [./view]{keys}}}")
}

fn create(world: &World) {
    world.docker(&["create", "--name", "web", "busybox:test", "true"]);
}

#[test]
fn a_hook_that_says_nothing_is_root_with_a_session_and_nothing_open_of_its_own() {
    let Some(world) =
        World::start_with(Generation::V20_10, &Config::new().hook(&view_hook("plain", "")), prepare)
    else {
        return;
    };

    create(&world);

    let view = View::of(&world, "plain");
    assert_eq!(view.get("uid"), "0 0 0 0");
    assert_eq!(view.get("leads"), "yes");
    assert_eq!(view.get("fds"), "0, 1, 10, 2");
    assert_eq!(view.get("umask"), "0022");
    assert_eq!(view.get("cwd"), world.sandbox.dir().display().to_string());
    assert_eq!(view.get("home"), "/root");
    assert_eq!((view.ignored(), view.get("blocked")), (0, "0000000000000000"));
    assert_eq!(view.get("nnp"), "0");
    assert_eq!(view.get("stdin"), view.get("event"));
    assert_eq!(view.get("dir"), "0 700");
}

#[test]
fn each_key_holds_and_the_user_has_nothing_left_of_root() {
    let config = Config::new().hook(&view_hook(
        "all",
        ", user: daemon, working_dir: /usr, umask: \"027\", environment: [A=own], env_file: hook.env, \
         rlimits: {nofile: 64:128, core: 0}, no_new_privileges: true",
    ));
    let Some(world) = World::start_with(Generation::V20_10, &config, prepare) else { return };

    create(&world);

    let view = View::of(&world, "all");
    assert_eq!((view.get("uid"), view.get("gid"), view.get("groups").trim()), ("1 1 1 1", "1 1 1 1", "1"));
    for set in ["inheritable", "permitted", "ambient"] {
        assert_eq!(view.get(set), "0000000000000000", "{set}");
    }
    assert_eq!((view.get("leads"), view.get("nnp")), ("yes", "1"));
    assert_eq!(view.get("fds"), "0, 1, 10, 2");
    assert_eq!((view.get("umask"), view.get("cwd")), ("0027", "/usr"));
    assert_eq!((view.get("nofile"), view.get("core")), ("64:128", "0"));
    assert_eq!(view.get("home"), "/usr/sbin");
    assert_eq!(view.get("variables"), "own kept");
    assert_eq!((view.get("stdin"), view.get("dir"), view.get("client")), (view.get("event"), "1 700", "1"));
    assert_eq!((view.ignored(), view.get("blocked")), (0, "0000000000000000"));
}

/// Starts boathook as systemd does with a socket unit, and leaves two more files open.
const ACTIVATED: &str = r#"#!/bin/sh -eu
exec 7< /etc/passwd 9>> "$HOME/nine"
exec perl -MSocket -we '
    $^F = 63;
    my $path = shift;
    socket(LISTENER, AF_UNIX, SOCK_STREAM, 0) && bind(LISTENER, pack_sockaddr_un($path))
        && listen(LISTENER, 64) or die "listen at $path: $!";
    fileno(LISTENER) == 3 or die "descriptor 3 is taken";
    @ENV{"LISTEN_PID", "LISTEN_FDS"} = ($$, 1);
    exec @ARGV or die "exec: $!";
' /run/docker/plugins/boathook.sock "$BOATHOOK" "$@"
"#;

#[test]
fn what_boathook_was_started_with_is_open_in_no_script() {
    let Some(sandbox) = Sandbox::available() else { return };
    prepare(&sandbox);
    let config =
        Config::new().hook(&view_hook("plain", "")).hook(&view_hook("limited", ", rlimits: {core: 0}"));
    let activated = sandbox.write_program("activated", ACTIVATED);
    sandbox.write("run/docker/plugins/README", "");
    let environment = [("BOATHOOK", env!("CARGO_BIN_EXE_boathook"))];
    let options = BoathookOptions { environment: &environment, ..BoathookOptions::new(&activated) };

    let boathook = sandbox.start_boathook(&config.text_in(&sandbox), options);
    let plugin = DockerdOptions { authorization_plugin: Some("boathook"), ..DockerdOptions::default() };
    sandbox.start_dockerd(plugin);
    sandbox.import_busybox();
    sandbox.docker_ok(&["create", "--name", "web", "busybox:test", "true"]);

    for hook in ["plain", "limited"] {
        let ran = |it: &Value| it["hook"] == hook && it["outcome"].is_string();
        let ended = boathook.wait_for_log("the hook to end", ran);
        let seen = ended["stdout"].as_str().unwrap_or_default();
        assert!(seen.starts_with("fds=0, 1, 10, 2\n"), "{hook}: {ended}");
    }
    let open = fs::read_dir(format!("/proc/{}/fd", boathook.process().id())).expect("it runs");
    let open: Vec<_> = open.filter_map(|it| it.ok()?.file_name().into_string().ok()).collect();
    assert!(["3", "7", "9"].into_iter().all(|it| open.iter().any(|open| open == it)), "{open:?}");
}

#[test]
fn what_keeps_a_script_from_starting_is_told_as_that() {
    let config = Config::new()
        .hook("{name: closed, at: post_create, exec: [./closed], user: daemon}")
        .hook("{name: limit, at: post_create, exec: [./view], rlimits: {nofile: unlimited}}")
        .hook("{name: gone, at: post_create, exec: [./view], working_dir: gone}")
        .hook("{name: exits, at: post_create, rlimits: {core: 0}, shell: exit 1}")
        .hook("{name: dies, at: post_create, rlimits: {core: 0}, shell: kill -KILL $$}");
    let Some(world) = World::start_with(Generation::V20_10, &config, |sandbox| {
        prepare(sandbox);
        sandbox.write_program("closed", "#!/bin/sh\nexit 0\n");
        let closed = sandbox.dir().join("closed");
        fs::set_permissions(closed, fs::Permissions::from_mode(0o700)).expect("it is ours");
        fs::create_dir(sandbox.dir().join("gone")).expect("it is new");
    }) else {
        return;
    };
    fs::remove_dir(world.sandbox.dir().join("gone")).expect("it is empty");

    create(&world);

    for (hook, outcome, detail) in [
        ("closed", "not_started", "/closed`: Permission denied (os error 13)"),
        ("limit", "not_started", "limit `nofile`: Operation not permitted (os error 1)"),
        ("gone", "not_started", "/gone`: No such file or directory (os error 2)"),
        ("exits", "exited", "exited with 1"),
        ("dies", "signaled", "was killed by signal 9"),
    ] {
        let ended = world.wait_for_end_of(hook);
        assert_eq!(ended["outcome"], outcome, "{ended}");
        assert!(ended["detail"].as_str().is_some_and(|it| it.ends_with(detail)), "{ended}");
    }
}

#[test]
fn a_variable_of_the_hook_means_nothing_to_what_still_has_roots_rights() {
    let config = Config::new().hook(
        "{name: preload, at: post_create, exec: [./view], user: daemon, environment: {LD_PRELOAD: /no/such/library.so}}",
    );
    let Some(world) = World::start_with(Generation::V20_10, &config, prepare) else { return };

    create(&world);

    let ended = world.wait_for_end_of("preload");
    let said = ended["stderr"].as_str().expect("what was said");
    let first = said.lines().next().unwrap_or_default();
    assert!(first.contains("library.so") && !said.contains("boathook"), "{ended}");
}

#[test]
fn of_a_users_home_only_what_is_the_users_reaches_the_docker_client() {
    let config = Config::new()
        .hook("{name: client, at: post_create, user: backup, shell: \"cat $DOCKER_CONFIG/config.json; ls $DOCKER_CONFIG\"}");
    let Some(world) = World::start_with(Generation::V20_10, &config, |sandbox| {
        prepare(sandbox);
        sandbox.write("roots/config.json", r#"{"auths": {"secret": {}}}"#);
        sandbox.write("roots/hidden", "");
        sandbox.write("theirs/config.json", r#"{"auths": {"their-own": {}}}"#);
        sandbox.write("theirs/contexts/x", "");
        let dir = sandbox.dir().display();
        let script = format!(
            "mkdir {dir}/home; ln -s {dir}/roots {dir}/home/.docker; chown -R backup {dir}/theirs; \
             mount --bind {dir}/home $(getent passwd backup | cut -d: -f6)"
        );
        assert!(sandbox.run(&["sh", "-euc", &script]).status.success());
    }) else {
        return;
    };
    let seen = |run: usize| {
        world.docker(&["create", "busybox:test", "true"]);
        let ran = || {
            world.boathook.logs().into_iter().filter(|it| it["hook"] == "client" && it["outcome"].is_string())
        };
        let ended = wait_for("the hook to end", Duration::from_secs(30), || ran().nth(run));
        assert_eq!(ended["outcome"], "exited", "{ended}");
        ended["stdout"].as_str().expect("what it printed").to_owned()
    };

    let linked = seen(0);
    let dir = world.sandbox.dir();
    fs::remove_file(dir.join("home/.docker")).expect("a link");
    fs::rename(dir.join("theirs"), dir.join("home/.docker")).expect("a directory");
    let owned = seen(1);

    assert!(
        linked.contains("X-Boathook-Run") && !linked.contains("secret") && !linked.contains("hidden"),
        "{linked}"
    );
    assert!(
        owned.contains("X-Boathook-Run") && owned.contains("their-own") && owned.contains("contexts"),
        "{owned}"
    );
}
