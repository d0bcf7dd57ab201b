//! Where an engine connects, as a URL says it.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::str::FromStr;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};

/// Where an engine connects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A Unix socket, by its absolute path: `unix:///run/it.sock`.
    Unix(PathBuf),
    /// HTTP over TCP, without encryption: `tcp://host:port`.
    Tcp(Authority),
    /// The same in other words: `http://host:port`.
    Http(Authority),
    /// HTTP over TLS: `https://host:port`. The only form that a file's TLS configuration counts for.
    Https(Authority),
}

/// A host, and mostly a port: `127.0.0.1:7000`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority(String);

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// There is no scheme. The engine calls that an unknown protocol.
    #[error("`{text}` has no scheme, write `unix:///path`, `tcp://host:port` or `https://host:port`")]
    NoScheme {
        /// What was found.
        text: String,
    },
    /// The scheme is none that an engine speaks.
    #[error("`{scheme}` is no scheme of a plugin, write `unix`, `tcp`, `http` or `https`")]
    UnknownScheme {
        /// What was found.
        scheme: String,
    },
    /// What follows `unix://` is not an absolute path.
    #[error("`{text}` has no absolute path, which takes three slashes: `unix:///path`")]
    NotAbsolute {
        /// What was found.
        text: String,
    },
    /// There is no host, or something is wrong with it or with the port.
    #[error("`{text}` is not a host and a port, such as `127.0.0.1:7000` or `[::1]:7000`")]
    NotAuthority {
        /// What was found.
        text: String,
    },
    /// There is a path behind the host. The engine would ignore it.
    #[error("the path `{path}` has no meaning, leave it out")]
    Path {
        /// What was found.
        path: String,
    },
}

/// What a URL's path does not hold as it is.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'<').add(b'>').add(b'?');

impl Authority {
    /// The host and port that this text names.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub fn new(text: &str) -> Result<Authority, AddressError> {
        let wrong = || AddressError::NotAuthority { text: text.to_owned() };
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or_else(wrong)?;
                let is_address = host.parse::<std::net::Ipv6Addr>().is_ok();
                (
                    if is_address { host } else { "" },
                    port.strip_prefix(':').or(port.is_empty().then_some("80")),
                )
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, Some("80")),
            },
        };
        let is_host = |it: char| it.is_ascii_alphanumeric() || ".-_:".contains(it);
        let is_port = port.is_some_and(|it| it.parse::<u16>().is_ok_and(|it| it > 0));
        match !host.is_empty() && host.chars().all(is_host) && is_port {
            true => Ok(Authority(text.to_owned())),
            false => Err(wrong()),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Address, AddressError> {
        let (scheme, rest) =
            text.split_once(':').ok_or_else(|| AddressError::NoScheme { text: text.to_owned() })?;
        let is_scheme = |it: char| it.is_ascii_alphanumeric() || "+-.".contains(it);
        if scheme.is_empty() || !scheme.chars().all(is_scheme) {
            return Err(AddressError::NoScheme { text: text.to_owned() });
        }
        match &*scheme.to_ascii_lowercase() {
            "unix" => unix(text, rest),
            "tcp" => authority(rest).map(Address::Tcp),
            "http" => authority(rest).map(Address::Http),
            "https" => authority(rest).map(Address::Https),
            _ => Err(AddressError::UnknownScheme { scheme: scheme.to_owned() }),
        }
    }
}

fn unix(text: &str, rest: &str) -> Result<Address, AddressError> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if !path.starts_with('/') {
        return Err(AddressError::NotAbsolute { text: text.to_owned() });
    }
    let path: Cow<'_, [u8]> = percent_decode_str(path).into();
    Ok(Address::Unix(OsString::from_vec(path.into_owned()).into()))
}

fn authority(rest: &str) -> Result<Authority, AddressError> {
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let (authority, path) = rest.find(['/', '?', '#']).map_or((rest, ""), |it| rest.split_at(it));
    let authority = Authority::new(authority)?;
    match path {
        "" | "/" => Ok(authority),
        path => Err(AddressError::Path { path: path.to_owned() }),
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Unix(path) => {
                write!(f, "unix://{}", percent_encode(path.as_os_str().as_bytes(), ENCODED))
            }
            Address::Tcp(authority) => write!(f, "tcp://{}", authority.0),
            Address::Http(authority) => write!(f, "http://{}", authority.0),
            Address::Https(authority) => write!(f, "https://{}", authority.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_written_as_it_is_read() {
        for text in [
            "unix:///run/it.sock",
            "unix:///run/my%20plugin%25.sock",
            "unix:///run/%FF.sock",
            "tcp://127.0.0.1:7000",
            "http://[::1]:7000",
            "https://plugins.example.com",
        ] {
            let address: Address = text.parse().expect(text);
            assert_eq!(address.to_string(), text);
        }
        assert_eq!("UNIX:/run/a b".parse(), Ok(Address::Unix("/run/a b".into())));
        let local = Authority::new("localhost:1").expect("an authority");
        assert_eq!("tcp://localhost:1/".parse(), Ok(Address::Tcp(local)));
    }

    #[test]
    fn a_mistake_is_told_with_its_remedy() {
        for (text, told) in [
            ("/run/it.sock", "`/run/it.sock` has no scheme"),
            ("", "`` has no scheme"),
            ("unix://run/it.sock", "`unix://run/it.sock` has no absolute path"),
            ("fd://3", "`fd` is no scheme of a plugin"),
            ("tcp://", "`` is not a host and a port"),
            ("tcp://:7000", "`:7000` is not a host"),
            ("tcp://host:port", "`host:port` is not a host"),
            ("tcp://host:0", "`host:0` is not a host"),
            ("tcp://[::1", "`[::1` is not a host"),
            ("tcp://[host]:1", "`[host]:1` is not a host"),
            ("https://user@host:1", "`user@host:1` is not a host"),
            ("https://host:1/v1", "the path `/v1` has no meaning"),
        ] {
            let wrong = text.parse::<Address>().expect_err(text).to_string();
            assert!(wrong.starts_with(told), "{text}: {wrong}");
        }
    }
}
