//! A host on which a recording is played: the real daemon, and a played engine that makes the recorded calls.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::engine::{Container, Engine, State};
use super::recording::{Call, Recording};
use crate::engine::{Boathook, BoathookOptions, Sandbox, wait_for};

/// For a call to be answered, and for a process to be where it has to be.
const LIMIT: Duration = Duration::from_secs(60);

/// Keeps the document of each run, and a mark for each container that has started.
const RECORD: &str = "#!/bin/sh\n\
    mkdir -p @DIR@/records @DIR@/seen\n\
    if [ $HOOK_POINT = post_start ]; then exec touch @DIR@/seen/$CONTAINER_ID; fi\n\
    cat > @DIR@/records/$HOOK_RUN_ID && mv @DIR@/records/$HOOK_RUN_ID @DIR@/records/$HOOK_RUN_ID.json\n";

/// A process that is a container's, in a control group of its id, and in the network namespace of a file.
const SLEEPER: &str = "\
    for groups in /sys/fs/cgroup/pids /sys/fs/cgroup; do [ -e $groups/cgroup.procs ] && break; done\n\
    mkdir -p $groups/@NAME@/@ID@ && echo $$ > $groups/@NAME@/@ID@/cgroup.procs\n\
    mkdir -p $(dirname @KEY@) && touch @KEY@ && mount --bind /proc/$$/ns/net @KEY@ && touch @KEY@.there\n\
    exec sleep 1000\n";

pub(super) struct Stage<'a> {
    recording: &'a Recording,
    // Gone before the folder of its socket.
    engine: Engine,
    boathook: Boathook,
    sandbox: Sandbox,
    /// Whether the first process of a container is there before its networks are.
    in_namespace: bool,
    /// How many calls and events have been played.
    calls: usize,
    events: usize,
}

impl<'a> Stage<'a> {
    pub(super) fn open(sandbox: Sandbox, recording: &'a Recording, in_namespace: bool) -> Stage<'a> {
        let dir = sandbox.dir().display().to_string();
        sandbox.write_program("record", &RECORD.replace("@DIR@", &dir));
        let engine = Engine::open(&sandbox.docker_socket());
        let config = format!(
            "version: 1\nstate_dir: {dir}/state\nplugin: {{kinds: [authz, network]}}\nhooks:\n\
             \x20 - {{name: record, at: [net_ready, post_start], exec: [./record]}}\n"
        );
        let options = BoathookOptions::new(Path::new(env!("CARGO_BIN_EXE_boathook")));
        let boathook = sandbox.start_boathook(&config, options);
        boathook.wait_for_log("that it follows", |it| it["message"] == "following docker's events");
        Stage { recording, engine, boathook, sandbox, in_namespace, calls: 0, events: 0 }
    }

    /// Makes the next call, once all is told that comes before it.
    pub(super) fn play(&mut self, call: &Call) {
        self.tell_until(call.at);
        let at = self.calls;
        self.calls += 1;
        // What the engine first asks when it starts.
        if call.method == "Plugin.Activate" {
            self.wait_until_all_is_seen();
            self.engine.end();
        }
        self.know(call);
        let mut body = call.body.clone();
        if let Some(key) = body["SandboxKey"].as_str() {
            let key = key.replace("/SANDBOX", &self.sandbox.dir().display().to_string());
            self.populate(at, &key);
            body["SandboxKey"] = Value::from(key);
        }
        self.call(&call.method, &body);
    }

    /// What the engine has told until then.
    fn tell_until(&mut self, at: f64) {
        while let Some((_, event)) = self.recording.events.get(self.events).filter(|it| it.0 < at) {
            self.events += 1;
            self.engine.change(|state| state.happens(event, self.recording));
        }
    }

    /// Waits until boathook has looked at all that has started.
    fn wait_until_all_is_seen(&self) {
        let seen = self.sandbox.dir().join("seen");
        let started: Vec<String> = self.engine.change(|state| {
            let started = state.containers.iter().filter(|(_, it)| it.started_at.is_some());
            started.map(|(id, _)| id.clone()).collect()
        });
        wait_for("all starts to be seen", LIMIT, || {
            started.iter().all(|it| seen.join(it).exists()).then_some(())
        });
    }

    /// What the engine knows when it makes a call.
    fn know(&self, call: &Call) {
        self.engine.change(|state| {
            // An engine whose API is used has started.
            state.answers |= call.api().is_some();
            match (&*call.method, call.api().map(|it| it.1).as_deref()) {
                ("AuthZPlugin.AuthZRes", Some(["networks", "create"])) => state.networks_are_made(call),
                ("AuthZPlugin.AuthZReq", Some(["networks", network, "connect"])) => {
                    let container = call.shown("RequestBody")["Container"].as_str().map(str::to_owned);
                    let id = self.recording.id_of(&container.expect("a container is connected"));
                    let container = state.containers.get_mut(id).expect("it has been created");
                    container.networks.insert((*network).to_owned(), String::new());
                }
                (method, None) => state.endpoint_is_told(method, call, self.recording),
                _ => {}
            }
        });
    }

    /// Has a process in the network namespace that a container joins by, if there is one at that moment.
    fn populate(&self, at: usize, key: &str) {
        if !self.in_namespace && !self.recording.is_connected(at) {
            return;
        }
        let name = self.sandbox.dir().file_name().expect("a folder with a name").display().to_string();
        let script =
            SLEEPER.replace("@NAME@", &name).replace("@ID@", self.recording.owner(at)).replace("@KEY@", key);
        self.sandbox.spawn(&["unshare", "--net", "sh", "-ec", &script]);
        let there = format!("{key}.there");
        wait_for("a process in its namespace", LIMIT, || fs::metadata(&there).is_ok().then_some(()));
    }

    fn call(&self, method: &str, body: &Value) {
        let mut plugin = UnixStream::connect(self.boathook.socket()).expect("boathook listens");
        plugin.set_read_timeout(Some(LIMIT)).expect("a limit");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let head = format!("POST /{method} HTTP/1.1\r\nHost: \r\nConnection: close\r\n");
        let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        plugin.write_all(request.as_bytes()).expect("boathook reads");
        let mut answer = String::new();
        plugin.read_to_string(&mut answer).expect("boathook answers");
        assert!(
            answer.starts_with("HTTP/1.1 200 "),
            "{}: {method} {body}: {answer}",
            self.recording.scenario
        );
    }
}

impl State {
    fn networks_are_made(&mut self, call: &Call) {
        let Some(id) = call.shown("ResponseBody")["Id"].as_str().map(str::to_owned) else { return };
        let name = call.shown("RequestBody")["Name"].as_str().unwrap_or_default().to_owned();
        self.networks.entry(id).or_default().name = name;
    }

    /// A driver is called: what the network tells of the endpoint meanwhile.
    fn endpoint_is_told(&mut self, method: &str, call: &Call, recording: &Recording) {
        let (Some(network), Some(endpoint)) = (call.body["NetworkID"].as_str(), call.endpoint()) else {
            return;
        };
        let endpoints = &mut self.networks.entry(network.into()).or_default().endpoints;
        let owner = recording.owner_of(endpoint).map(str::to_owned);
        match (method, owner) {
            ("NetworkDriver.Join", _) => endpoints.insert(endpoint.into(), format!("ep-{endpoint}")),
            ("NetworkDriver.ProgramExternalConnectivity" | "NetworkDriver.EndpointOperInfo", Some(owner)) => {
                endpoints.insert(endpoint.into(), owner)
            }
            ("NetworkDriver.DeleteEndpoint", _) => endpoints.remove(endpoint),
            _ => None,
        };
    }

    /// Something happens in the engine, and is told.
    fn happens(&mut self, event: &Value, recording: &Recording) {
        let id = event["Actor"]["ID"].as_str().unwrap_or_default();
        let now = Timestamp::now();
        match (event["Type"].as_str(), event["Action"].as_str()) {
            (Some("container"), Some("create")) => {
                let creation = recording.creation(id);
                let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
                let network = text(&creation["HostConfig"]["NetworkMode"]);
                let container = Container {
                    name: text(&event["Actor"]["Attributes"]["name"]),
                    policy: text(&creation["HostConfig"]["RestartPolicy"]["Name"]),
                    status: "created",
                    started_at: None,
                    networks: BTreeMap::from([(network, String::new())]),
                };
                self.containers.insert(id.into(), container);
            }
            (Some("container"), Some("start")) => self.starts(id, now),
            (Some("container"), Some("die")) => {
                self.containers.entry(id.into()).and_modify(|it| it.status = "exited");
            }
            (Some("container"), Some("destroy")) => drop(self.containers.remove(id)),
            (Some("network"), Some("connect" | "disconnect")) => {}
            _ => return,
        }
        let mut event = event.clone();
        let nanoseconds = i64::try_from(now.as_nanosecond()).expect("a clock before 2262");
        event["timeNano"] = json!(nanoseconds);
        event["time"] = json!(nanoseconds / 1_000_000_000);
        self.events.push(format!("{event}\n"));
    }

    fn starts(&mut self, id: &str, now: Timestamp) {
        let Some(container) = self.containers.get_mut(id) else { return };
        (container.status, container.started_at) = ("running", Some(now));
        for network in self.networks.values() {
            if let Some((endpoint, _)) = network.endpoints.iter().find(|(_, key)| *key == id) {
                container.networks.insert(network.name.clone(), endpoint.clone());
            }
        }
    }
}
