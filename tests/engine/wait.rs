//! Waiting for facts.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// Between two looks: short against a container's start (0.3 s), long against a look.
const INTERVAL: Duration = Duration::from_millis(10);

/// What `look` finds, as soon as it finds something.
///
/// # Panics
///
/// When `limit` has passed, with `what`, a noun: "the container's address".
#[track_caller]
pub fn wait_for<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    match wait_until(Instant::now() + limit, &mut look) {
        Some(found) => found,
        None => panic!("waited {limit:?} for {what}"),
    }
}

/// What `look` finds, or `None` if it has found nothing by `end`. Looks at least once.
pub(super) fn wait_until<T>(end: Instant, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    loop {
        // The clock is read first: a machine that is slow to look gets a last look all the same.
        let late = Instant::now() >= end;
        match look() {
            None if late => return None,
            None => sleep(INTERVAL),
            found => return found,
        }
    }
}
