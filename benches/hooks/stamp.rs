//! A hook that says when it began: this program again.

use std::collections::HashMap;
use std::env;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// Looks for new stamps so often: short against what is measured only where somebody waits for the last one.
const INTERVAL: Duration = Duration::from_micros(500);

/// A copy of this program that boathook trusts, and the file where its runs leave their stamps.
pub struct Stamp {
    program: PathBuf,
    file: PathBuf,
    work: Duration,
}

impl Stamp {
    /// A hook that stamps `file` and then takes `work`.
    pub fn new(program: PathBuf, file: PathBuf, work: Duration) -> Stamp {
        Stamp { program, file, work }
    }

    /// The hook's `exec`, in YAML.
    pub fn exec(&self) -> String {
        let words: Vec<_> = self.words().iter().map(|it| format!("\"{it}\"")).collect();
        format!("[{}]", words.join(", "))
    }

    /// The same program, for a container that it is told by us.
    pub fn command(&self, container: &str) -> Command {
        let [program, arguments @ ..] = self.words();
        let mut command = Command::new(program);
        command.args(arguments).env_clear().env("CONTAINER_ID", container);
        command
    }

    /// How many stamps there are.
    pub fn count(&self) -> usize {
        // Each is a line; there is no file before the first one.
        fs::read(&self.file).map(|it| it.iter().filter(|&&it| it == b'\n').count()).unwrap_or(0)
    }

    /// When the run for each container began, in nanoseconds.
    ///
    /// # Panics
    ///
    /// When there is a line that no stamp is.
    pub fn read(&self) -> HashMap<String, i64> {
        let text = fs::read_to_string(&self.file).unwrap_or_default();
        let stamps = text.lines().map(|line| {
            let (container, time) = line.split_once(' ').expect("a stamp has two words");
            (container.to_owned(), time.parse().expect("a stamp has a time"))
        });
        stamps.collect()
    }

    /// Waits for that many stamps, at most for `limit`. Whether they came.
    pub fn wait_for(&self, count: usize, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        while self.count() < count {
            if Instant::now() > until {
                return false;
            }
            thread::sleep(INTERVAL);
        }
        true
    }

    fn words(&self) -> [String; 5] {
        let text = |it: &Path| it.to_str().expect("a path of letters").to_owned();
        let work = self.work.as_millis().to_string();
        [text(&self.program), "role".to_owned(), "stamp".to_owned(), text(&self.file), work]
    }
}

/// What a run does: leaves a stamp with the time at which it began, and takes its time.
///
/// # Panics
///
/// When it is not called as a hook.
pub fn stamp(began_at: i64, words: &[String]) {
    let [file, work] = words else { panic!("a stamp is told where, and how long it takes") };
    let container = env::var("CONTAINER_ID").expect("a hook is told its container");
    let mut file = File::options().append(true).create(true).open(file).expect("write a stamp");
    // In one write: others stamp the same file.
    file.write_all(format!("{container} {began_at}\n").as_bytes()).expect("write a stamp");
    thread::sleep(Duration::from_millis(work.parse().expect("a number")));
}
