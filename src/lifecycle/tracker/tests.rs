use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::Tracker;
use crate::lifecycle::{
    Call, CallKind, Cause, Detail, EngineId, Event, Facts, NetworkAttachment, Observation, Point, Process,
    Question, Reason, Request, Saw, Signal, Source, Subject, SubjectKind, Turn, VolumeDetail,
};

const ID: &str = "e39197e5443675fa663dd38077a56a5bf8e4c05bc9c20ea69debda78f1ff0f80";

fn engine() -> EngineId {
    EngineId::new("engine")
}

/// Milliseconds after the beginning of all tests.
fn ms(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(1_800_000_000_000 + millis).expect("in range")
}

fn told(at: i64, saw: Saw) -> Signal {
    Signal::new(Subject::container(&engine(), ID), Source::Events, ms(at), saw)
}

fn looked(at: i64, process: Process) -> Signal {
    Signal { source: Source::Authorization, ..told(at, Saw::Changed) }.with(process)
}

trait With {
    fn with(self, process: Process) -> Self;
}

impl With for Signal {
    fn with(mut self, process: Process) -> Signal {
        self.observation = Some(Box::new(Observation { facts: facts("web"), process }));
        self
    }
}

fn running(since: i64) -> Process {
    Process::Running { started_at: ms(since) }
}

fn ended(from: i64, to: i64) -> Process {
    Process::Ended { started_at: ms(from), finished_at: ms(to), code: 3, out_of_memory: false }
}

fn facts(name: &str) -> Facts {
    Facts { name: Some(name.into()), labels: Some(BTreeMap::new()), ..Facts::default() }
}

fn call(at: i64, kind: CallKind, target: &str) -> Call {
    Call {
        engine: engine(),
        kind,
        target: target.into(),
        turn: Turn::Opened,
        key: 0,
        nested: None,
        at: ms(at),
    }
}

fn answered(at: i64, call: &Call, created: Option<&str>) -> Call {
    Call { turn: Turn::Closed { created: created.map(Into::into) }, at: ms(at), ..call.clone() }
}

fn see_all(tracker: &mut Tracker, signals: impl IntoIterator<Item = Signal>) -> Vec<Event> {
    signals.into_iter().flat_map(|it| tracker.see(it)).collect()
}

fn points(events: &[Event]) -> Vec<Point> {
    events.iter().map(|it| it.point).collect()
}

#[test]
fn a_life_told_by_the_stream_reaches_each_point_once() {
    let mut tracker = Tracker::default();

    let events = see_all(
        &mut tracker,
        [
            told(0, Saw::Created),
            told(10, Saw::Started).with(running(9)),
            told(20, Saw::Ended { code: Some(7) }),
            told(30, Saw::Removed),
        ],
    );

    assert_eq!(points(&events), [Point::PostCreate, Point::PostStart, Point::PostStop, Point::PostRemove]);
    assert_eq!(events[2].exit.and_then(|it| it.code), Some(7));
    assert_eq!(events[3].facts.name.as_deref(), Some("web"));
}

#[test]
fn a_creation_told_twice_is_one() {
    let mut tracker = Tracker::default();
    let by_the_answer = Signal { source: Source::Authorization, ..told(1, Saw::Created) };

    let events = see_all(&mut tracker, [told(0, Saw::Created), by_the_answer]);

    assert_eq!(points(&events), [Point::PostCreate]);
}

#[test]
fn an_end_seen_by_a_look_up_is_not_told_again_by_the_stream() {
    let mut tracker = Tracker::default();
    see_all(&mut tracker, [told(0, Saw::Created), told(10, Saw::Started).with(running(9))]);

    let by_look = see_all(&mut tracker, [looked(21, ended(9, 20))]);
    let by_stream = see_all(&mut tracker, [told(22, Saw::Ended { code: Some(3) })]);

    assert_eq!(points(&by_look), [Point::PostStop]);
    assert_eq!(by_look[0].exit.and_then(|it| it.code), Some(3));
    assert_eq!(points(&by_stream), []);
}

#[test]
fn a_start_seen_by_a_look_up_is_not_told_again_by_the_stream() {
    for look_at_start in [Some(running(9)), None] {
        let mut tracker = Tracker::default();
        see_all(&mut tracker, [told(0, Saw::Created)]);
        let start = told(11, Saw::Started);
        let start = look_at_start.map_or(start.clone(), |process| start.with(process));

        let by_look = see_all(&mut tracker, [looked(10, running(9))]);
        let by_stream = see_all(&mut tracker, [start]);

        assert_eq!(points(&by_look), [Point::PostStart]);
        assert_eq!(points(&by_stream), []);
    }
}

#[test]
fn a_look_up_that_is_older_than_the_stream_changes_nothing() {
    let mut tracker = Tracker::default();
    see_all(
        &mut tracker,
        [
            told(0, Saw::Created),
            told(10, Saw::Started).with(running(9)),
            told(20, Saw::Ended { code: Some(0) }),
        ],
    );

    assert_eq!(points(&see_all(&mut tracker, [looked(19, running(9))])), []);

    see_all(&mut tracker, [told(30, Saw::Started).with(running(29))]);
    assert_eq!(points(&see_all(&mut tracker, [looked(25, ended(9, 20))])), []);
}

#[test]
fn a_restart_seen_by_a_look_up_is_an_end_and_a_start_and_the_stream_adds_nothing() {
    let mut tracker = Tracker::default();
    see_all(&mut tracker, [told(0, Saw::Created), told(10, Saw::Started).with(running(9))]);

    let by_look = see_all(&mut tracker, [looked(32, running(30))]);
    let by_stream = see_all(
        &mut tracker,
        [told(20, Saw::Ended { code: Some(0) }), told(31, Saw::Started).with(running(30))],
    );

    assert_eq!(points(&by_look), [Point::PostStop, Point::PostStart]);
    assert_eq!(points(&by_stream), []);
}

#[test]
fn a_look_up_at_a_start_that_shows_the_next_start_is_not_taken_for_this_one() {
    let mut tracker = Tracker::default();

    let events = see_all(
        &mut tracker,
        [
            told(0, Saw::Created),
            told(10, Saw::Started).with(running(29)),
            told(20, Saw::Ended { code: Some(1) }),
            told(30, Saw::Started).with(running(29)),
        ],
    );

    assert_eq!(points(&events), [Point::PostCreate, Point::PostStart, Point::PostStop, Point::PostStart]);
    assert_eq!(events.iter().map(|it| it.passage).collect::<Vec<_>>(), [0, 1, 1, 2]);
}

#[test]
fn a_removal_without_an_end_tells_the_end_first() {
    let mut tracker = Tracker::default();

    let events = see_all(
        &mut tracker,
        [told(0, Saw::Created), told(10, Saw::Started).with(running(9)), told(30, Saw::Removed)],
    );

    assert_eq!(points(&events[2..]), [Point::PostStop, Point::PostRemove]);
    assert_eq!(events[2].reason, Some(Reason::Unknown));
}

#[test]
fn a_container_that_was_there_before_is_taken_as_it_is() {
    let mut tracker = Tracker::default();

    assert_eq!(points(&see_all(&mut tracker, [looked(10, running(0))])), []);

    let events = see_all(&mut tracker, [told(20, Saw::Ended { code: Some(0) }), told(30, Saw::Removed)]);
    assert_eq!(points(&events), [Point::PostStop, Point::PostRemove]);
}

#[test]
fn an_end_without_a_known_start_is_the_end_of_what_a_later_look_up_shows() {
    let mut tracker = Tracker::default();

    let events = see_all(
        &mut tracker,
        [told(20, Saw::Ended { code: Some(0) }), looked(25, ended(5, 19)), told(30, Saw::Removed)],
    );

    assert_eq!(points(&events), [Point::PostStop, Point::PostRemove]);
}

#[test]
fn nothing_is_heard_of_a_container_after_its_removal() {
    let mut tracker = Tracker::default();
    see_all(&mut tracker, [told(0, Saw::Created), told(10, Saw::Removed)]);

    let late = Signal { source: Source::Authorization, ..told(11, Saw::Created) };

    assert_eq!(points(&see_all(&mut tracker, [late, told(12, Saw::Removed)])), []);
}

#[test]
fn the_reason_of_an_end_is_what_was_known_when_it_was_seen() {
    let cases: [(&[CallKind], Option<Saw>, Reason, Cause); 6] = [
        (&[], None, Reason::Exit, Cause::Engine),
        (&[], Some(Saw::OutOfMemory), Reason::Oom, Cause::Engine),
        (&[], Some(Saw::Killed), Reason::Kill, Cause::Engine),
        (&[CallKind::Stop], Some(Saw::Killed), Reason::Stop, Cause::Api),
        (&[CallKind::Restart], Some(Saw::Killed), Reason::Stop, Cause::Api),
        (&[CallKind::Remove], Some(Saw::Killed), Reason::Kill, Cause::Api),
    ];
    for (calls, before, reason, cause) in cases {
        let mut tracker = Tracker::default();
        see_all(&mut tracker, [told(0, Saw::Created), told(10, Saw::Started).with(running(9))]);
        for kind in calls {
            tracker.hear(&call(15, *kind, "web"));
        }
        see_all(&mut tracker, before.map(|saw| told(18, saw)));

        let events = see_all(&mut tracker, [told(20, Saw::Ended { code: Some(137) })]);

        assert_eq!((events[0].reason, events[0].cause), (Some(reason), cause), "{calls:?} {before:?}");
    }
}

#[test]
fn a_stop_that_ended_nothing_does_not_explain_an_end_minutes_later() {
    let mut tracker = Tracker::default();
    see_all(&mut tracker, [told(0, Saw::Created), told(10, Saw::Started).with(running(9))]);
    let stop = call(15, CallKind::Stop, "web");
    tracker.hear(&stop);
    tracker.hear(&answered(20, &stop, None));

    tracker.hear(&call(60_000, CallKind::Start, "other"));
    let events = see_all(&mut tracker, [told(60_001, Saw::Ended { code: Some(0) })]);

    assert_eq!(events[0].reason, Some(Reason::Exit));
}

#[test]
fn a_start_is_put_down_to_the_call_that_asked_for_it_by_name_or_prefix() {
    for target in ["web", "/web", &ID[..8], ID] {
        let mut tracker = Tracker::default();
        see_all(&mut tracker, [told(0, Saw::Created)]);
        tracker.hear(&call(5, CallKind::Start, target));

        let events = see_all(&mut tracker, [told(10, Saw::Started).with(running(9))]);

        assert_eq!(events[0].cause, Cause::Api, "{target}");
    }
}

#[test]
fn a_container_that_a_hook_made_is_marked_before_anything_is_told_of_it() {
    let mut tracker = Tracker::default();
    let create = Call { nested: Some("secret".into()), ..call(0, CallKind::Create, "") };
    tracker.hear(&create);

    let at_first = see_all(&mut tracker, [told(5, Saw::Created)]);
    let then = tracker.hear(&answered(6, &create, Some(ID)));
    let later = see_all(&mut tracker, [told(10, Saw::Started).with(running(9))]);

    assert_eq!(points(&at_first), []);
    assert_eq!(points(&then), [Point::PostCreate]);
    assert!(then[0].nested && later[0].nested);
}

#[test]
fn a_secret_that_no_hook_has_makes_no_container_a_hooks_own() {
    let mut tracker = Tracker::default();
    // Let through as anybody's, as nobody has that secret.
    let create = call(0, CallKind::Create, "");
    tracker.hear(&create);
    let shown = Call { nested: Some("made up".into()), ..create };

    tracker.hear(&answered(5, &shown, Some(ID)));
    let events = see_all(&mut tracker, [told(6, Saw::Created)]);

    assert_eq!(points(&events), [Point::PostCreate]);
    assert!(!events[0].nested);
}

#[test]
fn somebody_elses_container_is_only_held_up_by_a_hooks_creation() {
    let mut tracker = Tracker::default();
    let create = Call { nested: Some("secret".into()), ..call(0, CallKind::Create, "") };
    tracker.hear(&create);
    assert_eq!(points(&see_all(&mut tracker, [told(5, Saw::Created)])), []);

    let answered = tracker.hear(&answered(6, &create, None));

    assert_eq!(points(&answered), [Point::PostCreate]);
    assert!(!answered[0].nested);
}

#[test]
fn a_creation_that_is_never_answered_holds_nobody_up_for_long() {
    let mut tracker = Tracker::default();
    tracker.hear(&Call { nested: Some("secret".into()), ..call(0, CallKind::Create, "") });
    see_all(&mut tracker, [told(5, Saw::Created)]);

    assert!(tracker.wants_tick());
    assert_eq!(points(&tracker.tick(ms(100))), []);
    assert_eq!(points(&tracker.tick(ms(3000))), [Point::PostCreate]);
    assert!(!tracker.wants_tick());
}

#[test]
fn a_gate_knows_the_last_addresses_and_what_it_finds_is_told_first() {
    let mut tracker = Tracker::default();
    let mut start = told(10, Saw::Started).with(running(9));
    if let Some(it) = &mut start.observation {
        let network = NetworkAttachment {
            name: "bridge".into(),
            ip: Some("172.17.0.2".into()),
            ..NetworkAttachment::default()
        };
        it.facts.networks = Some(vec![network]);
    }
    see_all(&mut tracker, [told(0, Saw::Created), start]);

    let (before, asked) = tracker.ask(&Question {
        point: Point::PreRemove,
        subject: Subject::container(&engine(), ID),
        facts: Arc::default(),
        observation: looked(21, ended(9, 20)).observation,
        detail: None,
        request: Some(Arc::new(Request {
            method: "DELETE".into(),
            uri: "/containers/web".into(),
            path: "/containers/web".into(),
            user: None,
            body: None,
        })),
        withheld: None,
        call: None,
        at: ms(21),
    });

    assert_eq!(points(&before), [Point::PostStop]);
    assert_eq!(asked.facts.addresses().ip, Some("172.17.0.2"));
    assert_eq!(asked.exit.and_then(|it| it.code), Some(3));
}

fn compared(at: i64, saw: Saw, process: Process) -> Signal {
    Signal { source: Source::Reconcile, ..told(at, saw) }.with(process)
}

fn restored(tracker: &mut Tracker) -> Tracker {
    let kept = tracker.changed().into_iter().filter_map(|(subject, life)| {
        let text = serde_json::to_string(&life?).expect("a life can be written");
        Some((subject, serde_json::from_str(&text).expect("a life can be read back")))
    });
    let mut restored = Tracker::default();
    restored.restore(kept.collect::<Vec<_>>());
    restored
}

#[test]
fn each_change_is_told_once_to_whoever_keeps_it_and_a_signal_that_changes_nothing_is_none() {
    let mut tracker = Tracker::default();
    see_all(&mut tracker, [told(0, Saw::Created), told(10, Saw::Started).with(running(9))]);

    let changed = tracker.changed();
    assert_eq!(changed.len(), 1);
    assert_eq!(changed[0].1.as_ref().map(|it| it.passage()), Some(1));
    assert!(tracker.changed().is_empty());

    see_all(&mut tracker, [looked(12, running(9))]);
    assert!(tracker.changed().is_empty());
    see_all(&mut tracker, [told(30, Saw::Removed)]);
    assert!(matches!(&tracker.changed()[..], [(_, None)]));
}

#[test]
fn a_restored_tracker_goes_on_as_the_old_one_would_have() {
    let mut old = Tracker::default();
    see_all(
        &mut old,
        [
            told(0, Saw::Created),
            told(10, Saw::Started).with(running(9)),
            told(18, Saw::Killed),
            looked(21, ended(9, 20)),
        ],
    );

    let mut new = restored(&mut old);
    let events = see_all(&mut new, [told(22, Saw::Ended { code: Some(3) }), told(30, Saw::Removed)]);

    assert_eq!(points(&events), [Point::PostRemove]);
    assert_eq!(events[0].exit.and_then(|it| it.code), Some(3));
    assert_eq!(events[0].reason, Some(Reason::Kill));
    assert_eq!(events[0].facts.name.as_deref(), Some("web"));
}

#[test]
fn what_is_found_on_a_new_engine_is_taken_as_it_was_and_what_it_did_since_is_told() {
    let found = |at, process| compared(at, Saw::Found { since: ms(10) }, process);
    for (process, expected) in [
        (Process::NeverStarted, &[][..]),
        (running(9), &[]),
        (ended(5, 9), &[]),
        (running(11), &[Point::PostStart]),
        (ended(5, 11), &[Point::PostStop]),
        (ended(11, 12), &[Point::PostStart, Point::PostStop]),
    ] {
        let mut tracker = Tracker::default();

        assert_eq!(points(&see_all(&mut tracker, [found(20, process)])), expected, "{process:?}");
    }
}

#[test]
fn what_is_found_where_all_was_known_has_been_made_in_between() {
    let mut tracker = Tracker::default();
    let found = compared(20, Saw::Found { since: Timestamp::MIN }, ended(11, 12));

    let events = see_all(&mut tracker, [found, told(13, Saw::Ended { code: Some(3) })]);

    assert_eq!(points(&events), [Point::PostCreate, Point::PostStart, Point::PostStop]);
    assert!(events.iter().all(|it| it.cause == Cause::Reconcile));
    assert_eq!(events[2].reason, Some(Reason::Unknown));
}

#[test]
fn an_engine_that_went_away_explains_the_end_of_what_ran() {
    let engine_gone = Signal::new(
        Subject::new(&engine(), SubjectKind::Engine, ""),
        Source::Authorization,
        ms(20),
        Saw::Reached(Point::DaemonStop),
    );
    let ends = [
        (vec![compared(40, Saw::Changed, ended(9, 30))], Reason::Daemon),
        (vec![compared(40, Saw::Changed, running(35))], Reason::Daemon),
        (vec![told(29, Saw::Killed), told(30, Saw::Ended { code: Some(143) })], Reason::Daemon),
        (vec![compared(25, Saw::Changed, running(9)), told(30, Saw::Ended { code: Some(0) })], Reason::Exit),
    ];
    for (signals, reason) in ends {
        let mut tracker = Tracker::default();
        see_all(&mut tracker, [told(0, Saw::Created), told(10, Saw::Started).with(running(9))]);
        see_all(&mut tracker, [engine_gone.clone()]);

        let events = see_all(&mut restored(&mut tracker), signals.clone());

        assert_eq!(events[0].reason, Some(reason), "{signals:?}");
    }
}

#[test]
fn a_start_that_a_look_announced_and_the_stream_lost_does_not_hide_the_next() {
    let mut tracker = Tracker::default();
    see_all(&mut tracker, [told(0, Saw::Created), looked(10, running(9))]);

    let events =
        see_all(&mut tracker, [told(60_000, Saw::Ended { code: Some(0) }), told(61_000, Saw::Started)]);
    assert_eq!(points(&events), [Point::PostStop, Point::PostStart]);

    let mut tracker = Tracker::default();
    see_all(&mut tracker, [told(0, Saw::Created), looked(10, running(9))]);
    let events = see_all(&mut tracker, [told(60_000, Saw::Started)]);
    assert_eq!(points(&events), [Point::PostStop, Point::PostStart]);
}

#[test]
fn another_name_is_told_once_whoever_sees_it_first() {
    let mut tracker = Tracker::default();
    see_all(&mut tracker, [told(0, Saw::Created).with(Process::NeverStarted)]);
    let mut renamed = compared(10, Saw::Changed, Process::NeverStarted);
    renamed.observation.as_mut().expect("it was looked up").facts.name = Some("www".into());
    let mut by_stream = told(9, Saw::Reached(Point::Rename));
    by_stream.told = Some(Box::new(facts("www")));

    let events = see_all(&mut tracker, [renamed, by_stream]);

    assert_eq!(points(&events), [Point::Rename]);
    assert_eq!(events[0].detail.as_ref().and_then(|it| it.old_name.as_deref()), Some("web"));
}

#[test]
fn what_an_answered_start_has_come_to_is_told() {
    let mut tracker = Tracker::default();
    see_all(&mut tracker, [told(0, Saw::Created)]);
    let mut answered = looked(10, running(9));
    answered.saw = Saw::Answered(CallKind::Start);

    assert_eq!(points(&see_all(&mut tracker, [answered])), [Point::PostStart]);
}

#[test]
fn only_what_runs_reaches_reconcile() {
    let mut tracker = Tracker::default();
    let reconcile = Signal { source: Source::Reconcile, ..told(10, Saw::Reached(Point::Reconcile)) };
    see_all(&mut tracker, [told(0, Saw::Created)]);
    assert_eq!(points(&see_all(&mut tracker, [reconcile.clone()])), []);

    see_all(&mut tracker, [told(10, Saw::Started).with(running(9))]);
    let events = see_all(&mut tracker, [reconcile]);

    assert_eq!((points(&events), events[0].cause), (vec![Point::Reconcile], Cause::Reconcile));
}

/// A volume is mounted or unmounted.
fn volume(at: i64, point: Point) -> Signal {
    let volume = VolumeDetail { name: Some("data".into()), ..VolumeDetail::default() };
    let detail = Detail { volume: Some(volume), ..Detail::default() };
    Signal { detail: Some(Arc::new(detail)), ..told(at, Saw::Reached(point)) }
}

#[test]
fn who_reaches_into_a_container_that_runs_makes_no_use_of_a_volume() {
    use Point::{VolumeMount as Mount, VolumeUnmount as Unmount};
    let start = |at| told(at, Saw::Started).with(running(at));
    let mut tracker = Tracker::default();

    let signals = [
        told(0, Saw::Created),
        volume(1, Mount),
        start(2),
        // Two copies at once.
        volume(3, Mount),
        volume(4, Mount),
        volume(5, Unmount),
        volume(6, Unmount),
        // Its end, as engines from 26 on tell it.
        volume(7, Unmount),
        told(8, Saw::Ended { code: Some(0) }),
        // A copy from what does not run is a use of its own.
        volume(9, Mount),
        volume(10, Unmount),
    ];
    let reached = signals.into_iter().flat_map(|it| tracker.see(it));
    let reached: Vec<_> = reached.map(|it| it.point).filter(|it| [Mount, Unmount].contains(it)).collect();

    assert_eq!(reached, [Mount, Unmount, Mount, Unmount]);
}

#[test]
fn a_mount_before_a_start_that_a_look_has_told_already_is_the_containers_own() {
    let mut tracker = Tracker::default();
    tracker.see(told(0, Saw::Created));
    tracker.see(looked(5, running(3)));

    let reached = tracker.see(volume(2, Point::VolumeMount));

    assert_eq!(reached.iter().map(|it| it.point).collect::<Vec<_>>(), [Point::VolumeMount]);
}
