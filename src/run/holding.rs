//! What a driver holds on the engine's behalf.
//!
//! The engine tells a driver once about a network, an address or a mount, and expects it to be known for as
//! long as it exists. What a driver has answered is therefore in the journal before the answer goes out. The
//! journal keeps it as it is, and does not look into it.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Something that a driver holds, or does not hold any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// What it is.
    pub kind: HoldingKind,
    /// What tells it from the others of its kind.
    pub key: Arc<str>,
    /// What there is to know of it, as JSON; `None`: it is not held any more.
    pub document: Option<Box<str>>,
}

impl Holding {
    /// `what` is held, and known as `key`.
    ///
    /// # Panics
    ///
    /// When `what` is nothing that JSON can hold, which no type of a driver's is.
    pub fn of(kind: HoldingKind, key: &str, what: &impl Serialize) -> Holding {
        let document = serde_json::to_string(what).expect("what a driver holds is JSON");
        Holding { kind, key: key.into(), document: Some(document.into()) }
    }

    /// What was known as `key` is not held any more.
    pub fn gone(kind: HoldingKind, key: &str) -> Holding {
        Holding { kind, key: key.into(), document: None }
    }

    /// What is held.
    ///
    /// # Errors
    ///
    /// When it is not what a `T` is written as, or is not held any more.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.document.as_deref().unwrap_or("null"))
    }
}

/// What a driver may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HoldingKind {
    /// A network.
    Network,
    /// The end of a network in a container.
    Endpoint,
    /// A range of addresses.
    Pool,
    /// An address of a pool.
    Address,
    /// A volume.
    Volume,
    /// One use of a volume.
    Mount,
}

impl HoldingKind {
    /// All of them.
    pub const ALL: [HoldingKind; 6] = [
        HoldingKind::Network,
        HoldingKind::Endpoint,
        HoldingKind::Pool,
        HoldingKind::Address,
        HoldingKind::Volume,
        HoldingKind::Mount,
    ];

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<HoldingKind> {
        HoldingKind::ALL.into_iter().find(|it| it.name() == name)
    }

    /// A word for it.
    pub const fn name(self) -> &'static str {
        match self {
            HoldingKind::Network => "network",
            HoldingKind::Endpoint => "endpoint",
            HoldingKind::Pool => "pool",
            HoldingKind::Address => "address",
            HoldingKind::Volume => "volume",
            HoldingKind::Mount => "mount",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Holding, HoldingKind};

    #[test]
    fn every_kind_is_found_by_its_name() {
        for kind in HoldingKind::ALL {
            assert_eq!(HoldingKind::from_name(kind.name()), Some(kind));
        }
        assert_eq!(HoldingKind::from_name("plugin"), None);
    }

    #[test]
    fn what_is_held_is_read_as_it_was_written() {
        let held = Holding::of(HoldingKind::Pool, "a", &vec![1, 2]);

        assert_eq!(held.read::<Vec<u8>>().expect("numbers"), [1, 2]);
        assert!(held.read::<String>().is_err());
        assert!(Holding::gone(HoldingKind::Pool, "a").read::<Vec<u8>>().is_err());
    }
}
