//! What is written down of an attempt beside its files: which it is, and how it ended.
//!
//! Boathook writes the first line before the process exists, and the [reaper](super::reaper) the second
//! when it has ended, whether or not there still is a boathook. So a boathook that is killed costs nothing:
//! the next one reads here what the journal was not told. Where boathook itself ends an attempt it says so first, and the
//! first word counts: what a script makes of SIGTERM is no outcome.
//!
//! A line is one `write`, and counts only if it is whole. It need not outlive the host: no process does,
//! and what then is not in the journal is repeated.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::hook::HookName;
use crate::lifecycle::{Point, Subject};
use crate::run::{Outcome, Phase, Run, RunId};

/// How the name of a note ends; before that it is `RUN.ATTEMPT`, as that of the attempt's directory. A
/// note is not in there, where the user of a hook could forge it.
const SUFFIX: &str = ".note";

/// Which attempt of which run it is: enough to know the run again, should the journal not know it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Begun {
    pub(super) run: RunId,
    pub(super) attempt: u32,
    pub(super) hook: HookName,
    pub(super) phase: Phase,
    pub(super) point: Point,
    pub(super) subject: Subject,
    pub(super) passage: u32,
    /// When the point was reached, by the engine's clock where the engine told it.
    pub(super) at: Timestamp,
    /// When the attempt is out of time.
    pub(super) deadline: Timestamp,
    /// Whether it answers more than one event, or somebody who waits: then no later run is the same.
    pub(super) singular: bool,
}

/// How the attempt ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Ended {
    at: Timestamp,
    outcome: Outcome,
}

/// The note of an attempt, open to be written.
#[derive(Debug)]
pub(super) struct Note(File);

/// What a note says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Told {
    pub(super) begun: Begun,
    /// `None`: it has not ended, or nobody has seen that.
    pub(super) outcome: Option<Outcome>,
}

impl Begun {
    pub(super) fn of(run: &Run, attempt: u32, deadline: Timestamp) -> Begun {
        let event = &run.event;
        Begun {
            run: run.id.clone(),
            attempt,
            hook: run.hook.name.clone(),
            phase: run.phase,
            point: event.point,
            subject: event.subject.clone(),
            passage: event.passage,
            at: event.at,
            deadline,
            singular: run.batch.is_some() || event.request.is_some(),
        }
    }
}

impl Note {
    /// Where the note of the attempt is whose directory is `dir`.
    pub(super) fn beside(dir: &Path) -> PathBuf {
        let mut path = dir.as_os_str().to_owned();
        path.push(SUFFIX);
        path.into()
    }

    /// The directory of the attempt whose note is at `path`; `None`: it is no note.
    pub(super) fn directory(path: &Path) -> Option<PathBuf> {
        path.to_str()?.strip_suffix(SUFFIX).map(PathBuf::from)
    }

    /// Begins the note of an attempt.
    pub(super) fn begin(path: &Path, begun: &Begun) -> io::Result<Note> {
        let note = Note(OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)?);
        note.write(begun)?;
        Ok(note)
    }

    /// Goes on with a note that is there.
    pub(super) fn reopen(path: &Path) -> io::Result<Note> {
        OpenOptions::new().append(true).open(path).map(Note)
    }

    /// Says how the attempt ended. Nothing, if that is said already.
    pub(super) fn end(&self, outcome: &Outcome) -> io::Result<()> {
        self.write(&Ended { at: Timestamp::now(), outcome: outcome.clone() })
    }

    /// For the reaper.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    fn write(&self, line: &impl Serialize) -> io::Result<()> {
        let mut text = serde_json::to_vec(line).expect("a line is JSON");
        text.push(b'\n');
        (&self.0).write_all(&text)
    }
}

impl From<OwnedFd> for Note {
    fn from(fd: OwnedFd) -> Note {
        Note(File::from(fd))
    }
}

impl Told {
    /// What a note of that text says; `None` if not even its first line is whole.
    pub(super) fn read(text: &str) -> Option<Told> {
        let mut lines = text.split_inclusive('\n').filter_map(|it| it.strip_suffix('\n'));
        let begun = serde_json::from_str(lines.next()?).ok()?;
        let outcome = lines.find_map(|it| serde_json::from_str::<Ended>(it).ok()).map(|it| it.outcome);
        Some(Told { begun, outcome })
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{Begun, Ended, Told};
    use crate::run::examples::run_for;
    use crate::run::{Outcome, RunIds};

    fn begun() -> Begun {
        Begun::of(&run_for(&RunIds::from(0), "a", None), 1, Timestamp::UNIX_EPOCH)
    }

    fn lines(outcomes: &[Outcome]) -> String {
        let ended = |outcome: &Outcome| {
            let ended = Ended { at: Timestamp::UNIX_EPOCH, outcome: outcome.clone() };
            serde_json::to_string(&ended).expect("JSON") + "\n"
        };
        let begun = serde_json::to_string(&begun()).expect("JSON") + "\n";
        begun + &outcomes.iter().map(ended).collect::<String>()
    }

    #[test]
    fn the_first_word_about_the_end_counts() {
        let told = Told::read(&lines(&[Outcome::TimedOut, Outcome::Exited(0)]));

        assert_eq!(told, Some(Told { begun: begun(), outcome: Some(Outcome::TimedOut) }));
    }

    #[test]
    fn what_is_torn_counts_as_if_it_were_not_there() {
        let (whole, begun_only) = (lines(&[Outcome::Exited(0)]), lines(&[]));
        for end in 0..whole.len() {
            let told = Told::read(&whole[..end]);
            let expected = (end >= begun_only.len()).then(|| Told { begun: begun(), outcome: None });
            assert_eq!(told, expected, "{end}");
        }
        assert_eq!(Told::read(&(begun_only + "\0\0\0\0\n")).and_then(|it| it.outcome), None);
        assert_eq!(Told::read("\0\0\n"), None);
    }
}
