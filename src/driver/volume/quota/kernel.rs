//! The system calls of project quotas.
//!
//! A file belongs to a project, by a number, and a filesystem limits what belongs to one. rustix and nix know
//! neither the attributes that say so nor quotas of that type, so the calls are made here, and nothing else is.
//! A filesystem is named by a file that is open on it: naming its device, as before Linux 5.14, wants a node
//! that need not be in `/dev`, nor be the filesystem's by the time that it is opened.

#![expect(unsafe_code, reason = "no library makes these calls, each of which passes the kernel a pointer")]

use std::ffi::c_void;
use std::io;
use std::mem::offset_of;
use std::os::fd::{AsFd, AsRawFd as _, RawFd};

use rustix::io::{Errno, Result};
use rustix::ioctl::{Getter, Opcode, Setter, ioctl, opcode};

/// `FS_IOC_FSGETXATTR` and `FS_IOC_FSSETXATTR` in `linux/fs.h`.
const GET_ATTRIBUTES: Opcode = opcode::read::<Attributes>(b'X', 31);
const SET_ATTRIBUTES: Opcode = opcode::write::<Attributes>(b'X', 32);

/// `FS_XFLAG_PROJINHERIT` in `linux/fs.h`: what is made in the directory belongs to its project.
const INHERIT: u32 = 0x200;

/// `Q_XGETQUOTA`, `Q_XSETQLIM` and `Q_XGETQSTATV` in `linux/dqblk_xfs.h`, which ext4 answers as well.
const GET_ACCOUNT: u32 = command(3);
const SET_LIMIT: u32 = command(4);
const GET_STATE: u32 = command(8);

/// `FS_DQUOT_VERSION` and `FS_QSTATV_VERSION1` in `linux/dqblk_xfs.h`.
const VERSION: i8 = 1;

/// `FS_PROJ_QUOTA` in `linux/dqblk_xfs.h`.
const OF_PROJECT: i8 = 1 << 1;

/// `FS_DQ_BSOFT` and `FS_DQ_BHARD` in `linux/dqblk_xfs.h`: the limits of blocks are to be set.
const BLOCK_LIMITS: u16 = 1 << 2 | 1 << 3;

/// `FS_QUOTA_PDQ_ACCT` and `FS_QUOTA_PDQ_ENFD` in `linux/dqblk_xfs.h`.
const IS_COUNTED: u16 = 1 << 4;
const IS_ENFORCED: u16 = 1 << 5;

/// What an account counts blocks in, in bytes, whatever the filesystem's own blocks are.
const BLOCK_BYTES: u64 = 512;

/// `XQM_CMD` in `linux/dqblk_xfs.h`, of `PRJQUOTA` by `QCMD` in `linux/quota.h`.
const fn command(nth: u32) -> u32 {
    const PROJECTS: u32 = 2;
    (((b'X' as u32) << 8) + nth) << 8 | PROJECTS
}

/// `struct fsxattr` in `linux/fs.h`.
#[derive(Clone, Copy)]
#[repr(C)]
struct Attributes {
    flags: u32,
    _sizes: [u32; 2],
    project: u32,
    _rest: [u32; 3],
}

const _: () = assert!(size_of::<Attributes>() == 28 && offset_of!(Attributes, project) == 12);

/// `struct fs_disk_quota` in `linux/dqblk_xfs.h`.
#[derive(Default)]
#[repr(C)]
struct DiskQuota {
    version: i8,
    of: i8,
    mask: u16,
    id: u32,
    blocks_max: u64,
    blocks_soft: u64,
    _files_max: [u64; 2],
    blocks: u64,
    files: u64,
    _rest: [u64; 7],
}

const _: () = {
    assert!(size_of::<DiskQuota>() == 112);
    assert!(offset_of!(DiskQuota, version) == 0 && offset_of!(DiskQuota, of) == 1);
    assert!(offset_of!(DiskQuota, mask) == 2 && offset_of!(DiskQuota, id) == 4);
    assert!(offset_of!(DiskQuota, blocks_max) == 8 && offset_of!(DiskQuota, blocks_soft) == 16);
    assert!(offset_of!(DiskQuota, blocks) == 40 && offset_of!(DiskQuota, files) == 48);
};

/// `struct fs_quota_statv` in `linux/dqblk_xfs.h`.
#[derive(Default)]
#[repr(C)]
struct Statv {
    version: i8,
    _pad: u8,
    flags: u16,
    _dquots: u32,
    _rest: [u64; 19],
}

const _: () = {
    assert!(size_of::<Statv>() == 160);
    assert!(offset_of!(Statv, version) == 0 && offset_of!(Statv, flags) == 2);
};

/// Where a file belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Belonging {
    /// The project; zero is nobody's.
    pub(super) project: u32,
    /// Whether what is made in the directory belongs to the project as well.
    pub(super) inherits: bool,
}

/// What a filesystem does for projects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It does not know how much belongs to one.
    Off,
    /// It knows, and lets it be.
    Counted,
    /// It keeps them within their limits.
    Enforced,
}

/// What a filesystem has written down of a project.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Account {
    /// The most that may belong to it, in bytes; zero: there is no limit.
    pub(super) bytes_max: u64,
    /// How much does, in bytes.
    pub(super) bytes: u64,
    /// How many files and directories do.
    pub(super) files: u64,
}

/// Where a file belongs.
pub(super) fn belonging(file: impl AsFd) -> Result<Belonging> {
    let attributes = attributes(file)?;
    Ok(Belonging { project: attributes.project, inherits: attributes.flags & INHERIT != 0 })
}

/// Has a file belong there; all else that can be said of it stays as it is.
pub(super) fn belong(file: impl AsFd, to: Belonging) -> Result<()> {
    let mut attributes = attributes(&file)?;
    attributes.project = to.project;
    attributes.flags = attributes.flags & !INHERIT | if to.inherits { INHERIT } else { 0 };
    // SAFETY: the number is of a command that reads a `struct fsxattr`, which `Attributes` is laid out as, and
    // writes nothing.
    unsafe { ioctl(file, Setter::<SET_ATTRIBUTES, Attributes>::new(attributes)) }
}

fn attributes(file: impl AsFd) -> Result<Attributes> {
    // SAFETY: the number is of a command that writes a `struct fsxattr`, all of it, which `Attributes` is laid
    // out as; any bytes make one.
    unsafe { ioctl(file, Getter::<GET_ATTRIBUTES, Attributes>::new()) }
}

/// Whether this kernel can be asked at all.
pub(super) fn is_known() -> bool {
    const NO_FILE: RawFd = -1;
    // SAFETY: no file is meant, so the call ends before it looks at the address.
    let told = unsafe { quotactl(NO_FILE, GET_STATE, 0, std::ptr::null_mut()) };
    told != Err(Errno::NOSYS)
}

/// What the filesystem of `file` does for projects.
pub(super) fn state(file: impl AsFd) -> Result<State> {
    let mut it = Statv { version: VERSION, ..Statv::default() };
    let at = (&raw mut it).cast();
    // SAFETY: the command writes a `struct fs_quota_statv`, which `Statv` is laid out as, and reads its version;
    // `it` outlives the call, and any bytes make one.
    unsafe { quotactl(file.as_fd().as_raw_fd(), GET_STATE, 0, at) }?;
    Ok(match it.flags {
        flags if flags & IS_COUNTED == 0 => State::Off,
        flags if flags & IS_ENFORCED == 0 => State::Counted,
        _ => State::Enforced,
    })
}

/// What the filesystem of `file` has written down of `project`.
pub(super) fn account(file: impl AsFd, project: u32) -> Result<Account> {
    let mut it = DiskQuota::default();
    let at = (&raw mut it).cast();
    // SAFETY: the command writes a `struct fs_disk_quota`, which `DiskQuota` is laid out as; `it` outlives the
    // call, and any bytes make one.
    match unsafe { quotactl(file.as_fd().as_raw_fd(), GET_ACCOUNT, project, at) } {
        // Nothing is written down.
        Err(Errno::NOENT) => return Ok(Account::default()),
        told => told?,
    }
    let bytes = |blocks: u64| blocks.saturating_mul(BLOCK_BYTES);
    Ok(Account { bytes_max: bytes(it.blocks_max), bytes: bytes(it.blocks), files: it.files })
}

/// Limits what may belong to `project` on the filesystem of `file`; zero: no more. It may have more already:
/// then nothing is added.
pub(super) fn limit(file: impl AsFd, project: u32, bytes_max: u64) -> Result<()> {
    let blocks_max = bytes_max.div_ceil(BLOCK_BYTES);
    let mut it = DiskQuota {
        version: VERSION,
        of: OF_PROJECT,
        mask: BLOCK_LIMITS,
        id: project,
        blocks_max,
        ..DiskQuota::default()
    };
    let at = (&raw mut it).cast();
    // SAFETY: the command reads a `struct fs_disk_quota`, which `DiskQuota` is laid out as; `it` outlives the
    // call.
    unsafe { quotactl(file.as_fd().as_raw_fd(), SET_LIMIT, project, at) }
}

/// # Safety
///
/// `at` is valid for what `command` reads and writes, until the call returns.
unsafe fn quotactl(file: RawFd, command: u32, project: u32, at: *mut c_void) -> Result<()> {
    // SAFETY: the call takes these four; the rest is promised by whoever calls.
    let done = unsafe { libc::syscall(libc::SYS_quotactl_fd, file, command, project, at) };
    match done {
        0 => Ok(()),
        _ => Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Attributes, GET_ACCOUNT, GET_ATTRIBUTES, GET_STATE, SET_ATTRIBUTES, SET_LIMIT};

    #[test]
    fn commands_are_those_of_the_headers() {
        // As a C compiler makes them of `FS_IOC_FSGETXATTR`, `FS_IOC_FSSETXATTR`, and `QCMD(…, PRJQUOTA)`.
        assert_eq!((GET_ATTRIBUTES, SET_ATTRIBUTES), (0x801c_581f, 0x401c_5820));
        assert_eq!((GET_ACCOUNT, SET_LIMIT, GET_STATE), (0x58_0302, 0x58_0402, 0x58_0802));
        assert_eq!(align_of::<Attributes>(), 4);
    }
}
