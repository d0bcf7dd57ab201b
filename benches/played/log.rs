//! Everything that was told, for those who listen from now on or from an earlier time.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::Container;

/// How much is handed to a listener at once, in bytes: a few system calls for each thousand events.
const PIECE_BYTES: usize = 256 * 1024;

/// Events that are told together, made ready beforehand: rendering them takes longer than telling.
#[derive(Default)]
pub struct Batch {
    /// Chunks of HTTP, one for each event, as the engine writes them.
    bytes: Vec<u8>,
    /// The time of each event, and where its chunk begins.
    starts: Vec<(i64, usize)>,
}

impl Batch {
    /// Adds that something happened to a container.
    pub fn push(&mut self, container: &Container<'_>, action: &str, time_nano: i64) {
        let line = container.event(action, time_nano);
        self.starts.push((time_nano, self.bytes.len()));
        self.bytes.extend_from_slice(format!("{:x}\r\n{line}\n\r\n", line.len() + 1).as_bytes());
    }

    /// How many events there are.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }
}

/// All events, in the order in which they were told.
#[derive(Default)]
pub(super) struct Log {
    told: Mutex<Told>,
    changed: Condvar,
}

#[derive(Default)]
struct Told {
    all: Batch,
    listeners: u64,
    closed: bool,
}

impl Log {
    pub(super) fn append(&self, batch: &Batch) {
        let mut told = self.told();
        let offset = told.all.bytes.len();
        told.all.bytes.extend_from_slice(&batch.bytes);
        told.all.starts.extend(batch.starts.iter().map(|(time, start)| (*time, offset + start)));
        self.changed.notify_all();
    }

    /// Where somebody begins who asks for everything from `since` on; `None` is from now on.
    pub(super) fn listen(&self, since: Option<i64>) -> usize {
        let mut told = self.told();
        told.listeners += 1;
        self.changed.notify_all();
        let first = since.and_then(|since| told.all.starts.iter().find(|(time, _)| *time >= since));
        first.map_or(told.all.bytes.len(), |(_, start)| *start)
    }

    /// What comes at `place`, once there is something. Empty: there will be no more.
    pub(super) fn piece_at(&self, place: usize) -> Vec<u8> {
        let mut told = self.told();
        while told.all.bytes.len() == place && !told.closed {
            told = self.changed.wait(told).unwrap_or_else(PoisonError::into_inner);
        }
        if told.closed {
            return Vec::new();
        }
        let end = told.all.bytes.len().min(place + PIECE_BYTES);
        told.all.bytes[place..end].to_vec()
    }

    pub(super) fn wait_for_listeners(&self, count: u64) {
        let mut told = self.told();
        while told.listeners < count {
            told = self.changed.wait(told).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn listeners(&self) -> u64 {
        self.told().listeners
    }

    pub(super) fn close(&self) {
        self.told().closed = true;
        self.changed.notify_all();
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
