//! The generations of engines, and where one of each is had from.

use std::env;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::installation::{Engine, Unavailable};

/// Provides engines: the script itself says how. It lies in the workspace's folder, which is the package's own
/// or one above it: the tests of several packages have engines.
const PROVIDER: &str = "scripts/engines.sh";

/// Names the generations to run tests on, apart by commas, where not all are wanted.
const WANTED: &str = "BOATHOOK_TEST_ENGINES";

/// A generation of engines, as those see it that listen to one.
///
/// A name is a version; where the suite that an engine is taken from has moved on, the engine is newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Generation {
    /// Containers end before their networks and volumes are given back; networks come before the process.
    V20_10,
    /// Networks and volumes are given back before the end is told (since 23.0).
    V26_1,
    /// A container's process exists, and waits, before it gets its networks.
    V28_5,
}

impl Generation {
    /// Every generation, oldest first.
    pub const ALL: [Generation; 3] = [Generation::V20_10, Generation::V26_1, Generation::V28_5];

    /// The name, a version without its last number.
    pub const fn name(self) -> &'static str {
        match self {
            Generation::V20_10 => "20.10",
            Generation::V26_1 => "26.1",
            Generation::V28_5 => "28.5",
        }
    }

    /// Whether tests are to be run on it.
    ///
    /// # Panics
    ///
    /// When a name that was asked for is no generation's: nothing would be tested at all.
    pub(super) fn is_wanted(self) -> bool {
        let Ok(wanted) = env::var(WANTED) else { return true };
        let wanted: Vec<&str> = wanted.split([',', ' ']).filter(|it| !it.is_empty()).collect();
        for name in &wanted {
            let known = Generation::ALL.map(Generation::name);
            assert!(known.contains(name), "{WANTED}: no generation is called `{name}`, there are {known:?}");
        }
        wanted.is_empty() || wanted.contains(&self.name())
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

impl Engine {
    /// The engine of a generation, fetched if it is not there.
    ///
    /// # Errors
    ///
    /// When it cannot be had; why not is on stderr.
    pub fn of(generation: Generation) -> Result<Engine, Unavailable> {
        static PROVIDED: [OnceLock<Option<Provided>>; Generation::ALL.len()] =
            [const { OnceLock::new() }; Generation::ALL.len()];
        match PROVIDED[generation as usize].get_or_init(|| provide(generation)) {
            Some(Provided { version, folder }) => Ok(Engine::in_folder(folder, version)),
            None => Err(Unavailable::NotProvided { generation }),
        }
    }
}

/// An engine that is on this machine.
struct Provided {
    version: String,
    folder: PathBuf,
}

fn provide(generation: Generation) -> Option<Provided> {
    let places = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|it| it.join(PROVIDER));
    let provider = places.into_iter().find(|it| it.is_file()).expect("there is a `scripts/engines.sh`");
    let mut command = Command::new(provider);
    command.args(["--once", generation.name()]).stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output().expect("run `scripts/engines.sh`");
    let line = String::from_utf8(output.stdout).expect("a line of text");
    let (_, line) = line.trim_end().split_once(' ').filter(|_| output.status.success())?;
    let (version, folder) = line.split_once(' ').expect("a version and a folder");
    Some(Provided { version: version.to_owned(), folder: Path::new(folder).to_owned() })
}
