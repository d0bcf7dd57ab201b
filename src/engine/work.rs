//! The task that owns everything: the tracker, the lanes, the ledger, the runs under way.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::debts::{Found, Pending};
use super::gate::{Desk, GateOver};
use super::gather::{Gathering, lane_of};
use super::groups::Groups;
use super::lanes::{Item, Lanes, Start};
use super::ledger::Ledger;
use super::telling::log_attempt;
use super::{Engine, Message, Past, Rules};
use crate::docker::Docker;
use crate::hook::{Hook, HookName, Match};
use crate::journal::{Asked, Journal, Kept, Remembered, Standing};
use crate::lifecycle::{
    CallKind, EngineId, Event, Point, PointSet, Saw, Signal, Subject, SubjectKind, Tracker, Turn,
};
use crate::run::{Batch, Debt, Entry, Outcome, Output, Phase, Run, RunId, RunIds};
use crate::runner::{Left, Runner, Traces};

/// How often what waits for a time limit is looked at, while there is any.
const TICK: Duration = Duration::from_millis(500);

/// What stands for a message of the event stream where there was none yet.
const FOLLOWED: u64 = 0;

/// How many gates may stand at the desk before the next one waits: as many as may run programs.
const DESK_MAX: usize = 64;

/// The task behind [`Engine`].
pub struct Work {
    pub(super) inbox: mpsc::Receiver<Message>,
    pub(super) rules: Arc<ArcSwap<Rules>>,
    pub(super) listening: watch::Sender<PointSet>,
    pub(super) wanted: watch::Sender<()>,
    pub(super) journal: Journal,
    pub(super) standing: watch::Receiver<Standing>,
    pub(super) wishes: mpsc::Receiver<Asked>,
    pub(super) runner: Runner,
    pub(super) docker: Docker,
    pub(super) ids: RunIds,
    pub(super) tracker: Tracker,
    pub(super) ledger: Ledger,
    pub(super) pending: Pending,
    pub(super) lanes: Lanes,
    pub(super) groups: Groups,
    pub(super) under_way: FuturesUnordered<BoxFuture<'static, Done>>,
    pub(super) gates: usize,
    pub(super) desk: mpsc::Sender<Desk>,
    pub(super) asked_at_desk: mpsc::Receiver<Desk>,
    /// The runs that wait, in a lane or for the end of a pause, and which attempt comes next.
    pub(super) turns: HashMap<RunId, (Arc<Run>, u32)>,
    /// Set-ups that have had the old clean-up of their hook tried.
    pub(super) met: HashSet<RunId>,
    /// Clean-ups whose debts a set-up takes over that is about to begin, by that set-up.
    pub(super) overtaken: HashMap<RunId, Vec<(Arc<Run>, u32)>>,
    /// What a restart has yet to set up, once the container has started again.
    pub(super) at_next_start: HashMap<Subject, Vec<Arc<Run>>>,
    /// What a boathook before this one left of attempts.
    pub(super) left: Left,
    /// Runs whose attempt goes on that a boathook before this one began.
    pub(super) resumed: HashMap<RunId, Arc<Run>>,
    /// Runs that still gather events.
    pub(super) gathering: HashMap<HookName, Gathering>,
    /// What is to be written down together.
    pub(super) unit: Vec<Entry>,
    /// What has to stay until that is on disk.
    pub(super) kept: Vec<Kept>,
    /// Containers that have started, or are about to, and of which only an endpoint is known.
    pub(super) strangers: HashSet<Subject>,
    /// Who waits for the end of a container's passage.
    pub(super) ends: Vec<(Subject, oneshot::Sender<()>)>,
    /// Signals were not taken in, for want of room in the journal.
    lost: bool,
    /// The journal is a copy of that engine's, and it is not known yet whether that is the one that is
    /// there: nothing of it is acted upon.
    pub(super) copy: Option<(EngineId, Remembered)>,
    pub(super) stopping: CancellationToken,
    /// `stopping` has been seen to: nothing new is started.
    pub(super) stopped: bool,
}

/// What has come to an end.
pub(super) enum Done {
    Attempt {
        run: Arc<Run>,
        attempt: u32,
        lane: Subject,
        took: Duration,
        outcome: Outcome,
        output: Output,
        traces: Option<Traces>,
    },
    /// An attempt of a boathook before this one is over, and nobody has seen how it ended.
    Unseen {
        run: Arc<Run>,
        attempt: u32,
        lane: Subject,
    },
    Due {
        run: Arc<Run>,
        attempt: u32,
    },
    /// What a set-up owes is on disk.
    Opened {
        start: Start,
        drafted: Vec<Debt>,
    },
    /// A clean-up is on disk, or nothing can be.
    Begun {
        start: Start,
    },
    /// Boathook stops before that.
    Held {
        lane: Subject,
    },
    Looked {
        subject: Subject,
        found: Found,
    },
    Settled {
        hook: HookName,
    },
    Gate(GateOver),
    /// A process of a gate that nobody waits for any more is gone.
    Buried {
        lane: Subject,
        had_turn: bool,
    },
    Stopped,
}

impl Work {
    pub(super) fn new(
        engine: &Engine,
        inbox: mpsc::Receiver<Message>,
        docker: Docker,
        past: Past,
        stopping: CancellationToken,
    ) -> Work {
        let (desk, asked_at_desk) = mpsc::channel(DESK_MAX);
        let mut work = Work {
            inbox,
            rules: engine.rules.clone(),
            listening: engine.listening.clone(),
            wanted: engine.wanted.clone(),
            standing: engine.journal.standing(),
            journal: engine.journal.clone(),
            wishes: past.wishes,
            runner: engine.runner.clone(),
            docker,
            ids: RunIds::from(fastrand::u32(..)),
            tracker: Tracker::default(),
            ledger: Ledger::default(),
            pending: Pending::default(),
            lanes: Lanes::new(engine.groups.clone()),
            groups: engine.groups.clone(),
            under_way: FuturesUnordered::new(),
            gates: 0,
            desk,
            asked_at_desk,
            turns: HashMap::new(),
            met: HashSet::new(),
            overtaken: HashMap::new(),
            at_next_start: HashMap::new(),
            left: past.left,
            resumed: HashMap::new(),
            gathering: HashMap::new(),
            unit: Vec::new(),
            kept: Vec::new(),
            strangers: HashSet::new(),
            ends: Vec::new(),
            lost: false,
            copy: None,
            stopping,
            stopped: false,
        };
        match past.remembered.copy_of.clone() {
            Some(engine) => work.copy = Some((engine, past.remembered)),
            None => work.restore(past.remembered),
        }
        work
    }

    /// Takes in signals and questions until all senders are gone, then sees what is planned
    /// through. What still runs when `stopping` is cancelled is ended; it and what waits is left to
    /// the next start.
    pub async fn run(mut self) {
        self.runner.prepare();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut open = true;
        while open || !self.is_idle() {
            self.advance();
            self.write();
            let stopping = self.stopping.clone();
            tokio::select! {
                message = self.inbox.recv(), if open => match message {
                    Some(message) => self.take(message),
                    None => open = false,
                },
                Some(done) = self.under_way.next(), if !self.under_way.is_empty() => self.finish(done),
                Some(asked) = self.asked_at_desk.recv() => self.serve(asked),
                Some(asked) = self.wishes.recv() => self.grant(asked),
                _ = tick.tick(), if self.wants_tick() => self.tick(),
                () = self.lanes.freed(), if self.lanes.is_blocked() => self.lanes.unblock(),
                () = stopping.cancelled(), if !self.stopped => self.stop(),
            }
        }
        self.write();
    }

    fn is_idle(&self) -> bool {
        self.under_way.is_empty() && (self.lanes.is_empty() || self.stopped)
    }

    fn wants_tick(&self) -> bool {
        self.lost || self.tracker.wants_tick() || !self.pending.is_empty() || !self.journal.has_room()
    }

    fn tick(&mut self) {
        let events = self.tracker.tick(Timestamp::now());
        self.reach_all(events);
        self.look_at_overdue();
        if self.lost && self.journal.has_room() && self.copy.is_none() {
            info!("the journal has room: looking for what was missed");
            self.lost = false;
            self.wanted.send_replace(());
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Signal(signal) => self.take_in(signal),
            Message::Call(call) => {
                let events = self.tracker.hear(&call);
                self.reach_all(events);
                if let (CallKind::Create, Turn::Closed { created }) = (call.kind, &call.turn) {
                    let created = created.as_ref().map(|id| Subject::container(&call.engine, id));
                    self.creation_answered(call.key, created.as_ref());
                }
            }
            Message::Known(volumes) => self.tracker.know_volumes(volumes),
            // Whoever asked may have given up.
            Message::Overview(engine, reply) => {
                self.meet(&engine);
                drop(reply.send(self.tracker.known(&engine)));
            }
            Message::Listen => self.listen(),
            Message::Ask(question, reply) => self.ask(&question, reply),
            Message::Ended(subject, reply) => self.wait_for_end(subject, reply),
            // Whoever asked may have given up.
            Message::Restarting(network, reply) => drop(reply.send(self.tracker.restarting_on(&network))),
            Message::Name(subject, reply) => {
                let name = self.tracker.life(&subject).and_then(|it| it.facts().name.clone());
                drop(reply.send(name));
            }
            Message::Link(endpoint, link) => self.tracker.know_link(endpoint, link),
            Message::Left(subject) => self.not_come_about(&subject),
        }
    }

    /// Takes in what was seen. What follows from it is written down together with how far the event
    /// stream has been read, so that neither is ever known without the other.
    fn take_in(&mut self, signal: Signal) {
        if !self.journal.has_room() || self.copy.is_some() {
            if !std::mem::replace(&mut self.lost, true) {
                warn!("nothing can be taken in: what happens now is looked for when that is over");
            }
            return;
        }
        let (engine, cursor) = (signal.subject.engine.clone(), signal.at);
        let mark = signal.mark.or_else(|| self.is_followed_now(&signal).then_some(FOLLOWED));
        let read = mark.map(|mark| Entry::Read { engine, cursor, mark });
        self.recognise(&signal);
        let answered = matches!(signal.saw, Saw::Answered(_)).then(|| signal.subject.clone());
        let events = self.tracker.see(signal);
        self.reach_all(events);
        if let Some(subject) = answered {
            self.answered(&subject);
            self.give_up_restart(&subject);
        }
        let is_first = matches!(read, Some(Entry::Read { mark: FOLLOWED, .. }));
        self.unit.extend(read);
        if is_first {
            // Until it is on disk that the engine is followed, what happens counts as older than that.
            self.write();
            self.journal.hasten();
        }
    }

    /// Whether an engine that nothing was known of has just been taken in as a whole: what is found from
    /// now on is news.
    fn is_followed_now(&self, signal: &Signal) -> bool {
        signal.subject.kind == SubjectKind::Engine
            && signal.saw == Saw::Found { since: Timestamp::MIN }
            && self.journal.cursor(&signal.subject.engine).is_none()
    }

    pub(super) fn reach_all(&mut self, events: Vec<Event>) {
        for event in events {
            self.reach(event);
        }
        let changed = self.tracker.changed().into_iter();
        self.unit.extend(changed.map(|(subject, life)| Entry::Lived { subject, life }));
    }

    /// Plans a run for every hook that answers `event`, then the clean-ups that it makes due.
    pub(super) fn reach(&mut self, event: Event) {
        let rules = self.rules.load_full();
        let container = event.facts.display_name();
        debug!(point = %event.point, subject = %event.subject, container, cause = event.cause.name(), "reached");
        let event = Arc::new(event);
        match event.point {
            // Whoever waited may have given up.
            Point::PostStop => {
                let subject = &event.subject;
                self.ends.extract_if(.., |it| it.0 == *subject).for_each(|(_, told)| _ = told.send(()));
            }
            Point::PostStart => self.set_up_after_restart(&event),
            Point::PostRemove => self.not_restarted(&event.subject),
            _ => {}
        }
        for hook in rules.hooks.at(event.point).iter().filter(|it| !event.nested || it.nested) {
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
        self.clean_up_at(&event);
        self.settle_calls(&event);
    }

    /// What was waited for is there.
    fn settle_calls(&mut self, event: &Event) {
        if self.pending.is_empty() {
            return;
        }
        match event.point {
            Point::PostStart | Point::PostRemove | Point::VolumePostCreate => {
                self.pending.forget(&event.subject);
            }
            Point::NetworkPostCreate => {
                let name = event.facts.name.as_deref().unwrap_or_default();
                let asked_for = Subject::new(&event.subject.engine, SubjectKind::Network, name);
                self.came_about(&asked_for, &event.subject);
            }
            _ => {}
        }
    }

    pub(super) fn plan(&mut self, hook: &Arc<Hook>, event: &Arc<Event>) -> Arc<Run> {
        let planned_at = Timestamp::now();
        // A boathook that was killed may have got further than its journal.
        let begun = if hook.debounce.is_none() { self.left.run_for(&hook.name, event) } else { None };
        let run = Arc::new(Run {
            id: begun.unwrap_or_else(|| self.ids.next(planned_at)),
            hook: hook.clone(),
            phase: Phase::Setup,
            event: event.clone(),
            batch: hook.debounce.map(|_| Batch::default()),
            debt: None,
            setups: Vec::new(),
            planned_at,
        });
        self.ledger.expect(&run);
        self.unit.push(Entry::Planned(run.clone()));
        run
    }

    pub(super) fn enqueue(&mut self, run: Arc<Run>, attempt: u32) {
        self.turns.insert(run.id.clone(), (run.clone(), attempt));
        if !self.stopped {
            self.lanes.push(&lane_of(&run), Item::Run { run, attempt });
        }
    }

    fn finish(&mut self, done: Done) {
        match done {
            Done::Attempt { run, attempt, lane, took, outcome, output, traces } => {
                log_attempt(&run, attempt, took, &outcome, &output);
                self.lanes.release(&lane);
                let is_urgent = traces.is_none();
                self.ended(&run, &outcome, output, traces);
                self.follow(run, attempt, &outcome);
                if is_urgent {
                    // Nothing but the journal says how it ended.
                    self.write();
                    self.journal.hasten();
                }
            }
            Done::Unseen { run, attempt, lane } => {
                self.interrupted(&run);
                self.turns.insert(run.id.clone(), (run.clone(), attempt + 1));
                if !self.stopped {
                    self.lanes.push_front(&lane, Item::Run { run, attempt: attempt + 1 });
                }
                self.lanes.release(&lane);
            }
            Done::Due { run, attempt } => self.come_due(run, attempt),
            Done::Opened { start, drafted } => {
                self.opened(&start.run, drafted);
                self.spawn(start);
            }
            Done::Begun { start } => self.spawn(start),
            Done::Held { lane } => self.lanes.release(&lane),
            Done::Looked { subject, found } => self.looked(&subject, found),
            Done::Gate(over) => self.gate_over(over),
            Done::Buried { lane, had_turn } => self.lanes.close_gate(&lane, had_turn),
            Done::Settled { hook } => self.settled(&hook),
            Done::Stopped => {}
        }
    }

    /// Says which points are listened to: those of hooks, and those at which something becomes due.
    pub(super) fn listen(&mut self) {
        let points: PointSet = self.rules.load().points().iter().chain(self.ledger.points().iter()).collect();
        self.listening.send_if_modified(|it| std::mem::replace(it, points) != points);
    }

    /// Leaves what waits to the next start.
    fn stop(&mut self) {
        self.stopped = true;
        let waiting = self.turns.len() + self.gathering.len();
        if waiting > 0 {
            warn!(runs = waiting, "left to the next start: boathook stops");
        }
        self.gathering.clear();
        self.lanes.clear_runs();
    }
}
