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
