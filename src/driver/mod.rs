//! What the drivers answer: networks, addresses, volumes.
//!
//! Each driver implements a trait of the plugin SDK, keeps what it has answered in the journal before the
//! answer goes out, and makes of the host what it has answered. A call may come twice, and boathook may die
//! anywhere in one: what a driver does is the same for something that is there already, or gone already.
//!
//! Nothing here knows of hooks and points, and nothing asks the engine about a container: in a driver's call
//! that would wait for the call itself.

pub mod firewall;
pub mod ipam;
pub mod link;
pub mod network;
pub mod script;
pub mod volume;
