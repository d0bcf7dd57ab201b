//! Every document that is written is of the shipped schema.

use std::fs;
use std::path::Path;

use boathook::lifecycle::Point;
use serde_json::{Value, json};

use super::schema::Validator;
use super::world::{Told, World};

/// A hook at every point.
pub(super) const EVERYWHERE: &str = "name: keeper, at: [pre_create, post_create, pre_start, post_start, \
    pre_stop, post_stop, pre_remove, post_remove]";

/// Every point, in the order of a life.
pub(super) const EIGHT: [&str; 8] = [
    "pre_create",
    "post_create",
    "pre_start",
    "post_start",
    "pre_stop",
    "post_stop",
    "pre_remove",
    "post_remove",
];

#[track_caller]
fn assert_documents(told: &[Told]) {
    let validator = Validator::closed();
    for it in told {
        let mistakes = validator.mistakes(&it.document);
        assert_eq!(mistakes, None, "{:#}", it.document);
    }
}

#[test]
fn the_documents_of_a_whole_life_are_of_the_shipped_schema() {
    let Some(world) = World::start(&[EVERYWHERE]) else { return };
    let dir = world.dir().display();
    let volume = format!("{dir}:/host:ro");

    world.docker(&[
        "run",
        "-d",
        "--name",
        "web",
        "--label",
        "a=b",
        "-v",
        "data:/data",
        "-v",
        &volume,
        "busybox:test",
        "sleep",
        "1000",
    ]);
    world.docker(&["kill", "web"]);
    world.docker(&["rm", "-v", "web"]);

    let told = world.told_of("web", &EIGHT);
    assert_documents(&told);
    let last = &told[7].document;
    assert_eq!(last["reason"], "kill");
    assert_eq!(last["exit"]["code"], 137);
    assert_eq!(last["request"], Value::Null);
    assert_eq!(last["mounts"].as_array().map(Vec::len), Some(2));
    let asked = &told[0].document["request"];
    assert_eq!(asked["method"], "POST");
    let binds = asked["body"]["HostConfig"]["Binds"].as_array().expect("the mounts that are asked for");
    assert!(binds.contains(&json!(volume)), "{binds:?}");
    assert_eq!(told[2].document["request"]["body"], Value::Null);
}

#[test]
fn the_documents_of_what_is_seldom_are_of_the_shipped_schema() {
    let Some(world) = World::start(&[EVERYWHERE]) else { return };

    // Nothing that could be known: no network, no label; it ends by itself, and is removed by itself.
    world.docker(&["run", "--rm", "--name", "short", "--network", "none", "busybox:test", "true"]);
    let short = world.told_of(
        "short",
        &["pre_create", "post_create", "pre_start", "post_start", "post_stop", "post_remove"],
    );
    world.docker(&["run", "-d", "--name", "again", "busybox:test", "sleep", "1000"]);
    world.docker(&["restart", "-t", "0", "again"]);
    world.docker(&["rename", "again", "renamed"]);
    world.docker(&["rm", "-f", "renamed"]);
    let renamed = world.told_of("renamed", &["pre_stop", "pre_remove", "post_stop", "post_remove"]);

    assert_documents(&world.told());
    assert_eq!(short[4].document["reason"], "exit");
    assert_eq!(short[4].document["exit"]["code"], 0);
    assert_eq!(short[4].document["labels"], json!({}));
    assert_eq!(renamed[2].document["passage"], 2);
}

/// Points that cannot be reached here by a short way: memory has to run out, a check or a clean-up to fail,
/// a container to run when boathook starts.
const FAR: [Point; 4] = [Point::Oom, Point::Unhealthy, Point::DebtGivenUp, Point::Reconcile];

#[test]
fn the_documents_at_every_point_are_of_the_shipped_schema() {
    let points: Vec<&str> = Point::ALL.iter().filter(|it| !FAR.contains(it)).map(|it| it.name()).collect();
    let hook = format!("name: keeper, at: [{}]", points.join(", "));
    let Some(world) = World::start(&[&hook]) else { return };

    world.docker(&["network", "create", "prod"]);
    world.docker(&["network", "create", "-d", "boathook", "--ipam-driver", "boathook", "ours"]);
    world.docker(&["volume", "create", "data"]);
    world.docker(&[
        "run",
        "-d",
        "--name",
        "web",
        "--network",
        "ours",
        "-v",
        "data:/data",
        "--health-cmd",
        "true",
        "--health-interval",
        "1s",
        "busybox:test",
        "sleep",
        "1000",
    ]);
    world.docker(&["network", "connect", "prod", "web"]);
    world.docker(&["network", "disconnect", "prod", "web"]);
    world.docker(&["exec", "web", "true"]);
    world.told_at(&["healthy"]);
    world.docker(&["pause", "web"]);
    world.docker(&["unpause", "web"]);
    world.docker(&["update", "--restart", "no", "web"]);
    world.docker(&["rename", "web", "www"]);
    world.docker(&["stop", "-t", "0", "www"]);
    world.docker(&["rm", "www"]);
    world.docker(&["network", "rm", "prod", "ours"]);
    world.docker(&["volume", "rm", "data"]);
    world.call("POST", "/build?t=built", &json!({}));
    world.docker(&["rmi", "busybox:test"]);
    // Without a configuration file the engine forgets its plugins with this.
    world.dockerd.hangup();
    world.told_at(&["daemon.reload"]);
    world.dockerd.stop();

    let told = world.told_at(&points);
    assert_documents(&told);
    let at = |point: &str| &told.iter().find(|it| it.point() == point).expect("it was reached").document;
    assert_eq!(at("network.connect")["network"]["name"], "ours");
    assert!(at("net_ready")["networks"][0]["veth"].is_string());
    assert_eq!(at("address.release")["subject"]["kind"], "address");
    assert_eq!(at("volume.mount")["volume"]["destination"], "/data");
    assert_eq!(at("rename")["old_name"], "web");
    assert_eq!(at("image.pre_build")["image"], "built");
    assert_eq!(at("daemon.stop")["subject"]["kind"], "engine");
    assert_eq!(at("api")["subject"]["kind"], "call");
}

/// The blocks of a Markdown text in a language.
fn blocks<'a>(markdown: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    let begun = markdown.split(fence.as_str()).skip(1);
    begun.map(|it| it.split_once("\n```").map_or(it, |(block, _)| block)).collect()
}

#[test]
fn the_documents_that_are_shown_to_authors_are_of_the_shipped_schema() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/contract.md");
    let text = fs::read_to_string(path).expect("the contract is written down");
    let documents: Vec<Value> = blocks(&text, "json")
        .into_iter()
        .map(|it| serde_json::from_str(it).unwrap_or_else(|error| panic!("{error}: {it}")))
        .filter(|it: &Value| it.get("contract").is_some())
        .collect();
    assert!(!documents.is_empty());

    for document in documents {
        assert_eq!(Validator::closed().mistakes(&document), None);
    }
}
