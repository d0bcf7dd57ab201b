//! From an event to the process that answers it: how soon, how many, none lost.
//!
//! The floors spawn the same programs from the same events, with nothing between: no environment that
//! tells anything, no files, no record.
//!
//! Families of rows, to be named on the command line: `removals`, `paced`, `engine`.

pub mod burst;
#[path = "../../tests/engine/mod.rs"]
pub mod engine;
pub mod engine_latency;
#[path = "../measure/mod.rs"]
pub mod measure;
pub mod paced;
#[path = "../played/mod.rs"]
pub mod played;
pub mod stamp;
pub mod stream;

use measure::{Arguments, Report};
use played::nanoseconds_now;

fn main() {
    let now = nanoseconds_now();
    let arguments = Arguments::read();
    if let [role, rest @ ..] = arguments.role.as_slice() {
        assert_eq!(role, "stamp", "a role that is played");
        return stamp::stamp(now, rest);
    }
    let mut report = Report::default();
    if arguments.wants("removals") {
        burst::measure(&mut report);
    }
    if arguments.wants("paced") {
        paced::measure(&mut report);
    }
    if arguments.wants("engine") {
        engine_latency::measure(&mut report);
    }
    report.write(arguments.json);
}
