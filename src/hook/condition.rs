//! Whether a hook answers an event.
//!
//! A [`Condition`] is a pure function of the event, and has three values, because a container is
//! not always known as a whole: what asks about something unknown is unknown, and so is `not` of that.
//! What unknown means in the end is for those who ask. Matching allocates nothing.

use super::logic::Match;
use super::pattern::Pattern;
use crate::lifecycle::{
    Cause, Event, Facts, Mount, Point, PointSet, Reason, Request, SubjectKind, VolumeDetail,
};

/// The labels by which Compose tells a container's place.
const COMPOSE_PROJECT: &str = "com.docker.compose.project";
const COMPOSE_SERVICE: &str = "com.docker.compose.service";

/// The `when` of a hook: tests that must all hold. Without a test it always holds.
#[derive(Clone, Debug, Default)]
pub struct Condition {
    /// Each must hold.
    pub tests: Vec<Test>,
}

/// One key of a `when`. A list holds if one of its elements does.
#[derive(Clone, Debug)]
pub enum Test {
    /// The name of the container; at points of networks, volumes and images, of those.
    Name(Vec<Pattern>),
    /// The image as given at create; at points of images, that image.
    Image(Vec<Pattern>),
    /// A label. Of a creation, those that the call asks for: the image's join when it exists.
    Label(Vec<LabelPattern>),
    /// The name of the network that the event is about; of other events, of any network that the
    /// container is attached to, or asks to be.
    Network(Vec<Pattern>),
    /// The name of the volume that the event is about, or where it is mounted; of other events, the
    /// volume, source or destination of any mount of the container.
    Mount(Vec<Pattern>),
    /// The Compose project. A container without one has none that could match.
    Project(Vec<Pattern>),
    /// The Compose service, likewise.
    Service(Vec<Pattern>),
    /// The API client: the common name of its certificate. A client on a Unix socket shows none and
    /// is nobody: no pattern matches it, not even `*`.
    User(Vec<Pattern>),
    /// Whether the container is privileged.
    Privileged(bool),
    /// The exit status.
    ExitCode(Vec<ExitTest>),
    /// Why it ended.
    Reason(Vec<Reason>),
    /// Who brought the event about.
    Cause(Vec<Cause>),
    /// The point that was reached.
    Event(PointSet),
    /// The name of this host.
    Host {
        /// What was written.
        patterns: Vec<Pattern>,
        /// Whether this host has such a name; it keeps it for as long as the daemon runs.
        holds: bool,
    },
    /// The method of the API call that a gate is about.
    Method(Vec<Pattern>),
    /// The path of that call: [`Request::path`].
    Path(Vec<Pattern>),
    /// `any`: one of them must hold.
    Any(Vec<Condition>),
    /// `all`: each must hold.
    All(Vec<Condition>),
    /// `not`: it must not hold.
    Not(Condition),
}

/// A label that must be there, and perhaps a value that it must have.
#[derive(Clone, Debug)]
pub struct LabelPattern {
    /// The key, to the letter.
    pub key: String,
    /// What the value must match; `None`: any value will do.
    pub value: Option<Pattern>,
}

/// A comparison with an exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitTest {
    /// `3`
    Is(i64),
    /// `"!=0"`
    IsNot(i64),
}

/// What keeps a condition from holding; shown, it is a sentence about it.
#[derive(Clone, Copy, Debug)]
pub struct Obstacle<'a> {
    /// The first test that settles it.
    pub test: &'a Test,
    /// What became of it: [`Match::No`], or [`Match::Unknown`] if none was `No`.
    pub found: Match,
}

impl Condition {
    /// Whether a hook with this condition answers `event`.
    pub fn matches(&self, event: &Event) -> Match {
        Match::all(self.tests.iter().map(|test| test.holds(event)))
    }

    /// What keeps the condition from holding for `event`; `None` if it holds.
    pub fn obstacle(&self, event: &Event) -> Option<Obstacle<'_>> {
        let found = self.matches(event);
        let test = || self.tests.iter().find(|it| it.holds(event) == found);
        (found != Match::Yes).then(test).flatten().map(|test| Obstacle { test, found })
    }

    /// Whether it holds for every event: it has no tests.
    pub fn is_always(&self) -> bool {
        self.tests.is_empty()
    }
}

impl Test {
    /// The test for a host called `host`.
    pub fn host(patterns: Vec<Pattern>, host: &str) -> Test {
        let holds = patterns.iter().any(|it| it.matches(host));
        Test::Host { patterns, holds }
    }

    fn holds(&self, event: &Event) -> Match {
        let facts = &*event.facts;
        match self {
            Test::Name(patterns) => one_of(patterns, facts.name.as_deref()),
            Test::Image(patterns) => one_of(patterns, facts.image.as_deref()),
            Test::Label(patterns) => known(facts.labels.as_ref(), |_| {
                patterns.iter().any(|it| facts.label(&it.key).is_some_and(|value| it.takes(value)))
            }),
            Test::Network(patterns) => network(patterns, event),
            Test::Mount(patterns) => mount(patterns, event),
            Test::Project(patterns) => compose(patterns, facts, COMPOSE_PROJECT),
            Test::Service(patterns) => compose(patterns, facts, COMPOSE_SERVICE),
            Test::Privileged(wanted) => known(facts.privileged.as_ref(), |it| it == wanted),
            Test::ExitCode(tests) => known(event.exit.and_then(|it| it.code).as_ref(), |code| {
                tests.iter().any(|test| test.takes(*code))
            }),
            Test::Reason(wanted) => match event.reason {
                None => Match::Unknown,
                Some(Reason::Unknown) if !wanted.contains(&Reason::Unknown) => Match::Unknown,
                Some(reason) => Match::from_bool(wanted.contains(&reason)),
            },
            Test::Cause(wanted) => Match::from_bool(wanted.contains(&event.cause)),
            Test::Event(points) => Match::from_bool(points.contains(event.point)),
            Test::Host { holds, .. } => Match::from_bool(*holds),
            Test::User(patterns) => {
                asked(event, |it| it.user.as_deref().is_some_and(|user| any_matches(patterns, user)))
            }
            Test::Method(patterns) => asked(event, |it| any_matches(patterns, &it.method)),
            Test::Path(patterns) => asked(event, |it| any_matches(patterns, &it.path)),
            Test::Any(conditions) => Match::any(conditions.iter().map(|it| it.matches(event))),
            Test::All(conditions) => Match::all(conditions.iter().map(|it| it.matches(event))),
            Test::Not(condition) => condition.matches(event).negated(),
        }
    }

    /// The key in the configuration.
    pub const fn key(&self) -> &'static str {
        match self {
            Test::Name(_) => "name",
            Test::Image(_) => "image",
            Test::Label(_) => "label",
            Test::Network(_) => "network",
            Test::Mount(_) => "mount",
            Test::Project(_) => "project",
            Test::Service(_) => "service",
            Test::User(_) => "user",
            Test::Privileged(_) => "privileged",
            Test::ExitCode(_) => "exit_code",
            Test::Reason(_) => "reason",
            Test::Cause(_) => "cause",
            Test::Event(_) => "event",
            Test::Host { .. } => "host",
            Test::Method(_) => "method",
            Test::Path(_) => "path",
            Test::Any(_) => "any",
            Test::All(_) => "all",
            Test::Not(_) => "not",
        }
    }

    /// Whether what it asks about can ever be known at `point`. How a container ended is known from
    /// its first end on, and of API calls only gates are told. Of `any`, `all` and `not` it is the
    /// tests within that ask.
    pub const fn can_be_known_at(&self, point: Point) -> bool {
        use SubjectKind as Kind;
        let of = point.subject();
        match self {
            Test::Name(_) => !matches!(of, Kind::Engine | Kind::Call),
            Test::Image(_) => matches!(of, Kind::Container | Kind::Image),
            // The engine's events tell labels of containers only.
            Test::Label(_) | Test::Project(_) | Test::Service(_) => {
                matches!(of, Kind::Container)
                    || (matches!(of, Kind::Network | Kind::Volume) && point.asks_about_calls())
            }
            Test::Network(_) => matches!(of, Kind::Container | Kind::Network),
            Test::Mount(_) => matches!(of, Kind::Container | Kind::Volume),
            Test::Privileged(_) => matches!(of, Kind::Container),
            Test::ExitCode(_) | Test::Reason(_) => matches!(point, Point::PostStop | Point::PostRemove),
            Test::User(_) | Test::Method(_) | Test::Path(_) => point.asks_about_calls(),
            Test::Cause(_) | Test::Event(_) | Test::Host { .. } => true,
            Test::Any(_) | Test::All(_) | Test::Not(_) => true,
        }
    }
}

impl LabelPattern {
    fn takes(&self, value: &str) -> bool {
        self.value.as_ref().is_none_or(|it| it.matches(value))
    }
}

impl ExitTest {
    const fn takes(self, code: i64) -> bool {
        match self {
            ExitTest::Is(wanted) => code == wanted,
            ExitTest::IsNot(unwanted) => code != unwanted,
        }
    }
}

fn known<T>(value: Option<&T>, holds: impl FnOnce(&T) -> bool) -> Match {
    value.map_or(Match::Unknown, |it| Match::from_bool(holds(it)))
}

fn one_of(patterns: &[Pattern], value: Option<&str>) -> Match {
    value.map_or(Match::Unknown, |it| Match::from_bool(any_matches(patterns, it)))
}

fn any_matches(patterns: &[Pattern], value: &str) -> bool {
    patterns.iter().any(|it| it.matches(value))
}

/// A label that Compose sets. Where labels are known and it is not among them, there is none.
fn compose(patterns: &[Pattern], facts: &Facts, key: &str) -> Match {
    known(facts.labels.as_ref(), |_| facts.label(key).is_some_and(|it| any_matches(patterns, it)))
}

/// The network of an event that is about one is meant, not those that the container is also on.
fn network(patterns: &[Pattern], event: &Event) -> Match {
    match event.detail.as_ref().and_then(|it| it.network.as_ref()) {
        Some(network) => one_of(patterns, network.name.as_deref()),
        None => known(event.facts.networks.as_ref(), |networks| {
            networks.iter().any(|it| any_matches(patterns, &it.name))
        }),
    }
}

fn mount(patterns: &[Pattern], event: &Event) -> Match {
    match event.detail.as_ref().and_then(|it| it.volume.as_ref()) {
        Some(VolumeDetail { name, destination, .. }) => match destination.as_deref() {
            Some(destination) if any_matches(patterns, destination) => Match::Yes,
            _ => one_of(patterns, name.as_deref()),
        },
        None => known(event.facts.mounts.as_ref(), |mounts| mounts.iter().any(|it| is_mount(patterns, it))),
    }
}

fn is_mount(patterns: &[Pattern], mount: &Mount) -> bool {
    let Mount { name, source, destination, .. } = mount;
    let names = [name.as_deref(), source.as_deref(), Some(destination.as_str())];
    names.into_iter().flatten().any(|it| any_matches(patterns, it))
}

/// Something about the API call. An event without one was not asked for by any.
fn asked(event: &Event, holds: impl FnOnce(&Request) -> bool) -> Match {
    known(event.request.as_deref(), holds)
}

#[cfg(test)]
mod tests;
