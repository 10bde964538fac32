//! Measurements and endurance runs. `README.md` names each with its command.

#![forbid(unsafe_code)]

pub mod arguments;
pub mod broker;
pub mod client;
pub mod figures;
pub mod http;
pub mod intake;
pub mod load;
pub mod machine;
pub mod owners;
pub mod processes;
pub mod raw;
pub mod scratch;
pub mod usage;
pub mod verdict;
pub mod workload;

/// As in the product.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
