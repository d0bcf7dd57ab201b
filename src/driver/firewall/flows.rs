//! What the kernel remembers of who speaks to whom, where that has become wrong.
//!
//! Where a packet is led is looked up in the rules for the first one of a flow only. A client that goes on
//! sending, as those of UDP do, is led to a container that is gone, or to nobody, for as long as it does;
//! the next container with the port never hears of it. So flows to a port are forgotten when it is published
//! and when it is withdrawn, as dockerd does (`clearConntrackEntries` in moby,
//! `libnetwork/drivers/bridge/bridge_linux.go`).

mod table;

use std::io;
use std::time::Duration;

use tokio::time::timeout;
use tracing::{debug, warn};

use self::table::{Flow, Table};
use super::reservation::is_here;
use super::wanted::{Family, Protocol, Published};

/// A hundred thousand flows are told of in a tenth of a second. Whoever waits for a port waits no longer than
/// this for somebody else's flows.
const LIMIT: Duration = Duration::from_secs(2);

/// Forgets the flows that were led to these ports, or should have been.
///
/// There is nobody who could do anything about a failure: then flows end by themselves, half a minute after
/// their last packet.
pub async fn forget(published: &[Published]) {
    for family in Family::ALL {
        let of_it: Vec<_> = published.iter().filter(|it| Family::of(it.host.ip()) == family).collect();
        if of_it.is_empty() {
            continue;
        }
        match timeout(LIMIT, forget_those(family, &of_it)).await {
            Ok(Ok(0)) => {}
            Ok(Ok(flows)) => debug!(flows, ?family, "flows to published ports are forgotten"),
            Ok(Err(error)) => warn!(%error, "the host's flows cannot be looked at"),
            Err(_) => warn!("the host has too many flows to look at"),
        }
    }
}

/// How many there were.
async fn forget_those(family: Family, published: &[&Published]) -> io::Result<usize> {
    let table = Table::open()?;
    let mut wrong = Vec::new();
    table
        .each(family, |flow| {
            if published.iter().any(|it| is_wrong(&flow, it, |flow| is_here(flow.to))) {
                wrong.push(flow);
            }
        })
        .await?;
    for flow in &wrong {
        table.delete(family, flow).await?;
    }
    Ok(wrong.len())
}

/// Whether a flow leads to the container of a published port, or came for the port and leads elsewhere.
///
/// Of UDP only: a server of TCP has to be greeted anew, which the rules see. `is_to_host` keeps what the
/// host passes on to a port of that number elsewhere, the name servers' say.
fn is_wrong(flow: &Flow, published: &Published, is_to_host: impl Fn(&Flow) -> bool) -> bool {
    flow.protocol == published.protocol
        && (flow.answers == published.container
            || (flow.protocol == Protocol::Udp
                && flow.to.port() == published.host.port()
                && (published.host == flow.to || (published.host.ip().is_unspecified() && is_to_host(flow)))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(protocol: Protocol, host: &str) -> Published {
        Published { protocol, host: host.parse().unwrap(), container: "10.1.0.2:53".parse().unwrap() }
    }

    fn flow(protocol: Protocol, to: &str, answers: &str) -> Flow {
        Flow { protocol, to: to.parse().unwrap(), answers: answers.parse().unwrap(), key: Vec::new() }
    }

    #[test]
    fn a_flow_is_wrong_that_leads_to_the_container_or_came_for_the_port() {
        let (udp, tcp) = (Protocol::Udp, Protocol::Tcp);
        let everywhere = published(udp, "0.0.0.0:5353");
        let is_here = |it: &Flow| it.to.ip().to_string() == "192.0.2.1";

        let led = flow(udp, "192.0.2.1:5353", "10.1.0.2:53");
        let unled = flow(udp, "192.0.2.1:5353", "192.0.2.1:5353");
        let passed_on = flow(udp, "198.51.100.9:5353", "198.51.100.9:5353");
        let other = flow(udp, "192.0.2.1:5354", "192.0.2.1:5354");
        assert!(is_wrong(&led, &everywhere, is_here));
        assert!(is_wrong(&unled, &everywhere, is_here));
        assert!(!is_wrong(&passed_on, &everywhere, is_here));
        assert!(!is_wrong(&other, &everywhere, is_here));

        let at_one = published(udp, "192.0.2.2:5353");
        assert!(!is_wrong(&unled, &at_one, is_here));
        assert!(is_wrong(&flow(udp, "192.0.2.2:5353", "192.0.2.2:5353"), &at_one, is_here));

        let greeted = published(tcp, "0.0.0.0:5353");
        assert!(is_wrong(&flow(tcp, "192.0.2.1:5353", "10.1.0.2:53"), &greeted, is_here));
        assert!(!is_wrong(&flow(tcp, "192.0.2.1:5353", "192.0.2.1:5353"), &greeted, is_here));
        assert!(!is_wrong(&led, &greeted, is_here));
    }
}
