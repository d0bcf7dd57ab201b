//! A daemon that starts where many containers are known: how soon it decides, and how long it compares.
//!
//! The one before it has written them down. All run, so each is looked up once more: the list does not tell a
//! restart. Meanwhile a gate is asked again and again.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::measure::{Core, Daemon, Reach, Report, Row, Scratch, Unit, daemon_program};
use crate::played::{Container, Played};

/// How many containers there are.
const KNOWN: usize = 10_000;

/// For all of them to be looked up.
const LIMIT: Duration = Duration::from_secs(120);

/// A gate that says no by itself to one name, so that each creation is decided on.
const CONFIG: &str = "hooks:\n  - {name: gate, at: pre_create, when: {name: not-this}, deny: no}\n  \
    - {name: last, at: post_remove, when: {name: nobody}, exec: [/bin/true]}\n";

pub(crate) fn measure(report: &mut Report) {
    let scratch = Scratch::new();
    let inspect = |id: &str| Some(Container { id, name: &id[..12] }.inspect());
    let played = Played::open(scratch.path("docker.sock"), inspect);
    let ids: Vec<String> = (0..KNOWN).map(Container::id_of).collect();
    played.list(ids.iter().map(|id| Container { id, name: &id[..12] }));
    let (program, state_dir) = (daemon_program(env!("CARGO_BIN_EXE_boathook")), scratch.path("state"));
    let start = || Daemon::start_from(&state_dir, &program, played.socket(), CONFIG, Core::Any);
    let first = start();
    wait_for_looks(&played, KNOWN);
    // What is behind is on disk after some milliseconds.
    thread::sleep(Duration::from_secs(1));
    drop(first);

    let begun = Instant::now();
    let daemon = start();
    let mut socket = daemon.connect();
    ask(&mut socket);
    let first_verdict = begun.elapsed();
    let mut slowest = Duration::ZERO;
    while played.inspected() < 2 * KNOWN as u64 {
        assert!(begun.elapsed() < LIMIT, "not compared within {LIMIT:?}:\n{}", daemon.logged());
        let asked = Instant::now();
        ask(&mut socket);
        slowest = slowest.max(asked.elapsed());
    }
    let compared = begun.elapsed();
    assert!(daemon.logged().contains("going on from the journal"), "{}", daemon.logged());
    let millis = |it: Duration| it.as_secs_f64() * 1e3;
    let row = |candidate: &str, took| {
        Row::value("start-up, 10,000 known", candidate, Unit::Milliseconds, millis(took))
    };
    report.push(row("first verdict", first_verdict).reach(Reach::Value(2_000.0)));
    report.push(row("slowest verdict while it compares", slowest).reach(Reach::Value(50.0)));
    report.push(row("all looked up", compared).resident(daemon.process().resident_bytes()));
}

fn wait_for_looks(played: &Played, count: usize) {
    let until = Instant::now() + LIMIT;
    while played.inspected() < count as u64 {
        assert!(Instant::now() < until, "{} of {count} looked up", played.inspected());
        thread::sleep(Duration::from_millis(5));
    }
}

/// Asks about a creation, and reads the verdict.
fn ask(socket: &mut UnixStream) {
    let body = r#"{"RequestMethod":"POST","RequestUri":"/v1.41/containers/create?name=web","RequestHeaders":{"Content-Type":"application/json"},"RequestBody":"eyJJbWFnZSI6ImEifQ=="}"#;
    let head = format!(
        "POST /AuthZPlugin.AuthZReq HTTP/1.1\r\nHost: plugin\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all(format!("{head}{body}").as_bytes()).expect("a daemon that listens");
    let (mut reply, mut buffer) = (Vec::new(), [0; 4096]);
    while !reply.ends_with(b"}") {
        let read = socket.read(&mut buffer).expect("a daemon that answers");
        assert!(read > 0, "a whole answer");
        reply.extend_from_slice(&buffer[..read]);
    }
    assert!(
        String::from_utf8_lossy(&reply).contains(r#""Allow":true"#),
        "{}",
        String::from_utf8_lossy(&reply)
    );
}
