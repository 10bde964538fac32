//! The one connection that writes. Every change is a numbered commit: rows,
//! heads and the number in one SQL transaction, then the mark.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use tradewind_ports::{LogError, TopicPartition};

use crate::damage::from_sqlite;
use crate::directory::Directory;
use crate::mark::Mark;
use crate::opening::{self, BUSY_WAIT, OpenError};
use crate::schema::{self, DATABASE, Head};

/// A checkpoint each 32 MiB: fewer make longer pauses, more make more of them.
const CHECKPOINT_PAGES: u32 = 4000;
/// A WAL that a slow reader let grow shrinks to this.
const WAL_LIMIT_BYTES: u32 = 64 << 20;
const CACHE_KIB: u32 = 65_536;

/// Where every partition ends, for the whole process; grows after a commit.
#[derive(Debug, Default)]
pub(crate) struct Heads {
    heads: Mutex<BTreeMap<TopicPartition, Head>>,
    grown: Condvar,
}

impl Heads {
    pub(crate) fn lock(&self) -> MutexGuard<'_, BTreeMap<TopicPartition, Head>> {
        self.heads.lock().expect("no thread panics while it holds the heads")
    }

    /// Waits until the partition reaches beyond `from`, or the time is over.
    pub(crate) fn wait(&self, at: &TopicPartition, from: u64, timeout: Duration) {
        let is_short = |heads: &mut BTreeMap<TopicPartition, Head>| heads.get(at).is_none_or(|head| head.next <= from);
        let waited = self.grown.wait_timeout_while(self.lock(), timeout, is_short);
        drop(waited.expect("no thread panics while it holds the heads"));
    }

    fn install(&self, heads: BTreeMap<TopicPartition, Head>) {
        self.lock().extend(heads);
        self.grown.notify_all();
    }
}

/// Drop it after any error: only opening it again tells what is there.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) connection: Connection,
    mark: Mark,
    heads: Arc<Heads>,
    commits: u64,
    pub(crate) epochs: BTreeMap<String, u64>,
    /// What the last process left unfinished.
    pub(crate) torn_bytes: u64,
    /// Rows of compacted topics were replaced or swept since the WAL began anew.
    pub(crate) has_superseded: bool,
}

impl Store {
    /// Opens the log of a directory that this process has locked.
    pub(crate) fn open(directory: &Directory, partitions: u32, heads: Arc<Heads>) -> Result<Store, OpenError> {
        if opening::is_new(directory)? {
            opening::create(directory, partitions)?;
        }
        let tail = opening::check_files(directory)?;
        let contents = opening::inspect(directory)?;
        if contents.meta.partitions != partitions {
            let known = contents.meta.partitions;
            let reason = format!("it has {known} partitions, and {partitions} are configured; a log keeps its number");
            return Err(OpenError::Unfit { reason });
        }
        let connection = connect(directory).map_err(|error| from_sqlite(&error, DATABASE))?;
        // A new generation of the WAL: what a torn transaction left can't be
        // mistaken for damage next time.
        if !truncate_wal(&connection)? {
            let directory = directory.path().display();
            let wait = BUSY_WAIT.as_secs();
            return Err(OpenError::Held {
                reason: format!("a reader of {directory} has held one view of it for {wait} s: end that process"),
            });
        }
        let mark = Mark::open(directory, contents.marked())?;
        // The names of all files, before anything is acknowledged.
        directory.sync()?;
        heads.install(contents.heads);
        Ok(Store {
            connection,
            mark,
            heads,
            commits: contents.commits,
            epochs: contents.epochs,
            torn_bytes: tail.torn_bytes,
            has_superseded: false,
        })
    }

    /// Makes one change, durable when this returns.
    pub(crate) fn commit<T>(
        &mut self,
        change: impl FnOnce(&mut Changes<'_>) -> Result<T, LogError>,
    ) -> Result<T, LogError> {
        let failed = |error: rusqlite::Error| from_sqlite(&error, DATABASE);
        self.connection.execute_batch("BEGIN IMMEDIATE").map_err(failed)?;
        let mut changes = Changes {
            connection: &self.connection,
            heads: &self.heads,
            changed: BTreeMap::new(),
            has_superseded: self.has_superseded,
        };
        let made = change(&mut changes)?;
        let Changes { changed, has_superseded, .. } = changes;
        for (at, head) in &changed {
            schema::write_head(&self.connection, at, head).map_err(failed)?;
        }
        let commits = self.commits + 1;
        schema::write_commits(&self.connection, commits).map_err(failed)?;
        self.connection.execute_batch("COMMIT").map_err(|error| indefinite(&error))?;
        self.mark.write(commits).map_err(|error| indefinite(&error))?;
        self.commits = commits;
        self.has_superseded = has_superseded;
        self.heads.install(changed);
        Ok(made)
    }

    /// Moves the WAL into the database and closes it, as SQLite would by itself, if that is still where it was.
    ///
    /// SQLite looks first whether it is, then moves, which takes a while, then deletes the WAL by its name. Where the
    /// directory was replaced meanwhile, that would be another log's; so nothing is left to move before we look.
    pub(crate) fn close(self, is_in_place: impl FnOnce() -> bool) {
        // What can't be moved now is moved when the log is opened again; nobody is waited for.
        let _ = self.connection.busy_timeout(Duration::ZERO);
        let _ = truncate_wal(&self.connection);
        if !is_in_place() {
            // If this fails, SQLite looks once more by itself.
            let _ = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        }
    }

    /// Raises the epoch of a writer: all older ones are fenced.
    pub(crate) fn raise_epoch(&mut self, id: &str) -> Result<u64, LogError> {
        let epoch = self.epochs.get(id).copied().unwrap_or(0) + 1;
        self.commit(|changes| {
            let written = schema::write_epoch(changes.connection, id, epoch);
            written.map_err(|error| from_sqlite(&error, "log.db, table producer"))
        })?;
        self.epochs.insert(id.into(), epoch);
        Ok(epoch)
    }
}

/// What one commit changes, beside the rows.
pub(crate) struct Changes<'a> {
    pub(crate) connection: &'a Connection,
    heads: &'a Heads,
    changed: BTreeMap<TopicPartition, Head>,
    pub(crate) has_superseded: bool,
}

impl Changes<'_> {
    /// The head of a partition, to be changed; its table is made if it is missing.
    pub(crate) fn head(&mut self, at: &TopicPartition) -> Result<&mut Head, LogError> {
        match self.changed.entry(at.clone()) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(vacant) => {
                let known = self.heads.lock().get(at).copied();
                if known.is_none() {
                    let made = schema::create_partition(self.connection, at);
                    made.map_err(|error| from_sqlite(&error, &at.to_string()))?;
                }
                Ok(vacant.insert(known.unwrap_or(Head::EMPTY)))
            }
        }
    }
}

fn indefinite(error: &dyn std::error::Error) -> LogError {
    LogError::Indefinite { reason: format!("{DATABASE}, at its commit: {error}") }
}

fn connect(directory: &Directory) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(directory.database(), flags)?;
    connection.busy_timeout(BUSY_WAIT)?;
    connection.set_prepared_statement_cache_capacity(1024);
    // What is erased is overwritten, not only unlinked. Some systems sync to the
    // disk's own memory unless asked for a full sync.
    connection.execute_batch(&format!(
        "PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON;
         PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}; PRAGMA journal_size_limit = {WAL_LIMIT_BYTES};
         PRAGMA cache_size = -{CACHE_KIB}; PRAGMA mmap_size = 0; PRAGMA cell_size_check = ON;
         PRAGMA secure_delete = ON"
    ))?;
    Ok(connection)
}

/// Moves all of the WAL into the database and empties it; false if a reader is
/// in the way.
pub(crate) fn truncate_wal(connection: &Connection) -> Result<bool, LogError> {
    let busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
    Ok(busy.map_err(|error| from_sqlite(&error, DATABASE))? == 0)
}
