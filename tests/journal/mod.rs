//! The journal on a real disk: what it gives back, to whom, and what it does when the disk fails.

mod backup;
mod crash;
mod damage;
mod full;
mod readers;
mod reopen;
mod retention;
mod values;
mod versions;
pub(crate) mod world;
