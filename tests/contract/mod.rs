//! The contract with a script: the environment, and the document with its shipped schema.
//!
//! What is promised in `docs/contract.md` is held against hooks that run on a real engine.

mod document;
mod environment;
mod hostile;
mod nested;
mod schema;
mod world;
