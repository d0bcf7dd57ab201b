//! What all benchmarks share: who runs on which core, how rounds interleave, how results are shown.
//!
//! A figure alone says more about the machine than about boathook. So each row is measured next to
//! its floor, the least that anybody could do for the same work, and what counts is the ratio. Floor
//! and candidate take turns round by round, so that what disturbs the machine disturbs both; of all
//! rounds the best one counts, and how far the usual one lies above it is shown as noise.
//!
//! Nothing here asserts a time: a benchmark ends with a table, whatever it says.
//!
//! Include it as `pub mod measure;`: then nobody minds that one benchmark uses less of it than
//! another.

mod arguments;
mod daemon;
mod kept;
mod report;
mod rounds;
mod scratch;

pub use arguments::Arguments;
pub use daemon::{Daemon, daemon_program};
pub use kept::{Core, Kept, on_core};
pub use report::{Reach, Report, Row, Unit};
pub use rounds::{Contender, Figure, Sample, contest, quantile};
pub use scratch::Scratch;
