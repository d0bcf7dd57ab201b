//! Containers come and go while boathook is killed.

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::Duration;

use super::world::{Config, Plugin, World};
use crate::engine::Generation;

const CONTAINERS: usize = 30;

const LIMIT: Duration = Duration::from_secs(120);

fn names() -> Vec<String> {
    (0..CONTAINERS).map(|it| format!("web-{it}")).collect()
}

fn pair_and_plain() -> Config {
    Config::default()
        .pair("pair", "post_start", "")
        .plain("plain", "[post_create, post_start, post_stop, post_remove]")
}

#[test]
fn thirty_containers_are_cleaned_up_after_while_boathook_is_killed_three_times() {
    let Some(mut world) = World::start(Generation::V20_10, Plugin::NotAsked, &pair_and_plain()) else {
        return;
    };
    let names = names();
    let (first, rest) = names.split_at(CONTAINERS / 3);
    let (second, third) = rest.split_at(CONTAINERS / 3);
    let run_all = |world: &World, names: &[String]| {
        names.iter().for_each(|name| drop(world.run_sleeper(name, &[])));
    };

    run_all(&world, first);
    world.kill_boathook();
    run_all(&world, second);
    world.start_boathook();
    run_all(&world, third);
    world.wait_for_set_ups("pair", CONTAINERS);
    world.kill_boathook();
    for name in first {
        world.docker(&["rm", "-f", name]);
    }
    world.start_boathook_with(&Config::default().plain("plain", "[post_stop, post_remove]"));
    for (number, name) in second.iter().enumerate() {
        world.docker(&["rm", "-f", name]);
        if number == second.len() / 2 {
            world.kill_boathook();
            world.start_boathook();
        }
    }
    for name in third {
        world.docker(&["rm", "-f", name]);
    }

    let books = world.wait_for_rest("thirty clean-ups", |books| {
        books.is_even() && books.served("plain", "setup", "post_remove").len() == CONTAINERS
    });
    books.audit("three kills");
    books.audit_repetitions(world.kills);
    let set_up: BTreeSet<&str> = books.served("pair", "setup", "post_start");
    assert_eq!(set_up.len(), CONTAINERS, "{books}");
    assert_eq!(books.served("pair", "cleanup", "post_stop"), set_up, "{books}");
}

/// How often boathook is killed while containers come and go.
const KILLS: usize = 12;

/// The longest that boathook is left alone, and the longest that it is away.
const ALIVE_MAX: Duration = Duration::from_millis(800);
const AWAY_MAX: Duration = Duration::from_millis(400);

#[test]
fn nothing_is_missing_when_boathook_is_killed_at_random() {
    let Some(mut world) = World::start(Generation::V20_10, Plugin::NotAsked, &pair_and_plain()) else {
        return;
    };
    let users: Vec<_> = names()
        .chunks(CONTAINERS / 3)
        .map(|names| {
            let names = names.join(" ");
            let churn =
                format!("for it in {names}; do docker run --rm --name $it busybox:test sleep 0.2; done");
            world.sandbox.spawn(&["sh", "-euc", &churn])
        })
        .collect();

    for _ in 0..KILLS {
        sleep(ALIVE_MAX.mul_f64(fastrand::f64()));
        world.kill_boathook();
        sleep(AWAY_MAX.mul_f64(fastrand::f64()));
        world.start_boathook();
    }
    for user in users {
        assert!(user.wait(LIMIT).success(), "{}", user.stderr());
    }

    let books = world.wait_for_rest("every life to be told", |books| {
        books.is_even() && books.served("plain", "setup", "post_remove").len() == CONTAINERS
    });
    books.audit("random kills");
    books.audit_repetitions(world.kills);
    for point in ["post_create", "post_start", "post_stop", "post_remove"] {
        assert_eq!(books.served("plain", "setup", point).len(), CONTAINERS, "{point}\n{books}");
    }
    assert_eq!(books.served("pair", "setup", "post_start").len(), CONTAINERS, "{books}");
    assert_eq!(books.served("pair", "cleanup", "post_stop").len(), CONTAINERS, "{books}");
    // A run that ended less than a moment before a kill is repeated as well.
    let duplicates = books.duplicates();
    assert!(duplicates <= 3 * world.kills, "{duplicates} duplicates\n{books}");
}
