//! The configuration: what was written, and what will run.
//!
//! [`load`] turns a file and its drop-ins into a [`Config`] that holds no mistake, or into a [`Report`]
//! of every mistake in them, each with its place and its fix. What runs is checked here as well: programs
//! exist, can be executed, and nobody else could have written them (see [`crate::trust`]).
//! What a key does is for the rooms that use it.
//!
//! The way through: text → `document` (a tree with places) → `table!` drafts that mirror the file →
//! resolved types. Reading the file and looking at programs is done around that; everything
//! between is a pure function of the text. Of YAML, tables, lists and scalars are read; `&anchor` and
//! `*alias` repeat a value; tags and merge keys (`<<`) are refused.
//!
//! [`Good`] keeps what was loaded last, for a start at which the files are broken; [`salvage`] reads what
//! it can of a broken file; [`schema`] tells editors the keys.

mod action;
mod cleanup;
mod condition;
mod document;
mod dropin;
mod due;
mod environment;
mod exit;
mod file;
mod good;
mod hook;
mod hooks;
mod http;
mod ipam;
mod launch;
mod node;
mod parse;
mod pattern;
mod place;
mod plugin;
mod point;
mod program;
mod quantity;
mod report;
mod retry;
mod salvage;
mod scalar;
mod schema;
mod scripts;
mod shape;
mod sharing;
mod snippet;
mod source;
mod syntax;
mod table;
mod ties;
mod upkeep;
mod volumes;
mod within;
mod written;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::hook::{Hook, HookName, Outage, Script, ScriptName};

use report::Wrong;

pub use good::{Good, GoodError};
pub use hooks::Origin;
pub use ipam::{AddressPool, Ipam};
pub use plugin::{Kind, Kinds, PluginName};
pub use quantity::{read_duration, show_duration};
pub use report::{Diagnostic, Report};
pub use salvage::{Salvaged, salvage};
pub use schema::schema;
pub use volumes::Volumes;
pub use written::Written;

/// What boathook does, as resolved from its file.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file, absolute.
    pub path: PathBuf,
    /// The file, as it was named.
    pub named: PathBuf,
    /// Where the engine's API is: `unix://` and an absolute path.
    pub docker: String,
    /// Where the journal is kept; absolute.
    pub state_dir: PathBuf,
    /// The name under which docker knows boathook.
    pub plugin: PluginName,
    /// What boathook is to the engine.
    pub kinds: Kinds,
    /// Scripts that answer in a driver's place.
    pub scripts: BTreeMap<ScriptName, Arc<Script>>,
    /// From where networks get their addresses.
    pub ipam: Ipam,
    /// Where volumes are kept, and which other directories may be one.
    pub volumes: Volumes,
    /// A gate's answer when boathook itself cannot decide.
    pub outage: Outage,
    /// The longest that a gate may take. Below [`Config::GATE_DEADLINE_END`].
    pub gate_deadline: Duration,
    /// How many runs there are at once, gates apart.
    pub concurrency: NonZeroUsize,
    /// How much of a run's output is kept.
    pub output_bytes_max: usize,
    /// How long runs that have ended are kept, and debts that are paid.
    pub retention_runs: Duration,
    /// How often the engine's list is compared with what is known.
    pub reconcile_every: Duration,
    /// How long running hooks may go on when boathook is told to stop. Zero: not at all.
    pub drain: Duration,
    /// The hooks; no two share a name. Those of the file, then those of the drop-ins, but one that
    /// replaces another stands where the first of its name stood.
    pub hooks: Vec<Arc<Hook>>,
    /// Where each hook was declared.
    pub origins: BTreeMap<HookName, Origin>,
    /// What lies among the drop-ins and looks as if it were one, but is not read: an editor's backup,
    /// say.
    pub passed_over: Vec<PathBuf>,
}

impl Config {
    /// Where the engine's API is if the file does not say.
    pub const DOCKER: &str = "unix:///var/run/docker.sock";
    /// Where the journal is kept if the file does not say.
    pub const STATE_DIR: &str = "/var/lib/boathook";
    /// The longest that a gate may take if the file does not say.
    pub const GATE_DEADLINE: Duration = Duration::from_secs(60);
    /// What a gate's deadline must stay below: somebody waits for the answer, and it has to travel.
    pub const GATE_DEADLINE_END: Duration = Duration::from_secs(110);
    /// How many runs there are at once if the file does not say.
    pub const CONCURRENCY: NonZeroUsize = NonZeroUsize::new(8).expect("eight is not zero");
    /// How much of a run's output is kept if the file does not say.
    pub const OUTPUT_BYTES_MAX: usize = 64 * 1024;
    /// How long runs that have ended are kept if the file does not say.
    pub const RETENTION_RUNS: Duration = Duration::from_secs(30 * 24 * 60 * 60);
    /// How often the engine's list is compared with what is known if the file does not say.
    pub const RECONCILE_EVERY: Duration = Duration::from_secs(60);
    /// How long running hooks may go on at the end if the file does not say.
    pub const DRAIN: Duration = Duration::from_secs(10);
}

/// Reads and checks the configuration in `path` and its drop-ins.
///
/// Looks at the files, at every program that they name, and at every directory above them.
///
/// # Errors
///
/// With all mistakes at once, file by file. A file that cannot be read is one mistake.
pub fn load(path: &Path) -> Result<Config, Report> {
    Written::read(path).check()
}

impl Written {
    /// The configuration that was written, if nothing is wrong with it.
    ///
    /// Looks at every program that is named, and at every directory above them.
    ///
    /// # Errors
    ///
    /// With all mistakes at once, file by file.
    pub fn check(&self) -> Result<Config, Report> {
        let main = self.main().directory();
        let find = |written: &str, directory: &Path| {
            program::find(written, directory).map_err(|wrong| point_at(&main, written, directory, wrong))
        };
        let mut report = Report::new(&self.main().path, self.main().shown());
        match file::resolve(self, &find, &mut report) {
            Some(config) if report.is_empty() => Ok(config),
            _ => Err(report),
        }
    }
}

/// `wrong`, with the fix for a path in a drop-in that was meant to begin at the `main` directory.
fn point_at(main: &Path, written: &str, directory: &Path, wrong: Wrong) -> Wrong {
    let meant = || written.contains('/') && !directory.join(written).exists() && main.join(written).is_file();
    if directory == main || !meant() {
        return wrong;
    }
    wrong.help(format!("write `../{written}`: a path is relative to the file in which it stands"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::written::{Piece, Written};
    use super::{Report, file};

    /// Every key that is read, in every style of YAML.
    const SOUND: &str = include_str!("../../tests/config/sound.yaml");
    const WRONG: &str = include_str!("../../tests/config/eight-mistakes.yaml");

    /// What means something to YAML or to a reader here.
    const SPICE: [&str; 30] = [
        ":",
        ": ",
        "- ",
        "[",
        "]",
        "{",
        "}",
        "\"",
        "'",
        "|",
        ">",
        "&a ",
        "*a",
        "!",
        "!=0",
        "<<: ",
        "#",
        "\n",
        "\r\n",
        "\t",
        "~",
        "\0",
        "\u{feff}",
        "ü",
        "🪝",
        "0",
        "99999999999999999999",
        "---\n",
        "? ",
        "%",
    ];

    /// `text` with a few pieces put in, taken out or repeated.
    fn spoiled(text: &str, chance: &mut fastrand::Rng) -> String {
        let mut chars: Vec<char> = text.chars().collect();
        for _ in 0..chance.usize(1..6) {
            let at = chance.usize(..=chars.len());
            let end = (at + chance.usize(..20)).min(chars.len());
            match chance.u8(..3) {
                0 => drop(chars.drain(at..end)),
                1 => {
                    let piece = chars[at..end].to_vec();
                    chars.splice(at..at, piece);
                }
                _ => {
                    let piece = SPICE[chance.usize(..SPICE.len())].chars();
                    chars.splice(at..at, piece);
                }
            }
        }
        chars.into_iter().collect()
    }

    #[test]
    fn no_text_makes_it_panic_and_every_mistake_lies_within_the_text() {
        let mut chance = fastrand::Rng::with_seed(1);
        let mut refused = 0;
        for nth in 0..3000 {
            let text = spoiled(if nth % 2 == 0 { SOUND } else { WRONG }, &mut chance);
            let mut report = Report::new(Path::new("c.yaml"), &text);

            let pieces = ["c.yaml", "hooks.d/c.yaml"].map(|it| Piece::new(it.into(), text.clone()));
            let [main, drop_in] = pieces;
            let drop_ins = if nth % 3 == 0 { vec![drop_in] } else { Vec::new() };
            let written = Written::of(main, drop_ins);
            let config = file::resolve(&written, &|it, _| Ok(it.into()), &mut report);

            assert!(config.is_some() || !report.is_empty(), "refused without a word:\n{text}");
            for mistake in report.diagnostics() {
                assert!(text.get(mistake.span.clone()).is_some(), "{mistake:?}\n{text}");
            }
            refused += usize::from(!report.to_string().is_empty());
        }
        assert!((1500..3000).contains(&refused), "some are spoiled and some are not: {refused}");
    }
}
