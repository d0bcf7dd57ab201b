//! The mount table: what is mounted where.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use super::quota::Ground;

/// The mount table as this process sees it.
const TABLE: &str = "/proc/self/mountinfo";

/// Where something is mounted, and what; a place over which two lie is there twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Table {
    mounts: Vec<Ground>,
}

impl Table {
    /// The table as it is now. Unlike a look at the mounts themselves, this never waits for a server that
    /// one of them leads to.
    pub(super) fn read() -> io::Result<Table> {
        Ok(Table::parse(&fs::read(TABLE)?))
    }

    /// The table as another process sees it.
    pub(super) fn of(pid: i32) -> io::Result<Table> {
        Ok(Table::parse(&fs::read(format!("/proc/{pid}/mountinfo"))?))
    }

    /// Reads the form of `/proc/PID/mountinfo` (`proc_pid_mountinfo(5)`): the fifth field is the place, in
    /// which blanks and backslashes are octal. After a dash come the kind of filesystem and what it is on.
    fn parse(text: &[u8]) -> Table {
        let mount = |line: &[u8]| {
            let mut fields = line.split(|it| *it == b' ');
            let at = unescaped(fields.nth(4)?);
            let mut rest = fields.skip_while(|it| *it != b"-").skip(1);
            let mut text = || unescaped(rest.next().unwrap_or_default()).to_string_lossy().into_owned();
            Some(Ground { at, kind: text(), source: text() })
        };
        Table { mounts: text.split(|it| *it == b'\n').filter_map(mount).collect() }
    }

    /// What `path` lies on, which has no symbolic link in it.
    pub(super) fn ground(&self, path: &Path) -> Option<Ground> {
        // Of those at one place the last lies above.
        let below = self.mounts.iter().filter(|it| path.starts_with(&it.at));
        below.max_by_key(|it| it.at.as_os_str().len()).cloned()
    }

    /// Whether something is mounted at `path`, which has no symbolic link in it.
    pub(super) fn holds(&self, path: &Path) -> bool {
        self.mounts.iter().any(|it| it.at == path)
    }

    /// Something that is mounted at `path` or below it.
    pub(super) fn within(&self, path: &Path) -> Option<&Path> {
        self.mounts.iter().map(|it| it.at.as_path()).find(|it| it.starts_with(path))
    }
}

fn unescaped(field: &[u8]) -> PathBuf {
    let octal = |digits: &[u8]| {
        let digits = std::str::from_utf8(digits.get(1..4)?).ok()?;
        u8::from_str_radix(digits, 8).ok()
    };
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, after @ ..] = rest {
        let byte = if *first == b'\\' { octal(rest) } else { None };
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &rest[4..] } else { after };
    }
    OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Table;

    const TEXT: &str = "\
        22 28 0:21 / /proc rw,nosuid - proc proc rw\n\
        36 35 98:0 /mnt1 /srv/my\\040disk rw,noatime shared:1 master:2 - ext4 /dev/sda1 rw\n\
        40 36 0:50 / /srv/my\\040disk/db\\134x rw - tmpfs bh-tmpfs rw\n";

    #[test]
    fn places_are_read_as_they_are_named() {
        let table = Table::parse(TEXT.as_bytes());

        assert!(table.holds(Path::new("/proc")) && table.holds(Path::new("/srv/my disk/db\\x")));
        assert!(!table.holds(Path::new("/srv")) && !table.holds(Path::new("/srv/my disk/db")));
    }

    #[test]
    fn the_ground_is_the_last_mount_of_the_nearest_place() {
        let over =
            format!("{TEXT}41 36 98:1 / /mnt rw - tmpfs none rw\n42 41 98:2 / /mnt rw - xfs /dev/sdb rw\n");
        let table = Table::parse(over.as_bytes());

        let ground = |path: &str| table.ground(Path::new(path)).map(|it| (it.kind, it.source));
        let on = |kind: &str, source: &str| Some((kind.to_owned(), source.to_owned()));
        assert_eq!(ground("/srv/my disk/x"), on("ext4", "/dev/sda1"));
        assert_eq!(ground("/mnt/x"), on("xfs", "/dev/sdb"));
        assert_eq!(ground("/srv"), None);
    }

    #[test]
    fn what_lies_below_is_found_and_a_neighbour_is_not() {
        let table = Table::parse(TEXT.as_bytes());

        assert_eq!(table.within(Path::new("/srv")), Some(Path::new("/srv/my disk")));
        assert_eq!(table.within(Path::new("/srv/my disk/db")), None);
        assert_eq!(table.within(Path::new("/pro")), None);
    }
}
