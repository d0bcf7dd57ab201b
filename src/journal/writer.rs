//! What writes.
//!
//! It blocks, and wants a thread of its own. What somebody waits for is written at once, with what
//! belongs before it; the rest gathers for a moment and follows. In between it looks for wishes,
//! forgets what is old, and brings the write-ahead log into the file.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode};
use tokio::sync::mpsc;
use tracing::{debug, error, info, warn};

use super::batch::Batch;
use super::failure::{is_of_the_store, why};
use super::identity::Identity;
use super::lock::Lock;
use super::open::{connect, settle};
use super::queue::{Overtaken, PLENTY, Shared, Unit, Urgent};
use super::retention::Pruning;
use super::wish::{Asked, Wishes};
use super::write::Store;
use super::{Retention, fail_points};

/// How long what was appended gathers before it is written: what comes and goes meanwhile costs
/// nothing, and a crash takes no more than this.
const GATHERING: Duration = Duration::from_millis(25);

/// How many entries one transaction holds at most: some 30 ms of work, for which a gate may have to
/// wait.
const ENTRIES_MAX: usize = 4_096;

/// How many commits one transaction holds at most, and how many appended entries go along with them
/// for nothing.
const URGENT_MAX: usize = 64;

/// How often wishes are looked for, and what is left for quiet moments is done when there are none.
const CHORES: Duration = Duration::from_millis(500);

/// How many changed rows are brought from the write-ahead log into the file at once: some 8 MB of
/// pages.
const LOG_ROWS: u64 = 4_096;

/// The first pause before a failed write is tried again; each further one is twice as long.
const PAUSE_MIN: Duration = Duration::from_millis(20);

/// The longest pause: how late it may be noticed that there is space again.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How long the end of the daemon is held up by a disk that is full.
const GIVE_UP: Duration = Duration::from_secs(5);

/// Writes what is handed to the [`Journal`](super::Journal).
#[derive(Debug)]
pub struct Writer {
    shared: Arc<Shared>,
    store: Store,
    file: Identity,
    wishes: Wishes,
    pruning: Pruning,
    chores_at: Instant,
    /// Rows that had been changed when the write-ahead log was last brought into the file.
    logged: u64,
    /// The trouble that there is.
    trouble: Option<Trouble>,
    /// Held as long as we may write.
    _lock: Lock,
}

#[derive(Debug)]
struct Trouble {
    why: Arc<str>,
    pause: Duration,
    /// Whether the connection itself may be at fault.
    connection: bool,
}

/// What is to be done next.
enum Task {
    /// Somebody waits for these.
    Urgent(Vec<Urgent>, Overtaken),
    /// These have waited long enough.
    Behind(Vec<Unit>),
    /// Nothing is urgent.
    Chores,
    /// Everything is written, and nobody can hand over more.
    End,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        store: Store,
        file: Identity,
        lock: Lock,
        keep: Retention,
        hand_on: mpsc::Sender<Asked>,
    ) -> Writer {
        let (wishes, pruning) = (Wishes::new(hand_on, shared.dir.clone()), Pruning::new(keep));
        let chores_at = Instant::now();
        Writer { shared, store, file, wishes, pruning, chores_at, logged: 0, trouble: None, _lock: lock }
    }

    /// Writes until all handles of the journal are gone and everything is on disk. Blocks.
    ///
    /// If then the disk is full it gives up after some seconds, and says what is lost.
    pub fn run(mut self) {
        loop {
            match self.next_task() {
                Task::Urgent(urgent, overtaken) => self.write_urgent(urgent, overtaken),
                Task::Behind(units) => self.write_behind(units),
                Task::Chores => self.do_chores(),
                Task::End => break,
            }
            if !self.wait_until_mended() {
                return;
            }
        }
        self.clear_log("TRUNCATE");
    }

    /// Waits until there is something to do.
    fn next_task(&self) -> Task {
        let mut queue = self.shared.queue();
        loop {
            let now = Instant::now();
            let are_chores_late = self.chores_at + CHORES <= now;
            if !queue.urgent.is_empty() {
                let count = queue.urgent.len().min(URGENT_MAX);
                let mut urgent: Vec<Urgent> = queue.urgent.drain(..count).collect();
                let overtaken = if queue.waiting <= URGENT_MAX {
                    Overtaken { first: queue.take_behind(URGENT_MAX), ..Overtaken::default() }
                } else {
                    queue.depended_on(&mut urgent)
                };
                return Task::Urgent(urgent, overtaken);
            }
            let gathered_at = queue.since.map(|it| it + GATHERING);
            let is_plenty = queue.waiting >= PLENTY || (queue.closed && queue.waiting > 0);
            let is_plenty = is_plenty || queue.hurry;
            if !are_chores_late && (is_plenty || gathered_at.is_some_and(|it| it <= now)) {
                return Task::Behind(queue.take_behind(ENTRIES_MAX));
            }
            if self.chores_at <= now || queue.accepted {
                return Task::Chores;
            }
            if queue.closed && queue.waiting == 0 {
                return Task::End;
            }
            let until = gathered_at.unwrap_or(self.chores_at).min(self.chores_at);
            queue.idle = queue.waiting == 0;
            let waited = self.shared.wake.wait_timeout(queue, until - now);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
            queue.idle = false;
        }
    }

    /// Has units on disk, all or none.
    fn put<'a>(&mut self, units: impl Iterator<Item = &'a Unit> + Clone) -> rusqlite::Result<()> {
        self.store.put(&Batch::of(units.clone()))?;
        units.flat_map(|it| &it.lines).for_each(|it| fail_points::after(&it.entry));
        Ok(())
    }

    fn write_urgent(&mut self, mut urgent: Vec<Urgent>, overtaken: Overtaken) {
        let Overtaken { first, later } = overtaken;
        let units = first.iter().chain(urgent.iter().map(|it| &it.unit));
        match self.put(units) {
            Ok(()) => {
                self.shared.queue().push_behind(later);
                urgent.into_iter().for_each(Urgent::done);
            }
            Err(error) if is_of_the_store(&error) => self.fail(&error, urgent, first),
            // Something in it can never be written. Each for itself, so that the others are.
            Err(_) if first.len() + urgent.len() > 1 => {
                self.write_one_by_one(first);
                if let Some(trouble) = &self.trouble {
                    return self.shared.fail(&trouble.why.clone(), urgent, Vec::new());
                }
                self.shared.queue().push_behind(later);
                for one in urgent.drain(..) {
                    self.write_urgent(vec![one], Overtaken::default());
                }
            }
            Err(error) => {
                let why: Arc<str> = format!("it cannot hold the entry ({error})").into();
                error!(%error, "entries that cannot be written were refused");
                self.shared.queue().refuse(urgent, &why);
            }
        }
    }

    fn write_behind(&mut self, units: Vec<Unit>) {
        match self.put(units.iter()) {
            Ok(()) => {}
            Err(error) if is_of_the_store(&error) => self.fail(&error, Vec::new(), units),
            Err(_) if units.len() > 1 => self.write_one_by_one(units),
            Err(error) => error!(%error, entries = ?units, "entries that cannot be written were dropped"),
        }
        if self.store.connection.total_changes() - self.logged >= LOG_ROWS && self.trouble.is_none() {
            self.clear_log("PASSIVE");
        }
    }

    fn write_one_by_one(&mut self, units: Vec<Unit>) {
        let mut units = VecDeque::from(units);
        while let Some(unit) = units.pop_front() {
            if self.trouble.is_some() {
                units.push_front(unit);
                return self.shared.queue().put_back(units.into());
            }
            self.write_behind(vec![unit]);
        }
    }

    /// Puts back what has not been written, and lets everybody know.
    fn fail(&mut self, error: &rusqlite::Error, urgent: Vec<Urgent>, behind: Vec<Unit>) {
        let why = why(error, &self.shared.dir);
        let code = error.sqlite_error_code();
        let is_sound = matches!(code, Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy));
        self.fail_as(why, !is_sound, urgent, behind);
    }

    fn fail_as(&mut self, why: Arc<str>, connection: bool, urgent: Vec<Urgent>, behind: Vec<Unit>) {
        self.shared.fail(&why, urgent, behind);
        let pause = self.trouble.as_ref().map_or(PAUSE_MIN, |it| (it.pause * 2).min(PAUSE_MAX));
        if self.trouble.as_ref().is_none_or(|it| it.why != why) {
            error!(%why, "the journal cannot be written");
        }
        self.trouble = Some(Trouble { why, pause, connection });
    }

    /// Tries again until it works; `false` when it has not for so long that the end cannot wait.
    fn wait_until_mended(&mut self) -> bool {
        let mut closed_at = None;
        while let Some(trouble) = &self.trouble {
            let pause = trouble.pause;
            let reconnect = trouble.connection;
            if self.pause_or_close(pause) {
                let since = *closed_at.get_or_insert_with(Instant::now);
                if since.elapsed() >= GIVE_UP {
                    let entries = self.shared.queue().waiting;
                    error!(entries, "the journal could not be written: what was not on disk is lost");
                    return false;
                }
            }
            self.try_again(reconnect);
        }
        true
    }

    fn try_again(&mut self, reconnect: bool) {
        if let Err(why) = self.file.is_in_place(&self.shared.dir) {
            return self.fail_as(why, true, Vec::new(), Vec::new());
        }
        if reconnect && let Err(error) = self.reconnect() {
            return self.fail(&error, Vec::new(), Vec::new());
        }
        let units = self.shared.queue().take_behind(ENTRIES_MAX);
        let tried = match units.is_empty() {
            true => probe(&self.store.connection),
            false => self.put(units.iter()),
        };
        match tried {
            Err(error) if is_of_the_store(&error) => self.fail(&error, Vec::new(), units),
            tried => {
                self.trouble = None;
                self.shared.mend();
                info!("the journal is written again");
                if tried.is_err() {
                    self.write_one_by_one(units);
                }
            }
        }
    }

    fn reconnect(&mut self) -> rusqlite::Result<()> {
        let connection = connect(&self.shared.dir)?;
        settle(&connection)?;
        self.store.replace(connection);
        self.logged = 0;
        self.wishes.look_anew();
        Ok(())
    }

    /// Waits for so long; whether all handles are gone.
    fn pause_or_close(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        let mut queue = self.shared.queue();
        while let Some(left) = until.checked_duration_since(Instant::now()).filter(|it| !it.is_zero()) {
            let waited = self.shared.wake.wait_timeout(queue, left);
            queue = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        queue.closed
    }

    /// What is done in quiet moments.
    fn do_chores(&mut self) {
        let now = Instant::now();
        if std::mem::take(&mut self.shared.queue().accepted)
            && let Err(error) = self.store.connection.execute("DELETE FROM meta WHERE key = 'copy_of'", [])
        {
            self.shared.queue().accepted = true;
            return self.fail(&error, Vec::new(), Vec::new());
        }
        // SQLite would go on writing into a file that nobody finds any more.
        if let Err(why) = self.file.is_in_place(&self.shared.dir) {
            return self.fail_as(why, true, Vec::new(), Vec::new());
        }
        if let Err(error) = self.wishes.look(&self.store.connection) {
            debug!(%error, "cannot look for wishes, will look again");
        }
        self.chores_at = now + CHORES;
        if self.pruning.is_due(now) {
            match self.pruning.step(&mut self.store, Timestamp::now()) {
                // On with it, unless there is something else to do.
                Ok(()) => self.chores_at = now,
                Err(error) => warn!(%error, "what is old could not be forgotten, will try again"),
            }
        } else if self.store.connection.total_changes() > self.logged {
            self.clear_log("PASSIVE");
        }
    }

    /// Brings the write-ahead log into the file.
    fn clear_log(&mut self, how: &str) {
        self.logged = self.store.connection.total_changes();
        let sql = format!("PRAGMA wal_checkpoint({how})");
        if let Err(error) = self.store.connection.query_row(&sql, [], |_| Ok(())) {
            debug!(%error, "the write-ahead log stays as it is until the next time");
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.abandon();
    }
}

/// Whether something can be written.
fn probe(connection: &Connection) -> rusqlite::Result<()> {
    let sql = "INSERT INTO meta (key, value) VALUES ('probe', '') ON CONFLICT (key) \
        DO UPDATE SET value = CASE value WHEN '' THEN '.' ELSE '' END";
    connection.execute(sql, []).map(drop)
}
