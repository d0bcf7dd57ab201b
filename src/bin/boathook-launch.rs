//! Becomes a hook's script, after giving away what the script shall not have.
//!
//! Boathook starts it with an [`Order`] and, on descriptor [`REPORT_FD`], a pipe. It waits for
//! nothing: it either becomes the script in a few system calls, or says on the pipe why not and
//! exits. The order of the steps matters: limits are raised and namespaces entered while there is the
//! right to, groups change before the user, and what is left of capabilities goes last.
//!
//! With other arguments it is the [reaper](reap), which boathook starts all processes by.

use std::env;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use boathook::launch::{Identity, Order, OrderError, REPORT_FD, Resource, Rlimit, VARIABLE_PREFIX};
use boathook::runner::{REAP, reap};
use nix::sched::{CloneFlags, setns};
use nix::unistd::{Gid, Uid, close, setgroups, setresgid, setresuid};
use rustix::process::Rlimit as KernelLimit;
use rustix::thread::{CapabilitySet, CapabilitySets, clear_ambient_capability_set};

/// Why there is no script.
#[derive(Debug, thiserror::Error)]
enum LaunchError {
    #[error("the launcher is not for use by hand")]
    Arguments,
    #[error(transparent)]
    Order(#[from] OrderError),
    #[error("limit `{}`", .resource.name())]
    Limit { resource: Resource, source: io::Error },
    #[error("enter the container's network")]
    Network { source: io::Error },
    #[error("become user {uid}")]
    Become { uid: u32, source: io::Error },
    #[error("give away the capabilities of user {uid}")]
    Capabilities { uid: u32, source: io::Error },
    #[error("forbid new privileges")]
    Privileges { source: io::Error },
    #[error("read `{}` as that user", .path.to_string_lossy())]
    Event { path: OsString, source: io::Error },
    #[error("start `{}`", .program.to_string_lossy())]
    Start { program: OsString, source: io::Error },
}

fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().skip(1).take(3).collect();
    if let [role, version] = &arguments[..]
        && role == REAP
    {
        // Boathook sees that nobody listens any more.
        return reap(&version.to_string_lossy()).map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS);
    }
    let Ok(mut report) = take_report() else { return ExitCode::FAILURE };
    let error = launch();
    // If nobody listens any more, nobody waits for the script either.
    let _ = report.write_all(chain(&error).as_bytes());
    ExitCode::FAILURE
}

/// The pipe, on a descriptor that closes when the script begins.
fn take_report() -> io::Result<File> {
    let report = OpenOptions::new().write(true).open(format!("/proc/self/fd/{REPORT_FD}"))?;
    close(REPORT_FD)?;
    Ok(report)
}

/// Returns only if it fails.
fn launch() -> LaunchError {
    let mut arguments = env::args_os().skip(1);
    let mut next = || arguments.next().ok_or(LaunchError::Arguments);
    let (order, event, program, arg0) = match (next(), next(), next(), next()) {
        (Ok(order), Ok(event), Ok(program), Ok(arg0)) => (order, event, program, arg0),
        _ => return LaunchError::Arguments,
    };
    let order = match Order::parse(&order.to_string_lossy()) {
        Ok(order) => order,
        Err(error) => return error.into(),
    };
    if let Err(error) = obey(&order, &event) {
        return error;
    }
    let source = Command::new(&program).arg0(arg0).args(arguments).env_clear().envs(variables()).exec();
    LaunchError::Start { program, source }
}

fn obey(order: &Order, event: &OsString) -> Result<(), LaunchError> {
    for limit in &order.rlimits {
        set(*limit).map_err(|errno| LaunchError::Limit { resource: limit.resource, source: errno.into() })?;
    }
    if let Some(namespace) = &order.network {
        enter(namespace).map_err(|source| LaunchError::Network { source })?;
    }
    if let Some(identity) = &order.identity {
        let uid = identity.uid;
        change_to(identity).map_err(|errno| LaunchError::Become { uid, source: errno.into() })?;
        if uid != 0 {
            drop_capabilities().map_err(|errno| LaunchError::Capabilities { uid, source: errno.into() })?;
        }
        let path = Path::new(event);
        File::open(path).map_err(|source| LaunchError::Event { path: event.clone(), source })?;
    }
    if order.no_new_privileges {
        rustix::thread::set_no_new_privs(true)
            .map_err(|errno| LaunchError::Privileges { source: errno.into() })?;
    }
    Ok(())
}

/// Nothing but the network is the container's: a host's program is run, and finds the host's files.
fn enter(namespace: &str) -> io::Result<()> {
    Ok(setns(File::open(namespace)?, CloneFlags::CLONE_NEWNET)?)
}

fn change_to(identity: &Identity) -> nix::Result<()> {
    let groups: Vec<Gid> = identity.groups.iter().copied().map(Gid::from_raw).collect();
    let (uid, gid) = (Uid::from_raw(identity.uid), Gid::from_raw(identity.gid));
    setgroups(&groups)?;
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)
}

/// The kernel keeps inheritable capabilities over a change of user, and all of them where boathook
/// itself is not root.
fn drop_capabilities() -> rustix::io::Result<()> {
    clear_ambient_capability_set()?;
    let none = CapabilitySet::empty();
    rustix::thread::set_capabilities(
        None,
        CapabilitySets { effective: none, permitted: none, inheritable: none },
    )
}

fn set(limit: Rlimit) -> rustix::io::Result<()> {
    use rustix::process::Resource as Kernel;
    let resource = match limit.resource {
        Resource::As => Kernel::As,
        Resource::Core => Kernel::Core,
        Resource::Cpu => Kernel::Cpu,
        Resource::Data => Kernel::Data,
        Resource::Fsize => Kernel::Fsize,
        Resource::Memlock => Kernel::Memlock,
        Resource::Nofile => Kernel::Nofile,
        Resource::Nproc => Kernel::Nproc,
        Resource::Stack => Kernel::Stack,
    };
    rustix::process::setrlimit(resource, KernelLimit { current: limit.soft, maximum: limit.hard })
}

/// The script's environment, which has meant nothing to this program.
fn variables() -> impl Iterator<Item = (OsString, OsString)> {
    env::vars_os().filter_map(|(name, value)| {
        let name = name.as_bytes().strip_prefix(VARIABLE_PREFIX.as_bytes())?;
        Some((OsString::from_vec(name.to_vec()), value))
    })
}

/// The error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(it) = cause {
        text += &format!(": {it}");
        cause = it.source();
    }
    text
}
