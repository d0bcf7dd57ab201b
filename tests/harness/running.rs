//! What runs in a sandbox.

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use crate::engine::{DockerdOptions, Engine, Generation, Sandbox, wait_for};
use crate::every_engine::on_every_engine;

const RUN_SLEEPER: &[&str] = &["run", "--detach", "--name", "sleeper", "busybox:test", "sleep", "1000"];
const IS_SLEEPER_RUNNING: &[&str] = &["inspect", "--format", "{{.State.Running}}", "sleeper"];

/// The id of a container in a new engine.
fn start_sleeper(sandbox: &Sandbox) -> String {
    sandbox.start_dockerd(DockerdOptions::default());
    sandbox.import_busybox();
    sandbox.docker_ok(RUN_SLEEPER)
}

on_every_engine!(an_engine_is_what_it_was_chosen_for);
fn an_engine_is_what_it_was_chosen_for(on: Generation) {
    let Some(sandbox) = Sandbox::available_on(on) else { return };
    sandbox.start_dockerd(DockerdOptions::default());

    let answered = sandbox.docker_ok(&["version", "--format", "{{.Server.Version}}"]);

    assert_eq!(Engine::of(on).expect("the engine that runs").version(), Some(answered.as_str()));
}

on_every_engine!(an_engine_runs_and_removes_a_container);
fn an_engine_runs_and_removes_a_container(on: Generation) {
    let Some(sandbox) = Sandbox::available_on(on) else { return };
    let dockerd = sandbox.start_dockerd(DockerdOptions::default());
    sandbox.import_busybox();

    let said = sandbox.docker_ok(&["run", "--rm", "busybox:test", "echo", "hello"]);

    assert_eq!(said, "hello");
    assert_eq!(sandbox.docker_ok(&["ps", "--all", "--quiet"]), "");
    assert!(dockerd.stop().success());
}

#[test]
fn engines_side_by_side_do_not_see_each_other() {
    let sandboxes: Vec<_> = (0..4).map_while(|_| Sandbox::available()).collect();

    let containers: Vec<String> = thread::scope(|scope| {
        let start = |sandbox| scope.spawn(move || start_sleeper(sandbox));
        let starting: Vec<_> = sandboxes.iter().map(start).collect();
        starting.into_iter().map(|it| it.join().unwrap()).collect()
    });

    for (sandbox, container) in sandboxes.iter().zip(&containers) {
        assert_eq!(&sandbox.docker_ok(&["ps", "--all", "--quiet", "--no-trunc"]), container);
    }
}

on_every_engine!(a_killed_engine_finds_its_containers_again);
fn a_killed_engine_finds_its_containers_again(on: Generation) {
    let Some(sandbox) = Sandbox::available_on(on) else { return };
    let dockerd = sandbox.start_dockerd(DockerdOptions { live_restore: true, ..DockerdOptions::default() });
    sandbox.import_busybox();
    sandbox.docker_ok(RUN_SLEEPER);

    dockerd.kill9();
    assert!(!dockerd.is_alive());
    assert!(!dockerd.answers());
    dockerd.start();

    assert_eq!(sandbox.docker_ok(IS_SLEEPER_RUNNING), "true");
}

on_every_engine!(a_restarted_engine_ends_its_containers);
fn a_restarted_engine_ends_its_containers(on: Generation) {
    let Some(sandbox) = Sandbox::available_on(on) else { return };
    let dockerd = sandbox.start_dockerd(DockerdOptions::default());
    sandbox.import_busybox();
    sandbox.docker_ok(&["run", "--detach", "--init", "--name", "sleeper", "busybox:test", "sleep", "1000"]);

    dockerd.restart();

    assert_eq!(sandbox.docker_ok(IS_SLEEPER_RUNNING), "false");
}

#[test]
fn every_docker_client_of_the_machine_can_be_named() {
    let folders = env::var_os("PATH").unwrap();
    let clients: Vec<_> =
        env::split_paths(&folders).map(|it| it.join("docker")).filter(|it| it.is_file()).collect();
    if Sandbox::available().is_none() {
        return;
    }

    for client in clients {
        let sandbox = Sandbox::new(Engine::installed().with_client(&client)).unwrap();
        sandbox.start_dockerd(DockerdOptions::default());
        let spoken = sandbox.docker_ok(&["version", "--format", "{{.Client.Version}}"]);
        let named = sandbox.run(&[client.as_os_str(), "--version".as_ref()]);
        assert!(named.stdout.contains(&spoken), "{} is {}", client.display(), named.stdout);
    }
}

#[test]
fn a_client_that_is_not_there_is_named_in_the_reason() {
    if Sandbox::available().is_none() {
        return;
    }

    let reason = Sandbox::new(Engine::installed().with_client("/no/docker")).err().unwrap();

    assert_eq!(reason.to_string(), "not installed: /no/docker: run `scripts/prerequisites.sh`");
}

#[test]
fn a_program_is_run_and_what_it_prints_is_kept() {
    let Some(sandbox) = Sandbox::available() else { return };
    let program = sandbox.write_program("hooks/speak.sh", "#!/bin/sh\necho out\necho err >&2\nexit 3\n");

    let output = sandbox.run(&[program]);

    assert_eq!(output.status.code(), Some(3));
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("out\n", "err\n"));
}

#[test]
fn a_command_that_does_not_end_fails_the_test() {
    let Some(sandbox) = Sandbox::available() else { return };
    let sleeper = sandbox.spawn(&["sleep", "1000"]);

    let failure = catch_unwind(AssertUnwindSafe(|| sleeper.wait(Duration::from_millis(100)))).unwrap_err();

    let message = failure.downcast::<String>().unwrap();
    assert!(message.starts_with("`sleep 1000` runs for more than 100ms"), "{message}");
    assert!(sleeper.is_alive());
}

#[test]
#[should_panic(expected = "waited 20ms for the end of time")]
fn a_wait_says_what_did_not_come() {
    wait_for("the end of time", Duration::from_millis(20), || None::<()>);
}
