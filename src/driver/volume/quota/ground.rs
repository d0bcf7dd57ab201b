//! The filesystem below a directory, and what it lacks to limit one.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::super::table::Table;
use super::kernel::State;

/// The filesystems that limit directories by themselves, and can be switched to.
const ABLE: [&str; 3] = ["ext4", "f2fs", "xfs"];

/// The filesystem below a directory, as the mount table tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Ground {
    /// Where it is mounted.
    pub(in super::super) at: PathBuf,
    /// Its kind, `xfs` say.
    pub(in super::super) kind: String,
    /// What it is on, a device say, by whatever name that was mounted.
    pub(in super::super) source: String,
}

/// What a directory lacks to be limited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    what: What,
    ground: Ground,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// The kernel cannot be asked.
    Kernel,
    /// The filesystem cannot.
    Filesystem,
    /// It can, and nobody has switched it on.
    Off,
    /// It counts what there is, and lets it be.
    Unenforced,
}

impl Lack {
    /// What `path` lacks, by what the kernel has said of its filesystem: anything but that it limits.
    ///
    /// # Errors
    ///
    /// When the kernel failed, or the mount table cannot be read.
    pub(super) fn of(path: &Path, is_known: bool, told: Result<State, Errno>) -> Result<Lack, io::Error> {
        let ground = Table::read()?.ground(path);
        let ground =
            ground.ok_or_else(|| io::Error::other("the mount table does not say what it lies on"))?;
        Ok(Lack { what: what(&ground.kind, is_known, told)?, ground })
    }
}

/// What a filesystem of that kind lacks.
fn what(kind: &str, is_known: bool, told: Result<State, Errno>) -> Result<What, Errno> {
    match told {
        Ok(State::Counted) => Ok(What::Unenforced),
        // It has quotas, of users perhaps, or none that are on (`do_quotactl` and `quota_getstatev` in Linux,
        // `fs/quota/quota.c`).
        Ok(_) | Err(Errno::NOSYS | Errno::INVAL | Errno::SRCH | Errno::OPNOTSUPP) => {
            Ok(match (ABLE.contains(&kind), is_known) {
                (false, _) => What::Filesystem,
                (true, false) => What::Kernel,
                (true, true) => What::Off,
            })
        }
        Err(error) => Err(error),
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ground { at, kind, source } = &self.ground;
        let at = at.display();
        let switch = match (kind.as_str(), self.ground.at == Path::new("/")) {
            // Nothing else can be said when the root is mounted, and a remount does not switch it on.
            ("xfs", true) => "boot with `rootflags=prjquota`",
            _ => "mount it with `prjquota`",
        };
        match (self.what, kind.as_str()) {
            (What::Kernel, _) => write!(
                f,
                "this kernel cannot be asked for project quotas, Linux can since 5.14, with CONFIG_QUOTA"
            ),
            (What::Filesystem, _) => {
                write!(f, "{kind}, mounted at `{at}`, cannot limit a directory, xfs and ext4 can")
            }
            (What::Off, "ext4") => write!(
                f,
                "the ext4 mounted at `{at}` has no project quotas: run `tune2fs -O quota,project -Q prjquota \
                 {source}` while it is not mounted, then {switch}"
            ),
            (What::Off, _) => write!(f, "the {kind} mounted at `{at}` has project quotas off: {switch}"),
            (What::Unenforced, _) => {
                write!(f, "the {kind} mounted at `{at}` counts projects without limiting them: {switch}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::super::kernel::State;
    use super::{Ground, Lack, What, what};

    #[test]
    fn what_is_lacking_follows_from_the_filesystem_and_what_the_kernel_says() {
        assert_eq!(what("xfs", true, Err(Errno::NOSYS)), Ok(What::Off));
        assert_eq!(what("ext4", true, Ok(State::Off)), Ok(What::Off));
        assert_eq!(what("ext4", true, Err(Errno::INVAL)), Ok(What::Off));
        assert_eq!(what("ext4", true, Ok(State::Counted)), Ok(What::Unenforced));
        assert_eq!(what("xfs", false, Err(Errno::NOSYS)), Ok(What::Kernel));
        assert_eq!(what("btrfs", true, Err(Errno::NOSYS)), Ok(What::Filesystem));
        assert_eq!(what("tmpfs", false, Err(Errno::NOSYS)), Ok(What::Filesystem));
        assert_eq!(what("xfs", true, Err(Errno::PERM)), Err(Errno::PERM));
    }

    #[test]
    fn the_fix_is_the_one_for_the_filesystem() {
        let told = |what, kind: &str, at: &str| {
            let ground = Ground { at: at.into(), kind: kind.to_owned(), source: "/dev/sdb1".to_owned() };
            Lack { what, ground }.to_string()
        };

        assert_eq!(
            told(What::Off, "xfs", "/var"),
            "the xfs mounted at `/var` has project quotas off: mount it with `prjquota`"
        );
        assert!(told(What::Off, "xfs", "/").ends_with("boot with `rootflags=prjquota`"));
        let ext4 = told(What::Off, "ext4", "/");
        assert!(ext4.contains("`tune2fs -O quota,project -Q prjquota /dev/sdb1`"), "{ext4}");
        assert!(told(What::Unenforced, "ext4", "/").ends_with("limiting them: mount it with `prjquota`"));
        assert!(told(What::Filesystem, "btrfs", "/").starts_with("btrfs, mounted at `/`, cannot"));
        assert!(told(What::Kernel, "xfs", "/").contains("5.14"));
    }
}
