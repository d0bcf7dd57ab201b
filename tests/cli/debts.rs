//! `boathook debts`, and what is forgiven.

use boathook::journal::Wish;
use boathook::run::DebtState;
use serde_json::json;

use super::scene::{debt, entries, id, scene};
use super::world::World;

#[test]
fn debts_are_a_table_that_says_what_comes_next() {
    let world = World::with(entries(&scene()));

    let said = world.boathook(&["debts"]);
    let all = world.boathook(&["debts", "--all", "-q"]);

    assert_eq!((said.code, said.stdout.as_str()), (Some(0), DEBTS));
    assert_eq!(said.stderr, REMARKS);
    assert_eq!((all.code, all.stdout.as_str(), all.stderr.as_str()), (Some(0), ALL, ""));
}

const DEBTS: &str = "\
DEBT              SINCE                FOR  HOOK  STATE     TRIES  LAST       NEXT
03j74ybna0000000  2001-02-03 04:05:06  web  net   given up  2      timed out  retry or forgive
03j74yccr0000000  2001-02-03 04:05:12  db   dns   owed      0      -          at post_stop
";

const REMARKS: &str = "\
1 debt given up: mend what the clean-up needs, then `boathook retry DEBT` or `boathook retry --failed`; \
clean up by hand, then `boathook debts --forgive DEBT`
boathook does not run: nothing is paid until it does
";

const ALL: &str = "\
DEBT              SINCE                FOR  HOOK   STATE     TRIES  LAST       NEXT
03j74ybna0000000  2001-02-03 04:05:06  web  net    given up  2      timed out  retry or forgive
03j74yccr0000000  2001-02-03 04:05:12  db   dns    owed      0      -          at post_stop
03j74ycgn0000000  2001-02-03 04:05:13  old  mount  paid      1      exit 0     paid 2001-02-03 04:05:14
";

#[test]
fn a_debt_as_json_has_what_programs_go_by() {
    let scene = scene();
    let world = World::with(entries(&scene));

    let debts = world.json(&["debts", "--hook", "net"]);

    let expected = json!([{
        "id": id(&scene.net),
        "hook": "net",
        "subject": {"kind": "container", "id": scene.net.event.subject.id, "name": "web", "engine": "engine"},
        "object": null,
        "passage": 1,
        "state": "given_up",
        "at": ["post_stop"],
        "setups": [id(&scene.net)],
        "run": id(&scene.net_down),
        "merged_into": null,
        "attempts": 2,
        "outcome": "timed_out",
        "exit_code": null,
        "message": null,
        "opened_at": "2001-02-03T04:05:06Z",
        "due_at": null,
        "closed_at": null,
    }]);
    assert_eq!(debts, expected, "{debts:#}");
    assert_eq!(world.json(&["debts", "--container", "db"])[0]["id"], id(&scene.dns));
}

#[test]
fn where_nothing_is_owed_it_says_so() {
    let world = World::with(Vec::new());

    assert_eq!(world.boathook(&["debts"]).stdout, "nothing is owed\n");
    assert_eq!(world.json(&["debts"]), json!([]));
}

#[test]
fn a_debt_is_forgiven_by_the_daemon_that_is_there() {
    let scene = scene();
    let world = World::with(entries(&scene));
    let forgiven = debt(&scene.net, DebtState::Forgiven, Some(9_000));
    let wished = Wish::Forgive(scene.net.id.clone());
    let _daemon = world.played(vec![Box::new(move |wish| {
        assert_eq!(wish, wished);
        vec![forgiven]
    })]);

    let said = world.boathook(&["debts", "--forgive", &id(&scene.net)[..9]]);

    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""));
    assert_eq!(said.stdout, "`net` for web: forgiven; no clean-up runs for it any more\n");
    assert_eq!(world.json(&["debts", "--hook", "net"]), json!([]));
}

#[test]
fn while_the_daemon_is_away_a_debt_will_be_forgiven() {
    let scene = scene();
    let world = World::with(entries(&scene));

    let said = world.boathook(&["debts", "--forgive", id(&scene.net), id(&scene.dns)]);

    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(said.stdout, "`net` for web: will be forgiven\n`dns` for db: will be forgiven\n");
    assert_eq!(said.stderr, "boathook does not run: it is done when it does\n");
    let wish = |run| ("forgive".to_owned(), Some(id(run).to_owned()));
    assert_eq!(world.wishes(), [wish(&scene.net), wish(&scene.dns)]);
}

#[test]
fn nothing_is_forgiven_if_one_of_them_is_nothing_to_forgive() {
    let scene = scene();
    let world = World::with(entries(&scene));

    let said =
        world.boathook(&["debts", "--forgive", id(&scene.net), id(&scene.paid), id(&scene.alert), "web"]);

    assert_eq!(said.code, Some(1));
    for complaint in [
        format!("debt `{}` is paid: there is nothing to forgive", id(&scene.paid)),
        format!("run `{}` owes nothing", id(&scene.alert)),
        "no run or debt has the id `web`".to_owned(),
    ] {
        assert!(said.stderr.contains(&complaint), "{complaint}: {}", said.stderr);
    }
    assert_eq!(world.wishes(), []);
}
