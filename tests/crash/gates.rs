//! What a gate has set up for a start that does not come about is cleaned up once, also if boathook is
//! killed meanwhile.

use std::time::Duration;

use super::books::Books;
use super::world::{Config, Plugin, World};
use crate::engine::{Generation, Signal, wait_for};

const LIMIT: Duration = Duration::from_secs(60);

fn host(config: &Config) -> Option<World> {
    let world = World::start(Generation::V20_10, Plugin::Asked, config)?;
    world.docker(&["create", "--name", "web", "busybox:test", "true"]);
    world.docker(&["create", "--name", "broken", "busybox:test", "/no/such/program"]);
    Some(world)
}

/// Every set-up has one clean-up, and that has run once.
#[track_caller]
fn assert_cleaned_up_once(books: &Books, hook: &str) {
    books.audit("a start that did not come about");
    let clean_ups: Vec<_> =
        books.attempts.iter().filter(|it| it.hook == hook && it.phase == "cleanup").collect();
    for set_up in books.attempts.iter().filter(|it| it.hook == hook && it.phase == "setup") {
        let paying = clean_ups.iter().filter(|it| it.told().contains(&set_up.run.as_str())).count();
        assert_eq!(paying, 1, "{set_up}\n{books}");
    }
}

#[test]
fn a_set_up_before_a_denial_is_cleaned_up_once() {
    let config = Config::default()
        .pair("pair-gate", "pre_start", "")
        .hook("{name: says-no, at: pre_start, shell: \"exit 1\"}");
    let Some(world) = host(&config) else { return };

    assert!(!world.sandbox.docker(&["start", "web"]).status.success());

    let books = world.wait_for_rest("a clean-up", |it| !it.attempts.is_empty() && it.is_even());
    assert_eq!(books.attempts.len(), 2, "{books}");
    assert_cleaned_up_once(&books, "pair-gate");
}

#[test]
fn a_set_up_before_a_start_that_the_engine_fails_is_cleaned_up_once() {
    let Some(world) = host(&Config::default().pair("pair-gate", "pre_start", "")) else { return };

    assert!(!world.sandbox.docker(&["start", "broken"]).status.success());

    let books = world.wait_for_rest("a clean-up", |it| !it.attempts.is_empty() && it.is_even());
    assert_eq!(books.attempts.len(), 2, "{books}");
    assert_cleaned_up_once(&books, "pair-gate");
}

#[test]
fn a_set_up_whose_client_goes_away_is_cleaned_up_when_what_it_was_for_is_over() {
    let Some(world) = host(&Config::default().pair("pair-gate", "pre_start", "")) else { return };
    world.sandbox.write("books/wait-pair-gate-setup", "");
    let client = world.sandbox.spawn(&["docker", "start", "web"]);
    wait_for("the set-up to begin", LIMIT, || (!world.books().attempts.is_empty()).then_some(()));

    client.signal(Signal::SIGKILL);
    client.wait(LIMIT);
    std::fs::remove_file(world.sandbox.dir().join("books/wait-pair-gate-setup")).expect("let it go on");

    let books = world.wait_for_rest("a clean-up", |it| !it.attempts.is_empty() && it.is_even());
    assert_cleaned_up_once(&books, "pair-gate");
}

#[test]
fn a_set_up_that_boathook_did_not_survive_is_cleaned_up_before_docker_asks_again() {
    let Some(mut world) = host(&Config::default().pair("pair-gate", "pre_start", "")) else { return };
    world.sandbox.write("books/wait-pair-gate-setup", "");
    let client = world.sandbox.spawn(&["docker", "start", "broken"]);
    wait_for("the set-up to begin", LIMIT, || (!world.books().attempts.is_empty()).then_some(()));

    world.kill_boathook();
    world.start_boathook();
    std::fs::remove_file(world.sandbox.dir().join("books/wait-pair-gate-setup")).expect("let it go on");
    client.wait(LIMIT);

    let books = world.wait_for_rest("a clean-up", |it| !it.attempts.is_empty() && it.is_even());
    books.audit("a set-up that boathook did not survive");
}

#[test]
fn a_clean_up_that_boathook_did_not_survive_is_repeated_and_pays() {
    let config = Config::default()
        .pair("pair-gate", "pre_start", "")
        .hook("{name: says-no, at: pre_start, shell: \"exit 1\"}");
    let Some(mut world) = host(&config) else { return };
    world.sandbox.write("books/wait-pair-gate-cleanup", "");
    assert!(!world.sandbox.docker(&["start", "web"]).status.success());
    let began = |it: &Books| it.attempts.iter().any(|it| it.phase == "cleanup");
    wait_for("the clean-up to begin", LIMIT, || began(&world.books()).then_some(()));

    world.kill_boathook();
    world.start_boathook();
    std::fs::remove_file(world.sandbox.dir().join("books/wait-pair-gate-cleanup")).expect("let it go on");

    let books = world.wait_for_rest("a clean-up", Books::is_even);
    books.audit("a clean-up that boathook did not survive");
    assert_eq!(books.runs("pair-gate", "cleanup", "post_stop").len(), 1, "{books}");
}
