//! The IPAM driver: which network gets which subnet, and which container which address.
//!
//! What is decided is pure: `pool` knows who has which address, `pools` which subnets there are, and
//! `compared` what has leaked. Around it [`Ipam`] answers the engine's calls. What it grants is in the
//! journal before it answers, and so is what it takes back.
//!
//! The engine names nobody when it gives an address back, and up to 28 names nobody when it asks for one
//! either. What follows from that:
//!
//! - A pool's id is never used twice, so that nothing that comes late for a pool that is gone can meet one
//!   that has its subnet now.
//! - Whom an address is for is told by who is let through a `turnstile`, one start at a time.
//! - What the engine forgets to give back, because it was killed, is found by comparing what is held with
//!   what the engine's networks list. Such an address is given out last, and who gets it can give it back
//!   only by being seen to be gone.

mod answers;
mod compared;
mod defaults;
mod documents;
mod host;
mod kept;
mod plugin;
mod pool;
mod pools;
mod ranges;
mod scripted;
mod subnet;
mod turnstile;

use std::net::IpAddr;
use std::time::Duration;

use docker_plugin_sdk::driver::DriverError;
use ipnet::IpNet;

use crate::driver::script::ScriptError;
use crate::journal::CommitError;

pub use answers::{Ipam, IpamParts};
pub use compared::{NetworkSeen, Unseen};
pub use defaults::DefaultPools;
pub use kept::Asker;
pub use pool::Role;
pub use turnstile::{Passing, Starter};

/// How many addresses of a pool are kept for whom they were: what a busy host's containers leave behind in
/// ten minutes. Beyond that the oldest are free.
const KEPT_MAX: usize = 4_096;

/// How long the engine must have been seen to have nobody for an address, or no network for a pool, until
/// it is taken back: longer than a gate may hold up a start, which is 110 s, and a script besides.
const MISSING_MAX: Duration = Duration::from_secs(180);

/// How long an address that was taken back in this way is not given out if there is any other: longer than
/// anything takes that gives it back late.
const SWEPT_KEPT: Duration = Duration::from_secs(60 * 60);

/// How long after boathook's start an engine that runs may take to tell which networks it has: its list is there
/// in milliseconds. One that starts just then, and asks for what it had, waits until this is over.
const TOLD_WITHIN: Duration = Duration::from_secs(2);

/// What the driver is told by the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where subnets are taken from that nobody asks for, in order.
    pub default_pools: Vec<DefaultPools>,
    /// How long an address is kept for whom it was. Zero: not at all.
    pub sticky: Duration,
}

/// Why there is no pool, or none of the address asked for.
#[derive(Debug, thiserror::Error)]
pub enum IpamError {
    /// The subnet is another's.
    #[error("subnet {subnet} overlaps with {other}, which another network has")]
    Overlaps {
        /// What was asked for.
        subnet: IpNet,
        /// What there is.
        other: IpNet,
    },
    /// No container can have an address of it.
    #[error("{subnet} holds {what} addresses, which no container can have: name another subnet")]
    Unfit {
        /// What was asked for.
        subnet: IpNet,
        /// What its addresses are.
        what: &'static str,
    },
    /// The range is not in the subnet.
    #[error("range {range} is not in the subnet {subnet}")]
    RangeElsewhere {
        /// What addresses were to be taken from.
        range: IpNet,
        /// What was asked for.
        subnet: IpNet,
    },
    /// There is a range, and no subnet.
    #[error("range {range} needs a subnet that it is in: say `--subnet`")]
    RangeAlone {
        /// What addresses were to be taken from.
        range: IpNet,
    },
    /// An IPv4 subnet was asked for as one of IPv6, or the other way round.
    #[error("{subnet} is not a subnet of {}", if *.v6 { "IPv6" } else { "IPv4" })]
    OtherKind {
        /// What was asked for.
        subnet: IpNet,
        /// As what.
        v6: bool,
    },
    /// All that the configuration names is taken.
    #[error(
        "no {} subnet is left in `ipam.default_address_pools` that meets no network and no route of the host: \
        say `--subnet`, or add to them",
        if *.v6 { "IPv6" } else { "IPv4" }
    )]
    NoDefault {
        /// Of which kind.
        v6: bool,
    },
    /// There is no such pool.
    #[error("no pool `{id}`")]
    UnknownPool {
        /// As the engine calls it.
        id: String,
    },
    /// There is no such option.
    #[error("unknown option `{option}`: the one there is is `script`")]
    UnknownOption {
        /// What was given with `--ipam-opt`.
        option: String,
    },
    /// There is no such script.
    #[error(transparent)]
    NoScript(#[from] ScriptError),
    /// The script failed, or said why not.
    #[error("{error}")]
    Script {
        /// In words.
        error: DriverError,
    },
    /// The script has answered what cannot be used.
    #[error("script `{script}` answered {what}")]
    Answer {
        /// Its name.
        script: String,
        /// What is wrong with it.
        what: String,
    },
    /// The address cannot be had.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// It is not on disk, and so not granted.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// Why an address cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Somebody has it.
    #[error("address {address} is in use")]
    InUse {
        /// What was asked for.
        address: IpAddr,
    },
    /// It is no address for anybody.
    #[error("address {address} is that of the subnet {subnet} itself, or its broadcast address")]
    Reserved {
        /// What was asked for.
        address: IpAddr,
        /// Its subnet.
        subnet: IpNet,
    },
    /// It is of another subnet.
    #[error("address {address} is not in the subnet {subnet}")]
    Elsewhere {
        /// What was asked for.
        address: IpAddr,
        /// Where it should be.
        subnet: IpNet,
    },
    /// All are taken.
    #[error("no address is left in {subnet}, of which {held} are in use")]
    Exhausted {
        /// What addresses are taken from.
        subnet: IpNet,
        /// How many addresses somebody has.
        held: usize,
    },
}
