//! boathook

pub mod config;
pub mod docker;
pub mod engine;
pub mod hook;
pub mod journal;
pub mod lifecycle;
pub mod run;
pub mod runner;
pub mod source;
pub mod trust;
