//! What the body of a call asks for.

use std::collections::BTreeMap;
use std::str::Utf8Error;

use serde_json::{Map, Value};

use super::mounts::mounts_of_creation;
use super::spelling::{Kept, Unspelled, spelled};
use crate::lifecycle::{Facts, NetworkAttachment};

/// Why a body cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is not text.
    #[error("not text")]
    NotText(#[from] Utf8Error),
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

impl From<Unspelled> for BodyError {
    fn from(unspelled: Unspelled) -> BodyError {
        match unspelled {
            Unspelled::NotJson(error) => BodyError::NotJson(error),
            Unspelled::Ambiguous { key } => BodyError::Ambiguous { key },
        }
    }
}

/// What of the body of a creation decides whether a hook means it: all that [`facts_of_creation`] and the mounts
/// read. Environment and arguments, which may be long, are not among it.
const DECISIVE: Kept = Kept::Only(&[
    ("HostConfig", DECISIVE_OF_HOST),
    ("Hostname", Kept::All),
    ("Image", Kept::All),
    ("Labels", Kept::All),
    ("NetworkingConfig", Kept::Only(&[("EndpointsConfig", Kept::Keys)])),
    ("StopSignal", Kept::All),
    ("User", Kept::All),
    ("Volumes", Kept::Keys),
]);

/// The same of its `HostConfig`.
const DECISIVE_OF_HOST: Kept = Kept::Only(&[
    ("AutoRemove", Kept::All),
    ("Binds", Kept::All),
    ("Mounts", Kept::All),
    ("NetworkMode", Kept::All),
    ("Privileged", Kept::All),
    ("Tmpfs", Kept::Keys),
    ("VolumeDriver", Kept::All),
    ("VolumesFrom", Kept::All),
]);

/// The body of a call in the engine's own spelling.
///
/// # Errors
///
/// When it is not a JSON object, or may mean something else to the engine.
pub fn read(bytes: &[u8]) -> Result<Value, BodyError> {
    object(spelled(str::from_utf8(bytes)?, Kept::All)?)
}

/// As [`read`], of the body of a creation, but only what decides whether a hook means it.
///
/// Whatever the rest may mean to the engine makes no difference to that, so it is only looked over.
///
/// # Errors
///
/// When it is not a JSON object, or what decides may mean something else to the engine.
pub fn sketch(bytes: &[u8]) -> Result<Value, BodyError> {
    object(spelled(str::from_utf8(bytes)?, DECISIVE)?)
}

fn object(value: Value) -> Result<Value, BodyError> {
    if value.is_object() { Ok(value) } else { Err(BodyError::NotAnObject) }
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::mounts::taken_over;
    use super::{BodyError, facts_of_creation, read, sketch};

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
            assert!(matches!(sketch(body.as_bytes()), Err(BodyError::Ambiguous { .. })), "{body}");
        }
        for body in ["", "[]", "{", r#"{"Image":"a"} x"#, r#""text""#] {
            assert!(read(body.as_bytes()).is_err(), "{body}");
            assert!(sketch(body.as_bytes()).is_err(), "{body}");
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

    #[test]
    fn a_sketch_tells_what_the_whole_body_tells() {
        let body = br#"{"Image":"web:1","Env":["A=1"],"cmd":["sh"],"labels":{"a":"b"},"Hostname":"h","user":"7",
            "HostConfig":{"Privileged":true,"AutoRemove":true,"NetworkMode":"prod","Binds":["/a:/b"],"Tmpfs":{"/t":""},
            "mounts":[{"Type":"volume","source":"v","Target":"/w"}],"VolumeDriver":"d","VolumesFrom":["x"],"Memory":7},
            "Volumes":{"/v":{}},"StopSignal":"INT","NetworkingConfig":{"EndpointsConfig":{"two":{}}}}"#;

        let (whole, sketch) = (read(body).expect("JSON"), sketch(body).expect("JSON"));

        assert_eq!(facts_of_creation(Some("web"), &sketch), facts_of_creation(Some("web"), &whole));
        assert_eq!(taken_over(&sketch), taken_over(&whole));
        assert_eq!(
            (&whole["HostConfig"]["Memory"], &sketch["HostConfig"]["Memory"]),
            (&json!(7), &json!(null))
        );
        assert_eq!((&whole["Env"], &sketch["Env"]), (&json!(["A=1"]), &json!(null)));
    }

    #[test]
    fn a_sketch_is_strict_about_what_decides() {
        for body in [
            &br#"{"Image":"a","image":"b"}"#[..],
            br#"{"HostConfig":{},"hostConfig":{"Privileged":true}}"#,
            br#"{"HostConfig":{"Privileged":true,"privileged":false}}"#,
            br#"{"HostConfig":{"Mounts":[{"Source":"/","source":"/tmp"}]}}"#,
            br#"{"NetworkingConfig":{"EndpointsConfig":{},"endpoint\u017fconfig":{}}}"#,
            br#"{"Env":["A],"Image":"a"}"#,
            b"{\"Env\":[\"\xff\"]}",
        ] {
            assert!(sketch(body).is_err(), "{}", body.escape_ascii());
            assert!(read(body).is_err(), "{}", body.escape_ascii());
        }
        let labels = br#"{"Labels":{"a":"1","a":"2"},"Env":[{"a":1,"A":2}]}"#;
        assert_eq!(sketch(labels).expect("one meaning")["Labels"], json!({"a": "2"}));
        assert!(read(br#"{"Healthcheck":{"Test":[],"test":["a"]}}"#).is_err());
    }
}
