//! What a driver answers when it cannot do what it was asked.

use std::error::Error;
use std::fmt::{self, Display};

/// Why a driver did not do what it was asked, for the docker user and the engine's log.
///
/// Made of anything that can be displayed, or by `?` from any error, whose causes are then part of the text.
/// It goes out with status 200, under `Err` or, for address drivers, `Error`; the engine shows it as
/// `remote: TEXT` (networks, addresses) or `TEXT` (volumes).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriverError {
    /// Never empty: the engine takes an empty error for a success.
    message: String,
}

impl DriverError {
    /// The error with this text.
    pub fn new(message: impl Display) -> DriverError {
        let message = message.to_string();
        let message = if message.is_empty() { "the driver gives no reason".to_owned() } else { message };
        DriverError { message }
    }

    /// The text. Never empty.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl Display for DriverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// This conversion is why the type is no [`Error`] itself.
impl<E: Error> From<E> for DriverError {
    fn from(error: E) -> DriverError {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message += &format!(": {cause}");
            source = cause.source();
        }
        DriverError::new(message)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("make the bridge")]
    struct NoBridge(#[source] io::Error);

    #[test]
    fn an_error_is_told_with_its_causes() {
        let error = DriverError::from(NoBridge(io::Error::other("no such device")));
        assert_eq!(error.message(), "make the bridge: no such device");
    }

    #[test]
    fn an_error_without_text_is_still_one() {
        assert_eq!(DriverError::new("").message(), "the driver gives no reason");
    }
}
