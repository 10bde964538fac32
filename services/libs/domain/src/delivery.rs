//! Deliveries as they came: sealed whole, kept for 30 days.

use crate::name::{ConnectionName, Name};
use crate::sealed::Sealed;
use crate::time::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawDelivery {
    pub connection: ConnectionName,
    pub received_at: Timestamp,
    /// Allow-listed ones only.
    pub headers: Vec<Header>,
    pub body: Sealed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub name: Box<str>,
    pub value: Box<str>,
}

/// A delivery that was signed and not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    pub delivery: RawDelivery,
    pub reason: Name,
    pub expected: Box<str>,
    pub translation: u32,
}
