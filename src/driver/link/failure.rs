//! What can go wrong with links.

use std::io;
use std::time::Duration;

use super::name::LinkName;

/// How long the kernel may take for all that one call asks of it.
///
/// It answers within a millisecond, but one request at a time: those of whole namespaces that are taken
/// down, seconds at worst on a large host, come first.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// Why links are not as they were wanted.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// There is another link of that name, which is not ours.
    #[error("there is a link `{name}` already, and it is not boathook's: choose another name, or remove it")]
    Taken {
        /// The name.
        name: LinkName,
    },
    /// The link that this one is to be made on or plugged into is not there.
    #[error("there is no link `{name}`")]
    Missing {
        /// Its name.
        name: LinkName,
    },
    /// The kernel does not want to.
    #[error("{what} link `{link}`")]
    Refused {
        /// What was asked for, as a verb.
        what: &'static str,
        /// The link.
        link: String,
        /// Why not, as far as the kernel says.
        #[source]
        source: io::Error,
    },
    /// A setting of the kernel for one link cannot be written.
    #[error("write `{path}`")]
    Setting {
        /// Where it is written.
        path: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// There is no way to ask the kernel.
    #[error("ask the kernel about links")]
    Socket(#[source] io::Error),
    /// The kernel has not answered.
    #[error("no answer from the kernel about links within {ANSWER_LIMIT:?}")]
    Silent,
}

impl LinkError {
    pub(super) fn refused(what: &'static str, link: &str, error: rtnetlink::Error) -> LinkError {
        LinkError::Refused { what, link: link.to_owned(), source: reason(error) }
    }
}

/// The kernel's error number, where there is one.
pub(super) fn reason(error: rtnetlink::Error) -> io::Error {
    match error {
        rtnetlink::Error::NetlinkError(message) => message.to_io(),
        other => io::Error::other(other.to_string()),
    }
}
