//! How leaves, due times, the checkpoint and the ledger lie in the tree: one
//! letter tells what a key is of; every value carries a checksum over its key and
//! itself, so that a value under another's key is noticed too.
//!
//! Integers are big-endian, so that keys sort as what they stand for.

use tradewind_domain::{Lineage, Position, Timestamp};
use tradewind_ports::{Checkpoint, DueKey, StoreError, Stored};

use crate::ledger::Ledger;

pub(crate) const LEAF: u8 = b'l';
pub(crate) const DUE: u8 = b'd';
pub(crate) const META: u8 = b'm';

pub(crate) const CHECKPOINT_KEY: &[u8] = b"m/checkpoint";
pub(crate) const LEDGER_KEY: &[u8] = b"m/ledger";

/// Of the layout as a whole; another one is another number.
const VERSION: u8 = 1;

/// Version and checksum, before every value.
const HEAD: usize = 5;

pub(crate) fn leaf_key(key: &[u8]) -> Vec<u8> {
    [&[LEAF], key].concat()
}

pub(crate) fn due_key(due: &DueKey) -> Vec<u8> {
    let mut key = due_times_before(due.fires_at);
    key.extend_from_slice(&due.round.to_be_bytes());
    key.extend_from_slice(&due.wakeup);
    key.extend_from_slice(&due.leaf);
    key
}

/// Where the entries begin that fire at `until` or later.
pub(crate) fn due_times_before(until: Timestamp) -> Vec<u8> {
    // The sign bit turned over sorts times before 1970 first.
    let sorted = until.millis().cast_unsigned() ^ (1 << 63);
    let mut key = Vec::with_capacity(64);
    key.push(DUE);
    key.extend_from_slice(&sorted.to_be_bytes());
    key
}

pub(crate) fn decode_due_key(key: &[u8]) -> Result<DueKey, StoreError> {
    let decode = || {
        let mut fields = Fields(key.strip_prefix(&[DUE])?);
        let fires_at = Timestamp::from_millis((u64::from_be_bytes(fields.take()?) ^ (1 << 63)).cast_signed());
        Some(DueKey {
            fires_at,
            round: u32::from_be_bytes(fields.take()?),
            wakeup: fields.take()?,
            leaf: fields.0.to_vec(),
        })
    };
    decode().ok_or_else(|| damaged(key, "is no due time"))
}

pub(crate) fn encode_leaf(key: &[u8], stored: &Stored) -> Vec<u8> {
    let Stored { position, bytes } = stored;
    seal(key, &[&position.offset.to_be_bytes(), &position.step.to_be_bytes(), bytes])
}

pub(crate) fn decode_leaf(key: &[u8], value: &[u8]) -> Result<Stored, StoreError> {
    let mut fields = Fields(unseal(key, value)?);
    let mut decode = || Some(Stored { position: fields.position()?, bytes: fields.0.to_vec() });
    decode().ok_or_else(|| damaged(key, "has too short a value"))
}

/// An entry of the due-time index says everything by its key.
pub(crate) fn due_value(key: &[u8]) -> Vec<u8> {
    seal(key, &[])
}

/// The slice after which a checkpoint was written goes with it.
pub(crate) fn encode_checkpoint(checkpoint: &Checkpoint, slice: u64) -> Vec<u8> {
    let Checkpoint { lineage, fold_version, position, decisions_offset, watermark, partition } = checkpoint;
    let parts: [&[u8]; 8] = [
        &slice.to_be_bytes(),
        lineage.as_bytes(),
        &fold_version.to_be_bytes(),
        &position.offset.to_be_bytes(),
        &position.step.to_be_bytes(),
        &decisions_offset.to_be_bytes(),
        &watermark.millis().to_be_bytes(),
        partition,
    ];
    seal(CHECKPOINT_KEY, &parts)
}

pub(crate) fn decode_checkpoint(value: &[u8]) -> Result<(Checkpoint, u64), StoreError> {
    let mut fields = Fields(unseal(CHECKPOINT_KEY, value)?);
    let mut decode = || {
        let slice = u64::from_be_bytes(fields.take()?);
        let checkpoint = Checkpoint {
            lineage: Lineage::from_bytes(fields.take()?),
            fold_version: u32::from_be_bytes(fields.take()?),
            position: fields.position()?,
            decisions_offset: u64::from_be_bytes(fields.take()?),
            watermark: Timestamp::from_millis(i64::from_be_bytes(fields.take()?)),
            partition: fields.0.to_vec(),
        };
        Some((checkpoint, slice))
    };
    decode().ok_or_else(|| damaged(CHECKPOINT_KEY, "has too short a value"))
}

pub(crate) fn encode_ledger(ledger: &Ledger) -> Vec<u8> {
    let Ledger { fold_version, slice, sum, leaves, due } = ledger;
    let mut body = fold_version.to_be_bytes().to_vec();
    for number in [slice, sum, leaves, due] {
        body.extend_from_slice(&number.to_be_bytes());
    }
    seal(LEDGER_KEY, &[&body])
}

pub(crate) fn decode_ledger(value: &[u8]) -> Result<Ledger, StoreError> {
    let mut fields = Fields(unseal(LEDGER_KEY, value)?);
    let mut decode = || {
        Some(Ledger {
            fold_version: u32::from_be_bytes(fields.take()?),
            slice: u64::from_be_bytes(fields.take()?),
            sum: u64::from_be_bytes(fields.take()?),
            leaves: u64::from_be_bytes(fields.take()?),
            due: u64::from_be_bytes(fields.take()?),
        })
    };
    decode().ok_or_else(|| damaged(LEDGER_KEY, "has too short a value"))
}

/// The checksum a value carries, once it is shown to be that of the value.
pub(crate) fn checked(key: &[u8], value: &[u8]) -> Result<u32, StoreError> {
    unseal(key, value)?;
    Fields(&value[1..]).take().map(u32::from_be_bytes).ok_or_else(|| damaged(key, "has too short a value"))
}

fn seal(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut value = vec![0; HEAD];
    value[0] = VERSION;
    parts.iter().for_each(|part| value.extend_from_slice(part));
    let checksum = checksum(key, VERSION, &value[HEAD..]);
    value[1..HEAD].copy_from_slice(&checksum.to_be_bytes());
    value
}

fn unseal<'a>(key: &[u8], value: &'a [u8]) -> Result<&'a [u8], StoreError> {
    let Some((&[version, a, b, c, d], body)) = value.split_first_chunk::<HEAD>() else {
        return Err(damaged(key, "has too short a value"));
    };
    if version != VERSION {
        return Err(damaged(key, &format!("has a value of layout {version}, expected {VERSION}")));
    }
    if checksum(key, version, body) != u32::from_be_bytes([a, b, c, d]) {
        return Err(damaged(key, "has a value its checksum does not fit"));
    }
    Ok(body)
}

fn checksum(key: &[u8], version: u8, body: &[u8]) -> u32 {
    let of_key = crc32c::crc32c_append(crc32c::crc32c(&[version]), key);
    crc32c::crc32c_append(of_key, body)
}

pub(crate) fn damaged(key: &[u8], what: &str) -> StoreError {
    StoreError::Damaged { reason: format!("key {} {what}", key.escape_ascii()) }
}

/// What is left of a record.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }

    fn position(&mut self) -> Option<Position> {
        Some(Position { offset: u64::from_be_bytes(self.take()?), step: u32::from_be_bytes(self.take()?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(fires_at: i64, round: u32, wakeup: u8, leaf: &[u8]) -> DueKey {
        DueKey { fires_at: Timestamp::from_millis(fires_at), round, wakeup: [wakeup; 16], leaf: leaf.to_vec() }
    }

    #[test]
    fn due_times_sort_on_disk_as_they_do_in_memory() {
        let mut keys = Vec::new();
        for fires_at in [i64::MIN, -1, 0, 1, 255, 256, i64::MAX] {
            for round in [0, 1, 256, u32::MAX] {
                for wakeup in [0, 1, 255] {
                    keys.extend([&b""[..], b"a", b"a\0", b"b", b"\xff"].map(|leaf| due(fires_at, round, wakeup, leaf)));
                }
            }
        }
        assert!(keys.is_sorted());
        assert!(keys.iter().map(due_key).is_sorted());
        for key in keys {
            assert_eq!(decode_due_key(&due_key(&key)).expect("a due time"), key);
        }
    }

    #[test]
    fn a_value_fits_its_own_key_alone() {
        let stored = Stored { position: Position { offset: 7, step: 2 }, bytes: b"leaf".to_vec() };
        let value = encode_leaf(b"la", &stored);
        assert_eq!(decode_leaf(b"la", &value).expect("its own key"), stored);
        decode_leaf(b"lb", &value).expect_err("another key");
    }

    #[test]
    fn every_bit_of_a_value_counts() {
        let stored = Stored { position: Position { offset: 7, step: 2 }, bytes: b"leaf".to_vec() };
        let value = encode_leaf(b"la", &stored);
        for bit in 0..value.len() * 8 {
            let mut flipped = value.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            decode_leaf(b"la", &flipped).expect_err("a flipped bit");
        }
        for length in 0..value.len() {
            decode_leaf(b"la", &value[..length]).expect_err("a value cut short");
        }
    }
}
