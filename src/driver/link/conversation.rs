//! What is said to the kernel, and what it answers.

use std::net::IpAddr;
use std::pin::pin;

use futures_util::stream::TryStreamExt as _;
use ipnet::IpNet;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::address::{AddressAttribute, AddressFlags, AddressMessage};
use rtnetlink::packet_route::link::{
    InfoData, InfoVeth, IpVlanMode as KernelIpvlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
    MacVlanMode as KernelMacvlan,
};
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteHeader, RouteMessage};
use rtnetlink::proto::Connection;
use rtnetlink::{
    Handle, IpVersion, LinkBridge, LinkBridgePort, LinkIpVlan, LinkMacVlan, LinkMessageBuilder, LinkUnspec,
    LinkVeth, RouteMessageBuilder,
};
use tokio::time::timeout;

use super::failure::{ANSWER_LIMIT, LinkError, reason};
use super::spec::{IpvlanMode, Kind, Link, Mac, MacvlanMode, Spec};

/// What can be asked of the kernel about the links of this network namespace.
pub(super) struct Conversation {
    handle: Handle,
}

/// What carries a conversation to the kernel and back.
pub(super) struct Line(Connection<RouteNetlinkMessage>);

/// The number of a link that another one is made on, or plugged into.
#[derive(Clone, Copy)]
pub(super) struct Parent(pub(super) u32);

/// Begins a conversation.
pub(super) fn open() -> Result<(Conversation, Line), LinkError> {
    let (connection, handle, _) = rtnetlink::new_connection().map_err(LinkError::Socket)?;
    Ok((Conversation { handle }, Line(connection)))
}

impl Line {
    /// Carries what `asked` says until it is done.
    pub(super) async fn carry<T>(
        self,
        asked: impl Future<Output = Result<T, LinkError>>,
    ) -> Result<T, LinkError> {
        tokio::select! {
            biased;
            done = timeout(ANSWER_LIMIT, asked) => done.unwrap_or(Err(LinkError::Silent)),
            () = self.0 => Err(LinkError::Silent),
        }
    }
}

impl Conversation {
    /// The link of that name.
    pub(super) async fn find(&self, name: &str) -> Result<Option<Link>, LinkError> {
        let mut found = pin!(self.handle.link().get().match_name(name).execute());
        match found.try_next().await {
            Ok(message) => Ok(message.map(read)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(LinkError::refused("look for", name, error)),
        }
    }

    /// All links.
    pub(super) async fn all(&self) -> Result<Vec<Link>, LinkError> {
        let links = self.handle.link().get().execute().map_ok(read).try_collect();
        links.await.map_err(|error| LinkError::Socket(reason(error)))
    }

    /// Makes a link under its first name, with what cannot be changed later.
    pub(super) async fn add(&self, spec: &Spec, parent: Option<Parent>) -> Result<(), LinkError> {
        let message = message_of(spec, parent);
        let added = self.handle.link().add(message).execute().await;
        added.map_err(|error| LinkError::refused("make", spec.name.as_str(), error))
    }

    /// Sets what can be changed, and switches on what stays on the host.
    pub(super) async fn set(
        &self,
        spec: &Spec,
        link: &Link,
        parent: Option<Parent>,
    ) -> Result<(), LinkError> {
        let mut wanted = LinkUnspec::new_with_index(link.index).alias(spec.alias.as_str());
        if link.name != spec.name.as_str() {
            wanted = wanted.name(spec.name.as_str());
        }
        if let Some(mtu) = spec.mtu.filter(|it| link.mtu != Some(*it)) {
            wanted = wanted.mtu(mtu);
        }
        match (&spec.kind, parent) {
            (Kind::Bridge { .. }, _) => {
                // A bridge without an address of its own takes that of a port, and changes it when that goes.
                let mac = spec.mac.filter(|it| link.mac != Some(*it));
                wanted = mac.into_iter().fold(wanted, |it, mac| it.address(mac.to_vec())).up();
            }
            (Kind::Pair { .. }, Some(bridge)) => wanted = wanted.controller(bridge.0).up(),
            _ => {}
        }
        let refused = |error| LinkError::refused("set up", spec.name.as_str(), error);
        self.handle.link().set(wanted.build()).execute().await.map_err(refused)?;
        if let Kind::Pair { reflects: true, .. } = spec.kind {
            // Of a port that is one only now; what is asked for along with that is not listened to.
            let port = LinkBridgePort::new(link.index).hairpin(true).build();
            self.handle.link().set_port(port).execute().await.map_err(refused)?;
        }
        Ok(())
    }

    /// Adds those of `addresses` that link number `index` does not have.
    pub(super) async fn address(
        &self,
        spec: &Spec,
        index: u32,
        addresses: &[IpNet],
    ) -> Result<(), LinkError> {
        let refused = |error| LinkError::refused("give its addresses to", spec.name.as_str(), error);
        let there = self.handle.address().get().set_link_index_filter(index).execute();
        let there: Vec<_> =
            there.try_filter_map(async |it| Ok(address_of(&it))).try_collect().await.map_err(refused)?;
        for wanted in addresses.iter().filter(|it| !there.contains(it)) {
            let mut adding = self.handle.address().add(index, wanted.addr(), wanted.prefix_len());
            if wanted.addr().is_ipv6() {
                // Nobody else has it, and a bridge without ports could not find out.
                let flags = AddressAttribute::Flags(AddressFlags::Nodad);
                adding.message_mut().attributes.push(flags);
            }
            adding.execute().await.map_err(refused)?;
        }
        Ok(())
    }

    /// Removes a link, and the other end if it is one of a pair.
    pub(super) async fn delete(&self, link: &Link) -> Result<(), LinkError> {
        match self.handle.link().del(link.index).execute().await {
            Err(error) if !is_absent(&error) => Err(LinkError::refused("remove", &link.name, error)),
            _ => Ok(()),
        }
    }

    /// The destinations of the main routing table.
    pub(super) async fn routes(&self) -> Result<Vec<IpNet>, LinkError> {
        let mut destinations = Vec::new();
        for version in [IpVersion::V4, IpVersion::V6] {
            let mut asked = RouteMessageBuilder::<IpAddr>::new().build();
            asked.header.address_family = match version {
                IpVersion::V4 => rtnetlink::packet_route::AddressFamily::Inet,
                IpVersion::V6 => rtnetlink::packet_route::AddressFamily::Inet6,
            };
            let found =
                self.handle.route().get(asked).execute().try_filter_map(async |it| Ok(destination(&it)));
            let found: Vec<_> =
                found.try_collect().await.map_err(|error| LinkError::Socket(reason(error)))?;
            destinations.extend(found);
        }
        Ok(destinations)
    }
}

/// How a link is asked for that does not exist.
fn message_of(spec: &Spec, parent: Option<Parent>) -> LinkMessage {
    let parent = parent.map_or(0, |it| it.0);
    let made_as = spec.made_as.as_str();
    match &spec.kind {
        Kind::Bridge { .. } => LinkMessageBuilder::<LinkBridge>::new(made_as).build(),
        Kind::Pair { peer, .. } => {
            let other = dressed(LinkMessageBuilder::<LinkUnspec>::new().name(peer.as_str()), spec);
            let pair = LinkVeth::new(made_as, peer.as_str());
            let pair = pair.set_info_data(InfoData::Veth(InfoVeth::Peer(other)));
            spec.mtu.into_iter().fold(pair, LinkMessageBuilder::mtu).build()
        }
        Kind::Macvlan { mode, .. } => dressed(LinkMacVlan::new(made_as, parent, macvlan(*mode)), spec),
        Kind::Ipvlan { mode, .. } => dressed(LinkIpVlan::new(made_as, parent, ipvlan(*mode)), spec),
    }
}

fn dressed<T>(link: LinkMessageBuilder<T>, spec: &Spec) -> LinkMessage {
    let link = spec.mtu.into_iter().fold(link, LinkMessageBuilder::mtu);
    spec.mac.into_iter().fold(link, |link, mac| link.address(mac.to_vec())).build()
}

fn macvlan(mode: MacvlanMode) -> KernelMacvlan {
    match mode {
        MacvlanMode::Bridge => KernelMacvlan::Bridge,
        MacvlanMode::Private => KernelMacvlan::Private,
        MacvlanMode::Vepa => KernelMacvlan::Vepa,
        MacvlanMode::Passthru => KernelMacvlan::Passthrough,
    }
}

fn ipvlan(mode: IpvlanMode) -> KernelIpvlan {
    match mode {
        IpvlanMode::L2 => KernelIpvlan::L2,
        IpvlanMode::L3 => KernelIpvlan::L3,
        IpvlanMode::L3s => KernelIpvlan::L3S,
    }
}

fn is_absent(error: &rtnetlink::Error) -> bool {
    let rtnetlink::Error::NetlinkError(message) = error else { return false };
    message.to_io().raw_os_error().is_some_and(|it| it == rustix::io::Errno::NODEV.raw_os_error())
}

/// A link, as the kernel tells it.
fn read(message: LinkMessage) -> Link {
    let mut link = Link {
        index: message.header.index,
        name: String::new(),
        alias: None,
        kind: None,
        mac: None,
        mtu: None,
        controller: None,
        is_up: message.header.flags.contains(LinkFlags::Up),
    };
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::IfAlias(alias) => link.alias = Some(alias),
            LinkAttribute::Mtu(mtu) => link.mtu = Some(mtu),
            LinkAttribute::Controller(index) => link.controller = Some(index),
            LinkAttribute::Address(bytes) => link.mac = Mac::try_from(bytes).ok(),
            LinkAttribute::LinkInfo(parts) => {
                link.kind = parts.iter().find_map(|it| match it {
                    LinkInfo::Kind(kind) => Some(kind.to_string()),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    link
}

/// The address that the host has, with the length of its prefix.
fn address_of(message: &AddressMessage) -> Option<IpNet> {
    let local = |it: &AddressAttribute| match it {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    };
    let address = |it: &AddressAttribute| match it {
        AddressAttribute::Address(address) => Some(*address),
        _ => None,
    };
    // IPv6 has no local address unless the other end of the link has one, too.
    let attributes = &message.attributes;
    let found = attributes.iter().find_map(local).or_else(|| attributes.iter().find_map(address));
    IpNet::new(found?, message.header.prefix_len).ok()
}

/// Where a route of the main table leads.
fn destination(message: &RouteMessage) -> Option<IpNet> {
    if message.header.table != RouteHeader::RT_TABLE_MAIN {
        return None;
    }
    let address = message.attributes.iter().find_map(|it| match it {
        RouteAttribute::Destination(RouteAddress::Inet(address)) => Some(IpAddr::V4(*address)),
        RouteAttribute::Destination(RouteAddress::Inet6(address)) => Some(IpAddr::V6(*address)),
        _ => None,
    });
    IpNet::new(address?, message.header.destination_prefix_length).ok()
}
