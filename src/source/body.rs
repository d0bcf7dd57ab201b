//! The JSON body of a call, as the engine reads it.
//!
//! The engine decodes with Go's decoder, which matches keys regardless of case and lets the last
//! of several equal keys win, half merged with the one before. A body that says one thing to us
//! and another to the engine would be a way around every gate. So keys are brought to the engine's
//! own spelling, and a body whose meaning depends on how keys repeat is taken for unreadable: no
//! client writes such a thing.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::mounts::mounts_of_creation;
use crate::lifecycle::{Facts, NetworkAttachment};

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

/// Why a body cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is not JSON.
    #[error("not JSON")]
    NotJson(#[from] serde_json::Error),
    /// It is not an object.
    #[error("not a JSON object")]
    NotAnObject,
    /// A key stands twice in one object, perhaps in different spellings.
    #[error("key `{key}` stands twice")]
    Ambiguous {
        /// The key in the engine's spelling.
        key: String,
    },
}

/// The body of a call in the engine's own spelling.
///
/// # Errors
///
/// When it is not a JSON object, or may mean something else to the engine.
pub fn read(bytes: &[u8]) -> Result<Value, BodyError> {
    match serde_json::from_slice(bytes)? {
        Written::Object(entries) => spelled(entries),
        _ => Err(BodyError::NotAnObject),
    }
}

/// A network or volume that is to be, as the body of its creation tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewThing {
    /// Its name; `None` if the engine is to make one up.
    pub name: Option<String>,
    /// Its driver, if one is asked for.
    pub driver: Option<String>,
    /// Its labels.
    pub labels: Option<BTreeMap<String, String>>,
}

impl NewThing {
    /// What `body` asks for.
    pub fn read(body: &Value) -> NewThing {
        let filled = |key: &str| body[key].as_str().filter(|it| !it.is_empty()).map(str::to_owned);
        NewThing { name: filled("Name"), driver: filled("Driver"), labels: Some(labels(body)) }
    }
}

fn labels(body: &Value) -> BTreeMap<String, String> {
    let labels = body["Labels"].as_object().into_iter().flatten();
    labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// What the body of a creation tells of the container that is to be.
pub fn facts_of_creation(name: Option<&str>, body: &Value) -> Facts {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let host_config = &body["HostConfig"];
    Facts {
        name: name.map(str::to_owned),
        image: text(&body["Image"]),
        labels: Some(labels(body)),
        networks: Some(networks_of_creation(body)),
        mounts: Some(mounts_of_creation(body)),
        privileged: Some(host_config["Privileged"].as_bool().unwrap_or(false)),
        user: text(&body["User"]),
        hostname: text(&body["Hostname"]).filter(|it| !it.is_empty()),
        auto_remove: Some(host_config["AutoRemove"].as_bool().unwrap_or(false)),
        stop_signal: text(&body["StopSignal"]).filter(|it| !it.is_empty()),
        ..Facts::default()
    }
}

/// The networks that are asked for, by name. `default` is the bridge.
fn networks_of_creation(body: &Value) -> Vec<NetworkAttachment> {
    let real = |name: &str| if matches!(name, "" | "default") { "bridge" } else { name }.to_owned();
    let mode = body["HostConfig"]["NetworkMode"].as_str().unwrap_or_default();
    let endpoints = body["NetworkingConfig"]["EndpointsConfig"].as_object();
    let mut names = vec![real(mode)];
    names.extend(endpoints.into_iter().flat_map(Map::keys).map(|it| real(it)));
    names.sort();
    names.dedup();
    names.into_iter().map(|name| NetworkAttachment { name, ..NetworkAttachment::default() }).collect()
}

/// JSON with every key that was written, in order.
enum Written {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    Array(Vec<Written>),
    Object(Vec<(String, Written)>),
}

/// An object of the engine's: keys in its spelling, none twice.
fn spelled(entries: Vec<(String, Written)>) -> Result<Value, BodyError> {
    let mut object = Map::with_capacity(entries.len());
    for (written, value) in entries {
        let key = spelling(written);
        let value = match value {
            Written::Object(entries) if OF_THE_USER.contains(&key.as_str()) => as_written(entries)?,
            value => value_of(value)?,
        };
        if object.insert(key.clone(), value).is_some() {
            return Err(BodyError::Ambiguous { key });
        }
    }
    Ok(Value::Object(object))
}

/// An object whose keys are the user's.
fn as_written(entries: Vec<(String, Written)>) -> Result<Value, BodyError> {
    let values = entries.into_iter().map(|(key, value)| Ok((key, value_of(value)?)));
    values.collect::<Result<Map<_, _>, BodyError>>().map(Value::Object)
}

fn value_of(value: Written) -> Result<Value, BodyError> {
    Ok(match value {
        Written::Null => Value::Null,
        Written::Bool(it) => Value::Bool(it),
        Written::Number(it) => Value::Number(it),
        Written::Text(it) => Value::String(it),
        Written::Array(items) => Value::Array(items.into_iter().map(value_of).collect::<Result<_, _>>()?),
        Written::Object(entries) => spelled(entries)?,
    })
}

/// The engine's spelling of a key that it takes for one of its own; other keys it ignores.
fn spelling(key: String) -> String {
    if SPELLINGS.binary_search(&key.as_str()).is_ok() {
        return key;
    }
    let folded = fold(&key);
    SPELLINGS.iter().find(|it| fold(it) == folded).map_or(key, |&it| it.to_owned())
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

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Written, D::Error> {
        deserializer.deserialize_any(WrittenVisitor)
    }
}

struct WrittenVisitor;

impl<'de> Visitor<'de> for WrittenVisitor {
    type Value = Written;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Written, E> {
        Ok(Written::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Written, E> {
        Ok(Written::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Written, E> {
        Ok(Written::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Written, E> {
        Ok(Written::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Written, E> {
        Number::from_f64(value).map(Written::Number).ok_or_else(|| E::custom("no number"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Written, E> {
        Ok(Written::Text(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Written, E> {
        Ok(Written::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Written, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element()? {
            array.push(item);
        }
        Ok(Written::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Written, A::Error> {
        let mut object = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            object.push(entry);
        }
        Ok(Written::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{BodyError, SPELLINGS, facts_of_creation, read};

    #[test]
    fn the_spellings_are_sorted_and_none_stands_twice() {
        assert!(SPELLINGS.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn a_key_is_known_in_every_spelling_that_the_engine_takes() {
        for key in ["HostConfig", "hostconfig", "HOSTCONFIG", "ho\u{17f}tConfig"] {
            let body = format!(r#"{{"Image":"x","{key}":{{"privileged":true}}}}"#);

            let body = read(body.as_bytes()).expect("one meaning");

            assert_eq!(body["HostConfig"]["Privileged"], json!(true), "{key}");
            assert_eq!(facts_of_creation(None, &body).privileged, Some(true), "{key}");
        }
    }

    #[test]
    fn a_body_with_two_meanings_is_not_read() {
        for body in [
            r#"{"Image":"a","Image":"b"}"#,
            r#"{"HostConfig":{"Privileged":true},"hostConfig":{}}"#,
            r#"{"HostConfig":{"Mounts":[{"Source":"/","source":"/tmp"}]}}"#,
        ] {
            assert!(matches!(read(body.as_bytes()), Err(BodyError::Ambiguous { .. })), "{body}");
        }
        for body in ["", "[]", "{", r#"{"Image":"a"} x"#, r#""text""#] {
            assert!(read(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn keys_of_the_users_own_are_theirs() {
        let body = read(
            br#"{"Labels":{"a":"1","A":"2","image":"3"},"HostConfig":{"NetworkMode":"prod",
            "Sysctls":{"image":"4"}},"NetworkingConfig":{"EndpointsConfig":{"name":{"ipamconfig":null}}}}"#,
        )
        .expect("one meaning");

        assert_eq!(body["Labels"], json!({"a": "1", "A": "2", "image": "3"}));
        assert_eq!(body["HostConfig"]["Sysctls"], json!({"image": "4"}));
        assert_eq!(body["NetworkingConfig"]["EndpointsConfig"], json!({"name": {"IPAMConfig": null}}));
        let networks = facts_of_creation(None, &body).networks.expect("known");
        assert_eq!(networks.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), ["name", "prod"]);
    }
}
