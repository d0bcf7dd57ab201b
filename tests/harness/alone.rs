//! A sandbox has nothing to do with the machine around it, and leaves nothing there.

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sys::signal::kill;
use nix::unistd::Pid;

use super::traces::traces_of;
use crate::engine::{DockerdOptions, Sandbox, Signal, wait_for};

/// Makes the test below that is otherwise not run hold a sandbox.
const HOLD: &str = "BOATHOOK_TEST_HOLD";

/// For the guard to clean up when nobody waits for it.
const LIMIT: Duration = Duration::from_secs(30);

/// A sandbox with an engine, a container, and a process that has left its parents.
fn busy_sandbox() -> Option<Sandbox> {
    let sandbox = Sandbox::available()?;
    sandbox.start_dockerd(DockerdOptions::default());
    sandbox.import_busybox();
    sandbox.docker_ok(&["run", "--detach", "--publish", "80", "busybox:test", "sleep", "1000"]);
    sandbox.run(&["sh", "-c", "setsid sleep 1000 > /dev/null 2>&1 &"]);
    Some(sandbox)
}

#[test]
fn a_sandbox_that_is_dropped_leaves_nothing() {
    let Some(sandbox) = busy_sandbox() else { return };
    let dir = sandbox.dir().to_owned();
    let before = traces_of(&dir);

    drop(sandbox);

    // The folder, its control groups, and for the guard, init, engine, containerd, shim and both sleepers
    // at least the mounts.
    assert!(before.len() > 8, "{before:?}");
    assert_eq!(traces_of(&dir), [""; 0]);
}

#[test]
fn a_panic_leaves_nothing() {
    let (send, receive) = mpsc::channel();

    let caught = catch_unwind(move || {
        let Some(sandbox) = busy_sandbox() else { return };
        send.send(sandbox.dir().to_owned()).unwrap();
        panic!("as a failed assertion does");
    });

    let Ok(dir) = receive.recv() else { return };
    assert!(caught.is_err());
    assert_eq!(traces_of(&dir), [""; 0]);
}

#[test]
fn a_test_process_that_is_killed_leaves_nothing() {
    for signal in [Signal::SIGKILL, Signal::SIGINT, Signal::SIGTERM] {
        let Some((mut holder, dir)) = holder() else { return };
        assert!(!traces_of(&dir).is_empty());

        let group = -i32::try_from(holder.id()).unwrap();
        kill(Pid::from_raw(group), signal).unwrap();
        holder.wait().unwrap();

        let mut left = Vec::new();
        wait_for(&format!("nothing to be left after {signal}"), LIMIT, || {
            left = traces_of(&dir);
            left.is_empty().then_some(())
        });
    }
}

#[test]
#[ignore = "played in a process of its own, for the test above to kill"]
fn holds_a_sandbox() {
    if env::var_os(HOLD).is_none() {
        return;
    }
    let Some(sandbox) = busy_sandbox() else { return };
    writeln!(io::stdout(), "sandbox={}", sandbox.dir().display()).unwrap();
    loop {
        thread::park();
    }
}

/// A process that holds a sandbox, and the sandbox's folder.
fn holder() -> Option<(Child, PathBuf)> {
    let mut command = Command::new(env::current_exe().expect("the path of this program"));
    command.args(["--exact", "harness::alone::holds_a_sandbox", "--ignored", "--nocapture"]);
    command.env(HOLD, "1").stdout(Stdio::piped()).process_group(0);
    let mut holder = command.spawn().expect("start this program");
    let lines = BufReader::new(holder.stdout.take().expect("a piped stdout")).lines().map_while(Result::ok);
    // The test harness may have begun the line.
    let dir = lines.filter_map(|it| Some(it.split_once("sandbox=")?.1.to_owned())).next();
    if dir.is_none() {
        holder.wait().expect("reap this program");
    }
    Some((holder, PathBuf::from(dir?)))
}

#[test]
fn what_is_written_below_run_stays_inside() {
    let Some(sandbox) = Sandbox::available() else { return };
    let name = sandbox.dir().file_name().unwrap();

    sandbox.run(&["touch".as_ref(), Path::new("/run").join(name).as_os_str()]);

    assert!(!Path::new("/run").join(name).exists());
    assert!(sandbox.dir().join("run").join(name).exists());
}

#[test]
fn an_engine_makes_its_bridge_where_the_machine_does_not_see_it() {
    let Some(sandbox) = busy_sandbox() else { return };

    let inside = sandbox.run(&["cat", "/sys/class/net/docker0/address"]).stdout;

    let interfaces = fs::read_dir("/sys/class/net").unwrap().flatten();
    let outside: Vec<_> = interfaces.flat_map(|it| fs::read_to_string(it.path().join("address"))).collect();
    assert_ne!(inside, "");
    assert!(!outside.contains(&inside));
}
