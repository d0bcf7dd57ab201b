//! From events to runs, and from a gate's question to its verdict.
//!
//! One task owns everything: the tracker, the lanes, and the runs under way. Sources only send to
//! it, and wait for nothing but a verdict. What an event asks for is journaled, put in the lane of
//! its subject, and run when its turn comes: one subject's runs one after the other, subjects side
//! by side up to a bound. A gate takes its turn in the same lane, apart from that bound.

mod asking;
mod attempts;
mod debts;
mod gate;
mod gather;
mod groups;
mod lanes;
mod ledger;
mod memory;
mod restarts;
mod restored;
mod sieve;
mod strangers;
mod telling;
mod work;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::docker::Docker;
use crate::hook::{HookSet, Outage};
use crate::journal::{Asked, Journal, JournalError, Kept, Remembered};
use crate::lifecycle::{Call, EngineId, Known, Point, PointSet, Question, Signal, Subject, Verdict};
use crate::run::{Conclusion, Entry, Run, RunId};
use crate::runner::{Left, Runner, Traces};

use groups::Groups;
pub use work::Work;

pub use sieve::Sieve;

/// How many signals may wait to be taken in. One takes about a microsecond; more than this means
/// that the task does not run any more.
const INBOX_MAX: usize = 65_536;

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
    /// How often what is known is compared with the engine's list, besides at every connection. Zero,
    /// as in rules without a configuration: as seldom as may be.
    pub reconcile_every: Duration,
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
    /// The points of hooks, and those at which something owed becomes due.
    listening: watch::Sender<PointSet>,
    /// Told when what has happened has to be looked for.
    wanted: watch::Sender<()>,
    journal: Journal,
    runner: Runner,
}

/// What an engine begins with.
struct Past {
    remembered: Remembered,
    wishes: mpsc::Receiver<Asked>,
    left: Left,
}

#[derive(Debug)]
enum Message {
    Signal(Signal),
    Call(Call),
    Known(Vec<Subject>),
    Overview(EngineId, oneshot::Sender<Known>),
    /// What is listened to has changed.
    Listen,
    Ask(Question, oneshot::Sender<Verdict>),
    /// Tell when that container does not run any more.
    Ended(Subject, oneshot::Sender<()>),
    /// Which containers does the engine start by itself on that network?
    Restarting(String, oneshot::Sender<Vec<Subject>>),
    /// What is that container called?
    Name(Subject, oneshot::Sender<Option<String>>),
    /// That link of the host leads to that endpoint.
    Link(String, Option<String>),
    /// A container of which only an endpoint is known has not started, or is gone.
    Left(Subject),
}

/// The parts that an engine is made of.
#[derive(Debug)]
pub struct Parts {
    /// The rules to begin with.
    pub rules: Rules,
    /// Where runs are recorded.
    pub journal: Journal,
    /// What the journal holds of the time before.
    pub remembered: Remembered,
    /// What people ask for by the command line.
    pub wishes: mpsc::Receiver<Asked>,
    /// What a boathook before this one left running.
    pub left: Left,
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
        let (inbox, messages) = mpsc::channel(INBOX_MAX);
        let (listening, _) = watch::channel(parts.rules.points());
        let groups = Groups::default();
        groups.obey(&parts.rules.hooks);
        let engine = Engine {
            inbox,
            rules: Arc::new(ArcSwap::from_pointee(parts.rules)),
            groups,
            listening,
            wanted: watch::Sender::default(),
            journal: parts.journal,
            runner: parts.runner,
        };
        let past = Past { remembered: parts.remembered, wishes: parts.wishes, left: parts.left };
        let work = Work::new(&engine, messages, parts.docker, past, parts.stopping);
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
        // What is owed has points of its own.
        self.tell(Message::Listen);
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

    /// The point at which that run runs.
    pub fn point_of(&self, secret: &str) -> Option<Point> {
        self.runner.secrets().point_of(secret)
    }

    /// Records that a process of `run` made an API call itself.
    pub fn note_nested(&self, run: RunId, method: &str, uri: &str) {
        info!(%run, method, uri, "a hook calls docker");
        let entry = Entry::Nested { run, at: Timestamp::now(), method: method.into(), uri: uri.into() };
        keep(self.journal.append([entry]));
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

    fn tell(&self, message: Message) {
        if self.inbox.try_send(message).is_err() {
            warn!("too much to take in: a change of what is listened to is late");
        }
    }

    /// Who may mean what `question` is about, by what it tells itself. Nobody: it need not be asked.
    pub fn sieve(&self, question: &Question) -> Sieve {
        Sieve::new(&self.rules.load(), question)
    }

    /// Asks a gate, and answers in time whatever becomes of the gate.
    pub async fn ask(&self, question: Question) -> Verdict {
        let rules = self.rules.load_full();
        if Sieve::new(&rules, &question).is_empty() {
            return Verdict::Allow;
        }
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

    /// Waits until the container does not run any more as far as is known, at most for `limit`.
    pub async fn ended(&self, subject: &Subject, limit: Duration) {
        let (reply, ended) = oneshot::channel();
        self.tell(Message::Ended(subject.clone(), reply));
        if timeout(limit, ended).await.is_err() {
            warn!(%subject, "starts again, and its end has not been told");
        }
    }

    /// The containers that the engine starts by itself, and that were on that network.
    pub async fn restarting_on(&self, network: &str) -> Vec<Subject> {
        let (reply, subjects) = oneshot::channel();
        self.tell(Message::Restarting(network.to_owned(), reply));
        subjects.await.unwrap_or_default()
    }

    /// The name of a container, as far as it is known.
    pub async fn name_of(&self, subject: &Subject) -> Option<String> {
        let (reply, name) = oneshot::channel();
        self.tell(Message::Name(subject.clone(), reply));
        name.await.ok().flatten()
    }

    /// Takes in which link of the host leads to an endpoint; `None`: none any more.
    pub fn know_link(&self, endpoint: &str, link: Option<String>) {
        self.tell(Message::Link(endpoint.to_owned(), link));
    }

    /// Takes in that a container of which only an endpoint is known has left that.
    pub fn left(&self, stranger: Subject) {
        self.tell(Message::Left(stranger));
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

/// Writes down what became of a run that owes nothing.
fn conclude(journal: &Journal, run: &Run, conclusion: Conclusion) {
    let at = Timestamp::now();
    keep(journal.append([Entry::Concluded { run: run.id.clone(), at, conclusion }]));
}

/// The traces of an attempt as the journal keeps them until what they say is on disk.
fn kept(traces: Option<Traces>) -> Option<Kept> {
    traces.map(Kept::new)
}

/// An entry that no true journal holds is a mistake of ours, and better loud than hidden; what it
/// was about goes on.
fn keep(kept: Result<(), JournalError>) {
    if let Err(error) = kept {
        error!(%error, "an entry that cannot be true was not recorded");
        debug_assert!(false, "an entry that cannot be true: {error}");
    }
}
