//! What happens to a container, told once.
//!
//! A [`Signal`] is what one source saw; an [`Event`] is what it means: one [`Subject`] has reached
//! one [`Point`]. Several signals may tell the same fact, late, early or twice; the [`Tracker`]
//! makes exactly one event of it, and keeps the last-known [`Facts`] so that an event after the
//! end still knows what was there before it.
//!
//! Everything here is pure: no socket, no file, no clock. Instants come in with the signals.

mod calls;
mod event;
mod facts;
mod gone;
mod known;
mod life;
mod point;
mod signal;
mod subject;
mod tracker;

pub use event::{
    AddressDetail, Cause, DebtDetail, Detail, Event, Exit, NetworkDetail, Question, Reason, Request, Verdict,
    VolumeDetail, Withheld,
};
pub use facts::{Addresses, Facts, Mount, NetworkAttachment};
pub use known::{Known, KnownContainer, Listed, ListedState};
pub use life::{Life, Stage};
pub use point::{Point, PointSet};
pub use signal::{Call, CallKind, Observation, Process, Saw, Signal, Source, Turn};
pub use subject::{EngineId, Subject, SubjectKind};
pub use tracker::Tracker;
