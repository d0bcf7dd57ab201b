//! Whose endpoint it is. No request of Docker's says so.
//!
//! From engine 28 on the container's first process is there before its networks are, and has not begun:
//! it is found by its network namespace, and its control group says whose it is. Up to 27 the network's list
//! says it, but not while the engine starts: then it is who is left.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::lifecycle::Subject;

/// The length of a container's id, in hexadecimal digits.
const ID_CHARS: usize = 64;

/// A container that was found by its network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Its id.
    pub(super) container: String,
    /// Its first process that was seen there.
    pub(super) pid: u32,
}

/// The container whose network namespace is the file `sandbox`. `None`: there is no such namespace yet, or
/// nobody in it.
pub(super) fn in_namespace(sandbox: &Path) -> Option<Found> {
    let wanted = identity(sandbox)?;
    if identity(Path::new("/proc/self/ns/net")) == Some(wanted) {
        return None;
    }
    let entries = fs::read_dir("/proc").ok()?.flatten();
    let mut pids: Vec<u32> = entries.filter_map(|it| it.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    let within =
        pids.into_iter().filter(|pid| identity(Path::new(&format!("/proc/{pid}/ns/net"))) == Some(wanted));
    within.into_iter().find_map(|pid| {
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        Some(Found { container: container_of(&groups)?.to_owned(), pid })
    })
}

/// What tells a namespace from every other (`namespaces(7)`).
fn identity(file: &Path) -> Option<(u64, u64)> {
    fs::metadata(file).ok().map(|it| (it.dev(), it.ino()))
}

/// The container that a process belongs to, by its `/proc/PID/cgroup`.
///
/// The engine names the group by the id (`cgroupfs`), or `docker-ID.scope` (`systemd`), below whatever parent it
/// is told (`WithCgroups` in moby, `daemon/oci_linux.go`). With version 1 of control groups there is a line for each
/// hierarchy. A container in a container has two of them: the inner one is meant.
fn container_of(groups: &str) -> Option<&str> {
    let paths = groups.lines().filter_map(|it| it.splitn(3, ':').nth(2));
    paths.filter_map(|path| path.rsplit('/').find_map(id_in)).next()
}

fn id_in(group: &str) -> Option<&str> {
    let name = group.strip_suffix(".scope").unwrap_or(group);
    let id = name.rsplit_once('-').map_or(name, |(_, id)| id);
    (id.len() == ID_CHARS && id.bytes().all(|it| it.is_ascii_hexdigit())).then_some(id)
}

/// Who is left, of those who may have started: nobody, if it could be more than one.
pub(super) fn by_elimination(candidates: Vec<Subject>, others: &HashSet<Subject>) -> Option<Subject> {
    let mut left = candidates.into_iter().filter(|it| !others.contains(it));
    left.next().filter(|_| left.next().is_none())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{by_elimination, container_of};
    use crate::lifecycle::{EngineId, Subject};

    const ID: &str = "d3e4c9b1a2f05c6e7d8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6";
    const OUTER: &str = "00e4c9b1a2f05c6e7d8091a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6";

    #[test]
    fn a_control_group_says_which_container_it_is() {
        for groups in [
            format!("0::/docker/{ID}\n"),
            format!("0::/system.slice/docker-{ID}.scope\n"),
            format!("0::/mine/{ID}/init.scope\n"),
            format!("12:pids:/docker/{ID}\n1:name=systemd:/docker/{ID}\n0::/\n"),
            format!("0::/docker/{OUTER}/docker/{ID}\n"),
        ] {
            assert_eq!(container_of(&groups), Some(ID), "{groups}");
        }
        for groups in ["0::/\n", "0::/user.slice/user-0.slice\n", "", "0::/docker/d3e4c9b1\n"] {
            assert_eq!(container_of(groups), None, "{groups}");
        }
    }

    #[test]
    fn who_is_left_is_known_only_if_it_is_one() {
        let engine = EngineId::new("engine");
        let of = |ids: &[&str]| ids.iter().map(|it| Subject::container(&engine, it)).collect::<Vec<_>>();
        let others: HashSet<Subject> = of(&["b"]).into_iter().collect();

        assert_eq!(by_elimination(of(&["a", "b"]), &others), of(&["a"]).pop());
        assert_eq!(by_elimination(of(&["a", "b", "c"]), &others), None);
        assert_eq!(by_elimination(of(&["b"]), &others), None);
    }
}
