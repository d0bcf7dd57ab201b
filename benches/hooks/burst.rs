//! Three thousand containers are removed at once, and each removal runs a program.

use std::env;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::measure::{
    Contender, Core, Daemon, Figure, Reach, Report, Row, Sample, Scratch, Unit, contest, daemon_program,
};
use crate::played::{Batch, Container, Played, nanoseconds_now};
use crate::stamp::Stamp;

/// How many containers go in a round.
const REMOVALS: usize = 3000;

/// How many programs run at once; boathook's own default.
const PARALLEL: usize = 8;

/// How often everybody has a turn.
const ROUNDS: usize = 3;

/// For a round to end.
const LIMIT: Duration = Duration::from_secs(60);

/// The container that is removed last.
const LAST: &str = "the-last";

/// Measures boathook against processes that are spawned and waited for.
///
/// # Panics
///
/// When runs are lost.
pub fn measure(report: &mut Report) {
    let scratch = Scratch::new();
    let played = Played::open(scratch.path("docker.sock"), |_| None);
    let program = scratch.copy_program(&env::current_exe().expect("the path of this program"), "stamp");
    let stamp = Stamp::new(program, scratch.path("stamps"), Duration::ZERO);
    let config = format!(
        "hooks:\n  - {{name: each, at: post_remove, exec: [/bin/true]}}\n  \
         - {{name: last, at: post_remove, when: {{name: {LAST}}}, exec: {}}}\n",
        stamp.exec()
    );
    let program = daemon_program(env!("CARGO_BIN_EXE_boathook"));
    let daemon = Daemon::start(&program, played.socket(), &config, Core::Any);
    played.wait_for_listeners(1);

    let mut told = 0;
    let contenders = vec![
        Contender::new(|| Sample { wall: spawn_all(), processor: None }),
        Contender::new(|| {
            told += 1;
            let batch = batch(told * REMOVALS);
            let begun = Instant::now();
            played.tell(&batch);
            assert!(stamp.wait_for(told, LIMIT), "no end within {LIMIT:?}:\n{}", daemon.logged());
            Sample { wall: begun.elapsed(), processor: None }
        }),
    ];
    let figures: [Figure; 2] = contest(ROUNDS, contenders).try_into().expect("two contenders");
    let [floor, figure] = figures;
    let work = "3,000 removals, one /bin/true each";
    let row = Row::of(work, "boathook", Unit::Milliseconds, &figure);
    let resident = daemon.process().resident_bytes();
    report.push(
        row.against("posix_spawn and wait, 8 at once", &floor, &figure)
            .reach(Reach::Times(1.5))
            .resident(resident),
    );
    // The last one runs two hooks.
    let runs = told * (REMOVALS + 1);
    let ran = || daemon.logged().matches("hook ran").count();
    let until = Instant::now() + LIMIT;
    while ran() < runs && Instant::now() < until {
        thread::sleep(Duration::from_millis(10));
    }
    let lost = runs.saturating_sub(ran());
    report.push(Row::value(work, "runs lost", Unit::Count, lost as f64).reach(Reach::Value(0.0)));
}

/// The removals of a round, of containers that were never seen before.
fn batch(first: usize) -> Batch {
    let mut batch = Batch::default();
    let now = nanoseconds_now();
    for number in 0..REMOVALS {
        let last = number == REMOVALS - 1;
        let name = if last { LAST.to_owned() } else { format!("web-{number}") };
        let container = Container { id: &Container::id_of(first + number), name: &name };
        batch.push(&container, "destroy", now + i64::try_from(number).expect("few events"));
    }
    batch
}

/// The floor: as many processes, spawned and waited for.
fn spawn_all() -> Duration {
    let begun = Instant::now();
    thread::scope(|scope| {
        for _ in 0..PARALLEL {
            scope.spawn(|| {
                for _ in 0..REMOVALS / PARALLEL {
                    let mut child = Command::new("/bin/true").env_clear().spawn().expect("spawn /bin/true");
                    child.wait().expect("wait for a child of ours");
                }
            });
        }
    });
    begun.elapsed()
}
