//! What is left of a sandbox, seen from outside.

use std::fs;
use std::path::{Path, PathBuf};

/// Everything on this machine that has to do with the sandbox of this folder.
pub(super) fn traces_of(dir: &Path) -> Vec<String> {
    let name = dir.file_name().expect("a folder with a name").to_str().expect("a name of letters");
    let folder = dir.exists().then(|| format!("folder {}", dir.display()));
    folder.into_iter().chain(processes(name)).chain(control_groups(name)).collect()
}

/// Processes that were called with it, carry it in their environment, or see its mounts.
fn processes(name: &str) -> Vec<String> {
    let files = entries("/proc").flat_map(|it| ["cmdline", "environ", "mountinfo"].map(|file| it.join(file)));
    // A process that is gone by now is no trace.
    let holds = |file: &PathBuf| {
        fs::read(file).is_ok_and(|it| it.windows(name.len()).any(|window| window == name.as_bytes()))
    };
    files.filter(holds).map(|it| it.display().to_string()).collect()
}

/// Control groups, of the unified hierarchy and of the older ones.
fn control_groups(name: &str) -> Vec<String> {
    let root = PathBuf::from("/sys/fs/cgroup");
    let hierarchies = entries("/sys/fs/cgroup").chain([root]);
    hierarchies.map(|it| it.join(name)).filter(|it| it.exists()).map(|it| it.display().to_string()).collect()
}

fn entries(folder: &str) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(folder).expect("read a folder of the kernel").flatten().map(|it| it.path())
}
