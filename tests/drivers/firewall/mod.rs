//! The rules for our networks, in hosts that are made for it.

mod engines;
mod net;
mod packets;
mod ports;
mod scene;
mod upkeep;
