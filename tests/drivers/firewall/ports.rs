//! Ports that are reserved on a host.

use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};

use boathook::driver::firewall::{HostPorts, PortError, PortRequest, Ports, Protocol, Published};

use super::net::Net;

const CONTAINER: [&str; 2] = ["10.81.0.2", "fd00:81::2"];

fn request(ports: HostPorts) -> PortRequest {
    PortRequest {
        protocol: Protocol::Tcp,
        host: Some(IpAddr::from([0, 0, 0, 0])),
        ports,
        container: CONTAINER.map(|it| it.parse().expect("an address")).into(),
        container_port: 80,
    }
}

fn one(port: u16) -> PortRequest {
    request(HostPorts::Of(port..=port))
}

fn host_ports(published: &[Published]) -> Vec<u16> {
    published.iter().map(|it| it.host.port()).collect()
}

fn said(result: Result<Vec<Published>, PortError>) -> String {
    result.expect_err("it is taken").to_string()
}

#[test]
fn a_port_is_published_once_and_again_when_it_is_given_back() {
    Net::new().within(|| {
        let mut ports = Ports::new();
        ports.publish("first", &[one(8080)]).expect("a free port");

        assert_eq!(said(ports.publish("second", &[one(8080)])), "port 8080 on 0.0.0.0 is taken");
        let loopback = PortRequest { host: Some(IpAddr::from([127, 0, 0, 1])), ..one(8080) };
        assert_eq!(said(ports.publish("second", &[loopback])), "port 8080 on 127.0.0.1 is taken");
        TcpListener::bind("0.0.0.0:8080").expect_err("nobody else on the host has it either");
        TcpStream::connect("127.0.0.1:8080").expect_err("and who is not led elsewhere is refused");

        ports.withdraw("first");
        ports.publish("second", &[one(8080)]).expect("a free port");
        assert_eq!(ports.published("first").count(), 0);
    });
}

#[test]
fn what_somebody_else_on_the_host_has_is_taken() {
    Net::new().within(|| {
        let _tcp = TcpListener::bind("127.0.0.1:8080").expect("a socket");
        let _udp = UdpSocket::bind("0.0.0.0:53").expect("a socket");
        let mut ports = Ports::new();

        assert_eq!(said(ports.publish("it", &[one(8080)])), "port 8080 on 0.0.0.0 is taken");
        let udp = PortRequest { protocol: Protocol::Udp, ..one(53) };
        assert_eq!(said(ports.publish("it", &[udp])), "port 53 on 0.0.0.0 is taken");
        ports.publish("it", &[one(53)]).expect("the same number of another protocol");
        let away = PortRequest { host: Some(IpAddr::from([192, 0, 2, 1])), ..one(1) };
        assert_eq!(said(ports.publish("it", &[away])), "192.0.2.1 is no address of this host");
    });
}

#[test]
fn all_is_published_or_nothing() {
    Net::new().within(|| {
        let _other = TcpListener::bind("0.0.0.0:82").expect("a socket");
        let mut ports = Ports::new();
        ports.publish("it", &[one(80)]).expect("a free port");

        assert_eq!(said(ports.publish("it", &[one(80), one(81), one(82)])), "port 82 on 0.0.0.0 is taken");

        assert_eq!(host_ports(&ports.published("it").collect::<Vec<_>>()), [80]);
        drop(TcpListener::bind("0.0.0.0:81").expect("it is free again"));
        TcpListener::bind("0.0.0.0:80").expect_err("it is kept");
    });
}

#[test]
fn the_first_free_one_of_a_range_is_taken() {
    Net::new().within(|| {
        let _other = TcpListener::bind("0.0.0.0:8000").expect("a socket");
        let mut ports = Ports::new();
        let range = || [request(HostPorts::Of(8000..=8002))];

        assert_eq!(host_ports(&ports.publish("first", &range()).expect("a free port")), [8001]);
        assert_eq!(host_ports(&ports.publish("second", &range()).expect("a free port")), [8002]);
        let full = said(ports.publish("third", &range()));
        assert_eq!(full, "every port from 8000 to 8002 on 0.0.0.0 is taken");
    });
}

#[test]
fn without_a_number_a_free_port_is_chosen_the_same_for_both_families() {
    Net::new().within(|| {
        let mut ports = Ports::new();
        let any = || PortRequest { host: None, ..request(HostPorts::Any) };

        let first = ports.publish("first", &[any()]).expect("a free port");
        assert_eq!(first.len(), 2);
        assert_eq!(first[0].host.port(), first[1].host.port());
        assert!(first[0].host.is_ipv4() && first[1].host.is_ipv6(), "{first:?}");
        assert_eq!(ports.publish("first", &[any()]).expect("the same"), first);

        ports.withdraw("first");
        let second = ports.publish("second", &[any()]).expect("a free port");
        assert_ne!(first[0].host.port(), second[0].host.port(), "it was given back a moment ago");
    });
}

#[test]
fn a_protocol_without_sockets_is_reserved_among_ourselves() {
    Net::new().within(|| {
        let mut ports = Ports::new();
        let sctp = || PortRequest { protocol: Protocol::Sctp, ..one(90) };

        ports.publish("first", &[sctp()]).expect("a free port");

        assert_eq!(said(ports.publish("second", &[sctp()])), "port 90 on 0.0.0.0 is taken");
    });
}

#[test]
fn what_was_published_in_a_life_before_is_taken_again() {
    Net::new().within(|| {
        let published = Ports::new().publish("it", &[one(80), one(81)]).expect("free ports");
        let _thief = TcpListener::bind("0.0.0.0:81").expect("nobody holds it");

        let mut ports = Ports::new();
        let errors = ports.restore("it", &published);

        let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(errors, ["port 81 on 0.0.0.0 is taken"]);
        TcpListener::bind("0.0.0.0:80").expect_err("it is reserved");
        assert_eq!(ports.published("it").collect::<Vec<_>>(), published);
        assert_eq!(ports.publish("it", &[one(80), one(81)]).expect("the same call again"), published);
    });
}

#[test]
fn a_port_whose_connections_have_just_ended_is_free() {
    Net::new().within(|| {
        let server = TcpListener::bind("0.0.0.0:8080").expect("a socket");
        let client = TcpStream::connect("127.0.0.1:8080").expect("a connection");
        // Who ends it first remembers it for a minute.
        drop(server.accept().expect("a connection"));
        drop((client, server));

        Ports::new().publish("it", &[one(8080)]).expect("nobody listens");
    });
}
