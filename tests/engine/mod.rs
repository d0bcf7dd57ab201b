//! Throw-away Docker engines.
//!
//! A [`Sandbox`] is a folder and a set of namespaces (processes, mounts, network) in which a real
//! dockerd, a real boathook and the docker client run as on a host of their own. Several live side by
//! side and share nothing but programs. What a test expects of boathook is not known here.
//!
//! Engines come in generations that tell the same things in another order: a sandbox can be had with one
//! of each [`Generation`].
//!
//! The promise: when the sandbox is dropped, or the process that made it dies in whatever way, every
//! process in it is killed, and its folder and control groups are removed.
//!
//! ```no_run
//! let Some(sandbox) = Sandbox::available() else { return };
//! sandbox.start_dockerd(DockerdOptions::default());
//! sandbox.import_busybox();
//! assert_eq!(sandbox.docker_ok(&["run", "--rm", "busybox:test", "echo", "hello"]), "hello");
//! ```
//!
//! Include it as `pub mod engine;`: then nobody minds that one program uses less of it than another.
//! Calls that cannot go on panic with what was waited for; a sandbox that is dropped by a panic prints
//! the ends of its logs.

mod boathook;
mod dockerd;
mod generation;
mod host;
mod image;
mod installation;
mod process;
mod sandbox;
mod space;
mod wait;

pub use boathook::{Boathook, BoathookOptions};
pub use dockerd::{Dockerd, DockerdOptions};
pub use generation::Generation;
pub use installation::{Engine, Unavailable};
pub use nix::sys::signal::Signal;
pub use process::{Output, Process};
pub use sandbox::Sandbox;
pub use wait::wait_for;
