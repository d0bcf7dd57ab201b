//! The `.json` form of a file.
//!
//! Go reads its keys in any case, takes the last of several, and `null` for nothing. What follows the object it
//! does not look at.

use std::fmt;
use std::path::PathBuf;

use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::{AddressError, Spec, Tls};

/// What is wrong with the text of a `.json` file.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// It is not a JSON object.
    #[error("the file is not a JSON object, at line {} column {}", .0.line(), .0.column())]
    NotAnObject(#[source] serde_json::Error),
    /// A value has another type than its key promises.
    #[error("`{key}` is not {expected}")]
    WrongType {
        /// The key as Docker spells it.
        key: &'static str,
        /// What it should have been.
        expected: &'static str,
    },
    /// There is no address.
    #[error("`Addr` is missing, write for example `\"Addr\": \"tcp://127.0.0.1:7000\"`")]
    NoAddress,
    /// The address is none.
    #[error("`Addr` is wrong")]
    Address(#[source] AddressError),
}

/// The spec that this text is.
pub(super) fn read(text: &[u8]) -> Result<Spec, JsonError> {
    // Not `from_slice`, which wants nothing to follow.
    let mut reader = serde_json::Deserializer::from_slice(text);
    let file = Object::deserialize(&mut reader).map_err(JsonError::NotAnObject)?;
    let address: String = file.get("Addr", "a text")?.ok_or(JsonError::NoAddress)?;
    let address = address.parse().map_err(JsonError::Address)?;
    let tls: Option<Object> = file.get("TLSConfig", "an object")?;
    Ok(Spec { address, tls: tls.map(|it| it.tls()).transpose()? })
}

/// The text of a spec. The engine ignores the name: it is for people.
pub(super) fn write(name: &str, spec: &Spec) -> serde_json::Result<String> {
    let file = File { name, addr: spec.address.to_string(), tls_config: spec.tls.as_ref() };
    Ok(serde_json::to_string_pretty(&file)? + "\n")
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct File<'a> {
    name: &'a str,
    addr: String,
    #[serde(rename = "TLSConfig", skip_serializing_if = "Option::is_none")]
    tls_config: Option<&'a Tls>,
}

/// A JSON object as Go sees it: its keys have an order and no case.
struct Object(Vec<(String, Value)>);

impl Object {
    /// The last value of a key, or `None` if there is none but `null`.
    fn get<T: DeserializeOwned>(
        &self,
        key: &'static str,
        expected: &'static str,
    ) -> Result<Option<T>, JsonError> {
        let mut found = None;
        // Go stops at the first value of a wrong type, though a right one follows.
        for (_, value) in self.0.iter().filter(|(it, value)| it.eq_ignore_ascii_case(key) && !value.is_null())
        {
            found = Some(T::deserialize(value).map_err(|_| JsonError::WrongType { key, expected })?);
        }
        Ok(found)
    }

    fn tls(&self) -> Result<Tls, JsonError> {
        let file = |key| {
            let path: Option<PathBuf> = self.get(key, "a text")?;
            Ok(path.filter(|it| !it.as_os_str().is_empty()))
        };
        // It is for servers. The engine reads it, and so wants a number there, but makes no use of it.
        let _client_auth: Option<i64> = self.get("ClientAuth", "a number")?;
        Ok(Tls {
            ca_file: file("CAFile")?,
            cert_file: file("CertFile")?,
            key_file: file("KeyFile")?,
            insecure_skip_verify: self.get("InsecureSkipVerify", "true or false")?.unwrap_or_default(),
            exclusive_root_pools: self.get("ExclusiveRootPools", "true or false")?.unwrap_or_default(),
            min_version: self.get("MinVersion", "the number of a TLS version")?.filter(|it| *it != 0),
            passphrase: self.get("Passphrase", "a text")?.filter(|it: &String| !it.is_empty()),
        })
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object, D::Error> {
        deserializer.deserialize_map(Entries)
    }
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Object(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> Result<Spec, JsonError> {
        read(json.as_bytes())
    }

    #[test]
    fn keys_have_no_case_and_the_last_one_counts() {
        let spec = text(
            r#"{"name":"other","ADDR":"tcp://127.0.0.1:1","addr":"https://127.0.0.1:2","Addr":null,
                "tlsconfig":{"cafile":"/ca.pem","CertFile":"/c.pem","KEYFILE":"/k.pem","minversion":771,
                "insecureSkipVerify":true,"ExclusiveRootPools":true,"passphrase":"p","ClientAuth":0}} and more"#,
        );
        let tls = Tls {
            ca_file: Some("/ca.pem".into()),
            cert_file: Some("/c.pem".into()),
            key_file: Some("/k.pem".into()),
            insecure_skip_verify: true,
            exclusive_root_pools: true,
            min_version: Some(771),
            passphrase: Some("p".into()),
        };
        let address = "https://127.0.0.1:2".parse().expect("an address");
        let expected = Spec { address, tls: Some(tls) };
        assert_eq!(text(&write("it", &expected).expect("texts")).expect("what was written"), expected);
        assert_eq!(spec.expect("a spec"), expected);
    }

    #[test]
    fn little_is_enough() {
        let spec = text(r#"{"Addr":"tcp://127.0.0.1:1","TLSConfig":null}"#).expect("a spec");
        assert_eq!(spec, Spec::new("tcp://127.0.0.1:1".parse().expect("an address")));
        assert_eq!(
            write("it", &spec).expect("texts"),
            "{\n  \"Name\": \"it\",\n  \"Addr\": \"tcp://127.0.0.1:1\"\n}\n"
        );
        let empty = text(r#"{"Addr":"tcp://127.0.0.1:1","TLSConfig":{"CAFile":"","MinVersion":0}}"#);
        assert_eq!(empty.expect("a spec").tls, Some(Tls::default()));
    }

    #[test]
    fn a_mistake_is_told_by_its_key() {
        for (json, told) in [
            ("", "the file is not a JSON object, at line 1"),
            ("[]", "the file is not a JSON object, at line 1"),
            ("{}", "`Addr` is missing"),
            (r#"{"Addr":7}"#, "`Addr` is not a text"),
            (r#"{"addr":7,"Addr":"tcp://127.0.0.1:1"}"#, "`Addr` is not a text"),
            (r#"{"Addr":"/run/it.sock"}"#, "`Addr` is wrong"),
            (r#"{"Addr":"tcp://a:1","TLSConfig":"yes"}"#, "`TLSConfig` is not an object"),
            (r#"{"Addr":"tcp://a:1","TLSConfig":{"CAFile":[]}}"#, "`CAFile` is not a text"),
            (r#"{"Addr":"tcp://a:1","TLSConfig":{"MinVersion":"1.2"}}"#, "`MinVersion` is not the number"),
            (r#"{"Addr":"tcp://a:1","TLSConfig":{"ClientAuth":true}}"#, "`ClientAuth` is not a number"),
        ] {
            let wrong = text(json).expect_err(json).to_string();
            assert!(wrong.starts_with(told), "{json}: {wrong}");
        }
    }
}
