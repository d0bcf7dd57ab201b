//! A condition as one would say it.

use std::fmt;

use super::condition::{Condition, ExitTest, LabelPattern, Obstacle, Test};
use super::logic::Match;
use super::pattern::Pattern;
use crate::lifecycle::{Cause, Point, Reason};

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tests.as_slice() {
            [] => f.write_str("always"),
            tests => f.write_str(&listed(tests, Test::to_string, " and ")),
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Test::Name(names) => write!(f, "name is {}", patterns(names)),
            Test::Image(images) => write!(f, "image is {}", patterns(images)),
            Test::Label(labels) => write!(f, "label {}", either(labels, label)),
            Test::Network(networks) => write!(f, "on network {}", patterns(networks)),
            Test::Mount(mounts) => write!(f, "mounts {}", patterns(mounts)),
            Test::Project(projects) => write!(f, "project is {}", patterns(projects)),
            Test::Service(services) => write!(f, "service is {}", patterns(services)),
            Test::User(users) => write!(f, "user is {}", patterns(users)),
            Test::Privileged(true) => f.write_str("privileged"),
            Test::Privileged(false) => f.write_str("not privileged"),
            Test::ExitCode(tests) => write!(f, "exit code is {}", either(tests, exit_code)),
            Test::Reason(reasons) => write!(f, "reason is {}", either(reasons, word(Reason::name))),
            Test::Cause(causes) => write!(f, "cause is {}", either(causes, word(Cause::name))),
            Test::Event(points) => {
                let points: Vec<Point> = points.iter().collect();
                write!(f, "event is {}", either(&points, word(Point::name)))
            }
            Test::Host { patterns: hosts, holds } => {
                let here = if *holds { "this one is" } else { "this one is not" };
                write!(f, "host is {} ({here})", patterns(hosts))
            }
            Test::Method(methods) => write!(f, "method is {}", patterns(methods)),
            Test::Path(paths) => write!(f, "path is {}", patterns(paths)),
            Test::Any(conditions) => write!(f, "any of {}", listed(conditions, bracketed, ", ")),
            Test::All(conditions) => write!(f, "all of {}", listed(conditions, bracketed, ", ")),
            Test::Not(condition) => write!(f, "not {}", bracketed(condition)),
        }
    }
}

impl fmt::Display for Obstacle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.found {
            Match::Unknown => write!(f, "not known whether `{}`", self.test),
            Match::No | Match::Yes => write!(f, "`{}` does not hold", self.test),
        }
    }
}

fn listed<T>(items: &[T], word: impl Fn(&T) -> String, between: &str) -> String {
    items.iter().map(word).collect::<Vec<_>>().join(between)
}

fn either<T>(items: &[T], word: impl Fn(&T) -> String) -> String {
    listed(items, word, " or ")
}

fn patterns(patterns: &[Pattern]) -> String {
    either(patterns, |it| it.as_str().to_owned())
}

fn word<T: Copy>(name: impl Fn(T) -> &'static str) -> impl Fn(&T) -> String {
    move |it| name(*it).to_owned()
}

/// A condition within another one, so that its `and` and `or` stay its own.
fn bracketed(condition: &Condition) -> String {
    format!("({condition})")
}

fn label(pattern: &LabelPattern) -> String {
    let value = pattern.value.as_ref().map(Pattern::as_str).filter(|it| *it != "*");
    value.map_or_else(|| pattern.key.clone(), |value| format!("{}={value}", pattern.key))
}

fn exit_code(test: &ExitTest) -> String {
    match test {
        ExitTest::Is(code) => code.to_string(),
        ExitTest::IsNot(code) => format!("not {code}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Condition, ExitTest, LabelPattern, Match, Obstacle, Pattern, Test};
    use crate::lifecycle::{Cause, Point, Reason};

    fn pattern(glob: &str) -> Pattern {
        Pattern::parse(glob).expect("the pattern is sound")
    }

    fn words(tests: Vec<Test>) -> String {
        Condition { tests }.to_string()
    }

    #[test]
    fn a_condition_reads_like_a_sentence() {
        let label = |value| LabelPattern { key: "zone".to_owned(), value };

        assert_eq!(words(vec![]), "always");
        assert_eq!(
            words(vec![
                Test::Name(vec![pattern("web-*"), pattern("db")]),
                Test::Label(vec![label(None), label(Some(pattern("~a|b"))), label(Some(pattern("*")))]),
                Test::Privileged(false),
            ]),
            "name is web-* or db and label zone or zone=~a|b or zone and not privileged"
        );
        assert_eq!(
            words(vec![Test::ExitCode(vec![ExitTest::IsNot(0)]), Test::Reason(vec![Reason::Oom])]),
            "exit code is not 0 and reason is oom"
        );
        assert_eq!(
            words(vec![
                Test::Cause(vec![Cause::Engine]),
                Test::Event([Point::PostStop, Point::PostRemove].into_iter().collect()),
                Test::host(vec![pattern("edge-*")], "edge-1"),
                Test::host(vec![pattern("core")], "edge-1"),
            ]),
            "cause is engine and event is post_stop or post_remove and host is edge-* (this one is) \
             and host is core (this one is not)"
        );
    }

    #[test]
    fn a_condition_within_another_keeps_to_itself() {
        let on = |network: &str| Test::Network(vec![pattern(network)]);
        let one = |test| Condition { tests: vec![test] };

        let any = Test::Any(vec![Condition { tests: vec![on("a"), Test::Privileged(true)] }, one(on("b"))]);

        assert_eq!(
            words(vec![any, Test::Not(one(Test::All(vec![one(on("c")), one(on("d"))])))]),
            "any of (on network a and privileged), (on network b) \
             and not (all of (on network c), (on network d))"
        );
    }

    #[test]
    fn an_obstacle_says_what_was_asked_for() {
        let test = Test::Mount(vec![pattern("/data")]);
        let said = |found| Obstacle { test: &test, found }.to_string();

        assert_eq!(said(Match::No), "`mounts /data` does not hold");
        assert_eq!(said(Match::Unknown), "not known whether `mounts /data`");
    }
}
