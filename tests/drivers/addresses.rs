//! Addresses: no address twice, none lost.

mod calls;
mod engines;
mod sticky;
mod storms;
mod world;
