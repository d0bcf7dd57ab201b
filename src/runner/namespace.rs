//! The network namespace of the container that a hook runs for.

use std::fs::File;
use std::io;

use crate::lifecycle::{Event, Facts, Point};

/// Why a hook cannot be run in its container's network.
#[derive(Debug, thiserror::Error)]
pub(super) enum NamespaceError {
    #[error("the container's network namespace is not known")]
    Unknown,
    /// Engines up to 27 have the container's process make it, which begins after its networks are ready.
    #[error("the container has no network namespace yet: up to version 27 docker makes it after `{}`", .at)]
    Early { at: Point },
    #[error("open the container's network namespace `{}`", .path)]
    Open {
        path: String,
        #[source]
        source: io::Error,
    },
}

/// The file of the network namespace of the container that `event` is about, which can be opened.
pub(super) fn of(event: &Event) -> Result<String, NamespaceError> {
    let path = path(&event.facts).ok_or(NamespaceError::Unknown)?;
    match File::open(&path) {
        Ok(_) => Ok(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound && event.point == Point::NetReady => {
            Err(NamespaceError::Early { at: event.point })
        }
        Err(source) => Err(NamespaceError::Open { path, source }),
    }
}

/// Where it is: the path that the engine gives, or that of the first process where it gives none.
fn path(facts: &Facts) -> Option<String> {
    let of_process = || facts.pid.map(|it| format!("/proc/{it}/ns/net"));
    facts.netns.clone().or_else(of_process)
}

#[cfg(test)]
mod tests {
    use super::{Facts, path};

    #[test]
    fn the_path_of_the_engine_is_used_as_given() {
        let netns = Some("/var/run/docker/netns/11ca5f6b9391".to_owned());
        let known = Facts { pid: Some(7), ..Facts::default() };

        assert_eq!(path(&known).as_deref(), Some("/proc/7/ns/net"));
        assert_eq!(path(&Facts { netns, ..known }).as_deref(), Some("/var/run/docker/netns/11ca5f6b9391"));
        assert_eq!(path(&Facts::default()), None);
    }
}
