//! Work whose result can be checked: transactions that say in each of their
//! records what the whole must look like.

use std::collections::{BTreeMap, BTreeSet};

use tempfile::TempDir;
use tradewind_domain::Vendor;
use tradewind_log_embedded::EmbeddedLog;
use tradewind_ports::{EventLog, Headers, LogError, NewRecord, ReadLimit, Record, Topic, TopicPartition};

pub(crate) const PARTITIONS: u32 = 4;

pub(crate) const LIMIT: ReadLimit = ReadLimit { records: 1000, bytes: 64 << 20 };

/// Keys of the compacted topic: few, so that they are replaced often.
const SLOTS: u64 = 7;

/// A directory in memory where there is one: for what needs no disk.
pub(crate) fn scratch() -> TempDir {
    TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).expect("a directory")
}

/// A generator of the shifting kind; the seed is not 0.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// Below `sides`.
    pub(crate) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

pub(crate) fn decisions(partition: u64) -> TopicPartition {
    Topic::Decisions.partition(u32::try_from(partition).expect("a partition"))
}

pub(crate) fn commands(partition: u64) -> TopicPartition {
    Topic::Commands(Vendor::new("klaviyo").expect("a vendor")).partition(u32::try_from(partition).expect("a partition"))
}

pub(crate) fn ledger(partition: u64) -> TopicPartition {
    Topic::Ledger(Vendor::new("klaviyo").expect("a vendor")).partition(u32::try_from(partition).expect("a partition"))
}

/// Who works, in which order: ids of one worker rise.
pub(crate) fn id(worker: u64, sequence: u64) -> u64 {
    (worker << 32) + sequence
}

fn worker(id: u64) -> u64 {
    id >> 32
}

fn record(key: String, id: u64, place: u64, count: u64) -> NewRecord {
    // As large as a fact is, and its bytes follow from its name.
    let mut value = format!("{id} {place} {count} ").into_bytes();
    let mut dice = Dice(id * 64 + place + 1);
    value.extend((0..dice.roll(400)).map(|_| b'a' + u8::try_from(dice.roll(26)).expect("a letter")));
    NewRecord {
        key: key.into_bytes(),
        headers: Headers::new().with("ce_id", key_of(id).as_bytes()),
        value: Some(value),
    }
}

fn key_of(id: u64) -> String {
    format!("{}:{}", worker(id), id % SLOTS)
}

/// The records of one transaction: on `decisions` and `commands` over the
/// partitions, and one on the compacted topic.
pub(crate) fn records(id: u64) -> Vec<(TopicPartition, NewRecord)> {
    let mut dice = Dice(id + 1);
    let count = [2, 3, 9, 60][usize::try_from(dice.roll(4)).expect("a face")];
    let mut records = vec![(ledger(worker(id) % u64::from(PARTITIONS)), record(key_of(id), id, 0, count))];
    for place in 1..count {
        let partition = dice.roll(u64::from(PARTITIONS));
        let at = if dice.roll(2) == 0 { decisions(partition) } else { commands(partition) };
        records.push((at, record(key_of(id), id, place, count)));
    }
    records
}

/// What a log holds of the work.
#[derive(Debug, Default)]
pub(crate) struct Found {
    places: BTreeMap<u64, BTreeSet<u64>>,
    slots: BTreeMap<String, u64>,
}

/// Reads all of it.
pub(crate) fn find(log: &EmbeddedLog) -> Result<Found, LogError> {
    let mut found = Found::default();
    for partition in 0..u64::from(PARTITIONS) {
        for at in [decisions(partition), commands(partition)] {
            let mut newest = BTreeMap::new();
            for record in read_all(log, &at)? {
                let (id, place) = check(&record);
                let before = newest.insert(worker(id), id);
                assert!(before.is_none_or(|before| before <= id), "{at}: {before:?} stands before {id}");
                assert!(found.places.entry(id).or_default().insert(place), "{at}: {id} stands there twice");
            }
        }
        for record in read_all(log, &ledger(partition))? {
            let (id, _) = check(&record);
            let before = found.slots.insert(key_of(id), id);
            // Beside a writer a key may move on while its partition is read.
            assert!(before.is_none_or(|before| before < id), "{before:?} replaced {id}");
        }
    }
    Ok(found)
}

pub(crate) fn read_all(log: &dyn EventLog, at: &TopicPartition) -> Result<Vec<Record>, LogError> {
    let mut records = Vec::new();
    let mut next = log.bounds(at)?.start;
    loop {
        let batch = log.read(at, next, LIMIT)?;
        if batch.records.is_empty() && batch.next == next {
            return Ok(records);
        }
        next = batch.next;
        records.extend(batch.records);
    }
}

/// The id and place of a record that is what was written.
fn check(stored: &Record) -> (u64, u64) {
    let value = stored.value.as_ref().expect("a value");
    let text = std::str::from_utf8(value).expect("text");
    let mut numbers = text.split(' ').map(|number| number.parse::<u64>());
    let mut number = || numbers.next().expect("a number").expect("a number");
    let (id, place, count) = (number(), number(), number());
    let expected = record(key_of(id), id, place, count);
    assert_eq!(
        (&stored.key, &stored.headers, stored.value.as_ref()),
        (&expected.key, &expected.headers, expected.value.as_ref())
    );
    (id, place)
}

impl Found {
    pub(crate) fn transactions(&self) -> usize {
        self.places.len()
    }

    /// Asserts that every transaction is there whole, and all of `acknowledged`.
    pub(crate) fn check(&self, acknowledged: &BTreeSet<u64>) {
        let mut slots: BTreeMap<String, u64> = BTreeMap::new();
        for (id, places) in &self.places {
            let expected: BTreeSet<u64> = (1..records(*id).len() as u64).collect();
            assert_eq!(*places, expected, "transaction {id} is torn");
            let slot = slots.entry(key_of(*id)).or_insert(*id);
            *slot = (*slot).max(*id);
        }
        assert_eq!(self.slots, slots, "the compacted topic does not hold the newest of each key");
        let lost: Vec<&u64> = acknowledged.iter().filter(|id| !self.places.contains_key(id)).collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    }
}
