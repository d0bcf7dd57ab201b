//! How a process ended counts, whoever was killed meanwhile.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use boathook::journal::{Reader, RunFilter};
use boathook::run::Outcome;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::books::{Attempt, Books};
use super::world::{Config, Plugin, World};
use crate::engine::{Generation, wait_for};

const LIMIT: Duration = Duration::from_secs(60);

/// A host on which the hook `pair-run` waits with this phase until it is let go on.
fn host(phase: &str, more: &str) -> Option<World> {
    let config = Config::default().pair("pair-run", "post_start", more);
    let world = World::start(Generation::V20_10, Plugin::NotAsked, &config)?;
    world.sandbox.write(&format!("books/wait-pair-run-{phase}"), "");
    Some(world)
}

fn wait_for_begin(world: &World, phase: &str) {
    let begun = |it: &Attempt| it.phase == phase;
    wait_for("it to begin", LIMIT, || world.books().attempts.iter().any(begun).then_some(()));
}

fn let_go_on(world: &World, phase: &str) {
    fs::remove_file(world.sandbox.dir().join(format!("books/wait-pair-run-{phase}"))).expect("let it go on");
}

fn wait_for_end(world: &World) {
    let ended = |it: &Attempt| it.ended.is_some();
    wait_for("it to end", LIMIT, || world.books().attempts.iter().all(ended).then_some(()));
}

fn wait_for_even(world: &World) -> Books {
    world.wait_for_rest("a clean-up", |it| !it.attempts.is_empty() && it.is_even())
}

/// How the attempts of the set-up ended, as the journal has it.
fn outcomes(world: &World) -> Vec<Outcome> {
    let reader = Reader::open(world.state_dir()).expect("there is a store");
    let runs = reader.runs(&RunFilter::default()).expect("runs");
    let set_up = runs.iter().find(|it| it.run.debt.is_none()).expect("a set-up");
    set_up.attempts.iter().filter_map(|it| it.outcome.clone()).collect()
}

/// The reapers of this host's boathooks.
fn reapers(world: &World) -> Vec<Pid> {
    let variable = format!("BOATHOOK_REAPER={}", world.state_dir().join("runs").display());
    let of_ours = |process: &PathBuf| {
        let environment = fs::read(process.join("environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|it| it == variable.as_bytes())
    };
    let processes = fs::read_dir("/proc").expect("processes").flatten().map(|it| it.path());
    let pids = processes.filter(of_ours).filter_map(|it| it.file_name()?.to_str()?.parse().ok());
    pids.map(Pid::from_raw).collect()
}

fn kill_reapers(world: &World) {
    for pid in reapers(world) {
        kill(pid, Signal::SIGKILL).expect("kill a reaper");
        wait_for("it to be gone", LIMIT, || (!reapers(world).contains(&pid)).then_some(()));
    }
}

#[test]
fn a_set_up_that_ends_while_boathook_is_away_counts_with_what_it_said() {
    let Some(mut world) = host("setup", "") else { return };
    world.run_sleeper("web", &[]);
    wait_for_begin(&world, "setup");

    world.kill_boathook();
    let_go_on(&world, "setup");
    wait_for_end(&world);
    world.docker(&["rm", "-f", "web"]);
    world.start_boathook();

    let books = wait_for_even(&world);
    books.audit("an end that nobody saw");
    assert_eq!(books.attempts.len(), 2, "{books}");
    let set_up = &books.attempts[1].document["setup"][0];
    assert_eq!((set_up["outcome"].as_str(), &set_up["state"]), (Some("exited"), &set_up["run"]), "{books}");
    wait_for("the files to be gone", LIMIT, || {
        let runs = fs::read_dir(world.state_dir().join("runs")).expect("the directory for runs");
        (runs.count() == 0).then_some(())
    });
}

#[test]
fn a_set_up_that_goes_on_when_boathook_is_back_counts_and_is_waited_for() {
    let Some(mut world) = host("setup", "") else { return };
    world.run_sleeper("web", &[]);
    wait_for_begin(&world, "setup");

    for _ in 0..3 {
        world.kill_boathook();
        world.start_boathook();
        world.wait_until_it_follows();
    }
    world.docker(&["rm", "-f", "web"]);
    let_go_on(&world, "setup");

    let books = wait_for_even(&world);
    books.audit("three kills");
    assert_eq!(books.attempts.len(), 2, "{books}");
    assert_eq!(outcomes(&world), [Outcome::Exited(0)]);
}

#[test]
fn a_clean_up_that_ends_while_boathook_is_away_has_paid() {
    let Some(mut world) = host("cleanup", "") else { return };
    world.run_sleeper("web", &[]);
    world.wait_for_set_ups("pair-run", 1);
    world.docker(&["rm", "-f", "web"]);
    wait_for_begin(&world, "cleanup");

    world.kill_boathook();
    let_go_on(&world, "cleanup");
    wait_for_end(&world);
    world.start_boathook();

    let books = wait_for_even(&world);
    books.audit("a clean-up whose end nobody saw");
    assert_eq!(books.attempts.len(), 2, "{books}");
}

#[test]
fn an_attempt_that_fails_while_boathook_is_away_is_followed_by_the_next_and_by_no_other() {
    let Some(mut world) = host("setup", ", retry: {max_attempts: 3, delay: 10ms}") else { return };
    for attempt in 1..=2 {
        world.sandbox.write(&format!("books/fail-pair-run-setup-{attempt}"), "");
    }
    world.run_sleeper("web", &[]);
    wait_for_begin(&world, "setup");

    world.kill_boathook();
    let_go_on(&world, "setup");
    wait_for_end(&world);
    world.start_boathook();

    world.wait_for_rest_of_runs("the third attempt", |it| it.attempts.len() == 3);
    assert_eq!(outcomes(&world), [Outcome::Exited(1), Outcome::Exited(1), Outcome::Exited(0)]);
    world.docker(&["rm", "-f", "web"]);
    wait_for_even(&world).audit("a failure that nobody saw");
}

#[test]
fn a_script_that_asked_to_be_tried_again_while_boathook_was_away_is() {
    let script = "cd {DIR}/books; echo >> asked; while [ -e wait ]; do sleep 0.02; done; exit 75";
    let Some(mut world) = World::start(Generation::V20_10, Plugin::NotAsked, &Config::default()) else {
        return;
    };
    let script = script.replace("{DIR}", &world.sandbox.dir().display().to_string());
    world.kill_boathook();
    world.start_boathook_with(
        &Config::default().hook(&format!("{{name: asks, at: post_create, shell: \"{script}\"}}")),
    );
    world.wait_until_it_follows();
    world.sandbox.write("books/wait", "");
    world.docker(&["create", "--name", "web", "busybox:test", "true"]);
    let asked =
        || fs::read_to_string(world.sandbox.dir().join("books/asked")).map_or(0, |it| it.lines().count());
    wait_for("it to begin", LIMIT, || (asked() == 1).then_some(()));

    world.kill_boathook();
    fs::remove_file(world.sandbox.dir().join("books/wait")).expect("let it go on");
    world.start_boathook();

    let asked =
        || fs::read_to_string(world.sandbox.dir().join("books/asked")).map_or(0, |it| it.lines().count());
    wait_for("the second attempt", LIMIT, || (asked() >= 2).then_some(()));
    wait_for("its end", LIMIT, || (outcomes(&world).len() >= 2).then_some(()));
    assert_eq!(outcomes(&world)[..2], [Outcome::Exited(75), Outcome::Exited(75)]);
}

#[test]
fn what_is_out_of_time_when_boathook_is_back_is_ended_and_counts_as_that() {
    let Some(mut world) = host("setup", ", timeout: 2s") else { return };
    world.run_sleeper("web", &[]);
    wait_for_begin(&world, "setup");

    world.kill_boathook();
    world.start_boathook();

    wait_for("its end", LIMIT, || (!outcomes(&world).is_empty()).then_some(()));
    assert_eq!(outcomes(&world), [Outcome::TimedOut]);
    let_go_on(&world, "setup");
    world.docker(&["rm", "-f", "web"]);
    wait_for_even(&world).audit("a deadline");
}

#[test]
fn what_ends_with_nobody_left_to_see_it_is_repeated() {
    let Some(mut world) = host("setup", "") else { return };
    world.run_sleeper("web", &[]);
    wait_for_begin(&world, "setup");

    world.kill_boathook();
    kill_reapers(&world);
    let_go_on(&world, "setup");
    world.start_boathook();
    world.wait_for_set_ups("pair-run", 1);
    world.docker(&["rm", "-f", "web"]);

    let books = wait_for_even(&world);
    books.audit("the end of both");
    assert_eq!(outcomes(&world), [Outcome::Interrupted, Outcome::Exited(0)]);
}

#[test]
fn a_reaper_that_is_killed_is_replaced_and_no_run_has_two_processes_at_once() {
    let Some(world) = host("setup", "") else { return };
    world.run_sleeper("web", &[]);
    wait_for_begin(&world, "setup");

    kill_reapers(&world);
    world.run_sleeper("other", &[]);
    wait_for("the other to be set up for", LIMIT, || (world.books().attempts.len() == 2).then_some(()));
    let_go_on(&world, "setup");
    wait_for("the first to be repeated", LIMIT, || (world.books().attempts.len() == 3).then_some(()));
    world.docker(&["rm", "-f", "web", "other"]);

    let books = world.wait_for_rest("both to be cleaned up", |it| it.attempts.len() == 5);
    books.audit("the reaper's end");
}
