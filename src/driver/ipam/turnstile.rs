//! Starts that pass one at a time, so that it is known whose an address is.
//!
//! Before engine 29 a request for an address names nobody. So of the containers that start on networks
//! whose addresses are ours, authorization lets one through at a time, and the next when that one has asked
//! for its addresses, when its start has been answered, or after [`INSIDE_MAX`]. A start that nobody has
//! asked the API for comes by another way; if it comes at the same time, the two may be taken for each
//! other, and no more happens than that they swap addresses.
//!
//! A container that is restarted first has to stop, which may take its time. It is let in when it gives its
//! address back.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use super::kept::Asker;
use super::pools::PoolId;

/// How long a start may keep others waiting. Between being let through and asking for addresses it has its
/// volumes mounted and its process made, which takes half a second.
const INSIDE_MAX: Duration = Duration::from_secs(10);

/// How long a start waits for others. After that it goes on, and nobody knows whose its address is.
const LINE_MAX: Duration = Duration::from_secs(60);

/// How long a container that is restarted may take to stop, and still be known by what it gives back.
const STOP_MAX: Duration = Duration::from_secs(120);

/// How many containers' keys are remembered by their names, for engines that name who asks.
const KEYS_MAX: usize = 4_096;

/// A container that is about to ask for addresses.
#[derive(Clone, Debug)]
pub struct Starter {
    /// What tells the call that starts it from others: it is said again when that is answered.
    pub call: String,
    /// Whom its addresses are for.
    pub asker: Asker,
    /// What it does first.
    pub passing: Passing,
}

/// How a container comes to ask for addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passing {
    /// It asks as soon as it is let through.
    Starts,
    /// It stops first.
    StopsFirst,
}

/// Who has been let in last, and who waits to be.
#[derive(Debug)]
pub(super) struct Turnstile {
    place: Arc<Semaphore>,
    line: Mutex<Line<OwnedSemaphorePermit>>,
}

/// Who is inside, with what makes room for the next when it is dropped.
#[derive(Debug)]
struct Line<P> {
    inside: Option<Inside<P>>,
    stopping: Vec<Stopping>,
    /// The keys of containers, by their names.
    keys: HashMap<String, String>,
    /// The engine names who asks: nobody has to wait.
    names_askers: bool,
}

#[derive(Debug)]
struct Inside<P> {
    call: String,
    asker: Asker,
    /// The pools that it has not asked yet.
    pools: BTreeSet<PoolId>,
    until: Instant,
    _place: P,
}

#[derive(Debug)]
struct Stopping {
    call: String,
    asker: Asker,
    until: Instant,
}

impl Turnstile {
    pub(super) fn new() -> Turnstile {
        Turnstile { place: Arc::new(Semaphore::new(1)), line: Mutex::new(Line::default()) }
    }

    fn line(&self) -> MutexGuard<'_, Line<OwnedSemaphorePermit>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `starter` is the only one who asks these pools, for [`LINE_MAX`] at most.
    pub(super) async fn enter(&self, starter: Starter, pools: BTreeSet<PoolId>) {
        if pools.is_empty() || self.line().notes(&starter, Instant::now()) {
            return;
        }
        let last = Instant::now() + LINE_MAX;
        loop {
            let until = self.line().inside.as_ref().map_or(last, |it| it.until).min(last);
            let place = self.place.clone().acquire_owned();
            match timeout_at(until, place).await {
                Ok(Ok(place)) => {
                    self.line().admit(starter, pools, place, Instant::now());
                    return;
                }
                Ok(Err(_)) => return,
                Err(_) if Instant::now() >= last => {
                    debug!(call = starter.call, "a start waited for too many others");
                    return;
                }
                Err(_) => self.line().expel(Instant::now()),
            }
        }
    }

    /// Whom an address of `pool` is for. `name` is the container's, if the engine says it.
    pub(super) fn asks(&self, pool: &PoolId, name: Option<&str>) -> Asker {
        let mut line = self.line();
        match name {
            Some(name) => line.named(name),
            None => line.asks(pool, Instant::now()).unwrap_or_default(),
        }
    }

    /// An address of `pool` has come back that was for `asker`.
    pub(super) fn came_back(&self, pool: &PoolId, asker: &Asker) {
        let mut line = self.line();
        if line.stopping.is_empty() {
            return;
        }
        line.expel(Instant::now());
        if line.inside.is_none()
            && let Ok(place) = self.place.clone().try_acquire_owned()
        {
            line.comes_back(pool, asker, place, Instant::now());
        } else if let Some(inside) = line.inside.as_mut().filter(|it| is_same(&it.asker, asker)) {
            // It was in several networks.
            inside.pools.insert(pool.clone());
        }
    }

    /// This call has been answered: its container asks no more.
    pub(super) fn leave(&self, call: &str) {
        self.line().leave(call);
    }
}

impl<P> Default for Line<P> {
    fn default() -> Line<P> {
        Line { inside: None, stopping: Vec::new(), keys: HashMap::new(), names_askers: false }
    }
}

impl<P> Line<P> {
    /// Takes note of who comes. `true`: he need not wait.
    fn notes(&mut self, starter: &Starter, now: Instant) -> bool {
        if let Asker { name: Some(name), key: Some(key), .. } = &starter.asker {
            if self.keys.len() >= KEYS_MAX {
                self.keys.clear();
            }
            self.keys.insert(name.clone(), key.clone());
        }
        if self.names_askers {
            return true;
        }
        if starter.passing == Passing::Starts {
            return false;
        }
        self.stopping.retain(|it| it.until > now && it.call != starter.call);
        let Starter { call, asker, .. } = starter.clone();
        self.stopping.push(Stopping { call, asker, until: now + STOP_MAX });
        true
    }

    fn admit(&mut self, starter: Starter, pools: BTreeSet<PoolId>, place: P, now: Instant) {
        let Starter { call, asker, .. } = starter;
        self.inside = Some(Inside { call, asker, pools, until: now + INSIDE_MAX, _place: place });
    }

    /// Sends away who has been inside for too long.
    fn expel(&mut self, now: Instant) {
        if let Some(gone) = self.inside.take_if(|it| it.until <= now) {
            debug!(call = gone.call, "a start has asked for no address in time");
        }
    }

    fn asks(&mut self, pool: &PoolId, now: Instant) -> Option<Asker> {
        self.expel(now);
        let inside = self.inside.as_mut()?;
        if !inside.pools.remove(pool) {
            return None;
        }
        let asker = inside.asker.clone();
        self.inside.take_if(|it| it.pools.is_empty());
        Some(asker)
    }

    /// The engine says who asks, so that nobody has to wait from now on.
    fn named(&mut self, name: &str) -> Asker {
        self.names_askers = true;
        self.inside = None;
        self.stopping.clear();
        Asker { key: self.keys.get(name).cloned(), name: Some(name.to_owned()), mac: None }
    }

    fn comes_back(&mut self, pool: &PoolId, asker: &Asker, place: P, now: Instant) {
        let Some(nth) = self.stopping.iter().position(|it| is_same(&it.asker, asker) && it.until > now)
        else {
            return;
        };
        let Stopping { call, asker, .. } = self.stopping.remove(nth);
        let starter = Starter { call, asker, passing: Passing::Starts };
        self.admit(starter, BTreeSet::from([pool.clone()]), place, now);
    }

    fn leave(&mut self, call: &str) {
        self.inside.take_if(|it| it.call == call);
        self.stopping.retain(|it| it.call != call);
    }
}

/// Whether both are the same container, by the name that it has.
fn is_same(one: &Asker, other: &Asker) -> bool {
    one.name.is_some() && one.name == other.name
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::pin::pin;
    use std::time::Duration;

    use futures_util::FutureExt as _;
    use tokio::time::Instant;

    use super::{Asker, INSIDE_MAX, Line, Passing, PoolId, STOP_MAX, Starter, Turnstile};

    fn starter(name: &str, passing: Passing) -> Starter {
        let asker = Asker { key: Some(format!("key of {name}")), name: Some(name.into()), mac: None };
        Starter { call: format!("call of {name}"), asker, passing }
    }

    fn pools(names: &[&str]) -> BTreeSet<PoolId> {
        names.iter().map(|it| (*it).into()).collect()
    }

    fn name(turnstile: &Turnstile, pool: &str) -> Option<String> {
        turnstile.asks(&pool.into(), None).name
    }

    impl Line<()> {
        fn lets_in(&mut self, name: &str, asked: &[&str], now: Instant) {
            assert!(!self.notes(&starter(name, Passing::Starts), now), "he need not wait");
            self.admit(starter(name, Passing::Starts), pools(asked), (), now);
        }

        fn name(&mut self, pool: &str, now: Instant) -> Option<String> {
            self.asks(&pool.into(), now)?.name
        }
    }

    #[tokio::test]
    async fn the_next_is_let_in_when_all_has_been_asked_for() {
        let turnstile = Turnstile::new();
        turnstile.enter(starter("a", Passing::Starts), pools(&["p", "q"])).await;
        let mut next = pin!(turnstile.enter(starter("b", Passing::Starts), pools(&["p"])));
        assert_eq!(next.as_mut().now_or_never(), None);

        assert_eq!(name(&turnstile, "x"), None, "nobody has asked the API for that");
        assert_eq!(name(&turnstile, "p").as_deref(), Some("a"));
        assert_eq!(name(&turnstile, "p"), None);
        assert_eq!(next.as_mut().now_or_never(), None);
        assert_eq!(name(&turnstile, "q").as_deref(), Some("a"));

        next.await;
        assert_eq!(name(&turnstile, "p").as_deref(), Some("b"));
    }

    #[tokio::test]
    async fn who_asks_nothing_of_us_waits_for_nobody() {
        let turnstile = Turnstile::new();
        turnstile.enter(starter("a", Passing::Starts), pools(&["p"])).await;

        turnstile.enter(starter("b", Passing::Starts), pools(&[])).await;

        assert_eq!(name(&turnstile, "p").as_deref(), Some("a"));
    }

    #[test]
    fn who_never_asks_is_sent_away_after_ten_seconds() {
        let (mut line, now) = (Line::default(), Instant::now());
        line.lets_in("a", &["p"], now);

        line.expel(now + INSIDE_MAX - Duration::from_secs(1));
        assert!(line.inside.is_some());
        assert_eq!(line.name("p", now + INSIDE_MAX), None);

        line.lets_in("b", &["p"], now);
        line.leave("call of a");
        assert!(line.inside.is_some());
        line.leave("call of b");
        assert!(line.inside.is_none(), "what was answered asks no more");
    }

    #[test]
    fn a_restart_is_let_in_when_its_address_comes_back() {
        let (mut line, now) = (Line::default(), Instant::now());
        let restart = starter("a", Passing::StopsFirst);
        assert!(line.notes(&restart, now), "it stops, and keeps nobody waiting");

        line.comes_back(&"p".into(), &starter("b", Passing::Starts).asker, (), now);
        assert_eq!(line.name("p", now), None, "an end that nobody has asked for restarts nothing");
        line.comes_back(&"p".into(), &restart.asker, (), now);
        assert_eq!(line.name("p", now).as_deref(), Some("a"));

        line.comes_back(&"p".into(), &restart.asker, (), now);
        assert_eq!(line.name("p", now), None, "once");
        line.notes(&restart, now);
        line.comes_back(&"p".into(), &restart.asker, (), now + STOP_MAX);
        assert_eq!(line.name("p", now + STOP_MAX), None, "it has taken too long");
    }

    #[test]
    fn an_engine_that_names_who_asks_keeps_nobody_waiting() {
        let (mut line, now) = (Line::default(), Instant::now());
        line.lets_in("a", &["p"], now);

        let asker = line.named("a");

        assert_eq!((asker.name.as_deref(), asker.key.as_deref()), (Some("a"), Some("key of a")));
        assert!(line.inside.is_none());
        assert!(line.notes(&starter("b", Passing::Starts), now));
        assert_eq!(line.named("b").key.as_deref(), Some("key of b"));
        assert_eq!(line.named("stranger").key, None);
    }
}
