//! An address driver that hands out subnets of 10.99.0.0/16 and addresses from them, and remembers them in a
//! file.
//!
//! Run it as root, then ask the engine for a network with its addresses:
//!
//! ```text
//! cargo run --example ipam -- /run/docker/plugins/leases.sock /var/lib/leases.json &
//! docker network create --ipam-driver leases lan
//! docker run --rm --network lan busybox ip address
//! ```
//!
//! A pool's id is its subnet, so that the file needs no more than a list of addresses for each. What is granted
//! is on disk before the engine hears of it: no address is ever given to two.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::io::{self, Write, stderr};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use docker_plugin_sdk::driver::{DriverError, Request};
use docker_plugin_sdk::ipam::{
    AllottedAddress, Capabilities, IpamDriver, Pool, PoolId, ReleaseAddress, ReleasePool, RequestAddress,
    RequestPool,
};
use docker_plugin_sdk::ipnet::{IpNet, Ipv4Net};
use docker_plugin_sdk::{Plugin, Socket};

/// How long calls in flight may take once the plugin is to end.
const DRAIN_MAX: Duration = Duration::from_secs(30);

/// The addresses that are taken, by their subnets.
type Leases = BTreeMap<IpNet, BTreeSet<IpAddr>>;

struct Book {
    path: PathBuf,
    leases: Mutex<Leases>,
}

impl Book {
    fn open(path: PathBuf) -> io::Result<Book> {
        let leases = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Leases::new(),
            Err(error) => return Err(error),
        };
        Ok(Book { path, leases: Mutex::new(leases) })
    }

    /// Changes the leases, on disk first. What the change returns comes back; an error changes nothing.
    fn change<T>(
        &self,
        change: impl FnOnce(&mut Leases) -> Result<T, DriverError>,
    ) -> Result<T, DriverError> {
        let mut leases = self.leases.lock().expect("no change panics");
        let mut changed = leases.clone();
        let result = change(&mut changed)?;
        if changed != *leases {
            let beside = self.path.with_extension("new");
            let mut file = fs::File::create(&beside)?;
            file.write_all(&serde_json::to_vec(&changed)?)?;
            file.sync_all()?;
            fs::rename(&beside, &self.path)?;
            *leases = changed;
        }
        Ok(result)
    }
}

impl IpamDriver for Book {
    fn capabilities(&self) -> Capabilities {
        // The file remembers across restarts of both sides, so the engine need not tell again what it holds.
        Capabilities { requires_request_replay: false, requires_mac_address: false }
    }

    async fn request_pool(&self, request: Request<RequestPool>) -> Result<Pool, DriverError> {
        self.change(|leases| {
            let is_free =
                |subnet: IpNet| leases.keys().all(|it| !it.contains(&subnet) && !subnet.contains(it));
            let subnet = match request.pool {
                None if request.v6 => {
                    return Err(DriverError::new("there are no IPv6 subnets here, name one"));
                }
                None => subnets()
                    .find(|it| is_free(*it))
                    .ok_or_else(|| DriverError::new("all subnets are taken"))?,
                Some(subnet) if leases.contains_key(&subnet) || is_free(subnet) => subnet,
                Some(subnet) => return Err(DriverError::new(format!("{subnet} overlaps another subnet"))),
            };
            leases.entry(subnet).or_default();
            Ok(Pool::new(PoolId::new(subnet.to_string())?, subnet))
        })
    }

    async fn release_pool(&self, request: Request<ReleasePool>) -> Result<(), DriverError> {
        let subnet = subnet(&request.pool_id)?;
        self.change(|leases| {
            leases.remove(&subnet);
            Ok(())
        })
    }

    async fn request_address(
        &self,
        request: Request<RequestAddress>,
    ) -> Result<AllottedAddress, DriverError> {
        let subnet = subnet(&request.pool_id)?;
        self.change(|leases| {
            let taken = leases.entry(subnet).or_default();
            let address = match request.address {
                // The engine asks by name for what a user wants, and once more after a call that was cut off.
                Some(address) if subnet.contains(&address) => address,
                Some(address) => return Err(DriverError::new(format!("{address} is not in {subnet}"))),
                None => {
                    let free = subnet.hosts().find(|it| !taken.contains(it));
                    free.ok_or_else(|| DriverError::new(format!("all addresses of {subnet} are taken")))?
                }
            };
            taken.insert(address);
            Ok(AllottedAddress::new(IpNet::new(address, subnet.prefix_len())?))
        })
    }

    async fn release_address(&self, request: Request<ReleaseAddress>) -> Result<(), DriverError> {
        let subnet = subnet(&request.pool_id)?;
        self.change(|leases| {
            if let Some(taken) = leases.get_mut(&subnet) {
                taken.remove(&request.address);
            }
            Ok(())
        })
    }
}

/// The subnet that a pool's id is.
fn subnet(pool: &PoolId) -> Result<IpNet, DriverError> {
    pool.as_str().parse().map_err(|_| DriverError::new(format!("there is no pool `{pool}`")))
}

/// 256 subnets of 254 addresses each.
fn subnets() -> impl Iterator<Item = IpNet> {
    (0..=255).map(|it| IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(10, 99, it, 0), 24)))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap_or("/run/docker/plugins/leases.sock".into());
    let book = Book::open(arguments.next().unwrap_or("/var/lib/leases.json".into()).into())?;
    let listener = Socket::new(path).bind()?;
    let plugin = Plugin::builder().ipam(book).build();
    let interrupted = async { _ = tokio::signal::ctrl_c().await };
    let drained = plugin.serve(listener, interrupted, DRAIN_MAX).await?;
    writeln!(stderr(), "answered while draining: {}, cut off: {}", drained.answered, drained.cut_off)?;
    Ok(())
}
