//! What is, compared with what is known.
//!
//! A task of its own, so that nobody who reads events waits for it. Whenever the stream has been
//! lost, and on a slow timer, the engine's list is compared with what is known, and who differs is
//! looked up. What comes of that is told through [`Looks`], behind what the stream has told of the
//! same container before: a look that is newer than what is told next changes nothing by it.

use std::collections::HashSet;
use std::future::pending;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{debug, info, warn};

use super::beat::Beat;
use super::looks::{Compared, Looks, Notice, Overflow, Wants};
use crate::docker::{Docker, DockerError};
use crate::engine::Engine;
use crate::lifecycle::{EngineId, Point, Saw, Signal, Source, Subject, SubjectKind};
use crate::reconcile::{How, Plan, plan};

/// How many containers are looked up at once. As many as for all else that is looked up, so that half
/// of what an engine does for us is left to what happens just now.
const LOOKS_MAX: usize = 16;

/// How long a comparison waits for the stream to tell a difference itself: the stream knows more of it.
const SETTLED_AFTER: Duration = Duration::from_secs(2);

/// The first pause after a comparison that failed.
const AGAIN_MIN: Duration = Duration::from_millis(250);

/// The longest pause after one.
const AGAIN_MAX: Duration = Duration::from_secs(10);

/// The engine whose events are followed.
#[derive(Clone, Debug)]
pub(super) struct Following {
    /// The engine.
    pub(super) engine: EngineId,
    /// What happened up to then is told to nobody: it was before anybody looked.
    pub(super) since: Timestamp,
    /// Up to where its events had been taken in when the stream was taken up.
    pub(super) read_until: Timestamp,
}

/// Compares what is with what is known.
pub struct Reconciler {
    docker: Docker,
    looks: Looks,
    engine: Engine,
    following: watch::Receiver<Option<Following>>,
}

/// Why a comparison was not carried through.
#[derive(Debug, thiserror::Error)]
enum Incomplete {
    #[error("the engine does not tell what is there")]
    Docker(#[from] DockerError),
    #[error("another engine answers")]
    AnotherEngine,
    #[error("{count} containers could not be looked up")]
    Looks { count: usize },
    #[error("the containers that are gone cannot be told of")]
    Overflow(#[from] Overflow),
}

impl Reconciler {
    pub(super) fn new(
        docker: Docker,
        looks: Looks,
        engine: Engine,
        following: watch::Receiver<Option<Following>>,
    ) -> Reconciler {
        Reconciler { docker, looks, engine, following }
    }

    /// When others look after what the same engine has.
    pub fn beat(&self) -> Beat {
        Beat::new(self.docker.clone(), self.engine.clone(), self.following.clone())
    }

    /// Compares until nobody follows events any more.
    pub async fn run(self) {
        let mut news = self.following.clone();
        loop {
            let following = news.borrow_and_update().clone();
            tokio::select! {
                // A comparison that is under way is of no use once the stream is lost again.
                changed = news.changed() => if changed.is_err() { return },
                () = self.keep_up(following) => {}
            }
        }
    }

    /// Compares once thoroughly, then on the timer. Never ends.
    async fn keep_up(&self, following: Option<Following>) {
        let Some(following) = following else { return pending().await };
        let mut how = How::Thorough { since: Some(following.read_until) };
        let (mut pause, mut owing, mut complete) = (AGAIN_MIN, HashSet::new(), false);
        loop {
            let every = self.engine.reconcile_every();
            let error = match self.compare(&following, how, &mut owing).await {
                Ok(()) => {
                    if !mem::replace(&mut complete, true) {
                        self.all_known(&following);
                    }
                    (how, pause) = (How::Quick, AGAIN_MIN);
                    sleep(every).await;
                    continue;
                }
                Err(error) => error,
            };
            // What could not be looked up is known by name; the others need not be looked up again.
            if let Incomplete::Looks { .. } = error {
                how = How::Quick;
            }
            // Only the first of a row is news.
            if pause == AGAIN_MIN {
                warn!(%error, ?pause, "cannot compare what is with what is known, will try again");
            } else {
                debug!(%error, ?pause, "cannot compare what is with what is known, will try again");
            }
            sleep(pause.min(every)).await;
            pause = (pause * 2).min(AGAIN_MAX);
        }
    }

    /// Whatever is met from now on has not been there before.
    fn all_known(&self, following: &Following) {
        let subject = Subject::new(&following.engine, SubjectKind::Engine, "");
        let saw = Saw::Found { since: Timestamp::MIN };
        let signal = Signal::new(subject, Source::Reconcile, Timestamp::now(), saw);
        // Lost only when nothing is taken in any more; the next comparison finds what was missed.
        let _ = self.looks.submit(Notice { signal, wants: Wants::Nothing });
    }

    /// One comparison. `owing` are the containers that should have been looked up by an earlier one.
    async fn compare(
        &self,
        following: &Following,
        how: How,
        owing: &mut HashSet<Arc<str>>,
    ) -> Result<(), Incomplete> {
        let mut plan = self.plan(following, how).await?;
        if how != How::Quick {
            owing.extend(plan.changed.iter().chain(&plan.unknown).cloned());
            plan.missing = self.still_missing(following, plan.missing).await?;
        } else if !plan.is_empty() {
            sleep(SETTLED_AFTER).await;
            plan = self.plan(following, how).await?.and(&plan);
        }
        let planned: HashSet<_> = plan.changed.iter().chain(&plan.unknown).chain(&plan.missing).collect();
        let left: Vec<_> = owing.iter().filter(|it| !planned.contains(it)).cloned().collect();
        plan.changed.extend(left);
        let unseen = self.see_off(following, &plan.missing, owing).await?;
        let unlooked = self.look(following, &plan, owing).await?;
        match unseen + unlooked {
            0 => Ok(()),
            count => Err(Incomplete::Looks { count }),
        }
    }

    /// Who of those is missing still, once the stream has had time to tell it itself: it may be behind the list,
    /// and whoever is told to be gone has all of his life told by then, or never.
    async fn still_missing(
        &self,
        following: &Following,
        mut missing: Vec<Arc<str>>,
    ) -> Result<Vec<Arc<str>>, Incomplete> {
        if !missing.is_empty() {
            sleep(SETTLED_AFTER).await;
            let later = self.plan(following, How::Quick).await?;
            missing.retain(|it| later.missing.contains(it));
        }
        Ok(missing)
    }

    /// Who has to be looked up, as of now.
    async fn plan(&self, following: &Following, how: How) -> Result<Plan, Incomplete> {
        let listed = self.docker.containers().await?;
        let Some(known) = self.engine.known(&following.engine).await else { return Ok(Plan::default()) };
        let plan = plan(&known, &listed, how);
        let Plan { missing, changed, unknown } = &plan;
        let (missing, changed, unknown) = (missing.len(), changed.len(), unknown.len());
        if how == How::Quick {
            debug!(there = listed.len(), missing, changed, unknown, "compared with the engine's list");
        } else {
            info!(there = listed.len(), missing, changed, unknown, "compared with the engine's list");
        }
        Ok(plan)
    }

    /// Tells the removals of those that are gone indeed: the list may be older than what is known. Returns
    /// how many could not be asked for.
    async fn see_off(
        &self,
        following: &Following,
        missing: &[Arc<str>],
        owing: &mut HashSet<Arc<str>>,
    ) -> Result<usize, Incomplete> {
        if missing.is_empty() {
            return Ok(0);
        }
        let looks = stream::iter(missing.to_vec()).map(|id| async move {
            let found = self.docker.inspect(&id).await;
            (id, found)
        });
        let found: Vec<_> = looks.buffer_unordered(LOOKS_MAX).collect().await;
        // An engine that has come up in place of this one has none of them, which removes nothing.
        if self.docker.identify().await?.id != following.engine {
            return Err(Incomplete::AnotherEngine);
        }
        let mut failed = 0;
        for (id, found) in found {
            match found {
                Ok(None) => {
                    owing.remove(&id);
                    self.tell(following, &id, Saw::Removed)?;
                }
                Ok(Some(_)) => {}
                Err(_) => failed += 1,
            }
        }
        Ok(failed)
    }

    /// Has those looked up that may have changed, then those that were not known: a name may have passed
    /// from one to the other. Returns how many could not be.
    async fn look(
        &self,
        following: &Following,
        plan: &Plan,
        owing: &mut HashSet<Arc<str>>,
    ) -> Result<usize, Incomplete> {
        let changed = self.look_all(following, &plan.changed, Saw::Changed).await;
        let found = Saw::Found { since: following.since };
        let unknown = self.look_all(following, &plan.unknown, found).await;
        let mut failed = 0;
        for (id, compared) in changed.into_iter().chain(unknown) {
            if compared == Compared::Failed {
                failed += 1;
            } else if owing.remove(&id) {
                // Whether it runs is known by what has been told of it.
                self.tell(following, &id, Saw::Reached(Point::Reconcile))?;
            }
        }
        Ok(failed)
    }

    async fn look_all(&self, following: &Following, ids: &[Arc<str>], saw: Saw) -> Vec<(Arc<str>, Compared)> {
        let looks = stream::iter(ids.to_vec()).map(|id| async move {
            let compared = self.looks.compare(signal(following, &id, saw)).await;
            (id, compared)
        });
        looks.buffer_unordered(LOOKS_MAX).collect().await
    }

    fn tell(&self, following: &Following, id: &str, saw: Saw) -> Result<(), Overflow> {
        let signal = signal(following, id, saw);
        self.looks.submit(Notice { signal, wants: Wants::Nothing })
    }
}

fn signal(following: &Following, id: &str, saw: Saw) -> Signal {
    Signal::new(Subject::container(&following.engine, id), Source::Reconcile, Timestamp::now(), saw)
}
