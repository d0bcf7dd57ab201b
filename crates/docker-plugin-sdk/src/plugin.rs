//! The kinds of plugin that one program is.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::Semaphore;

use crate::authorization::{self, Authorization};
use crate::body::Bodies;
use crate::ipam::{self, IpamDriver};
use crate::method::{Method, to_json};
use crate::network::{self, NetworkDriver};
use crate::serve::CONNECTIONS_MAX;
use crate::volume::{self, VolumeDriver};

/// The path of the first call of an engine, which asks what a plugin implements.
pub(crate) const ACTIVATE: &str = "/Plugin.Activate";

/// A plugin: one or more kinds behind one set of sockets.
///
/// The engine asks once what a plugin implements and remembers the answer until it restarts, so all kinds are
/// given before the first [`serve`](Plugin::serve).
///
/// A clone is the same plugin: it may be served on several listeners at once, and its bounds hold for all of
/// them together.
#[derive(Clone)]
pub struct Plugin {
    pub(crate) kinds: Arc<Kinds>,
}

impl Plugin {
    /// A plugin that implements nothing yet.
    pub fn builder() -> PluginBuilder {
        PluginBuilder { implements: Vec::new(), methods: Vec::new() }
    }
}

/// Collects the kinds of a [`Plugin`].
#[must_use]
pub struct PluginBuilder {
    implements: Vec<&'static str>,
    methods: Vec<Method>,
}

impl PluginBuilder {
    /// Asks `authorization` about every call of the Engine API. Given twice, the last one counts.
    pub fn authorization(self, authorization: impl Authorization) -> PluginBuilder {
        self.kind(authorization::IMPLEMENTS, authorization::methods(Arc::new(authorization)))
    }

    /// Makes networks and endpoints with `driver`. Given twice, the last one counts.
    pub fn network(self, driver: impl NetworkDriver) -> PluginBuilder {
        self.kind(network::IMPLEMENTS, network::methods(Arc::new(driver)))
    }

    /// Hands out addresses with `driver`. Given twice, the last one counts.
    pub fn ipam(self, driver: impl IpamDriver) -> PluginBuilder {
        self.kind(ipam::IMPLEMENTS, ipam::methods(Arc::new(driver)))
    }

    /// Makes volumes and mounts them with `driver`. Given twice, the last one counts.
    pub fn volume(self, driver: impl VolumeDriver) -> PluginBuilder {
        self.kind(volume::IMPLEMENTS, volume::methods(Arc::new(driver)))
    }

    fn kind(mut self, implements: &'static str, methods: impl IntoIterator<Item = Method>) -> PluginBuilder {
        if !self.implements.contains(&implements) {
            self.implements.push(implements);
        }
        self.methods.extend(methods);
        self
    }

    /// The plugin. Nothing runs before it is served.
    pub fn build(self) -> Plugin {
        let kinds = Kinds {
            activation: activation(&self.implements),
            methods: self.methods.into_iter().map(|it| (it.path, it)).collect(),
            bodies: Bodies::new(),
            connections: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
        };
        Plugin { kinds: Arc::new(kinds) }
    }
}

/// What all connections of a plugin share.
pub(crate) struct Kinds {
    /// The reply to [`ACTIVATE`], made once: an engine that gets none gives the plugin up, and so must not
    /// wait for anything a plugin does.
    pub(crate) activation: Bytes,
    methods: HashMap<&'static str, Method>,
    pub(crate) bodies: Bodies,
    /// A permit is a connection.
    pub(crate) connections: Arc<Semaphore>,
}

impl Kinds {
    /// The method that is called at `path`.
    pub(crate) fn method(&self, path: &str) -> Option<&Method> {
        self.methods.get(path)
    }
}

fn activation(implements: &[&str]) -> Bytes {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Activation<'a> {
        implements: &'a [&'a str],
    }
    to_json(&Activation { implements })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activation_names_the_kinds_as_docker_spells_them() {
        assert_eq!(activation(&["authz", "NetworkDriver"]), r#"{"Implements":["authz","NetworkDriver"]}"#);
        assert_eq!(activation(&[]), r#"{"Implements":[]}"#);
    }

    #[test]
    fn a_kind_given_twice_is_implemented_once() {
        let twice = Plugin::builder().kind("authz", []).kind("VolumeDriver", []).kind("authz", []).build();
        assert_eq!(twice.kinds.activation, r#"{"Implements":["authz","VolumeDriver"]}"#);
    }
}
