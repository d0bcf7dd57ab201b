//! Who a hook's process is, and what it may use.
//!
//! A [`Launch`] is what the operator declared; [`User::resolve`] looks up on this host who is meant.
//! An [`Order`] is what `boathook-launch` is told, the small program that becomes the script after it
//! has given away what the script shall not have. Which hooks need it, and why there is such a
//! program, is for the runner.

mod order;
mod user;

use serde::{Deserialize, Serialize};

pub use order::{Identity, Order, OrderError, REPORT_FD, VARIABLE_PREFIX};
pub use user::{Person, User, UserError};

/// How the process of a hook is set up before its program begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// Whom it runs as; `None`: as boathook itself.
    pub user: Option<User>,
    /// The permission bits that files it makes do not get.
    pub umask: u32,
    /// What it may use; each resource at most once.
    pub rlimits: Vec<Rlimit>,
    /// Whether it is kept from gaining rights by running a program that has more (`sudo`, `ping`).
    pub no_new_privileges: bool,
    /// Whose network it sees.
    #[serde(default)]
    pub network: Network,
}

/// Whose network a process sees. Its files are the host's all the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// The host's.
    #[default]
    Host,
    /// That of the container that the hook runs for.
    Container,
}

impl Launch {
    /// The umask of a hook that does not say, whatever boathook's own is.
    pub const UMASK: u32 = 0o022;
}

impl Default for Launch {
    /// As for a hook that says nothing. Gaining rights stays possible, as everywhere else where it is
    /// not forbidden: a hook of the operator's own that calls `sudo` shall not fail by surprise.
    fn default() -> Launch {
        Launch {
            user: None,
            umask: Launch::UMASK,
            rlimits: Vec::new(),
            no_new_privileges: false,
            network: Network::Host,
        }
    }
}

/// A resource and how much of it one process may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rlimit {
    /// What is limited.
    pub resource: Resource,
    /// What holds, in the resource's own unit; `None`: no limit. Never above `hard`.
    pub soft: Option<u64>,
    /// How far the process may raise it; `None`: no limit.
    pub hard: Option<u64>,
}

/// What can be limited, by the names of `ulimit` and `limits.conf`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// `as`: address space, in bytes.
    As,
    /// `core`: the size of a core file, in bytes.
    Core,
    /// `cpu`: time on the processor, in seconds.
    Cpu,
    /// `data`: heap, in bytes.
    Data,
    /// `fsize`: the size of a file that it writes, in bytes.
    Fsize,
    /// `memlock`: memory that is kept from being swapped out, in bytes.
    Memlock,
    /// `nofile`: open files, one more than the highest number.
    Nofile,
    /// `nproc`: processes of the user.
    Nproc,
    /// `stack`: the stack, in bytes.
    Stack,
}

impl Resource {
    /// All of them.
    pub const ALL: [Resource; 9] = [
        Resource::As,
        Resource::Core,
        Resource::Cpu,
        Resource::Data,
        Resource::Fsize,
        Resource::Memlock,
        Resource::Nofile,
        Resource::Nproc,
        Resource::Stack,
    ];

    /// The name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Resource::As => "as",
            Resource::Core => "core",
            Resource::Cpu => "cpu",
            Resource::Data => "data",
            Resource::Fsize => "fsize",
            Resource::Memlock => "memlock",
            Resource::Nofile => "nofile",
            Resource::Nproc => "nproc",
            Resource::Stack => "stack",
        }
    }

    /// The resource of that name.
    pub fn named(name: &str) -> Option<Resource> {
        Resource::ALL.into_iter().find(|it| it.name() == name)
    }
}
