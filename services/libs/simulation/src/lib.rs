//! The ports in memory, with a seed and faults: crash, replay and race tests run
//! the very code that runs in production, in one thread, again and again.

#![forbid(unsafe_code)]

mod deployment;
mod faults;
pub mod fixed_log;
mod memory_log;
mod memory_store;
pub mod naive;
mod reader;
pub mod shop;
mod vendor;
mod world;

pub use deployment::{Deployment, Pace, Stopped, StoreFate};
pub use faults::{Fault, Faults, Operation, ProcessId};
pub use memory_log::{Broker, MemoryLog};
pub use memory_store::MemoryStore;
pub use reader::{Read, Reading, read, read_records};
pub use vendor::{VendorLedger, outcome};
pub use world::{START, Trouble, World, lineage};
