//! Who shares a bound: the permits of every group.
//!
//! A group is known by its name alone. Runs of an old and of a new configuration share its bound, and
//! what the newest one says counts from then on: with a smaller `max`, those under way end in
//! peace, and their places are not given away again until there are few enough.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::hook::{Group, HookSet};

/// The permits of all groups. Cheap to clone; clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Groups {
    bounds: Arc<Mutex<HashMap<Arc<str>, Arc<Bound>>>>,
    /// Told whenever there may be a place where there was none.
    freed: Arc<Notify>,
}

/// The places of one group.
#[derive(Debug)]
struct Bound {
    permits: Arc<Semaphore>,
    size: Mutex<Size>,
}

/// How many permits of a group there are: `max` and `surplus`.
#[derive(Debug)]
struct Size {
    max: usize,
    /// Permits of a bound that has been larger, which are out still and will not be given back.
    surplus: usize,
}

/// A place in a group, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    permit: Option<OwnedSemaphorePermit>,
    bound: Arc<Bound>,
    freed: Arc<Notify>,
}

impl Groups {
    /// Takes over what `hooks` say, and forgets groups that nobody is in any more.
    pub(super) fn obey(&self, hooks: &HookSet) {
        let mut bounds = locked(&self.bounds);
        bounds.retain(|_, bound| Arc::strong_count(bound) > 1);
        for group in hooks.groups() {
            match bounds.get(&group.name) {
                Some(bound) => bound.resize(group.places()),
                None => drop(bounds.insert(group.name.clone(), Arc::new(Bound::new(group.places())))),
            }
        }
        self.freed.notify_one();
    }

    /// A place in `group`, if there is one now.
    pub(super) fn try_enter(&self, group: &Group) -> Option<Permit> {
        let bound = self.bound(group);
        let permit = bound.permits.clone().try_acquire_owned().ok()?;
        Some(self.permit(bound, permit))
    }

    /// A place in `group`, as soon as there is one. They are given in the order in which they are asked for.
    pub(super) async fn enter(&self, group: &Group) -> Permit {
        let bound = self.bound(group);
        let permit = bound.permits.clone().acquire_owned().await.expect("permits are never closed");
        self.permit(bound, permit)
    }

    /// Waits until there may be a place where there was none.
    pub(super) async fn freed(&self) {
        self.freed.notified().await;
    }

    fn bound(&self, group: &Group) -> Arc<Bound> {
        let mut bounds = locked(&self.bounds);
        let bound = bounds.entry(group.name.clone()).or_insert_with(|| Arc::new(Bound::new(group.places())));
        bound.clone()
    }

    fn permit(&self, bound: Arc<Bound>, permit: OwnedSemaphorePermit) -> Permit {
        Permit { permit: Some(permit), bound, freed: self.freed.clone() }
    }
}

impl Bound {
    fn new(max: usize) -> Bound {
        Bound { permits: Arc::new(Semaphore::new(max)), size: Mutex::new(Size { max, surplus: 0 }) }
    }

    fn resize(&self, max: usize) {
        let mut size = locked(&self.size);
        let (more, fewer) = (max.saturating_sub(size.max), size.max.saturating_sub(max));
        let kept = more.min(size.surplus);
        size.surplus -= kept;
        self.permits.add_permits(more - kept);
        size.surplus += fewer - self.permits.forget_permits(fewer);
        size.max = max;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut size = locked(&self.bound.size);
        match self.permit.take() {
            Some(permit) if size.surplus > 0 => {
                size.surplus -= 1;
                permit.forget();
            }
            permit => drop(permit),
        }
        drop(size);
        self.freed.notify_one();
    }
}

/// What a panic left behind is whole: nothing is done in between that could panic.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::sync::Arc;

    use super::Groups;
    use crate::hook::{Group, HookSet};
    use crate::run::RunIds;
    use crate::run::examples::run_for;

    fn group(max: u32) -> Group {
        Group { name: "proxy".into(), max: NonZeroU32::new(max).expect("a bound") }
    }

    /// The hooks of a configuration in which the group has this bound.
    fn hooks(max: u32) -> HookSet {
        HookSet::new(&[Arc::clone(&run_for(&RunIds::from(0), "aa", Some(group(max))).hook)])
    }

    #[test]
    fn runs_of_an_old_and_a_new_configuration_share_the_newest_bound() {
        let groups = Groups::default();
        groups.obey(&hooks(1));
        let first = groups.try_enter(&group(1));

        groups.obey(&hooks(2));

        let second = groups.try_enter(&group(1));
        assert!(first.is_some() && second.is_some());
        assert!(groups.try_enter(&group(2)).is_none());
    }

    #[test]
    fn places_beyond_a_smaller_bound_are_not_given_away_again() {
        let groups = Groups::default();
        groups.obey(&hooks(3));
        let mut held: Vec<_> = (0..3).map(|_| groups.try_enter(&group(3)).expect("three places")).collect();

        groups.obey(&hooks(1));

        held.pop();
        held.pop();
        assert!(groups.try_enter(&group(1)).is_none(), "one is in it still");
        held.pop();
        let only = groups.try_enter(&group(1));
        assert!(only.is_some());
        assert!(groups.try_enter(&group(1)).is_none());
    }

    #[test]
    fn a_bound_may_shrink_and_grow_while_its_places_are_taken() {
        let groups = Groups::default();
        groups.obey(&hooks(2));
        let held: Vec<_> = (0..2).map(|_| groups.try_enter(&group(2)).expect("two places")).collect();

        groups.obey(&hooks(1));
        groups.obey(&hooks(3));

        let third = groups.try_enter(&group(3));
        assert!(third.is_some());
        assert!(groups.try_enter(&group(3)).is_none());
        drop((held, third));
        let all: Vec<_> = (0..4).map_while(|_| groups.try_enter(&group(3))).collect();
        assert_eq!(all.len(), 3);
    }

    #[test]
    fn a_group_without_hooks_keeps_its_bound_as_long_as_somebody_is_in_it() {
        let groups = Groups::default();
        groups.obey(&hooks(1));
        let held = groups.try_enter(&group(1));

        groups.obey(&HookSet::default());

        assert!(groups.try_enter(&group(1)).is_none());
        drop(held);
        groups.obey(&hooks(2));
        let both = (groups.try_enter(&group(2)), groups.try_enter(&group(2)));
        assert!(both.0.is_some() && both.1.is_some());
    }
}
