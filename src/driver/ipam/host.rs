//! Which addresses the host itself uses.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// What the host has routes to, the default routes apart, and its name servers. What cannot be read is left
/// out: Docker looks as well, and asks again.
pub(super) fn taken() -> Vec<IpNet> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let routes = read("/proc/self/net/route").lines().filter_map(route).collect::<Vec<_>>();
    let routes6 = read("/proc/self/net/ipv6_route").lines().filter_map(route6).collect::<Vec<_>>();
    let servers = read("/etc/resolv.conf").lines().filter_map(name_server).collect::<Vec<_>>();
    routes.into_iter().chain(routes6).chain(servers).filter(|it| it.prefix_len() > 0).collect()
}

/// A line of `/proc/net/route`: the second and the eighth word are destination and mask, as the host's
/// own bytes in hexadecimal (`fib_route_seq_show` in the kernel, `net/ipv4/fib_trie.c`).
fn route(line: &str) -> Option<IpNet> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let address = |word: &&str| Some(Ipv4Addr::from(u32::from_str_radix(word, 16).ok()?.to_ne_bytes()));
    let (address, mask) = (address(words.get(1)?)?, address(words.get(7)?)?);
    IpNet::with_netmask(address.into(), mask.into()).ok()
}

/// A line of `/proc/net/ipv6_route`: destination and length of its prefix are the first words, and what
/// goes to no other host goes over `lo`, the last (`ipv6_route_native_seq_show` in the kernel,
/// `net/ipv6/route.c`).
fn route6(line: &str) -> Option<IpNet> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    if words.last() == Some(&"lo") {
        return None;
    }
    let address = u128::from_str_radix(words.first()?, 16).ok()?;
    let length = u8::from_str_radix(words.get(1)?, 16).ok()?;
    IpNet::new(Ipv6Addr::from(address).into(), length).ok()
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
    use super::{name_server, route, route6};

    fn text(net: Option<ipnet::IpNet>) -> Option<String> {
        net.map(|it| it.to_string())
    }

    #[test]
    fn routes_are_read_as_the_kernel_writes_them() {
        let head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT";
        assert_eq!(route(head), None);
        // The kernel writes the number that the bytes of the address are on this host.
        let number = |bytes: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(bytes));
        let (address, mask) = (number([172, 17, 0, 0]), number([255, 255, 0, 0]));
        let line = format!("docker0\t{address}\t00000000\t0001\t0\t0\t0\t{mask}\t0\t0\t0");
        assert_eq!(text(route(&line)).as_deref(), Some("172.17.0.0/16"));

        let none = "00000000000000000000000000000000 00";
        let line =
            format!("fd000001000000000000000000000000 40 {none} {none} 00000100 1 0 00000001     eth0");
        assert_eq!(text(route6(&line)).as_deref(), Some("fd00:1::/64"));
        assert_eq!(route6(&line.replace("eth0", "lo")), None);
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
