//! What is wrong with the disk, in words, and what to do about it.

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Error, ErrorCode};

/// Whether it is the store that failed, so that trying again later makes sense; else what was to be
/// written is at fault, and always will be.
pub(super) fn is_of_the_store(error: &Error) -> bool {
    let Error::SqliteFailure(failure, _) = error else { return false };
    !matches!(
        failure.code,
        ErrorCode::ConstraintViolation
            | ErrorCode::TypeMismatch
            | ErrorCode::TooBig
            | ErrorCode::ApiMisuse
            | ErrorCode::ParameterOutOfRange
            | ErrorCode::Unknown
    )
}

/// Whether the file is no store, or not whole.
pub(super) fn is_damage(error: &Error) -> bool {
    use ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}

/// Why the store in `dir` cannot be written, and what helps.
pub(super) fn why(error: &Error, dir: &Path) -> Arc<str> {
    let dir = dir.display();
    let Error::SqliteFailure(failure, _) = error else { return format!("{error}").into() };
    match failure.code {
        ErrorCode::DiskFull => {
            format!("no space is left on the file system of `{dir}`; free some, it goes on by itself")
        }
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => {
            format!("`{dir}/journal.db` is read-only; make it and its file system writable, it goes on by itself")
        }
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed => format!(
            "another program keeps `{dir}/journal.db` locked; `fuser {dir}/journal.db` names it, it goes on \
             when that ends"
        ),
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => format!(
            "`{dir}/journal.db` is damaged ({error}); stop boathook, move the file aside, put a backup in its \
             place if there is one, and start again"
        ),
        ErrorCode::CannotOpen => {
            format!("`{dir}/journal.db` cannot be opened ({error}); is its file system mounted?")
        }
        ErrorCode::SystemIoFailure => format!(
            "the disk of `{dir}` fails ({error}); the kernel's log (`dmesg`) says more, it goes on by itself \
             when it can"
        ),
        _ => format!("writing `{dir}/journal.db` fails ({error})"),
    }
    .into()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rusqlite::{Connection, Error, ffi};

    use super::{is_damage, is_of_the_store, why};

    fn failure(code: i32) -> Error {
        Error::SqliteFailure(ffi::Error::new(code), None)
    }

    #[test]
    fn each_trouble_of_the_disk_is_told_with_what_helps() {
        let cases = [
            (ffi::SQLITE_FULL, "no space is left on the file system of `/state`"),
            (ffi::SQLITE_READONLY, "make it and its file system writable"),
            (ffi::SQLITE_BUSY, "another program keeps"),
            (ffi::SQLITE_CORRUPT, "put a backup in its place"),
            (ffi::SQLITE_CANTOPEN, "is its file system mounted?"),
            (ffi::SQLITE_IOERR_FSYNC, "the kernel's log"),
        ];
        for (code, expected) in cases {
            let error = failure(code);
            assert!(is_of_the_store(&error), "{expected}");
            assert!(why(&error, Path::new("/state")).contains(expected), "{expected}");
        }
        assert!(is_damage(&failure(ffi::SQLITE_NOTADB)) && !is_damage(&failure(ffi::SQLITE_FULL)));
    }

    #[test]
    fn what_no_disk_could_hold_is_not_tried_again() {
        let memory = Connection::open_in_memory().expect("memory");
        memory.execute_batch("CREATE TABLE one (x INTEGER PRIMARY KEY) STRICT").expect("memory");
        let mistyped = memory.execute("INSERT INTO one VALUES ('x')", []).expect_err("no number");
        let constraint = failure(ffi::SQLITE_CONSTRAINT_UNIQUE);

        for error in [mistyped, constraint, Error::InvalidQuery] {
            assert!(!is_of_the_store(&error), "{error}");
        }
    }
}
