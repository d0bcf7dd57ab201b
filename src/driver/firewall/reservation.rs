//! A socket that keeps a port from everybody else.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::sockopt::{set_ipv6_v6only, set_socket_reuseaddr};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, ipproto, listen, socket_with};

use super::wanted::Protocol;

/// Why a port is not reserved.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Somebody has it.
    Taken,
    /// The host does not have the address.
    NotHere,
    Other(io::Error),
}

/// Reserves a port, for as long as the socket is kept. `None`: the kernel has no sockets of the protocol,
/// so nobody could take it either.
pub(super) fn reserve(protocol: Protocol, at: SocketAddr) -> Result<Option<OwnedFd>, Refusal> {
    match bound(protocol, at) {
        Ok(socket) => Ok(Some(socket)),
        Err(Errno::ADDRINUSE) if protocol == Protocol::Tcp => listening(at).map(Some).map_err(refusal),
        Err(Errno::PROTONOSUPPORT | Errno::SOCKTNOSUPPORT) if protocol == Protocol::Sctp => Ok(None),
        Err(errno) => Err(refusal(errno)),
    }
}

/// Whether an address is one of this host's.
pub(super) fn is_here(address: SocketAddr) -> bool {
    bound(Protocol::Udp, SocketAddr::new(address.ip(), 0)).is_ok()
}

fn refusal(errno: Errno) -> Refusal {
    match errno {
        Errno::ADDRINUSE => Refusal::Taken,
        Errno::ADDRNOTAVAIL => Refusal::NotHere,
        errno => Refusal::Other(errno.into()),
    }
}

/// Does not listen: who gets here because no rule leads him elsewhere, by `::1` say, is refused.
fn bound(protocol: Protocol, at: SocketAddr) -> Result<OwnedFd, Errno> {
    let socket = socket_for(protocol, at)?;
    bind(&socket, &at)?;
    Ok(socket)
}

/// Connections that ended a moment ago stand in the way of a socket that is only bound, so that a port
/// would seem taken for a minute after its server has ended. One that listens may have the port, unless
/// another one listens or is bound as above.
fn listening(at: SocketAddr) -> Result<OwnedFd, Errno> {
    let socket = socket_for(Protocol::Tcp, at)?;
    set_socket_reuseaddr(&socket, true)?;
    bind(&socket, &at)?;
    listen(&socket, 0)?;
    Ok(socket)
}

fn socket_for(protocol: Protocol, at: SocketAddr) -> Result<OwnedFd, Errno> {
    let family = if at.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let (kind, number) = match protocol {
        Protocol::Tcp => (SocketType::STREAM, ipproto::TCP),
        Protocol::Udp => (SocketType::DGRAM, ipproto::UDP),
        Protocol::Sctp => (SocketType::STREAM, ipproto::SCTP),
    };
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC, Some(number))?;
    if at.is_ipv6() {
        // The same port of IPv4 is reserved, or not, on its own.
        set_ipv6_v6only(&socket, true)?;
    }
    Ok(socket)
}
