//! A container is restarted again and again while its clean-up fails.

use super::world::{Config, Plugin, World};
use crate::engine::Generation;

const RESTARTS: usize = 4;

#[test]
fn no_old_clean_up_comes_after_a_newer_set_up_however_often_a_container_is_restarted() {
    let config = Config::default().pair("pair-gate", "pre_start", ", on_failure: ignore").pair(
        "pair-run",
        "post_start",
        "",
    );
    let Some(world) = World::start(Generation::V20_10, Plugin::Asked, &config) else { return };
    for attempt in 1..=2 {
        for hook in ["pair-gate", "pair-run"] {
            world.sandbox.write(&format!("books/fail-{hook}-cleanup-{attempt}"), "");
        }
    }
    world.run_sleeper("web", &[]);

    for _ in 0..RESTARTS {
        world.docker(&["restart", "-t", "0", "web"]);
    }
    world.docker(&["rm", "-f", "web"]);

    let passages = RESTARTS + 1;
    let books = world.wait_for_rest("all to be cleaned up", |books| {
        books.is_even() && books.runs("pair-run", "setup", "post_start").len() >= passages
    });
    books.audit("restarts");
    assert_eq!(books.runs("pair-gate", "setup", "pre_start").len(), passages, "{books}");
    books.audit_repetitions(0);
}
