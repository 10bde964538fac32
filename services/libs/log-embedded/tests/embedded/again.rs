//! A log that is opened where another was, in one process.

use std::collections::BTreeSet;

use rusqlite::Connection;
use tempfile::TempDir;
use tradewind_log_embedded::{EmbeddedLog, Options};
use tradewind_ports::{EventLog, LogError, NewRecord};

use crate::child;
use crate::work::{self, PARTITIONS};

const THREADS: u64 = 4;

/// Below what is moved into the database while it is written.
const WRITTEN_MIB: u64 = 16;

#[test]
fn a_log_is_opened_again_as_soon_as_it_is_closed() {
    const ROUNDS: u64 = 100;
    let directory = work::scratch();
    for round in 0..ROUNDS {
        let log = EmbeddedLog::open(directory.path(), Options::new(PARTITIONS)).expect("open");
        std::thread::scope(|scope| {
            for worker in 0..THREADS {
                let log = &log;
                scope.spawn(move || child::commit(log, worker, work::id(worker, round)).expect("commit"));
            }
            scope.spawn(|| work::find(&log).expect("read"));
        });
    }
    let log = EmbeddedLog::open(directory.path(), Options::new(PARTITIONS)).expect("open");
    let all = (0..THREADS).flat_map(|worker| (0..ROUNDS).map(move |round| work::id(worker, round)));
    work::find(&log).expect("read").check(&all.collect::<BTreeSet<u64>>());
}

/// The one before still lives, for somebody holds it, and its files are deleted.
#[test]
fn a_log_whose_directory_was_taken_away_spares_the_one_in_its_place() {
    let directory = work::scratch();
    let path = directory.path().join("log");
    let open = || EmbeddedLog::open(&path, Options::new(PARTITIONS)).expect("open");
    let before = open();
    child::commit(&before, 0, work::id(0, 0)).expect("commit");
    std::fs::remove_dir_all(&path).expect("the directory");

    let log = open();
    child::commit(&log, 1, work::id(1, 0)).expect("commit");
    drop(before);
    child::commit(&log, 1, work::id(1, 1)).expect("commit beside what the other left");
    let both = BTreeSet::from([work::id(1, 0), work::id(1, 1)]);
    work::find(&log).expect("read").check(&both);
    drop(log);
    work::find(&open()).expect("read").check(&both);
}

/// Closing moves what was written into the database, which takes a while, and then deletes files by their names.
#[test]
fn a_log_that_is_being_closed_spares_the_one_in_its_place() {
    const ROUNDS: u64 = 8;
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("log");
    let open = || EmbeddedLog::open(&path, Options::new(PARTITIONS)).expect("open");
    for round in 0..ROUNDS {
        let before = open();
        for _ in 0..WRITTEN_MIB {
            let large = NewRecord { value: Some(vec![7; 1 << 20]), ..NewRecord::default() };
            before.append(&work::decisions(0), vec![large]).expect("append");
        }
        std::thread::scope(|scope| {
            scope.spawn(|| drop(before));
            let moved = || std::fs::metadata(path.join("log.db")).expect("the database").len();
            while moved() < (WRITTEN_MIB / 2) << 20 {
                std::thread::yield_now();
            }
            std::fs::remove_dir_all(&path).expect("the directory");
            let log = open();
            for sequence in 0..10 {
                child::commit(&log, 0, work::id(0, sequence)).expect("commit");
            }
            let found = work::find(&log).unwrap_or_else(|error| panic!("round {round}: {error}"));
            found.check(&(0..10).map(|sequence| work::id(0, sequence)).collect());
        });
        std::fs::remove_dir_all(&path).expect("the directory");
    }
}

/// After an error the files are opened again by their names, and nobody has locked those of another log.
#[test]
fn a_log_whose_directory_was_replaced_is_not_opened_again_after_an_error() {
    let directory = work::scratch();
    let path = directory.path().join("log");
    let open = || EmbeddedLog::open(&path, Options::new(PARTITIONS)).expect("open");
    let before = open();
    child::commit(&before, 0, work::id(0, 0)).expect("commit");
    let tool = Connection::open(path.join("log.db")).expect("a tool");
    tool.execute_batch("BEGIN IMMEDIATE").expect("the right to write");
    let blocked = child::commit(&before, 0, work::id(0, 1));
    assert!(matches!(blocked, Err(LogError::Unavailable { .. })), "got {blocked:?}");
    drop(tool);

    std::fs::remove_dir_all(&path).expect("the directory");
    let log = open();
    child::commit(&log, 1, work::id(1, 0)).expect("commit");
    let refusal = child::commit(&before, 0, work::id(0, 1));
    assert!(matches!(refusal, Err(LogError::Damaged { .. })), "got {refusal:?}");
    drop(before);
    work::find(&log).expect("read").check(&BTreeSet::from([work::id(1, 0)]));
}
