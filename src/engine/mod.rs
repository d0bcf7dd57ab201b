//! From events to runs, and from a gate's question to its verdict.
//!
//! One task owns everything: the tracker, the lanes, and the runs under way. Sources only send to
//! it, and wait for nothing but a verdict. What an event asks for is journaled, put in the lane of
//! its subject, and run when its turn comes: one subject's runs one after the other, subjects side
//! by side up to a bound. A gate takes its turn in the same lane, apart from that bound.

mod gate;
mod gather;
mod groups;
mod lanes;
mod memory;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::docker::Docker;
use crate::hook::{Action, Hook, HookName, HookSet, Match, Mode, OnFailure, Outage, Retry};
use crate::journal::{Journal, JournalError};
use crate::lifecycle::{
    Call, EngineId, Event, Known, Point, PointSet, Question, Signal, Source, Subject, Tracker, Verdict,
};
use crate::run::{Batch, Conclusion, Entry, Outcome, Output, Phase, Run, RunId, RunIds};
use crate::runner::Runner;

use gate::{Gate, GateOver, Room};
use gather::{Gathering, lane_of};
use groups::Groups;
use lanes::{Item, Lanes, Place, Start};

/// How many signals may wait to be taken in. One takes about a microsecond; more than this means
/// that the task does not run any more.
const INBOX_MAX: usize = 65_536;

/// How many gates may run programs at once. Docker makes every client wait that is behind a gate;
/// this keeps a storm of them from filling the process table.
const GATES_MAX: usize = 64;

/// How often what waits for a time limit in the tracker is looked at, while there is any.
const TICK: Duration = Duration::from_millis(500);

/// How far behind its deadline a gate's verdict may be before the one who asks gives up on it.
const VERDICT_GRACE: Duration = Duration::from_millis(500);

/// What the configuration says about running hooks. Replaced as a whole when it is reloaded.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// The hooks.
    pub hooks: HookSet,
    /// A gate's answer when boathook itself cannot decide.
    pub outage: Outage,
    /// The most that a gate may take.
    pub gate_deadline: Duration,
    /// How many runs may be under way at once, gates apart. At least 1.
    pub concurrency: usize,
    /// Whether the configuration could be read at all. Without one, `outage` answers every gate.
    pub standing: Standing,
}

/// Whether there is a configuration to go by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// The hooks are those that the operator declared.
    #[default]
    Configured,
    /// There is no configuration that can be used: every gate is undecidable.
    Unconfigured,
}

impl Rules {
    /// The gates that are undecidable without a configuration. Not [`Point::Api`]: then nobody
    /// could even look what is the matter.
    const GUARDED: &[Point] = &[Point::PreCreate, Point::PreStart, Point::PreStop, Point::PreRemove];

    /// The points at which somebody has to be asked, or told.
    pub fn points(&self) -> PointSet {
        match self.standing {
            Standing::Configured => self.hooks.points(),
            Standing::Unconfigured => Rules::GUARDED.iter().copied().collect(),
        }
    }
}

/// The way into the engine. Cheap to clone; the engine ends when all are gone.
#[derive(Clone, Debug)]
pub struct Engine {
    inbox: mpsc::Sender<Message>,
    rules: Arc<ArcSwap<Rules>>,
    groups: Groups,
    listening: watch::Sender<PointSet>,
    wanted: watch::Sender<()>,
    journal: Journal,
    runner: Runner,
}

/// The task behind [`Engine`].
pub struct Work {
    inbox: mpsc::Receiver<Message>,
    rules: Arc<ArcSwap<Rules>>,
    journal: Journal,
    runner: Runner,
    docker: Docker,
    ids: RunIds,
    tracker: Tracker,
    lanes: Lanes,
    groups: Groups,
    under_way: FuturesUnordered<BoxFuture<'static, Done>>,
    gates: usize,
    /// Runs that still gather events.
    gathering: HashMap<HookName, Gathering>,
    stopping: CancellationToken,
    /// `stopping` has been seen to: nothing new is started.
    stopped: bool,
}

#[derive(Debug)]
enum Message {
    Signal(Signal),
    Call(Call),
    Known(Vec<Subject>),
    Overview(EngineId, oneshot::Sender<Known>),
    Ask(Question, oneshot::Sender<Verdict>),
}

/// What has come to an end.
enum Done {
    Attempt { run: Arc<Run>, attempt: u32, lane: Subject, took: Duration, outcome: Outcome, output: Output },
    Due { run: Arc<Run>, attempt: u32 },
    Settled { hook: HookName },
    Gate(GateOver),
    Stopped,
}

/// The parts that an engine is made of.
#[derive(Debug)]
pub struct Parts {
    /// The rules to begin with.
    pub rules: Rules,
    /// Where runs are recorded.
    pub journal: Journal,
    /// What runs programs.
    pub runner: Runner,
    /// The Docker Engine, for stopping containers.
    pub docker: Docker,
    /// When cancelled, what still runs is ended and recorded as interrupted.
    pub stopping: CancellationToken,
}

impl Engine {
    /// An engine and the task that must be run for it.
    pub fn new(parts: Parts) -> (Engine, Work) {
        let Parts { rules, journal, runner, docker, stopping } = parts;
        let (sender, inbox) = mpsc::channel(INBOX_MAX);
        let (listening, _) = watch::channel(rules.points());
        let groups = Groups::default();
        groups.obey(&rules.hooks);
        let rules = Arc::new(ArcSwap::from_pointee(rules));
        let engine = Engine {
            inbox: sender,
            rules: rules.clone(),
            groups: groups.clone(),
            listening,
            wanted: watch::Sender::default(),
            journal: journal.clone(),
            runner: runner.clone(),
        };
        let work = Work {
            inbox,
            rules,
            journal,
            runner,
            docker,
            ids: RunIds::from(fastrand::u32(..)),
            tracker: Tracker::default(),
            lanes: Lanes::new(groups.clone()),
            groups,
            under_way: FuturesUnordered::new(),
            gates: 0,
            gathering: HashMap::new(),
            stopping,
            stopped: false,
        };
        (engine, work)
    }

    /// The points at which anybody listens, as of now.
    pub fn points(&self) -> PointSet {
        self.rules.load().points()
    }

    /// The most that a gate may take, as of now.
    pub fn gate_deadline(&self) -> Duration {
        self.rules.load().gate_deadline
    }

    /// Puts new rules in place of the old. Runs that are planned keep the hook that they have.
    pub fn obey(&self, rules: Rules) {
        let points = rules.points();
        self.groups.obey(&rules.hooks);
        self.rules.store(Arc::new(rules));
        self.listening.send_replace(points);
    }

    /// The points at which anybody listens, and every change of them.
    pub fn listening(&self) -> watch::Receiver<PointSet> {
        self.listening.subscribe()
    }

    /// Takes in volumes that were there before anybody looked. Never waits.
    pub fn know(&self, volumes: Vec<Subject>) {
        if self.inbox.try_send(Message::Known(volumes)).is_err() {
            warn!("too much to take in: old volumes may be told as new");
        }
    }

    /// The run whose secret a caller has shown, while it lives.
    pub fn run_of(&self, secret: &str) -> Option<RunId> {
        self.runner.secrets().run_of(secret)
    }

    /// Records that a process of `run` made an API call itself.
    pub fn note_nested(&self, run: RunId, method: &str, uri: &str) {
        info!(%run, method, uri, "a hook calls docker");
        let entry = Entry::Nested { run, at: Timestamp::now(), method: method.into(), uri: uri.into() };
        keep(self.journal.append_behind([entry]));
    }

    /// Takes in a signal; waits only while the inbox is full.
    pub async fn accept(&self, signal: Signal) {
        // The task outlives all senders.
        let _ = self.inbox.send(Message::Signal(signal)).await;
    }

    /// Takes in that an API call was let through or answered. Never waits: it only explains what
    /// signals tell.
    pub fn hear(&self, call: Call) {
        if self.inbox.try_send(Message::Call(call)).is_err() {
            warn!("too much to take in: the cause of a container's next event may be wrong");
        }
    }

    /// Asks a gate, and answers in time whatever becomes of the gate.
    pub async fn ask(&self, question: Question) -> Verdict {
        let rules = self.rules.load_full();
        let point = question.point;
        let (reply, verdict) = oneshot::channel();
        if self.inbox.try_send(Message::Ask(question, reply)).is_err() {
            return rules.undecided(point, "too much to take in");
        }
        match timeout(rules.gate_deadline + VERDICT_GRACE, verdict).await {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(_)) => rules.undecided(point, "stopped before it could decide"),
            Err(_) => rules.undecided(point, "no verdict in time"),
        }
    }

    /// The answer when the one who has to ask cannot even say what about.
    pub fn undecided(&self, point: Point, why: &str) -> Verdict {
        self.rules.load().undecided(point, why)
    }
}

impl Rules {
    /// The verdict when boathook itself cannot decide.
    fn undecided(&self, point: Point, why: &str) -> Verdict {
        match self.outage {
            Outage::Open => {
                error!(%point, why, "cannot decide, and let it pass (`outage: open`)");
                Verdict::Allow
            }
            Outage::Closed => {
                error!(%point, why, "cannot decide, and denied it (`outage: closed`)");
                Verdict::Deny { message: format!("boathook cannot decide at {point}: {why}") }
            }
        }
    }
}

impl Work {
    /// Takes in signals and questions until all senders are gone, then sees what is planned
    /// through; what still runs when `stopping` is cancelled is ended and recorded as interrupted.
    pub async fn run(mut self) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut open = true;
        while open || !self.is_idle() {
            let stopping = self.stopping.clone();
            tokio::select! {
                message = self.inbox.recv(), if open => match message {
                    Some(message) => self.take(message),
                    None => open = false,
                },
                Some(done) = self.under_way.next(), if !self.under_way.is_empty() => self.finish(done),
                _ = tick.tick(), if self.tracker.wants_tick() => {
                    let events = self.tracker.tick(Timestamp::now());
                    self.reach_all(events);
                }
                () = self.lanes.freed(), if self.lanes.is_blocked() => self.lanes.unblock(),
                () = stopping.cancelled(), if !self.stopped => self.interrupt_queued(),
                else => break,
            }
            self.advance();
        }
    }

    fn is_idle(&self) -> bool {
        self.under_way.is_empty() && self.lanes.is_empty()
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Signal(signal) => {
                let cursor = (signal.source == Source::Events).then_some(signal.at);
                let events = self.tracker.see(signal);
                self.reach_all(events);
                if let Some(cursor) = cursor {
                    self.journal.advance(cursor);
                }
            }
            Message::Call(call) => {
                let events = self.tracker.hear(&call);
                self.reach_all(events);
            }
            Message::Known(volumes) => self.tracker.know_volumes(volumes),
            // Whoever asked may have given up.
            Message::Overview(engine, reply) => drop(reply.send(self.tracker.known(&engine))),
            Message::Ask(question, reply) => self.ask(&question, reply),
        }
    }

    fn reach_all(&mut self, events: Vec<Event>) {
        for event in events {
            self.reach(event);
        }
    }

    /// Plans a run for every hook that answers `event`.
    fn reach(&mut self, event: Event) {
        let rules = self.rules.load_full();
        let hooks = rules.hooks.at(event.point);
        let container = event.facts.display_name();
        debug!(point = %event.point, subject = %event.subject, container, cause = event.cause.name(), "reached");
        if hooks.is_empty() {
            return;
        }
        let event = Arc::new(event);
        for hook in hooks.iter().filter(|it| !event.nested || it.nested) {
            match hook.when.matches(&event) {
                Match::Yes => match hook.debounce {
                    Some(debounce) => self.gather(hook, debounce, &event),
                    None => {
                        let run = self.plan(hook, &event);
                        self.enqueue(run, 1);
                    }
                },
                Match::No => {}
                Match::Unknown => {
                    debug!(hook = %hook.name, point = %event.point, subject = %event.subject, "not known whether it matches");
                }
            }
        }
    }

    fn plan(&self, hook: &Arc<Hook>, event: &Arc<Event>) -> Arc<Run> {
        let planned_at = Timestamp::now();
        let run = Arc::new(Run {
            id: self.ids.next(planned_at),
            hook: hook.clone(),
            phase: Phase::Setup,
            event: event.clone(),
            batch: hook.debounce.map(|_| Batch::default()),
            debt: None,
            setups: Vec::new(),
            planned_at,
        });
        keep(self.journal.append_behind([Entry::Planned(run.clone())]));
        run
    }

    fn enqueue(&mut self, run: Arc<Run>, attempt: u32) {
        if self.stopped {
            return not_run(&self.journal, &run);
        }
        self.lanes.push(&lane_of(&run), Item::Run { run, attempt });
    }

    fn ask(&mut self, question: &Question, reply: oneshot::Sender<Verdict>) {
        let (before, event) = self.tracker.ask(question);
        self.reach_all(before);
        let rules = self.rules.load_full();
        let verdict = match self.decide(&rules, question, event) {
            Decision::Now(verdict) => verdict,
            Decision::Run(event, hooks) => return self.open_gate(rules, &event, &hooks, reply),
        };
        // Nobody waits any more if dockerd went away.
        let _ = reply.send(verdict);
    }

    /// Decides without a process where that is possible.
    fn decide(&self, rules: &Rules, question: &Question, event: Event) -> Decision {
        let point = event.point;
        if rules.standing == Standing::Unconfigured {
            return Decision::Now(rules.undecided(point, "there is no valid configuration"));
        }
        let event = Arc::new(event);
        let mut matching = Vec::new();
        for hook in rules.hooks.at(point).iter().filter(|it| !event.nested || it.nested) {
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
    fn deny_at_once(&self, event: &Arc<Event>, matching: &[Arc<Hook>]) -> Option<Verdict> {
        let mut verdict = None;
        for (index, hook) in matching.iter().enumerate() {
            let Action::Deny { message } = &hook.action else { break };
            let run = self.plan(hook, event);
            conclude(&self.journal, &run, Conclusion::Denied);
            if hook.mode == Mode::Audit {
                gate::log_would_deny(&run, message);
                continue;
            }
            gate::log_denial(&run, message);
            verdict = Some(Verdict::Deny { message: gate::denial(&run, message) });
            for skipped in &matching[index + 1..] {
                let run = self.plan(skipped, event);
                conclude(&self.journal, &run, Conclusion::Skipped);
            }
            break;
        }
        verdict
    }

    fn open_gate(
        &mut self,
        rules: Arc<Rules>,
        event: &Arc<Event>,
        hooks: &[Arc<Hook>],
        reply: oneshot::Sender<Verdict>,
    ) {
        let runs: Vec<_> = hooks.iter().map(|hook| self.plan(hook, event)).collect();
        let limit = hooks.iter().map(|it| it.deadline.limit).sum::<Duration>().min(rules.gate_deadline);
        let turn = self.lanes.push_gate(&event.subject);
        let gate = Gate {
            subject: event.subject.clone(),
            runs,
            limit,
            opened_at: Instant::now(),
            turn,
            reply,
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

    /// Starts what may start now.
    fn advance(&mut self) {
        let limit = self.rules.load().concurrency.max(1);
        while let Some(Start { run, attempt, lane, limit, place }) = self.lanes.next(limit, Instant::now()) {
            let (runner, stopping) = (self.runner.clone(), self.stopping.clone());
            let at = Timestamp::now();
            keep(self.journal.append_behind([Entry::Started { run: run.id.clone(), attempt, at }]));
            self.under_way.push(Box::pin(async move {
                let begun = Instant::now();
                let (outcome, output) = match place {
                    Place::Missed => (no_room(&run), Output::default()),
                    Place::Free => attempt_until(&runner, &run, attempt, limit, &stopping).await,
                    Place::Taken(permit) => {
                        let ended = attempt_until(&runner, &run, attempt, limit, &stopping).await;
                        drop(permit);
                        ended
                    }
                };
                Done::Attempt { run, attempt, lane, took: begun.elapsed(), outcome, output }
            }));
        }
    }

    fn finish(&mut self, done: Done) {
        match done {
            Done::Attempt { run, attempt, lane, took, outcome, output } => {
                log_attempt(&run, attempt, took, &outcome, &output);
                self.lanes.release(&lane);
                let at = Timestamp::now();
                let ended = Entry::Ended { run: run.id.clone(), at, outcome: outcome.clone(), output };
                keep(self.journal.append_behind([ended]));
                self.follow(run, attempt, &outcome);
            }
            Done::Due { run, attempt } => self.come_due(run, attempt),
            Done::Gate(over) => {
                self.gates -= 1;
                self.lanes.close_gate(&over.subject, over.had_turn);
            }
            Done::Settled { hook } => self.settled(&hook),
            Done::Stopped => {}
        }
    }

    /// What follows an attempt: nothing, another one, or the failure's consequence.
    fn follow(&mut self, run: Arc<Run>, attempt: u32, outcome: &Outcome) {
        if outcome.is_success() {
            return conclude(&self.journal, &run, Conclusion::Done);
        }
        if *outcome == Outcome::Interrupted {
            return conclude(&self.journal, &run, Conclusion::Interrupted);
        }
        let pause = retry_of(&run.hook, outcome).and_then(|it| it.pause_after(attempt)).map(jittered);
        if let Some(pause) = pause.filter(|_| !self.stopping.is_cancelled()) {
            let until = Timestamp::now() + pause;
            info!(run = %run.id, hook = %run.hook.name, ?pause, attempt, "will try again");
            keep(self.journal.append_behind([Entry::Deferred { run: run.id.clone(), until }]));
            let stopping = self.stopping.clone();
            return self.under_way.push(Box::pin(async move {
                stopping.run_until_cancelled(sleep(pause)).await;
                Done::Due { run, attempt: attempt + 1 }
            }));
        }
        conclude(&self.journal, &run, Conclusion::Failed);
        if run.hook.on_failure == OnFailure::Stop && run.event.point.may_run() {
            let (docker, subject) = (self.docker.clone(), run.event.subject.clone());
            self.under_way.push(Box::pin(stop_container(docker, run, subject)));
        }
    }

    fn come_due(&mut self, run: Arc<Run>, attempt: u32) {
        if run.batch.is_none() && self.tracker.is_over(&run.event) {
            info!(run = %run.id, hook = %run.hook.name, "not tried again: what it was for is over");
            conclude(&self.journal, &run, Conclusion::Superseded);
        } else {
            self.enqueue(run, attempt);
        }
    }

    fn interrupt_queued(&mut self) {
        self.stopped = true;
        for (_, gathering) in std::mem::take(&mut self.gathering) {
            not_run(&self.journal, &gathering.run);
        }
        for run in self.lanes.clear_runs() {
            not_run(&self.journal, &run);
        }
    }
}

fn not_run(journal: &Journal, run: &Run) {
    let container = run.event.facts.display_name();
    warn!(run = %run.id, hook = %run.hook.name, point = %run.event.point, container, "not run: boathook stops");
    conclude(journal, run, Conclusion::Interrupted);
}

enum Decision {
    Now(Verdict),
    Run(Arc<Event>, Vec<Arc<Hook>>),
}

async fn stop_container(docker: Docker, run: Arc<Run>, subject: Subject) -> Done {
    let container = run.event.facts.display_name();
    warn!(run = %run.id, hook = %run.hook.name, container, "stopping the container, as its hook failed");
    if let Err(error) = docker.stop(&subject.id).await {
        error!(run = %run.id, hook = %run.hook.name, container, %error, "cannot stop the container");
    }
    Done::Stopped
}

/// One attempt, ended early when `stopping` is cancelled.
async fn attempt_until(
    runner: &Runner,
    run: &Run,
    attempt: u32,
    limit: Duration,
    stopping: &CancellationToken,
) -> (Outcome, Output) {
    let mut running = match runner.start(run, attempt, limit) {
        Ok(running) => running,
        Err(outcome) => return (outcome, Output::default()),
    };
    let outcome = match stopping.run_until_cancelled(running.wait()).await {
        Some(outcome) => outcome,
        None => {
            running.end().await;
            Outcome::Interrupted
        }
    };
    (outcome, running.finish().await)
}

/// What becomes of a run that waited for its group until it was out of time.
fn no_room(run: &Run) -> Outcome {
    let group = run.hook.group.as_ref().map_or("", |it| &it.name);
    Outcome::NotStarted(format!("its group `{group}` had no room in time"))
}

fn retry_of(hook: &Hook, outcome: &Outcome) -> Option<Retry> {
    hook.retry.or(outcome.asks_again().then_some(Retry::ON_REQUEST))
}

/// A pause up to a quarter longer, so that what failed together is not tried again together.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(1.0 + fastrand::f64() / 4.0)
}

fn conclude(journal: &Journal, run: &Run, conclusion: Conclusion) {
    let at = Timestamp::now();
    keep(journal.append_behind([Entry::Concluded { run: run.id.clone(), at, conclusion }]));
}

/// An entry that no true journal holds is a mistake of ours, and better loud than hidden; what it
/// was about goes on.
fn keep(kept: Result<(), JournalError>) {
    if let Err(error) = kept {
        error!(%error, "an entry that cannot be true was not recorded");
        debug_assert!(false, "an entry that cannot be true: {error}");
    }
}

/// How much of what a script wrote is put in the log, in characters. The rest is in the journal.
const LOGGED_CHARS_MAX: usize = 2048;

fn log_attempt(run: &Run, attempt: u32, took: Duration, outcome: &Outcome, output: &Output) {
    let cut = |text: &str| text.trim_end().chars().take(LOGGED_CHARS_MAX).collect::<String>();
    let (stdout, stderr) = (cut(&output.stdout.text), cut(&output.stderr.text));
    let event = &run.event;
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    macro_rules! line {
        ($level:ident, $text:literal) => {
            $level!(
                run = %run.id, hook = %run.hook.name, point = %event.point, subject = %event.subject,
                container = event.facts.display_name(), cause = event.cause.name(), attempt,
                outcome = outcome.name(), detail = %outcome, took_ms, stdout, stderr, $text
            )
        };
    }
    if outcome.is_success() {
        line!(info, "hook ran");
    } else {
        line!(warn, "hook failed");
    }
}
