//! The contract, held by what was written outside this crate: golden bytes,
//! header lists, the description of the protobuf files.

mod classes;
mod compatibility;
mod golden;
mod headers;
mod properties;
mod reading;
mod reissue;
mod samples;
mod sealing;
mod strategies;

use prost_reflect::DescriptorPool;
use tradewind_domain::Timestamp;
use tradewind_ports::{NewRecord, Record};

/// Every message of the contract, as compiled by build.rs.
fn contract() -> DescriptorPool {
    let description = include_bytes!(concat!(env!("OUT_DIR"), "/contract.bin"));
    DescriptorPool::decode(description.as_slice()).expect("expected a description of protobuf files")
}

/// As `record` stands on the log, at an offset and time of no meaning.
fn stored(record: &NewRecord) -> Record {
    Record {
        offset: 41,
        appended_at: Timestamp::from_millis(1_700_000_000_500),
        key: record.key.clone(),
        headers: record.headers.clone(),
        value: record.value.clone(),
    }
}
