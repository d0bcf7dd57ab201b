//! Where the calls of our drivers become points.
//!
//! Each wrapper is a driver around a driver: what is answered is the inner one's, and in between the
//! engine is asked at the point that the call is about. A denial is the call's error, which the docker
//! user reads. The drivers themselves know nothing of points.
//!
//! Docker holds the lock of a container in every call that is about it. So nothing here looks a
//! container up; lists and networks are allowed. While the engine itself starts it answers nobody, and nobody
//! waits for it for long.

mod addresses;
mod held;
mod identify;
mod networks;
mod volumes;

use std::time::Duration;

use docker_plugin_sdk::driver::DriverError;

use crate::docker::Docker;
use crate::engine::Engine;
use crate::lifecycle::Verdict;

use super::looks::Looks;

pub use addresses::Addresses;
pub use held::Held;
pub use networks::Networks;
pub use volumes::Volumes;

/// How long the end of the passage before may be under way to us when a container starts again. It is told
/// before the start begins, and read within milliseconds.
const END_TOLD_WITHIN: Duration = Duration::from_secs(1);

/// What the wrappers ask and tell with. Cheap to clone.
#[derive(Clone)]
pub struct Points {
    engine: Engine,
    docker: Docker,
    looks: Looks,
    held: Held,
}

impl Points {
    /// The points of that engine. `held` is shared with those who answer API calls.
    pub fn new(engine: Engine, docker: Docker, looks: Looks, held: Held) -> Points {
        Points { engine, docker, looks, held }
    }
}

/// What Docker is answered.
fn answer(verdict: &Verdict) -> Result<(), DriverError> {
    match verdict {
        Verdict::Allow => Ok(()),
        Verdict::Deny { message } => Err(DriverError::new(message)),
    }
}
