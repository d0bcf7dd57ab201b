//! From the options of `docker volume create` to what the volume is, with every mistake at once.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Component, Path, PathBuf};

use super::spec::{Permissions, Spec};
use crate::near::nearest;

/// The options there are, and what may have them.
const KEYS: [(&str, &[Kind]); 7] = [
    ("type", &[Kind::Directory, Kind::Tmpfs, Kind::Bind, Kind::Script]),
    ("path", &[Kind::Directory, Kind::Bind]),
    ("mode", &[Kind::Directory, Kind::Tmpfs]),
    ("uid", &[Kind::Directory, Kind::Tmpfs]),
    ("gid", &[Kind::Directory, Kind::Tmpfs]),
    ("size", &[Kind::Directory, Kind::Tmpfs]),
    ("script", &[Kind::Script]),
];

/// Words of Docker's own `local` driver, and what says the same here.
const SYNONYMS: [(&str, &str); 3] = [("device", "path"), ("o", "mode"), ("driver", "type")];

/// The values of `type`.
const KINDS: [(&str, Kind); 4] =
    [("directory", Kind::Directory), ("tmpfs", Kind::Tmpfs), ("bind", Kind::Bind), ("script", Kind::Script)];

/// The highest permission bits: with the sticky, set-group and set-user bits.
const MODE_MAX: u32 = 0o7777;

/// The largest id of a user or group; the one above it means "leave as it is" to the kernel.
const ID_MAX: u32 = u32::MAX - 1;

/// The smallest size: one page, and one block of a disk.
const SIZE_MIN: u64 = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Directory,
    Tmpfs,
    Bind,
    Script,
}

impl Kind {
    fn word(self) -> &'static str {
        KINDS.iter().find(|(_, kind)| *kind == self).map_or("", |(word, _)| word)
    }
}

/// Everything that is wrong with the options of a volume. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionsError {
    mistakes: Vec<String>,
}

impl fmt::Display for OptionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.mistakes.join("; "))
    }
}

impl std::error::Error for OptionsError {}

/// What a volume with these options is.
///
/// Whether its path is allowed and its script known is not looked at.
///
/// # Errors
///
/// With all mistakes at once, each with its fix.
pub(super) fn parse(options: &BTreeMap<String, String>) -> Result<Spec, OptionsError> {
    let mut reader = Reader { options, mistakes: Vec::new() };
    let kind = reader.read("type", kind).unwrap_or_else(|| match options.contains_key("type") {
        true => None,
        false => Some(Kind::Directory),
    });
    // Without knowing what it shall be, an option cannot be out of place; a slip of the pen can.
    reader.check_keys(kind);
    let spec = reader.spec(kind);
    match spec {
        Some(spec) if reader.mistakes.is_empty() => Ok(spec),
        _ => Err(OptionsError { mistakes: reader.mistakes }),
    }
}

struct Reader<'a> {
    options: &'a BTreeMap<String, String>,
    mistakes: Vec<String>,
}

impl Reader<'_> {
    /// `None`: it is not written. `Some(None)`: it is wrong, and noted.
    fn read<T>(&mut self, key: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<Option<T>> {
        let value = self.options.get(key)?;
        Some(parse(value).map_err(|wrong| self.mistakes.push(format!("`{key}` {wrong}"))).ok())
    }

    fn value<T>(&mut self, key: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        self.read(key, parse).flatten()
    }

    fn check_keys(&mut self, kind: Option<Kind>) {
        // What else a script understands is its own business.
        if kind == Some(Kind::Script) {
            return;
        }
        for key in self.options.keys() {
            let known = KEYS.iter().find(|(name, _)| name == key);
            match (known, kind) {
                (None, _) => self.mistakes.push(unknown(key)),
                (Some((_, kinds)), Some(kind)) if !kinds.contains(&kind) => {
                    self.mistakes.push(misplaced(key, kinds, kind));
                }
                _ => {}
            }
        }
    }

    fn spec(&mut self, kind: Option<Kind>) -> Option<Spec> {
        match kind? {
            Kind::Directory => {
                let path = self.value("path", absolute);
                let size = self.value("size", size);
                if self.options.contains_key("path") && self.options.contains_key("size") {
                    self.mistakes.push(
                        "`size` cannot be kept for `path`, whose directory is not the volume's own: remove one of \
                         them"
                            .to_owned(),
                    );
                }
                Some(Spec::Directory { permissions: self.permissions(), path, size })
            }
            Kind::Tmpfs => {
                let size = self.value("size", size);
                Some(Spec::Tmpfs { permissions: self.permissions(), size })
            }
            Kind::Bind => {
                let path = self.read("path", absolute);
                if path.is_none() {
                    self.mistakes.push("`path` is missing: say which directory, `path=/srv/…`".to_owned());
                }
                Some(Spec::Bind { path: path.flatten()? })
            }
            Kind::Script => {
                let script = self.read("script", nonempty);
                if script.is_none() {
                    self.mistakes.push(
                        "`script` is missing: name one of the configuration's `scripts`, `script=NAME`"
                            .to_owned(),
                    );
                }
                let rest = self.options.iter().filter(|(key, _)| !matches!(key.as_str(), "type" | "script"));
                let options = rest.map(|(key, value)| (key.clone(), value.clone())).collect();
                Some(Spec::Script { script: script.flatten()?, options })
            }
        }
    }

    fn permissions(&mut self) -> Permissions {
        Permissions { mode: self.value("mode", mode), uid: self.value("uid", id), gid: self.value("gid", id) }
    }
}

fn unknown(key: &str) -> String {
    let shown = key.escape_debug();
    let synonym = SYNONYMS.iter().find(|(word, _)| *word == key).map(|(_, meant)| *meant);
    match synonym.or_else(|| nearest(key, KEYS.iter().map(|(name, _)| *name))) {
        Some(meant) => format!("there is no option `{shown}`, did you mean `{meant}`?"),
        None => {
            let known: Vec<_> = KEYS.iter().map(|(name, _)| format!("`{name}`")).collect();
            format!("there is no option `{shown}`, there are {}", known.join(", "))
        }
    }
}

fn misplaced(key: &str, kinds: &[Kind], kind: Kind) -> String {
    let kinds: Vec<_> = kinds.iter().map(|it| format!("`type={}`", it.word())).collect();
    format!("`{key}` means nothing with `type={}`: remove it, or write {}", kind.word(), kinds.join(" or "))
}

fn kind(text: &str) -> Result<Kind, String> {
    if let Some((_, kind)) = KINDS.iter().find(|(word, _)| *word == text) {
        return Ok(*kind);
    }
    let shown = text.escape_debug();
    Err(match nearest(text, KINDS.iter().map(|(word, _)| *word)) {
        Some(meant) => format!("cannot be `{shown}`, did you mean `{meant}`?"),
        None => format!("cannot be `{shown}`: write `directory`, `tmpfs`, `bind` or `script`"),
    })
}

fn mode(text: &str) -> Result<u32, String> {
    let bits = (3..=4).contains(&text.len()).then(|| u32::from_str_radix(text, 8).ok()).flatten();
    if let Some(bits) = bits.filter(|it| *it <= MODE_MAX && text.bytes().all(|it| it.is_ascii_digit())) {
        return Ok(bits);
    }
    let shown = text.escape_debug();
    Err(match KINDS.iter().any(|(word, _)| *word == text) {
        true => format!("is for permissions: write `type={shown}`"),
        false => format!("cannot be `{shown}`: write permissions in octal, `mode=0750`"),
    })
}

fn id(text: &str) -> Result<u32, String> {
    let id =
        text.parse::<u32>().ok().filter(|it| *it <= ID_MAX && text.bytes().all(|it| it.is_ascii_digit()));
    id.ok_or_else(|| format!("cannot be `{}`: write a number from 0 to {ID_MAX}", text.escape_debug()))
}

/// A size in bytes: `64m`, `1g`, with the units of `docker run --memory`, which are powers of 1024; `MiB` and
/// the like as well.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => Some(0),
        "k" | "kb" | "kib" => Some(10),
        "m" | "mb" | "mib" => Some(20),
        "g" | "gb" | "gib" => Some(30),
        "t" | "tb" | "tib" => Some(40),
        _ => None,
    };
    let number = number.parse::<u64>().ok();
    let bytes = number.zip(shift).and_then(|(number, shift)| number.checked_mul(1 << shift));
    // The kernel counts in signed numbers.
    let bytes = bytes.filter(|it| *it <= i64::MAX as u64);
    match bytes {
        Some(bytes) if bytes >= SIZE_MIN => Ok(bytes),
        Some(_) => Err(format!("cannot be `{text}`: write at least `4k`, nothing fits into less")),
        None => Err(format!("cannot be `{}`: write a size such as `64m` or `1g`", text.escape_debug())),
    }
}

fn absolute(text: &str) -> Result<PathBuf, String> {
    let path = Path::new(text);
    let shown = text.escape_debug();
    let plain = || path.components().skip(1).all(|it| matches!(it, Component::Normal(_)));
    // `components` leaves single dots in the middle out.
    let dots = || text.split('/').any(|it| it == "." || it == "..");
    match path.is_absolute() {
        _ if text.chars().any(char::is_control) => {
            Err(format!("cannot be `{shown}`: no path has these characters"))
        }
        false => Err(format!("is `{shown}`: write a path from the root")),
        true if dots() || !plain() => Err(format!("is `{shown}`: write it without `.` and `..`")),
        true => Ok(path.components().collect()),
    }
}

fn nonempty(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("is empty: write `script=NAME`".to_owned()) } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::spec::{Permissions, Spec};
    use super::{OptionsError, parse};

    fn read(options: &[(&str, &str)]) -> Result<Spec, OptionsError> {
        let options: BTreeMap<_, _> =
            options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        parse(&options)
    }

    fn mistakes(options: &[(&str, &str)]) -> Vec<String> {
        read(options).expect_err("there is a mistake").mistakes
    }

    #[test]
    fn nothing_said_is_a_directory() {
        assert_eq!(
            read(&[]),
            Ok(Spec::Directory { permissions: Permissions::default(), path: None, size: None })
        );
    }

    #[test]
    fn every_kind_is_read_with_what_belongs_to_it() {
        let permissions = Permissions { mode: Some(0o1750), uid: Some(1000), gid: Some(0) };
        let given = [("mode", "1750"), ("uid", "1000"), ("gid", "0")];

        let tmpfs = read(&[&given[..], &[("type", "tmpfs"), ("size", "64m")]].concat());
        assert_eq!(tmpfs, Ok(Spec::Tmpfs { permissions, size: Some(64 << 20) }));
        let directory = read(&[&given[..], &[("path", "/srv//data/")]].concat());
        assert_eq!(
            directory,
            Ok(Spec::Directory { permissions, path: Some("/srv/data".into()), size: None })
        );
        let limited = read(&[&given[..], &[("size", "8m")]].concat());
        assert_eq!(limited, Ok(Spec::Directory { permissions, path: None, size: Some(8 << 20) }));
        assert_eq!(read(&[("type", "bind"), ("path", "/srv/x")]), Ok(Spec::Bind { path: "/srv/x".into() }));
        let options =
            BTreeMap::from([("size".to_owned(), "1g".to_owned()), ("key".to_owned(), "k".to_owned())]);
        let script = read(&[("type", "script"), ("script", "luks"), ("size", "1g"), ("key", "k")]);
        assert_eq!(script, Ok(Spec::Script { script: "luks".to_owned(), options }));
    }

    #[test]
    fn all_mistakes_are_told_at_once_with_their_fixes() {
        let told = mistakes(&[
            ("type", "tmpf"),
            ("sise", "1g"),
            ("mode", "rwx"),
            ("device", "x"),
            ("colour", "red"),
        ]);

        assert_eq!(told[0], "`type` cannot be `tmpf`, did you mean `tmpfs`?");
        assert_eq!(
            told[1],
            "there is no option `colour`, there are `type`, `path`, `mode`, `uid`, `gid`, `size`, `script`"
        );
        assert_eq!(told[2], "there is no option `device`, did you mean `path`?");
        assert_eq!(told[3], "there is no option `sise`, did you mean `size`?");
        let told =
            mistakes(&[("type", "tmpfs"), ("mode", "rwx"), ("uid", "root"), ("gid", "+1"), ("size", "1x")]);
        assert_eq!(told.len(), 4, "{told:?}");
    }

    #[test]
    fn what_means_nothing_to_a_kind_is_refused() {
        assert_eq!(
            mistakes(&[("type", "bind"), ("path", "/srv/x"), ("uid", "1")]),
            ["`uid` means nothing with `type=bind`: remove it, or write `type=directory` or `type=tmpfs`"]
        );
        assert_eq!(
            mistakes(&[("size", "1g"), ("path", "/srv/x")]),
            ["`size` cannot be kept for `path`, whose directory is not the volume's own: remove one of them"]
        );
        assert_eq!(
            mistakes(&[("type", "bind"), ("path", "/srv/x"), ("size", "1g")]),
            ["`size` means nothing with `type=bind`: remove it, or write `type=directory` or `type=tmpfs`"]
        );
        assert_eq!(
            mistakes(&[("mode", "script"), ("script", "luks")]),
            [
                "`script` means nothing with `type=directory`: remove it, or write `type=script`",
                "`mode` is for permissions: write `type=script`"
            ]
        );
        assert_eq!(mistakes(&[("type", "bind")]).len(), 1);
        assert_eq!(mistakes(&[("type", "script")]).len(), 1);
    }

    #[test]
    fn a_path_is_written_as_it_is_meant() {
        for path in ["srv/x", "/srv/../etc", "/srv/./x", "/srv/..", "", "/srv/\n"] {
            assert_eq!(mistakes(&[("path", path)]).len(), 1, "{path:?}");
        }
    }

    #[test]
    fn numbers_stay_within_their_range() {
        let tmpfs = |key, value| read(&[("type", "tmpfs"), (key, value)]);
        for (key, value) in [
            ("mode", "77777"),
            ("mode", "8"),
            ("mode", "+755"),
            ("uid", "4294967295"),
            ("size", "0"),
            ("size", "4095"),
            ("size", "9999999999t"),
            ("size", "16777216t"),
            ("size", "m"),
        ] {
            assert!(tmpfs(key, value).is_err(), "{key}={value}");
        }
        let sizes = [("4096", 4096), ("512K", 512 << 10), ("1GiB", 1 << 30), ("2tb", 2 << 40)];
        for (written, bytes) in sizes {
            let expected = Spec::Tmpfs { permissions: Permissions::default(), size: Some(bytes) };
            assert_eq!(tmpfs("size", written), Ok(expected), "{written}");
        }
    }
}
