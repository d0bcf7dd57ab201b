//! What the kinds of driver have in common: a request with its own words, the error that Docker shows, and
//! the few types that all of them speak in.
//!
//! A driver is a trait with one method for each that the engine calls. Its requests are owned and typed, and
//! keep the JSON they were read from ([`Request::raw`]), so that a driver can hand one on, unknown keys and
//! all. Its capabilities are asked for once, when the plugin is built: an engine that gets no good answer to
//! `NetworkDriver.GetCapabilities` at once has no such driver until it is restarted (`Register` in moby,
//! `daemon/libnetwork/drivers/remote/driver.go`), so that answer must not wait for anything.
//!
//! Calls for different objects come concurrently and in any order, and every call may come twice: the engine
//! repeats one whose connection broke. A repeated call has an empty body if the first was already sent. It is
//! refused here, with status 400, and never reaches a driver: taken for `{}`, it would start a container
//! without network, or report a volume that was never made.

mod error;
mod mac;
mod options;
pub(crate) mod request;
mod table;
pub(crate) mod wire;

use serde::{Deserialize, Serialize};

pub use error::DriverError;
pub use mac::{MacAddress, MacAddressError};
pub use options::DriverOptions;
pub(crate) use request::arguments;
pub use request::{Arguments, Request, RequestError};
pub(crate) use table::{Table, constant, done};

/// Whether something is known to one host, or to a whole cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// To one host.
    #[default]
    Local,
    /// To all nodes of a cluster.
    Global,
}

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// It is empty.
    #[error("the {what} is empty")]
    Empty {
        /// What the identifier is of: `network id`.
        what: &'static str,
    },
    /// It holds something else than letters and digits.
    #[error("the {what} holds something else than letters and digits")]
    OddCharacter {
        /// What the identifier is of: `network id`.
        what: &'static str,
    },
}

/// The identifiers that engines make: letters and digits, so that they can be part of a file's name.
pub(crate) fn check_id(what: &'static str, text: &str) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty { what });
    }
    match text.bytes().all(|it| it.is_ascii_alphanumeric()) {
        true => Ok(()),
        false => Err(IdError::OddCharacter { what }),
    }
}

/// A check for identifiers that a driver has made itself: they are anything but empty.
pub(crate) fn check_not_empty(what: &'static str, text: &str) -> Result<(), IdError> {
    if text.is_empty() { Err(IdError::Empty { what }) } else { Ok(()) }
}

/// Defines a type for a text that `$check` accepts.
macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The value of this text.
            ///
            /// # Errors
            ///
            /// When the text is none.
            pub fn new(text: impl Into<String>) -> Result<$name, $crate::driver::IdError> {
                let text = text.into();
                $check($what, &text)?;
                Ok($name(text))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::driver::IdError;

            fn try_from(text: String) -> Result<$name, $crate::driver::IdError> {
                $name::new(text)
            }
        }

        impl From<$name> for String {
            fn from(it: $name) -> String {
                it.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
pub(crate) use text_type;
