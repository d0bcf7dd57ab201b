//! Addresses of boathook's own: who is asked before one is given, and told when it is free again.

use std::time::Duration;

use boathook::journal::{self, Retention};
use boathook::run::DebtState;

use super::world::{Config, Ran, World, points};
use crate::engine::{Generation, wait_for};
use crate::every_engine::on_every_engine;

/// For what follows from a call to have happened.
const SEEN_LIMIT: Duration = Duration::from_secs(60);

/// The engine's gateway is `.1`, and there is one more: whoever asks gets this, or none.
const SUBNET: &str = "10.93.0.0/30";

/// How to make a network with these addresses.
const NETWORK: [&str; 7] = ["network", "create", "--ipam-driver", "boathook", "--subnet", SUBNET, "lan"];

/// Denies what a file in the sandbox's folder says: `gateway`, or `container`.
const DENIES: &str = "#!/bin/sh\n\
    grep -q '\"gateway\":true' && what=gateway || what=container\n\
    if grep -qx $what @DIR@/denied; then echo no address for a $what today >&2; exit 1; fi\n";

fn start(on: Generation, config: Config) -> Option<World> {
    let config = config.key("plugin: {kinds: [authz, ipam]}");
    World::start_with(on, &config, |sandbox| {
        sandbox.write_program("denies", &DENIES.replace("@DIR@", &sandbox.dir().display().to_string()));
        sandbox.write("denied", "");
    })
}

/// Whom `denies` denies from now on.
fn deny(world: &World, what: &str) {
    world.sandbox.write("denied", what);
}

/// What was recorded, by point.
fn at<'a>(ran: &'a [Ran], point: &str) -> Vec<&'a Ran> {
    ran.iter().filter(|it| it.point() == point).collect()
}

on_every_engine!(an_address_is_asked_about_before_it_is_given_and_told_when_it_is_free);
fn an_address_is_asked_about_before_it_is_given_and_told_when_it_is_free(on: Generation) {
    let config = Config::new().record("record", "[address.request, address.release]");
    let Some(world) = start(on, config) else { return };

    world.docker(&NETWORK);
    world.docker(&["run", "--rm", "--network", "lan", "busybox:test", "true"]);
    world.docker(&["network", "rm", "lan"]);

    let ran = wait_for("both addresses to be free", SEEN_LIMIT, || {
        let ran = world.ran();
        (at(&ran, "address.release").len() == 2).then_some(ran)
    });
    let requests = at(&ran, "address.request");
    assert_eq!(requests.len(), 2, "{:?}", points(&ran));
    for (told, ip, is_gateway) in [(requests[0], "10.93.0.1", true), (requests[1], "10.93.0.2", false)] {
        let address = &told.document["address"];
        assert_eq!(address["ip"], format!("{ip}/30"), "{told:?}");
        assert_eq!(address["gateway"], is_gateway, "{told:?}");
        assert_eq!(address["mac"].is_string(), !is_gateway, "{told:?}");
        assert_eq!(told.document["subject"]["kind"], "address", "{told:?}");
        assert_eq!(told.variable("HOOK_SUBJECT_NAME"), Some(ip), "{told:?}");
        assert_eq!(told.variable("CONTAINER_ID"), None, "{told:?}");
    }
    let pool = requests[0].document["address"]["pool"].as_str().expect("a pool");
    let released = at(&ran, "address.release");
    for (told, ip) in [(released[0], "10.93.0.2"), (released[1], "10.93.0.1")] {
        assert_eq!(told.document["address"]["ip"], ip, "{told:?}");
        assert_eq!(told.document["address"]["pool"], pool, "{told:?}");
        assert_eq!(told.variable("HOOK_SUBJECT_NAME"), Some(ip), "{told:?}");
    }
}

on_every_engine!(an_address_that_is_denied_is_told_to_the_user_and_nobody_has_it);
fn an_address_that_is_denied_is_told_to_the_user_and_nobody_has_it(on: Generation) {
    let config = Config::new().hook("{name: denies, at: address.request, exec: [./denies]}");
    let Some(world) = start(on, config) else { return };
    world.docker(&NETWORK);

    deny(&world, "container");
    let run = ["run", "--name", "web", "--network", "lan", "busybox:test", "true"];
    for _ in 0..2 {
        let denied = world.sandbox.docker(&run);
        assert!(!denied.status.success());
        assert!(
            denied.stderr.contains("hook `denies`: no address for a container today (run "),
            "{denied:?}"
        );
        assert_eq!(world.docker(&["inspect", "-f", "{{.State.Status}}", "web"]), "created");
        world.docker(&["rm", "web"]);
    }

    // There is one address: it is free.
    deny(&world, "");
    world.docker(&["run", "-d", "--name", "web", "--network", "lan", "busybox:test", "sleep", "1000"]);
    assert_eq!(world.address_of("web"), "10.93.0.2");
    world.docker(&["rm", "-f", "web"]);
    world.docker(&["network", "rm", "lan"]);
    assert!(world.boathook.terminate().success());
    let opened = journal::open(&world.sandbox.dir().join("state"), Retention::default());
    assert_eq!(opened.expect("there is a store").remembered.holdings, []);
}

on_every_engine!(a_gateway_that_is_denied_leaves_no_network_and_no_subnet);
fn a_gateway_that_is_denied_leaves_no_network_and_no_subnet(on: Generation) {
    let config = Config::new().hook("{name: denies, at: address.request, exec: [./denies]}");
    let Some(world) = start(on, config) else { return };

    deny(&world, "gateway");
    let denied = world.sandbox.docker(&NETWORK);

    assert!(!denied.status.success());
    assert!(denied.stderr.contains("hook `denies`: no address for a gateway today (run "), "{denied:?}");
    assert_eq!(world.docker(&["network", "ls", "-q", "-f", "name=lan"]), "");
    deny(&world, "");
    world.docker(&NETWORK);
    world.run_sleeper("web", &["--network", "lan"]);
    let gateway = "{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}";
    assert_eq!(world.docker(&["inspect", "-f", gateway, "web"]), "10.93.0.1");
}

on_every_engine!(what_was_set_up_for_an_address_is_cleaned_up_when_it_is_free_or_was_denied);
fn what_was_set_up_for_an_address_is_cleaned_up_when_it_is_free_or_was_denied(on: Generation) {
    let config = Config::new()
        .hook("{name: owes, at: address.request, exec: [./record], cleanup: {exec: [./record]}}")
        .hook("{name: denies, at: address.request, exec: [./denies]}");
    let Some(world) = start(on, config) else { return };
    let paid = |count| {
        wait_for("what was set up to be cleaned up", SEEN_LIMIT, || {
            let debts = world.debts();
            let paid = debts.iter().filter(|it| it.state == DebtState::Paid).count();
            (paid == count).then_some(debts.len())
        })
    };
    world.docker(&NETWORK);

    deny(&world, "container");
    assert!(
        !world.sandbox.docker(&["run", "--rm", "--network", "lan", "busybox:test", "true"]).status.success()
    );
    // The gateway's is owed still.
    assert_eq!(paid(1), 2);
    deny(&world, "");
    world.docker(&["run", "--rm", "--network", "lan", "busybox:test", "true"]);
    assert_eq!(paid(2), 3);
    world.docker(&["network", "rm", "lan"]);
    assert_eq!(paid(3), 3);

    let ran = world.ran();
    let cleaned = ran.iter().filter(|it| it.document["phase"] == "cleanup");
    let causes: Vec<_> =
        cleaned.map(|it| (it.variable("HOOK_SUBJECT_NAME"), &it.document["cause"])).collect();
    assert_eq!(causes.len(), 3, "{causes:?}");
    assert_eq!((causes[0].0, causes[0].1 == "aborted"), (Some("10.93.0.2"), true), "{causes:?}");
    assert_eq!((causes[1].0, causes[1].1 == "aborted"), (Some("10.93.0.2"), false), "{causes:?}");
    assert_eq!((causes[2].0, causes[2].1 == "aborted"), (Some("10.93.0.1"), false), "{causes:?}");
}
