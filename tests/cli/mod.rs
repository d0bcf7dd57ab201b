//! The commands that read and steer the journal, as programs: what they print, and how they exit.
//!
//! The journals are made by the library, in a directory of their own; where a daemon is wanted the test
//! plays it. `tests/pipe` has the same commands beside a real one.

mod backup;
mod debts;
mod places;
mod retry;
mod runs;
mod scene;
mod world;
