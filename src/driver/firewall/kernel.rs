//! What the kernel has to be told besides rules: to forward packets, and which bridges lead to loopback.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::wanted::{Family, Network, Outside, Published, Wanted};

/// One file below `/proc/sys`, and what should be in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) path: PathBuf,
    value: &'static str,
}

/// Whether the host forwards packets of this family for anybody, as the kernel has it.
///
/// dockerd switches the same two on (`setupIPForwarding` in moby,
/// `libnetwork/drivers/bridge/setup_ip_forwarding.go`).
pub(super) fn forwarding(family: Family) -> Setting {
    let path = match family {
        Family::V4 => "/proc/sys/net/ipv4/ip_forward",
        Family::V6 => "/proc/sys/net/ipv6/conf/all/forwarding",
    };
    Setting { path: path.into(), value: "1" }
}

/// Whether a network needs the host to forward.
pub(super) fn needs_forwarding(wanted: &Wanted, family: Family) -> bool {
    wanted.networks.iter().any(|it| it.outside != Outside::Closed && it.has(family))
}

/// For each bridge, whether packets with loopback addresses are led to it and taken from it.
///
/// Only IPv4 has this switch.
pub(super) fn loopbacks(wanted: &Wanted) -> Vec<Setting> {
    let networks = wanted.networks.iter().filter(|it| it.has(Family::V4));
    networks.map(loopback).collect()
}

fn loopback(network: &Network) -> Setting {
    let is_reached = network.published_of(Family::V4).any(Published::is_on_loopback);
    let path = Path::new("/proc/sys/net/ipv4/conf").join(network.bridge.as_str()).join("route_localnet");
    Setting { path, value: if is_reached { "1" } else { "0" } }
}

impl Setting {
    /// Whether it is so.
    pub(super) fn holds(&self) -> io::Result<bool> {
        Ok(fs::read_to_string(&self.path)?.trim_end() == self.value)
    }

    /// Makes it so.
    pub(super) fn set(&self) -> io::Result<()> {
        if self.holds()? { Ok(()) } else { fs::write(&self.path, self.value) }
    }
}
