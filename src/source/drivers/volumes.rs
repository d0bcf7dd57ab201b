//! `volume.mount`: around the volume driver.
//!
//! A hook is asked before the volume is mounted. Docker says neither which container it is for nor whether it is
//! for one that starts: the container is the one of those with that volume that does not run. A volume that is
//! mounted while a container is made, to be filled from its image, is in no container's list yet, and reaches no
//! point. Neither does a use that is mounted again: `docker cp` does so with that of the container it reaches
//! into.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use docker_plugin_sdk::driver::{DriverError, Request};
use docker_plugin_sdk::volume::{
    Capabilities, Create, Get, Mount, MountId, Path, Remove, Unmount, Volume, VolumeDriver, VolumeName,
};
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::OnceCell;
use tracing::debug;

use super::{END_TOLD_WITHIN, Points, answer};
use crate::lifecycle::{Detail, Facts, ListedState, Point, Question, Subject, Verdict, VolumeDetail};

/// A volume driver whose calls become points. All clones are the same.
#[derive(Clone)]
pub struct Volumes<D> {
    driver: D,
    is_used: IsUsed,
    points: Points,
    /// What was answered for each use of a volume that is about to be mounted: a call may come twice.
    asked: Arc<Mutex<Asked>>,
}

/// Whether a volume is mounted already for the use of that id.
type IsUsed = Arc<dyn Fn(VolumeName, MountId) -> BoxFuture<'static, bool> + Send + Sync>;

type Asked = HashMap<(VolumeName, MountId), Arc<OnceCell<Verdict>>>;

impl<D: VolumeDriver> Volumes<D> {
    /// The points around `driver`, which says by `is_used` whether a volume is mounted already for a use.
    pub fn new(
        driver: D,
        points: Points,
        is_used: impl Fn(VolumeName, MountId) -> BoxFuture<'static, bool> + Send + Sync + 'static,
    ) -> Volumes<D> {
        Volumes { driver, is_used: Arc::new(is_used), points, asked: Arc::default() }
    }

    async fn pass(&self, name: &VolumeName, id: &MountId) -> Result<(), DriverError> {
        if !self.points.engine.points().contains(Point::VolumeMount)
            || (self.is_used)(name.clone(), id.clone()).await
        {
            return Ok(());
        }
        let asked = {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            asked.entry((name.clone(), id.clone())).or_default().clone()
        };
        let answer = answer(asked.get_or_init(|| self.ask(name)).await);
        if answer.is_err() {
            self.forget(name, id);
        }
        answer
    }

    fn forget(&self, name: &VolumeName, id: &MountId) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.remove(&(name.clone(), id.clone()));
    }

    async fn ask(&self, name: &VolumeName) -> Verdict {
        let Points { engine, docker, looks, held } = &self.points;
        let subject = match self.whose(name).await {
            Ok(Some(subject)) => subject,
            Ok(None) => {
                debug!(volume = name.as_str(), "mounted for nobody who is there yet");
                return Verdict::Allow;
            }
            Err(why) => return engine.undecided(Point::VolumeMount, why),
        };
        looks.settle(&subject).await;
        if docker.answers() {
            engine.ended(&subject, END_TOLD_WITHIN).await;
        }
        let _hold = held.hold(&subject.id, engine.name_of(&subject).await.as_deref());
        let volume = VolumeDetail { name: Some(name.to_string()), ..VolumeDetail::default() };
        let question = Question {
            point: Point::VolumeMount,
            facts: Arc::new(Facts { id: Some(subject.id.to_string()), ..Facts::default() }),
            subject,
            observation: None,
            detail: Some(Arc::new(Detail { volume: Some(volume), ..Detail::default() })),
            request: None,
            withheld: None,
            call: None,
            at: Timestamp::now(),
        };
        engine.ask(question).await
    }

    /// Which container the volume is mounted for; `None`: for none that is there.
    ///
    /// # Errors
    ///
    /// Why that is not known.
    async fn whose(&self, name: &VolumeName) -> Result<Option<Subject>, &'static str> {
        let docker = &self.points.docker;
        let (Some(engine), true) = (docker.known_engine_id(), docker.answers()) else {
            return Err("the engine starts, and cannot be asked for whom a volume is mounted");
        };
        let users = docker.containers_with(name.as_str()).await;
        let users = users.map_err(|_| "docker does not tell for whom a volume is mounted")?;
        let mut still = users.into_iter().filter(|it| it.state != ListedState::Running);
        match (still.next(), still.next()) {
            (None, _) => Ok(None),
            (Some(one), None) => Ok(Some(Subject::container(&engine, &one.id))),
            (Some(_), Some(_)) => Err("it may be mounted for one of several containers that do not run"),
        }
    }
}

impl<D: VolumeDriver> VolumeDriver for Volumes<D> {
    fn capabilities(&self) -> Capabilities {
        self.driver.capabilities()
    }

    async fn create(&self, request: Request<Create>) -> Result<(), DriverError> {
        self.driver.create(request).await
    }

    async fn remove(&self, request: Request<Remove>) -> Result<(), DriverError> {
        self.driver.remove(request).await
    }

    async fn mount(&self, request: Request<Mount>) -> Result<PathBuf, DriverError> {
        let (name, id) = (request.name.clone(), request.id.clone());
        self.pass(&name, &id).await?;
        let mounted = self.driver.mount(request).await;
        // From now on the driver knows.
        self.forget(&name, &id);
        mounted
    }

    async fn unmount(&self, request: Request<Unmount>) -> Result<(), DriverError> {
        self.driver.unmount(request).await
    }

    async fn get(&self, request: Request<Get>) -> Result<Option<Volume>, DriverError> {
        self.driver.get(request).await
    }

    async fn list(&self) -> Result<Vec<Volume>, DriverError> {
        self.driver.list().await
    }

    async fn path(&self, request: Request<Path>) -> Result<Option<PathBuf>, DriverError> {
        self.driver.path(request).await
    }
}
