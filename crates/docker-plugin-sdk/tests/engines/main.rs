//! The examples on real engines, and files by which engines find them.

// The throw-away engines of the workspace, which this package has no other part in.
#[path = "../../../../tests/engine/mod.rs"]
pub mod engine;

#[path = "../../../../tests/every_engine.rs"]
mod every_engine;

mod examples;
mod found;
mod plugin;
