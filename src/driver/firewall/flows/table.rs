//! The kernel's table of flows, over netlink (`nfnetlink_conntrack.h` of Linux).

use std::io;
use std::net::{IpAddr, SocketAddr};

use rtnetlink::sys::protocols::NETLINK_NETFILTER;
use rtnetlink::sys::{AsyncSocket, AsyncSocketExt, TokioSocket};
use rustix::io::Errno;
use rustix::net::AddressFamily;

use super::super::wanted::{Family, Protocol};

/// `NLMSG_ERROR`, `NLMSG_DONE`.
const ERROR: u16 = 2;
const DONE: u16 = 3;

/// `NLM_F_REQUEST`, `NLM_F_ACK`, `NLM_F_DUMP`.
const REQUEST: u16 = 1;
const ACK: u16 = 4;
const DUMP: u16 = 0x300;

/// `NFNL_SUBSYS_CTNETLINK` with `IPCTNL_MSG_CT_NEW`, `_GET`, `_DELETE`.
const NEW: u16 = 0x100;
const GET: u16 = 0x101;
const DELETE: u16 = 0x102;

/// `CTA_TUPLE_ORIG`, `CTA_TUPLE_REPLY`, `CTA_ID`, `CTA_ZONE`.
const ASKED: u16 = 1;
const ANSWERED: u16 = 2;
const ID: u16 = 12;
const ZONE: u16 = 18;

/// Within a tuple `CTA_TUPLE_IP`, `CTA_TUPLE_PROTO`; within the latter `CTA_PROTO_NUM`, `_SRC_PORT`, `_DST_PORT`.
const ADDRESSES: u16 = 1;
const PORTS: u16 = 2;
const NUMBER: u16 = 1;
const FROM_PORT: u16 = 2;
const TO_PORT: u16 = 3;

/// What an attribute's type is told apart by: `NLA_TYPE_MASK`.
const TYPE_MASK: u16 = 0x3fff;

/// The headers of a message, and of one about the host's packets.
const HEADER: usize = 16;
const FAMILY_HEADER: usize = 4;

/// A flow that the kernel knows, of a protocol with ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flow {
    pub(super) protocol: Protocol,
    /// Where its first packet was sent.
    pub(super) to: SocketAddr,
    /// Who answers: somebody else than `to` if it is led there.
    pub(super) answers: SocketAddr,
    /// The attributes by which the kernel knows it.
    pub(super) key: Vec<u8>,
}

/// A conversation about the table of this network namespace.
pub(super) struct Table {
    socket: TokioSocket,
}

impl Table {
    pub(super) fn open() -> io::Result<Table> {
        Ok(Table { socket: TokioSocket::new(NETLINK_NETFILTER)? })
    }

    /// Shows all flows of a family. One that comes or goes meanwhile may be missed.
    pub(super) async fn each(&self, family: Family, mut see: impl FnMut(Flow)) -> io::Result<()> {
        self.say(&message(GET, DUMP, family, &[])).await?;
        self.hear(|kind, body| {
            if kind == NEW
                && let Some(flow) = body.get(FAMILY_HEADER..).and_then(flow)
            {
                see(flow);
            }
        })
        .await
    }

    /// Forgets a flow. That it has ended by itself is no error.
    pub(super) async fn delete(&self, family: Family, flow: &Flow) -> io::Result<()> {
        self.say(&message(DELETE, ACK, family, &flow.key)).await?;
        match self.hear(|_, _| {}).await {
            Err(error) if error.raw_os_error() == Some(Errno::NOENT.raw_os_error()) => Ok(()),
            done => done,
        }
    }

    async fn say(&self, message: &[u8]) -> io::Result<()> {
        self.socket.send(message).await.map(|_| ())
    }

    /// Takes in messages up to the one that says that it was the last.
    async fn hear(&self, mut take: impl FnMut(u16, &[u8])) -> io::Result<()> {
        loop {
            let (chunk, _) = self.socket.recv_from_full().await?;
            for (kind, body) in messages(&chunk) {
                match kind {
                    DONE => return Ok(()),
                    ERROR => return result(body),
                    kind => take(kind, body),
                }
            }
        }
    }
}

/// A message about the flows of a family.
fn message(kind: u16, flags: u16, family: Family, attributes: &[u8]) -> Vec<u8> {
    let family = match family {
        Family::V4 => AddressFamily::INET,
        Family::V6 => AddressFamily::INET6,
    };
    let length = u32::try_from(HEADER + FAMILY_HEADER + attributes.len()).expect("a message is short");
    let mut message = Vec::new();
    message.extend(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend((REQUEST | flags).to_ne_bytes());
    // Neither is looked at: there is one question at a time.
    message.extend([0; 8]);
    message.extend([family.as_raw().to_ne_bytes()[0], 0, 0, 0]);
    message.extend(attributes);
    message
}

/// What an error says, of which there is none if the number is 0.
fn result(body: &[u8]) -> io::Result<()> {
    match body.first_chunk().map(|it| i32::from_ne_bytes(*it)) {
        Some(0) => Ok(()),
        Some(errno) => Err(io::Error::from_raw_os_error(-errno)),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// The kinds and bodies of the messages in a chunk.
fn messages(mut chunk: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32::from_ne_bytes(*chunk.first_chunk()?)).ok()?;
        let kind = u16::from_ne_bytes(*chunk.get(4..)?.first_chunk()?);
        let body = chunk.get(HEADER..length)?;
        chunk = chunk.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, body))
    })
}

/// The types, values and whole bytes of attributes that follow each other.
fn attributes(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8], &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(*rest.first_chunk()?));
        let kind = u16::from_ne_bytes(*rest.get(2..)?.first_chunk()?) & TYPE_MASK;
        let padded = length.next_multiple_of(4).min(rest.len());
        let found = (kind, rest.get(4..length)?, &rest[..padded]);
        rest = &rest[padded..];
        Some(found)
    })
}

fn value(all: &[u8], wanted: u16) -> Option<&[u8]> {
    attributes(all).find_map(|(kind, value, _)| (kind == wanted).then_some(value))
}

/// A flow of a protocol with ports.
fn flow(all: &[u8]) -> Option<Flow> {
    let (protocol, _, to) = tuple(value(all, ASKED)?)?;
    let (_, answers, _) = tuple(value(all, ANSWERED)?)?;
    let is_of_key = |kind: &u16| [ASKED, ID, ZONE].contains(kind);
    let key = attributes(all).filter(|(kind, ..)| is_of_key(kind)).flat_map(|(.., whole)| whole);
    Some(Flow { protocol, to, answers, key: key.copied().collect() })
}

/// The protocol, who sends, and to whom.
fn tuple(all: &[u8]) -> Option<(Protocol, SocketAddr, SocketAddr)> {
    let ports = value(all, PORTS)?;
    let protocol = Protocol::from_number(*value(ports, NUMBER)?.first()?)?;
    let port = |kind| Some(u16::from_be_bytes(*value(ports, kind)?.first_chunk()?));
    // The sender's comes first: `CTA_IP_V4_SRC` and `_DST`, or those of IPv6.
    let mut addresses = attributes(value(all, ADDRESSES)?).filter_map(|(_, value, _)| address(value));
    let (from, to) = (addresses.next()?, addresses.next()?);
    Some((protocol, SocketAddr::new(from, port(FROM_PORT)?), SocketAddr::new(to, port(TO_PORT)?)))
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Linux 6 tells of a datagram from 203.0.113.1, port 45454, to itself, port 9999, and of the end.
    const TOLD: &str = "a400000000012200010000005a10000002000000340001801400018008000100cb00710108000200cb0071011c\
        000280050001001100000006000200b18e000006000300270f0000340002801400018008000100cb00710108000200cb0071011c\
        000280050001001100000006000200270f000006000300b18e0000080003000000018e080008000000000008000c00de72a350\
        08000b000000000108000700000000771400000003000200010000005a10000000000000";

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<_> = hex.chars().filter_map(|it| it.to_digit(16)).collect();
        digits.chunks(2).map(|it| u8::try_from(it[0] * 16 + it[1]).unwrap()).collect()
    }

    #[test]
    fn a_flow_is_read_as_the_kernel_tells_it_and_named_by_what_it_is_known_by() {
        let told = bytes(TOLD);
        let told: Vec<_> = messages(&told).collect();
        assert_eq!(told.iter().map(|it| it.0).collect::<Vec<_>>(), [NEW, DONE]);

        let read = flow(&told[0].1[FAMILY_HEADER..]).unwrap();

        assert_eq!((read.protocol, read.to), (Protocol::Udp, "203.0.113.1:9999".parse().unwrap()));
        assert_eq!(read.answers, read.to);
        let named: Vec<_> = attributes(&read.key).map(|it| it.0).collect();
        assert_eq!(named, [ASKED, ID]);
    }

    #[test]
    fn what_is_cut_off_or_nonsense_is_nothing() {
        let told = bytes(TOLD);
        for length in 0..told.len() {
            for (_, body) in messages(&told[..length]) {
                let _ = body.get(FAMILY_HEADER..).and_then(flow);
            }
        }
        assert_eq!(messages(&[0; 32]).count(), 0);
        assert_eq!(attributes(&[0; 8]).next().map(|it| it.0), None);
        assert_eq!(flow(&[0xff; 64]), None);
    }
}
