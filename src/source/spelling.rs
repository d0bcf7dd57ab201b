//! JSON with its keys as the engine spells them.
//!
//! The engine decodes with Go's decoder, which matches keys regardless of case and lets the last
//! of several equal keys win, half merged with the one before. A body that says one thing to us
//! and another to the engine would be a way around every gate. So keys are brought to the engine's
//! own spelling, and a body whose meaning depends on how keys repeat is taken for unreadable: no
//! client writes such a thing.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::LazyLock;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Map, Number, Value};

/// Objects whose keys are the user's own: they are compared to the letter, and the last wins.
const OF_THE_USER: &[&str] = &[
    "Annotations",
    "AuxiliaryAddresses",
    "Config",
    "DriverOpts",
    "EndpointsConfig",
    "ExposedPorts",
    "Labels",
    "LogOpts",
    "Options",
    "PortBindings",
    "StorageOpt",
    "Sysctls",
    "Tmpfs",
    "Volumes",
];

/// The keys of the bodies that create and connect containers, networks and volumes, as the engine
/// spells them (`container.Config`, `HostConfig`, `NetworkingConfig`, `network.CreateOptions`,
/// `volume.CreateOptions` and what they hold, in moby, `api/types`).
const SPELLINGS: &[&str] = &[
    "Aliases",
    "Annotations",
    "ArgsEscaped",
    "AttachStderr",
    "AttachStdin",
    "AttachStdout",
    "Attachable",
    "AutoRemove",
    "AuxiliaryAddresses",
    "BindOptions",
    "Binds",
    "BlkioDeviceReadBps",
    "BlkioDeviceReadIOps",
    "BlkioDeviceWriteBps",
    "BlkioDeviceWriteIOps",
    "BlkioWeight",
    "BlkioWeightDevice",
    "CapAdd",
    "CapDrop",
    "Capabilities",
    "Cgroup",
    "CgroupParent",
    "CgroupPermissions",
    "CgroupnsMode",
    "CheckDuplicate",
    "ClusterOptions",
    "ClusterVolumeSpec",
    "Cmd",
    "Config",
    "ConfigFrom",
    "ConfigOnly",
    "Consistency",
    "ConsoleSize",
    "Container",
    "ContainerIDFile",
    "Count",
    "CpuCount",
    "CpuPercent",
    "CpuPeriod",
    "CpuQuota",
    "CpuRealtimePeriod",
    "CpuRealtimeRuntime",
    "CpuShares",
    "CpusetCpus",
    "CpusetMems",
    "CreateMountpoint",
    "DNSNames",
    "DeviceCgroupRules",
    "DeviceIDs",
    "DeviceRequests",
    "Devices",
    "Dns",
    "DnsOptions",
    "DnsSearch",
    "Domainname",
    "Driver",
    "DriverConfig",
    "DriverOpts",
    "EnableIPv4",
    "EnableIPv6",
    "EndpointConfig",
    "EndpointID",
    "EndpointsConfig",
    "Entrypoint",
    "Env",
    "ExposedPorts",
    "ExtraHosts",
    "Force",
    "Gateway",
    "GlobalIPv6Address",
    "GlobalIPv6PrefixLen",
    "GroupAdd",
    "GwPriority",
    "Hard",
    "Healthcheck",
    "HostConfig",
    "HostIp",
    "HostPort",
    "Hostname",
    "IOMaximumBandwidth",
    "IOMaximumIOps",
    "IPAM",
    "IPAMConfig",
    "IPAddress",
    "IPPrefixLen",
    "IPRange",
    "IPv4Address",
    "IPv6Address",
    "IPv6Gateway",
    "Image",
    "ImageOptions",
    "Ingress",
    "Init",
    "Internal",
    "Interval",
    "IpcMode",
    "Isolation",
    "KernelMemory",
    "KernelMemoryTCP",
    "Labels",
    "LinkLocalIPs",
    "Links",
    "LogConfig",
    "MacAddress",
    "MaskedPaths",
    "MaximumRetryCount",
    "Memory",
    "MemoryReservation",
    "MemorySwap",
    "MemorySwappiness",
    "Mode",
    "Mounts",
    "Name",
    "NanoCpus",
    "Network",
    "NetworkDisabled",
    "NetworkID",
    "NetworkMode",
    "NetworkingConfig",
    "NoCopy",
    "NonRecursive",
    "OnBuild",
    "OomKillDisable",
    "OomScoreAdj",
    "OpenStdin",
    "Options",
    "Path",
    "PathInContainer",
    "PathOnHost",
    "PidMode",
    "PidsLimit",
    "PortBindings",
    "Privileged",
    "Propagation",
    "PublishAllPorts",
    "Rate",
    "ReadOnly",
    "ReadOnlyForceRecursive",
    "ReadOnlyNonRecursive",
    "ReadonlyPaths",
    "ReadonlyRootfs",
    "RestartPolicy",
    "Retries",
    "Runtime",
    "Scope",
    "SecurityOpt",
    "Shell",
    "ShmSize",
    "SizeBytes",
    "Soft",
    "Source",
    "StartInterval",
    "StartPeriod",
    "StdinOnce",
    "StopSignal",
    "StopTimeout",
    "StorageOpt",
    "Subnet",
    "Subpath",
    "Sysctls",
    "Target",
    "Test",
    "Timeout",
    "Tmpfs",
    "TmpfsOptions",
    "Tty",
    "Type",
    "UTSMode",
    "Ulimits",
    "User",
    "UsernsMode",
    "VolumeDriver",
    "VolumeOptions",
    "Volumes",
    "VolumesFrom",
    "Weight",
    "WorkingDir",
];

/// The number of each spelling.
static NUMBERS: LazyLock<HashMap<&str, usize>> =
    LazyLock::new(|| SPELLINGS.iter().enumerate().map(|(number, it)| (*it, number)).collect());

/// The number of each spelling, by what it is when case is left out of account.
static FOLDED: LazyLock<HashMap<String, usize>> =
    LazyLock::new(|| SPELLINGS.iter().enumerate().map(|(number, it)| (fold(it), number)).collect());

/// Why a text cannot be brought to the engine's spelling.
#[derive(Debug)]
pub(super) enum Unspelled {
    /// It is not JSON.
    NotJson(serde_json::Error),
    /// A key stands twice in one object, perhaps in different spellings.
    Ambiguous {
        /// The key in the engine's spelling.
        key: String,
    },
}

/// What of a value is wanted. The rest only has to be JSON, and may mean what it likes.
#[derive(Clone, Copy)]
pub(super) enum Kept {
    All,
    /// Of an object, its keys; each leads to `null`.
    Keys,
    /// Of an object of the engine's, what stands at these keys, and of that what is said there.
    Only(&'static [(&'static str, Kept)]),
}

/// The JSON that `text` is.
pub(super) fn spelled(text: &str, kept: Kept) -> Result<Value, Unspelled> {
    let ambiguous = RefCell::default();
    let node = Node { keys: Keys::Engines, kept, ambiguous: &ambiguous };
    let mut json = serde_json::Deserializer::from_str(text);
    let read = node.deserialize(&mut json).and_then(|it| json.end().map(|()| it));
    read.map_err(|error| match ambiguous.take() {
        Some(key) => Unspelled::Ambiguous { key },
        None => Unspelled::NotJson(error),
    })
}

/// The number of the engine's spelling of a key that it takes for one of its own; other keys it ignores.
fn number(key: &str) -> Option<usize> {
    NUMBERS.get(key).or_else(|| FOLDED.get(&fold(key))).copied()
}

/// The place of a key among `wanted`, if it is a spelling of any.
fn place(key: &str, wanted: &[(&str, Kept)]) -> Option<usize> {
    let is_same = |it: &(&str, Kept)| it.0.eq_ignore_ascii_case(key);
    if key.is_ascii() {
        return wanted.iter().position(is_same);
    }
    let folded = fold(key);
    wanted.iter().position(|it| fold(it.0) == folded)
}

/// The keys of an object of the engine's that have been met.
#[derive(Default)]
struct Met {
    /// A bit for each spelling.
    known: [u64; SPELLINGS.len().div_ceil(64)],
    unknown: HashSet<String>,
}

impl Met {
    /// The engine's spelling of a key that is met for the first time; of others it is the error.
    fn spelled<'k>(&mut self, key: Cow<'k, str>) -> Result<Cow<'k, str>, String> {
        let Some(number) = number(&key) else {
            return if self.unknown.insert(key.clone().into_owned()) {
                Ok(key)
            } else {
                Err(key.into_owned())
            };
        };
        let (word, bit) = (&mut self.known[number / 64], 1 << (number % 64));
        if *word & bit != 0 {
            return Err(SPELLINGS[number].to_owned());
        }
        *word |= bit;
        Ok(Cow::Borrowed(SPELLINGS[number]))
    }
}

/// A key as Go's decoder compares it: without case, with the two letters beyond ASCII that fold
/// to ASCII ones (`foldRune` in Go, `encoding/json/fold.go`).
fn fold(key: &str) -> String {
    key.chars()
        .map(|c| match c {
            'ſ' => 's',
            '\u{212a}' => 'k',
            c => c.to_ascii_lowercase(),
        })
        .collect()
}

/// Whose the keys of an object are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keys {
    /// The engine's: in its spelling, none twice.
    Engines,
    /// The user's: as they are, and the last counts.
    Users,
}

/// A value that is about to be read, and what is known of it by then.
#[derive(Clone, Copy)]
struct Node<'r> {
    /// If it is an object.
    keys: Keys,
    kept: Kept,
    /// Where the key goes that stands twice.
    ambiguous: &'r RefCell<Option<String>>,
}

impl<'r> Node<'r> {
    /// The value at `key`, if this is an object.
    fn at(self, key: &str, kept: Kept) -> Node<'r> {
        let users = self.keys == Keys::Engines && OF_THE_USER.contains(&key);
        Node { keys: if users { Keys::Users } else { Keys::Engines }, kept, ..self }
    }

    /// An element, if this is an array.
    fn element(self) -> Node<'r> {
        Node { keys: Keys::Engines, ..self }
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("no number"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(self.element())? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Value, A::Error> {
        match self.kept {
            Kept::All => self.whole(entries),
            Kept::Keys => keys(entries),
            Kept::Only(wanted) => self.part(entries, wanted),
        }
    }
}

impl Node<'_> {
    /// All of an object.
    fn whole<'de, A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let (mut object, mut met) = (Map::new(), Met::default());
        while let Some(Key(key)) = entries.next_key()? {
            let key = match self.keys {
                Keys::Users => key,
                Keys::Engines => met.spelled(key).map_err(|key| self.twice(key))?,
            };
            let value = entries.next_value_seed(self.at(&key, Kept::All))?;
            object.insert(key.into_owned(), value);
        }
        Ok(Value::Object(object))
    }

    /// Of an object, what stands at the keys that are `wanted`.
    fn part<'de, A: MapAccess<'de>>(
        self,
        mut entries: A,
        wanted: &[(&str, Kept)],
    ) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(Key(key)) = entries.next_key()? {
            let Some((key, kept)) = place(&key, wanted).map(|it| wanted[it]) else {
                entries.next_value::<IgnoredAny>()?;
                continue;
            };
            let value = entries.next_value_seed(self.at(key, kept))?;
            if object.insert(key.to_owned(), value).is_some() {
                return Err(self.twice(key.to_owned()));
            }
        }
        Ok(Value::Object(object))
    }

    fn twice<E: Error>(self, key: String) -> E {
        self.ambiguous.replace(Some(key));
        E::custom("a key stands twice")
    }
}

/// The keys of an object of the user's.
fn keys<'de, A: MapAccess<'de>>(mut entries: A) -> Result<Value, A::Error> {
    let mut object = Map::new();
    while let Some((Key(key), IgnoredAny)) = entries.next_entry()? {
        object.insert(key.into_owned(), Value::Null);
    }
    Ok(Value::Object(object))
}

/// A key, borrowed unless it has escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Key<'de>, D::Error> {
        deserializer.deserialize_str(KeyVisitor)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Key<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E: Error>(self, key: &'de str) -> Result<Key<'de>, E> {
        Ok(Key(Cow::Borrowed(key)))
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Key<'de>, E> {
        Ok(Key(Cow::Owned(key.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::{FOLDED, SPELLINGS};

    #[test]
    fn the_spellings_are_sorted_and_none_stands_twice() {
        assert!(SPELLINGS.is_sorted_by(|a, b| a < b));
        assert_eq!(FOLDED.len(), SPELLINGS.len(), "no two differ in case alone");
    }
}
