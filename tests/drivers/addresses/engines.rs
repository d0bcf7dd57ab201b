//! Networks of real engines whose addresses are ours.

use std::thread;

use super::world::World;
use crate::engine::Generation;
use crate::every_engine::on_every_engine;

fn addresses_are_where_the_network_wants_them(on: Generation) {
    let Some((world, _dockerd)) = World::with_engine(on, "{sticky: 0s}") else { return };
    let create = ["network", "create", "--ipam-driver", "boathook"];
    let network = |more: &[&str]| world.docker(&[&create, more].concat());
    let refused = |more: &[&str]| world.refusal(&[&create, more].concat());

    network(&[
        "--subnet=10.77.0.0/24",
        "--ip-range=10.77.0.128/25",
        "--gateway=10.77.0.254",
        "--aux-address=printer=10.77.0.129",
        "front",
    ]);
    network(&["back"]);

    let on_front = ["--network", "front"];
    assert_eq!(world.run("c-a", &on_front), "10.77.0.128");
    assert_eq!(world.run("c-b", &on_front), "10.77.0.130", "the printer has the one between");
    assert_eq!(world.run("c-c", &["--network", "front", "--ip", "10.77.0.9"]), "10.77.0.9");
    world.docker(&["exec", "c-a", "ping", "-c", "1", "-W", "5", "10.77.0.254"]);
    world.docker(&["exec", "c-a", "ping", "-c", "1", "-W", "5", "c-c"]);
    for (address, refusal) in [
        ("10.77.0.9", "address 10.77.0.9 is in use"),
        ("10.77.0.254", "address 10.77.0.254 is in use"),
        ("10.77.0.129", "address 10.77.0.129 is in use"),
        (
            "10.77.0.255",
            "address 10.77.0.255 is that of the subnet 10.77.0.0/24 itself, or its broadcast address",
        ),
    ] {
        let text =
            world.refusal(&["run", "--rm", "--network", "front", "--ip", address, "busybox:test", "true"]);
        assert!(text.contains(refusal), "{address}: {text}");
    }
    let text = refused(&["--subnet=10.77.0.0/16", "other"]);
    assert!(text.contains("subnet 10.77.0.0/16 overlaps with 10.77.0.0/24"), "{text}");
    let text = refused(&["--ipam-opt", "speed=fast", "other"]);
    assert!(text.contains("unknown option `speed`: the one there is is `script`"), "{text}");
    assert_eq!(world.run("c-d", &["--network", "back"]), "10.201.0.2");
    world.docker(&["network", "disconnect", "front", "c-a"]);
    world.docker(&["network", "connect", "front", "c-d"]);
    world.docker(&["restart", "-t", "0", "c-b"]);
    assert_ne!(world.address("c-b"), "10.77.0.130", "what was given back last is given out last");

    for name in ["c-a", "c-b", "c-c", "c-d"] {
        world.remove(name);
    }
    world.docker(&["network", "rm", "front", "back"]);
    assert_eq!(world.holdings().len(), 0);
}
on_every_engine!(addresses_are_where_the_network_wants_them);

fn both_kinds_of_addresses_are_given(on: Generation) {
    let Some((world, _dockerd)) = World::with_engine(on, "{sticky: 0s}") else { return };
    let create = ["network", "create", "--ipam-driver", "boathook", "--ipv6"];
    let subnets = ["--subnet=10.78.0.0/24", "--subnet=fd00:78::/64", "--gateway=fd00:78::fe", "n"];
    world.docker(&[&create[..], &subnets].concat());

    if let Generation::V28_5 = on {
        world.docker(&[&create[..], &["by-default"]].concat());
        let subnets = "{{range .IPAM.Config}}{{.Subnet}} {{end}}";
        let given = world.docker(&["network", "inspect", "-f", subnets, "by-default"]);
        assert_eq!(given, "10.201.0.0/24 fd62:6f61:7468::/64");
        world.docker(&["network", "rm", "by-default"]);
    }
    let v4 = world.run("c-a", &["--network", "n"]);

    let v6 = "{{range .NetworkSettings.Networks}}{{.GlobalIPv6Address}} {{.IPv6Gateway}}{{end}}";
    assert_eq!(v4, "10.78.0.2");
    assert_eq!(world.docker(&["inspect", "-f", v6, "c-a"]), "fd00:78::1 fd00:78::fe");
    world.remove("c-a");
    world.docker(&["network", "rm", "n"]);
    assert_eq!(world.holdings().len(), 0);
}
on_every_engine!(both_kinds_of_addresses_are_given);

/// Who was killed.
#[derive(Clone, Copy, Debug)]
enum Killed {
    Engine,
    Boathook,
    Both,
}

fn kills_double_nothing_and_leak_nothing(on: Generation) {
    let Some((mut world, dockerd)) = World::with_engine(on, "{sticky: 0s}") else { return };
    world.docker(&["network", "create", "--ipam-driver", "boathook", "--subnet=10.77.0.0/29", "n"]);
    let on_n = ["--network", "n"];
    for (round, killed) in [Killed::Boathook, Killed::Engine, Killed::Both].into_iter().enumerate() {
        let names = [format!("a{round}"), format!("b{round}")];
        let before: Vec<String> = names.iter().map(|it| world.run(it, &on_n)).collect();

        if let Killed::Engine | Killed::Both = killed {
            dockerd.kill9();
        }
        if let Killed::Boathook | Killed::Both = killed {
            world.kill_boathook();
        }
        if !dockerd.is_alive() {
            dockerd.start();
        }

        if let Killed::Boathook = killed {
            assert_eq!(names.each_ref().map(|it| world.address(it)), *before, "they run on");
        }
        // Of the six addresses the gateway has one: there is room for five, and only if none has leaked.
        for name in &names {
            world.remove(name);
        }
        let mut given: Vec<String> = (0..5).map(|nth| world.run(&format!("c{round}{nth}"), &on_n)).collect();
        let text = world.refusal(&["run", "--rm", "--network", "n", "busybox:test", "true"]);
        assert!(
            text.contains("no address is left in 10.77.0.0/29, of which 6 are in use"),
            "{killed:?}: {text}"
        );
        given.sort();
        given.dedup();
        assert_eq!(given.len(), 5, "{killed:?}: an address was given twice");
        for nth in 0..5 {
            world.remove(&format!("c{round}{nth}"));
        }
    }
    world.docker(&["network", "rm", "n"]);
    assert_eq!(world.holdings().len(), 0);
}
on_every_engine!(kills_double_nothing_and_leak_nothing);

fn a_kill_while_containers_come_and_go_doubles_nothing(on: Generation) {
    let Some((mut world, _dockerd)) = World::with_engine(on, "{sticky: 10m}") else { return };
    world.docker(&["network", "create", "--ipam-driver", "boathook", "--subnet=10.77.0.0/24", "n"]);
    world.run("resident", &["--network", "n"]);

    for round in 0..3 {
        let names: Vec<String> = (0..4).map(|nth| format!("c{round}{nth}")).collect();
        thread::scope(|scope| {
            let sandbox = &world.sandbox;
            for name in &names {
                scope.spawn(move || {
                    // The engine asks again for a while; what a kill cut off it reports as failed.
                    let run =
                        ["run", "-d", "--name", name, "--network", "n", "busybox:test", "sleep", "1000"];
                    sandbox.docker(&run);
                });
            }
            world.boathook.kill9();
        });
        world.kill_boathook();
        let running = world.docker(&["ps", "-q"]);
        let mut given: Vec<String> = running.lines().map(|it| world.address(it)).collect();
        let count = given.len();
        given.sort();
        given.dedup();
        assert_eq!(given.len(), count, "an address was given twice");
        for name in &names {
            world.sandbox.docker(&["rm", "-f", name]);
        }
    }
    world.remove("resident");
    world.docker(&["network", "rm", "n"]);
    assert_eq!(world.holdings().len(), 0);
}
on_every_engine!(a_kill_while_containers_come_and_go_doubles_nothing);

fn a_subnet_is_given_once_however_lately_boathook_was_started(on: Generation) {
    let Some((mut world, _dockerd)) = World::with_engine(on, "{}") else { return };
    let create = ["network", "create", "--ipam-driver", "boathook", "--subnet", "10.7.0.0/24"];
    world.docker(&[&create[..], &["one"]].concat());

    world.kill_boathook();
    let refusal = world.refusal(&[&create[..], &["two"]].concat());

    let expected = "subnet 10.7.0.0/24 overlaps with 10.7.0.0/24, which another network has";
    assert!(refusal.contains(expected), "{refusal}");
}
on_every_engine!(a_subnet_is_given_once_however_lately_boathook_was_started);
