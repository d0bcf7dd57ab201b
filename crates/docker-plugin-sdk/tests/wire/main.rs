//! The server as an engine meets it: over real Unix sockets, in bytes.

mod activation;
mod calls;
mod client;
mod drain;
mod limits;
mod replay;
mod sockets;
mod world;
