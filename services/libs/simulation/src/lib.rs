//! The ports in memory, with a seed and faults: crash, replay and race tests run
//! the very code that runs in production, in one thread, again and again.

#![forbid(unsafe_code)]

mod faults;
mod memory_log;
mod memory_store;

pub use faults::{Fault, Faults, Operation, ProcessId};
pub use memory_log::{Broker, MemoryLog};
pub use memory_store::MemoryStore;
