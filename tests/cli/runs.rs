//! `boathook runs`.

use serde_json::{Value, json};

use super::scene::{entries, id, scene};
use super::world::World;

fn ids(world: &World, arguments: &[&str]) -> Vec<String> {
    let runs = world.json(&[&["runs"], arguments].concat());
    let ids =
        runs.as_array().expect("an array").iter().map(|it| it["id"].as_str().expect("an id").to_owned());
    ids.collect()
}

#[test]
fn runs_are_a_table_with_the_newest_last() {
    let world = World::with(entries(&scene()));

    let said = world.boathook(&["runs"]);

    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
    assert_eq!(said.stdout, RUNS);
}

const RUNS: &str = "\
RUN               WHEN                 FOR                    POINT        HOOK           PHASE    TRY  OUTCOME         TOOK  WHY
03j74ybna0000000  2001-02-03 04:05:06  web                    post_start   net            setup    1    done            40ms  -
03j74ybs70000000  2001-02-03 04:05:07  web                    post_stop    net            cleanup  2    timed out       40ms  -
03j74ybx40000000  2001-02-03 04:05:08  web                    post_stop    alert          setup    1    exit 3          40ms  no route [2J to host
03j74yc110000000  2001-02-03 04:05:09  database-of-customers  post_stop    tell           setup    2    exit 75, waits  40ms  not yet
03j74yc4y0000000  2001-02-03 04:05:10  evil                   pre_create   no-privileged  setup    -    denied          -     privileged containers are not allowed here
03j74yc8v0000000  2001-02-03 04:05:11  web                    post_remove  slow           setup    1    running         -     -
03j74yccr0000000  2001-02-03 04:05:12  db                     post_start   dns            setup    1    done            40ms  -
03j74ycgn0000000  2001-02-03 04:05:13  old                    post_start   mount          setup    1    done            40ms  -
03j74ycmj0000000  2001-02-03 04:05:14  old                    post_stop    mount          cleanup  1    done            40ms  did not come about
";

#[test]
fn runs_are_found_by_how_they_stand_by_hook_by_container_and_by_time() {
    let scene = scene();
    let world = World::with(entries(&scene));
    let net = scene.net.event.subject.id.as_ref();

    assert_eq!(ids(&world, &["--failed"]), [id(&scene.net_down), id(&scene.alert), id(&scene.gate)]);
    assert_eq!(ids(&world, &["--open"]), [id(&scene.tell), id(&scene.slow)]);
    assert_eq!(ids(&world, &["--hook", "net"]), [id(&scene.net), id(&scene.net_down)]);
    let of_web = [&scene.net, &scene.net_down, &scene.alert, &scene.slow].map(id);
    assert_eq!(ids(&world, &["--container", "web"]), of_web);
    assert_eq!(ids(&world, &["--container", &net[..12]]), of_web);
    assert_eq!(ids(&world, &["--since", "2001-02-03T04:05:13Z"])[0], id(&scene.paid));
    assert_eq!(ids(&world, &["--since", "1h"]), [""; 0]);
    assert_eq!(ids(&world, &["--hook", "alert", "--open"]), [""; 0]);
}

#[test]
fn where_there_are_more_than_shown_it_says_so() {
    let scene = scene();
    let world = World::with(entries(&scene));

    let said = world.boathook(&["runs", "-n", "1", "--container", "web"]);

    assert_eq!(said.stdout.lines().count(), 2, "{}", said.stdout);
    assert!(said.stdout.contains(id(&scene.slow)), "{}", said.stdout);
    assert_eq!(said.stderr, "the latest 1 run; there are earlier ones: see `-n`, `--since`, `--hook`\n");
    assert_eq!(world.boathook(&["runs", "-q", "-n", "1"]).stderr, "");
    assert_eq!(world.boathook(&["runs", "-n", "4", "--container", "web"]).stderr, "");
}

#[test]
fn a_run_as_json_has_what_programs_go_by() {
    let scene = scene();
    let world = World::with(entries(&scene));

    let runs = world.json(&["runs", "--hook", "alert"]);

    let expected = json!([{
        "id": id(&scene.alert),
        "hook": "alert",
        "point": "post_stop",
        "phase": "setup",
        "subject": {"kind": "container", "id": scene.alert.event.subject.id, "name": "web", "engine": "engine"},
        "events": null,
        "passage": 1,
        "cause": "engine",
        "state": "concluded",
        "conclusion": "failed",
        "attempt": 1,
        "outcome": "exited",
        "exit_code": 3,
        "message": "no route\u{1b}[2J to host",
        "debt": null,
        "overtook": false,
        "planned_at": "2001-02-03T04:05:08Z",
        "started_at": "2001-02-03T04:05:08.01Z",
        "ended_at": "2001-02-03T04:05:08.05Z",
        "due_at": null,
        "concluded_at": "2001-02-03T04:05:08.05Z",
    }]);
    assert_eq!(runs, expected, "{runs:#}");
    let running = world.json(&["runs", "--hook", "slow"]);
    assert_eq!((&running[0]["attempt"], &running[0]["outcome"]), (&json!(1), &Value::Null));
}

#[test]
fn one_run_is_told_with_its_attempts_its_calls_and_its_debt() {
    let scene = scene();
    let world = World::with(entries(&scene));

    let alert = world.boathook(&["runs", id(&scene.alert)]);
    let net = world.boathook(&["runs", &id(&scene.net_down)[..9].to_uppercase()]);

    assert_eq!((alert.code, alert.stdout.as_str()), (Some(0), ALERT), "{}", alert.stderr);
    assert_eq!((net.code, net.stdout.as_str()), (Some(0), NET_DOWN), "{}", net.stderr);
    let told = world.json(&["runs", id(&scene.net_down)]);
    assert_eq!(told[0]["attempts"][0]["stderr"], json!({"text": "device is busy\n", "bytes": 15}));
    assert_eq!(told[0]["owed"]["state"], "given_up");
}

const ALERT: &str = "\
run       03j74ybx40000000
hook      alert, setup
point     post_stop, cause engine
for       web, id 776562000000, image alpine, start 1
planned   2001-02-03 04:05:08.000 UTC
outcome   exit 3 after 1 attempt

attempt 1: exit 3, began 2001-02-03 04:05:08.010 UTC, took 40ms
  stderr, 27 bytes:
    first
    no route [2J to host

what it asked the engine:
    GET /v1.41/containers/json
";

const NET_DOWN: &str = "\
run       03j74ybs70000000
hook      net, cleanup
point     post_stop, cause engine
for       web, id 776562000000, image alpine, start 1
planned   2001-02-03 04:05:07.000 UTC
outcome   timed out after 2 attempts
debt      03j74ybna0000000, given up, 2 attempts to clean up

attempt 1: exit 1, began 2001-02-03 04:05:07.010 UTC, took 40ms
  stderr, 15 bytes:
    device is busy

attempt 2: timed out, began 2001-02-03 04:05:07.510 UTC, took 40ms
";

#[test]
fn a_run_that_is_not_known_is_an_error_and_names_are_no_ids() {
    let scene = scene();
    let world = World::with(entries(&scene));

    let unknown = world.boathook(&["runs", "zzz"]);
    let several = world.boathook(&["runs", &id(&scene.net)[..4]]);
    let name = world.boathook(&["runs", "web"]);

    assert_eq!(
        unknown.stderr,
        "error: no run or debt has the id `zzz`, or one that begins so\n\
         help: `boathook runs` and `boathook debts` show the ids\n"
    );
    assert!(
        several.stderr.contains(&format!("begins the ids of several: `{}`, ", id(&scene.net))),
        "{several:?}"
    );
    assert!(name.stderr.contains("help: that is a name: `boathook runs --container web`"), "{name:?}");
    assert_eq!([unknown.code, several.code, name.code], [Some(1); 3]);
}

#[test]
fn a_command_line_that_makes_no_sense_is_refused() {
    let world = World::with(Vec::new());

    for (arguments, said) in [
        (&["runs", "--since", "5"][..], "is a number without a unit, write `5s` or `5ms`"),
        (&["runs", "--hook", "a b"], "no hook can have that name"),
        (&["runs", "--failed", "--open"], "cannot be used with"),
        (&["runs", "06h", "--failed"], "cannot be used with"),
        (&["runs", "06h", "-n", "3"], "cannot be used with"),
        (&["retry"], "required arguments"),
        (&["retry", "06h", "--failed"], "cannot be used with"),
        (&["debts", "--forgive"], "a value is required"),
        (&["debts", "--all", "--forgive", "06h"], "cannot be used with"),
        (&["backup"], "required arguments"),
    ] {
        let refused = world.boathook(arguments);

        assert_eq!(refused.code, Some(2), "{arguments:?}: {refused:?}");
        assert!(refused.stderr.contains(said), "{arguments:?}: {}", refused.stderr);
    }
}
