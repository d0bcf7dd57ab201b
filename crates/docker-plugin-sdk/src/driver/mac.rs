//! The hardware address of an interface.

use std::fmt;
use std::str::FromStr;

use base64_simd::STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The hardware address of an interface, `02:42:0a:d2:00:02`.
///
/// As text in requests and replies. The one in the options of an endpoint is base64 of its bytes instead,
/// since that is how Go writes them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MacAddress(pub [u8; 6]);

/// Why a text is no [`MacAddress`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MacAddressError {
    /// The text is not six bytes with colons or hyphens between them.
    #[error("`{text}` is not a hardware address such as `02:42:0a:d2:00:02`")]
    NotText {
        /// What was found.
        text: String,
    },
    /// The text is not six bytes in base64.
    #[error("`{text}` is not six bytes in base64")]
    NotBase64 {
        /// What was found.
        text: String,
    },
}

impl MacAddress {
    /// The address of its bytes in base64, as it stands in the options of an endpoint.
    ///
    /// # Errors
    ///
    /// When the text is something else.
    pub fn from_base64(text: &str) -> Result<MacAddress, MacAddressError> {
        let bytes = STANDARD.decode_to_vec(text).ok();
        let bytes = bytes.and_then(|it| <[u8; 6]>::try_from(it).ok());
        bytes.map(MacAddress).ok_or_else(|| MacAddressError::NotBase64 { text: text.to_owned() })
    }
}

impl FromStr for MacAddress {
    type Err = MacAddressError;

    fn from_str(text: &str) -> Result<MacAddress, MacAddressError> {
        let wrong = || MacAddressError::NotText { text: text.to_owned() };
        let separator = if text.contains('-') { '-' } else { ':' };
        let mut bytes = [0; 6];
        let mut parts = text.split(separator);
        for byte in &mut bytes {
            // Two digits each: `from_str_radix` alone would take a sign.
            let digits =
                parts.next().filter(|it| it.len() == 2 && it.bytes().all(|it| it.is_ascii_hexdigit()));
            let digits = digits.ok_or_else(wrong)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
        }
        if parts.next().is_some() { Err(wrong()) } else { Ok(MacAddress(bytes)) }
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for MacAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MacAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<MacAddress, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: MacAddress = MacAddress([2, 0x11, 0x22, 0x33, 0x44, 0x55]);

    #[test]
    fn an_address_is_read_in_all_of_its_spellings() {
        assert_eq!("02:11:22:33:44:55".parse(), Ok(ADDRESS));
        assert_eq!("02-11-22-33-44-55".parse(), Ok(ADDRESS));
        assert_eq!(MacAddress::from_base64("AhEiM0RV"), Ok(ADDRESS));
        assert_eq!(ADDRESS.to_string(), "02:11:22:33:44:55");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for wrong in
            ["", "02:11:22:33:44", "02:11:22:33:44:55:66", "+2:11:22:33:44:55", "AhEiM0RV", "2:1:2:3:4:5"]
        {
            assert!(wrong.parse::<MacAddress>().is_err(), "{wrong}");
        }
        for wrong in ["", "AhEiM0Q=", "02:11:22:33:44:55"] {
            assert!(MacAddress::from_base64(wrong).is_err(), "{wrong}");
        }
    }
}
