//! The test engine itself: it comes up, it keeps to itself, and it leaves nothing behind.

use crate::engine::{DockerdOptions, Sandbox};

#[test]
fn an_engine_runs_and_removes_a_container() {
    let Some(sandbox) = Sandbox::available() else { return };
    let dockerd = sandbox.start_dockerd(DockerdOptions::default());
    sandbox.import_busybox();

    let said = sandbox.docker_ok(&["run", "--rm", "busybox:test", "echo", "hello"]);

    assert_eq!(said, "hello");
    assert_eq!(sandbox.docker_ok(&["ps", "--all", "--quiet"]), "");
    assert!(dockerd.is_alive());
}
