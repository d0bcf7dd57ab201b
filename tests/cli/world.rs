//! A journal in a directory of its own, the program that reads it, and a daemon that is played.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use boathook::journal::{Asked, Opened, Retention, Wish, open};
use boathook::run::Entry;
use rusqlite::Connection;
use serde_json::Value;

/// Nothing here is ever old.
const FOR_EVER: Retention =
    Retention { runs: Duration::from_secs(200 * 365 * 24 * 60 * 60), runs_max: u64::MAX };

/// A configuration, and the directory that it names; both are removed at the end.
pub(super) struct World(PathBuf);

/// What a command printed, and how it ended.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) stdout: String,
    pub(super) stderr: String,
    pub(super) code: Option<i32>,
}

/// A daemon that answers wishes with entries.
pub(super) struct Played {
    hold: Option<Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

/// What a daemon does when it is asked for something.
pub(super) type Answer = Box<dyn FnOnce(Wish) -> Vec<Entry> + Send>;

impl World {
    /// Where no daemon has run yet.
    pub(super) fn empty() -> World {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let base = std::env::temp_dir().canonicalize().expect("there is a temporary directory");
        let nth = NEXT.fetch_add(1, Ordering::Relaxed);
        let world = World(base.join(format!("boathook-cli-{}-{nth}", std::process::id())));
        fs::create_dir(&world.0).expect("the directory is new");
        world.write(
            "config.yaml",
            &format!("version: 1\nstate_dir: {}\nhooks: []\n", world.state().display()),
        );
        world
    }

    /// Where a daemon has left these entries, and ended.
    pub(super) fn with(entries: Vec<Entry>) -> World {
        let world = World::empty();
        let Opened { journal, writer, .. } = world.open();
        journal.append(entries).expect("the entries are true");
        drop(journal);
        writer.run();
        world
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(super) fn state(&self) -> PathBuf {
        self.path("state")
    }

    pub(super) fn write(&self, name: &str, text: &str) -> PathBuf {
        fs::write(self.path(name), text).expect("the directory can be written");
        self.path(name)
    }

    fn open(&self) -> Opened {
        open(&self.state(), FOR_EVER).expect("the store can be opened")
    }

    /// What the next daemon will be asked for, and about which run or debt.
    pub(super) fn wishes(&self) -> Vec<(String, Option<String>)> {
        let store = Connection::open(self.state().join("journal.db")).expect("there is a store");
        let mut wishes = store.prepare("SELECT wish, run FROM wish ORDER BY number").expect("it has wishes");
        let rows = wishes.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("they can be read");
        rows.collect::<Result<_, _>>().expect("they can be read")
    }

    /// A daemon that gives these answers, one to each wish, and is there until it is dropped.
    pub(super) fn played(&self, answers: Vec<Answer>) -> Played {
        let Opened { journal, writer, mut wishes, .. } = self.open();
        let (hold, held) = channel();
        let writing = thread::spawn(|| writer.run());
        let answering = thread::spawn(move || {
            for answer in answers {
                let Some(asked) = wishes.blocking_recv() else { return };
                journal.append(answer(wish_of(asked))).expect("the entries are true");
            }
            // Until the other end is dropped.
            let _ = held.recv();
        });
        Played { hold: Some(hold), threads: vec![answering, writing] }
    }

    /// A daemon that is there, and ends when it is asked for something.
    pub(super) fn mortal(&self) -> Played {
        let Opened { journal, writer, mut wishes, .. } = self.open();
        let writing = thread::spawn(|| writer.run());
        let dying = thread::spawn(move || {
            wishes.blocking_recv();
            drop(journal);
        });
        Played { hold: None, threads: vec![dying, writing] }
    }

    /// Runs the program with this configuration.
    pub(super) fn boathook(&self, arguments: &[&str]) -> Said {
        self.boathook_with(&self.path("config.yaml"), arguments)
    }

    pub(super) fn boathook_with(&self, config: &Path, arguments: &[&str]) -> Said {
        let mut command = Command::new(env!("CARGO_BIN_EXE_boathook"));
        said(command.args(arguments).arg("-c").arg(config))
    }

    /// What the program prints as JSON, on a journal that can be read.
    #[track_caller]
    pub(super) fn json(&self, arguments: &[&str]) -> Value {
        let said = self.boathook(&[arguments, &["--json"]].concat());
        assert_eq!(said.code, Some(0), "{said:?}");
        serde_json::from_str(&said.stdout).expect("it is JSON")
    }
}

/// How a command ends that has nothing but a time zone in its environment.
pub(super) fn said(command: &mut Command) -> Said {
    let output = command.env_clear().env("TZ", "UTC").output().expect("it can be started");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it is UTF-8");
    Said { stdout: text(output.stdout), stderr: text(output.stderr), code: output.status.code() }
}

/// What somebody wrote down who asks for that.
fn wish_of(asked: Asked) -> Wish {
    match asked {
        Asked::Run(run) => Wish::RetryRun(run.id.clone()),
        Asked::Debt(debt) => Wish::RetryDebt(debt),
        Asked::Failed => Wish::RetryFailed,
        Asked::Forgive(debt) => Wish::Forgive(debt),
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        drop(self.hold.take());
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "a thread of the played daemon panicked");
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
