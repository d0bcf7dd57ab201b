//! Boathook dies at every place where the journal's knowledge changes, once when it comes there for the
//! first time and once for the second.

use std::collections::BTreeSet;
use std::time::Duration;

use super::books::Books;
use super::world::{Config, Plugin, World};
use crate::engine::{Generation, wait_for};

/// For one life: some docker commands, of which one may have to wait until its plugin is back.
const LIFE_LIMIT: Duration = Duration::from_secs(90);

/// One life, by a user who tries again whatever fails.
const LIFE: &str = r#"
until docker inspect web > /dev/null; do docker create --name web busybox:test true; done
until docker inspect -f '{{.State.StartedAt}}' web | grep -q ^2; do docker start web; done
docker wait web
until docker inspect web 2>&1 | grep -q 'No such'; do docker rm -f web; done
"#;

const AFTER: [&str; 4] = ["post_create", "post_start", "post_stop", "post_remove"];

/// Which time at the point is the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Time {
    First,
    Second,
}

/// The kinds of entries that the life of a container leads to, which the points are named after. What drivers
/// hold is none of it.
fn kinds() -> BTreeSet<&'static str> {
    let table = include_str!("../../src/journal/fail_points.rs");
    let kinds = table.split("$when, \".").skip(1).filter_map(|it| Some(it.split_once('"')?.0));
    kinds.filter(|it| *it != "held").collect()
}

/// The hooks of a life in which an entry of that kind occurs.
fn hooks_with(kind: &str) -> Config {
    let hasty = if kind == "overtook" { ", timeout: 400ms, on_failure: ignore" } else { "" };
    let config = Config::default()
        .pair("pair-gate", "pre_start", hasty)
        .plain("plain", "[post_create, post_start, post_stop, post_remove]");
    match kind {
        "gathered" => config
            .pair("pair-run", "post_start", "")
            .hook("{name: many, at: post_start, exec: [./book], debounce: {wait: 10ms, max: 1s}}"),
        "overtook" => {
            config.pair("pair-run", "post_start", "").hook("{name: slow, at: post_create, shell: sleep 1}")
        }
        "deferred" => config.pair("pair-run", "post_start", ", retry: {max_attempts: 3, delay: 10ms}"),
        "nested" => {
            let asks = "{name: asks, at: post_start, shell: docker start nobody || true}";
            config.pair("pair-run", "post_start", "").hook(asks)
        }
        _ => config.pair("pair-run", "post_start", ""),
    }
}

#[test]
fn dying_before_an_entry_is_handed_over_the_first_time() {
    walk("before", Time::First);
}

#[test]
fn dying_before_an_entry_is_handed_over_the_second_time() {
    walk("before", Time::Second);
}

#[test]
fn dying_after_an_entry_is_on_disk_the_first_time() {
    walk("after", Time::First);
}

#[test]
fn dying_after_an_entry_is_on_disk_the_second_time() {
    walk("after", Time::Second);
}

/// Lives one life for each point of those.
fn walk(when: &str, time: Time) {
    let Some(mut world) = World::start(Generation::V20_10, Plugin::Asked, &hooks_with("")) else { return };
    assert_eq!(kinds().len(), 11, "{:?}", kinds());
    // From now on the store knows the engine.
    world.sandbox.run(&["sh", "-c", LIFE]);
    world.wait_for_rest("the first life", Books::is_even);
    world.kill_boathook();
    let points = kinds().into_iter().map(|kind| (kind, format!("journal.{when}.{kind}")));
    for (kind, point) in points.chain([("", format!("journal.commit.{when}"))]) {
        die_once(&mut world, kind, &point, time);
    }
}

fn die_once(world: &mut World, kind: &str, point: &str, time: Time) {
    world.begin_anew(&hooks_with(kind));
    if kind == "deferred" {
        world.sandbox.write("books/fail-pair-run-setup-1", "");
    }
    let before = if time == Time::Second { "1*off->" } else { "" };
    world.start_boathook_armed(&[("FAILPOINTS", &format!("{point}={before}return"))]);
    let life = {
        let boathook = world.boathook();
        wait_for("boathook to serve", LIFE_LIMIT, || {
            let follows = boathook.logs().iter().any(|it| it["message"] == "following docker's events");
            (follows || !boathook.is_alive()).then_some(())
        });
        let life = world.sandbox.spawn(&["sh", "-c", LIFE]);
        wait_for(&format!("boathook to die at {point}"), LIFE_LIMIT, || {
            (!boathook.is_alive() || !life.is_alive()).then_some(())
        });
        life
    };
    if !world.boathook().is_alive() {
        world.start_boathook();
        world.kills = 1;
    } else {
        assert_eq!(time, Time::Second, "boathook never comes to {point}");
    }
    life.wait(LIFE_LIMIT);

    let told = |books: &Books| {
        let served = |point: &&str| !books.served("plain", "setup", point).is_empty();
        AFTER.iter().all(served) && books.is_even()
    };
    let books = world.wait_for_rest(&format!("the life to be told after dying at {point} ({time:?})"), told);

    books.audit(&format!("dying at {point} ({time:?})"));
    books.audit_repetitions(world.kills);
    world.kill_boathook();
}
