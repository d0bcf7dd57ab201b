//! The engine is killed, with or without what it runs, and with or without boathook.

use std::collections::BTreeSet;

use super::books::Books;
use super::world::{Config, Plugin, World};
use crate::engine::Generation;
use crate::every_engine::on_every_engine;

const CONTAINERS: usize = 10;

fn pair_and_plain() -> Config {
    Config::default().pair("pair", "post_start", "").plain("plain", "[post_start, post_stop, post_remove]")
}

/// Runs containers until each has been set up for.
fn run_containers(world: &World, more: &[&str]) -> Vec<String> {
    let names: Vec<String> = (0..CONTAINERS).map(|it| format!("web-{it}")).collect();
    for name in &names {
        world.run_sleeper(name, more);
    }
    world.wait_for_set_ups("pair", CONTAINERS);
    names
}

/// Kills what runs in containers and what keeps it, as the end of a host does.
const KILL_CONTAINERS: &str = r"
for it in /proc/[0-9]*; do
    case $(cat $it/comm 2> /dev/null) in
        containerd*|sleep) kill -9 ${it#/proc/} ;;
    esac
done
";

#[track_caller]
fn wait_for_ends(world: &World, count: usize) -> Books {
    world.wait_for_rest("every end to be told, and cleaned up after", |books| {
        books.served("plain", "setup", "post_stop").len() == count
            && books.served("pair", "cleanup", "post_stop").len() == count
    })
}

#[track_caller]
fn wait_for_removals(world: &World) -> Books {
    world.wait_for_rest("every removal to be told", |books| {
        books.is_even() && books.served("plain", "setup", "post_remove").len() == CONTAINERS
    })
}

on_every_engine!(what_ran_when_the_engine_was_killed_is_cleaned_up_after_when_it_is_back);
fn what_ran_when_the_engine_was_killed_is_cleaned_up_after_when_it_is_back(on: Generation) {
    let Some(world) = World::start(on, Plugin::NotAsked, &pair_and_plain()) else { return };
    let names = run_containers(&world, &[]);

    world.dockerd.kill9();
    world.dockerd.start();

    wait_for_ends(&world, CONTAINERS);
    let all: Vec<&str> = ["rm"].into_iter().chain(names.iter().map(String::as_str)).collect();
    world.docker(&all);
    let books = wait_for_removals(&world);
    books.audit("the engine's end");
    books.audit_repetitions(0);
    assert_eq!(books.runs("plain", "setup", "post_stop").len(), CONTAINERS, "{books}");
    assert_eq!(books.runs("pair", "cleanup", "post_stop").len(), CONTAINERS, "{books}");
}

#[test]
fn what_the_engine_was_killed_with_and_boathook_as_well_is_cleaned_up_after() {
    let Some(mut world) = World::start(Generation::V20_10, Plugin::NotAsked, &pair_and_plain()) else {
        return;
    };
    let names = run_containers(&world, &[]);

    world.kill_boathook();
    world.dockerd.kill9();
    world.dockerd.start();
    let half: Vec<&str> = ["rm", "-f"].into_iter().chain(names[..5].iter().map(String::as_str)).collect();
    world.docker(&half);
    world.start_boathook();
    wait_for_ends(&world, CONTAINERS);
    let half: Vec<&str> = ["rm", "-f"].into_iter().chain(names[5..].iter().map(String::as_str)).collect();
    world.docker(&half);

    let books = wait_for_removals(&world);
    books.audit("the end of both");
    books.audit_repetitions(1);
}

#[test]
fn what_runs_on_while_the_engine_is_killed_is_not_cleaned_up_before_it_ends() {
    let config = pair_and_plain();
    let Some(mut world) = World::start_with(Generation::V20_10, Plugin::NotAsked, true, &config) else {
        return;
    };
    let names = run_containers(&world, &[]);

    world.dockerd.kill9();
    world.kill_boathook();
    world.dockerd.start();
    world.start_boathook();
    world.wait_until_it_has_compared();

    let books = world.books();
    assert_eq!(books.runs("plain", "setup", "post_stop"), BTreeSet::new(), "{books}");
    assert_eq!(books.runs("pair", "cleanup", "post_stop"), BTreeSet::new(), "{books}");
    let all: Vec<&str> = ["rm", "-f"].into_iter().chain(names.iter().map(String::as_str)).collect();
    world.docker(&all);
    let books = wait_for_removals(&world);
    books.audit("the engine's end with live-restore");
    books.audit_repetitions(1);
    assert_eq!(books.served("pair", "cleanup", "post_stop").len(), CONTAINERS, "{books}");
}

#[test]
fn a_reboot_of_the_host_has_everything_cleaned_up_and_what_starts_again_set_up_again() {
    let Some(mut world) = World::start(Generation::V20_10, Plugin::NotAsked, &pair_and_plain()) else {
        return;
    };
    run_containers(&world, &["--restart", "always"]);
    world.run_sleeper("once", &[]);
    world.wait_for_set_ups("pair", CONTAINERS + 1);

    world.kill_boathook();
    world.dockerd.kill9();
    world.sandbox.run(&["sh", "-c", KILL_CONTAINERS]);
    let volatile = "rm -rf /run/* \"$1\"/exec \"$1\"/dockerd.pid";
    let dir = world.sandbox.dir().display().to_string();
    world.sandbox.run(&["sh", "-c", volatile, "sh", &dir]);
    world.dockerd.start();
    world.start_boathook();

    let books = world.wait_for("everything to be set up again", |books| {
        books.served("pair", "cleanup", "post_stop").len() == CONTAINERS + 1
            && books.runs("pair", "setup", "post_start").len() > 2 * CONTAINERS
    });
    books.audit_order("a reboot");
    books.audit_repetitions(1);
    assert_eq!(books.runs("pair", "setup", "post_start").len(), 2 * CONTAINERS + 1, "{books}");
}
