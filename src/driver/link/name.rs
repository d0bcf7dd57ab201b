//! The name of a link.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The name of a link: at most 15 bytes, of which the kernel leaves few out.
///
/// What the kernel takes and people trip over, spaces left out (`dev_valid_name` in Linux,
/// `net/core/dev.c`), a leading hyphen, a percent sign and control characters, is refused here as well.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LinkName(Box<str>);

/// Why a text is no [`LinkName`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkNameError {
    /// It is empty.
    #[error("a link's name is not empty")]
    Empty,
    /// It is longer than the kernel takes (`IFNAMSIZ` in Linux, `include/uapi/linux/if.h`).
    #[error("`{0}` is longer than the {max} bytes that a link's name may have", max = LinkName::BYTES_MAX)]
    TooLong(String),
    /// It holds something that names do not.
    #[error("`{0}` is no link's name: letters, digits, `.`, `_` and `-` are, with none of the last in front")]
    Unnameable(String),
}

impl LinkName {
    /// The longest that a name can be, in bytes.
    pub const BYTES_MAX: usize = 15;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LinkName {
    type Err = LinkNameError;

    fn from_str(text: &str) -> Result<LinkName, LinkNameError> {
        let is_good = |c: char| c.is_ascii_alphanumeric() || ".-_@".contains(c);
        if text.is_empty() {
            Err(LinkNameError::Empty)
        } else if text.len() > LinkName::BYTES_MAX {
            Err(LinkNameError::TooLong(text.to_owned()))
        } else if !text.chars().all(is_good) || text.starts_with('-') || matches!(text, "." | "..") {
            Err(LinkNameError::Unnameable(text.to_owned()))
        } else {
            Ok(LinkName(text.into()))
        }
    }
}

impl TryFrom<String> for LinkName {
    type Error = LinkNameError;

    fn try_from(text: String) -> Result<LinkName, LinkNameError> {
        text.parse()
    }
}

impl From<LinkName> for String {
    fn from(name: LinkName) -> String {
        name.0.into()
    }
}

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{LinkName, LinkNameError};

    #[test]
    fn names_as_links_have_them_are_taken() {
        for good in ["eth0", "br-lan", "eth0.10", "bh-0123456789ab", "a"] {
            assert_eq!(good.parse::<LinkName>().expect(good).as_str(), good);
        }
    }

    #[test]
    fn what_the_kernel_or_a_command_line_would_stumble_over_is_refused() {
        assert_eq!("".parse::<LinkName>(), Err(LinkNameError::Empty));
        assert!(matches!("bh-0123456789abc".parse::<LinkName>(), Err(LinkNameError::TooLong(_))));
        for bad in [".", "..", "-a", "a/b", "a b", "a%d", "a\n", "a:1", "ä"] {
            assert!(matches!(bad.parse::<LinkName>(), Err(LinkNameError::Unnameable(_))), "{bad}");
        }
    }
}
