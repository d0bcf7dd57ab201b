//! What is known of an engine's containers, and what its list tells of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::Stage;

/// The containers of one engine, as far as a comparison with its list needs to know them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// By their full id.
    pub containers: BTreeMap<Arc<str>, KnownContainer>,
}

/// One container as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownContainer {
    /// Its name, without the slash.
    pub name: Option<String>,
    /// How far it has come. [`Stage::Unknown`]: it has been heard of, and that is all.
    pub stage: Stage,
    /// Its present or latest passage, counted from 1; 0 before the first start.
    pub passage: u32,
    /// When that began, at the latest.
    pub started_at: Option<Timestamp>,
    /// The exit status of that passage, if it is over and the status is known.
    pub exit_code: Option<i64>,
}

/// One container as the engine's list tells it. The list does not tell when it was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its full id.
    pub id: String,
    /// Its name, without the slash.
    pub name: Option<String>,
    /// What it does.
    pub state: ListedState,
}

/// What a container does, as the list tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListedState {
    /// It has not run yet.
    Created,
    /// It runs, or is paused.
    Running,
    /// Its process has ended, and is about to be started again by its policy.
    Restarting,
    /// Its process has ended, or it is only half there: a removal of it failed half-way.
    Ended {
        /// Its exit status, if the list tells.
        code: Option<i64>,
        /// The latest instant at which it can have ended, if the list tells.
        by: Option<Timestamp>,
    },
    /// A word that is not known here.
    Other,
}
