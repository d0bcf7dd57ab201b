//! Containers whose lock Docker holds, because it waits for one of our drivers.
//!
//! A hook that calls Docker about such a container would wait for itself: such a call is refused at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

    /// Whether a call to `path`, decoded and without version and query, would wait for a driver call that is
    /// open: it is about one container, and that is held.
    pub fn blocks(&self, path: &str) -> bool {
        let Some(target) = path.strip_prefix("/containers/").and_then(|it| it.split('/').next()) else {
            return false;
        };
        self.all().iter().any(|it| it.name.as_deref() == Some(target) || is_prefix(target, &it.id))
    }

    fn all(&self) -> MutexGuard<'_, Vec<Container>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_prefix(target: &str, id: &str) -> bool {
    !target.is_empty() && id.starts_with(target)
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
    use super::Held;

    #[test]
    fn what_is_about_a_held_container_would_wait_and_nothing_else() {
        let held = Held::default();
        let hold = held.hold("c0ffee", Some("web"));

        for path in ["/containers/web/json", "/containers/c0ff/stop", "/containers/c0ffee/exec"] {
            assert!(held.blocks(path), "{path}");
        }
        for path in ["/containers/json", "/containers/db/json", "/networks/web", "/containers//json", "/info"]
        {
            assert!(!held.blocks(path), "{path}");
        }
        drop(hold);
        assert!(!held.blocks("/containers/web/json"));
    }
}
