//! The server as an engine meets it: over real Unix sockets, in bytes.

mod activation;
mod calls;
mod client;
mod discovery;
mod drain;
mod drivers;
mod limits;
mod replay;
mod replay_drivers;
mod sockets;
mod transcripts;
mod world;
