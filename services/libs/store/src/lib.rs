//! The store of projections on sled: a cache of the fold in a directory of its
//! own (docs/adr/0002).
//!
//! Invariants:
//! - Whatever the directory holds, opening it ends in a store that is whole or in
//!   an empty one, and the caller is told which. Nothing is repaired: what is
//!   damaged is moved aside and folded again from the log.
//! - Leaves, their entries in the due-time index and the sum over both change
//!   together, in one batch. The checkpoint is written after them, alone.
//! - No panic of sled gets out, and after one nothing is asked of it any more. So
//!   this crate needs `panic = "unwind"`.

#![forbid(unsafe_code)]

mod guarded;
mod layout;
mod ledger;
mod lock;
mod older;
mod opening;
mod scan;
mod store;

pub use opening::{Opened, Opening, Rebuilt, Settings};
pub use store::{Sizes, Store};
