//! The links of the host, over netlink.
//!
//! What there shall be is said as a [`Spec`], and [`ensure`] makes it so, whatever is there already: the
//! same call makes a link, finds it made, and repairs it. Which links there shall be is decided by the
//! network driver. Nothing else in boathook speaks of links.
//!
//! A conversation with the kernel is a socket of its own, which lives no longer than the call that asked
//! for it: opening one costs a hundredth of what making a link does, and nothing has to be kept going.
//!
//! The promise: a link that somebody else made is not touched. What is ours says so in its alias.

mod conversation;
mod failure;
mod name;
mod spec;

use std::fs;
use std::io;

use ipnet::IpNet;

pub use failure::LinkError;
pub use name::{LinkName, LinkNameError};
pub use spec::{IpvlanMode, Kind, Link, Mac, MacvlanMode, Spec};

use conversation::{Conversation, Parent, open};

/// Makes the link that `spec` says, or finds it made, and sets what differs.
///
/// # Errors
///
/// When it cannot be: then a link that was not there before is not there now either, unless the kernel
/// stopped answering.
pub async fn ensure(spec: &Spec) -> Result<(), LinkError> {
    let (kernel, line) = open()?;
    line.carry(kernel.ensure(spec)).await
}

/// Removes the link of that name if it is there and `is_ours`; of a pair the other end goes with it.
///
/// # Errors
///
/// When the kernel does not want to. That there is none is no error.
pub async fn remove(name: &LinkName, is_ours: impl Fn(&Link) -> bool) -> Result<(), LinkError> {
    let (kernel, line) = open()?;
    let removed = async {
        match kernel.find(name.as_str()).await? {
            Some(link) if is_ours(&link) => kernel.delete(&link).await,
            _ => Ok(()),
        }
    };
    line.carry(removed).await
}

/// The link of that name, if there is one.
///
/// # Errors
///
/// When the kernel does not answer.
pub async fn find(name: &LinkName) -> Result<Option<Link>, LinkError> {
    let (kernel, line) = open()?;
    line.carry(kernel.find(name.as_str())).await
}

/// All links.
///
/// # Errors
///
/// When the kernel does not answer.
pub async fn all() -> Result<Vec<Link>, LinkError> {
    let (kernel, line) = open()?;
    line.carry(kernel.all()).await
}

/// Where the host has routes to: the destinations of its main table, default routes left out.
///
/// # Errors
///
/// When the kernel does not answer.
pub async fn routes() -> Result<Vec<IpNet>, LinkError> {
    let (kernel, line) = open()?;
    line.carry(kernel.routes()).await
}

impl Conversation {
    async fn ensure(&self, spec: &Spec) -> Result<(), LinkError> {
        let parent = self.parent(spec).await?;
        let link = match self.find(spec.name.as_str()).await? {
            Some(link) if is_of(&link, spec) => link,
            Some(_) => return Err(LinkError::Taken { name: spec.name.clone() }),
            None => self.make(spec, parent).await?,
        };
        let done = self.finish(spec, &link, parent).await;
        if done.is_err() && link.name == spec.made_as.as_str() && link.alias.is_none() {
            // It was made a moment ago, and nobody has seen it.
            self.delete(&link).await?;
        }
        done
    }

    /// The link that `spec` is made on, or plugged into.
    async fn parent(&self, spec: &Spec) -> Result<Option<Parent>, LinkError> {
        let name = match &spec.kind {
            Kind::Bridge { .. } => return Ok(None),
            Kind::Pair { bridge, .. } => bridge,
            Kind::Macvlan { parent, .. } | Kind::Ipvlan { parent, .. } => parent,
        };
        let link = self.find(name.as_str()).await?;
        link.map(|it| Some(Parent(it.index))).ok_or_else(|| LinkError::Missing { name: name.clone() })
    }

    /// Makes the link under the name that is ours beyond doubt.
    async fn make(&self, spec: &Spec, parent: Option<Parent>) -> Result<Link, LinkError> {
        let made_as = spec.made_as.as_str();
        if let Some(left) = self.find(made_as).await? {
            // From an attempt that was cut off before the link was named.
            self.delete(&left).await?;
        }
        self.add(spec, parent).await?;
        let made = self.find(made_as).await?;
        made.ok_or_else(|| LinkError::Missing { name: spec.made_as.clone() })
    }

    /// Gives the link its name and what else it shall have.
    async fn finish(&self, spec: &Spec, link: &Link, parent: Option<Parent>) -> Result<(), LinkError> {
        if let Err(error) = self.set(spec, link, parent).await {
            return Err(match error {
                LinkError::Refused { source, .. } if source.kind() == io::ErrorKind::AlreadyExists => {
                    LinkError::Taken { name: spec.name.clone() }
                }
                error => error,
            });
        }
        if let Kind::Bridge { addresses } = &spec.kind {
            if addresses.iter().any(|it| it.addr().is_ipv6()) {
                admit_ipv6(&spec.name)?;
            }
            self.address(spec, link.index, addresses).await?;
        }
        Ok(())
    }
}

/// Whether `link` is the one that `spec` says, finished or not.
fn is_of(link: &Link, spec: &Spec) -> bool {
    let kind = match spec.kind {
        Kind::Bridge { .. } => "bridge",
        Kind::Pair { .. } => "veth",
        Kind::Macvlan { .. } => "macvlan",
        Kind::Ipvlan { .. } => "ipvlan",
    };
    let is_unnamed = link.alias.is_none() && link.name == spec.made_as.as_str();
    link.kind.as_deref() == Some(kind) && (link.alias.as_ref() == Some(&spec.alias) || is_unnamed)
}

/// Lets a link have addresses of IPv6, which hosts and engines switch off for those that appear
/// (`setupBridgeIPv6` in moby, `drivers/bridge/setup_ipv6_linux.go`). Routers that announce themselves on
/// it are not listened to.
fn admit_ipv6(name: &LinkName) -> Result<(), LinkError> {
    for (setting, value) in [("disable_ipv6", "0"), ("accept_ra", "0")] {
        let path = format!("/proc/sys/net/ipv6/conf/{name}/{setting}");
        fs::write(&path, value).map_err(|source| LinkError::Setting { path, source })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Kind, Link, Spec, is_of};

    fn spec() -> Spec {
        Spec {
            name: "lan".parse().expect("a name"),
            made_as: "bh-0123".parse().expect("a name"),
            alias: "ours".to_owned(),
            mtu: None,
            mac: None,
            kind: Kind::Bridge { addresses: Vec::new() },
        }
    }

    fn link(name: &str, kind: &str, alias: Option<&str>) -> Link {
        Link {
            index: 1,
            name: name.to_owned(),
            alias: alias.map(str::to_owned),
            kind: Some(kind.to_owned()),
            mac: None,
            mtu: None,
            controller: None,
            is_up: false,
        }
    }

    #[test]
    fn a_link_is_ours_by_its_alias_or_by_a_name_that_nobody_else_gives() {
        assert!(is_of(&link("lan", "bridge", Some("ours")), &spec()));
        assert!(is_of(&link("bh-0123", "bridge", None), &spec()));
        assert!(!is_of(&link("lan", "bridge", None), &spec()));
        assert!(!is_of(&link("bh-0123", "bridge", Some("theirs")), &spec()));
        assert!(!is_of(&link("lan", "dummy", Some("ours")), &spec()));
    }
}
