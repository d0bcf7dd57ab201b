//! Which hooks may mean what a gate is asked about.
//!
//! Conditions have three values: one that does not hold with a part of the facts does not hold with all of them.
//! So a gate can be asked with what is had for nothing first, and most hooks are out before a body is read.

use std::sync::Arc;

use super::{Rules, Standing};
use crate::hook::{Hook, Match};
use crate::lifecycle::Question;

/// The hooks that may mean what a gate is asked about.
#[derive(Debug)]
pub struct Sieve {
    hooks: Vec<Arc<Hook>>,
    /// Whether everybody else is known not to mean it.
    is_complete: bool,
}

impl Sieve {
    /// The hooks of `rules` that may mean what `question` is about, by what it tells itself.
    pub(super) fn new(rules: &Rules, question: &Question) -> Sieve {
        if rules.standing == Standing::Unconfigured || question.has_past() {
            return Sieve { hooks: Vec::new(), is_complete: false };
        }
        let event = question.event();
        let may_mean = |it: &&Arc<Hook>| it.when.matches(&event) != Match::No;
        let hooks = rules.hooks.at(question.point).iter().filter(may_mean).cloned().collect();
        Sieve { hooks, is_complete: true }
    }

    /// Whether no hook means it, whatever else becomes known.
    pub fn is_empty(&self) -> bool {
        self.is_complete && self.hooks.is_empty()
    }

    /// The same after `question`, which is about the same thing, has become better known.
    pub fn sift(mut self, question: &Question) -> Sieve {
        let event = question.event();
        self.hooks.retain(|it| it.when.matches(&event) != Match::No);
        self
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;

    use super::{Rules, Sieve, Standing};
    use crate::hook::{Condition, Hook, HookName, HookSet, Pattern, Test};
    use crate::lifecycle::{EngineId, Facts, Point, PointSet, Question, Request, Subject, SubjectKind};

    fn hook(name: &str, test: Test) -> Arc<Hook> {
        Arc::new(Hook {
            at: PointSet::of(&[Point::PreCreate]),
            when: Condition { tests: vec![test] },
            ..Hook::named(HookName::parse(name).expect("a name"))
        })
    }

    fn rules(standing: Standing) -> Rules {
        let name = Test::Name(vec![Pattern::parse("db-*").expect("a pattern")]);
        let hooks = [hook("name", name), hook("privileged", Test::Privileged(true))];
        Rules { hooks: HookSet::new(&hooks), standing, ..Rules::default() }
    }

    fn creation(kind: SubjectKind, privileged: Option<bool>) -> Question {
        let facts = Facts { name: Some("web".into()), privileged, ..Facts::default() };
        let request = Request {
            method: "POST".into(),
            uri: "/containers/create".into(),
            path: "/containers/create".into(),
            user: None,
            body: None,
        };
        Question {
            point: Point::PreCreate,
            subject: Subject::new(&EngineId::new("E"), kind, "made-up"),
            facts: Arc::new(facts),
            observation: None,
            detail: None,
            request: Some(Arc::new(request)),
            withheld: None,
            call: None,
            at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn what_is_not_known_yet_keeps_a_hook_in_the_sieve() {
        let rules = rules(Standing::Configured);
        let sieve = |privileged| Sieve::new(&rules, &creation(SubjectKind::Creation, privileged));

        assert!(!sieve(None).is_empty());
        assert!(sieve(None).sift(&creation(SubjectKind::Creation, Some(false))).is_empty());
        assert!(!sieve(None).sift(&creation(SubjectKind::Creation, Some(true))).is_empty());
        assert!(sieve(Some(false)).is_empty());
    }

    #[test]
    fn nothing_falls_through_where_more_may_be_known_or_no_hooks_are() {
        let known = creation(SubjectKind::Container, Some(false));
        let new = creation(SubjectKind::Creation, Some(false));
        let unconfigured = rules(Standing::Unconfigured);

        assert!(!Sieve::new(&rules(Standing::Configured), &known).is_empty());
        assert!(!Sieve::new(&unconfigured, &new).is_empty());
        assert!(!Sieve::new(&unconfigured, &new).sift(&new).is_empty());
    }
}
