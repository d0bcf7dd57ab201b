//! What `boathook-launch` is told: everything in numbers, in one line of text.
//!
//! ```text
//! 1 uid=1000 gid=1000 groups=1000,27 nofile=64:128 core=0:- no-new-privileges network=/proc/7/ns/net
//! ```

use std::fmt;

use super::{Resource, Rlimit};

/// The descriptor on which the launcher is given a pipe. It says there why it could not become the
/// script; that the pipe closes in silence means that it has.
pub const REPORT_FD: i32 = 3;

/// What stands before the name of each variable that is meant for the script. The launcher still has
/// boathook's rights: a variable such as `LD_PRELOAD` must mean nothing to it.
pub const VARIABLE_PREFIX: &str = "+";

/// The version of the form. A launcher from another installation than the daemon is told apart.
const VERSION: &str = "1";

/// Who a process becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Real, effective and saved.
    pub uid: u32,
    /// Real, effective and saved.
    pub gid: u32,
    /// All supplementary groups.
    pub groups: Vec<u32>,
}

/// What the launcher does before it becomes the script.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// Who it becomes; `None`: who it is.
    pub identity: Option<Identity>,
    /// What it may use.
    pub rlimits: Vec<Rlimit>,
    /// Whether no program gives it more rights any more.
    pub no_new_privileges: bool,
    /// The file of the network namespace that it enters; `None`: it stays where it is.
    pub network: Option<String>,
}

/// Why a text is no order.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// The launcher belongs to another boathook.
    #[error("the launcher is of another version than the daemon: restart boathook")]
    Version,
    /// It is written by somebody else than boathook.
    #[error("the launcher is not for use by hand: it does not know `{word}`")]
    Word {
        /// What cannot be read.
        word: String,
    },
}

impl Order {
    /// Whether there is nothing to be done.
    pub fn is_empty(&self) -> bool {
        *self == Order::default()
    }

    /// The order that `text` is.
    ///
    /// # Errors
    ///
    /// When it was not written by this version of boathook.
    pub fn parse(text: &str) -> Result<Order, OrderError> {
        let mut words = text.split(' ');
        if words.next() != Some(VERSION) {
            return Err(OrderError::Version);
        }
        let mut order = Order::default();
        let (mut uid, mut gid, mut groups) = (None, None, None);
        for word in words {
            let error = || OrderError::Word { word: word.to_owned() };
            match word.split_once('=') {
                Some(("uid", id)) => uid = Some(id.parse().map_err(|_| error())?),
                Some(("gid", id)) => gid = Some(id.parse().map_err(|_| error())?),
                Some(("groups", ids)) => {
                    let ids = ids.split(',').filter(|it| !it.is_empty()).map(str::parse);
                    groups = Some(ids.collect::<Result<Vec<u32>, _>>().map_err(|_| error())?);
                }
                Some((NETWORK, path)) => order.network = Some(path.replace("%20", " ").replace("%25", "%")),
                Some((name, limits)) => order.rlimits.push(rlimit(name, limits).ok_or_else(error)?),
                None if word == NO_NEW_PRIVILEGES => order.no_new_privileges = true,
                None => return Err(error()),
            }
        }
        order.identity = match (uid, gid, groups) {
            (Some(uid), Some(gid), Some(groups)) => Some(Identity { uid, gid, groups }),
            (None, None, None) => None,
            // Half an identity would leave the other half boathook's.
            _ => return Err(OrderError::Word { word: "half of an identity".to_owned() }),
        };
        Ok(order)
    }
}

const NO_NEW_PRIVILEGES: &str = "no-new-privileges";
const NETWORK: &str = "network";

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(VERSION)?;
        if let Some(Identity { uid, gid, groups }) = &self.identity {
            let groups: Vec<String> = groups.iter().map(u32::to_string).collect();
            write!(f, " uid={uid} gid={gid} groups={}", groups.join(","))?;
        }
        for it in &self.rlimits {
            write!(f, " {}={}:{}", it.resource.name(), Amount(it.soft), Amount(it.hard))?;
        }
        if self.no_new_privileges {
            write!(f, " {NO_NEW_PRIVILEGES}")?;
        }
        if let Some(path) = &self.network {
            // A space would end the word.
            write!(f, " {NETWORK}={}", path.replace('%', "%25").replace(' ', "%20"))?;
        }
        Ok(())
    }
}

/// A number, or `-` for no limit.
struct Amount(Option<u64>);

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(amount) => amount.fmt(f),
            None => f.write_str("-"),
        }
    }
}

fn rlimit(name: &str, limits: &str) -> Option<Rlimit> {
    let amount = |text: &str| if text == "-" { Some(None) } else { text.parse().ok().map(Some) };
    let (soft, hard) = limits.split_once(':')?;
    Some(Rlimit { resource: Resource::named(name)?, soft: amount(soft)?, hard: amount(hard)? })
}

#[cfg(test)]
mod tests {
    use super::{Identity, Order, OrderError};
    use crate::launch::{Resource, Rlimit};

    fn everything() -> Order {
        let limit = |(nth, resource)| Rlimit { resource, soft: Some(nth as u64), hard: None };
        Order {
            identity: Some(Identity { uid: 1000, gid: 4_294_967_294, groups: vec![27, 1000] }),
            rlimits: Resource::ALL.into_iter().enumerate().map(limit).collect(),
            no_new_privileges: true,
            network: Some("/a b%20/netns".to_owned()),
        }
    }

    #[test]
    fn an_order_is_read_as_it_was_meant() {
        let alone = Identity { uid: 7, gid: 8, groups: vec![] };
        for order in [everything(), Order::default(), Order { identity: Some(alone), ..Order::default() }] {
            assert_eq!(Order::parse(&order.to_string()), Ok(order));
        }
    }

    #[test]
    fn what_boathook_does_not_write_is_refused_and_never_half_obeyed() {
        assert_eq!(Order::parse("2 uid=0"), Err(OrderError::Version));
        assert_eq!(Order::parse(""), Err(OrderError::Version));
        for text in [
            "1 uid=7",
            "1 uid=7 gid=8",
            "1 uid=x gid=1 groups=",
            "1 uid=-1 gid=1 groups=",
            "1 nofile=1",
            "1 x",
            "1 nofile=1:x",
            "1 ",
        ] {
            assert!(matches!(Order::parse(text), Err(OrderError::Word { .. })), "{text}");
        }
    }
}
