//! What is known of a container.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is known of a container: a normalised `GET /containers/{id}/json`, or the part of it that
/// was to be had. `None` is "not known"; an empty list or map is "known to be none".
///
/// After the end of a container this is the last that was known: a stopped container has no
/// addresses any more, yet clean-up needs the ones that it had.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Facts {
    /// The full id, 64 hexadecimal digits. Not known before the container is created.
    pub id: Option<String>,
    /// The name without the leading slash.
    pub name: Option<String>,
    /// The image as it was given at create.
    pub image: Option<String>,
    /// The digest of the image that the container runs.
    pub image_id: Option<String>,
    /// The labels, those of the image included once the container exists.
    pub labels: Option<BTreeMap<String, String>>,
    /// The networks that the container is attached to, with its addresses there.
    pub networks: Option<Vec<NetworkAttachment>>,
    /// Volumes, binds and tmpfs mounts.
    pub mounts: Option<Vec<Mount>>,
    /// Whether the container was made with `--privileged`.
    pub privileged: Option<bool>,
    /// The user that the process runs as, as given; empty is the image's default, mostly root.
    pub user: Option<String>,
    /// The host name inside the container.
    pub hostname: Option<String>,
    /// Whether the engine removes the container by itself when it ends (`--rm`).
    pub auto_remove: Option<bool>,
    /// The signal that `docker stop` sends first, as written in the container's configuration.
    pub stop_signal: Option<String>,
    /// The process id of the container's first process on the host, while it runs.
    pub pid: Option<u32>,
    /// The path of the network namespace (`NetworkSettings.SandboxKey`), while it exists. It lies
    /// under the engine's own exec-root: use it as given.
    pub netns: Option<String>,
    /// When the container was made, RFC 3339.
    pub created_at: Option<String>,
    /// Its restart policy: `no`, `always`, `unless-stopped`, `on-failure`.
    pub restart: Option<String>,
}

/// One network that a container is attached to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Attachment")]
pub struct NetworkAttachment {
    /// The name of the network.
    pub name: String,
    /// The id of the network, once the container has started.
    pub network_id: Option<String>,
    /// The id of the endpoint; a new one at each start.
    pub endpoint_id: Option<String>,
    /// The IPv4 address without a prefix length.
    pub ip: Option<String>,
    /// The IPv6 address without a prefix length.
    pub ip6: Option<String>,
    /// The hardware address, `02:42:…`.
    pub mac: Option<String>,
    /// The IPv4 gateway.
    pub gateway: Option<String>,
    /// The link of the host that leads to the container; known on networks of boathook's own.
    #[serde(default)]
    pub veth: Option<String>,
}

/// One mount of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Mount {
    /// `bind`, `volume`, `tmpfs`, …
    pub kind: String,
    /// The name of the volume, for volumes.
    pub name: Option<String>,
    /// The path on the host.
    pub source: Option<String>,
    /// The path in the container.
    pub destination: String,
    /// The volume driver, for volumes.
    pub driver: Option<String>,
    /// Whether the container may write there.
    pub writable: bool,
}

/// The addresses that a script is told without having to read JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses<'a> {
    /// The first IPv4 address.
    pub ip: Option<&'a str>,
    /// The first IPv6 address.
    pub ip6: Option<&'a str>,
    /// The hardware address on the network of `ip`, or of `ip6` where there is no other.
    pub mac: Option<&'a str>,
    /// The link of the host that leads there, if it is known.
    pub veth: Option<&'a str>,
}

/// Whether the container runs, as far as keeping addresses is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Liveness {
    /// Its networks are as the engine tells them.
    Running,
    /// Its networks hold no addresses any more: the last-known ones stay.
    NotRunning,
}

impl Facts {
    /// A short name for people: the name, else the short id, else a dash.
    pub fn display_name(&self) -> &str {
        self.name
            .as_deref()
            .or_else(|| self.id.as_deref().map(|id| id.get(..12).unwrap_or(id)))
            .unwrap_or("-")
    }

    /// The value of label `key`, if the labels are known and it is among them.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.as_ref()?.get(key).map(String::as_str)
    }

    /// The addresses of the first network, by name, that has one of the kind.
    pub fn addresses(&self) -> Addresses<'_> {
        let networks = self.networks.as_deref().unwrap_or_default();
        let with_ip = networks.iter().find(|it| it.ip.is_some());
        let with_ip6 = networks.iter().find(|it| it.ip6.is_some());
        Addresses {
            ip: with_ip.and_then(|it| it.ip.as_deref()),
            ip6: with_ip6.and_then(|it| it.ip6.as_deref()),
            mac: with_ip.or(with_ip6).and_then(|it| it.mac.as_deref()),
            veth: with_ip.or(with_ip6).and_then(|it| it.veth.as_deref()),
        }
    }

    /// What is known once a driver has told where the container is about to be on a network: `told` has that
    /// network alone, and the namespace of this start, if there is one yet.
    pub(super) fn arrive(&mut self, told: &Facts) {
        self.pid = told.pid;
        self.netns.clone_from(&told.netns);
        for place in told.networks.iter().flatten() {
            let networks = self.networks.get_or_insert_default();
            let is_same = |it: &NetworkAttachment| {
                (it.network_id.is_some() && it.network_id == place.network_id) || it.name == place.name
            };
            match networks.iter_mut().find(|it| is_same(it)) {
                // Where the engine cannot be asked a driver knows it by its id alone.
                Some(known) => *known = NetworkAttachment { name: known.name.clone(), ..place.clone() },
                None => networks.push(place.clone()),
            }
        }
    }

    /// What is known once `newer` has been learned as well.
    ///
    /// What `newer` does not know stays. While the container runs its networks are as told; when
    /// it does not, a network keeps the addresses that it last had.
    pub(super) fn learn(&mut self, newer: Facts, liveness: Liveness) {
        let networks = merge_networks(self.networks.take(), newer.networks, liveness);
        let Facts {
            id,
            name,
            image,
            image_id,
            labels,
            networks: _,
            mounts,
            privileged,
            user,
            hostname,
            auto_remove,
            stop_signal,
            pid,
            netns,
            created_at,
            restart,
        } = newer;
        *self = Facts {
            id: id.or(self.id.take()),
            name: name.or(self.name.take()),
            image: image.or(self.image.take()),
            image_id: image_id.or(self.image_id.take()),
            labels: labels.or(self.labels.take()),
            networks,
            mounts: mounts.or(self.mounts.take()),
            privileged: privileged.or(self.privileged),
            user: user.or(self.user.take()),
            hostname: hostname.or(self.hostname.take()),
            auto_remove: auto_remove.or(self.auto_remove),
            stop_signal: stop_signal.or(self.stop_signal.take()),
            pid: pid.or(self.pid),
            netns: netns.or(self.netns.take()),
            created_at: created_at.or(self.created_at.take()),
            restart: restart.or(self.restart.take()),
        };
    }
}

fn merge_networks(
    known: Option<Vec<NetworkAttachment>>,
    newer: Option<Vec<NetworkAttachment>>,
    liveness: Liveness,
) -> Option<Vec<NetworkAttachment>> {
    let (known, newer) = match (known, newer) {
        (known, None) => return known,
        (None, newer) => return newer,
        (Some(known), Some(newer)) => (known, newer),
    };
    // The engine does not tell which link leads to an endpoint.
    let mut newer = newer;
    for network in &mut newer {
        let same = known.iter().find(|it| it.endpoint_id.is_some() && it.endpoint_id == network.endpoint_id);
        network.veth = network.veth.take().or_else(|| same.and_then(|it| it.veth.clone()));
    }
    if liveness == Liveness::Running {
        return Some(newer);
    }
    let mut merged = known;
    for network in newer {
        match merged.iter_mut().find(|it| it.name == network.name) {
            Some(old) if network.ip.is_none() && network.ip6.is_none() => {
                old.network_id = network.network_id.or(old.network_id.take());
            }
            Some(old) => *old = network,
            None => merged.push(network),
        }
    }
    merged.sort_by(|a, b| a.name.cmp(&b.name));
    Some(merged)
}

#[cfg(test)]
mod tests {
    use super::{Facts, Liveness, NetworkAttachment};

    fn attached(name: &str, ip: Option<&str>) -> NetworkAttachment {
        NetworkAttachment { name: name.into(), ip: ip.map(Into::into), ..NetworkAttachment::default() }
    }

    fn on(networks: Vec<NetworkAttachment>) -> Facts {
        Facts { networks: Some(networks), ..Facts::default() }
    }

    #[test]
    fn addresses_outlive_the_end_of_the_container() {
        let mut facts = on(vec![attached("bridge", Some("172.17.0.2"))]);

        facts.learn(on(vec![attached("bridge", None)]), Liveness::NotRunning);

        assert_eq!(facts.addresses().ip, Some("172.17.0.2"));
    }

    #[test]
    fn a_running_container_has_the_networks_that_the_engine_tells() {
        let mut facts = on(vec![attached("a", Some("10.0.0.2")), attached("b", Some("10.1.0.2"))]);

        facts.learn(on(vec![attached("b", Some("10.1.0.3"))]), Liveness::Running);

        assert_eq!(facts, on(vec![attached("b", Some("10.1.0.3"))]));
    }

    #[test]
    fn a_network_of_the_other_family_hides_no_address() {
        let six = NetworkAttachment { ip6: Some("fd00::2".into()), ..attached("a", None) };

        let facts = on(vec![six, attached("b", Some("10.0.0.2"))]);

        assert_eq!(facts.addresses().ip, Some("10.0.0.2"));
        assert_eq!(facts.addresses().ip6, Some("fd00::2"));
    }

    #[test]
    fn what_the_newer_does_not_know_stays() {
        let mut facts = Facts { name: Some("web".into()), pid: Some(7), ..Facts::default() };

        facts.learn(Facts { name: Some("www".into()), ..Facts::default() }, Liveness::Running);

        assert_eq!((facts.name.as_deref(), facts.pid), (Some("www"), Some(7)));
    }
}
