//! boathook runs the operator's scripts, on the Docker host, at every point of a container's life.
//!
//! It plugs into the engine itself, as an authorization plugin and as a driver of networks, addresses and
//! volumes, and follows its event stream. It is all one pipe, and data goes through once; a verdict is the only thing that travels back:
//!
//! ```text
//! dockerd ── plugin call ──> source ─┐
//! dockerd ── /events ──────> source ─┴─ signal ─> lifecycle ─ event ─> engine ─ run ─> runner ─ outcome ─> journal
//! ```
//!
//! # In reading order
//!
//! - [`lifecycle`]: what happens to a container, told once. Pure.
//! - [`reconcile`]: what has to be looked up so that nothing is missed. Pure.
//! - [`launch`]: who a hook's process is, and what it may use.
//! - [`hook`]: what the operator declared. Pure.
//! - [`run`]: one hook for one event, and what may follow what. Pure.
//! - [`journal`]: what was planned, tried and concluded.
//! - [`docker`]: the few Docker API calls that are made.
//! - [`runner`]: one process, its contract, its end.
//! - [`engine`]: from events to runs, from a gate's question to its verdict.
//! - [`driver`]: networks, addresses and volumes, as the engine asks for them.
//! - [`source`]: where Docker reaches us.
//! - [`config`], [`near`], [`trust`]: what was written, what was meant, and who could have written it.
//! - [`daemon`], [`cli`]: build, run, drain; commands.
//!
//! A room knows those downstream of it, never upstream; a test holds that. What is absent on
//! purpose: an error type for the whole crate, a prelude, a room called `utils`, a trait that exists
//! only for a test. Only [`daemon`] spawns tasks, only [`runner`] spawns processes, and
//! [`lifecycle`], [`reconcile`], [`hook`] and [`run`] read neither files nor clocks.

pub mod cli;
pub mod config;
pub mod daemon;
pub mod docker;
pub mod driver;
pub mod engine;
pub mod hook;
pub mod journal;
pub mod launch;
pub mod lifecycle;
pub mod near;
pub mod reconcile;
pub mod run;
pub mod runner;
pub mod source;
pub mod trust;
