//! The shape of the file, and the way there from every earlier one.
//!
//! A step is never changed once it has been released: what it made is on other people's disks. A
//! change is a further step, and a line for the version before it in the tests of this file.

use rusqlite::{Connection, TransactionBehavior};

/// What leads from each version to the next; the first makes an empty file a store.
pub(super) const STEPS: &[&str] = &[include_str!("schema/1.sql")];

/// What our files are marked with, `bhok`, so that no other program's file is taken for one.
pub(super) const APPLICATION: i64 = 0x6268_6f6b;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Nothing is in it yet.
    Empty,
    /// A store of this version, 1 or more.
    Version(usize),
    /// A database of another program.
    Foreign,
}

/// What the file behind `connection` is.
pub(super) fn shape(connection: &Connection) -> rusqlite::Result<Shape> {
    let number = |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(match (number("application_id")?, usize::try_from(number("user_version")?)) {
        (APPLICATION, Ok(version @ 1..)) => Shape::Version(version),
        (0, Ok(0)) if tables == 0 => Shape::Empty,
        _ => Shape::Foreign,
    })
}

/// Takes the steps that the file has yet to take, each in one transaction.
pub(super) fn migrate(connection: &mut Connection, from: usize, steps: &[&str]) -> rusqlite::Result<()> {
    for (version, step) in (1_i64..).zip(steps).skip(from) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}
