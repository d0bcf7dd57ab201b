//! The files of a configuration, as they are on disk: the file itself, then its drop-ins.
//!
//! Drop-ins are the files `*.yaml` in `hooks.d` beside the file, in the order of their names' bytes.
//! Not read are hidden files and names that end otherwise, such as an editor's backup (`x.yaml~`) or a
//! program beside the drop-in that runs it; a `.yml` is a mistake, because somebody waits for it to
//! be read. Here files are found, read and vetted; what they say is read elsewhere.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::node::Span;
use super::program;
use super::report::{Report, Wrong};
use super::source;
use nix::unistd::gethostname;

use crate::trust;

/// The directory of the drop-ins, beside the file.
pub(super) const DROP_INS: &str = "hooks.d";

/// The most drop-ins: each is written by a person or a package. More is a directory named by mistake.
const DROP_INS_MAX: usize = 1000;

/// A configuration as it was written: the texts of its files.
#[derive(Clone, Debug)]
pub struct Written {
    main: Piece,
    drop_ins: Vec<Piece>,
    passed_over: Vec<PathBuf>,
    /// The name of this host, as `HOOK_HOST` tells scripts.
    host: String,
}

/// One of the files, or what is wrong with a place where one was looked for.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    /// As it was named on the command line, or beside what was.
    pub(super) path: PathBuf,
    /// What can be shown of it.
    text: String,
    readable: bool,
    wrongs: Vec<(Span, Wrong)>,
}

impl Written {
    /// Reads the configuration in `path` and its drop-ins; what cannot be read is found when it is
    /// resolved.
    pub fn read(path: &Path) -> Written {
        let main = Piece::read(path);
        let mut written = Written::of(main, Vec::new());
        // Without the file nobody knows whether these are its drop-ins.
        if written.main.readable {
            written.look_for_drop_ins();
        }
        written
    }

    /// A configuration of these texts, the file first.
    pub(super) fn of(main: Piece, drop_ins: Vec<Piece>) -> Written {
        let host = gethostname().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
        Written { main, drop_ins, passed_over: Vec::new(), host }
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn main(&self) -> &Piece {
        &self.main
    }

    pub(super) fn drop_ins(&self) -> &[Piece] {
        &self.drop_ins
    }

    /// What lies among the drop-ins and looks as if it were one, but is not read.
    pub(super) fn passed_over(&self) -> &[PathBuf] {
        &self.passed_over
    }

    fn look_for_drop_ins(&mut self) {
        let folder = self.main.path.parent().unwrap_or(Path::new("")).join(DROP_INS);
        let names = match names_in(&folder) {
            Ok(Some(names)) => names,
            Ok(None) => return,
            Err(wrong) => return self.drop_ins.push(Piece::refused(&folder, wrong)),
        };
        if let Err(distrust) = trust::vet(&folder) {
            self.drop_ins.push(Piece::refused(&folder, program::untrusted(&distrust)));
        }
        for name in names {
            let path = folder.join(&name);
            match Name::of(&name) {
                Name::DropIn => self.drop_ins.push(Piece::read_drop_in(&path)),
                Name::Misspelt(wrong) => self.drop_ins.push(Piece::refused(&path, wrong)),
                Name::PassedOver => self.passed_over.push(path),
                Name::Other => {}
            }
        }
    }
}

impl Piece {
    /// A file that was read, and nothing is wrong with it.
    pub(super) fn new(path: PathBuf, text: String) -> Piece {
        Piece { path, text, readable: true, wrongs: Vec::new() }
    }

    fn refused(path: &Path, wrong: Wrong) -> Piece {
        Piece { path: path.to_owned(), text: String::new(), readable: false, wrongs: vec![(0..0, wrong)] }
    }

    fn read(path: &Path) -> Piece {
        let text = match source::read(path) {
            Ok(text) => text,
            Err(source::Unreadable { wrong, text, span }) => {
                return Piece { path: path.to_owned(), text, readable: false, wrongs: vec![(span, wrong)] };
            }
        };
        let distrust = trust::vet(path).err();
        let wrongs = distrust.map(|it| (0..0, program::untrusted(&it))).into_iter().collect();
        Piece { path: path.to_owned(), text, readable: true, wrongs }
    }

    fn read_drop_in(path: &Path) -> Piece {
        match fs::metadata(path) {
            // Its name was found, so this is a link.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let wrong = Wrong::new("file", "this link leads to nothing");
                Piece::refused(path, wrong.help("remove it, or put back what it led to"))
            }
            Ok(metadata) if metadata.is_dir() => {
                let wrong = Wrong::new("file", "this is a directory, and a drop-in is a file");
                Piece::refused(path, wrong.help("give it a name that does not end in `.yaml`"))
            }
            _ => Piece::read(path),
        }
    }

    /// The text, if there is one to read.
    pub(super) fn text(&self) -> Option<&str> {
        self.readable.then_some(&self.text)
    }

    /// What can be shown of it.
    pub(super) fn shown(&self) -> &str {
        &self.text
    }

    /// Notes what is wrong with the file before a word of it is read.
    pub(super) fn tell(&self, report: &mut Report) {
        for (span, wrong) in &self.wrongs {
            report.push(span.clone(), wrong.clone());
        }
    }

    pub(super) fn absolute(&self) -> PathBuf {
        std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone())
    }

    /// The directory that the paths in the file are relative to: the one in which it lies by its name,
    /// wherever a link may lead.
    pub(super) fn directory(&self) -> PathBuf {
        self.absolute().parent().unwrap_or(Path::new("/")).to_owned()
    }
}

/// The names in the directory of the drop-ins, sorted; `None` if there is no such directory.
fn names_in(folder: &Path) -> Result<Option<Vec<OsString>>, Wrong> {
    // A link that leads to nothing is not the same as nothing.
    match fs::symlink_metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        _ => {}
    }
    let entries = fs::read_dir(folder).map_err(|error| unlistable(&error))?;
    let names: io::Result<Vec<OsString>> = entries.map(|it| it.map(|it| it.file_name())).collect();
    let mut names = names.map_err(|error| unlistable(&error))?;
    if names.iter().filter(|it| matches!(Name::of(it), Name::DropIn)).count() > DROP_INS_MAX {
        let wrong = Wrong::new("too-large", format!("here are more than {DROP_INS_MAX} drop-ins"));
        return Err(wrong.help("put several hooks into one file"));
    }
    names.sort();
    Ok(Some(names))
}

fn unlistable(error: &io::Error) -> Wrong {
    let wrong = |message: &str| Wrong::new("file", message);
    match error.kind() {
        io::ErrorKind::NotFound => {
            wrong("this link leads to nothing").help("remove it, or put back the directory that it led to")
        }
        io::ErrorKind::NotADirectory => wrong("this is a file, and drop-ins lie in a directory").help(
            format!("make a directory `{DROP_INS}`, and put the file into it under a name with `.yaml`"),
        ),
        io::ErrorKind::PermissionDenied => wrong("the directory may not be listed by this user")
            .help("run as root, or as the user that boathook runs as"),
        _ => {
            wrong(&format!("the directory cannot be listed: {error}")).help("look at the disk that it is on")
        }
    }
}

/// What a name in the directory of the drop-ins says.
#[derive(Debug, PartialEq, Eq)]
enum Name {
    DropIn,
    /// It is meant to be one.
    Misspelt(Wrong),
    /// Left behind by an editor or a package manager, or put aside.
    PassedOver,
    Other,
}

impl Name {
    fn of(name: &OsStr) -> Name {
        let name = name.to_string_lossy();
        let hidden = name.starts_with('.') || name.starts_with('#');
        let lower = name.to_lowercase();
        let stem = lower.strip_suffix(".yaml").or_else(|| lower.strip_suffix(".yml")).map(str::len);
        match stem {
            Some(1..) if !hidden && name.ends_with(".yaml") => Name::DropIn,
            Some(stem @ 1..) if !hidden => {
                let meant = name.get(..stem).unwrap_or("x");
                let wrong = Wrong::new("drop-in", "this is not read: the name of a drop-in ends in `.yaml`");
                Name::Misspelt(wrong.help(format!("call it `{meant}.yaml`, or move it out of `{DROP_INS}`")))
            }
            _ if lower.contains(".yaml") || lower.contains(".yml") => Name::PassedOver,
            _ => Name::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Name, OsStr};

    fn of(name: &str) -> Name {
        Name::of(OsStr::new(name))
    }

    #[test]
    fn a_drop_in_ends_in_yaml() {
        for name in ["a.yaml", "50-firewall.yaml", "a.b.yaml", "über.yaml"] {
            assert_eq!(of(name), Name::DropIn, "{name}");
        }
    }

    #[test]
    fn what_somebody_waits_for_to_be_read_is_a_mistake() {
        for name in ["a.yml", "a.YAML", "A.Yml"] {
            let Name::Misspelt(wrong) = of(name) else { panic!("{name} is no drop-in") };
            assert!(wrong.help.expect("there is a fix").to_lowercase().starts_with("call it `a.yaml`"));
        }
    }

    #[test]
    fn what_editors_and_package_managers_leave_is_passed_over() {
        for name in [
            "a.yaml~",
            ".#a.yaml",
            "#a.yaml#",
            ".a.yaml.swp",
            ".a.yaml",
            "a.yaml.bak",
            "a.yaml.dpkg-new",
            ".yaml",
        ] {
            assert_eq!(of(name), Name::PassedOver, "{name}");
        }
        for name in ["README", "firewall.sh", ".gitkeep", "a.json"] {
            assert_eq!(of(name), Name::Other, "{name}");
        }
    }
}
