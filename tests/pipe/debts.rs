//! What is set up is cleaned up.

use std::time::Duration;

use serde_json::Value;

use super::world::{Config, Ran, World, points};
use crate::engine::{Generation, wait_for};
use crate::every_engine::on_every_engine;

/// For what a hook does to be seen.
const LIMIT: Duration = Duration::from_secs(30);

/// A hook that records its set-up, with a state of its own, and its clean-up.
fn pair(name: &str, at: &str) -> String {
    format!(
        "{{name: {name}, at: {at}, shell: \"./record < $HOOK_EVENT_FILE; echo \\\"{{\\\\\\\"state\\\\\\\": \\\\\\\"$HOOK_RUN_ID\\\\\\\"}}\\\"\", \
         cleanup: {{exec: [./record]}}}}"
    )
}

fn phases(ran: &[Ran]) -> Vec<String> {
    ran.iter()
        .map(|it| {
            let text = |key: &str| it.document[key].as_str().unwrap_or("-").to_owned();
            format!("{} {} {}", text("hook"), text("phase"), text("point"))
        })
        .collect()
}

/// Waits until so many runs have been recorded.
#[track_caller]
fn wait_for_runs(world: &World, count: usize) -> Vec<Ran> {
    wait_for(&format!("{count} runs"), LIMIT, || Some(world.ran()).filter(|it| it.len() >= count))
}

on_every_engine!(what_was_set_up_is_cleaned_up_in_reverse_order_with_its_own_state);
fn what_was_set_up_is_cleaned_up_in_reverse_order_with_its_own_state(on: Generation) {
    let config = Config::new()
        .hook(&pair("made", "post_create"))
        .hook(&pair("gate", "pre_start"))
        .hook(&pair("run", "post_start"))
        .record("plain", "[post_stop, post_remove]");
    let Some(world) = World::start(on, &config) else { return };
    let id = world.run_sleeper("web", &[]);
    let address = world.address_of("web");

    world.docker(&["rm", "-f", "web"]);

    let ran = wait_for_runs(&world, 8);
    assert_eq!(
        phases(&ran),
        [
            "made setup post_create",
            "gate setup pre_start",
            "run setup post_start",
            "plain setup post_stop",
            "run cleanup post_stop",
            "gate cleanup post_stop",
            "plain setup post_remove",
            "made cleanup post_remove",
        ]
    );
    for (set_up, clean_up) in [(0, 7), (1, 5), (2, 4)] {
        let told = &ran[clean_up].document["setup"];
        assert_eq!(told[0]["state"], ran[set_up].document["run"], "{told}");
        assert_eq!(told[0]["exit_code"], 0, "{told}");
        assert_eq!(ran[clean_up].variable("CONTAINER_ID"), Some(id.as_str()));
        assert_eq!(ran[clean_up].variable("CONTAINER_IP"), Some(address.as_str()));
    }
}

on_every_engine!(a_start_that_is_denied_has_what_was_set_up_for_it_cleaned_up);
fn a_start_that_is_denied_has_what_was_set_up_for_it_cleaned_up(on: Generation) {
    let config = Config::new()
        .hook(&pair("first", "pre_start"))
        .hook("{name: second, at: pre_start, shell: \"echo no >&2; exit 1\"}");
    let Some(world) = World::start(on, &config) else { return };
    world.docker(&["create", "--name", "web", "busybox:test", "true"]);

    let denied = world.sandbox.docker(&["start", "web"]);

    assert!(denied.stderr.contains("hook `second`: no"), "{}", denied.stderr);
    let ran = wait_for_runs(&world, 2);
    assert_eq!(phases(&ran), ["first setup pre_start", "first cleanup post_stop"]);
    assert_eq!(ran[1].document["cause"], "aborted");
    assert_eq!(ran[1].document["setup"][0]["state"], ran[0].document["run"]);
}

on_every_engine!(a_start_that_the_engine_fails_has_what_was_set_up_for_it_cleaned_up);
fn a_start_that_the_engine_fails_has_what_was_set_up_for_it_cleaned_up(on: Generation) {
    let Some(world) = World::start(on, &Config::new().hook(&pair("net", "pre_start"))) else { return };
    world.docker(&["create", "--name", "web", "busybox:test", "/no/such/program"]);

    let failed = world.sandbox.docker(&["start", "web"]);

    assert!(!failed.status.success());
    let ran = wait_for_runs(&world, 2);
    assert_eq!(phases(&ran), ["net setup pre_start", "net cleanup post_stop"]);
    assert_eq!(ran[1].document["cause"], "aborted");
}

on_every_engine!(a_creation_that_the_engine_fails_has_what_was_set_up_for_it_cleaned_up);
fn a_creation_that_the_engine_fails_has_what_was_set_up_for_it_cleaned_up(on: Generation) {
    let Some(world) = World::start(on, &Config::new().hook(&pair("dir", "pre_create"))) else { return };
    world.docker(&["create", "--name", "web", "busybox:test", "true"]);

    let taken = world.sandbox.docker(&["create", "--name", "web", "busybox:test", "true"]);

    assert!(!taken.status.success());
    let ran = wait_for_runs(&world, 3);
    assert_eq!(phases(&ran), ["dir setup pre_create", "dir setup pre_create", "dir cleanup post_remove"]);
    assert_eq!(ran[2].document["setup"][0]["run"], ran[1].document["run"]);
    world.docker(&["rm", "web"]);
    let ran = wait_for_runs(&world, 4);
    assert_eq!(ran[3].document["setup"][0]["run"], ran[0].document["run"]);
    assert_eq!(ran[3].document["cause"], "api");
}

on_every_engine!(a_clean_up_is_tried_until_it_works_and_a_newer_set_up_waits_for_it);
fn a_clean_up_is_tried_until_it_works_and_a_newer_set_up_waits_for_it(on: Generation) {
    // The clean-up works at its third attempt.
    let config = Config::new().hook(
        "{name: net, at: pre_start, shell: \"./record < $HOOK_EVENT_FILE\", \
         cleanup: {shell: \"./record < $HOOK_EVENT_FILE; test $HOOK_ATTEMPT -ge 3 || test -e ok\", \
         retry: {max_attempts: 9, delay: 2s}}, on_failure: ignore}",
    );
    let Some(world) = World::start(on, &config) else { return };
    world.run_sleeper("web", &["--stop-timeout", "0"]);
    for _ in 0..3 {
        world.docker(&["restart", "-t", "0", "web"]);
    }

    world.docker(&["rm", "-f", "web"]);

    let mut ran = wait_for("all to be cleaned up", LIMIT, || {
        let ran = world.ran();
        world.debts().iter().all(|it| !it.state.is_open()).then_some(ran)
    });
    // A restart has its set-up planned before the clean-up; all have as long as the others.
    ran.sort_by_key(|it| it.document["deadline"].as_str().map(str::to_owned));
    // What is set up is not cleaned up by what was due before it.
    let mut set_up: Option<Value> = None;
    for run in &ran {
        match run.document["phase"].as_str() {
            Some("setup") => set_up = Some(run.document["run"].clone()),
            _ => {
                let told = run.document["setup"].as_array().expect("a list");
                let last = told.last().map(|it| it["run"].clone());
                assert_eq!(last, set_up, "{:#?}", phases(&ran));
            }
        }
    }
}

on_every_engine!(what_is_set_up_by_a_container_that_ends_by_itself_is_cleaned_up_once);
fn what_is_set_up_by_a_container_that_ends_by_itself_is_cleaned_up_once(on: Generation) {
    let Some(mut world) = World::start(on, &Config::new().hook(&pair("run", "post_start"))) else { return };

    world.docker(&["run", "--rm", "busybox:test", "true"]);

    let ran = wait_for_runs(&world, 2);
    assert_eq!(points(&ran), ["post_start", "post_stop"]);
    world.restart_boathook();
    world.docker(&["run", "--rm", "--name", "later", "busybox:test", "true"]);
    assert_eq!(wait_for_runs(&world, 4).len(), 4);
}

on_every_engine!(a_hook_that_is_gone_from_the_configuration_is_cleaned_up_still);
fn a_hook_that_is_gone_from_the_configuration_is_cleaned_up_still(on: Generation) {
    let Some(mut world) = World::start(on, &Config::new().hook(&pair("run", "post_start"))) else { return };
    let id = world.docker(&["run", "-d", "--rm", "--name", "web", "busybox:test", "sleep", "3"]);
    // What is not written down yet is done again.
    wait_for("the end of the set-up to be on disk", LIMIT, || {
        world.debts().first().is_some_and(|it| it.setups[0].outcome.is_some()).then_some(())
    });
    world.boathook.kill9();
    wait_for("the container to be gone", LIMIT, || {
        (!world.sandbox.dir().join("data/containers").join(&id).exists()).then_some(())
    });

    world.start_boathook_with(&Config::new().record("other", "daemon.start"));

    let ran = wait_for("the clean-up", LIMIT, || Some(world.ran_for("web")).filter(|it| it.len() == 2));
    assert_eq!(phases(&ran), ["run setup post_start", "run cleanup post_stop"]);
    // The engine's ring of events still tells it.
    assert_eq!(ran[1].document["cause"], "engine");
    assert_eq!(ran[1].document["setup"][0]["state"], ran[0].document["run"]);
}

on_every_engine!(a_clean_up_that_is_given_up_is_told_and_stays_owed);
fn a_clean_up_that_is_given_up_is_told_and_stays_owed(on: Generation) {
    let config = Config::new()
        .hook(
            "{name: run, at: post_start, shell: \"exit 0\", \
             cleanup: {shell: \"echo broken >&2; exit 3\", retry: {max_attempts: 2, delay: 10ms}}}",
        )
        .record("told", "debt.given_up");
    let Some(world) = World::start(on, &config) else { return };

    world.docker(&["run", "--name", "web", "busybox:test", "true"]);

    let ran = world.wait_for_point("web", "debt.given_up");
    assert_eq!(ran[0].document["hook"], "told");
    assert_eq!(ran[0].document["debt"]["hook"], "run");
    wait_for("the debt to be listed as given up", LIMIT, || {
        let debts = world.debts();
        (debts.len() == 1 && debts[0].state.name() == "given_up").then_some(())
    });
}
