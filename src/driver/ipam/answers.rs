//! What the driver answers, and what is on disk before it does.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use ipnet::IpNet;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::timeout_at;
use tracing::{debug, warn};

use super::compared::{NetworkSeen, Times};
use super::documents::{self, Row};
use super::kept::Asker;
use super::pool::{Role, Wish};
use super::pools::{LOCAL, Origin, Place, PoolGrant, PoolId, PoolWish, Pools};
use super::scripted::Scripted;
use super::subnet::Subnet;
use super::turnstile::{Starter, Turnstile};
use super::{IpamError, Settings, TOLD_WITHIN, host};
use crate::driver::script::Scripts;
use crate::journal::{CommitError, Journal};
use crate::run::{Entry, Holding};

/// What the driver is built with.
pub struct IpamParts<'a> {
    /// Where what it grants is kept.
    pub journal: Journal,
    /// What it held when boathook ended, of whatever kinds.
    pub holdings: &'a [Holding],
    /// How the engine calls the driver.
    pub driver: String,
    /// What the configuration says.
    pub settings: Settings,
    /// What may answer in its place.
    pub scripts: Scripts,
}

/// The IPAM driver. Cheap to clone: all clones are the same driver.
#[derive(Clone)]
pub struct Ipam {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    journal: Journal,
    driver: String,
    /// Never locked across an `await`.
    state: Mutex<State>,
    settings: ArcSwap<Settings>,
    turnstile: Turnstile,
    scripts: Scripts,
    begun_at: Instant,
    /// Whether the engine has told which networks it has.
    has_compared: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    pools: Pools,
    /// The subnets of the engine's other networks, as it last listed them.
    others: Vec<IpNet>,
    /// Rows that the disk has not taken. They are written as they then are, with what comes next.
    owed: BTreeSet<Row>,
}

/// Rows on their way to the disk. Dropped before they are there, they are owed.
struct Writing<'a> {
    shared: &'a Shared,
    rows: BTreeSet<Row>,
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        if !self.rows.is_empty() {
            self.shared.state().owed.append(&mut self.rows);
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands the rows, and those that are owed, to the journal as they are now. They take their place
    /// before anybody else can change them.
    fn write<'a>(
        &'a self,
        mut state: MutexGuard<'_, State>,
        rows: Vec<Row>,
    ) -> impl Future<Output = Result<(), CommitError>> + Send + use<'a> {
        let mut rows: BTreeSet<Row> = rows.into_iter().collect();
        rows.append(&mut state.owed);
        let entries = rows.iter().map(|it| Entry::Held(it.now(&state.pools))).collect();
        let kept = self.journal.commit(entries);
        drop(state);
        let mut writing = Writing { shared: self, rows };
        async move {
            kept.await?;
            writing.rows.clear();
            Ok(())
        }
    }

    fn sticky_until(&self, now: Timestamp) -> Option<Timestamp> {
        let sticky = self.settings.load().sticky;
        (!sticky.is_zero()).then(|| now.saturating_add(sticky).unwrap_or(Timestamp::MAX))
    }

    fn scripted(&self, origin: &Origin) -> Result<Scripted<'_>, IpamError> {
        self.scripts.find(&origin.script)?;
        Ok(Scripted { scripts: &self.scripts, script: origin.script.clone(), id: origin.id.clone() })
    }
}

impl Ipam {
    /// The driver, with what it held before. Rows of the journal that nothing stands behind any more are
    /// taken out with what it writes first.
    pub fn new(parts: IpamParts<'_>) -> Ipam {
        let IpamParts { journal, holdings, driver, settings, scripts } = parts;
        let (pools, stray) = documents::read(holdings, Instant::now());
        // What does not become of it is taken out the next time.
        drop(journal.commit(stray.into_iter().map(Entry::Held).collect()));
        let state = Mutex::new(State { pools, ..State::default() });
        let (settings, turnstile) = (ArcSwap::from_pointee(settings), Turnstile::new());
        let (begun_at, has_compared) = (Instant::now(), watch::Sender::new(false));
        let shared = Shared { journal, driver, state, settings, turnstile, scripts, begun_at, has_compared };
        Ipam { shared: Arc::new(shared) }
    }

    /// Obeys another configuration from now on. Pools stay as they are.
    pub fn obey(&self, settings: Settings) {
        self.shared.settings.store(Arc::new(settings));
    }

    /// How the engine calls the driver.
    pub fn driver(&self) -> &str {
        &self.shared.driver
    }

    /// Whether there is any pool, and addresses are kept for whom they were.
    pub fn is_sticky(&self) -> bool {
        !self.shared.settings.load().sticky.is_zero() && !self.is_idle()
    }

    /// Whether there is no pool.
    pub fn is_idle(&self) -> bool {
        self.shared.state().pools.is_empty()
    }

    /// Waits until `starter` is the only one who asks for addresses of these subnets, so that it is known
    /// whose they are.
    pub async fn enter(&self, starter: Starter, subnets: &[IpNet]) {
        let asked: BTreeSet<PoolId> = {
            let state = self.shared.state();
            let of = |subnet: &IpNet| state.pools.of(LOCAL, Subnet::of(*subnet)).cloned();
            subnets.iter().filter_map(of).collect()
        };
        self.shared.turnstile.enter(starter, asked).await;
    }

    /// This call has been answered: its container keeps nobody waiting any more.
    pub fn leave(&self, call: &str) {
        self.shared.turnstile.leave(call);
    }

    /// The engine does not answer. When it comes back, it may ask for all that it had.
    pub fn engine_is_away(&self) {
        self.shared.state().pools.engine_is_away();
    }

    /// Waits until it is known whether the engine has the subnet that is wished for, if boathook has been started
    /// a moment ago. An engine that runs tells at once; one that starts, and asks for what it had, tells nothing
    /// before it is answered.
    async fn settle(&self, wish: &PoolWish) {
        if !self.shared.state().pools.is_open(wish) {
            return;
        }
        let mut compared = self.shared.has_compared.subscribe();
        let until = self.shared.begun_at + TOLD_WITHIN;
        if timeout_at(until.into(), compared.wait_for(|it| *it)).await.is_err() {
            self.shared.state().pools.engine_is_silent();
        }
    }

    /// Takes note of the networks that the engine listed when it was asked at `asked_at`, takes back what
    /// none of them has had for long, and forgets for whom addresses were kept. What could not be written
    /// until now is tried again.
    pub async fn compare(&self, seen: &[NetworkSeen], asked_at: Instant) {
        let now = Timestamp::now();
        let (writing, scripted) = {
            let mut state = self.shared.state();
            let theirs = seen.iter().filter(|it| it.ours.is_none());
            state.others = theirs.flat_map(|it| it.subnets.iter().copied()).collect();
            let swept = state.pools.compare(seen, Times { asked_at, now });
            self.shared.has_compared.send_replace(true);
            swept.tell();
            let mut rows = swept.rows;
            for (id, known) in state.pools.iter_mut() {
                let subnet = known.pool.subnet;
                rows.extend(
                    known.pool.forget(now).into_iter().map(|it| Row::address(id, subnet.address(it))),
                );
            }
            let is_nothing = rows.is_empty() && state.owed.is_empty();
            ((!is_nothing).then(|| self.shared.write(state, rows)), swept.scripted)
        };
        let Some(writing) = writing else { return };
        if let Err(error) = writing.await {
            warn!(%error, "what is held has changed, and cannot be written: it will be tried again");
        }
        for (origin, id, address) in scripted {
            match (self.shared.scripted(&origin), address) {
                (Ok(script), Some(address)) => script.release_address_quietly(&id, address).await,
                (Ok(script), None) => script.release_pool_quietly(&id).await,
                (Err(error), _) => warn!(pool = &*id, %error, "what was taken back is the script's still"),
            }
        }
    }

    pub(super) async fn request_pool(
        &self,
        mut wish: PoolWish,
        request: &[u8],
    ) -> Result<(PoolId, IpNet), IpamError> {
        self.settle(&wish).await;
        let is_new =
            wish.subnet.is_none_or(|it| self.shared.state().pools.of(&wish.space, Subnet::of(it)).is_none());
        let mut granted_by = None;
        if let Some(origin) = &mut wish.origin {
            let scripted = self.shared.scripted(origin)?;
            // What the engine had before it was started again is known.
            if is_new {
                let (subnet, id) = scripted.request_pool(request, wish.subnet).await?;
                (wish.subnet, origin.id) = (Some(subnet), id.clone());
                granted_by = Some(Scripted { id, ..scripted });
            }
        }
        let granted = self.grant_pool(wish).await;
        // A script that wants to be told has called the pool something.
        if let (Err(_), Some(script)) = (&granted, granted_by)
            && let Some(id) = &script.id
        {
            script.release_pool_quietly(&id.as_str().into()).await;
        }
        granted
    }

    async fn grant_pool(&self, wish: PoolWish) -> Result<(PoolId, IpNet), IpamError> {
        let settings = self.shared.settings.load_full();
        let mut taken = if wish.subnet.is_none() { host::taken().await } else { Vec::new() };
        let (granted, subnet, writing) = {
            let mut state = self.shared.state();
            taken.extend_from_slice(&state.others);
            let place = Place {
                defaults: &settings.default_pools,
                taken: &taken,
                nonce: fastrand::u32(..),
                now: Timestamp::now(),
                at: Instant::now(),
            };
            let granted = state.pools.grant(wish, &place)?;
            let subnet = state.pools.get_mut(&granted.id)?.pool.subnet.net();
            let row = Row::pool(&granted.id);
            (granted, subnet, self.shared.write(state, vec![row]))
        };
        let PoolGrant { id, again } = granted;
        if let Err(error) = writing.await {
            if !again {
                self.shared.state().pools.remove(&id);
            }
            return Err(error.into());
        }
        Ok((id, subnet))
    }

    /// Gives a pool back, with all that is left in it. One that is not there has been given back.
    pub(super) async fn release_pool(&self, id: &str, request: &[u8]) -> Result<(), IpamError> {
        let (rows, origin) = {
            let mut state = self.shared.state();
            let Some(known) = state.pools.remove(id) else {
                debug!(pool = id, "a pool is given back that is not there");
                return Ok(());
            };
            let rows = Row::all(&id.into(), &known);
            let left = known.pool.held().count();
            if left > 0 {
                debug!(pool = id, left, "a pool is given back with addresses that were not");
            }
            // From here on the rows go their way, whatever becomes of the script.
            (self.shared.write(state, rows), known.origin)
        };
        rows.await?;
        match origin {
            Some(origin) => self.shared.scripted(&origin)?.release_pool(request).await,
            None => Ok(()),
        }
    }

    pub(super) async fn request_address(
        &self,
        id: &str,
        mut wish: Wish,
        request: &[u8],
    ) -> Result<IpNet, IpamError> {
        let id: PoolId = id.into();
        if wish.role == Role::Endpoint {
            let named = self.shared.turnstile.asks(&id, wish.asker.name.as_deref());
            wish.asker = Asker { mac: wish.asker.mac, ..named };
        }
        let origin = {
            let mut state = self.shared.state();
            let known = state.pools.get_mut(&id)?;
            known.origin.clone().filter(|_| !known.pool.has(wish.address))
        };
        let Some(origin) = origin else { return self.grant_address(&id, wish).await };
        let scripted = self.shared.scripted(&origin)?;
        let subnet = self.shared.state().pools.get_mut(&id)?.pool.subnet;
        let answer = scripted.request_address(request, subnet, wish.address).await?;
        let granted = self.grant_address(&id, Wish { address: Some(answer), ..wish }).await;
        match granted {
            // What another has is the other's to give back.
            Err(IpamError::Commit(_)) => scripted.release_address_quietly(&id, answer).await,
            Err(IpamError::Address(error)) => {
                let what = format!("{answer}: {error}");
                return Err(IpamError::Answer { script: origin.script, what });
            }
            _ => {}
        }
        granted
    }

    async fn grant_address(&self, id: &PoolId, wish: Wish) -> Result<IpNet, IpamError> {
        let now = Timestamp::now();
        let (grant, subnet, writing) = {
            let mut state = self.shared.state();
            let pool = &mut state.pools.get_mut(id)?.pool;
            let subnet = pool.subnet;
            let row = |number: u128| Row::address(id, subnet.address(number));
            // What is forgotten goes along with what is written next.
            let forgotten: Vec<Row> = pool.forget(now).into_iter().map(row).collect();
            let granted = pool.grant(wish, now, Instant::now());
            state.owed.extend(forgotten);
            let grant = granted?;
            (grant, subnet, self.shared.write(state, vec![row(grant.number)]))
        };
        if let Err(error) = writing.await {
            if let Ok(known) = self.shared.state().pools.get_mut(id) {
                known.pool.undo(grant);
            }
            return Err(error.into());
        }
        Ok(subnet.with_prefix(grant.number))
    }

    /// Gives an address back. One that nobody has has been given back.
    pub(super) async fn release_address(
        &self,
        id: &str,
        address: IpAddr,
        request: &[u8],
    ) -> Result<(), IpamError> {
        let id: PoolId = id.into();
        let origin = {
            let state = self.shared.state();
            let known = state.pools.get(&id).filter(|it| it.pool.has(Some(address)));
            known.and_then(|it| it.origin.clone())
        };
        // One that its script has not taken back is held until the script does, or the pool goes.
        if let Some(origin) = origin {
            self.shared.scripted(&origin)?.release_address(request).await?;
        }
        match self.take_back(&id, address) {
            Some(writing) => Ok(writing.await?),
            None => Ok(()),
        }
    }

    fn take_back<'a>(
        &'a self,
        id: &PoolId,
        address: IpAddr,
    ) -> Option<impl Future<Output = Result<(), CommitError>> + Send + use<'a>> {
        let now = Timestamp::now();
        let mut state = self.shared.state();
        let pool = &mut state.pools.get_mut(id).ok()?.pool;
        let number = pool.subnet.number(address)?;
        let asker = pool.is_held(number)?.asker.clone();
        // What a container of a certain name had is kept for the next of that name.
        let is_endpoint = pool.is_held(number).is_some_and(|it| it.role == Role::Endpoint);
        let until = self.shared.sticky_until(now).filter(|_| is_endpoint);
        if !pool.release(number, until) {
            debug!(pool = &**id, %address, "an address is given back by somebody who may not have it");
            return None;
        }
        self.shared.turnstile.came_back(id, &asker);
        let subnet = pool.subnet;
        let mut rows: Vec<Row> =
            pool.forget(now).into_iter().map(|it| Row::address(id, subnet.address(it))).collect();
        rows.push(Row::address(id, address));
        Some(self.shared.write(state, rows))
    }
}
