//! `boathook retry`.

use boathook::journal::Wish;
use boathook::lifecycle::{Cause, Event, Point};
use boathook::run::{Conclusion, DebtState, Entry, Outcome, Run};
use serde_json::{Value, json};

use super::scene::{attempt, clean_up, concluded, debt, deferred, entries, id, planned, run, scene};
use super::world::{Answer, World};

/// Answers that wish, and no other, with these entries.
fn answer(wish: Wish, entries: Vec<Entry>) -> Answer {
    Box::new(move |wished| {
        assert_eq!(wished, wish);
        entries
    })
}

/// What a daemon does when it is asked to pay what `set_up` owes: one attempt, which ends so.
fn another_clean_up(set_up: &Run, outcome: Outcome) -> Vec<Entry> {
    let again = clean_up(set_up, Cause::Replay, 100_000);
    let (conclusion, state) = match outcome {
        Outcome::Exited(0) => (Conclusion::Done, DebtState::Paid),
        _ => (Conclusion::Failed, DebtState::GivenUp { run: again.id.clone() }),
    };
    let mut entries = vec![planned(&again), debt(set_up, DebtState::Due { run: again.id.clone() }, None)];
    entries.extend(attempt(&again, 1, 100_010, outcome, "still busy\n"));
    entries.extend([concluded(&again, conclusion, 100_050), debt(set_up, state, None)]);
    entries
}

fn wish(name: &str, run: &Run) -> (String, Option<String>) {
    (name.to_owned(), Some(id(run).to_owned()))
}

#[test]
fn a_debt_that_is_paid_now_is_success() {
    let scene = scene();
    let world = World::with(entries(&scene));
    let paid = another_clean_up(&scene.net, Outcome::Exited(0));
    let _daemon = world.played(vec![answer(Wish::RetryDebt(scene.net.id.clone()), paid)]);

    let said = world.boathook(&["retry", &id(&scene.net)[..9]]);

    assert_eq!((said.code, said.stderr.as_str()), (Some(0), "waiting for 1 attempt\n"));
    let run = id(&clean_up(&scene.net, Cause::Replay, 100_000)).to_owned();
    assert_eq!(said.stdout, format!("the clean-up of `net` for web: done, exit 0 after 40ms (run {run})\n"));
}

#[test]
fn a_debt_that_fails_again_is_a_failure_and_says_why() {
    let scene = scene();
    let world = World::with(entries(&scene));
    let failed = another_clean_up(&scene.net, Outcome::Exited(1));
    let _daemon = world.played(vec![answer(Wish::RetryDebt(scene.net.id.clone()), failed)]);

    // By the id of its clean-up.
    let said = world.boathook(&["retry", id(&scene.net_down), "--json", "-q"]);

    assert_eq!((said.code, said.stderr.as_str()), (Some(1), ""));
    let told: Value = serde_json::from_str(&said.stdout).expect("it is JSON");
    assert_eq!((&told[0]["id"], &told[0]["kind"]), (&json!(id(&scene.net)), &json!("debt")));
    assert_eq!(told[0]["result"], "failed");
    assert_eq!(told[0]["run"]["message"], "still busy");
    assert_eq!(told[0]["run"]["cause"], "replay");
}

#[test]
fn all_that_is_given_up_is_tried_again_at_once() {
    let scene = scene();
    let world = World::with(entries(&scene));
    let paid = another_clean_up(&scene.net, Outcome::Exited(0));
    let _daemon = world.played(vec![answer(Wish::RetryFailed, paid)]);

    let first = world.boathook(&["retry", "--failed"]);
    let second = world.boathook(&["retry", "--failed"]);

    assert_eq!(first.code, Some(0), "{first:?}");
    assert!(first.stdout.starts_with("the clean-up of `net` for web: done"), "{first:?}");
    assert_eq!((second.code, second.stderr.as_str()), (Some(0), ""));
    assert_eq!(second.stdout, "no debt is given up: there is nothing to try again\n");
}

#[test]
fn a_run_that_waits_is_tried_now_and_one_that_waits_on_says_until_when() {
    let scene = scene();
    let world = World::with(entries(&scene));
    let mut again: Vec<Entry> = attempt(&scene.tell, 3, 50_000, Outcome::Exited(75), "not yet\n").into();
    again.push(deferred(&scene.tell, 90_000));
    let _daemon = world.played(vec![answer(Wish::RetryRun(scene.tell.id.clone()), again)]);

    let said = world.boathook(&["retry", id(&scene.tell)]);

    assert_eq!(said.code, Some(1), "{said:?}");
    assert_eq!(
        said.stdout,
        format!(
            "`tell` for database-of-customers: failed again, exit 75 after 40ms: not yet; \
             next at 2001-02-03 04:06:36 (run {})\n",
            id(&scene.tell)
        )
    );
}

#[test]
fn a_run_that_is_over_is_done_once_more_by_another() {
    let scene = scene();
    let world = World::with(entries(&scene));
    let again = run("alert", "web", Point::PostStop, 50_000);
    let event = Event { cause: Cause::Replay, ..Event::clone(&again.event) };
    let again = Run { event: event.into(), ..again };
    let mut done = vec![planned(&again)];
    done.extend(attempt(&again, 1, 50_010, Outcome::Exited(0), ""));
    done.push(concluded(&again, Conclusion::Done, 50_050));
    let _daemon = world.played(vec![answer(Wish::RetryRun(scene.alert.id.clone()), done)]);

    let said = world.boathook(&["retry", id(&scene.alert)]);

    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(said.stdout, format!("`alert` for web: done, exit 0 after 40ms (run {})\n", id(&again)));
}

#[test]
fn while_the_daemon_is_away_it_will_be_done() {
    let scene = scene();
    let world = World::with(entries(&scene));

    let said =
        world.boathook(&["retry", id(&scene.net), id(&scene.alert), id(&scene.slow), id(&scene.alert)]);

    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(
        said.stdout,
        "the clean-up of `net` for web: asked for\n`alert` for web: asked for\n`slow` for web: is under way\n"
    );
    assert_eq!(said.stderr, "boathook does not run: it is done when it does\n");
    assert_eq!(world.wishes(), [wish("retry_debt", &scene.net), wish("retry_run", &scene.alert)]);
    let all = world.boathook(&["retry", "--failed", "--json"]);
    let told: Value = serde_json::from_str(&all.stdout).expect("it is JSON");
    assert_eq!(told, json!([{"id": id(&scene.net), "kind": "debt", "result": "asked", "run": null}]));
    assert_eq!(world.wishes().last(), Some(&("retry_failed".to_owned(), None)));
}

#[test]
fn nobody_waits_who_does_not_want_to() {
    let scene = scene();
    let world = World::with(entries(&scene));
    let _daemon = world.played(vec![answer(Wish::RetryDebt(scene.net.id.clone()), Vec::new())]);

    let said = world.boathook(&["retry", id(&scene.net), "--no-wait"]);

    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
    assert_eq!(said.stdout, "the clean-up of `net` for web: asked for\n");
}

#[test]
fn a_daemon_that_ends_meanwhile_is_not_waited_for() {
    let scene = scene();
    let world = World::with(entries(&scene));
    let _daemon = world.mortal();

    let said = world.boathook(&["retry", id(&scene.net)]);

    assert_eq!(said.code, Some(3), "{said:?}");
    assert_eq!(said.stdout, "the clean-up of `net` for web: not yet\n");
    assert!(
        said.stderr.ends_with("boathook has ended: what is pending is done when it runs again\n"),
        "{said:?}"
    );
}

#[test]
fn where_there_is_nothing_to_try_nothing_is_asked_for_and_it_says_why() {
    let scene = scene();
    let world = World::with(entries(&scene));
    let paid_down = clean_up(&scene.paid, Cause::Aborted, 8_000);

    let said =
        world.boathook(&["retry", id(&scene.net), id(&scene.gate), id(&paid_down), id(&scene.paid), "web"]);

    assert_eq!(said.code, Some(1));
    for complaint in [
        format!("error: run `{}` is of hook `no-privileged`, which only says no", id(&scene.gate)),
        format!("error: debt `{}` is paid: there is nothing to try again", id(&scene.paid)),
        "error: no run or debt has the id `web`".to_owned(),
    ] {
        assert!(said.stderr.contains(&complaint), "{complaint}: {}", said.stderr);
    }
    assert_eq!(world.wishes(), []);
}
