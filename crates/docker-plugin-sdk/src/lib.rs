//! Docker Engine plugins in Rust: the server, the sockets and the wire, so that a plugin is only its answers.
//!
//! A plugin is a program that listens on a Unix socket below `/run/docker/plugins`; its name is the file
//! name. The engine connects when it needs the plugin, asks once what it implements, and then calls its
//! methods for as long as the engine runs. An engine that cannot reach its authorization plugin refuses every
//! call, and one whose call is cut off repeats it with an empty body. So what matters here is less the calls
//! than the edges: what is answered when a body is missing, what happens to calls in flight at a restart, and
//! who owns the socket's path.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use docker_plugin_sdk::authorization::{Authorization, Decision, Request};
//! use docker_plugin_sdk::{Listener, Plugin, Socket};
//!
//! struct NoDeletes;
//!
//! impl Authorization for NoDeletes {
//!     async fn request(&self, request: Request<'_>) -> Decision {
//!         match &*request.method {
//!             "DELETE" => Decision::deny("nothing is deleted on this host"),
//!             _ => Decision::Allow,
//!         }
//!     }
//! }
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let listener = match Listener::activated()? {
//!     Some(listener) => listener,
//!     None => Socket::new("/run/docker/plugins/no-deletes.sock").bind()?,
//! };
//! let plugin = Plugin::builder().authorization(NoDeletes).build();
//! let interrupted = async { _ = tokio::signal::ctrl_c().await };
//! plugin.serve(listener, interrupted, Duration::from_secs(10)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # In reading order
//!
//! - [`Plugin`]: the kinds of plugin that one program is, and [`serve`](Plugin::serve), which says what a
//!   drain promises.
//! - [`Socket`] and [`Listener`]: where the engine connects, bound here or passed by systemd.
//! - [`authorization`]: what the engine asks before and after every call of its API, and what can be
//!   answered.
//! - [`driver`]: what the three kinds of driver have in common: a request, an error, and few types more.
//! - [`network`], [`ipam`], [`volume`]: what networks, addresses and volumes are made of.
//! - [`discovery`]: how an engine finds a plugin by its name, for those that listen elsewhere.
//!
//! Each kind of plugin is a module with a trait, and a method on [`PluginBuilder`]; the server knows kinds
//! only as tables of methods.

mod body;
mod call;
mod connection;
mod listener;
mod method;
mod plugin;
mod serve;
mod stage;

pub mod authorization;
pub mod discovery;
pub mod driver;
pub mod ipam;
pub mod network;
pub mod volume;

pub use body::BODY_MAX;
pub use ipnet;
pub use listener::{ListenError, Listener, Socket};
pub use plugin::{Plugin, PluginBuilder};
pub use serve::{CONNECTIONS_MAX, Drained, ServeError};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
