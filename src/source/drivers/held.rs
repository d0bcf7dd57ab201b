//! Containers whose lock Docker holds, because it waits for one of our drivers.
//!
//! A hook that calls Docker about such a container would wait for itself: such a call is refused at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::super::locks::Locks;

/// The containers that are held now. Cheap to clone: all clones are the same set.
#[derive(Clone, Debug, Default)]
pub struct Held(Arc<Mutex<Vec<Container>>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Container {
    id: String,
    name: Option<String>,
}

/// A container is held until this is dropped.
#[derive(Debug)]
pub(super) struct Hold {
    held: Held,
    container: Container,
}

impl Held {
    /// Notes that a container is held.
    pub(super) fn hold(&self, id: &str, name: Option<&str>) -> Hold {
        let container = Container { id: id.to_owned(), name: name.map(str::to_owned) };
        self.all().push(container.clone());
        Hold { held: self.clone(), container }
    }

    /// Notes that a container is held of which nothing is known.
    pub(super) fn hold_somebody(&self) -> Hold {
        self.hold("", None)
    }

    /// Whether any container is held.
    pub(crate) fn is_anybody(&self) -> bool {
        !self.all().is_empty()
    }

    /// Whether a call that takes these locks would wait for a driver call that is open.
    pub(crate) fn blocks(&self, locks: &Locks) -> bool {
        match locks {
            Locks::Nobody => false,
            Locks::One(target) => self.all().iter().any(|it| it.is_meant_by(target)),
            Locks::Everybody => self.is_anybody(),
        }
    }

    fn all(&self) -> MutexGuard<'_, Vec<Container>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Container {
    /// Whether a call that names `target` means it.
    fn is_meant_by(&self, target: &str) -> bool {
        self.name.as_deref() == Some(target) || (!target.is_empty() && self.id.starts_with(target))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut all = self.held.all();
        if let Some(index) = all.iter().position(|it| *it == self.container) {
            all.swap_remove(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::locks::Locks;
    use super::Held;

    fn one(target: &str) -> Locks {
        Locks::One(target.into())
    }

    #[test]
    fn what_is_about_a_held_container_would_wait_and_nothing_else() {
        let held = Held::default();
        let hold = held.hold("c0ffee", Some("web"));

        for locks in [one("web"), one("c0ff"), one("c0ffee"), Locks::Everybody] {
            assert!(held.blocks(&locks), "{locks:?}");
        }
        for locks in [one("db"), one("c0ffee0"), one(""), Locks::Nobody] {
            assert!(!held.blocks(&locks), "{locks:?}");
        }
        drop(hold);
        assert!(!held.blocks(&one("web")) && !held.blocks(&Locks::Everybody));
    }

    #[test]
    fn of_somebody_unknown_it_is_known_only_that_he_is_held() {
        let held = Held::default();
        let _hold = held.hold_somebody();

        assert!(held.is_anybody() && held.blocks(&Locks::Everybody));
        assert!(!held.blocks(&one("web")) && !held.blocks(&one("")));
    }
}
