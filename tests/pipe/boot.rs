//! The engine starts, and with it containers on networks of boathook's own: nothing can be asked then, and
//! every container finds its network ready all the same.

use std::time::Duration;

use boathook::run::DebtState;

use super::world::{Config, Ran, World};
use crate::engine::{Generation, wait_for};
use crate::every_engine::on_every_engine;

/// For what follows on the end of a container.
const SEEN_LIMIT: Duration = Duration::from_secs(60);

/// Leaves a mark for whoever gets the address, a while after it could have begun.
const MARK: &str = "{name: mark, at: net_ready, shell: \"sleep 0.3; touch shared/$CONTAINER_IP\"}";

/// What is on which network, with which address.
type Placed = [(&'static str, &'static str, &'static str)];

/// Each is the only one on its network that is started with the engine.
const ALONE: &Placed = &[("one", "lan", "10.90.0.11"), ("two", "side", "10.91.0.12")];

/// Each could be the other, as long as nobody can be asked.
const TOGETHER: &Placed = &[("three", "both", "10.92.0.13"), ("four", "both", "10.92.0.14")];

fn start(on: Generation, config: Config) -> Option<World> {
    let world = World::start(on, &config.key("plugin: {kinds: [authz, network]}"))?;
    world.sandbox.run(&["mkdir", "-p", &format!("{}/shared", world.sandbox.dir().display())]);
    for (name, subnet) in [("lan", "10.90.0.0/24"), ("side", "10.91.0.0/24"), ("both", "10.92.0.0/24")] {
        world.docker(&["network", "create", "-d", "boathook", "--subnet", subnet, name]);
    }
    Some(world)
}

/// Runs containers that the engine starts again, and that end at once if they begin before their mark is there.
fn run(world: &World, placed: &Placed) {
    let shared = format!("{}/shared:/shared", world.sandbox.dir().display());
    for (name, network, address) in placed {
        let takes_the_mark = format!("rm /shared/{address} && exec sleep 1000");
        let front = ["--init", "--restart", "always", "--network", network, "--ip", address, "-v", &shared];
        let command = ["busybox:test", "sh", "-c", &takes_the_mark];
        world.docker(&[&["run", "-d", "--name", name], &front[..], &command].concat());
    }
}

/// That each of them has found its mark, the first time it has begun since the engine has started.
fn assert_found_their_marks(world: &World, placed: &Placed) {
    for (name, ..) in placed {
        let state = world.docker(&["inspect", "-f", "{{.State.Running}} {{.RestartCount}}", name]);
        assert_eq!(state, "true 0", "{name}");
    }
}

/// What `record` was told at `net_ready` about the address, the last time.
fn last_at<'a>(ran: &'a [Ran], address: &str) -> &'a Ran {
    let mut at_it = ran.iter().filter(|it| it.variable("CONTAINER_IP") == Some(address));
    at_it.next_back().unwrap_or_else(|| panic!("nobody was told of {address}"))
}

on_every_engine!(net_ready_knows_who_starts_with_the_engine_if_only_one_can_be_on_a_network);
fn net_ready_knows_who_starts_with_the_engine_if_only_one_can_be_on_a_network(on: Generation) {
    let Some(mut world) = start(on, Config::new().hook(MARK).record("record", "net_ready")) else { return };
    run(&world, ALONE);
    world.run_sleeper("bystander", &["--network", "lan"]);
    let before = world.ran().len();

    world.reboot();

    assert_found_their_marks(&world, ALONE);
    let ran = world.ran().split_off(before);
    assert_eq!(ran.len(), ALONE.len(), "{ran:?}");
    for (name, _, address) in ALONE {
        let told = last_at(&ran, address);
        let id = world.docker(&["inspect", "-f", "{{.Id}}", name]);
        assert_eq!(told.variable("CONTAINER_NAME"), Some(*name), "{told:?}");
        assert_eq!(told.variable("CONTAINER_ID"), Some(&*id), "{told:?}");
        assert!(told.variable("CONTAINER_VETH").is_some_and(|it| it.starts_with("bh")), "{told:?}");
    }
}

on_every_engine!(net_ready_names_nobody_rather_than_the_wrong_one_of_two_that_start_with_the_engine);
fn net_ready_names_nobody_rather_than_the_wrong_one_of_two_that_start_with_the_engine(on: Generation) {
    let Some(mut world) = start(on, Config::new().hook(MARK).record("record", "net_ready")) else { return };
    run(&world, TOGETHER);
    let before = world.ran().len();

    world.reboot();

    assert_found_their_marks(&world, TOGETHER);
    let ran = world.ran().split_off(before);
    assert_eq!(ran.len(), TOGETHER.len(), "{ran:?}");
    for (name, _, address) in TOGETHER {
        let told = last_at(&ran, address);
        let expected = (on >= Generation::V28_5).then_some(*name);
        assert_eq!(told.variable("CONTAINER_NAME"), expected, "{told:?}");
        assert_eq!(told.variable("CONTAINER_ID").is_some(), expected.is_some(), "{told:?}");
    }
}

on_every_engine!(what_was_set_up_at_boot_is_cleaned_up_at_the_end_of_whoever_it_was);
fn what_was_set_up_at_boot_is_cleaned_up_at_the_end_of_whoever_it_was(on: Generation) {
    let owes = "{name: owes, at: net_ready, exec: [./record], cleanup: {exec: [./record]}}";
    let Some(mut world) = start(on, Config::new().hook(MARK).hook(owes)) else { return };
    run(&world, TOGETHER);
    world.reboot();
    let paid = |world: &World| world.debts().iter().filter(|it| it.state == DebtState::Paid).count();
    wait_for("the debts of the first starts to be paid", SEEN_LIMIT, || (paid(&world) == 2).then_some(()));

    world.docker(&["rm", "-f", "three"]);

    wait_for("the clean-up of the one that is gone", SEEN_LIMIT, || (paid(&world) == 3).then_some(()));
    let clean_up = world.ran().pop().expect("a clean-up");
    assert_eq!(clean_up.document["phase"], "cleanup", "{clean_up:?}");
    assert_eq!(clean_up.point(), "post_stop", "{clean_up:?}");
    assert_eq!(clean_up.document["cause"], "api", "{clean_up:?}");
    assert_eq!(clean_up.variable("CONTAINER_NAME"), Some("three"));
    assert_eq!(clean_up.variable("CONTAINER_IP"), Some("10.92.0.13"));
    world.docker(&["rm", "-f", "four"]);
    wait_for("the other's", SEEN_LIMIT, || (paid(&world) == 4).then_some(()));
    assert_eq!(world.debts().len(), 4);
}

on_every_engine!(a_start_right_after_the_engine_has_come_back_is_not_taken_for_another);
fn a_start_right_after_the_engine_has_come_back_is_not_taken_for_another(on: Generation) {
    let Some(world) = start(on, Config::new().record("record", "net_ready")) else { return };
    world.run_sleeper("stopped", &["--init", "--restart", "unless-stopped", "--network", "lan"]);
    world.docker(&["stop", "stopped"]);
    let id = world.docker(&["create", "--name", "web", "--network", "lan", "busybox:test", "sleep", "1000"]);
    let before = world.ran().len();

    // Boathook looks every two seconds by then whether the engine is back.
    world.dockerd.stop();
    world.boathook.wait_for_log("that docker is away", |it| {
        it["message"].as_str().is_some_and(|it| it.starts_with("docker cannot be reached"))
    });
    std::thread::sleep(Duration::from_secs(3));
    world.dockerd.start();
    world.docker(&["start", "web"]);

    let ran = world.ran().split_off(before);
    assert_eq!(ran.len(), 1, "{ran:?}");
    assert_eq!(ran[0].variable("CONTAINER_NAME"), Some("web"), "{ran:?}");
    assert_eq!(ran[0].variable("CONTAINER_ID"), Some(&*id), "{ran:?}");
}
