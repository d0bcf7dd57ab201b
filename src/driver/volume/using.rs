//! A volume is used, and not used any more.

use std::path::{Path, PathBuf};

use tracing::{debug, error, info, warn};

use super::mounts;
use super::name::VolumeName;
use super::place::{Missing, Place};
use super::quota::{self, QuotaError};
use super::script::{Method, Question};
use super::slot::Held;
use super::spec::Spec;
use super::table::Table;
use super::uses::{Mounting, Stage, Unmounting, Use};
use super::{ID_BYTES_MAX, MountError, PlaceError, VolumeError, Volumes};
use crate::run::{Entry, Holding, HoldingKind};

impl Volumes {
    /// Mounts a volume for the use called `id`, and tells where it is. A use that is told again is taken back
    /// as often.
    ///
    /// # Errors
    ///
    /// When it is not mounted, or the use not written down; then the use is not there.
    pub async fn mount(&self, name: &str, id: &str) -> Result<PathBuf, VolumeError> {
        let name = VolumeName::parse(name)?;
        if !(1..=ID_BYTES_MAX).contains(&id.len()) || id.chars().any(char::is_control) {
            return Err(VolumeError::Id);
        }
        let mut held = self.enter(&name).await?;
        let spec = match held.state.found.as_ref().ok_or(VolumeError::Unknown)? {
            Ok(record) => record.spec.clone(),
            Err(why) => return Err(VolumeError::Broken { name, why: why.clone() }),
        };
        let mounting = held.state.uses.mounting(id);
        held.state.is_doubtful = true;
        let mountpoint = match (&mounting, &spec) {
            (Mounting::First, Spec::Script { .. }) => {
                self.mount_by_script(&name, &spec, id, &mut held).await?
            }
            (Mounting::Joins(at) | Mounting::Known(at), Spec::Script { .. }) => at.clone(),
            // What is mounted already is left as it is; what somebody has unmounted since is mounted again.
            (_, spec) => {
                let at;
                (at, held) = self.mount_natively(&name, spec, held).await?;
                at
            }
        };
        let it = Use {
            stage: Stage::Held,
            mountpoint: Some(mountpoint.clone()),
            since: self.now(),
            times: held.state.uses.times(id).saturating_add(1),
        };
        held = self.note(&name, held, id, it).await?;
        held.state.is_doubtful = false;
        held.state.unused_since = None;
        held.show();
        debug!(volume = %name, id, at = %mountpoint.display(), ?mounting, "volume used");
        Ok(mountpoint)
    }

    /// Whether the volume is mounted for the use called `id`, so that a `Mount` of it would be no new use.
    ///
    /// # Errors
    ///
    /// When it is not known which volumes there are.
    pub async fn is_used(&self, name: &str, id: &str) -> Result<bool, VolumeError> {
        let Ok(name) = VolumeName::parse(name) else { return Ok(false) };
        match self.enter(&name).await {
            Err(VolumeError::Unknown) => Ok(false),
            held => Ok(held?.state.uses.times(id) > 0),
        }
    }

    /// Takes back the use called `id`; unmounts the volume after the last one. A use that is unknown is
    /// taken back already.
    ///
    /// # Errors
    ///
    /// When the volume cannot be unmounted. Docker does not ask again; it is tried again when it is next
    /// mounted, looked over or removed.
    pub async fn unmount(&self, name: &str, id: &str) -> Result<(), VolumeError> {
        let Ok(name) = VolumeName::parse(name) else { return Ok(()) };
        let held = match self.enter(&name).await {
            Err(VolumeError::Unknown) => return Ok(()),
            held => held?,
        };
        match held.state.uses.times(id) {
            0 | 1 => self.release(&name, held, &[id.to_owned()]).await,
            _ => self.count_down(&name, held, id).await,
        }
    }

    /// Takes back one time of a use. If that cannot be written down only we know; should we die before it can,
    /// the use is one that is left over.
    async fn count_down(&self, name: &VolumeName, mut held: Held, id: &str) -> Result<(), VolumeError> {
        let Some(mut it) = held.state.uses.get(id).cloned() else { return Ok(()) };
        it.times -= 1;
        let holding = Holding::of(HoldingKind::Mount, &key(name, id), &it);
        held.state.uses.put(id, it);
        self.save(name, &mut held, vec![holding]).await
    }

    /// Takes back these uses, one after the other, however often they were told.
    pub(super) async fn release(
        &self,
        name: &VolumeName,
        mut held: Held,
        ids: &[String],
    ) -> Result<(), VolumeError> {
        for id in ids {
            match held.state.uses.unmounting(id) {
                Unmounting::Unknown => {}
                Unmounting::Leaves => self.let_go(name, &mut held, vec![id.clone()]).await,
                Unmounting::Last => held = self.release_last(name, held, id).await?,
            }
        }
        Ok(())
    }

    async fn release_last(&self, name: &VolumeName, mut held: Held, id: &str) -> Result<Held, VolumeError> {
        // Known before anything is done, so that a cut leaves no use that nobody has.
        if let Some(mut left) = held.state.uses.get(id).cloned() {
            left.stage = Stage::Left;
            held.state.uses.put(id, left);
        }
        held.show();
        let mut held = self.take_down(name, held).await?;
        let ids = held.state.uses.ids().map(str::to_owned).collect();
        self.let_go(name, &mut held, ids).await;
        Ok(held)
    }

    /// Unmounts a volume, whoever uses it. Does nothing where nothing is mounted.
    pub(super) async fn take_down(&self, name: &VolumeName, mut held: Held) -> Result<Held, VolumeError> {
        held.state.is_doubtful = true;
        let spec = held.record().map(|it| it.spec.clone());
        if let Some(spec @ Spec::Script { .. }) = &spec {
            self.unmount_by_script(name, spec, &held).await?;
        } else {
            let data = self.shelf().data(name);
            let unmount = move || (mounts::unmount_all(&data), held);
            let done;
            (done, held) = self.disk().run(unmount).await?;
            done?;
        }
        held.state.is_doubtful = false;
        if spec.is_some_and(|it| it.is_mounted_by_us() || matches!(it, Spec::Script { .. })) {
            info!(volume = %name, "volume unmounted");
        }
        Ok(held)
    }

    /// Has `held` say what is true, if the operation before may have been cut off: by the end of the
    /// process, or because nobody waited for it any more.
    pub(super) async fn settled(&self, name: &VolumeName, mut held: Held) -> Result<Held, VolumeError> {
        if !held.state.is_doubtful {
            return Ok(held);
        }
        let spec = held.record().map(|it| it.spec.clone());
        let is_present = held.state.uses.are_of(&self.inner.boot);
        match &spec {
            Some(Spec::Script { .. }) => {
                // Begun, or given up: its script may have mounted it, and nobody uses it.
                if is_present && held.state.uses.count() == 0 {
                    held = self.take_down(name, held).await?;
                }
                self.drop_uses(name, &mut held, is_present).await;
            }
            Some(spec) if spec.is_mounted_by_us() => {
                let table = Table::read().map_err(MountError::Table)?;
                let is_mounted = table.holds(&self.shelf().data(name));
                if is_mounted && held.state.uses.count() == 0 {
                    held = self.take_down(name, held).await?;
                }
                self.drop_uses(name, &mut held, is_mounted).await;
            }
            _ => self.drop_uses(name, &mut held, is_present).await,
        }
        held.state.is_doubtful = false;
        held.show();
        Ok(held)
    }

    /// Forgets uses that are none: all of them if nothing `is_mounted`, else those that nobody has.
    async fn drop_uses(&self, name: &VolumeName, held: &mut Held, is_mounted: bool) {
        let uses = &held.state.uses;
        let of_before = |it: &Use| it.since.boot != self.inner.boot;
        let over = uses.all().filter(|(_, it)| !is_mounted || of_before(it) || it.stage != Stage::Held);
        let over: Vec<String> = over.map(|(id, _)| id.to_owned()).collect();
        if !over.is_empty() {
            info!(volume = %name, uses = over.len(), "uses of a volume that are over were still noted");
            self.let_go(name, held, over).await;
        }
    }

    async fn mount_natively(
        &self,
        name: &VolumeName,
        spec: &Spec,
        held: Held,
    ) -> Result<(PathBuf, Held), VolumeError> {
        let (shelf, paths) = (self.shelf().clone(), self.paths());
        let (home, at, spec) = (shelf.directory(name), shelf.data(name), spec.clone());
        let is_first = held.state.uses.count() == 0;
        let mount = move || {
            if !Table::read().map_err(MountError::Table)?.holds(&at) {
                mount_at(&at, &spec, |path| Place::find(path, &paths, shelf.root()))?;
            }
            if let Spec::Directory { path: None, size: Some(size), .. } = &spec {
                quota::keep(&home, &at, *size).map_err(QuotaError::of_old).inspect_err(|error| {
                    let error = error as &dyn std::error::Error;
                    error!(path = %at.display(), error, "a volume with a size is not mounted");
                })?;
            }
            if let (true, Spec::Directory { permissions, .. }) = (is_first, &spec) {
                mounts::give(&at, permissions)?;
            }
            Ok((at, held))
        };
        self.disk().run(mount).await?
    }

    async fn mount_by_script(
        &self,
        name: &VolumeName,
        spec: &Spec,
        id: &str,
        held: &mut Held,
    ) -> Result<PathBuf, VolumeError> {
        // First of all that it is asked: whatever it has done by the time that we die can be undone.
        let begun = Use { stage: Stage::Begun, mountpoint: None, since: self.now(), times: 1 };
        self.save(name, held, vec![Holding::of(HoldingKind::Mount, &key(name, id), &begun)]).await?;
        held.state.uses.put(id, begun);
        let (directory, at) = (self.shelf().directory(name), self.shelf().data(name));
        let question =
            Question { method: Method::Mount, name, spec, directory: &directory, mountpoint: Some(&at) };
        // If it fails the use stays begun, and the volume doubtful: what it has done half-way is undone before
        // the volume is touched again.
        let said = self.ask(question).await?;
        Ok(said.unwrap_or(at))
    }

    async fn unmount_by_script(
        &self,
        name: &VolumeName,
        spec: &Spec,
        held: &Held,
    ) -> Result<(), VolumeError> {
        let (directory, data) = (self.shelf().directory(name), self.shelf().data(name));
        let mountpoint = held.state.uses.mountpoint().unwrap_or(&data);
        let question = Question {
            method: Method::Unmount,
            name,
            spec,
            directory: &directory,
            mountpoint: Some(mountpoint),
        };
        self.ask(question).await.map(drop)
    }

    /// Writes a use down. If it cannot be, what was mounted for it alone is unmounted.
    async fn note(&self, name: &VolumeName, mut held: Held, id: &str, it: Use) -> Result<Held, VolumeError> {
        let stale = held.state.uses.all().filter(|(other, it)| *other != id && it.stage != Stage::Held);
        let stale: Vec<String> = stale.map(|(other, _)| other.to_owned()).collect();
        let gone = stale.iter().map(|other| Holding::gone(HoldingKind::Mount, &key(name, other)));
        let mut entries: Vec<Holding> = gone.collect();
        entries.push(Holding::of(HoldingKind::Mount, &key(name, id), &it));
        if let Err(error) = self.save(name, &mut held, entries).await {
            if held.state.uses.count() == 0 {
                let held = self.take_down(name, held).await?;
                held.show();
            }
            return Err(error);
        }
        stale.iter().for_each(|other| held.state.uses.remove(other));
        held.state.uses.put(id, it);
        held.state.unsaved.remove(id);
        Ok(held)
    }

    /// Forgets uses. If the journal cannot be written it is told later: until then only we know.
    pub(super) async fn let_go(&self, name: &VolumeName, held: &mut Held, ids: Vec<String>) {
        for id in ids {
            held.state.uses.remove(&id);
            held.state.unsaved.insert(id);
        }
        held.show();
        if let Err(error) = self.save(name, held, Vec::new()).await {
            let error = &error as &dyn std::error::Error;
            warn!(volume = %name, error, "that a volume is not used any more is not written down yet");
        }
    }

    /// Commits `entries`, and what could not be committed before.
    pub(super) async fn save(
        &self,
        name: &VolumeName,
        held: &mut Held,
        entries: Vec<Holding>,
    ) -> Result<(), VolumeError> {
        let owed = held.state.unsaved.iter().map(|id| Holding::gone(HoldingKind::Mount, &key(name, id)));
        // What is said last holds: a use that is noted anew is not gone.
        let all: Vec<Entry> = owed.chain(entries).map(Entry::Held).collect();
        if all.is_empty() {
            return Ok(());
        }
        self.journal().commit(all).await?;
        held.state.unsaved.clear();
        Ok(())
    }
}

/// Mounts what `spec` says over `at`. Waits for the disk.
fn mount_at(
    at: &Path,
    spec: &Spec,
    find: impl FnOnce(&Path) -> Result<Place, PlaceError>,
) -> Result<(), VolumeError> {
    let (path, missing) = match spec {
        Spec::Directory { path: Some(path), .. } => (path, Missing::Make),
        Spec::Bind { path } => (path, Missing::Refuse),
        Spec::Tmpfs { permissions, size } => return Ok(mounts::mount_tmpfs(at, permissions, *size)?),
        Spec::Directory { path: None, .. } | Spec::Script { .. } => return Ok(()),
    };
    // Looked up again: containers may have put links there since the volume was made.
    let opened = find(path)?.open(missing)?;
    Ok(mounts::mount_directory(opened, at)?)
}

/// What a use is called in the journal. No name of a volume holds a slash.
fn key(name: &VolumeName, id: &str) -> String {
    format!("{name}/{id}")
}
