//! Opening: what is checked before a log is used, by writers and readers alike.
//! Nothing of a damaged log is changed.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use tradewind_ports::{LogError, TopicPartition};

use crate::damage::{damaged, from_io, from_sqlite};
use crate::directory::{Directory, FILE_MODE, length};
use crate::mark::{self, Marked};
use crate::schema::{self, DATABASE, FORMAT, Head, Meta, PAGE_BYTES};
use crate::wal_check;

/// The first release without a race that could damage a log while its WAL began
/// anew, by its release notes: 3.51.3.
const OLDEST_SQLITE: i32 = 3_051_003;

/// How long somebody else's lock is waited for.
pub(crate) const BUSY_WAIT: Duration = Duration::from_secs(5);

const READER_CACHE_KIB: u32 = 4096;

/// Why a log could not be opened.
#[derive(Debug)]
pub enum OpenError {
    /// Another process is in the way: end it, or wait until it has ended.
    Held { reason: String },
    /// What was asked does not fit what is there: change the configuration or the release.
    Unfit { reason: String },
    /// As with any call.
    Log(LogError),
}

impl fmt::Display for OpenError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OpenError::Held { reason } | OpenError::Unfit { reason } => write!(formatter, "open the log: {reason}"),
            OpenError::Log(error) => error.fmt(formatter),
        }
    }
}

impl std::error::Error for OpenError {}

impl From<LogError> for OpenError {
    fn from(error: LogError) -> OpenError {
        OpenError::Log(error)
    }
}

/// A sound log, as one snapshot shows it.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) meta: Meta,
    pub(crate) commits: u64,
    pub(crate) heads: BTreeMap<TopicPartition, Head>,
    pub(crate) epochs: BTreeMap<String, u64>,
}

impl Contents {
    pub(crate) fn marked(&self) -> Marked {
        let [a, b, c, d, ..] = self.meta.lineage;
        Marked { commits: self.commits, lineage: [a, b, c, d] }
    }
}

pub(crate) fn check_library(version: i32) -> Result<(), OpenError> {
    if version >= OLDEST_SQLITE {
        return Ok(());
    }
    let reason = format!("SQLite {version} can damage a log; expected {OLDEST_SQLITE} (3.51.3) or later in this build");
    Err(OpenError::Unfit { reason })
}

/// What was cut at the end of the write-ahead log.
///
/// Call it while nobody writes, and before SQLite opens the database.
pub(crate) fn check_files(directory: &Directory) -> Result<wal_check::Tail, LogError> {
    let database = directory.database();
    if length(&database)?.unwrap_or(0) < u64::from(PAGE_BYTES) {
        return Err(damaged(format!("{}, byte 0: it has no first page", database.display())));
    }
    wal_check::check(&directory.wal())
}

/// Whether there is no log yet. A database that is gone while its companions
/// remain is damage.
pub(crate) fn is_new(directory: &Directory) -> Result<bool, LogError> {
    let database = directory.database();
    if length(&database)?.is_some() {
        return Ok(false);
    }
    if mark::read(directory)?.is_some() || length(&directory.wal())?.unwrap_or(0) > 0 {
        return Err(damaged(format!("{}: it is gone, and its companions are there", database.display())));
    }
    Ok(true)
}

/// Makes an empty log. It gets its name when it is whole, so there is never half
/// of one. The name is not durable yet.
pub(crate) fn create(directory: &Directory, partitions: u32) -> Result<(), LogError> {
    let unfinished = directory.unfinished();
    for ending in ["", "-journal", "-wal", "-shm"] {
        let mut name = unfinished.clone().into_os_string();
        name.push(ending);
        match fs::remove_file(Path::new(&name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(from_io(&error, Path::new(&name))),
            Ok(()) | Err(_) => {}
        }
    }
    let failed = |error: io::Error| from_io(&error, &unfinished);
    OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&unfinished).map_err(failed)?;
    let made = Connection::open(&unfinished).and_then(|connection| {
        connection.execute_batch(&format!(
            "PRAGMA page_size = {PAGE_BYTES}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; BEGIN"
        ))?;
        schema::create(&connection, partitions)?;
        connection.execute_batch("COMMIT")?;
        connection.close().map_err(|(_, error)| error)
    });
    made.map_err(|error| from_sqlite(&error, "a new log.db"))?;
    File::open(&unfinished).and_then(|file| file.sync_all()).map_err(failed)?;
    fs::rename(&unfinished, directory.database()).map_err(failed)
}

/// Opens for reading: neither closing nor reading changes the files then.
pub(crate) fn connect_reader(directory: &Directory) -> Result<Connection, LogError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connected = Connection::open_with_flags(directory.database(), flags).and_then(|connection| {
        connection.busy_timeout(BUSY_WAIT)?;
        connection.set_prepared_statement_cache_capacity(256);
        connection.execute_batch(&format!(
            "PRAGMA mmap_size = 0; PRAGMA cache_size = -{READER_CACHE_KIB}; PRAGMA cell_size_check = ON"
        ))?;
        Ok(connection)
    });
    connected.map_err(|error| from_sqlite(&error, DATABASE))
}

/// Reads all but the records, and compares it with the mark.
pub(crate) fn inspect(directory: &Directory) -> Result<Contents, OpenError> {
    // The mark first: beside a writer it may lag behind the log, never the other way.
    let marked = mark::read(directory)?;
    let mut connection = connect_reader(directory)?;
    let snapshot = connection.transaction().map_err(|error| from_sqlite(&error, DATABASE))?;
    let meta = schema::read_meta(&snapshot)?;
    if meta.format != FORMAT {
        let reason = format!("it has format {}, and this release reads {FORMAT}", meta.format);
        return Err(OpenError::Unfit { reason });
    }
    let commits = schema::read_commits(&snapshot)?;
    let heads = schema::read_heads(&snapshot)?;
    let epochs = schema::read_epochs(&snapshot)?;
    let contents = Contents { meta, commits, heads, epochs };
    if let Some(marked) = marked {
        compare(directory, marked, &contents)?;
    }
    Ok(contents)
}

fn compare(directory: &Directory, marked: Marked, contents: &Contents) -> Result<(), LogError> {
    let (mark, wal) = (directory.mark(), directory.wal());
    let remedy = |what: &str| {
        let mark = mark.display();
        format!("keep the directory as it is, and restore a backup; if {what} already, delete {mark}")
    };
    if marked.lineage != contents.marked().lineage {
        return Err(LogError::Damaged {
            at: format!("{}, byte 0: it belongs to another log", directory.database().display()),
            remedy: remedy("this log was put here on purpose"),
        });
    }
    if marked.commits > contents.commits {
        let (first, last) = (contents.commits + 1, marked.commits);
        let end = length(&wal)?.unwrap_or(0);
        return Err(LogError::Damaged {
            at: format!("{}, byte {end}: commits {first} to {last}, acknowledged, are gone", wal.display()),
            remedy: remedy("this is a restored backup"),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_with_a_known_race_is_refused() {
        assert!(check_library(3_051_002).is_err());
        assert!(check_library(3_051_003).is_ok());
        assert!(check_library(rusqlite::version_number()).is_ok());
    }
}
