//! A network driver with a bridge for each network and a pair of links for each container on it, made by the
//! `ip` command.
//!
//! Run it as root, then ask the engine for a network of it:
//!
//! ```text
//! cargo run --example network -- /run/docker/plugins/links.sock &
//! docker network create --driver links lan
//! docker run --rm --network lan busybox ip address
//! ```
//!
//! It keeps nothing in memory: the names of its links follow from the ids that the engine sends, and the gateway
//! is an address of the bridge. So it can be restarted at any time, and each call may come twice.

use std::error::Error;
use std::io::{Write, stderr};
use std::net::Ipv4Addr;
use std::time::Duration;

use docker_plugin_sdk::driver::{DriverError, Request};
use docker_plugin_sdk::network::{
    CreateEndpoint, CreateNetwork, CreatedEndpoint, DeleteEndpoint, DeleteNetwork, EndpointId, InterfaceName,
    Join, Joined, Leave, NetworkDriver, NetworkId,
};
use docker_plugin_sdk::{Plugin, Socket};
use tokio::process::Command;

/// How long calls in flight may take once the plugin is to end.
const DRAIN_MAX: Duration = Duration::from_secs(30);

struct Links;

impl NetworkDriver for Links {
    async fn create_network(&self, request: Request<CreateNetwork>) -> Result<(), DriverError> {
        let bridge = bridge(&request.network_id);
        let gateway = request.ipv4_data.first().and_then(|it| it.gateway);
        let gateway = gateway.ok_or_else(|| DriverError::new("this driver needs an IPv4 subnet"))?;
        if !exists(&bridge).await? {
            ip(&format!("link add {bridge} type bridge")).await?;
        }
        ip(&format!("address replace {gateway} dev {bridge}")).await?;
        ip(&format!("link set {bridge} up")).await?;
        open_firewall(&bridge).await
    }

    async fn delete_network(&self, request: Request<DeleteNetwork>) -> Result<(), DriverError> {
        let bridge = bridge(&request.network_id);
        close_firewall(&bridge).await?;
        delete(&bridge).await
    }

    async fn create_endpoint(
        &self,
        request: Request<CreateEndpoint>,
    ) -> Result<CreatedEndpoint, DriverError> {
        let (outside, inside) = links(&request.endpoint_id);
        delete(&outside).await?;
        ip(&format!("link add {outside} type veth peer name {inside}")).await?;
        let bridge = bridge(&request.network_id);
        let attached = ip(&format!("link set {outside} master {bridge} up")).await;
        if attached.is_err() {
            // After an error the engine does not ask for the endpoint to be deleted.
            delete(&outside).await?;
        }
        // The addresses are decided already, and the link has a hardware address: there is nothing to add.
        attached.map(|_| CreatedEndpoint::default())
    }

    async fn delete_endpoint(&self, request: Request<DeleteEndpoint>) -> Result<(), DriverError> {
        // The other end goes with it.
        delete(&links(&request.endpoint_id).0).await
    }

    async fn join(&self, request: Request<Join>) -> Result<Joined, DriverError> {
        let (_, inside) = links(&request.endpoint_id);
        // The engine moves the link into the container, gives it its addresses and brings it up.
        Ok(Joined {
            interface_name: Some(InterfaceName {
                src_name: inside,
                dst_prefix: "eth".into(),
                ..InterfaceName::default()
            }),
            gateway: Some(address(&bridge(&request.network_id)).await?),
            ..Joined::default()
        })
    }

    async fn leave(&self, _: Request<Leave>) -> Result<(), DriverError> {
        Ok(())
    }
}

/// The bridge of a network. A link's name has at most 15 characters.
fn bridge(network: &NetworkId) -> String {
    format!("br-{:.12}", network.as_str())
}

/// The two ends of an endpoint: on the bridge, and in the container.
fn links(endpoint: &EndpointId) -> (String, String) {
    (format!("vo-{:.12}", endpoint.as_str()), format!("vi-{:.12}", endpoint.as_str()))
}

/// What `ip` says.
async fn ip(arguments: &str) -> Result<String, DriverError> {
    run("ip", arguments).await
}

/// What a command says. Its arguments are numbers and names that were made here, and hold no spaces.
async fn run(program: &str, arguments: &str) -> Result<String, DriverError> {
    let output = Command::new(program).args(arguments.split(' ')).output().await?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let told = String::from_utf8_lossy(&output.stderr);
    Err(DriverError::new(format!("`{program} {arguments}`: {}", told.trim())))
}

/// Lets the containers on a bridge reach each other.
///
/// The engine makes the kernel drop what it forwards, frames on bridges included, and leaves a chain for others
/// to make exceptions in, whose rules it does not touch.
async fn open_firewall(bridge: &str) -> Result<(), DriverError> {
    if run("iptables", "-w -n -L DOCKER-USER").await.is_err() {
        // An engine without `--iptables`: it drops nothing.
        return Ok(());
    }
    let rule = rule(bridge);
    match run("iptables", &format!("-w -C {rule}")).await {
        Ok(_) => Ok(()),
        Err(_) => run("iptables", &format!("-w -I {rule}")).await.map(drop),
    }
}

async fn close_firewall(bridge: &str) -> Result<(), DriverError> {
    let rule = rule(bridge);
    match run("iptables", &format!("-w -C {rule}")).await {
        Ok(_) => run("iptables", &format!("-w -D {rule}")).await.map(drop),
        Err(_) => Ok(()),
    }
}

fn rule(bridge: &str) -> String {
    format!("DOCKER-USER -i {bridge} -o {bridge} -j ACCEPT")
}

/// Whether there is such a link.
async fn exists(link: &str) -> Result<bool, DriverError> {
    let all = ip("-oneline link show").await?;
    // A line is `7: name: <...>`, or `7: name@peer: <...>`.
    let names = all.lines().filter_map(|it| it.split([':', '@']).nth(1));
    Ok(names.into_iter().any(|it| it.trim() == link))
}

/// Deletes a link, if it is there.
async fn delete(link: &str) -> Result<(), DriverError> {
    if exists(link).await? { ip(&format!("link delete {link}")).await.map(drop) } else { Ok(()) }
}

/// The first address of a link.
async fn address(link: &str) -> Result<Ipv4Addr, DriverError> {
    let told = ip(&format!("-oneline -4 address show dev {link}")).await?;
    let address = told.split_whitespace().skip_while(|it| *it != "inet").nth(1);
    let address = address.and_then(|it| it.split('/').next()).and_then(|it| it.parse().ok());
    address.ok_or_else(|| DriverError::new(format!("the bridge `{link}` has no address")))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).unwrap_or("/run/docker/plugins/links.sock".into());
    let listener = Socket::new(path).bind()?;
    let plugin = Plugin::builder().network(Links).build();
    let interrupted = async { _ = tokio::signal::ctrl_c().await };
    let drained = plugin.serve(listener, interrupted, DRAIN_MAX).await?;
    writeln!(stderr(), "answered while draining: {}, cut off: {}", drained.answered, drained.cut_off)?;
    Ok(())
}
