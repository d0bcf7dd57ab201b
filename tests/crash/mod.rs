//! What is promised holds when things die: boathook, the engine, both, the disk.
//!
//! Containers live on a real engine, or on a played one where there are to be many, while something
//! is killed. The hooks write what they do into [`Books`](books::Books), and these are audited in the end:
//! whatever had to run has run, each set-up has been cleaned up after, and hardly anything ran twice.

mod books;
mod churn;
mod disk;
mod engines;
mod exits;
mod gates;
mod played;
mod points;
mod restarts;
mod world;
