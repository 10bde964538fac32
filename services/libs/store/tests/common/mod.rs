//! What the test programs of the store share.

use std::path::Path;

use tradewind_domain::{Lineage, Position, Timestamp};
use tradewind_ports::{Checkpoint, DueKey, StateStore, Stored, Write};
use tradewind_store::{Opening, Settings, Store};

pub(crate) fn opening(dir: &Path) -> Opening {
    Opening { dir: dir.to_path_buf(), settings: Settings::new(1, 64 << 20) }
}

/// Opens a store that nothing is wrong with.
pub(crate) fn open(opening: &Opening) -> Store {
    let opened = opening.open().expect("a store that opens");
    assert_eq!(opened.rebuilt, None, "nothing is wrong with the store");
    opened.store
}

pub(crate) fn checkpoint(offset: u64) -> Checkpoint {
    Checkpoint {
        lineage: Lineage::from_bytes([5; 16]),
        fold_version: 1,
        position: Position::fold(offset),
        decisions_offset: offset / 2,
        watermark: Timestamp::from_millis(i64::try_from(offset).expect("a small offset")),
        partition: vec![7; 40],
    }
}

pub(crate) fn due_key(fires_at: i64, leaf: &[u8]) -> DueKey {
    DueKey { fires_at: Timestamp::from_millis(fires_at), round: 0, wakeup: [3; 16], leaf: leaf.to_vec() }
}

/// A leaf of some hundred bytes that no compression makes small.
pub(crate) fn leaf(rng: &mut fastrand::Rng, offset: u64) -> Stored {
    let bytes = (0..rng.usize(200..500)).map(|_| rng.u8(..)).collect();
    Stored { position: Position::fold(offset), bytes }
}

/// A write that leaves the due-time index alone.
pub(crate) fn write(key: &[u8], value: Stored) -> Write {
    Write { key: key.to_vec(), value: Some(value), due_removed: Vec::new(), due_added: Vec::new() }
}

/// The whole due-time index.
pub(crate) fn all_due(store: &dyn StateStore) -> Vec<DueKey> {
    store.due(Timestamp::MAX, None, usize::MAX).expect("a readable index")
}
