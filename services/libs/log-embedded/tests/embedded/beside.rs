//! Several processes use one log.

use std::collections::BTreeSet;

use rusqlite::Connection;
use tempfile::TempDir;
use tradewind_log_embedded::{EmbeddedLog, OpenError, Options};
use tradewind_ports::{EventLog, NewRecord, Topic, TopicPartition};

use crate::child::{self, Process};
use crate::work::{self, PARTITIONS};

/// Where a record says that the writer has ended.
pub(crate) fn end() -> TopicPartition {
    Topic::DeadLetter.partition(0)
}

#[test]
fn processes_read_beside_the_writer_what_is_committed_and_do_not_block_it() {
    const TRANSACTIONS: u64 = 150;
    let directory = TempDir::new().expect("a directory");
    let log = EmbeddedLog::open(directory.path(), Options::new(PARTITIONS)).expect("open");
    let mut readers = [(); 2].map(|()| Process::start("follow", directory.path(), 0));
    for reader in &mut readers {
        assert_eq!(reader.hear().as_deref(), Some("open"));
    }
    // The readers read all the time, and no commit fails or waits for them.
    for sequence in 0..TRANSACTIONS {
        child::commit(&log, 0, work::id(0, sequence)).expect("commit");
    }
    // What is open shows to nobody.
    let mut open = log.writer("worker-1").expect("a writer");
    open.begin().expect("begin");
    for (at, record) in work::records(work::id(1, 0)) {
        open.send(&at, record).expect("send");
    }
    open.acknowledge().expect("acknowledge");
    log.append(&end(), vec![NewRecord::default()]).expect("append");
    for reader in &mut readers {
        assert_eq!(reader.hear(), Some(format!("found {TRANSACTIONS}")));
    }
    drop(log);
    // With the writer gone, the log can be read too, and still be written.
    let reader = EmbeddedLog::open_reader(directory.path()).expect("open");
    let log = EmbeddedLog::open(directory.path(), Options::new(PARTITIONS)).expect("open beside a reader");
    child::commit(&log, 0, work::id(0, TRANSACTIONS)).expect("commit");
    let acknowledged: BTreeSet<u64> = (0..=TRANSACTIONS).map(|sequence| work::id(0, sequence)).collect();
    work::find(&reader).expect("read").check(&acknowledged);
}

#[test]
fn a_second_process_that_wants_to_write_is_told_what_to_do() {
    let directory = TempDir::new().expect("a directory");
    let mut writer = Process::start("write", directory.path(), 0);
    assert_eq!(writer.hear().as_deref(), Some("open"));
    let refusal = EmbeddedLog::open(directory.path(), Options::new(PARTITIONS)).unwrap_err();
    assert!(matches!(refusal, OpenError::Held { .. }), "{refusal:?}");
    let expected = format!("process {} writes to", writer.number());
    let refusal = refusal.to_string();
    assert!(refusal.contains(&expected) && refusal.contains("end it, or open the log for reading"), "{refusal}");
    drop(writer);
    let _log = EmbeddedLog::open(directory.path(), Options::new(PARTITIONS)).expect("open after it has ended");
    let mut second = Process::start("open", directory.path(), 0);
    let refusal = second.hear().expect("a refusal");
    assert!(refusal.contains(&format!("process {} writes to", std::process::id())), "{refusal}");
}

#[test]
fn a_process_that_holds_one_view_of_the_log_is_named_as_the_cause() {
    let directory = TempDir::new().expect("a directory");
    let open = || EmbeddedLog::open(directory.path(), Options::new(PARTITIONS));
    let log = open().expect("open");
    let tool = Connection::open(directory.path().join("log.db")).expect("a tool");
    child::commit(&log, 0, work::id(0, 0)).expect("commit");
    tool.execute_batch("BEGIN; SELECT * FROM head").expect("a view");
    child::commit(&log, 0, work::id(0, 1)).expect("commit beside it");
    drop(log);
    let refusal = open().unwrap_err();
    assert!(matches!(&refusal, OpenError::Held { reason } if reason.contains("a reader of")), "{refusal}");
    tool.execute_batch("COMMIT").expect("the end of the view");
    work::find(&open().expect("open")).expect("read").check(&BTreeSet::from([work::id(0, 0), work::id(0, 1)]));
}
