//! Ports: what the core asks of the world. Adapters answer; `contract` holds the
//! tests every adapter of a port must pass.
//!
//! Calls may block, but for `Clock::now` and `KeyVault::at_hand`: whoever serves
//! sockets makes the others from a thread of its own.

#![forbid(unsafe_code)]

mod clock;
#[cfg(feature = "contract")]
pub mod contract;
mod event_log;
mod headers;
mod key_vault;
mod state_store;
mod topic;

pub use clock::Clock;
pub use event_log::{
    Appends, Batch, Bounds, EventLog, Linked, LogError, NewRecord, Offsets, ReadLimit, Record, Writer,
};
pub use headers::Headers;
pub use key_vault::{KeyVault, SealingKey, VaultError};
pub use state_store::{Checkpoint, DueKey, MAX_SLICE, StateStore, StoreError, Stored, Write};
pub use topic::{Cleanup, Topic, TopicPartition};
