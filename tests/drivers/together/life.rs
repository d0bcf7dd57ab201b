//! A network whose driver and addresses are boathook's, from its making to its end.

use super::house::{House, NETWORK, server};
use crate::engine::Generation;
use crate::every_engine::on_every_engine;

on_every_engine!(a_network_with_our_addresses_does_what_a_built_in_one_does);
fn a_network_with_our_addresses_does_what_a_built_in_one_does(on: Generation) {
    let Some(house) = House::start(on) else { return };
    house.docker(&[&NETWORK[..], &["lan"]].concat());
    house.docker(&server("web", "lan", &["-p", "8080:80", "--restart", "always"]));
    house.docker(&server("other", "lan", &[]));
    house.wait_for_server("web");
    house.wait_for_server("other");
    house.assert_no_address_twice();

    let [v4, v6] = house.addresses("web")[..] else { panic!("{:?}", house.addresses("web")) };
    let [gateway, gateway6] = house.gateways("web")[..] else { panic!("{:?}", house.gateways("web")) };
    for place in ["web:80", &format!("{v4}:80"), &format!("[{v6}]:80")] {
        assert!(house.reads("other", place, "web"), "a neighbour at {place}");
    }
    for place in [format!("{gateway}:8080"), format!("[{gateway6}]:8080")] {
        assert!(house.reads("other", &place, "web"), "a neighbour, published, at {place}");
    }
    house.docker(&["exec", "other", "ping", "-c", "1", "-W", "5", &gateway.to_string()]);
    house.docker(&["exec", "other", "ping6", "-c", "1", "-W", "5", &gateway6.to_string()]);
    for place in ["127.0.0.1:8080", &format!("{gateway}:8080"), &format!("[{gateway6}]:8080")] {
        assert!(house.host_reads(place, "web"), "the host at {place}");
    }

    house.docker(&["rm", "-f", "web", "other"]);
    house.docker(&["network", "rm", "lan"]);
    house.assert_nothing_is_left();
}

on_every_engine!(a_container_is_restarted_and_moved_between_networks_while_it_runs);
fn a_container_is_restarted_and_moved_between_networks_while_it_runs(on: Generation) {
    let Some(house) = House::start(on) else { return };
    house.docker(&[&NETWORK[..], &["lan"]].concat());
    house.docker(&["network", "create", "-d", "boathook", "--ipam-driver", "boathook", "side"]);
    house.docker(&server("web", "lan", &["-p", "8080:80", "--restart", "always"]));
    house.docker(&server("other", "side", &[]));
    house.wait_for_server("web");
    house.wait_for_server("other");
    let pid = house.docker(&["inspect", "-f", "{{.State.Pid}}", "web"]);

    house.docker(&["network", "connect", "side", "web"]);
    house.assert_no_address_twice();
    assert!(house.reads("other", "web:80", "web"), "connected");

    house.host(&format!("kill -9 {pid}"));
    house.wait_until("web to be restarted", |it| it.host_reads("127.0.0.1:8080", "web"));
    house.assert_no_address_twice();
    assert!(house.reads("other", "web:80", "web"), "on both networks again");

    house.docker(&["network", "disconnect", "side", "web"]);
    assert!(!house.reads("other", "web:80", "web"), "disconnected");
    assert!(house.host_reads("127.0.0.1:8080", "web"), "on the other network still");

    house.docker(&["rm", "-f", "web", "other"]);
    house.docker(&["network", "rm", "lan", "side"]);
    house.assert_nothing_is_left();
}
