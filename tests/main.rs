//! The tests that drive the real thing from outside: one binary, a file for each subject.

pub mod engine;

mod cli;
mod config;
mod contract;
mod crash;
mod drivers;
mod every_engine;
mod harness;
mod journal;
mod layers;
mod model;
mod operations;
mod pipe;
mod replay;
mod spoken;
