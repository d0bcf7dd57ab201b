//! Which API calls are under way, so that what follows can be put down to them.
//!
//! Nothing in Docker's events says who asked. A call is remembered from the moment it is let
//! through until shortly after its answer; a change that fits it is its doing.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use super::signal::{Call, CallKind, Turn};

/// How many calls are remembered at once. A caller who opens more loses only the oldest `cause`.
const CALLS_MAX: usize = 1024;

/// How long a call without an answer is remembered: longer than an engine lets a volume plugin
/// take for a creation (120 s). A later plugin that denies it leaves a call without an answer.
const UNANSWERED_MAX: SignedDuration = SignedDuration::from_secs(600);

/// How long an answered call is remembered: engines from 23.0 on may tell the end of a container
/// shortly after they have answered `stop`.
const ANSWERED_MAX: SignedDuration = SignedDuration::from_secs(2);

/// The API calls under way.
#[derive(Debug, Default)]
pub(super) struct Calls {
    open: VecDeque<Open>,
}

#[derive(Debug)]
struct Open {
    call: Call,
    answered_at: Option<Timestamp>,
}

impl Calls {
    /// Takes note of a call that was let through or answered. True: it is a hook's own.
    ///
    /// Only a call that was let through as a hook's own is answered as one: whoever shows a secret
    /// that nobody has is anyone else.
    pub(super) fn note(&mut self, call: &Call) -> bool {
        self.forget_old(call.at);
        match call.turn {
            Turn::Opened => {
                if self.open.len() == CALLS_MAX {
                    self.open.pop_front();
                }
                self.open.push_back(Open { call: call.clone(), answered_at: None });
                call.nested.is_some()
            }
            Turn::Closed { .. } => {
                let mut open = self.open.iter_mut().filter(|it| it.answered_at.is_none() && it.asks_as(call));
                let same_caller = open.find(|it| it.call.nested == call.nested);
                let nested = same_caller.is_some() && call.nested.is_some();
                match same_caller {
                    Some(open) => open.answered_at = Some(call.at),
                    None => self.answer_anyone(call),
                }
                nested
            }
        }
    }

    fn answer_anyone(&mut self, call: &Call) {
        let anyones =
            |it: &&mut Open| it.answered_at.is_none() && it.call.nested.is_none() && it.asks_as(call);
        if let Some(open) = self.open.iter_mut().find(anyones) {
            open.answered_at = Some(call.at);
        }
    }

    /// Whether a hook's own creation is under way.
    pub(super) fn any_nested_create(&self) -> bool {
        self.open.iter().any(|it| {
            it.answered_at.is_none() && it.call.kind == CallKind::Create && it.call.nested.is_some()
        })
    }

    /// Whether a creation is under way, or was until just now.
    pub(super) fn any_create(&self) -> bool {
        self.open.iter().any(|it| it.call.kind == CallKind::Create)
    }

    /// The oldest call of one of `kinds` for the container known as `id` and `name`.
    pub(super) fn find(&self, kinds: &[CallKind], id: &str, name: Option<&str>) -> Option<CallKind> {
        self.open
            .iter()
            .map(|it| &it.call)
            .find_map(|it| (kinds.contains(&it.kind) && means(&it.target, id, name)).then_some(it.kind))
    }

    /// Forgets the calls of `kinds` for that container: what they asked for has come about.
    pub(super) fn settle(&mut self, kinds: &[CallKind], id: &str, name: Option<&str>) {
        self.open.retain(|it| !(kinds.contains(&it.call.kind) && means(&it.call.target, id, name)));
    }

    fn forget_old(&mut self, now: Timestamp) {
        self.open.retain(|it| match it.answered_at {
            Some(answered_at) => now.duration_since(answered_at) < ANSWERED_MAX,
            None => now.duration_since(it.call.at) < UNANSWERED_MAX,
        });
    }
}

impl Open {
    fn asks_as(&self, other: &Call) -> bool {
        self.call.kind == other.kind && self.call.target == other.target
    }
}

/// Whether a caller who writes `target` means the container: Docker tries the full id, the name,
/// then the id as a prefix.
fn means(target: &str, id: &str, name: Option<&str>) -> bool {
    let target = target.strip_prefix('/').unwrap_or(target);
    !target.is_empty() && (Some(target) == name || id.starts_with(target))
}
