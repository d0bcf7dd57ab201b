//! Drivers as an engine meets them: what they need not implement, and what never reaches them.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use docker_plugin_sdk::driver::{DriverError, Request};
use docker_plugin_sdk::ipam::{self, AllottedAddress, IpamDriver, Pool};
use docker_plugin_sdk::network::{self, CreatedEndpoint, Joined, NetworkDriver, Node};
use docker_plugin_sdk::volume::{self, Volume, VolumeDriver};
use docker_plugin_sdk::{Plugin, Socket};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::client::{Client, post};
use crate::world::{FOR_EVER, serve};

/// Implements what has to be, and refuses all of it.
#[derive(Clone, Default)]
struct Least {
    /// How often it was asked.
    asked: Arc<Mutex<usize>>,
}

impl Least {
    fn no<T>(&self) -> Result<T, DriverError> {
        *self.asked.lock().expect("no panics") += 1;
        Err(DriverError::new("no"))
    }
}

impl NetworkDriver for Least {
    async fn create_network(&self, _: Request<network::CreateNetwork>) -> Result<(), DriverError> {
        self.no()
    }
    async fn delete_network(&self, _: Request<network::DeleteNetwork>) -> Result<(), DriverError> {
        self.no()
    }
    async fn create_endpoint(
        &self,
        _: Request<network::CreateEndpoint>,
    ) -> Result<CreatedEndpoint, DriverError> {
        self.no()
    }
    async fn delete_endpoint(&self, _: Request<network::DeleteEndpoint>) -> Result<(), DriverError> {
        self.no()
    }
    async fn join(&self, _: Request<network::Join>) -> Result<Joined, DriverError> {
        self.no()
    }
    async fn leave(&self, _: Request<network::Leave>) -> Result<(), DriverError> {
        self.no()
    }
}

impl IpamDriver for Least {
    async fn request_pool(&self, _: Request<ipam::RequestPool>) -> Result<Pool, DriverError> {
        self.no()
    }
    async fn release_pool(&self, _: Request<ipam::ReleasePool>) -> Result<(), DriverError> {
        self.no()
    }
    async fn request_address(
        &self,
        _: Request<ipam::RequestAddress>,
    ) -> Result<AllottedAddress, DriverError> {
        self.no()
    }
    async fn release_address(&self, it: Request<ipam::ReleaseAddress>) -> Result<(), DriverError> {
        panic!("cannot release {}", it.address)
    }
}

impl VolumeDriver for Least {
    async fn create(&self, _: Request<volume::Create>) -> Result<(), DriverError> {
        self.no()
    }
    async fn remove(&self, _: Request<volume::Remove>) -> Result<(), DriverError> {
        self.no()
    }
    async fn mount(&self, _: Request<volume::Mount>) -> Result<PathBuf, DriverError> {
        self.no()
    }
    async fn unmount(&self, _: Request<volume::Unmount>) -> Result<(), DriverError> {
        self.no()
    }
    async fn get(&self, it: Request<volume::Get>) -> Result<Option<Volume>, DriverError> {
        tokio::task::yield_now().await;
        let mounted = Volume { mountpoint: Some("/mnt/db".into()), ..Volume::new("db") };
        Ok((it.name.as_str() == "db").then_some(mounted))
    }
    async fn list(&self) -> Result<Vec<Volume>, DriverError> {
        Ok(vec![])
    }
}

/// A plugin of all three kinds, and a client. The plugin ends with it.
struct Served {
    least: Least,
    client: Client,
    _folder: TempDir,
    _stop: oneshot::Sender<()>,
}

impl Served {
    async fn new() -> Served {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("it.sock");
        let least = Least::default();
        let plugin =
            Plugin::builder().network(least.clone()).ipam(least.clone()).volume(least.clone()).build();
        let (stop, _served) = serve(&plugin, Socket::new(&path).bind().expect("the path is free"), FOR_EVER);
        let client = Client::connect(&path).await.expect("the plugin listens");
        Served { least, client, _folder: folder, _stop: stop }
    }

    fn asked(&self) -> usize {
        *self.least.asked.lock().expect("no panics")
    }

    async fn call(&mut self, path: &str, body: impl ToString) -> (u16, Value) {
        let reply = self.client.call(post(path, body.to_string())).await;
        (reply.status, reply.json())
    }
}

/// Requests that are whole, for every method that has one.
fn requests() -> Vec<(&'static str, Value)> {
    let (network, endpoint) = (json!({"NetworkID": "ab"}), json!({"NetworkID": "ab", "EndpointID": "cd"}));
    let node = json!({
        "DiscoveryType": 1,
        "DiscoveryData": {"Address": "10.0.0.2", "BindAddress": "10.0.0.2", "Self": false},
    });
    vec![
        ("/NetworkDriver.GwAllocCheck", json!({"Options": {"com.docker.network.generic": {"a": "b"}}})),
        ("/NetworkDriver.AllocateNetwork", json!({"NetworkID": "ab", "IPv4Data": null, "IPv6Data": []})),
        ("/NetworkDriver.FreeNetwork", network.clone()),
        ("/NetworkDriver.CreateNetwork", network.clone()),
        ("/NetworkDriver.DeleteNetwork", network),
        ("/NetworkDriver.CreateEndpoint", endpoint.clone()),
        ("/NetworkDriver.DeleteEndpoint", endpoint.clone()),
        ("/NetworkDriver.EndpointOperInfo", endpoint.clone()),
        ("/NetworkDriver.Join", endpoint.clone()),
        ("/NetworkDriver.Leave", endpoint.clone()),
        ("/NetworkDriver.ProgramExternalConnectivity", endpoint.clone()),
        ("/NetworkDriver.RevokeExternalConnectivity", endpoint),
        ("/NetworkDriver.DiscoverNew", node.clone()),
        ("/NetworkDriver.DiscoverDelete", node),
        ("/IpamDriver.RequestPool", json!({"AddressSpace": "local", "V6": false})),
        ("/IpamDriver.ReleasePool", json!({"PoolID": "p"})),
        ("/IpamDriver.RequestAddress", json!({"PoolID": "p", "Address": ""})),
        ("/IpamDriver.ReleaseAddress", json!({"PoolID": "p", "Address": "10.0.0.2"})),
        ("/VolumeDriver.Create", json!({"Name": "db", "Opts": null})),
        ("/VolumeDriver.Remove", json!({"Name": "db"})),
        ("/VolumeDriver.Mount", json!({"Name": "db", "ID": "ef"})),
        ("/VolumeDriver.Unmount", json!({"Name": "db", "ID": "ef"})),
        ("/VolumeDriver.Path", json!({"Name": "db"})),
        ("/VolumeDriver.Get", json!({"Name": "db"})),
    ]
}

fn error_key(path: &str) -> &'static str {
    if path.starts_with("/IpamDriver.") { "Error" } else { "Err" }
}

#[tokio::test]
async fn all_kinds_are_told_and_capabilities_are_constants() {
    let mut served = Served::new().await;

    for (path, told) in [
        ("/Plugin.Activate", json!({"Implements": ["NetworkDriver", "IpamDriver", "VolumeDriver"]})),
        ("/NetworkDriver.GetCapabilities", json!({"Scope": "local"})),
        ("/IpamDriver.GetCapabilities", json!({"RequiresMACAddress": false, "RequiresRequestReplay": false})),
        (
            "/IpamDriver.GetDefaultAddressSpaces",
            json!({"LocalDefaultAddressSpace": "local", "GlobalDefaultAddressSpace": "global"}),
        ),
        ("/VolumeDriver.Capabilities", json!({"Capabilities": {"Scope": "local"}})),
        ("/VolumeDriver.List", json!({"Volumes": []})),
    ] {
        for body in ["", "{}"] {
            assert_eq!(served.call(path, body).await, (200, told.clone()), "{path}");
        }
    }
    assert_eq!(served.asked(), 0);
}

#[tokio::test]
async fn a_driver_can_do_without_the_optional_methods() {
    let mut served = Served::new().await;
    let optional = [
        ("/NetworkDriver.GwAllocCheck", json!({"SkipIPv4": false, "SkipIPv6": false})),
        ("/NetworkDriver.AllocateNetwork", json!({"Options": {}})),
        ("/NetworkDriver.FreeNetwork", json!({})),
        ("/NetworkDriver.EndpointOperInfo", json!({})),
        ("/NetworkDriver.ProgramExternalConnectivity", json!({})),
        ("/NetworkDriver.RevokeExternalConnectivity", json!({})),
        ("/NetworkDriver.DiscoverNew", json!({})),
        ("/NetworkDriver.DiscoverDelete", json!({})),
        ("/VolumeDriver.Path", json!({"Mountpoint": "/mnt/db"})),
        ("/VolumeDriver.Get", json!({"Volume": {"Name": "db", "Mountpoint": "/mnt/db"}})),
    ];

    for (path, request) in requests() {
        let reply = served.call(path, &request).await;

        let expected = optional.iter().find(|(it, _)| *it == path).map(|(_, reply)| (200, reply.clone()));
        let refused = (200, json!({error_key(path): "no"}));
        let panicked = || path == "/IpamDriver.ReleaseAddress" && reply.0 == 500;
        assert!(reply == expected.unwrap_or(refused) || panicked(), "{path}: {reply:?}");
    }
}

#[tokio::test]
async fn a_call_that_says_nothing_never_reaches_a_driver() {
    let mut served = Served::new().await;

    for (path, _) in requests() {
        // To these two an object without any of their keys says enough.
        let says_enough = ["/NetworkDriver.GwAllocCheck", "/IpamDriver.RequestPool"].contains(&path);
        let wrong_field = (!says_enough).then_some(r#"{"NetworkID":7,"PoolID":7,"Name":7}"#);
        for body in ["", "\n", "null", "[]", "GET", r#"{"NetworkID":"#].into_iter().chain(wrong_field) {
            let (status, reply) = served.call(path, body).await;
            assert_eq!((status, reply[error_key(path)].is_string()), (400, true), "{path} {body:?}: {reply}");
        }
    }
    assert_eq!(served.asked(), 0);
}

#[tokio::test]
async fn a_panic_is_told_under_the_key_of_its_kind() {
    let mut served = Served::new().await;

    let request = json!({"PoolID": "p", "Address": "10.0.0.2"});
    let (status, reply) = served.call("/IpamDriver.ReleaseAddress", &request).await;

    assert_eq!(status, 500);
    assert_eq!(reply["Error"], "the plugin panicked in `/IpamDriver.ReleaseAddress`; its log says where");
}

#[tokio::test]
async fn a_volume_that_is_not_there_has_no_path_either() {
    let mut served = Served::new().await;

    for path in ["/VolumeDriver.Get", "/VolumeDriver.Path"] {
        let reply = served.call(path, json!({"Name": "other"})).await;
        assert_eq!(reply, (200, json!({"Err": "no such volume"})), "{path}");
    }
}

#[test]
fn a_node_is_read_from_what_was_discovered() {
    let body = r#"{"DiscoveryType":1,"DiscoveryData":{"Address":"10.0.0.2","BindAddress":"::","Self":true}}"#;
    let request = Request::<network::DiscoverNew>::parse(body).expect("a request");
    let node = Node { address: "10.0.0.2".into(), bind_address: "::".into(), is_self: true };
    assert_eq!(request.node(), Some(node));

    let other = Request::<network::DiscoverDelete>::parse(r#"{"DiscoveryType":2,"DiscoveryData":null}"#);
    assert_eq!(other.expect("a request").node(), None);
}
