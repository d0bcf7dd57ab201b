//! Where tests have the process die.
//!
//! The crash suite ends boathook, as `kill -9` does, wherever what the journal knows changes, and looks
//! what the next one makes of that. The places are there only with the feature `failpoints` of the crate
//! `fail`, which nothing but tests turns on: a boathook that is built to be used has none.

use fail::fail_point;

use crate::run::Entry;

/// Ends the process without a chance to say goodbye, where the point of that name is armed.
macro_rules! deadly {
    ($name:expr) => {
        fail_point!($name, |_| {
            // It is over before this returns.
            let _ = nix::sys::signal::kill(nix::unistd::Pid::this(), nix::sys::signal::Signal::SIGKILL);
            std::process::abort()
        })
    };
}

/// A point for each kind of entry.
macro_rules! deadly_by_kind {
    ($when:literal, $entry:expr) => {
        match $entry {
            Entry::Planned(_) => deadly!(concat!("journal.", $when, ".planned")),
            Entry::Gathered(_) => deadly!(concat!("journal.", $when, ".gathered")),
            Entry::Overtook { .. } => deadly!(concat!("journal.", $when, ".overtook")),
            Entry::Started { .. } => deadly!(concat!("journal.", $when, ".started")),
            Entry::Ended { .. } => deadly!(concat!("journal.", $when, ".ended")),
            Entry::Deferred { .. } => deadly!(concat!("journal.", $when, ".deferred")),
            Entry::Concluded { .. } => deadly!(concat!("journal.", $when, ".concluded")),
            Entry::Nested { .. } => deadly!(concat!("journal.", $when, ".nested")),
            Entry::Debt(_) => deadly!(concat!("journal.", $when, ".debt")),
            Entry::Lived { .. } => deadly!(concat!("journal.", $when, ".lived")),
            Entry::Held(_) => deadly!(concat!("journal.", $when, ".held")),
            Entry::Read { .. } => deadly!(concat!("journal.", $when, ".read")),
        }
    };
}

/// An entry is handed over, and is nowhere yet.
pub(super) fn before(entry: &Entry) {
    deadly_by_kind!("before", entry);
}

/// An entry is on disk, and nobody knows that yet.
pub(super) fn after(entry: &Entry) {
    deadly_by_kind!("after", entry);
}

/// A transaction is complete, and none of it on disk.
pub(super) fn before_commit() {
    deadly!("journal.commit.before");
}

/// A transaction is on disk, and nobody knows that yet.
pub(super) fn after_commit() {
    deadly!("journal.commit.after");
}
