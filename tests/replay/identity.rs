//! Every recorded start on a network of the plugin's, asked of the real daemon: whose is it?
//!
//! The calls are those of `tests/transcripts`, in their order; the engine that boathook asks between them is
//! played, and tells what an engine tells at that moment. Whom a hook at `net_ready` is told of has to be the
//! container that the recording starts, at the first call at which that can be known, and at no other.

mod engine;
mod recording;
mod stage;

use std::fs;
use std::path::Path;

use serde_json::Value;

use self::recording::{Call, Recording};
use self::stage::Stage;
use crate::engine::{Generation, Sandbox};

/// What is replayed where it was recorded: starts by the API and by the engine, restarts, second networks,
/// connections, and starts that fail.
const SCENARIOS: [&str; 12] = [
    "daemon-kill9",
    "daemon-kill9-live-restore",
    "daemon-restart",
    "daemon-restart-live-restore",
    "endpoint-to-container",
    "network-connect-stopped",
    "network-create-connect-disconnect-rm",
    "network-run",
    "network-two-networks",
    "plugin-dead-while-container-exits",
    "sandboxkey-at-join",
    "start-fails-on-plugin-network",
];

/// Who a hook was told of: the endpoint, the container if it was one, and in which call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Told {
    endpoint: String,
    container: Option<String>,
    call: String,
}

/// Replays what was recorded of an engine; how many starts were asked about. `None`: there can be no sandbox
/// here, and that is allowed.
fn replay_all(on: Generation, version: &str) -> Option<usize> {
    let mut starts = 0;
    for recording in SCENARIOS.iter().filter_map(|it| Recording::of(version, it)) {
        let expected = expected(&recording, on);
        // Nothing of its engine is used.
        replay(Sandbox::available_on(on)?, &recording, on, &expected);
        starts += expected.len();
    }
    Some(starts)
}

/// Replays one scenario, and looks who was told of.
fn replay(sandbox: Sandbox, recording: &Recording, on: Generation, expected: &[Told]) {
    let records = sandbox.dir().join("records");
    let mut stage = Stage::open(sandbox, recording, is_in_namespace(on));
    let mut told = Vec::new();
    for call in &recording.calls {
        stage.play(call);
        told.extend(new_records(&records, &call.method, told.len()));
    }
    assert_eq!(told, expected, "{}", recording.scenario);
}

/// What hooks have written beyond what is known.
fn new_records(records: &Path, method: &str, known: usize) -> Vec<Told> {
    let entries = fs::read_dir(records).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|it| it.path()).collect();
    paths.retain(|it| it.extension().is_some_and(|it| it == "json"));
    paths.sort();
    let new = paths.into_iter().skip(known).map(|path| {
        let text = fs::read_to_string(path).expect("a record can be read");
        let document: Value = serde_json::from_str(&text).expect("a document is JSON");
        let mut networks = document["networks"].as_array().expect("networks").iter();
        let joined = networks.find(|it| it["network_id"] == document["network"]["id"]);
        let endpoint = joined.and_then(|it| it["endpoint_id"].as_str());
        Told {
            endpoint: endpoint.expect("the network that is joined has the endpoint").to_owned(),
            container: document["container"]["id"].as_str().map(str::to_owned),
            call: method.to_owned(),
        }
    });
    new.collect()
}

/// Whether a container's first process is there before its networks are.
fn is_in_namespace(on: Generation) -> bool {
    on >= Generation::V28_5
}

/// Who has to be told of: of each endpoint that joins what does not run, once.
fn expected(recording: &Recording, on: Generation) -> Vec<Told> {
    let joins = recording.calls.iter().enumerate().filter(|(_, it)| it.method == "NetworkDriver.Join");
    let starts = joins.filter(|(at, _)| !recording.is_connected(*at));
    let told = starts.filter_map(|(at, join)| {
        let endpoint = join.endpoint()?;
        let later = recording.calls[at + 1..].iter().find(|it| it.endpoint() == Some(endpoint))?;
        let call: &Call = if is_in_namespace(on) { join } else { later };
        let asks = ["Join", "ProgramExternalConnectivity", "EndpointOperInfo"];
        let is_asked = asks.iter().any(|it| call.method == format!("NetworkDriver.{it}"));
        is_asked.then(|| Told {
            endpoint: endpoint.to_owned(),
            container: Some(recording.owner(at).to_owned()),
            call: call.method.clone(),
        })
    });
    told.collect()
}

#[test]
fn every_start_that_engine_20_10_tells_of_is_known_when_the_network_has_its_container() {
    let Some(starts) = replay_all(Generation::V20_10, "20.10.24") else { return };
    assert!(starts >= 12, "{starts}");
}

#[test]
fn every_start_that_engine_26_1_tells_of_is_known_when_the_network_has_its_container() {
    let Some(starts) = replay_all(Generation::V26_1, "26.1.5") else { return };
    assert!(starts >= 10, "{starts}");
}

#[test]
fn every_start_that_engine_28_5_tells_of_is_known_when_it_joins() {
    let Some(starts) = replay_all(Generation::V28_5, "28.5.2") else { return };
    assert!(starts >= 12, "{starts}");
}
