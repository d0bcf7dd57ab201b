//! Boathook, or it and the engine, are killed in the middle of things.

use super::house::{House, NETWORK, server};
use crate::engine::Generation;
use crate::every_engine::on_every_engine;

on_every_engine!(boathook_is_killed_in_every_third_step_and_each_can_be_done);
fn boathook_is_killed_in_every_third_step_and_each_can_be_done(on: Generation) {
    let Some(mut house) = House::start(on) else { return };
    let lan = [&NETWORK[..], &["lan"]].concat();
    let steps: &[&[&str]] = &[
        &lan,
        &server("one", "lan", &["-p", "8081:80"]),
        &server("two", "lan", &[]),
        &["network", "create", "-d", "boathook", "--ipam-driver", "boathook", "side"],
        &["network", "connect", "side", "one"],
        &server("three", "lan", &["-p", "8083:80", "--restart", "always"]),
        &["stop", "-t", "0", "one"],
        &["start", "one"],
        &["network", "disconnect", "side", "one"],
        &["restart", "-t", "0", "two"],
        &["rm", "-f", "two"],
        &server("four", "lan", &["-p", "8084:80"]),
        &["restart", "-t", "0", "three"],
        &["rm", "-f", "one"],
        &["network", "connect", "side", "four"],
    ];
    let ending: &[&[&str]] = &[
        &["rm", "-f", "four"],
        &["network", "rm", "side"],
        &["rm", "-f", "three"],
        &["network", "rm", "lan"],
    ];

    // The engines take turns: together they see it killed in each of the steps.
    let kill_at = on as usize;
    for (at, step) in steps.iter().enumerate() {
        house.step(step, at % 3 == kill_at);
    }
    house.wait_for_server("three");
    assert!(house.reads("four", "three:80", "three"), "by name");
    assert!(house.host_reads("127.0.0.1:8083", "three"), "published");
    assert!(house.host_reads("127.0.0.1:8084", "four"), "published later");
    assert!(!house.host_reads("127.0.0.1:8081", "one"), "gone");
    house.wait_until("two bridges and three ports to be what there is", |it| it.links().len() == 5);
    for (at, step) in ending.iter().enumerate() {
        house.step(step, at % 3 == kill_at);
    }

    house.wait_for_what_was_cut_off();
    house.assert_nothing_is_left();
}

on_every_engine!(the_engine_and_boathook_are_killed_while_a_container_starts);
fn the_engine_and_boathook_are_killed_while_a_container_starts(on: Generation) {
    let Some(mut house) = House::start(on) else { return };
    house.docker(&[&NETWORK[..], &["lan"]].concat());
    house.docker(&server("web", "lan", &["-p", "8080:80", "--restart", "always"]));
    house.docker(&server("job", "lan", &[]));

    for late in ["late-1", "late-2"] {
        house.docker_and_kill_all(&server(late, "lan", &["-p", "8081:80"]));
        house.start_boathook();
        house.dockerd.start();
        house.wait_until("web to be back", |it| it.host_reads("127.0.0.1:8080", "web"));
        house.docker(&["start", "job"]);
        house.wait_for_server("job");
        assert!(house.reads("job", "web:80", "web"), "by name");
        house.assert_no_address_twice();
        house.wait_until("a bridge and two ports to be what there is", |it| it.links().len() == 3);
    }

    let all = house.docker(&["ps", "-aq"]);
    house.docker(&[&["rm", "-f"][..], &all.lines().collect::<Vec<_>>()].concat());
    house.docker(&["network", "rm", "lan"]);
    house.wait_for_what_was_cut_off();
    house.assert_nothing_is_left();
}

impl House {
    /// One step, that is done though boathook may be killed in it.
    ///
    /// An engine that repeats a call which was cut off sends it without a body, because it has read it
    /// already (`callWithRetry` in moby, `pkg/plugins/client.go`). Boathook says so, and whoever asked has to
    /// ask again.
    #[track_caller]
    fn step(&mut self, step: &[&str], with_a_kill: bool) {
        if with_a_kill {
            let output = self.docker_and_kill(step);
            if !output.status.success() {
                assert!(
                    output.stderr.contains("the body of the call is empty"),
                    "{step:?}: {}",
                    output.stderr
                );
                self.step_again(step);
            }
        } else {
            self.docker(step);
        }
        self.assert_no_address_twice();
    }

    /// A step that is said to have failed, once more. What was to be run may be there then, and does not run;
    /// if it was boathook's look at the answer that was cut off, all is done already.
    #[track_caller]
    fn step_again(&self, step: &[&str]) {
        if let ["run", "-d", "--name", name, ..] = step {
            self.sandbox.docker(&["rm", "-f", name]);
        }
        let output = self.sandbox.docker(step);
        let is_done = ["not found", "No such container", "already exists"];
        let is_done = output.status.success() || is_done.iter().any(|it| output.stderr.contains(it));
        assert!(is_done, "{step:?}, again: {}", output.stderr);
    }
}
