//! What happens to a container, told once.
//!
//! A [`Signal`] is what one source saw; an [`Event`] is what it means: one [`Subject`] has reached
//! one [`Point`]. Several signals may tell the same fact, late, early or twice; the [`Tracker`]
//! makes exactly one event of it, and keeps the last-known [`Facts`] so that an event after the
//! end still knows what was there before it.
//!
//! Everything here is pure: no socket, no file, no clock. Instants come in with the signals.

mod event;
mod facts;
mod point;
mod signal;
mod subject;

pub use event::{Cause, Event, Exit, Question, Reason, Request, Verdict, Withheld};
pub use facts::{Addresses, Facts, Mount, NetworkAttachment};
pub use point::{Point, PointSet};
pub use signal::{Observation, Process, Saw, Signal, Source, StopKind};
pub use subject::{EngineId, Subject, SubjectKind};
