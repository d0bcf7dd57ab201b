//! What our bridge and our addresses cost beside those that are built in. Nothing is asserted: it is printed.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::house::{House, NETWORK};
use crate::engine::Generation;

/// Enough for a median that two calls on a busy machine do not move.
const RUNS: usize = 15;

/// Of three seconds each.
const TRANSFERS: usize = 5;

/// Has busybox's image and iperf3 with its libraries in one.
const IMAGE: &str = "set -e; iperf3=$(command -v iperf3)
    cp -L --parents $iperf3 $(ldd $iperf3 | grep -o '/[^ ]*') busybox/
    tar -C busybox -cf iperf3.tar .";

#[test]
#[ignore = "measures for a minute or two, and wants iperf3 and an idle machine"]
fn our_bridge_beside_the_built_in_one() {
    let Some(house) = House::start(Generation::V28_5) else { return };
    house.host(IMAGE);
    house.docker(&["import", "iperf3.tar", "iperf3:test"]);
    house.docker(&[&NETWORK[..], &["ours"]].concat());
    house.docker(&["network", "create", "--ipv6", "--subnet", "fd00:91::/64", "built-in"]);
    for network in ["ours", "built-in"] {
        let server = ["run", "-d", "--name", network, "--network", network, "iperf3:test", "iperf3", "-s"];
        house.docker(&server);
    }

    let times = in_turns(RUNS, |network| house.time_of_a_run(network).as_secs_f64() * 1e3);
    println!("docker run: {}", compared(times, "ms"));
    let speeds = in_turns(TRANSFERS, |network| house.throughput(network));
    println!("throughput: {}", compared(speeds, "Gbit/s"));
}

impl House {
    fn time_of_a_run(&self, network: &str) -> Duration {
        let begun_at = Instant::now();
        self.docker(&["run", "--rm", "--network", network, "busybox:test", "true"]);
        begun_at.elapsed()
    }

    fn throughput(&self, network: &str) -> f64 {
        let client =
            ["run", "--rm", "--network", network, "iperf3:test", "iperf3", "-J", "-t", "3", "-c", network];
        let report: Value = serde_json::from_str(&self.docker(&client)).expect("iperf3 prints JSON");
        report["end"]["sum_received"]["bits_per_second"].as_f64().expect("a speed") / 1e9
    }
}

/// The medians of ours and the built-in, measured by turns so that what disturbs one disturbs both.
fn in_turns(rounds: usize, measure: impl Fn(&str) -> f64) -> [f64; 2] {
    let mut all = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        all[0].push(measure("ours"));
        all[1].push(measure("built-in"));
    }
    all.map(|mut it| {
        it.sort_by(f64::total_cmp);
        it[it.len() / 2]
    })
}

fn compared([ours, built_in]: [f64; 2], unit: &str) -> String {
    format!("ours {ours:.1} {unit}, built-in {built_in:.1} {unit}, ratio {:.2}", ours / built_in)
}
