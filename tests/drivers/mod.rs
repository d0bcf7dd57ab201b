//! The drivers: what they answer, and what they make of the host.

mod addresses;
mod errands;
mod firewall;
mod host;
mod links;
mod networks;
mod recipes;
mod together;
mod volumes;
