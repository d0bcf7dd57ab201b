//! How fast container events are taken in, and what they leave in memory.
//!
//! A played engine tells them as fast as they are read. The clock starts when the first is told; it stops when
//! the last has been taken in, which its hook shows: the one hook that means anybody is for the last
//! container. The floor reads the same stream and parses each line, and does nothing else.
//!
//! Families of rows, to be named on the command line: `removals` (events that tell everything themselves),
//! `lives` (create, start, die, destroy: containers that are looked up while they live), `startup` (a daemon that
//! finds many containers which the one before it has known).

mod startup;

#[path = "../measure/mod.rs"]
pub mod measure;
#[path = "../played/mod.rs"]
pub mod played;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::os::unix::net::UnixStream as StdStream;
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::io::AsyncBufReadExt as _;
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

use measure::{
    Arguments, Contender, Core, Daemon, Figure, Reach, Report, Row, Sample, Scratch, Unit, contest,
    daemon_program,
};
use played::{Batch, Container, Played, nanoseconds_now};

/// How often everybody has a turn.
const ROUNDS: usize = 5;

/// How many hooks listen, and mean nobody.
const HOOKS: usize = 20;

/// The container whose removal runs a hook.
const LAST: &str = "the-last";

/// What its id begins with, and no other id here.
const LAST_ID: &str = "00000000";

/// For the events of a round to be taken in.
const LIMIT: Duration = Duration::from_secs(60);

fn main() {
    let arguments = Arguments::read();
    let mut report = Report::default();
    for story in [Story::Removals, Story::Lives] {
        if arguments.wants(story.name()) {
            story.measure(&mut report);
        }
    }
    if arguments.wants("startup") {
        startup::measure(&mut report);
    }
    report.write(arguments.json);
}

/// What the events tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Story {
    /// Each one that a container is gone.
    Removals,
    /// Whole lives, four events each.
    Lives,
}

impl Story {
    fn name(self) -> &'static str {
        match self {
            Story::Removals => "removals",
            Story::Lives => "lives",
        }
    }

    /// How many events are told in a round. Of lives fewer: each takes two looks, of a third of a millisecond or more
    /// each, so that 100,000 take half a minute.
    fn events(self) -> usize {
        match self {
            Story::Removals => 100_000,
            Story::Lives => 20_000,
        }
    }

    /// What happens to one container.
    fn actions(self) -> &'static [&'static str] {
        match self {
            Story::Removals => &["destroy"],
            Story::Lives => &["create", "start", "die", "destroy"],
        }
    }

    fn measure(self, report: &mut Report) {
        let candidate = Candidate::start();
        let idle = candidate.daemon.process().resident_bytes();
        let mut told = 0;
        let contenders = vec![
            Contender::new(|| Sample { wall: read_raw(&self.batch(usize::MAX / 2)), processor: None }),
            Contender::new(|| {
                told += 1;
                candidate.take_in(&self.batch(told * self.events()), told)
            }),
        ];
        // Each round of the candidate goes on in the state that the one before has left, as a daemon does.
        let figures: [Figure; 2] = contest(ROUNDS, contenders).try_into().expect("two contenders");
        let [floor, figure] = figures;
        let work = format!("{} events taken in, {}", self.events(), self.name());
        let row = Row::of(&work, "20 hooks, none matches", Unit::Milliseconds, &figure);
        let resident = candidate.daemon.process().resident_bytes();
        report.push(
            row.against("read and parsed", &floor, &figure).reach(Reach::Times(2.0)).resident(resident),
        );
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        let row = |candidate, bytes, most| {
            let row = Row::value("resident memory", candidate, Unit::Megabytes, megabytes(bytes));
            row.reach(Reach::Value(most))
        };
        report.push(row("idle, 20 hooks", idle, 20.0));
        report.push(row(&format!("after six rounds of {}", self.name()), resident, 40.0));
        let inspected =
            candidate.played.inspected() as f64 / f64::from(u32::try_from(told).expect("few rounds"));
        report.push(Row::value(&work, "inspects made in a round", Unit::Count, inspected));
        let again = candidate.played.listeners() - 1;
        report.push(Row::value(&work, "streams given up, in all", Unit::Count, again as f64));
    }

    /// The events of a round about containers from `first` on, and then about the last one.
    fn batch(self, first: usize) -> Batch {
        let mut batch = Batch::default();
        let actions = self.actions();
        let mut time_nano = nanoseconds_now();
        for number in 0..self.events() / actions.len() {
            let (id, name) = (Container::id_of(first + number), format!("web-{number}"));
            for action in actions {
                time_nano += 1;
                batch.push(&Container { id: &id, name: &name }, action, time_nano);
            }
        }
        // It waits for its looks as the others do, so it is behind them all.
        let id = format!("{LAST_ID}{first:0>56}");
        for action in actions {
            time_nano += 1;
            batch.push(&Container { id: &id, name: LAST }, action, time_nano);
        }
        batch
    }
}

/// A boathook that follows a played engine.
struct Candidate {
    // The daemon goes before its engine, and both before their folder.
    daemon: Daemon,
    played: Played,
    _scratch: Scratch,
}

impl Candidate {
    fn start() -> Candidate {
        let scratch = Scratch::new();
        let inspect = |id: &str| {
            let name = if id.starts_with(LAST_ID) { LAST } else { "web" };
            Some(Container { id, name }.inspect())
        };
        let played = Played::open(scratch.path("docker.sock"), inspect);
        let mut config = String::from("hooks:\n");
        for number in 0..HOOKS {
            let hook = format!(
                "{{name: other-{number}, at: [post_create, post_start, post_stop, post_remove], \
                 when: {{name: \"other-{number}-*\"}}, exec: [/bin/true]}}"
            );
            writeln!(config, "  - {hook}").expect("text grows");
        }
        writeln!(config, "  - {{name: last, at: post_remove, when: {{name: {LAST}}}, exec: [/bin/true]}}")
            .expect("text grows");
        let program = daemon_program(env!("CARGO_BIN_EXE_boathook"));
        let daemon = Daemon::start(&program, played.socket(), &config, Core::Any);
        played.wait_for_listeners(1);
        Candidate { daemon, played, _scratch: scratch }
    }

    /// One round: the `told`th.
    fn take_in(&self, batch: &Batch, told: usize) -> Sample {
        let before = self.daemon.process().processor_time();
        let begun = Instant::now();
        self.played.tell(batch);
        while self.daemon.logged().matches("hook ran").count() < told {
            assert!(begun.elapsed() < LIMIT, "not taken in within {LIMIT:?}:\n{}", self.daemon.logged());
            thread::sleep(Duration::from_millis(1));
        }
        let wall = begun.elapsed();
        Sample { wall, processor: Some(self.daemon.process().processor_time() - before) }
    }
}

/// What a follower of containers reads of an event.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
#[expect(dead_code, reason = "parsing it is all that the floor does")]
struct Event {
    r#type: String,
    action: String,
    actor: Actor,
    #[serde(rename = "timeNano")]
    time_nano: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
#[expect(dead_code, reason = "parsing it is all that the floor does")]
struct Actor {
    #[serde(rename = "ID")]
    id: String,
    attributes: HashMap<String, String>,
}

/// The floor: how long it takes to read these events and parse them, on a runtime of one thread.
fn read_raw(batch: &Batch) -> Duration {
    let scratch = Scratch::new();
    let played = Played::open(scratch.path("docker.sock"), |_| None);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
    runtime.block_on(async {
        let stream = StdStream::connect(played.socket()).expect("an engine that listens");
        stream.set_nonblocking(true).expect("a socket of our own");
        let mut stream = UnixStream::from_std(stream).expect("a runtime with sockets");
        stream
            .write_all(b"GET /events HTTP/1.1\r\nHost: docker\r\n\r\n")
            .await
            .expect("an engine that listens");
        played.wait_for_listeners(1);
        let mut stream = BufReader::with_capacity(64 * 1024, stream);
        let (mut line, mut read) = (Vec::new(), 0);
        let begun = Instant::now();
        played.tell(batch);
        while read < batch.len() {
            line.clear();
            stream.read_until(b'\n', &mut line).await.expect("an engine that tells");
            // Between the events stand the sizes of chunks.
            if line.first() == Some(&b'{') {
                let event: Event = serde_json::from_slice(&line).expect("an event is JSON");
                std::hint::black_box(event);
                read += 1;
            }
        }
        begun.elapsed()
    })
}
