//! Many containers at once.

use std::collections::HashMap;
use std::thread;

use super::world::{Config, World};
use crate::engine::{Generation, wait_for};
use crate::every_engine::on_every_engine;
use std::time::Duration;

const CLIENTS: usize = 8;

/// Of containers for each client. The newest engine gets most: there an end has the longest way.
const fn containers_each(on: Generation) -> usize {
    match on {
        Generation::V20_10 | Generation::V26_1 => 5,
        Generation::V28_5 => 25,
    }
}

/// For all lives on a busy machine.
const LIMIT: Duration = Duration::from_secs(240);

on_every_engine!(many_lives_by_eight_clients_miss_no_run_double_none_and_keep_their_order);
fn many_lives_by_eight_clients_miss_no_run_double_none_and_keep_their_order(on: Generation) {
    let at = "[pre_create, post_create, pre_start, post_start, post_stop, pre_remove, post_remove]";
    let Some(world) = World::start(on, &Config::new().record("all", at)) else { return };
    let each = containers_each(on);

    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let world = &world;
            scope.spawn(move || {
                for number in 0..each {
                    let name = format!("c{client}-{number}");
                    // Half end by themselves, half are killed.
                    let sleep = if number % 2 == 0 { "0" } else { "1000" };
                    world.docker(&["run", "-d", "--name", &name, "busybox:test", "sleep", sleep]);
                    world.docker(&["rm", "-f", &name]);
                }
            });
        }
    });
    wait_for("all removals to be recorded", LIMIT, || {
        let removed = world.ran().iter().filter(|it| it.point() == "post_remove").count();
        (removed >= CLIENTS * each).then_some(())
    });

    let mut lives: HashMap<String, Vec<String>> = HashMap::new();
    for ran in world.ran() {
        let name = ran.document["container"]["name"].as_str().expect("a name").to_owned();
        lives.entry(name).or_default().push(ran.point().to_owned());
    }
    assert_eq!(lives.len(), CLIENTS * each);
    let warnings: Vec<_> = world.boathook.logs().into_iter().filter(|it| it["level"] == "WARN").collect();
    for (name, mut points) in lives {
        // A container that ends while it is being removed may end before or after the gate is asked.
        let stop = points.iter().position(|it| it == "post_stop");
        let remove = points.iter().position(|it| it == "pre_remove");
        if let (Some(stop), Some(remove)) = (stop, remove)
            && remove + 1 == stop
        {
            points.swap(stop, remove);
        }
        let wanted = [
            "pre_create",
            "post_create",
            "pre_start",
            "post_start",
            "post_stop",
            "pre_remove",
            "post_remove",
        ];
        assert_eq!(points, wanted, "{name}, of these warnings: {warnings:#?}");
    }
}
