//! Addresses that come back to whom they were.

use std::thread;

use serde_json::json;

use super::world::World;
use crate::engine::Generation;
use crate::every_engine::on_every_engine;

fn a_container_that_is_made_again_has_the_address_that_it_had(on: Generation) {
    let Some((mut world, _dockerd)) = World::with_engine(on, "{sticky: 10m}") else { return };
    world.docker(&["network", "create", "--ipam-driver", "boathook", "--subnet=10.77.0.0/24", "n"]);
    let on_n = ["--network", "n"];
    let keyed = ["--network", "n", "--label", "boathook.ip.key=db"];
    let names: Vec<String> = (0..6).map(|nth| format!("c{nth}")).collect();
    let before: Vec<String> = names.iter().map(|it| world.run(it, &on_n)).collect();
    let database = world.run("db-1", &keyed);

    world.docker(&["restart", "-t", "0", "c3"]);
    assert_eq!(world.address("c3"), before[3], "it was restarted");
    world.docker(&["stop", "-t", "0", "c3"]);
    world.docker(&["start", "c3"]);
    assert_eq!(world.address("c3"), before[3], "it was stopped and started");

    // In another order, all at once, and with a boathook that remembers.
    world.remove("db-1");
    names.iter().for_each(|it| world.remove(it));
    world.kill_boathook();
    let after: Vec<String> = thread::scope(|scope| {
        let world = &world;
        let runs: Vec<_> = names.iter().rev().map(|it| scope.spawn(move || world.run(it, &on_n))).collect();
        runs.into_iter().rev().map(|it| it.join().expect("it runs")).collect()
    });

    assert_eq!(after, before);
    assert_eq!(world.run("db-2", &keyed), database, "it has the key");
    assert_ne!(world.run("db-3", &keyed), database, "the key is in use");
    world.docker(&["network", "disconnect", "n", "c1"]);
    world.docker(&["network", "connect", "n", "c1"]);
    assert_eq!(world.address("c1"), before[1], "it was connected again");
}
on_every_engine!(a_container_that_is_made_again_has_the_address_that_it_had);

fn a_container_with_a_hardware_address_of_its_own_is_known_by_it(on: Generation) {
    let Some((world, dockerd)) = World::with_engine(on, "{sticky: 10m}") else { return };
    world.docker(&["network", "create", "--ipam-driver", "boathook", "--subnet=10.77.0.0/24", "n"]);
    world.run("other", &["--network", "n", "--restart=always"]);
    let own = json!({
        "Image": "busybox:test", "Cmd": ["sleep", "1000"], "MacAddress": "02:11:22:33:44:55",
        "HostConfig": {"NetworkMode": "n", "RestartPolicy": {"Name": "always"}},
    });
    // The client wants a newer engine for that.
    world.api("/v1.41/containers/create?name=own", &own);
    world.docker(&["start", "own"]);
    let before = world.address("own");

    // Nobody asks the API for the starts that follow.
    dockerd.restart();

    assert_eq!(world.address("own"), before);
}
on_every_engine!(a_container_with_a_hardware_address_of_its_own_is_known_by_it);
