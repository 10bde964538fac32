//! Bytes that are not what was written: refused with place and remedy, never
//! silent, and the directory stays as it was.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use proptest::prelude::*;
use rusqlite::Connection;
use tempfile::TempDir;
use tradewind_log_embedded::{EmbeddedLog, OpenError, Options};
use tradewind_ports::LogError;

use crate::child;
use crate::work::{self, PARTITIONS};

const CLOSED: u64 = 40;
const IN_WAL: u64 = 25;

const FILES: [&str; 4] = ["log.db", "log.db-wal", "durable", "lock"];

type Image = BTreeMap<&'static str, Vec<u8>>;

/// A log as a process that was killed leaves it: most of it in the database, the
/// newest transactions in the WAL.
fn image() -> &'static Image {
    static IMAGE: OnceLock<Image> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let (directory, copy) = (work::scratch(), work::scratch());
        let open = || EmbeddedLog::open(directory.path(), Options::new(PARTITIONS)).expect("open");
        let log = open();
        for sequence in 0..CLOSED {
            child::commit(&log, 0, work::id(0, sequence)).expect("commit");
        }
        drop(log);
        let log = open();
        for sequence in CLOSED..CLOSED + IN_WAL {
            child::commit(&log, 0, work::id(0, sequence)).expect("commit");
        }
        // By a process of its own: closing a file here would drop SQLite's locks on it.
        let files = FILES.map(|file| directory.path().join(file));
        assert!(Command::new("cp").args(files).arg(copy.path()).status().expect("cp").success());
        drop(log);
        FILES.into_iter().map(|file| (file, std::fs::read(copy.path().join(file)).expect("a file"))).collect()
    })
}

fn copy_of_image() -> TempDir {
    let directory = work::scratch();
    for (file, bytes) in image() {
        std::fs::write(directory.path().join(file), bytes).expect("a file");
    }
    directory
}

fn everything() -> BTreeSet<u64> {
    (0..CLOSED + IN_WAL).map(|sequence| work::id(0, sequence)).collect()
}

fn change(path: PathBuf, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(&path).expect("a file");
    change(&mut bytes);
    std::fs::write(path, bytes).expect("a file");
}

/// Every file that holds something, without SQLite's index of the WAL, which it
/// makes anew, and the lock.
fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry"));
    let files = entries.map(|entry| {
        let name = entry.file_name().into_string().expect("text");
        (name, std::fs::read(entry.path()).expect("a file"))
    });
    files.filter(|(name, bytes)| name != "log.db-shm" && name != "lock" && !bytes.is_empty()).collect()
}

/// Reads the log, by a reader and then by a writer; each must refuse, or find
/// all that was written.
fn read_or_refuse(directory: &Path) -> Vec<Option<LogError>> {
    let before = files(directory);
    let mut refusals = Vec::new();
    for open in [EmbeddedLog::open_reader, |directory: &Path| EmbeddedLog::open(directory, Options::new(PARTITIONS))] {
        let refusal = match open(directory) {
            Ok(log) => match work::find(&log) {
                Ok(found) => {
                    found.check(&everything());
                    None
                }
                Err(error) => Some(error),
            },
            Err(OpenError::Log(error)) => {
                assert_eq!(files(directory), before, "a refusal has changed the log");
                Some(error)
            }
            Err(OpenError::Unfit { reason } | OpenError::Held { reason }) => panic!("{reason}"),
        };
        refusals.push(refusal);
    }
    refusals
}

/// Both must refuse, naming the place, and what to do.
fn check_refused(directory: &Path, place: &str) {
    for refusal in read_or_refuse(directory) {
        match refusal {
            Some(LogError::Damaged { at, remedy }) => {
                assert!(at.contains(place), "expected {place:?} in {at:?}");
                assert!(remedy.contains("backup"), "{remedy}");
            }
            other => panic!("expected to be refused at {place}, got {other:?}"),
        }
    }
}

#[test]
fn a_log_that_is_whole_is_read() {
    assert_eq!(read_or_refuse(copy_of_image().path()), [None, None]);
}

#[test]
fn a_torn_tail_is_cut() {
    // What a transaction leaves that was being written: frames without a commit.
    let directory = copy_of_image();
    let frame = 24 + 8192;
    change(directory.path().join("log.db-wal"), |wal| {
        let mut torn = wal[32..32 + frame].to_vec();
        torn[4..8].fill(0);
        torn[100..200].fill(7);
        wal.extend_from_slice(&torn);
        wal.extend_from_slice(&torn[..1000]);
    });
    let log = EmbeddedLog::open(directory.path(), Options::new(PARTITIONS)).expect("open");
    assert_eq!(log.cut_bytes(), frame as u64);
    work::find(&log).expect("read").check(&everything());
    child::commit(&log, 0, work::id(0, CLOSED + IN_WAL)).expect("commit");
    drop(log);
    let log = EmbeddedLog::open(directory.path(), Options::new(PARTITIONS)).expect("open");
    assert_eq!(log.cut_bytes(), 0);
    assert_eq!(work::find(&log).expect("read").transactions() as u64, CLOSED + IN_WAL + 1);
}

#[test]
fn a_flipped_byte_amid_the_wal_is_refused_with_its_place() {
    let directory = copy_of_image();
    let frame = 24 + 8192;
    let flipped = 32 + 3 * frame + 4000;
    change(directory.path().join("log.db-wal"), |wal| wal[flipped] ^= 1);
    check_refused(directory.path(), &format!("log.db-wal, byte {}", 32 + 3 * frame));
}

#[test]
fn a_flipped_byte_in_the_head_of_the_wal_is_refused() {
    let directory = copy_of_image();
    change(directory.path().join("log.db-wal"), |wal| wal[17] ^= 1);
    check_refused(directory.path(), "log.db-wal, byte 0");
}

#[test]
fn a_damaged_last_transaction_is_refused_by_the_mark() {
    let directory = copy_of_image();
    change(directory.path().join("log.db-wal"), |wal| *wal.last_mut().expect("a byte") ^= 1);
    check_refused(directory.path(), "acknowledged, are gone");
}

#[test]
fn a_wal_that_was_cut_short_or_deleted_is_refused() {
    for keep in [0, 20, 32, 20_000] {
        let directory = copy_of_image();
        change(directory.path().join("log.db-wal"), |wal| wal.truncate(keep));
        check_refused(directory.path(), &format!("log.db-wal, byte {keep}: commits"));
    }
    let directory = copy_of_image();
    std::fs::remove_file(directory.path().join("log.db-wal")).expect("remove");
    check_refused(directory.path(), "log.db-wal, byte 0: commits");
}

#[test]
fn a_database_that_is_gone_is_not_made_anew() {
    let directory = copy_of_image();
    change(directory.path().join("log.db"), |database| database.clear());
    check_refused(directory.path(), "log.db, byte 0");
    std::fs::remove_file(directory.path().join("log.db")).expect("remove");
    check_refused(directory.path(), "log.db");
    // Not even when it is the only one left out of a restored backup.
    std::fs::remove_file(directory.path().join("log.db-wal")).expect("remove");
    check_refused(directory.path(), "log.db");
}

#[test]
fn an_older_copy_and_another_log_are_refused_until_the_mark_is_deleted() {
    let (directory, other) = (copy_of_image(), work::scratch());
    drop(EmbeddedLog::open(other.path(), Options::new(PARTITIONS)).expect("open"));
    std::fs::remove_file(directory.path().join("log.db-wal")).expect("remove");
    std::fs::copy(other.path().join("log.db"), directory.path().join("log.db")).expect("copy");
    check_refused(directory.path(), "it belongs to another log");
    std::fs::remove_file(directory.path().join("durable")).expect("remove");
    EmbeddedLog::open(directory.path(), Options::new(PARTITIONS)).expect("open");
}

#[test]
fn a_damaged_mark_is_refused() {
    let directory = copy_of_image();
    change(directory.path().join("durable"), |mark| mark[0] ^= 1);
    check_refused(directory.path(), "durable, byte 0");
}

#[test]
fn a_changed_record_is_refused_with_its_topic_partition_and_offset() {
    // The last part of a value, in the database file as SQLite keeps it.
    let directory = copy_of_image();
    let log = EmbeddedLog::open(directory.path(), Options::new(PARTITIONS)).expect("open");
    let records = work::read_all(&log, &work::decisions(2)).expect("read");
    let record = records.iter().max_by_key(|record| record.value.as_ref().map(Vec::len)).expect("a record").clone();
    drop(log);
    change(directory.path().join("log.db"), |database| {
        let value = record.value.expect("a value");
        let at = database.windows(value.len()).position(|window| window == value).expect("the value");
        database[at + value.len() / 2] ^= 1;
    });
    let log = EmbeddedLog::open(directory.path(), Options::new(PARTITIONS)).expect("open");
    let error = work::find(&log).expect_err("a changed record");
    let place = format!("tradewind.decisions[2], offset {}", record.offset);
    assert!(matches!(&error, LogError::Damaged { at, .. } if at.contains(&place)), "{error}");
}

/// What is missing or changed as SQLite sees it, without a word from SQLite: each
/// statement with the place that must be named.
const UNNOTICED_BY_SQLITE: [(&str, &str); 11] = [
    ("DELETE FROM \"record_tradewind.decisions_1\" WHERE offset = 0", "tradewind.decisions[1]"),
    ("DELETE FROM \"record_tradewind.decisions_1\" WHERE offset = 5", "tradewind.decisions[1], offset 5"),
    (
        "DELETE FROM \"record_tradewind.decisions_1\" WHERE offset =
            (SELECT max(offset) FROM \"record_tradewind.decisions_1\")",
        "tradewind.decisions[1]",
    ),
    (
        "DELETE FROM \"record_tradewind.ledger.klaviyo_0\" WHERE offset =
            (SELECT min(offset) FROM \"record_tradewind.ledger.klaviyo_0\")",
        "tradewind.ledger.klaviyo[0]",
    ),
    (
        "UPDATE \"record_tradewind.decisions_1\" SET time = time + 1 WHERE offset = 5",
        "tradewind.decisions[1], offset 5",
    ),
    ("UPDATE \"record_tradewind.decisions_1\" SET key = 'a' WHERE offset = 5", "tradewind.decisions[1], offset 5"),
    ("DELETE FROM head WHERE topic = 'tradewind.decisions' AND partition = 1", "record_tradewind.decisions_1"),
    (
        "UPDATE head SET next = next + 1 WHERE topic = 'tradewind.decisions' AND partition = 1",
        "head of tradewind.decisions[1]",
    ),
    ("DROP TABLE \"record_tradewind.decisions_1\"", "tradewind.decisions[1]"),
    ("UPDATE producer SET epoch = epoch - 1", "table producer"),
    ("DELETE FROM progress", "table progress"),
];

#[test]
fn what_sqlite_does_not_notice_is_refused_with_its_place() {
    for (statement, place) in UNNOTICED_BY_SQLITE {
        let directory = copy_of_image();
        let connection = Connection::open(directory.path().join("log.db")).expect("open");
        assert!(connection.execute(statement, []).expect("a change") < 2, "{statement}");
        drop(connection);
        check_refused(directory.path(), place);
    }
}

/// What a flipped bit came to.
fn flip(file: &str, at: usize, bit: u8) -> Vec<Option<LogError>> {
    let directory = copy_of_image();
    change(directory.path().join(file), |bytes| bytes[at] ^= 1 << bit);
    read_or_refuse(directory.path())
}

fn check_flip(file: &str, at: usize, bit: u8) {
    for refusal in flip(file, at, bit) {
        assert!(matches!(refusal, None | Some(LogError::Damaged { .. })), "{file}, byte {at}, bit {bit}: {refusal:?}");
    }
}

#[test]
fn no_flipped_bit_in_the_first_bytes_of_the_database_is_silent() {
    for at in 0..100 {
        check_flip("log.db", at, u8::try_from(at % 8).expect("a bit"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_flipped_bit_in_the_wal_is_silent(place in 0.0..1.0_f64, bit in 0..8_u8) {
        check_flip("log.db-wal", scaled(place, image()["log.db-wal"].len()), bit);
    }

    #[test]
    fn no_flipped_bit_in_the_database_is_silent(place in 0.0..1.0_f64, bit in 0..8_u8) {
        check_flip("log.db", scaled(place, image()["log.db"].len()), bit);
    }

    #[test]
    fn no_cut_of_the_wal_is_silent(place in 0.0..1.0_f64) {
        let directory = copy_of_image();
        let keep = scaled(place, image()["log.db-wal"].len());
        change(directory.path().join("log.db-wal"), |wal| wal.truncate(keep));
        check_refused(directory.path(), "log.db-wal, byte");
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a small length")]
fn scaled(place: f64, length: usize) -> usize {
    (place * length as f64) as usize
}
