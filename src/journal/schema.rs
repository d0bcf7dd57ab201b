//! The shape of the file, and the way there from every earlier one.
//!
//! A step is never changed once it has been released: what it made is on other people's disks. A
//! change is a further step, and a line for the version before it in the tests of this file.

use rusqlite::{Connection, TransactionBehavior};

/// What leads from each version to the next; the first makes an empty file a store.
pub(super) const STEPS: &[&str] = &[include_str!("schema/1.sql"), include_str!("schema/2.sql")];

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

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::{STEPS, Shape, migrate, shape};

    fn empty() -> Connection {
        Connection::open_in_memory().expect("memory")
    }

    #[test]
    fn each_step_is_taken_once_and_from_wherever_a_file_is() {
        let steps = ["CREATE TABLE one (x)", "ALTER TABLE one ADD COLUMN y", "INSERT INTO one VALUES (1, 2)"];
        for from in 0..steps.len() {
            let mut store = empty();
            migrate(&mut store, 0, &steps[..from]).expect("sound steps");
            let before = if from == 0 { Shape::Empty } else { Shape::Version(from) };
            assert_eq!(shape(&store), Ok(before));

            migrate(&mut store, from, &steps).expect("sound steps");
            migrate(&mut store, steps.len(), &steps).expect("nothing to do");

            assert_eq!(shape(&store), Ok(Shape::Version(3)));
            assert_eq!(store.query_row("SELECT count(*) FROM one", [], |row| row.get(0)), Ok(1));
        }
    }

    #[test]
    fn a_step_that_fails_leaves_the_version_before_it() {
        let mut store = empty();
        let steps = ["CREATE TABLE one (x)", "CREATE TABLE two (x); CREATE TABLE one (x)"];

        migrate(&mut store, 0, &steps).expect_err("there is such a table");

        assert_eq!(shape(&store), Ok(Shape::Version(1)));
        assert!(store.prepare("SELECT x FROM two").is_err());
    }

    #[test]
    fn a_file_of_another_program_is_told_from_ours() {
        let theirs = empty();
        theirs.execute_batch("CREATE TABLE theirs (x)").expect("memory");
        assert_eq!(shape(&theirs), Ok(Shape::Foreign));
        let marked = empty();
        marked.execute_batch("PRAGMA user_version = 1").expect("memory");
        assert_eq!(shape(&marked), Ok(Shape::Foreign));
        let mut ours = empty();
        migrate(&mut ours, 0, STEPS).expect("our own steps");
        assert_eq!(shape(&ours), Ok(Shape::Version(STEPS.len())));
    }
}
