//! The contract as bytes: values and headers of every record to and from the
//! types of `domain`, and the sealing of personal fields. docs/CONTRACT.md says
//! the same for whoever reads the log without this code.
//!
//! What is decoded comes from elsewhere, so nothing here panics on it: an error
//! names the message, the field and what was expected. Whoever passes a record
//! on copies its bytes, since decoding drops the fields a newer release added.

#![forbid(unsafe_code)]

mod commerce;
mod common;
mod control;
mod direct;
mod error;
mod headers;
mod ingest;
mod outcome;
mod privacy;

pub mod command;
pub mod decision;
pub mod delivery;
pub mod directory;
pub mod envelope;
pub mod fact;
pub mod ledger;
pub mod moved;
pub mod reading;
pub mod record;
pub mod seal;
pub mod vault;

/// Generated from `proto/` by build.rs.
#[allow(clippy::all, unreachable_pub, dead_code, reason = "it is generated, and what it holds changes with the protos")]
mod proto {
    include!(concat!(env!("OUT_DIR"), "/tradewind.v1.rs"));
}

pub use error::DecodeError;
pub use headers::READER_LEVEL;
