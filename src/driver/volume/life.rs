//! A volume comes, and goes.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout;
use tracing::{info, warn};

use super::name::VolumeName;
use super::options;
use super::place::{Missing, Place};
use super::quota;
use super::script::{Method, Question};
use super::shelf::{self, Record};
use super::slot::Held;
use super::spec::Spec;
use super::{VolumeError, Volumes};

/// How long the answer to a removal waits for the data to be deleted. Docker waits for 60 s, and what is not
/// deleted by then is deleted all the same.
const DELETE_LIMIT: Duration = Duration::from_secs(30);

impl Volumes {
    /// Makes a volume, or does nothing if the same is there already.
    ///
    /// # Errors
    ///
    /// When it is not made: then nothing of it is left.
    pub async fn create(&self, name: &str, options: &BTreeMap<String, String>) -> Result<(), VolumeError> {
        let name = VolumeName::parse(name)?;
        let spec = options::parse(options)?;
        self.allow(&spec)?;
        let held = self.enter_new(&name).await?;
        match &held.state.found {
            None => {}
            Some(Ok(it)) if it.spec == spec => return Ok(()),
            Some(Ok(_)) => return Err(VolumeError::Exists { name }),
            Some(Err(why)) => return Err(VolumeError::Broken { name, why: why.clone() }),
        }
        let now = Timestamp::now();
        let created_at = Timestamp::from_second(now.as_second()).unwrap_or(now);
        let record = Record { spec, created_at };
        let made = self.make(&name, &record, held).await;
        match made {
            Ok(()) => info!(volume = %name, kind = record.spec.word(), "volume made"),
            Err(_) => self.forget(&name).await,
        }
        made
    }

    /// Removes a volume, and the data if it was ours alone. A volume that is not there is removed already.
    ///
    /// Docker asks for it only when no container refers to the volume: uses that are known nevertheless are
    /// left over.
    ///
    /// # Errors
    ///
    /// When it is not removed: then it is still there.
    pub async fn remove(&self, name: &str) -> Result<(), VolumeError> {
        let Ok(name) = VolumeName::parse(name) else { return Ok(()) };
        let mut held = match self.enter(&name).await {
            Err(VolumeError::Unknown) => return Ok(()),
            held => held?,
        };
        if held.state.uses.count() > 0 {
            warn!(volume = %name, uses = held.state.uses.count(), "a removed volume had uses left over");
        }
        if !held.state.uses.is_empty() {
            held = self.take_down(&name, held).await?;
            let ids = held.state.uses.ids().map(str::to_owned).collect();
            self.let_go(&name, &mut held, ids).await;
        }
        if let Some(record) = held.record().cloned() {
            self.ask(Question {
                method: Method::Remove,
                name: &name,
                spec: &record.spec,
                directory: &self.shelf().directory(&name),
                mountpoint: None,
            })
            .await?;
        }
        let (shelf, buried) = (self.shelf().clone(), name.clone());
        let bury = move || (shelf.bury(&buried), held);
        let (grave, held) = self.disk().run(bury).await?;
        let grave = grave?;
        self.close(&name, held);
        info!(volume = %name, "volume removed");
        let deleted = self.disk().run(move || shelf::delete_gone(&[grave]));
        // Slow or cut off: the work goes on, or is taken up at the next start.
        let _ = timeout(DELETE_LIMIT, deleted).await;
        Ok(())
    }

    /// Whether what is asked for is allowed at all.
    fn allow(&self, spec: &Spec) -> Result<(), VolumeError> {
        match spec {
            Spec::Directory { path: Some(path), .. } | Spec::Bind { path } => {
                Place::find(path, &self.paths(), self.shelf().root())?;
            }
            Spec::Script { script, .. } => {
                self.scripts().find(script)?;
            }
            Spec::Directory { path: None, .. } | Spec::Tmpfs { .. } => {}
        }
        Ok(())
    }

    /// Holds the place of a volume that may not be there yet.
    async fn enter_new(&self, name: &VolumeName) -> Result<Held, VolumeError> {
        loop {
            let slot = match self.find(name).await? {
                Some(slot) => slot,
                None => self.slot(name, None),
            };
            let held = slot.hold().await;
            if !held.state.is_over {
                return Ok(held);
            }
        }
    }

    /// Makes what `record` says. Nobody sees it before all of it is there and on disk.
    async fn make(&self, name: &VolumeName, record: &Record, held: Held) -> Result<(), VolumeError> {
        let (shelf, paths) = (self.shelf().clone(), self.paths());
        let (staged, planned) = (name.clone(), record.clone());
        let stage = move || {
            let place = match &planned.spec {
                Spec::Directory { path: Some(path), .. } => Some((path, Missing::Make)),
                Spec::Bind { path } => Some((path, Missing::Refuse)),
                _ => None,
            };
            if let Some((path, missing)) = place {
                Place::find(path, &paths, shelf.root())?.open(missing)?;
            }
            if matches!(planned.spec, Spec::Directory { size: Some(_), .. }) {
                quota::require(shelf.root())?;
            }
            shelf.stage(&staged, &planned)?;
            Ok::<_, VolumeError>(held)
        };
        let mut held = self.disk().run(stage).await??;
        let directory = self.shelf().staged(name);
        let question = Question {
            method: Method::Create,
            name,
            spec: &record.spec,
            directory: &directory,
            mountpoint: None,
        };
        if let Err(error) = self.ask(question).await {
            // It may have come half-way.
            let undone = self.ask(Question { method: Method::Remove, ..question }).await;
            if let Err(undo) = undone {
                let undo = &undo as &dyn std::error::Error;
                warn!(volume = %name, undo, "a script that failed to make a volume cannot undo it either");
            }
            return Err(error);
        }
        let (shelf, admitted) = (self.shelf().clone(), name.clone());
        let admit = move || (shelf.admit(&admitted), held);
        let (admission, back) = self.disk().run(admit).await?;
        admission?;
        held = back;
        held.state.found = Some(Ok(record.clone()));
        held.show();
        Ok(())
    }

    /// Takes back what was made of a volume that is not to be. What cannot be deleted now is at the next
    /// try, or start.
    async fn forget(&self, name: &VolumeName) {
        let slot = self.slots().get(name).cloned();
        let Some(slot) = slot else { return };
        let held = slot.hold().await;
        if held.state.is_over || held.state.found.is_some() {
            return;
        }
        let (shelf, unstaged) = (self.shelf().clone(), name.clone());
        let unstage = move || (shelf.unstage(&unstaged), held);
        match self.disk().run(unstage).await {
            Ok((Ok(()), held)) => self.close(name, held),
            Ok((Err(error), held)) => {
                let error = &error as &dyn std::error::Error;
                warn!(volume = %name, error, "what was begun of a volume is not deleted");
                self.close(name, held);
            }
            Err(_) => {}
        }
    }

    /// The slot is not a volume's any more.
    pub(super) fn close(&self, name: &VolumeName, mut held: Held) {
        held.state.found = None;
        held.state.is_over = true;
        held.show();
        self.slots().remove(name);
    }
}
