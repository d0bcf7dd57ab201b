//! One hook, from what was written to what will run.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::action::Surroundings;
use super::cleanup::CleanupDraft;
use super::condition::ConditionDraft;
use super::http::HttpDraft;
use super::program::Find;
use super::quantity::{self, Zero, show_duration};
use super::report::{Place, Report, Wrong, quoted};
use super::retry::{ATTEMPTS_MAX, Attempts};
use super::scalar;
use super::shape::{NAME, Preset, Shape};
use super::sharing::{ConcurrencyDraft, DebounceDraft};
use super::table::{Field, table};
use super::ties::{Manner, Tied};
use super::within::{Place as Within, WithinDraft};
use super::{action, cleanup, condition, point, sharing, within};
use crate::hook::{Deadline, Hook, HookName, Mode, OnFailure, Retry};
use crate::launch::Resource;
use crate::lifecycle::{Point, PointSet};

/// The words of `on_failure`.
const ON_FAILURE: [(&str, OnFailure); 3] =
    [("deny", OnFailure::Deny), ("ignore", OnFailure::Ignore), ("stop", OnFailure::Stop)];

/// The words of `mode`, the default first.
const MODES: [(&str, Mode); 2] = [("enforce", Mode::Enforce), ("audit", Mode::Audit)];

table! {
    /// A hook, as written.
    HookDraft, "a hook" {
        /// What messages, logs and the journal call it; no other hook of the file has the name.
        name: Shape::Matching(NAME),
        /// The points of a life at which it runs. At `pre_` points and at `net_ready` docker waits for its answer.
        at: Shape::OneOrMany(&Shape::Words(|| Point::ALL.iter().map(|it| it.name()).collect())),
        /// Which of the events at these points it answers; all of them, if nothing is written.
        when: Shape::Table(ConditionDraft::keys),
        /// The program that it runs, and the arguments. A program with a slash in it is relative to this file.
        exec: Shape::Many(&Shape::Text),
        /// A script for `/bin/sh -eu`. What is known of the container is in its environment.
        shell: Shape::Text,
        /// The server that it sends the document to, which is what a program finds on its standard input.
        http: Shape::Table(HttpDraft::keys),
        /// The message with which it says no, without running anything. Only at gates.
        deny: Shape::Line(action::MESSAGE_CHARS_MAX),
        /// How long one attempt may take before it is told to end.
        timeout: Shape::Duration(Zero::Refused),
        /// How long after that it is killed; 0 at once.
        kill_after: Shape::Duration(Zero::Allowed),
        /// What its failure means. Without a word a gate denies, and elsewhere it is ignored.
        on_failure: Shape::Words(|| ON_FAILURE.map(|it| it.0).into()),
        /// How what it has set up is cleaned up. It is owed as soon as the hook has begun to set it up.
        cleanup: Shape::Table(CleanupDraft::keys),
        /// Whether its denials count, or are only recorded.
        mode: Shape::Words(|| MODES.map(|it| it.0).into()) => Preset::Text(MODES[0].0),
        /// How often and how soon it is tried again when it fails; not at all, unless it exits with 75.
        retry: Shape::Table(RetryDraft::keys),
        /// With which hooks it shares a bound on how many of their runs there are at once.
        concurrency: Shape::Table(ConcurrencyDraft::keys),
        /// One run for events that come close together. Not at gates.
        debounce: Shape::Table(DebounceDraft::keys),
        /// The hooks that it runs after, at points that both have; otherwise the order of the file counts.
        after: Shape::OneOrMany(&Shape::Matching(NAME)),
        /// Variables of its own, beside those of the contract with scripts.
        environment: Shape::Either(&[Shape::Mapping(&Shape::Text), Shape::List(&Shape::Matching("="))]),
        /// Whether it also answers for containers that hooks made.
        nested: Shape::Boolean => Preset::Flag(false),
        /// A file, or several, with `NAME=value` lines; relative to this file.
        env_file: Shape::OneOrMany(&Shape::Text),
        /// Where its program runs: on the `host`, on the host with the network of the container (`netns`), or
        /// in a container that runs already.
        within as "in": Shape::Either(&[Shape::Words(|| within::WORDS.into()), Shape::Table(WithinDraft::keys)]) => Preset::Text(within::WORDS[0]),
        /// As whom it runs: a name or a number, and perhaps a group: `deploy`, `1000:1000`.
        user: Shape::Text,
        /// The directory in which it runs, relative to this file; without a word that of this file.
        working_dir: Shape::Text,
        /// The permission bits that files of its own do not get, in octal digits: `022`.
        umask: Shape::Matching("^(0o)?[0-7]{3,4}$"),
        /// What it may use, by the names of `ulimit`: `64`, `64:128` or `unlimited`; sizes and times have units.
        rlimits: Shape::Keyed(|| Resource::ALL.map(Resource::name).into(), &Shape::Text),
        /// Whether programs with the set-user-ID bit give it nothing.
        no_new_privileges: Shape::Boolean => Preset::Flag(false),
    }
    later {
        "labels",
    }
    synonyms {
        "run": "exec", "command": "exec", "cmd": "exec", "script": "shell", "message": "deny",
        "env": "environment", "on": "at", "event": "at", "events": "at", "point": "at", "points": "at",
        "if": "when", "match": "when", "filter": "when", "label": "when", "image": "when",
        "retries": "retry", "deadline": "timeout", "cwd": "working_dir", "workdir": "working_dir",
        "ulimits": "rlimits", "limits": "rlimits", "where": "in", "inside": "in", "netns": "in", "container": "in", "environment_file": "env_file",
        "group": "concurrency", "parallelism": "concurrency", "throttle": "debounce", "batch": "debounce",
        "webhook": "http", "url": "http", "depends_on": "after", "needs": "after", "requires": "after", "order": "after",
    }
    required { "name", "at" }
    one_of { "exec", "shell", "http", "deny" }
}

table! {
    /// `retry`, as written.
    RetryDraft, "`retry`" {
        /// All attempts, the first included.
        max_attempts: Shape::Number(1..=ATTEMPTS_MAX) => Preset::Number(Retry::ON_REQUEST.max_attempts as u64),
        /// The pause before the second attempt; it doubles with each further one.
        delay: Shape::Duration(Zero::Allowed) => Preset::Span(Retry::ON_REQUEST.delay),
        /// The longest pause.
        max_delay: Shape::Duration(Zero::Refused) => Preset::Span(Retry::ON_REQUEST.max_delay),
    }
    later {}
    synonyms { "attempts": "max_attempts", "max": "max_attempts", "backoff": "delay", "interval": "delay" }
}

/// A hook and its ties to others.
pub(super) struct Declared {
    /// `None` once everything wrong with it is in the report.
    pub(super) hook: Option<Hook>,
    pub(super) tied: Tied,
}

/// What a hook is read with: things of its file and of the whole that are not its own.
pub(super) struct Setting<'a> {
    /// The directory of the file, absolute.
    pub(super) directory: &'a Path,
    pub(super) find: Find<'a>,
    /// The name of this host.
    pub(super) host: &'a str,
    /// How long a hook may take that does not say; `None` if that could not be read.
    pub(super) inherited: Option<Deadline>,
    /// The longest that a gate may take; `None` if that could not be read.
    pub(super) gate_deadline: Option<Duration>,
    /// What is wrong with `inherited` for a hook at a gate.
    pub(super) fits_gates: Option<(Place, Wrong)>,
}

impl HookDraft {
    /// The hook this draft describes.
    pub(super) fn resolve(&self, setting: &Setting<'_>, report: &mut Report) -> Declared {
        // All parts before any is required, so that one `check` shows every mistake.
        let name = self.name(report);
        let at = self.at(report);
        let when = condition::resolve(self.when.as_ref(), at, setting.host, report);
        let place = self.place(at, report);
        let surroundings = Surroundings::resolve(self, place.as_ref(), setting, report);
        let action = action::resolve(self, at, surroundings.as_ref(), setting, report);
        let cleanup = cleanup::resolve(self, at, surroundings.as_ref(), setting, report);
        let deadline = self.deadline(at, setting, report);
        let on_failure = self.on_failure(at, report);
        let mode = self.mode(at, report);
        let retry = match &self.retry {
            None => Some(None),
            Some(field) => RetryDraft::read(&field.value, report).and_then(|it| it.resolve(report)).map(Some),
        };
        let nested = report.parse_or(self.nested.as_ref(), false, scalar::boolean);
        let group = sharing::group(self.concurrency.as_ref(), report);
        let debounce = sharing::debounce(self, at, report);
        let after = sharing::after(self, report);
        let tied = Tied {
            name: name.clone(),
            at,
            manner: self.manner(),
            group: group.clone().flatten(),
            after: after.clone().unwrap_or_default(),
        };
        let hook = || {
            self.outline.sound()?;
            Some(Hook {
                name: name?,
                at: at?,
                when: when?,
                action: action?,
                deadline: deadline?,
                on_failure: on_failure?,
                mode: mode?,
                cleanup: cleanup?.map(Arc::new),
                after: after?.iter().filter_map(|(written, _)| HookName::parse(written)).collect(),
                group: group?.map(|(group, _)| group),
                debounce: debounce?,
                retry: retry?,
                nested: nested?,
            })
        };
        Declared { hook: hook(), tied }
    }

    fn manner(&self) -> Manner {
        match (&self.debounce, &self.deny) {
            (Some(_), _) => Manner::Debounced,
            (None, Some(_)) => Manner::AtOnce,
            (None, None) => Manner::InTurn,
        }
    }

    fn name(&self, report: &mut Report) -> Option<HookName> {
        let Some(field) = &self.name else {
            let wrong = Wrong::new("missing", "this hook has no name");
            report.missing(
                &self.outline,
                &["name"],
                wrong.help("write `name:` and what messages shall call it"),
            );
            return None;
        };
        report.parse(field, |node| {
            let text = scalar::nonempty(node)?;
            HookName::parse(text).ok_or_else(|| {
                Wrong::new("name", format!("cannot be {}", quoted(text)))
                    .help("use 1 to 64 letters, digits, `.`, `_`, `-`, the first a letter or digit")
            })
        })
    }

    fn at(&self, report: &mut Report) -> Option<PointSet> {
        let Some(field) = &self.at else {
            let wrong = Wrong::new("missing", "this hook does not say at which point it runs");
            report.missing(
                &self.outline,
                &["at"],
                wrong.help("write `at:` and a point, such as `post_start`"),
            );
            return None;
        };
        point::read(field, report)
    }

    fn deadline(&self, at: Option<PointSet>, setting: &Setting<'_>, report: &mut Report) -> Option<Deadline> {
        let inherited = setting.inherited.unwrap_or(Deadline::DEFAULT);
        let gates = at.is_some_and(has_gate);
        // What a `deny` is told about its timeout is that it has none.
        let runs = self.deny.is_none();
        let limit = report.parse_or(self.timeout.as_ref(), inherited.limit, |node| {
            let limit = quantity::duration(node, Zero::Refused)?;
            match setting.gate_deadline {
                Some(gate) if gates && runs && limit > gate => Err(too_long_for_a_gate(limit, gate)),
                _ => Ok(limit),
            }
        });
        if let Some((place, wrong)) = &setting.fits_gates
            && gates
            && runs
            && self.timeout.is_none()
            && !self.outline.settles(&["timeout"])
        {
            report.push_at(place.clone(), wrong.clone());
        }
        let grace = report.parse_or(self.kill_after.as_ref(), inherited.grace, |node| {
            quantity::duration(node, Zero::Allowed)
        });
        Some(Deadline { limit: limit?, grace: grace? })
    }

    /// Where its program runs. Where no program of its own does, the word is for that of its clean-up.
    fn place(&self, at: Option<PointSet>, report: &mut Report) -> Option<Within> {
        let Some(field) = &self.within else { return Some(Within::Host) };
        let place = within::read(field, report)?;
        if place == Within::Netns && self.debounce.is_some() {
            let message = "`in: netns` with `debounce`: its run belongs to no one container";
            report.push(field.key_span.clone(), Wrong::new("in", message).help("remove one of the two"));
            return None;
        }
        if let Some(at) = at
            && (self.exec.is_some() || self.shell.is_some())
        {
            within::suits(field, &place, at, report)?;
        }
        Some(place)
    }

    /// Without a word of the file: what a gate is for, and nothing elsewhere. A hook that has both
    /// kinds of points denies at its gates; outside of them there is nobody to deny.
    fn on_failure(&self, at: Option<PointSet>, report: &mut Report) -> Option<OnFailure> {
        let Some(field) = &self.on_failure else {
            return Some(if has_gate(at?) { OnFailure::Deny } else { OnFailure::Ignore });
        };
        report.parse(field, |node| {
            let meant = scalar::one_of(node, &ON_FAILURE)?;
            if meant == OnFailure::Stop && self.debounce.is_some() {
                return Err(Wrong::new(
                    "on-failure",
                    "cannot be `stop` with `debounce`: its run belongs to no one container",
                )
                .help("remove one of the two"));
            }
            match at.filter(|_| self.deny.is_none()).and_then(|at| misplaced(meant, at)) {
                Some(wrong) => Err(wrong),
                None => Ok(meant),
            }
        })
    }

    fn mode(&self, at: Option<PointSet>, report: &mut Report) -> Option<Mode> {
        report.parse_or(self.mode.as_ref(), Mode::default(), |node| {
            let mode = scalar::one_of(node, &MODES)?;
            match at {
                Some(at) if mode == Mode::Audit && !has_gate(at) => Err(Wrong::new(
                    "mode",
                    "cannot be `audit` here: none of this hook's points is a gate, it denies nothing",
                )
                .help("remove it, or listen at a `pre_` point")),
                _ => Ok(mode),
            }
        })
    }

    /// The keys of this hook that only mean something if it does more than to say no.
    pub(super) fn of_a_run(&self) -> impl Iterator<Item = &Field> {
        let keys =
            [&self.timeout, &self.on_failure, &self.cleanup, &self.retry, &self.concurrency, &self.debounce];
        keys.into_iter().flatten().chain(self.of_a_process())
    }

    /// The keys of this hook that only mean something if it runs a program.
    pub(super) fn of_a_process(&self) -> impl Iterator<Item = &Field> {
        let keys = [&self.kill_after, &self.within, &self.environment, &self.env_file];
        keys.into_iter().flatten().chain(self.of_one_place())
    }

    /// The keys of this hook that mean one thing on the host and another, or nothing, in a container.
    pub(super) fn of_one_place(&self) -> impl Iterator<Item = &Field> {
        [&self.user, &self.working_dir].into_iter().flatten().chain(self.of_the_host())
    }

    /// The keys of this hook that only mean something for a process on the host.
    pub(super) fn of_the_host(&self) -> impl Iterator<Item = &Field> {
        [&self.umask, &self.rlimits, &self.no_new_privileges].into_iter().flatten()
    }
}

/// Whether Docker waits for an answer at one of the points, if only about some things.
pub(super) fn has_gate(at: PointSet) -> bool {
    at.iter().any(Point::may_be_gate)
}

/// What is wrong with meaning `meant` by a failure at these points.
fn misplaced(meant: OnFailure, at: PointSet) -> Option<Wrong> {
    match meant {
        OnFailure::Deny if !has_gate(at) => Some(
            Wrong::new(
                "on-failure",
                "cannot be `deny` here: none of this hook's points is a gate, nobody waits for its answer",
            )
            .help("remove it, or listen at a `pre_` point"),
        ),
        OnFailure::Stop => at.iter().find(|it| !it.may_run()).map(|point| {
            Wrong::new(
                "on-failure",
                format!("cannot be `stop` at `{point}`: no container runs there that could be stopped"),
            )
            .help("use `stop` only at `post_start`, `healthy` and `unhealthy`; write `ignore`, or `deny` at a gate")
        }),
        OnFailure::Deny | OnFailure::Ignore => None,
    }
}

fn too_long_for_a_gate(limit: Duration, gate: Duration) -> Wrong {
    let (limit, gate) = (show_duration(limit), show_duration(gate));
    Wrong::new("gate-deadline", format!("is {limit}, but at a gate `gate_deadline` allows {gate} in all"))
        .help(format!("write `timeout: {gate}` or less, or raise `gate_deadline`"))
}

impl RetryDraft {
    fn resolve(&self, report: &mut Report) -> Option<Retry> {
        let (max, delay) = (self.max_attempts.as_ref(), self.delay.as_ref());
        let attempts = Attempts { max, delay, max_delay: self.max_delay.as_ref() };
        let retry = attempts.or(Retry::ON_REQUEST, report);
        self.outline.sound().and(retry)
    }
}
