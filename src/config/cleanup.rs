//! The `cleanup` of a hook.
//!
//! A program runs as its hook's would: in the same directory, with the same environment, user and limits.
//! What it does, where it falls due, how long it may take and how often it is tried is its own.

use super::action::{Program, Surroundings};
use super::hook::{HookDraft, Setting};
use super::http::HttpDraft;
use super::node::{Node, Value};
use super::quantity::{self, Zero};
use super::report::{Report, Wrong};
use super::retry::{ATTEMPTS_MAX, Attempts};
use super::shape::{Preset, Shape};
use super::table::{Field, table};
use super::within::{Place, WithinDraft};
use super::{action, due, http, within};
use crate::hook::{Action, Cleanup, Deadline, Retry};
use crate::lifecycle::PointSet;

table! {
    /// `cleanup`, as written.
    CleanupDraft, "`cleanup`" {
        /// The program that cleans up, and the arguments, as in the hook itself.
        exec: Shape::Many(&Shape::Text),
        /// A script for `/bin/sh -eu` that cleans up.
        shell: Shape::Text,
        /// The server that cleans up when it is sent the document.
        http: Shape::Table(HttpDraft::keys),
        /// Where its program runs: on the `host`, on the host with the network of the container (`netns`), or
        /// in a container that runs already. Without a word where that of the hook runs.
        within as "in": Shape::Either(&[Shape::Words(|| within::WORDS.into()), Shape::Table(WithinDraft::keys)]),
        /// The points that make it due, the first that is reached; without a word the end of what the
        /// hook's own first point begins, mostly `post_stop`.
        at: Shape::OneOrMany(&Shape::Words(due::names)),
        /// How long one attempt may take before it is told to end; without a word that of `defaults`.
        timeout: Shape::Duration(Zero::Refused),
        /// How long after that it is killed; 0 at once. Without a word that of `defaults`.
        kill_after: Shape::Duration(Zero::Allowed),
        /// How often and how soon it is tried again when it fails.
        retry: Shape::Table(CleanupRetryDraft::keys),
    }
    later {}
    synonyms {
        "webhook": "http", "url": "http", "run": "exec", "command": "exec", "cmd": "exec", "script": "shell", "on": "at", "event": "at",
        "events": "at", "point": "at", "points": "at", "retries": "retry", "deadline": "timeout",
    }
    one_of { "exec", "shell", "http" }
}

table! {
    /// `retry` of a clean-up, as written.
    CleanupRetryDraft, "`cleanup.retry`" {
        /// All attempts, the first included. After the last it is given up, and stays listed.
        max_attempts: Shape::Number(1..=ATTEMPTS_MAX) => Preset::Number(Retry::OF_CLEANUP.max_attempts as u64),
        /// The pause before the second attempt; it doubles with each further one.
        delay: Shape::Duration(Zero::Allowed) => Preset::Span(Retry::OF_CLEANUP.delay),
        /// The longest pause.
        max_delay: Shape::Duration(Zero::Refused) => Preset::Span(Retry::OF_CLEANUP.max_delay),
    }
    later {}
    synonyms { "attempts": "max_attempts", "max": "max_attempts", "backoff": "delay", "interval": "delay" }
}

/// Keys of a hook that say how its processes are set up, the clean-up's included.
const OF_THE_HOOK: [&str; 7] =
    ["environment", "env_file", "user", "working_dir", "umask", "rlimits", "no_new_privileges"];

/// Whether the hook has a clean-up that runs a program, as far as what is written tells.
pub(super) fn runs_a_program(hook: &HookDraft) -> bool {
    hook.cleanup.as_ref().is_some_and(|it| it.value.get("exec").or(it.value.get("shell")).is_some())
}

/// The clean-up of a hook that listens `at` these points; `None` once everything wrong with it is in
/// `report`.
pub(super) fn resolve(
    hook: &HookDraft,
    at: Option<PointSet>,
    surroundings: Option<&Surroundings>,
    setting: &Setting<'_>,
    report: &mut Report,
) -> Option<Option<Cleanup>> {
    let Some(field) = &hook.cleanup else { return Some(None) };
    let mut node = field.value.clone();
    let own = take_out_the_hooks(&mut node, report);
    let draft = CleanupDraft::read(&node, report)?;
    if hook.debounce.is_some() {
        let message = "`cleanup` with `debounce`: what one run sets up for many events has no one end";
        report.push(
            field.key_span.clone(),
            Wrong::new("cleanup", message).help("remove one of the two, or make two hooks of it"),
        );
    }
    // What a `deny` is told about its clean-up is that nothing runs.
    let due = match hook.deny {
        Some(_) => None,
        None => due::resolve(field, draft.at.as_ref(), at, report),
    };
    let surroundings = draft.surroundings(hook, surroundings, due, report);
    let action = draft.action(surroundings.as_ref(), setting, report);
    let deadline = draft.deadline(setting, report);
    let retry = draft.retry(report);
    own.and(draft.outline.sound())?;
    Some(Some(Cleanup { at: due?, action: action?, deadline: deadline?, retry: retry? }))
}

/// Takes the keys out of the clean-up that only its hook may hold; `None` if there was one.
fn take_out_the_hooks(node: &mut Node, report: &mut Report) -> Option<()> {
    let Value::Map(entries) = &mut node.value else { return Some(()) };
    let mut sound = Some(());
    for it in entries.extract_if(.., |it| it.key == "when" || OF_THE_HOOK.contains(&it.key.as_str())) {
        let (message, help) = match it.key.as_str() {
            "when" => ("`when` in a `cleanup`: whatever was set up is cleaned up".to_owned(), "remove it"),
            key => (
                format!("`{key}` in a `cleanup`, which runs with that of its hook"),
                "write it beside `cleanup`, for both",
            ),
        };
        report.push(it.key_span, Wrong::new("misplaced", message).help(help));
        sound = None;
    }
    sound
}

impl CleanupDraft {
    /// How its program is set up: as that of the hook, if it does not say that it runs elsewhere.
    fn surroundings(
        &self,
        hook: &HookDraft,
        surroundings: Option<&Surroundings>,
        due: Option<PointSet>,
        report: &mut Report,
    ) -> Option<Surroundings> {
        let runs = self.exec.as_ref().or(self.shell.as_ref());
        let place_of_hook = match &hook.within {
            // What is wrong with it is in the report already.
            Some(field) => within::read(field, report)?,
            None => Place::Host,
        };
        let place = match &self.within {
            Some(field) => within::read(field, report)?,
            None => place_of_hook.clone(),
        };
        if let (Some(idle), None) = (&self.within, runs) {
            let wrong = Wrong::new("no-effect", "`in` means nothing for an `http`: no program runs");
            report.push(idle.key_span.clone(), wrong.help("remove it"));
        }
        if let (Some(field), Some(due), Some(program)) =
            (self.within.as_ref().or(hook.within.as_ref()), due, runs)
        {
            // A place that is the hook's is told where it shows: at the program that would run there.
            let at = Field {
                key_span: self.within.as_ref().map_or(&program.key_span, |_| &field.key_span).clone(),
                ..field.clone()
            };
            within::suits(&at, &place, due, report)?;
        }
        if !place.shares_programs_with(&place_of_hook)
            && let Some(key) = hook.of_one_place().next()
        {
            let message =
                format!("`{}` of a hook whose program and `cleanup` run in different places", key.key);
            let wrong = Wrong::new("in", message);
            report.push(key.key_span.clone(), wrong.help("let both run in one place, or remove it"));
            return None;
        }
        Some(surroundings?.clone().at(&place))
    }

    fn action(
        &self,
        surroundings: Option<&Surroundings>,
        setting: &Setting<'_>,
        report: &mut Report,
    ) -> Option<Action> {
        let written: Vec<&Field> = [&self.exec, &self.shell, &self.http].into_iter().flatten().collect();
        for extra in written.iter().skip(1) {
            let message =
                format!("`{}` and `{}` in one `cleanup`: it does one thing", written[0].key, extra.key);
            report.push(extra.key_span.clone(), Wrong::new("actions", message).help("remove one of them"));
        }
        let find = action::finder(surroundings, setting);
        let runs = |program: Option<Program>| program.and_then(|it| Some(surroundings?.exec(it)));
        let actions = [
            self.exec.as_ref().map(|it| runs(action::exec(it, find, report))),
            self.shell.as_ref().map(|it| runs(action::shell(it, find, report))),
            self.http.as_ref().map(|it| self.request(it, report)),
        ];
        if written.is_empty() {
            let wrong = Wrong::new("missing", "this `cleanup` does nothing");
            report.missing(
                &self.outline,
                &["exec", "shell", "http"],
                wrong.help("write `exec: [program, argument]`, `shell:` or `http:`"),
            );
        }
        actions.into_iter().flatten().next()?
    }

    fn request(&self, field: &Field, report: &mut Report) -> Option<Action> {
        if let Some(idle) = self.kill_after.as_ref().filter(|_| self.exec.is_none() && self.shell.is_none()) {
            let message = "`kill_after` means nothing for an `http`: no program runs";
            report.push(idle.key_span.clone(), Wrong::new("no-effect", message).help("remove it"));
        }
        http::request(field, report).map(Action::Http)
    }

    /// Where nothing is written it is that of `defaults`: what cleans up has no gate that waits for it.
    fn deadline(&self, setting: &Setting<'_>, report: &mut Report) -> Option<Deadline> {
        let inherited = setting.inherited.unwrap_or(Deadline::DEFAULT);
        let limit = report
            .parse_or(self.timeout.as_ref(), inherited.limit, |it| quantity::duration(it, Zero::Refused));
        let grace = report
            .parse_or(self.kill_after.as_ref(), inherited.grace, |it| quantity::duration(it, Zero::Allowed));
        Some(Deadline { limit: limit?, grace: grace? })
    }

    fn retry(&self, report: &mut Report) -> Option<Retry> {
        let Some(field) = &self.retry else { return Some(Retry::OF_CLEANUP) };
        let draft = CleanupRetryDraft::read(&field.value, report)?;
        let (max, delay) = (draft.max_attempts.as_ref(), draft.delay.as_ref());
        let attempts = Attempts { max, delay, max_delay: draft.max_delay.as_ref() };
        let retry = attempts.or(Retry::OF_CLEANUP, report);
        draft.outline.sound().and(retry)
    }
}
