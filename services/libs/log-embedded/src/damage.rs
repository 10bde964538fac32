//! What SQLite says, in the words of the port: what can the caller do about it?

use rusqlite::ErrorCode;
use tradewind_ports::LogError;

const REMEDY: &str = "keep the directory as it is, and restore a backup or import what is readable into a new log";

/// Codes that say a file is not what was written, where the primary code speaks
/// of IO only: a read behind the end of the file, and a file system that says so.
const DAMAGE_IN_IO: [i32; 2] = [rusqlite::ffi::SQLITE_IOERR_SHORT_READ, rusqlite::ffi::SQLITE_IOERR_CORRUPTFS];

pub(crate) fn damaged(at: impl Into<String>) -> LogError {
    LogError::Damaged { at: at.into(), remedy: REMEDY.into() }
}

/// An error of any statement but COMMIT; the statement did nothing.
pub(crate) fn from_sqlite(error: &rusqlite::Error, at: &str) -> LogError {
    match error.sqlite_error() {
        // All our statements are constant: one that SQLite does not understand,
        // or that breaks a constraint, met a schema or rows we did not write.
        Some(known)
            if matches!(
                known.code,
                ErrorCode::DatabaseCorrupt
                    | ErrorCode::NotADatabase
                    | ErrorCode::ConstraintViolation
                    | ErrorCode::TypeMismatch
            ) || known.extended_code == rusqlite::ffi::SQLITE_ERROR
                || DAMAGE_IN_IO.contains(&known.extended_code) =>
        {
            damaged(format!("{at} ({error})"))
        }
        Some(known) if known.code == ErrorCode::CannotOpen => LogError::Unavailable {
            reason: format!(
                "open {at}: {error}; without a running writer, reading needs the right to create files beside it"
            ),
        },
        Some(_) => LogError::Unavailable { reason: format!("{at}: {error}") },
        // Rows that are missing, or of another type.
        None => damaged(format!("{at} ({error})")),
    }
}

/// An error of one of our own files.
pub(crate) fn from_io(error: &std::io::Error, path: &std::path::Path) -> LogError {
    LogError::Unavailable { reason: format!("{}: {error}", path.display()) }
}
