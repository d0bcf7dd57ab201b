//! Signals in order, each with what had to be looked up for it.
//!
//! A signal alone seldom says enough: addresses, labels and mounts come from an inspect, and they
//! are gone once the container is. So a container is looked up the moment something is seen of it,
//! not when a hook gets round to it. One container's signals stay in their order, whoever sends
//! them; different containers are looked up side by side.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tracing::{debug, warn};

use crate::docker::{Docker, DockerError, LOOK_LIMIT};
use crate::engine::Engine;
use crate::lifecycle::{Observation, Process, Saw, Signal, Source, Subject};

/// How many signals may wait to be put in order. The reader of the event stream must never wait.
const QUEUE_MAX: usize = 65_536;

/// How many containers are looked up at once: enough to keep an engine busy, few enough to leave
/// it some for its other clients.
const LOOKS_MAX: usize = 16;

/// How long a quiet moment is waited for: two looks in a row that take their limit.
const DRAIN_LIMIT: Duration = LOOK_LIMIT.saturating_mul(2);

/// A signal, and what has to be looked up before it is told.
#[derive(Debug)]
pub struct Notice {
    /// The signal, without an observation.
    pub signal: Signal,
    /// What it needs.
    pub wants: Wants,
}

/// What a signal needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wants {
    /// Nothing: it is told as it is.
    Nothing,
    /// The container as it is now.
    Look,
    /// The value that it claims comes from an attribute of the event, which a label of that name
    /// would have overwritten. It is believed if the container has no such label.
    Trust {
        /// The name of the attribute.
        attribute: &'static str,
    },
}

/// The way into the looks. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Looks {
    inbox: mpsc::Sender<Message>,
}

#[derive(Debug)]
enum Message {
    Notice(Notice),
    /// Something may have happened to the container that a caller names so: what is to be told of it.
    Suspect {
        target: String,
        saw: Saw,
        at: Timestamp,
    },
    /// Tell what a look shows, if it shows anything, and how it went.
    Compare(Signal, oneshot::Sender<Compared>),
    /// Tell when everything sent before about the subject has been told.
    Settle(Subject, oneshot::Sender<()>),
    /// Tell when everything sent before has been told.
    Drain(oneshot::Sender<()>),
}

/// How a comparison went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// The engine was asked, and what it answered has been told.
    Told,
    /// The engine did not answer, and nothing has been told.
    Failed,
}

/// The task behind [`Looks`].
pub struct Watch {
    inbox: mpsc::Receiver<Message>,
    docker: Docker,
    engine: Engine,
    waiting: HashMap<Subject, VecDeque<Waiting>>,
    /// Those of `waiting` that need a look when there is room for one.
    stalled: VecDeque<Subject>,
    /// Which attributes of a container's events are its own labels, once it has been looked up.
    labels: HashMap<Subject, Overwritten>,
    looking: FuturesUnordered<BoxFuture<'static, Looked>>,
    /// Those who wait until nothing is left to be told.
    draining: Vec<oneshot::Sender<()>>,
    /// Counts what arrives and what is looked up, in one row.
    count: u64,
}

/// Something that waits for its turn.
#[derive(Debug)]
struct Waiting {
    what: What,
    /// Counted with the looks: a look with a higher number has seen what this tells of.
    arrived: u64,
    /// The look that is under way for it.
    look: Option<u64>,
}

#[derive(Debug)]
enum What {
    Notice(Notice),
    Compare(Signal, oneshot::Sender<Compared>),
    Settle(oneshot::Sender<()>),
}

struct Looked {
    about: About,
    found: Found,
}

/// What a look found: the container, or that there is none.
type Found = Result<Option<Observation>, DockerError>;

enum About {
    Subject { subject: Subject, look: u64 },
    Suspect { target: String, saw: Saw, at: Timestamp },
}

/// Labels that hide what an event says.
#[derive(Clone, Copy, Debug, Default)]
struct Overwritten {
    exit_code: bool,
    signal: bool,
}

/// The queue is full: the task behind it does not keep up at all.
#[derive(Debug, thiserror::Error)]
#[error("more than {QUEUE_MAX} signals wait to be taken in")]
pub struct Overflow;

impl Looks {
    /// The looks, and the task that must be run for them.
    pub fn new(docker: Docker, engine: Engine) -> (Looks, Watch) {
        let (sender, inbox) = mpsc::channel(QUEUE_MAX);
        let watch = Watch {
            inbox,
            docker,
            engine,
            waiting: HashMap::new(),
            stalled: VecDeque::new(),
            labels: HashMap::new(),
            looking: FuturesUnordered::new(),
            draining: Vec::new(),
            count: 0,
        };
        (Looks { inbox: sender }, watch)
    }

    /// Takes a signal in. Never waits.
    ///
    /// # Errors
    ///
    /// When too many wait already; the signal is lost.
    pub fn submit(&self, notice: Notice) -> Result<(), Overflow> {
        self.inbox.try_send(Message::Notice(notice)).map_err(|_| Overflow)
    }

    /// Has the container looked up that a caller names `target`, and tells `saw` of it: a call that may
    /// have changed it has just been answered. Never waits; what is lost here the event stream tells as
    /// well.
    pub fn suspect(&self, target: &str, saw: Saw, at: Timestamp) {
        let _ = self.inbox.try_send(Message::Suspect { target: target.to_owned(), saw, at });
    }

    /// Has the signal's container looked up when its turn comes, and tells the signal with what was
    /// found. Nothing is told of a container that is not there.
    pub async fn compare(&self, signal: Signal) -> Compared {
        let (reply, compared) = oneshot::channel();
        if self.inbox.send(Message::Compare(signal, reply)).await.is_err() {
            return Compared::Failed;
        }
        compared.await.unwrap_or(Compared::Failed)
    }

    /// Waits until all that has been sent has been told, but not for long.
    pub async fn drained(&self) {
        let (told, drained) = oneshot::channel();
        if self.inbox.send(Message::Drain(told)).await.is_ok() && timeout(DRAIN_LIMIT, drained).await.is_err()
        {
            debug!("went ahead of looks that take long");
        }
    }

    /// Waits until all that has been sent about `subject` has been told, but not for long: one
    /// look may take its limit, and so may the one that it waits for.
    pub async fn settle(&self, subject: &Subject) {
        let (told, settled) = oneshot::channel();
        if self.inbox.try_send(Message::Settle(subject.clone(), told)).is_ok()
            && timeout(LOOK_LIMIT, settled).await.is_err()
        {
            debug!(%subject, "went ahead of a look that takes long");
        }
    }

    /// Waits until there is room again.
    pub async fn room(&self) {
        // An error means that the task has ended; then nobody needs room.
        let _ = self.inbox.reserve_many(QUEUE_MAX / 2).await;
    }
}

impl Watch {
    /// Puts signals in order until all senders are gone and everything has been told.
    pub async fn run(mut self) {
        let mut open = true;
        while open || !self.waiting.is_empty() || !self.looking.is_empty() {
            tokio::select! {
                message = self.inbox.recv(), if open => match message {
                    Some(message) => self.take(message).await,
                    None => open = false,
                },
                Some(looked) = self.looking.next(), if !self.looking.is_empty() => self.found(looked).await,
                else => break,
            }
            if self.waiting.is_empty() && self.looking.is_empty() {
                for told in self.draining.drain(..) {
                    // Whoever asked may have given up.
                    let _ = told.send(());
                }
            }
        }
    }

    async fn take(&mut self, message: Message) {
        match message {
            Message::Notice(notice) => {
                let subject = notice.signal.subject.clone();
                if self.waiting.contains_key(&subject) || must_look(&self.labels, &notice) {
                    self.wait(subject, What::Notice(notice)).await;
                } else {
                    self.tell(notice, None).await;
                }
            }
            Message::Compare(signal, reply) => {
                self.wait(signal.subject.clone(), What::Compare(signal, reply)).await;
            }
            Message::Drain(told) => self.draining.push(told),
            Message::Settle(subject, told) => {
                if self.waiting.contains_key(&subject) {
                    self.wait(subject, What::Settle(told)).await;
                } else {
                    // Whoever asked may have given up.
                    let _ = told.send(());
                }
            }
            Message::Suspect { target, saw, at } => {
                let docker = self.docker.clone();
                self.looking.push(Box::pin(async move {
                    let found = docker.inspect(&target).await;
                    Looked { about: About::Suspect { target, saw, at }, found }
                }));
            }
        }
    }

    async fn wait(&mut self, subject: Subject, what: What) {
        let wants_look = matches!(&what, What::Notice(notice) if notice.wants == Wants::Look);
        let arrived = self.next_count();
        let queue = self.waiting.entry(subject.clone()).or_default();
        // A look at a connection waits for the lock that a start holds; what it finds then is older
        // than what the start is to be told.
        if let Some(first) = queue.front_mut().filter(|it| wants_look && it.is_change()) {
            first.look = None;
        }
        queue.push_back(Waiting { what, arrived, look: None });
        self.proceed(&subject).await;
    }

    fn next_count(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    /// Tells what need not wait any more, and begins the look that the next one needs.
    async fn proceed(&mut self, subject: &Subject) {
        while let Some(queue) = self.waiting.get_mut(subject) {
            match queue.front() {
                None => drop(self.waiting.remove(subject)),
                Some(Waiting { look: Some(_), .. }) => return,
                Some(Waiting { what, .. }) if what.must_look(&self.labels) => {
                    if self.looking.len() < LOOKS_MAX {
                        self.look(subject);
                    } else {
                        self.stalled.push_back(subject.clone());
                    }
                    return;
                }
                Some(_) => {
                    if let Some(first) = queue.pop_front() {
                        self.let_go(first.what, None).await;
                    }
                }
            }
        }
    }

    fn look(&mut self, subject: &Subject) {
        let look = self.next_count();
        if let Some(first) = self.waiting.get_mut(subject).and_then(VecDeque::front_mut) {
            first.look = Some(look);
        }
        let (docker, subject) = (self.docker.clone(), subject.clone());
        self.looking.push(Box::pin(async move {
            let found = docker.inspect(&subject.id).await;
            Looked { about: About::Subject { subject, look }, found }
        }));
    }

    async fn found(&mut self, looked: Looked) {
        match (looked.about, looked.found) {
            (About::Subject { subject, look }, found) => self.found_for(subject, look, found).await,
            (About::Suspect { target, saw, at }, found) => self.found_suspect(&target, saw, at, found).await,
        }
        while self.looking.len() < LOOKS_MAX
            && let Some(subject) = self.stalled.pop_front()
        {
            self.proceed(&subject).await;
        }
    }

    /// A look serves everything that had arrived before it began.
    async fn found_for(&mut self, subject: Subject, look: u64, found: Found) {
        let queue = self.waiting.get(&subject);
        if queue.and_then(VecDeque::front).and_then(|it| it.look) != Some(look) {
            return;
        }
        if let Err(error) = &found {
            warn!(%subject, %error, "cannot look a container up: its hooks are told what is known");
        }
        while let Some(queue) = self.waiting.get_mut(&subject)
            && let Some(first) = queue.pop_front_if(|it| it.arrived < look)
        {
            self.let_go(first.what, Some(&found)).await;
        }
        self.proceed(&subject).await;
    }

    /// Hands on what waited, with what a look found if it needs one.
    async fn let_go(&mut self, what: What, found: Option<&Found>) {
        match what {
            What::Notice(notice) => {
                let found = found.filter(|_| must_look(&self.labels, &notice));
                let looked = found.map(|it| it.as_ref().ok().cloned().flatten());
                self.tell(notice, looked).await;
            }
            What::Compare(signal, reply) => {
                let compared = match found {
                    Some(Ok(found)) => {
                        if found.is_some() {
                            self.tell(Notice { signal, wants: Wants::Look }, Some(found.clone())).await;
                        }
                        Compared::Told
                    }
                    Some(Err(_)) | None => Compared::Failed,
                };
                // Whoever asked may have given up.
                let _ = reply.send(compared);
            }
            // Whoever asked may have given up.
            What::Settle(told) => drop(told.send(())),
        }
    }

    /// A container that is gone is told of only if it was named by its id: no other name is its own for
    /// good.
    async fn found_suspect(&mut self, target: &str, saw: Saw, at: Timestamp, found: Found) {
        let observation = found.unwrap_or_else(|error| {
            debug!(target, %error, "cannot look a container up");
            None
        });
        let id = match &observation {
            Some(observation) => observation.facts.id.as_deref(),
            None => Some(target).filter(|it| is_full_id(it) && matches!(saw, Saw::Answered(_))),
        };
        let (Some(engine), Some(id)) = (self.docker.known_engine_id(), id) else { return };
        let subject = Subject::container(&engine, id);
        let signal = Signal {
            observation: observation.map(Box::new),
            ..Signal::new(subject.clone(), Source::Authorization, at, saw)
        };
        let notice = Notice { signal, wants: Wants::Nothing };
        if self.waiting.contains_key(&subject) {
            self.wait(subject, What::Notice(notice)).await;
        } else {
            self.tell(notice, None).await;
        }
    }

    /// Hands a signal on. `looked` is what a look for it found, if there was one.
    async fn tell(&mut self, notice: Notice, looked: Option<Option<Observation>>) {
        let Notice { mut signal, wants } = notice;
        if let Some(observation) = looked {
            if let Some(labels) = observation.as_ref().and_then(|it| it.facts.labels.as_ref()) {
                let has = |key: &str| labels.contains_key(key);
                let overwritten = Overwritten { exit_code: has("exitCode"), signal: has("signal") };
                self.labels.insert(signal.subject.clone(), overwritten);
            }
            if let Wants::Trust { attribute } = wants
                && self.labels.get(&signal.subject).is_none_or(|it| it.hide(attribute))
            {
                signal.saw = disbelieved(signal.saw, observation.as_ref());
            }
            signal.observation = observation.map(Box::new);
        }
        if signal.saw == Saw::Removed {
            self.labels.remove(&signal.subject);
        }
        self.engine.accept(signal).await;
    }
}

impl What {
    fn must_look(&self, labels: &HashMap<Subject, Overwritten>) -> bool {
        match self {
            What::Notice(notice) => must_look(labels, notice),
            What::Compare(..) => true,
            What::Settle(_) => false,
        }
    }
}

/// Whether `target` is Docker's own name of a container, and no prefix of it.
fn is_full_id(target: &str) -> bool {
    target.len() == 64 && target.bytes().all(|it| it.is_ascii_hexdigit())
}

/// Whether the container has to be looked up before the signal can be told.
fn must_look(labels: &HashMap<Subject, Overwritten>, notice: &Notice) -> bool {
    match notice.wants {
        Wants::Nothing => false,
        Wants::Look => true,
        Wants::Trust { attribute } => labels.get(&notice.signal.subject).is_none_or(|it| it.hide(attribute)),
    }
}

/// What was seen, without the value that a label may have put there, but with what a look tells.
fn disbelieved(saw: Saw, observation: Option<&Observation>) -> Saw {
    match (saw, observation.map(|it| it.process)) {
        (Saw::Ended { .. }, Some(Process::Ended { code, .. })) => Saw::Ended { code: Some(code) },
        (Saw::Ended { .. }, _) => Saw::Ended { code: None },
        (Saw::Killed, _) => Saw::Changed,
        (saw, _) => saw,
    }
}

impl Overwritten {
    fn hide(self, attribute: &str) -> bool {
        match attribute {
            "exitCode" => self.exit_code,
            "signal" => self.signal,
            _ => true,
        }
    }
}

impl Waiting {
    /// Whether it tells of a change in passing, and not of a step in the container's life.
    fn is_change(&self) -> bool {
        matches!(&self.what, What::Notice(Notice { signal, .. }) if matches!(signal.saw, Saw::Reached(_)))
    }
}
