//! Three hundred events a second, each with a hook of 20 ms: twice the work that fits on a core if one waits for the other.

use std::env;
use std::thread;
use std::time::{Duration, Instant};

use crate::measure::{Core, Daemon, Reach, Report, Row, Scratch, Unit, daemon_program, quantile};
use crate::played::{Batch, Container, Played, nanoseconds_now};
use crate::stamp::Stamp;
use crate::stream::Follower;

/// How many events are told in a second.
const PACE: u32 = 300;

/// How many events are told before it is the other's turn.
const SLICE: usize = 750;

/// How many turns each has: ten seconds in all.
const SLICES: usize = 4;

/// How long a hook takes.
const WORK: Duration = Duration::from_millis(20);

/// For the last hooks to begin.
const LIMIT: Duration = Duration::from_secs(10);

/// Measures how soon hooks begin, and whether all do.
pub fn measure(report: &mut Report) {
    let scratch = Scratch::new();
    let program = scratch.copy_program(&env::current_exe().expect("the path of this program"), "stamp");
    let stamp = |name| Stamp::new(program.clone(), scratch.path(name), WORK);
    // They live as long as the thread that uses them, which is as long as we do.
    let floor_stamp: &'static Stamp = Box::leak(Box::new(stamp("floor-stamps")));
    let stamp = stamp("stamps");

    let floor_engine = Played::open(scratch.path("floor.sock"), |_| None);
    let follower = Follower::start(floor_engine.socket(), move |_| Some(floor_stamp));
    floor_engine.wait_for_listeners(1);
    let engine = Played::open(scratch.path("docker.sock"), |_| None);
    let config = format!("hooks:\n  - {{name: stamp, at: post_remove, exec: {}}}\n", stamp.exec());
    let program = daemon_program(env!("CARGO_BIN_EXE_boathook"));
    let daemon = Daemon::start(&program, engine.socket(), &config, Core::Any);
    engine.wait_for_listeners(1);

    let mut events: [Vec<(String, i64)>; 2] = [Vec::new(), Vec::new()];
    for slice in 0..SLICES {
        let sides = [(&floor_engine, floor_stamp), (&engine, &stamp)];
        for (told, (engine, stamp)) in events.iter_mut().zip(sides) {
            tell_slice(engine, slice * SLICE, told);
            // Whoever has not begun by then is counted as lost below.
            stamp.wait_for(told.len(), LIMIT);
            thread::sleep(WORK);
        }
    }
    drop(follower);

    let [floor, boathook] =
        [(floor_stamp, &events[0]), (&stamp, &events[1])].map(|(stamp, events)| delays(stamp, events));
    let work = "300 events/s, a hook of 20 ms each";
    for (name, part, most) in
        [("from event to hook, half", 0.5, None), ("from event to hook, 99 %", 0.99, Some(2.0))]
    {
        let of = |delays: &[f64]| quantile(delays.iter().copied(), part);
        let row = Row::value(work, name, Unit::Milliseconds, of(&boathook))
            .against_value("parse, posix_spawn", of(&floor));
        report.push(match most {
            Some(most) => row.reach(Reach::Value(most)),
            None => row,
        });
    }
    let lost = events[1].len() - boathook.len();
    let row = Row::value(work, "lost", Unit::Count, lost as f64).reach(Reach::Value(0.0));
    report.push(row.resident(daemon.process().resident_bytes()));
}

/// Tells one event after the other at the pace, and notes each with its time.
fn tell_slice(engine: &Played, first: usize, told: &mut Vec<(String, i64)>) {
    let begun = Instant::now();
    for number in 0..SLICE {
        let due = begun + Duration::from_secs(1) * u32::try_from(number).expect("few events") / PACE;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let (id, time_nano) = (Container::id_of(first + number), nanoseconds_now());
        let mut batch = Batch::default();
        batch.push(&Container { id: &id, name: "web" }, "destroy", time_nano);
        engine.tell(&batch);
        told.push((id, time_nano));
    }
}

/// How long after its event each hook began, in milliseconds.
fn delays(stamp: &Stamp, events: &[(String, i64)]) -> Vec<f64> {
    let stamps = stamp.read();
    let began = events.iter().filter_map(|(id, time)| Some((stamps.get(id)? - time) as f64 / 1e6));
    began.collect()
}
