//! From an event of a real engine to the first instruction of the hook.

use std::env;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use crate::engine::{BoathookOptions, DockerdOptions, Sandbox};
use crate::measure::{Reach, Report, Row, Unit, daemon_program, quantile};
use crate::stamp::Stamp;
use crate::stream::{Event, Follower};

/// How many containers are removed for each side.
const REMOVED: usize = 60;

/// How many containers are started for each side: starting one takes a third of a second.
const STARTED: usize = 25;

/// For a hook to begin.
const LIMIT: Duration = Duration::from_secs(10);

/// Measures both sides on one engine, container by container in turns; each side has half of the containers
/// to itself, so that nobody spawns while the other does.
///
/// # Panics
///
/// When the engine refuses something.
pub fn measure(report: &mut Report) {
    let Some(sandbox) = Sandbox::available() else { return };
    let program = sandbox.dir().join("stamp");
    fs::copy(env::current_exe().expect("the path of this program"), &program).expect("copy a program");
    let stamp = |name| Stamp::new(program.clone(), sandbox.dir().join(name), Duration::ZERO);
    // They live as long as the thread that uses them, which is as long as we do.
    let floor: &'static Stamps =
        Box::leak(Box::new(Stamps { removed: stamp("floor-removed"), started: stamp("floor-started") }));
    let boathook = Stamps { removed: stamp("removed"), started: stamp("started") };
    // What it owes has to be on disk before its process exists.
    let owing = Stamps { removed: stamp("owing-removed"), started: stamp("owing-started") };
    let config = format!(
        "version: 1\nstate_dir: {}/state\nhooks:\n  \
         - {{name: removed, at: post_remove, when: {{name: \"removed-boathook-*\"}}, exec: {}}}\n  \
         - {{name: started, at: post_start, when: {{name: \"started-boathook-*\"}}, exec: {}}}\n  \
         - {{name: owing, at: post_start, when: {{name: \"started-owing-*\"}}, exec: {}, cleanup: {{exec: [/bin/true]}}}}\n",
        sandbox.dir().display(),
        boathook.removed.exec(),
        boathook.started.exec(),
        owing.started.exec(),
    );
    let program = daemon_program(env!("CARGO_BIN_EXE_boathook"));
    let daemon = sandbox.start_boathook(&config, BoathookOptions::new(&program));
    sandbox.start_dockerd(DockerdOptions {
        authorization_plugin: Some("boathook"),
        ..DockerdOptions::default()
    });
    sandbox.import_busybox();
    daemon.wait_for_log("boathook to follow", |it| it["message"] == "following docker's events");
    let follower = Follower::start(&sandbox.docker_socket(), |event| floor.choose(event));

    let engine = sandbox.docker_socket();
    for number in 1..=REMOVED {
        for (side, stamps) in in_turns(number, floor, &boathook) {
            let name = format!("removed-{side}-{number}");
            create(&engine, &name);
            call(&engine, "DELETE", &format!("/containers/{name}"), "");
            stamps.removed.wait_for(number, LIMIT);
        }
    }
    for number in 1..=STARTED {
        let sides = in_turns(number, floor, &boathook).into_iter().chain([("owing", &owing)]);
        for (side, stamps) in sides {
            let name = format!("started-{side}-{number}");
            create(&engine, &name);
            call(&engine, "POST", &format!("/containers/{name}/start"), "");
            stamps.started.wait_for(number, LIMIT);
            call(&engine, "DELETE", &format!("/containers/{name}?force=1"), "");
        }
    }
    let events = follower.stop();
    push(
        report,
        "event to hook, dockerd 20.10, destroy",
        [floor, &boathook].map(|it| delays(&it.removed, &events, "destroy")),
    );
    push(
        report,
        "event to hook, dockerd 20.10, start",
        [floor, &boathook].map(|it| delays(&it.started, &events, "start")),
    );
    let [without, with] = [&boathook, &owing].map(|it| delays(&it.started, &events, "start"));
    let median = |delays: Vec<f64>| quantile(delays, 0.5);
    report.push(
        Row::value(
            "event to hook, dockerd 20.10, start",
            "with a debt, median",
            Unit::Milliseconds,
            median(with),
        )
        .against_value("without a debt", median(without)),
    );
}

/// Both sides; who comes first changes with `number`.
fn in_turns<'a>(number: usize, floor: &'a Stamps, boathook: &'a Stamps) -> [(&'static str, &'a Stamps); 2] {
    let mut sides = [("floor", floor), ("boathook", boathook)];
    sides.rotate_left(number % 2);
    sides
}

/// Where the hooks of one side leave their stamps.
struct Stamps {
    removed: Stamp,
    started: Stamp,
}

impl Stamps {
    /// What the floor runs for an event.
    fn choose(&self, event: &Event) -> Option<&Stamp> {
        let name = event.name();
        match event.action.as_str() {
            "destroy" if name.starts_with("removed-floor-") => Some(&self.removed),
            "start" if name.starts_with("started-floor-") => Some(&self.started),
            _ => None,
        }
    }
}

fn push(report: &mut Report, work: &str, [floor, boathook]: [Vec<f64>; 2]) {
    for (name, part) in [("median", 0.5), ("nine in ten", 0.9)] {
        let of = |delays: &[f64]| quantile(delays.iter().copied(), part);
        let row = Row::value(work, name, Unit::Milliseconds, of(&boathook))
            .against_value("parse, posix_spawn", of(&floor));
        report.push(if part == 0.5 { row.reach(Reach::Times(1.3)) } else { row });
    }
}

/// How long after its event each hook of a side began, in milliseconds.
fn delays(stamp: &Stamp, events: &[Event], action: &str) -> Vec<f64> {
    let stamps = stamp.read();
    let events = events.iter().filter(|it| it.action == action);
    events.filter_map(|it| Some((stamps.get(&it.actor.id)? - it.time_nano) as f64 / 1e6)).collect()
}

fn create(engine: &Path, name: &str) {
    let body = r#"{"Image":"busybox:test","Cmd":["sleep","1000"]}"#;
    call(engine, "POST", &format!("/containers/create?name={name}"), body);
}

/// Makes a call of the Engine API that must not fail.
fn call(engine: &Path, method: &str, target: &str, body: &str) {
    let mut connection = UnixStream::connect(engine).expect("an engine that listens");
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: docker\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    connection.write_all(head.as_bytes()).expect("write to an engine that lives");
    let mut reply = String::new();
    connection.read_to_string(&mut reply).expect("read from an engine that lives");
    assert!(reply.starts_with("HTTP/1.1 20"), "{method} {target}: {reply}");
}
