//! Where Docker reaches us.
//!
//! Each source translates what it sees into signals by pure functions, and has an adapter around
//! them that reads sockets. The authorization plugin is asked about every API call; the event
//! stream tells what happened. [`looks`] puts both in order for each container and looks a
//! container up where a signal alone does not say enough.

pub mod addresses;
pub mod api;
pub mod authorization;
pub mod beat;
pub mod body;
mod concerns;
pub mod drivers;
pub mod events;
mod gates;
mod locks;
pub mod looks;
mod mounts;
pub mod networks;
pub mod reconcile;
mod routes;
mod routing;
mod spelling;
mod starts;
mod translate;
pub mod volumes;
