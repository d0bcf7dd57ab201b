//! A host is booted: boathook is there before the engine, and the engine's API after its containers.

use std::fs;

use jiff::Timestamp;

use super::house::{House, NETWORK};
use crate::engine::Generation;
use crate::every_engine::on_every_engine;

on_every_engine!(containers_are_up_before_the_engine_answers_anybody);
fn containers_are_up_before_the_engine_answers_anybody(on: Generation) {
    let Some(mut house) = House::start(on) else { return };
    let subnet = ["--subnet", "10.90.0.0/24"];
    house.docker(&[&NETWORK[..], &subnet, &["lan"]].concat());
    house.docker(&["volume", "create", "-d", "boathook", "pages"]);
    house.docker(&from_volume("web", &["-p", "8080:80", "--ip", "10.90.0.77"]));
    house.docker(&from_volume("other", &[]));
    house.docker(&["exec", "web", "sh", "-c", "echo kept > /www/index.html"]);
    let pids = house.docker(&["inspect", "-f", "{{.State.Pid}}", "web", "other"]).replace('\n', " ");

    house.dockerd.kill9();
    house.boathook.kill9();
    house.host(&format!("kill -9 {pids}"));
    house.host("iptables -F; iptables -t nat -F; ip6tables -F; ip6tables -t nat -F");
    for link in house.links() {
        // A port goes with the namespace that its other end is in, which may be by itself.
        house.host(&format!("ip link del {link} || ! ip link show {link}"));
    }
    house.start_boathook();
    house.dockerd.start();

    for name in ["web", "other"] {
        let started_at = house.docker(&["inspect", "-f", "{{.State.StartedAt}}", name]);
        let started_at: Timestamp = started_at.parse().expect("an instant");
        assert!(started_at < house.answers_since(), "{name} starts before the API answers");
    }
    house.wait_until("the volume to be read", |it| it.host_reads("127.0.0.1:8080", "kept"));
    assert!(house.reads("other", "web:80", "kept"), "by name");
    assert!(house.host_reads("10.90.0.77:80", "kept"), "by its address");
    assert_eq!(house.addresses("web")[0].to_string(), "10.90.0.77");
    house.assert_no_address_twice();
    assert_eq!(house.links().len(), 3, "a bridge and two ports: {:?}", house.links());

    house.docker(&["rm", "-f", "web", "other"]);
    house.docker(&["network", "rm", "lan"]);
    house.docker(&["volume", "rm", "pages"]);
    house.assert_nothing_is_left();
}

impl House {
    /// When the present engine has begun to answer on its socket, as it has logged it.
    fn answers_since(&self) -> Timestamp {
        let log = fs::read_to_string(self.sandbox.dir().join("dockerd.log")).expect("the engine logs");
        let line = log.lines().rfind(|it| it.contains("API listen on")).expect("it has a socket");
        let (_, time) = line.split_once("time=\"").expect("a line has a time");
        time.split('"').next().expect("it ends").parse().expect("an instant")
    }
}

/// How to run a container that is always restarted, and serves what is in the volume `pages`.
fn from_volume<'a>(name: &'a str, options: &[&'a str]) -> Vec<&'a str> {
    let front = ["run", "-d", "--name", name, "--network", "lan", "--restart", "always", "-v", "pages:/www"];
    [&front, options, &["busybox:test", "httpd", "-f", "-p", "80", "-h", "/www"]].concat()
}
