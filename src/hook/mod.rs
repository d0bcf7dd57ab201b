//! What the operator declared: which events a hook answers, and how.
//!
//! A [`Hook`] cannot hold a mistake: the configuration is checked where it is read. Whether a hook
//! matches is a pure function of its [`Condition`] and the event; it has three values, because a
//! container is not always known as a whole.

mod condition;
mod due;
mod logic;
mod order;
mod pattern;
mod script;
mod words;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::launch::Launch;
use crate::lifecycle::{Point, PointSet};

pub use condition::{Condition, ExitTest, LabelPattern, Obstacle, Test};
pub use due::{NeverDue, NeverOwed, Standing};
pub use logic::Match;
pub use pattern::{Pattern, PatternError};
pub use script::{Script, ScriptName};

/// The name of a hook: what messages, logs and the journal call it.
///
/// One to 64 characters of `a-z A-Z 0-9 . _ -`, the first a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct HookName(Arc<str>);

impl HookName {
    /// The longest name, in characters: it stands in every line that is shown.
    pub const MAX_CHARS: usize = 64;

    /// The name, if it keeps the rules.
    pub fn parse(name: &str) -> Option<HookName> {
        let ok = (1..=HookName::MAX_CHARS).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
        ok.then(|| HookName(name.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for HookName {
    type Error = String;

    fn try_from(name: String) -> Result<HookName, String> {
        HookName::parse(&name).ok_or_else(|| format!("`{name}` is no name of a hook"))
    }
}

impl fmt::Display for HookName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The operator's answer to events.
///
/// What is kept of a hook for a run that has to be repeated is everything but its condition and
/// its order.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hook {
    /// What it is called; no two hooks share a name.
    pub name: HookName,
    /// The points that it answers at; never empty.
    pub at: PointSet,
    /// Which of the events at those points it answers.
    #[serde(skip)]
    pub when: Condition,
    /// What it does.
    pub action: Action,
    /// How long one attempt may take.
    pub deadline: Deadline,
    /// What a failure means.
    pub on_failure: OnFailure,
    /// Whether its denials count.
    pub mode: Mode,
    /// What it owes once it has begun to set something up.
    pub cleanup: Option<Arc<Cleanup>>,
    /// The hooks that it runs after, at points that both listen to.
    #[serde(skip)]
    pub after: Vec<HookName>,
    /// With whom it shares a bound on how many run at once.
    pub group: Option<Group>,
    /// Whether events that come close together are answered by one run.
    pub debounce: Option<Debounce>,
    /// How often it is tried again when it fails. `None`: only when it asks for it, by exit status 75 say.
    pub retry: Option<Retry>,
    /// Whether it also answers for containers that hooks themselves made.
    pub nested: bool,
}

/// How what a hook set up is cleaned up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cleanup {
    /// The points that make it due, the first that is reached; never empty.
    pub at: PointSet,
    /// What it does; never [`Action::Deny`].
    pub action: Action,
    /// How long one attempt may take.
    pub deadline: Deadline,
    /// How often it is tried before it is given up.
    pub retry: Retry,
}

impl Hook {
    /// A hook that answers nothing and does nothing: what is not said of it is as where nothing is
    /// written.
    pub fn named(name: HookName) -> Hook {
        Hook {
            name,
            at: PointSet::EMPTY,
            when: Condition::default(),
            action: Action::Deny { message: String::new() },
            deadline: Deadline::DEFAULT,
            on_failure: OnFailure::Ignore,
            mode: Mode::Enforce,
            cleanup: None,
            after: Vec::new(),
            group: None,
            debounce: None,
            retry: None,
            nested: false,
        }
    }
}

impl Cleanup {
    /// The hook that the clean-up runs as, by the name of the one that set up.
    pub fn hook(&self, name: &HookName) -> Hook {
        Hook {
            at: self.at,
            action: self.action.clone(),
            deadline: self.deadline,
            retry: Some(self.retry),
            ..Hook::named(name.clone())
        }
    }
}

/// What a hook does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Runs a program. Nothing of the container is ever put in its arguments.
    Exec(Arc<Command>),
    /// Runs a program in a container that runs already. Nothing of the container that the hook is for is
    /// ever put in its arguments.
    Inside(Arc<Inside>),
    /// Sends the document to a server.
    Http(Arc<Request>),
    /// Says no, without a process. Only at gates.
    Deny {
        /// What the docker user reads.
        message: String,
    },
}

/// A program and its arguments, ready to be run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// The absolute path of the program.
    pub program: PathBuf,
    /// `argv[0]` and on, as written.
    pub argv: Vec<OsString>,
    /// The directory it runs in; that of the configuration file if nothing else is written.
    pub working_dir: PathBuf,
    /// Variables of the hook's own, added last.
    pub environment: BTreeMap<String, String>,
    /// How its process is set up.
    pub launch: Launch,
}

/// A program and its arguments, to be run in a container, with what that container has and may do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inside {
    /// The container: its name, or the beginning of its id.
    pub container: Arc<str>,
    /// The program, as it is called in there, and its arguments.
    pub argv: Vec<String>,
    /// As whom it runs, as the container knows users; `None`: as the container's own process.
    pub user: Option<String>,
    /// An absolute path in the container; `None`: where the container's own process began.
    pub working_dir: Option<String>,
    /// Variables of the hook's own, added last.
    pub environment: BTreeMap<String, String>,
}

/// What is sent to a server. Nothing of the container is ever put into it, but for the body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// `http://` or `https://`, a host, and what follows, as written.
    pub url: String,
    /// What the server is asked to do with the body.
    pub method: Method,
    /// Headers of the hook's own, in the order of the file.
    pub headers: Vec<(String, String)>,
}

/// The method of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
}

/// How long one attempt of a hook may take, and how it is ended when it takes longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadline {
    /// From spawn until the process group gets SIGTERM. Never zero.
    pub limit: Duration,
    /// From SIGTERM until SIGKILL. Zero kills at once.
    pub grace: Duration,
}

impl Deadline {
    /// What holds where nothing is written: `timeout: 30s`, `kill_after: 5s`.
    pub const DEFAULT: Deadline = Deadline { limit: Duration::from_secs(30), grace: Duration::from_secs(5) };
}

/// What the failure of a hook means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// The gate says no. The default at gates.
    Deny,
    /// It is recorded, and nothing else. The default elsewhere.
    Ignore,
    /// The container is stopped through the API.
    Stop,
}

/// A bound that hooks share: at most so many of their runs at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// What the hooks call it.
    pub name: Arc<str>,
    /// How many runs may be under way. The same in all hooks of the group.
    pub max: NonZeroU32,
}

impl Group {
    /// [`Group::max`], as things in memory are counted.
    pub fn places(&self) -> usize {
        usize::try_from(self.max.get()).unwrap_or(usize::MAX)
    }
}

/// One run for events that come close together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Debounce {
    /// The run starts when nothing has come for so long. Never zero.
    pub wait: Duration,
    /// It starts so long after the first event at the latest. Not less than `wait`.
    pub max: Duration,
}

/// Whether the denials of a hook count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// They do.
    #[default]
    Enforce,
    /// They are recorded, and the call goes on: to see what a policy would do before it does it.
    Audit,
}

/// How often and how soon a failed hook is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// All attempts, the first included. At least 1.
    pub max_attempts: u32,
    /// Before the second attempt; doubles with each further one.
    pub delay: Duration,
    /// The longest pause.
    pub max_delay: Duration,
}

impl Retry {
    /// What an exit status of 75 gives a hook that has no `retry` of its own.
    pub const ON_REQUEST: Retry =
        Retry { max_attempts: 5, delay: Duration::from_secs(1), max_delay: Duration::from_secs(60) };

    /// What holds for a clean-up where nothing is written.
    pub const OF_CLEANUP: Retry =
        Retry { max_attempts: 20, delay: Duration::from_secs(1), max_delay: Duration::from_secs(300) };

    /// The pause after attempt number `attempt` (from 1), before jitter; `None` when it was the last.
    pub fn pause_after(&self, attempt: u32) -> Option<Duration> {
        if attempt >= self.max_attempts {
            return None;
        }
        let doubled = 2_u32.checked_pow(attempt.saturating_sub(1)).and_then(|n| self.delay.checked_mul(n));
        Some(doubled.unwrap_or(self.max_delay).min(self.max_delay))
    }
}

/// A gate's answer when boathook itself cannot decide: the journal cannot be written, the subject
/// cannot be found out, something panicked. A hook that fails has `on_failure` for that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outage {
    /// The call may go on.
    #[default]
    Open,
    /// The call is refused.
    Closed,
}

/// All hooks, arranged so that asking "who answers here" costs nothing.
#[derive(Clone, Debug, Default)]
pub struct HookSet {
    /// By the number of the point; empty if there is no hook at all.
    at: Vec<Vec<Arc<Hook>>>,
    points: PointSet,
}

impl HookSet {
    /// The hooks in the order of the file, but each after those that its `after` names. At gates those
    /// that deny without a process come first: they cost nothing, and may make running a program
    /// needless. None of them is `after` one that needs a process.
    pub fn new(hooks: &[Arc<Hook>]) -> HookSet {
        let points = hooks.iter().flat_map(|it| it.listens().iter().collect::<Vec<_>>()).collect();
        let mut set = HookSet { at: vec![Vec::new(); Point::ALL.len()], points };
        for &point in Point::ALL {
            let mut here: Vec<_> = hooks.iter().filter(|it| it.at.contains(point)).cloned().collect();
            here.sort_by_key(|it| !matches!(it.action, Action::Deny { .. }));
            set.at[point as usize] = order::in_order(here);
        }
        set
    }

    /// The hooks that listen at `point`, in the order in which they run.
    pub fn at(&self, point: Point) -> &[Arc<Hook>] {
        self.at.get(point as usize).map_or(&[], Vec::as_slice)
    }

    /// The groups of the hooks, each once for every hook and point.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.at.iter().flatten().filter_map(|it| it.group.as_ref())
    }

    /// The points at which any hook listens, or the clean-up of one falls due.
    pub fn points(&self) -> PointSet {
        self.points
    }
}
