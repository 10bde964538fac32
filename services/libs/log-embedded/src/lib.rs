//! The embedded log: an [`EventLog`](tradewind_ports::EventLog) in one directory,
//! on SQLite in WAL mode. No server; one process writes, others read beside it.
//!
//! ```no_run
//! use std::path::Path;
//! use tradewind_log_embedded::{EmbeddedLog, Options};
//! use tradewind_ports::{EventLog, NewRecord, Topic};
//!
//! let log = EmbeddedLog::open(Path::new("data/log"), Options::new(16))?;
//! log.append(&Topic::Events.partition(0), vec![NewRecord::default()])?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What it promises:
//!
//! - What was acknowledged survives the end of the process and of the power.
//!   Calls that wait at the same time share one commit, and one sync.
//! - A transaction shows whole or not at all, on all its topics.
//! - An unfinished transaction at the end is cut; anything else that is not what
//!   was written is refused, with its place and what to do, and left as it is.
//! - Damage that it can't tell from an unfinished transaction: to the very last
//!   commits before the power failed, where the mark (see below) had not reached
//!   the disk either.
//!
//! The files:
//!
//! | file | what |
//! |---|---|
//! | `log.db` and its `-wal` and `-shm` | SQLite's. A table a partition, such as `"record_tradewind.events_0"` |
//! | `durable` | the mark: the number of the last acknowledged commit. Left out of backups |
//! | `lock` | held by the process that writes, with its number |
//!
//! Open the database with `sqlite3 -readonly`: a tool that may write, and is the
//! last to close a damaged log, makes the loss permanent.

#![forbid(unsafe_code)]

mod checksum;
mod compaction;
mod damage;
mod directory;
mod group;
mod log;
mod mark;
mod opening;
mod read;
mod retention;
mod schema;
mod store;
mod transaction;
mod wal_check;
mod writer_thread;

pub use log::{EmbeddedLog, Options};
pub use opening::OpenError;
