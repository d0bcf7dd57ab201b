//! Every driver call that three engines made, sent again.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use docker_plugin_sdk::Plugin;
use docker_plugin_sdk::driver::{DriverError, Scope};
use docker_plugin_sdk::ipam::{self, AddressSpaces, AllottedAddress, IpamDriver, Pool};
use docker_plugin_sdk::network::{self, CreatedEndpoint, EndpointInfo, Joined, NetworkDriver, PoolData};
use docker_plugin_sdk::volume::{self, Volume, VolumeDriver};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::client::Client;
use crate::transcripts::{Line, replayed};

type Request<T> = docker_plugin_sdk::driver::Request<T>;

/// Answers as was recorded, and keeps what it was asked, written down in the engine's own words.
#[derive(Default)]
struct Scribe {
    next: Mutex<Value>,
    asked: Mutex<Option<Value>>,
    raw: Mutex<Option<Value>>,
}

#[derive(Clone)]
struct Handle(Arc<Scribe>);

impl Handle {
    /// The recorded reply, read into the type of ours that a driver would answer with.
    fn answer<T, R: DeserializeOwned>(&self, request: &Request<T>, asked: Value) -> Result<R, DriverError> {
        let raw = serde_json::from_slice(request.raw()).expect("requests are JSON");
        *self.0.raw.lock().expect("no panics") = Some(raw);
        self.recorded(asked)
    }

    fn recorded<R: DeserializeOwned>(&self, asked: Value) -> Result<R, DriverError> {
        *self.0.asked.lock().expect("no panics") = Some(asked);
        let reply = self.0.next.lock().expect("no panics").take();
        match reply.get("Err").or(reply.get("Error")) {
            Some(error) => Err(DriverError::new(error.as_str().expect("errors are texts"))),
            None => Ok(serde_json::from_value(reply)?),
        }
    }

    fn done<T>(&self, request: &Request<T>, asked: Value) -> Result<(), DriverError> {
        self.answer(request, asked).map(|_: Value| ())
    }
}

/// What Go writes for a value that is not there.
fn or_empty(value: Option<impl ToString>) -> String {
    value.map(|it| it.to_string()).unwrap_or_default()
}

fn written_pools(pools: &[PoolData]) -> Value {
    let written = pools.iter().map(|it| {
        let mut written = json!({"AddressSpace": it.address_space, "Pool": or_empty(it.pool)});
        if let Some(gateway) = it.gateway {
            written["Gateway"] = json!(gateway);
        }
        if !it.aux_addresses.is_empty() {
            written["AuxAddresses"] = json!(it.aux_addresses);
        }
        written
    });
    written.collect()
}

/// An object of the two ids that most requests consist of.
macro_rules! ids {
    ($request:ident) => {
        json!({"NetworkID": $request.network_id, "EndpointID": $request.endpoint_id})
    };
}

impl NetworkDriver for Handle {
    fn capabilities(&self) -> network::Capabilities {
        network::Capabilities { connectivity_scope: Some(Scope::Local), ..network::Capabilities::default() }
    }

    async fn create_network(&self, it: Request<network::CreateNetwork>) -> Result<(), DriverError> {
        let options = it.options.raw();
        let known = (it.options.generic()?, it.options.enable_ipv4()?, it.options.enable_ipv6()?);
        assert_eq!(json!(known.0), options["com.docker.network.generic"]);
        assert_eq!(json!(known.2), options["com.docker.network.enable_ipv6"]);
        assert!(known.1, "all of these networks have IPv4");
        assert_eq!(it.options.internal()?, options.contains_key("com.docker.network.internal"));
        let asked = json!({
            "NetworkID": it.network_id, "Options": options,
            "IPv4Data": written_pools(&it.ipv4_data), "IPv6Data": written_pools(&it.ipv6_data),
        });
        self.done(&it, asked)
    }

    async fn delete_network(&self, it: Request<network::DeleteNetwork>) -> Result<(), DriverError> {
        self.done(&it, json!({"NetworkID": it.network_id}))
    }

    async fn create_endpoint(
        &self,
        it: Request<network::CreateEndpoint>,
    ) -> Result<CreatedEndpoint, DriverError> {
        if let Some(address) = it.options.mac_address()? {
            assert_eq!(Some(address), it.interface.mac_address);
        }
        read_ports(&it.options)?;
        let mut asked = ids!(it);
        asked["Interface"] = json!({
            "Address": or_empty(it.interface.address), "AddressIPv6": or_empty(it.interface.address_ipv6),
            "MacAddress": or_empty(it.interface.mac_address),
        });
        asked["Options"] = json!(it.options);
        self.answer(&it, asked)
    }

    async fn delete_endpoint(&self, it: Request<network::DeleteEndpoint>) -> Result<(), DriverError> {
        self.done(&it, ids!(it))
    }

    async fn endpoint_oper_info(
        &self,
        it: Request<network::EndpointOperInfo>,
    ) -> Result<EndpointInfo, DriverError> {
        self.answer(&it, ids!(it))
    }

    async fn join(&self, it: Request<network::Join>) -> Result<Joined, DriverError> {
        read_ports(&it.options)?;
        let mut asked = ids!(it);
        asked["SandboxKey"] = json!(it.sandbox_key);
        asked["Options"] = json!(it.options);
        self.answer(&it, asked)
    }

    async fn leave(&self, it: Request<network::Leave>) -> Result<(), DriverError> {
        self.done(&it, ids!(it))
    }

    async fn program_external_connectivity(
        &self,
        it: Request<network::ProgramExternalConnectivity>,
    ) -> Result<(), DriverError> {
        read_ports(&it.options)?;
        assert!(!it.options.no_proxy_6to4()?);
        let mut asked = ids!(it);
        asked["Options"] = json!(it.options);
        self.done(&it, asked)
    }

    async fn revoke_external_connectivity(
        &self,
        it: Request<network::RevokeExternalConnectivity>,
    ) -> Result<(), DriverError> {
        self.done(&it, ids!(it))
    }
}

/// The ports of an endpoint are those that its options have, as many as they are.
fn read_ports(options: &network::EndpointOptions) -> Result<(), DriverError> {
    let listed = |key: &str| options.raw().get(key).and_then(Value::as_array).map_or(0, Vec::len);
    assert_eq!(options.exposed_ports()?.len(), listed("com.docker.network.endpoint.exposedports"));
    assert_eq!(options.port_map()?.len(), listed("com.docker.network.portmap"));
    Ok(())
}

impl IpamDriver for Handle {
    fn capabilities(&self) -> ipam::Capabilities {
        ipam::Capabilities { requires_mac_address: true, requires_request_replay: true }
    }

    fn address_spaces(&self) -> AddressSpaces {
        AddressSpaces { local: "hooklocal".into(), global: "hookglobal".into() }
    }

    async fn request_pool(&self, it: Request<ipam::RequestPool>) -> Result<Pool, DriverError> {
        let asked = json!({
            "AddressSpace": it.address_space, "Pool": or_empty(it.pool), "SubPool": or_empty(it.sub_pool),
            "Options": it.options, "V6": it.v6,
        });
        self.answer(&it, asked)
    }

    async fn release_pool(&self, it: Request<ipam::ReleasePool>) -> Result<(), DriverError> {
        self.done(&it, json!({"PoolID": it.pool_id}))
    }

    async fn request_address(
        &self,
        it: Request<ipam::RequestAddress>,
    ) -> Result<AllottedAddress, DriverError> {
        let mac_address = it.mac_address()?;
        assert_eq!(it.is_gateway() || mac_address.is_some(), !it.options.is_empty());
        let asked = json!({"PoolID": it.pool_id, "Address": or_empty(it.address), "Options": it.options});
        self.answer(&it, asked)
    }

    async fn release_address(&self, it: Request<ipam::ReleaseAddress>) -> Result<(), DriverError> {
        self.done(&it, json!({"PoolID": it.pool_id, "Address": it.address}))
    }
}

impl VolumeDriver for Handle {
    async fn create(&self, it: Request<volume::Create>) -> Result<(), DriverError> {
        self.done(&it, json!({"Name": it.name, "Opts": it.options}))
    }

    async fn remove(&self, it: Request<volume::Remove>) -> Result<(), DriverError> {
        self.done(&it, json!({"Name": it.name}))
    }

    async fn mount(&self, it: Request<volume::Mount>) -> Result<PathBuf, DriverError> {
        let reply: Value = self.answer(&it, json!({"Name": it.name, "ID": it.id}))?;
        Ok(reply["Mountpoint"].as_str().expect("a mount has a path").into())
    }

    async fn unmount(&self, it: Request<volume::Unmount>) -> Result<(), DriverError> {
        self.done(&it, json!({"Name": it.name, "ID": it.id}))
    }

    async fn get(&self, it: Request<volume::Get>) -> Result<Option<Volume>, DriverError> {
        let reply: Value = match self.answer(&it, json!({"Name": it.name})) {
            Err(error) if error.message() == "no such volume" => return Ok(None),
            reply => reply?,
        };
        Ok(Some(serde_json::from_value(reply["Volume"].clone())?))
    }

    async fn list(&self) -> Result<Vec<Volume>, DriverError> {
        let reply: Value = self.recorded(json!({}))?;
        Ok(serde_json::from_value(reply["Volumes"].clone())?)
    }
}

/// What was sent, by method: the calls, and of them those whose recorded reply was compared.
type Sent = BTreeMap<String, (usize, usize)>;

#[tokio::test]
async fn every_recorded_driver_call_reads_back_as_it_was_sent() {
    let scribe = Arc::new(Scribe::default());
    let handle = Handle(Arc::clone(&scribe));
    let plugin = Plugin::builder().network(handle.clone()).ipam(handle.clone()).volume(handle).build();
    let mut sent = Sent::new();

    let kinds = ["network", "ipam", "volume"];
    replayed(&plugin, &kinds, async |client: &mut Client, line: &Line<'_>, place: &str| {
        replay(client, &scribe, line, place, &mut sent).await;
    })
    .await;

    let expected = [
        ("/IpamDriver.GetCapabilities", (27, 27)),
        ("/IpamDriver.GetDefaultAddressSpaces", (70, 70)),
        ("/IpamDriver.ReleaseAddress", (95, 95)),
        ("/IpamDriver.ReleasePool", (22, 22)),
        ("/IpamDriver.RequestAddress", (168, 168)),
        ("/IpamDriver.RequestPool", (71, 71)),
        ("/NetworkDriver.CreateEndpoint", (86, 86)),
        ("/NetworkDriver.CreateNetwork", (65, 65)),
        ("/NetworkDriver.DeleteEndpoint", (74, 74)),
        ("/NetworkDriver.DeleteNetwork", (22, 22)),
        // Those with the text `404 page not found` for a reply are only sent.
        ("/NetworkDriver.EndpointOperInfo", (139, 137)),
        // Three failed on purpose, which a constant cannot.
        ("/NetworkDriver.GetCapabilities", (27, 24)),
        // Three without an answer, and three repetitions of them without a body.
        ("/NetworkDriver.Join", (89, 83)),
        ("/NetworkDriver.Leave", (71, 71)),
        ("/NetworkDriver.ProgramExternalConnectivity", (70, 68)),
        ("/NetworkDriver.RevokeExternalConnectivity", (57, 55)),
        ("/VolumeDriver.Capabilities", (45, 45)),
        ("/VolumeDriver.Create", (48, 48)),
        ("/VolumeDriver.Get", (368, 368)),
        ("/VolumeDriver.List", (6, 6)),
        ("/VolumeDriver.Mount", (72, 72)),
        ("/VolumeDriver.Remove", (27, 27)),
        ("/VolumeDriver.Unmount", (51, 51)),
    ];
    assert_eq!(sent, expected.map(|(path, counts)| (path.to_owned(), counts)).into());
}

async fn replay(client: &mut Client, scribe: &Scribe, line: &Line<'_>, place: &str, sent: &mut Sent) {
    let body = line.body_on_the_wire();
    let recorded = line.reply.clone().filter(Value::is_object);
    *scribe.next.lock().expect("no panics") = recorded.clone().unwrap_or_else(|| json!({}));

    let reply = client.call(line.request(&body)).await;

    let (calls, compared) = sent.entry(line.path.to_owned()).or_default();
    *calls += 1;
    let asked = scribe.asked.lock().expect("no panics").take();
    let raw = scribe.raw.lock().expect("no panics").take();
    if body.is_empty() && line.path == "/NetworkDriver.Join" {
        assert_eq!((reply.status, reply.json()["Err"].is_string(), asked), (400, true, None), "{place}");
        return;
    }
    let request: Value = serde_json::from_str(line.body.get()).expect(place);
    if let Some(asked) = asked {
        assert_eq!(asked, without_nothing(request.clone()), "{place}");
        assert!(line.path == "/VolumeDriver.List" || raw == Some(request), "{place}");
    } else {
        assert!(line.path.ends_with("Capabilities") || line.path.ends_with("AddressSpaces"), "{place}");
    }
    assert_eq!(reply.status, 200, "{place}: {}", reply.json());
    if let Some(recorded) = recorded.filter(|it| *it != json!({"Err": "not now"})) {
        *compared += 1;
        assert_eq!(reply.json(), without_nothing(recorded), "{place}");
    }
}

/// The same without what a driver cannot tell from its absence: `null` for a map, and an empty gateway.
fn without_nothing(mut value: Value) -> Value {
    for key in ["Options", "Opts"] {
        if value.get(key).is_some_and(Value::is_null) {
            value[key] = json!({});
        }
    }
    if value.get("Gateway") == Some(&json!("")) {
        value.as_object_mut().expect("it has a key").remove("Gateway");
    }
    value
}
