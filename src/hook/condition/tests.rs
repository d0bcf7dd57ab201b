//! Nested conditions against arithmetic: false is 0, true is 2, and unknown is between them.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::select;

use super::{Condition, Match, Pattern, Test};
use crate::lifecycle::{Cause, EngineId, Event, Facts, Point, Subject};

/// A container called `web`, of which nothing else is known.
fn event() -> Event {
    let facts = Facts { name: Some("web".to_owned()), ..Facts::default() };
    Event {
        point: Point::PostStart,
        subject: Subject::container(&EngineId::new("engine"), "c1"),
        passage: 1,
        at: jiff::Timestamp::UNIX_EPOCH,
        cause: Cause::Api,
        reason: None,
        exit: None,
        facts: Arc::new(facts),
        detail: None,
        request: None,
        nested: false,
    }
}

fn worth(found: Match) -> u8 {
    match found {
        Match::No => 0,
        Match::Unknown => 1,
        Match::Yes => 2,
    }
}

/// Tests of a container that is like that of [`event`], and what they are worth.
fn leaves() -> Vec<(Test, u8)> {
    let pattern = |glob: &str| vec![Pattern::parse(glob).expect("the pattern is sound")];
    vec![
        (Test::Name(pattern("w*")), 2),
        (Test::Cause(vec![Cause::Api]), 2),
        (Test::Name(pattern("db")), 0),
        (Test::Event([Point::PostStop].into_iter().collect()), 0),
        (Test::Image(pattern("*")), 1),
        (Test::User(pattern("*")), 1),
    ]
}

/// A condition of these tests, which are worth as much as the least of them.
fn together(tests: Vec<(Test, u8)>) -> (Condition, u8) {
    let worth = tests.iter().map(|it| it.1).min().unwrap_or(2);
    (Condition { tests: tests.into_iter().map(|it| it.0).collect() }, worth)
}

/// Tests with tests in them, up to four deep.
fn tests() -> impl Strategy<Value = (Test, u8)> {
    select(leaves()).prop_recursive(4, 40, 3, |inner| {
        let condition = vec(inner, 0..3).prop_map(together);
        let several = vec(condition.clone(), 1..4).prop_map(|it| it.into_iter().unzip());
        prop_oneof![
            several.clone().prop_map(|(conditions, worths): (Vec<_>, Vec<u8>)| {
                (Test::Any(conditions), worths.into_iter().max().unwrap_or(0))
            }),
            several.prop_map(|(conditions, worths): (Vec<_>, Vec<u8>)| {
                (Test::All(conditions), worths.into_iter().min().unwrap_or(2))
            }),
            condition.prop_map(|(condition, worth)| (Test::Not(condition), 2 - worth)),
        ]
    })
}

fn one(test: Test) -> Condition {
    Condition { tests: vec![test] }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn nested_conditions_agree_with_arithmetic((condition, expected) in vec(tests(), 0..3).prop_map(together)) {
        let found = condition.matches(&event());

        prop_assert_eq!(worth(found), expected, "{}", condition);
        let obstacle = condition.obstacle(&event());
        prop_assert_eq!(obstacle.map_or(Match::Yes, |it| it.found), found, "{}", condition);
    }

    #[test]
    fn de_morgan_holds(several in vec(vec(tests(), 0..3).prop_map(|it| together(it).0), 1..4)) {
        let each_not: Vec<Condition> = several.iter().map(|it| one(Test::Not(it.clone()))).collect();
        let matches = |test: Test| one(test).matches(&event());

        let not_any = matches(Test::Not(one(Test::Any(several.clone()))));
        let not_all = matches(Test::Not(one(Test::All(several))));

        prop_assert_eq!(not_any, matches(Test::All(each_not.clone())));
        prop_assert_eq!(not_all, matches(Test::Any(each_not)));
    }
}
