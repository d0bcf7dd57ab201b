//! Which addresses the host itself uses.

use std::error::Error;
use std::fs;
use std::net::IpAddr;

use ipnet::IpNet;
use tracing::warn;

use crate::driver::link;

/// What the host has routes to, the default routes apart, and its name servers. What cannot be read is left
/// out: Docker looks as well, and asks again.
pub(super) async fn taken() -> Vec<IpNet> {
    let mut taken = link::routes().await.unwrap_or_else(|error| {
        warn!(error = &error as &dyn Error, "the host's routes cannot be read");
        Vec::new()
    });
    let servers = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    taken.extend(servers.lines().filter_map(name_server));
    taken
}

/// A line of `resolv.conf(5)`.
fn name_server(line: &str) -> Option<IpNet> {
    let (key, value) = line.trim().split_once(char::is_whitespace)?;
    let value = value.trim().split('%').next()?;
    let address: IpAddr = (key == "nameserver").then(|| value.parse().ok())??;
    Some(IpNet::from(address))
}

#[cfg(test)]
mod tests {
    use super::name_server;

    fn text(net: Option<ipnet::IpNet>) -> Option<String> {
        net.map(|it| it.to_string())
    }

    #[test]
    fn name_servers_are_taken() {
        assert_eq!(text(name_server("nameserver 10.0.0.53")).as_deref(), Some("10.0.0.53/32"));
        assert_eq!(text(name_server(" nameserver\tfe80::1%eth0")).as_deref(), Some("fe80::1/128"));
        for line in ["search example.com", "# nameserver 10.0.0.53", "nameserver", ""] {
            assert_eq!(name_server(line), None, "{line}");
        }
    }
}
