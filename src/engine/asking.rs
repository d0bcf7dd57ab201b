//! A gate's question: decided at once where that is possible, else by programs.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::warn;

use super::gate::{self, Gate, Room};
use super::work::{Done, Work};
use super::{Rules, Standing};
use crate::hook::{Action, Hook, Match, Mode};
use crate::journal;
use crate::lifecycle::{Event, Point, Question, Stage, Subject, SubjectKind, Verdict};
use crate::run::Conclusion;

/// How many gates may run programs at once. Docker makes every client wait that is behind a gate;
/// this keeps a storm of them from filling the process table.
const GATES_MAX: usize = 64;

enum Decision {
    Now(Verdict),
    Run(Arc<Event>, Vec<Arc<Hook>>),
}

/// The hooks of a point that are still to be asked.
enum Left {
    All,
    /// Those that a restart has put off: what has a clean-up.
    PutOff,
    None,
}

impl Left {
    fn holds(&self, hook: &Hook) -> bool {
        match self {
            Left::All => true,
            Left::PutOff => hook.cleanup.is_some(),
            Left::None => false,
        }
    }
}

impl Work {
    /// Answers a question, now or when the programs of a gate have.
    pub(super) fn ask(&mut self, question: &Question, reply: oneshot::Sender<Verdict>) {
        let (before, event) = self.tracker.ask(question);
        self.reach_all(before);
        let rules = self.rules.load_full();
        let verdict = match self.decide(&rules, question, event) {
            Decision::Now(verdict) => verdict,
            Decision::Run(event, hooks) => return self.open_gate(rules, &event, hooks, question, reply),
        };
        // Nobody waits any more if dockerd went away.
        let _ = reply.send(verdict);
    }

    /// Which hooks have not been asked about the same start before. Where a driver tells of a start that
    /// a client has asked for they have been, but for those that a restart has put off.
    fn left_to_ask(&self, question: &Question) -> Left {
        if question.point != Point::PreStart || !question.is_of_driver() {
            return Left::All;
        }
        let put_off = self.at_next_start.get(&question.subject).is_some_and(|it| !it.is_empty());
        match (put_off, self.tracker.is_start_asked_for(&question.subject)) {
            (true, _) => Left::PutOff,
            (false, true) => Left::None,
            (false, false) => Left::All,
        }
    }

    fn decide(&mut self, rules: &Rules, question: &Question, event: Event) -> Decision {
        let point = event.point;
        if rules.standing == Standing::Unconfigured {
            return Decision::Now(rules.undecided(point, "there is no valid configuration"));
        }
        let event = Arc::new(event);
        let mut matching = Vec::new();
        let left = self.left_to_ask(question);
        let hooks = rules.hooks.at(point).iter();
        for hook in hooks.filter(|it| (it.nested || !event.nested) && left.holds(it)) {
            let matches = hook.when.matches(&event);
            match (matches, question.withheld, hook.mode) {
                (Match::No, ..) => {}
                (Match::Yes, None, _) => matching.push(hook.clone()),
                (_, Some(withheld), Mode::Audit) => {
                    warn!(hook = %hook.name, %point, %withheld, "would have denied a call that cannot be read (audit)");
                }
                (Match::Unknown, None, Mode::Audit) => {}
                (_, Some(withheld), Mode::Enforce) => {
                    warn!(hook = %hook.name, %point, %withheld, "denied a call that cannot be read");
                    let message = format!("hook `{}` has to see this call, but {withheld}", hook.name);
                    return Decision::Now(Verdict::Deny { message });
                }
                (Match::Unknown, None, Mode::Enforce) => {
                    let why = format!("not known whether hook `{}` matches", hook.name);
                    match rules.undecided(point, &why) {
                        Verdict::Allow => {}
                        deny => return Decision::Now(deny),
                    }
                }
            }
        }
        if let Some(denied) = self.deny_at_once(&event, &matching) {
            return Decision::Now(denied);
        }
        matching.retain(|it| !matches!(it.action, Action::Deny { .. }));
        if matching.is_empty() { Decision::Now(Verdict::Allow) } else { Decision::Run(event, matching) }
    }

    /// Lets the hooks of `matching` that need no process say no; once one has, none of the others
    /// is asked.
    fn deny_at_once(&mut self, event: &Arc<Event>, matching: &[Arc<Hook>]) -> Option<Verdict> {
        let mut verdict = None;
        for (index, hook) in matching.iter().enumerate() {
            let Action::Deny { message } = &hook.action else { break };
            let run = self.plan(hook, event);
            self.conclude(&run, Conclusion::Denied);
            if hook.mode == Mode::Audit {
                gate::log_would_deny(&run, message);
                continue;
            }
            gate::log_denial(&run, message);
            verdict = Some(Verdict::Deny { message: gate::denial(&run, message) });
            for skipped in &matching[index + 1..] {
                let run = self.plan(skipped, event);
                self.conclude(&run, Conclusion::Skipped);
            }
            break;
        }
        verdict
    }

    fn open_gate(
        &mut self,
        rules: Arc<Rules>,
        event: &Arc<Event>,
        mut hooks: Vec<Arc<Hook>>,
        question: &Question,
        reply: oneshot::Sender<Verdict>,
    ) {
        if let Some(why) = self.unwritable() {
            // Nobody waits any more if dockerd went away.
            return drop(reply.send(rules.undecided(event.point, &why)));
        }
        if self.is_restart(event.point, &event.subject) {
            let later: Vec<_> = hooks.extract_if(.., |it| it.cleanup.is_some()).collect();
            self.put_off(event, &later);
        } else if event.point == Point::PreStart {
            // A restart that was asked for before has come to nothing.
            self.not_restarted(&event.subject);
        }
        if hooks.is_empty() {
            return drop(reply.send(Verdict::Allow));
        }
        let runs: Vec<_> = hooks.iter().map(|hook| self.plan(hook, event)).collect();
        let limit = hooks.iter().map(|it| it.deadline.limit).sum::<Duration>().min(rules.gate_deadline);
        if event.subject.kind == SubjectKind::Creation && question.is_of_driver() {
            self.strangers.insert(event.subject.clone());
        }
        let turn = self.lanes.push_gate(&event.subject);
        let gate = Gate {
            subject: event.subject.clone(),
            runs,
            limit,
            opened_at: Instant::now(),
            turn,
            reply,
            desk: self.desk.clone(),
            awaited: self.await_call(event, &hooks, question.call, limit),
            rules,
            room: if self.gates < GATES_MAX { Room::Left } else { Room::Full },
            groups: self.groups.clone(),
            runner: self.runner.clone(),
            journal: self.journal.clone(),
            stopping: self.stopping.clone(),
        };
        self.gates += 1;
        self.under_way.push(Box::pin(async { Done::Gate(gate.run().await) }));
    }

    /// Why nothing can be written down, if that is so.
    fn unwritable(&self) -> Option<String> {
        if let Some((engine, _)) = &self.copy {
            return Some(format!("the journal is a copy of that of engine {engine}, which is not seen here"));
        }
        match &*self.standing.borrow() {
            journal::Standing::Writable => None,
            journal::Standing::Failing { why } => Some(format!("the journal cannot be written: {why}")),
        }
    }

    /// Whether a start is asked for of what runs: then it is going to be ended first, and what has a
    /// clean-up must not be set up before that is through.
    fn is_restart(&self, point: Point, subject: &Subject) -> bool {
        point == Point::PreStart && self.tracker.life(subject).is_some_and(|it| it.stage() == Stage::Running)
    }
}
