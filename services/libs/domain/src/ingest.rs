//! Facts about the log itself: its lineage, its clock, and whether the world
//! still reaches it.

use crate::id::Lineage;
use crate::name::{ConnectionName, Vendor};
use crate::time::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LineageKind {
    /// Time may be stretched.
    Dev,
    Production,
}

/// The first one of a partition counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineageOpened {
    pub lineage: Lineage,
    pub kind: LineageKind,
}

/// These vendors could have reached us until now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngestAlive {
    pub vendors: Vec<Vendor>,
}

/// A source said nothing it should have said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GapOpened {
    pub vendor: Vendor,
    /// `None` for all connections of the vendor.
    pub connection: Option<ConnectionName>,
    pub from: Timestamp,
}

/// A reconciliation has covered everything before `until`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GapClosed {
    pub vendor: Vendor,
    pub connection: Option<ConnectionName>,
    pub until: Timestamp,
}

/// From this record on the log's time runs `speed_permille / 1000` times as
/// fast, after a leap of `skip_ms`. Refused on a production lineage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockAdjusted {
    pub speed_permille: u32,
    pub skip_ms: i64,
}
