//! What nobody tells: what was cut off, and who is gone without a word.

use std::collections::BTreeSet;
use std::sync::Arc;

use tracing::{error, info, warn};

use super::leaks::{Sight, leaked};
use super::name::VolumeName;
use super::script::{Method, Question};
use super::shelf::{self, Contents, Record};
use super::slot::{Held, Slot};
use super::table::Table;
use super::{VolumeError, Volumes};

impl Volumes {
    /// Undoes what was cut off when boathook ended, or since: what is mounted and not used is unmounted, what
    /// was not made to the end is taken back, what was removed is deleted. To be called once after a
    /// start; what fails is tried again at the next [`Volumes::compare`].
    pub async fn repair(&self) {
        self.finish().await;
        for (name, slot) in self.all() {
            let held = slot.hold().await;
            if !held.state.is_over && held.state.found.is_some() {
                drop(self.settle(&name, held).await);
            }
        }
    }

    /// Takes back uses that nobody will: the engine was killed, or could not reach us.
    ///
    /// `used` are the names of the volumes of all containers that are up, as listed after `sight` was
    /// [taken](Volumes::now). Volumes that are just being mounted or unmounted are left for the next time.
    pub async fn compare(&self, sight: &Sight, used: &BTreeSet<String>) {
        self.finish().await;
        let theirs = sight.engine.and_then(|it| Table::of(it.pid).ok());
        for (name, slot) in self.all() {
            let Some(held) = slot.try_hold() else { continue };
            if held.state.is_over || held.state.found.is_none() {
                continue;
            }
            let Some(mut held) = self.settle(&name, held).await else { continue };
            if let Some(theirs) = &theirs {
                self.tell_unseen(&name, &mut held, theirs);
            }
            self.compare_one(&name, held, sight, used.contains(name.as_str())).await;
        }
    }

    async fn compare_one(&self, name: &VolumeName, mut held: Held, sight: &Sight, is_used: bool) {
        let (leaked, unused_since) = leaked(&held.state.uses, is_used, held.state.unused_since, sight);
        held.state.unused_since = unused_since;
        let failed = if leaked.is_empty() {
            self.save(name, &mut held, Vec::new()).await
        } else {
            info!(volume = %name, uses = leaked.len(), "uses of a volume were left over by the engine");
            self.release(name, held, &leaked).await
        };
        if let Err(error) = failed {
            let error = &error as &dyn std::error::Error;
            warn!(volume = %name, error, "what is left over of a volume's uses stays, and is tried again");
        }
    }

    /// Tells a person if the engine, whose mounts `theirs` are, does not see a volume where it is mounted.
    /// Containers get an empty directory then.
    fn tell_unseen(&self, name: &VolumeName, held: &mut Held, theirs: &Table) {
        let is_ours = held.record().is_some_and(|it| it.spec.is_mounted_by_us());
        let is_unseen = is_ours && held.state.uses.count() > 0 && !theirs.holds(&self.shelf().data(name));
        if is_unseen && !held.state.is_unseen {
            error!(
                volume = %name,
                "the engine does not see what boathook mounts: start boathook in the engine's mount namespace"
            );
        }
        held.state.is_unseen = is_unseen;
    }

    /// As [`Volumes::settled`]; what fails is logged.
    async fn settle(&self, name: &VolumeName, held: Held) -> Option<Held> {
        match self.settled(name, held).await {
            Ok(held) => Some(held),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                warn!(volume = %name, error, "what was cut off of a volume is not undone yet");
                None
            }
        }
    }

    /// Finishes what was begun before this start.
    async fn finish(&self) {
        let Contents { unfinished, gone, .. } = std::mem::take(&mut *self.unfinished());
        for (name, record) in unfinished {
            // Who makes it anew meanwhile has taken it back already.
            let slot = self.slot(&name, None);
            let held = slot.hold().await;
            if held.state.is_over || held.state.found.is_some() {
                continue;
            }
            if let Err(error) = self.take_back(&name, record.as_ref()).await {
                let error = &error as &dyn std::error::Error;
                warn!(volume = %name, error, "a volume that was not made to the end is not taken back yet");
                self.unfinished().unfinished.push((name.clone(), record));
            }
            self.close(&name, held);
        }
        if !gone.is_empty() {
            // Nobody waits for it.
            drop(self.disk().run(move || shelf::delete_gone(&gone)));
        }
    }

    async fn take_back(&self, name: &VolumeName, record: Option<&Record>) -> Result<(), VolumeError> {
        let directory = self.shelf().staged(name);
        if let Some(record) = record {
            let (spec, directory) = (&record.spec, &*directory);
            self.ask(Question { method: Method::Remove, name, spec, directory, mountpoint: None }).await?;
        }
        let (shelf, name) = (self.shelf().clone(), name.clone());
        Ok(self.disk().run(move || shelf.unstage(&name)).await??)
    }

    fn all(&self) -> Vec<(VolumeName, Arc<Slot>)> {
        self.slots().iter().map(|(name, slot)| (name.clone(), Arc::clone(slot))).collect()
    }
}
