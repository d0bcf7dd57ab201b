//! The test engine itself: it comes up, it keeps to itself, and it leaves nothing behind.

mod alone;
mod played;
mod running;
mod traces;
