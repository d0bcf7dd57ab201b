//! Links as they are wanted, and as they are.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::name::LinkName;

/// The hardware address of a link.
pub type Mac = [u8; 6];

/// A link that there shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    /// What it is called.
    pub name: LinkName,
    /// What it is called while it is made: a name that is ours beyond doubt, so that nothing of ours lies
    /// about under another's if we die in the middle.
    pub made_as: LinkName,
    /// Whose it is. A link of that name with another alias is not touched.
    pub alias: String,
    /// The most that a packet may have, in bytes; `None`: as the kernel likes.
    pub mtu: Option<u32>,
    /// Its hardware address; `None`: as the kernel likes. That of a pair's first end is not said.
    pub mac: Option<Mac>,
    /// What kind of link it is.
    pub kind: Kind,
}

/// What kind of link is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A bridge, with the addresses that the host has on it.
    Bridge {
        /// The host's addresses. Others that it has there are left alone.
        addresses: Vec<IpNet>,
    },
    /// A pair: one end is named by the spec and is a port of the bridge, the other waits to be moved into
    /// a container. `mac` is the other end's.
    Pair {
        /// The other end's name.
        peer: LinkName,
        /// The bridge.
        bridge: LinkName,
        /// Whether the bridge sends packets back through the port that they came by, so that a container
        /// reaches itself by a port of the host.
        reflects: bool,
    },
    /// A link with a hardware address of its own on another link.
    Macvlan {
        /// The other link.
        parent: LinkName,
        /// Who reaches whom.
        mode: MacvlanMode,
    },
    /// A link that shares the hardware address of another one.
    Ipvlan {
        /// The other link.
        parent: LinkName,
        /// What decides where a packet goes.
        mode: IpvlanMode,
    },
}

/// Who reaches whom among the links on one parent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MacvlanMode {
    /// Each other, directly.
    #[default]
    Bridge,
    /// Nobody.
    Private,
    /// Each other, if the switch that the parent is plugged into sends packets back.
    Vepa,
    /// There is only one, which takes the parent over.
    Passthru,
}

impl MacvlanMode {
    /// All of them, by the names that Docker gives them (`driverModeOpt` in moby,
    /// `drivers/macvlan/macvlan.go`).
    pub const NAMED: [(&'static str, MacvlanMode); 4] = [
        ("bridge", MacvlanMode::Bridge),
        ("private", MacvlanMode::Private),
        ("vepa", MacvlanMode::Vepa),
        ("passthru", MacvlanMode::Passthru),
    ];
}

/// What decides where a packet goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IpvlanMode {
    /// The network that parent and links are in: they are neighbours of its other hosts.
    #[default]
    L2,
    /// The host's routes: there are no neighbours.
    L3,
    /// As [`IpvlanMode::L3`], and the host's firewall sees the packets.
    L3s,
}

impl IpvlanMode {
    /// All of them, by the names that Docker gives them (`modeOpt` in moby, `drivers/ipvlan/ipvlan.go`).
    pub const NAMED: [(&'static str, IpvlanMode); 3] =
        [("l2", IpvlanMode::L2), ("l3", IpvlanMode::L3), ("l3s", IpvlanMode::L3s)];
}

/// A link that there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The kernel's number for it.
    pub index: u32,
    /// What it is called. Not a [`LinkName`]: others may have given it a name that we would not.
    pub name: String,
    /// What somebody has written to it, if anything.
    pub alias: Option<String>,
    /// The kind, by the kernel's name: `bridge`, `veth`, `macvlan`; `None`: a device.
    pub kind: Option<String>,
    /// Its hardware address, if it has one of six bytes.
    pub mac: Option<Mac>,
    /// The most that a packet may have, in bytes.
    pub mtu: Option<u32>,
    /// The number of the link that it is a port of.
    pub controller: Option<u32>,
    /// Whether it has been switched on.
    pub is_up: bool,
}
