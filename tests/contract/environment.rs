//! The environment is that of the contract, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use boathook::runner::HOST_PATH;

use super::document::{EIGHT, EVERYWHERE};
use super::world::{Told, World};

/// What every hook is told at every point, whatever is known of the container.
const ALWAYS: [&str; 17] = [
    "DOCKER_CONFIG",
    "DOCKER_CUSTOM_HEADERS",
    "DOCKER_HOST",
    "HOME",
    "HOOK_API_HEADER",
    "HOOK_ATTEMPT",
    "HOOK_CAUSE",
    "HOOK_CONTRACT",
    "HOOK_DEADLINE",
    "HOOK_EVENT_FILE",
    "HOOK_HOST",
    "HOOK_NAME",
    "HOOK_PHASE",
    "HOOK_POINT",
    "HOOK_RUN_ID",
    "HOOK_SUBJECT_KIND",
    "PATH",
];

/// What the hook itself is given.
const OWN: &str = "KEEP_IN";

/// What is known of a container from the request on that asks for it.
const ASKED: [&str; 6] = [
    "COMPOSE_PROJECT",
    "COMPOSE_SERVICE",
    "CONTAINER_IMAGE",
    "CONTAINER_NAME",
    "CONTAINER_NETWORKS",
    "HOOK_SUBJECT_NAME",
];

/// What is known once it has run.
const RAN: [&str; 5] = ["CONTAINER_IP", "CONTAINER_IP6", "CONTAINER_MAC", "CONTAINER_NETNS", "CONTAINER_PID"];

fn names(told: &Told) -> BTreeSet<&str> {
    told.environment.keys().map(String::as_str).collect()
}

/// What is set at `point` in the life of a container of which everything is known.
fn expected(point: &str) -> BTreeSet<&'static str> {
    let at = |points: &[&str], names: &[&'static str]| {
        if points.contains(&point) { names.to_vec() } else { Vec::new() }
    };
    let mut expected: BTreeSet<&str> = ALWAYS.into_iter().chain(ASKED).chain([OWN]).collect();
    expected.extend(at(&EIGHT[1..], &["CONTAINER_ID", "HOOK_SUBJECT_ID"]));
    expected.extend(at(&EIGHT[3..], &RAN));
    expected.extend(at(&EIGHT[5..], &["CONTAINER_EXIT_CODE"]));
    expected.extend(at(&["post_stop", "post_remove"], &["HOOK_REASON"]));
    expected
}

/// A network on which containers have addresses of both kinds.
fn make_network(world: &World) {
    world.docker(&[
        "network",
        "create",
        "--ipv6",
        "--subnet",
        "10.77.0.0/24",
        "--subnet",
        "fd77::/64",
        "prod",
    ]);
}

#[test]
fn the_environment_has_exactly_the_variables_of_the_contract_at_every_point() {
    let Some(world) = World::start(&[EVERYWHERE]) else { return };
    make_network(&world);

    world.docker(&[
        "run",
        "-d",
        "--name",
        "web",
        "--network",
        "prod",
        "--label",
        "com.docker.compose.project=shop",
        "--label",
        "com.docker.compose.service=front",
        "busybox:test",
        "sleep",
        "1000",
    ]);
    world.docker(&["stop", "-t", "0", "web"]);
    world.docker(&["rm", "web"]);

    let told = world.told_of("web", &EIGHT);
    for it in &told {
        assert_eq!(names(it), expected(it.point()), "{}", it.point());
        let empty: Vec<_> = it.environment.iter().filter(|(_, value)| value.is_empty()).collect();
        assert_eq!(empty, [], "{}", it.point());
    }
    // On networks of boathook's own only: see the tests of starts.
    let ours = "CONTAINER_VETH".to_owned();
    let all: BTreeSet<String> =
        told.iter().flat_map(|it| it.environment.keys().cloned()).chain([ours]).collect();
    assert_eq!(documented(), all.into_iter().filter(|it| it != OWN).collect());
}

#[test]
fn the_variables_say_what_the_document_says() {
    let Some(world) = World::start(&[EVERYWHERE]) else { return };
    make_network(&world);

    world.docker(&["run", "-d", "--name", "web", "--network", "prod", "busybox:test", "sleep", "1000"]);
    world.docker(&["network", "connect", "bridge", "web"]);
    world.docker(&["rm", "-f", "web"]);

    let order: Vec<_> =
        EIGHT[..5].iter().copied().chain(["pre_remove", "post_stop", "post_remove"]).collect();
    let told = world.told_of("web", &order);
    for it in &told {
        let document = &it.document;
        for (name, value) in [
            ("HOOK_NAME", &document["hook"]),
            ("HOOK_POINT", &document["point"]),
            ("HOOK_PHASE", &document["phase"]),
            ("HOOK_RUN_ID", &document["run"]),
            ("HOOK_CAUSE", &document["cause"]),
            ("HOOK_REASON", &document["reason"]),
            ("HOOK_HOST", &document["host"]),
            ("HOOK_SUBJECT_KIND", &document["subject"]["kind"]),
            ("HOOK_SUBJECT_ID", &document["subject"]["id"]),
            ("HOOK_SUBJECT_NAME", &document["subject"]["name"]),
            ("CONTAINER_ID", &document["container"]["id"]),
            ("CONTAINER_NAME", &document["container"]["name"]),
            ("CONTAINER_IMAGE", &document["container"]["image"]),
            ("CONTAINER_NETNS", &document["container"]["netns"]),
        ] {
            assert_eq!(it.variable(name), value.as_str(), "{name} at {}", it.point());
        }
        for (name, value) in [
            ("HOOK_CONTRACT", &document["contract"]),
            ("HOOK_ATTEMPT", &document["attempt"]),
            ("CONTAINER_PID", &document["container"]["pid"]),
            ("CONTAINER_EXIT_CODE", &document["exit"]["code"]),
        ] {
            assert_eq!(it.variable(name), value.as_i64().map(|it| it.to_string()).as_deref(), "{name}");
        }
    }
    let last = &told[7];
    assert_eq!(last.variable("CONTAINER_NETWORKS"), Some("bridge prod"));
    assert_eq!(last.variable("CONTAINER_IP"), last.document["networks"][0]["ip"].as_str());
    assert_eq!(last.variable("CONTAINER_IP6"), last.document["networks"][1]["ip6"].as_str());
    assert_eq!(last.variable("CONTAINER_MAC"), last.document["networks"][0]["mac"].as_str());
}

#[test]
fn nothing_of_a_container_is_set_where_something_else_reaches_the_point() {
    let hook = "name: keeper, at: [network.pre_create, network.post_create, daemon.start]";
    let Some(world) = World::start(&[hook]) else { return };

    make_network(&world);

    let told = world.told_of("prod", &["network.pre_create", "network.post_create"]);
    let named: BTreeSet<&str> = ALWAYS.into_iter().chain([OWN, "HOOK_SUBJECT_NAME"]).collect();
    assert_eq!(names(&told[0]), named);
    assert_eq!(names(&told[1]), named.iter().copied().chain(["HOOK_SUBJECT_ID"]).collect());
    assert_eq!(told[1].variable("HOOK_SUBJECT_NAME"), Some("prod"));
    let start = &world.told_at(&["daemon.start"])[0];
    assert_eq!(names(start), ALWAYS.into_iter().chain([OWN]).collect());
    assert_eq!(start.variable("HOOK_SUBJECT_KIND"), Some("engine"));
}

#[test]
fn a_hook_runs_beside_its_configuration_and_its_calls_are_marked() {
    let Some(world) = World::start(&["name: keeper, at: pre_create"]) else { return };
    let dir = world.dir().to_str().expect("a path of letters");

    world.docker(&["create", "--name", "web", "busybox:test", "true"]);

    let told = &world.told_of("web", &["pre_create"])[0];
    let run = told.variable("HOOK_RUN_ID").expect("a run");
    assert_eq!(told.directory, dir);
    assert_eq!(told.variable("PATH"), Some(HOST_PATH));
    assert_eq!(told.variable("DOCKER_HOST"), Some("unix:///var/run/docker.sock"));
    let file = format!("{dir}/state/runs/{run}.1/event.json");
    assert_eq!(told.variable("HOOK_EVENT_FILE"), Some(file.as_str()));
    assert_eq!(told.stdin, file);
    let headers: BTreeMap<&str, &str> = told.client["HttpHeaders"]
        .as_object()
        .expect("headers")
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str().expect("a header is text")))
        .collect();
    let (name, secret) = headers.into_iter().next().expect("a header");
    assert_eq!(told.variable("HOOK_API_HEADER"), Some(format!("{name}: {secret}").as_str()));
    assert_eq!(told.variable("DOCKER_CUSTOM_HEADERS"), Some(format!("{name}={secret}").as_str()));
}

/// The variables that authors are told of: those that begin a row of a table.
fn documented() -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/contract.md");
    let text = fs::read_to_string(path).expect("the contract is written down");
    let rows = text.lines().filter_map(|it| it.strip_prefix("| `")?.split_once("` |"));
    let names = rows.map(|(name, _)| name);
    let is_variable =
        |it: &&str| it.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    names.filter(is_variable).map(str::to_owned).collect()
}
