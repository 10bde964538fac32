//! The memory budget of a process: who may take how much of it (docs/operations/memory.md).

use std::fmt;

use tradewind_engine::Budget;

const MIB: u64 = 1 << 20;

/// What a changed or cached leaf takes in memory, by the store's bench.
const LEAF_BYTES: u64 = 640;

/// Leaves written to the store at once (docs/adr/0002).
const SLICE_LEAVES: usize = 250;

/// The shares of one partition, in bytes and leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shares {
    pub store_bytes: u64,
    pub cache_leaves: usize,
    pub dirty_leaves: usize,
    /// Of the whole process: what Kafka's clients may take.
    pub kafka_bytes: u64,
}

impl Shares {
    /// Leaves that a partition's store is laid out for before its memory is no longer
    /// bounded by its share.
    pub const STORE_LEAVES: u64 = 1_000_000;

    /// Half for the stores, a quarter for Kafka's queues, an eighth for changed
    /// leaves, a sixteenth for leaves that are read; the rest is for the code, its
    /// stacks and deliveries in work.
    ///
    /// # Panics
    ///
    /// There are no partitions.
    #[must_use]
    pub fn of(memory_mib: u32, partitions: u32) -> Shares {
        let bytes = u64::from(memory_mib) * MIB;
        let (partitions, leaves) = (u64::from(partitions), |bytes: u64| {
            usize::try_from((bytes / LEAF_BYTES).max(1_000)).expect("a budget fits the address space")
        });
        Shares {
            store_bytes: bytes / 2 / partitions,
            cache_leaves: leaves(bytes / 16 / partitions),
            dirty_leaves: leaves(bytes / 8 / partitions),
            kafka_bytes: bytes / 4,
        }
    }

    #[must_use]
    pub fn budget(&self) -> Budget {
        Budget { cache_leaves: self.cache_leaves, slice_leaves: SLICE_LEAVES }
    }
}

impl fmt::Display for Shares {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "for each partition {} MiB for its store, {} changed and {} cached leaves",
            self.store_bytes >> 20,
            self.dirty_leaves,
            self.cache_leaves
        )
    }
}
