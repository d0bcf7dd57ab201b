//! By what the API calls of a hook's own are recognised.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::lifecycle::Point;
use crate::run::{NESTED_HEADER, Run, RunId};

/// The secrets of the runs that live. Cheap to clone: all clones are the same set.
///
/// A call that shows such a secret comes from the run, or from somebody whom it told.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    alive: Arc<Mutex<HashMap<String, (RunId, Point)>>>,
}

/// The secret of one attempt; it means nothing any more once this is dropped.
#[derive(Debug)]
pub(super) struct Secret {
    text: String,
    secrets: Secrets,
}

impl Secrets {
    /// The run that `secret` belongs to, while it lives.
    pub fn run_of(&self, secret: &str) -> Option<RunId> {
        self.alive().get(secret).map(|(run, _)| run.clone())
    }

    /// The point at which that run runs.
    pub fn point_of(&self, secret: &str) -> Option<Point> {
        self.alive().get(secret).map(|(_, point)| *point)
    }

    /// A secret that nobody can guess: 256 bits in hexadecimal digits.
    pub fn fresh() -> String {
        let mut bytes = [0_u8; 32];
        getrandom::fill(&mut bytes).expect("the kernel gives random bytes");
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// A new secret for an attempt of `run`.
    pub(super) fn admit(&self, run: &Run) -> Secret {
        let text = Secrets::fresh();
        self.alive().insert(text.clone(), (run.id.clone(), run.event.point));
        Secret { text, secrets: self.clone() }
    }

    fn alive(&self) -> MutexGuard<'_, HashMap<String, (RunId, Point)>> {
        self.alive.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Secret {
    /// The value of the header.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.secrets.alive().remove(&self.text);
    }
}

/// The header as `Name: value`, for clients that take whole headers.
pub(super) fn header_line(secret: &str) -> String {
    format!("{NESTED_HEADER}: {secret}")
}
