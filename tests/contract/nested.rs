//! Who is taken for a hook.

use serde_json::json;

use super::document::{EIGHT, EVERYWHERE};
use super::world::World;

#[test]
fn a_made_up_secret_does_not_hide_a_container_from_hooks() {
    let Some(world) = World::start(&[EVERYWHERE]) else { return };
    let body = json!({"Image": "busybox:test", "Cmd": ["sleep", "1000"]});

    let header = "X-Boathook-Run: made up";
    let (status, answer) = world.call_with(header, "POST", "/containers/create?name=web", &body);
    assert_eq!(status, 201, "{answer}");
    world.docker(&["start", "web"]);
    world.docker(&["stop", "-t", "0", "web"]);
    world.docker(&["rm", "web"]);

    world.told_of("web", &EIGHT);
}
