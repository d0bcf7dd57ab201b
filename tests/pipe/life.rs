//! One container's life, told to scripts.

use super::world::{Config, World, points};

const ALL: &str =
    "[pre_create, post_create, pre_start, post_start, pre_stop, post_stop, pre_remove, post_remove]";

const EIGHT: [&str; 8] = [
    "pre_create",
    "post_create",
    "pre_start",
    "post_start",
    "pre_stop",
    "post_stop",
    "pre_remove",
    "post_remove",
];

#[test]
fn run_stop_and_rm_reach_the_eight_points_in_order_and_once() {
    let Some(world) = World::start(&Config::new().record("all", ALL)) else { return };

    let id = world.run_sleeper("web", &["--label", "fw.port=80"]);
    let address =
        world.docker(&["inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", "web"]);
    world.docker(&["stop", "-t", "1", "web"]);
    world.docker(&["rm", "web"]);
    let ran = world.wait_for_point("web", "post_remove");

    assert_eq!(points(&ran), EIGHT);
    let last = &ran[7];
    assert_eq!(last.variable("CONTAINER_ID"), Some(id.as_str()));
    assert_eq!(last.variable("CONTAINER_IP"), Some(address.as_str()));
    assert_eq!(last.document["labels"]["fw.port"], "80");
    assert_eq!(last.document["networks"][0]["ip"], address);
    assert_eq!(last.variable("HOOK_CAUSE"), Some("api"));
    assert_eq!(ran[5].variable("HOOK_REASON"), Some("stop"));
    assert_eq!(ran[5].variable("CONTAINER_EXIT_CODE"), Some("137"));
}
