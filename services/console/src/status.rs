//! What the bar of the page shows: which log it is, its time, what was counted.

use serde::{Serialize, Serializer};
use tradewind_domain::{Lineage, LineageKind, Position, Timestamp};
use tradewind_explain::rfc3339;

/// What was counted since the console began to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    pub(crate) facts: u64,
    /// Beats and ticks: they say that time goes by and that vendors could reach us.
    pub(crate) beats: u64,
    pub(crate) decisions: u64,
    pub(crate) commands: u64,
    pub(crate) outcomes: u64,
    pub(crate) withheld: u64,
    pub(crate) suppressed: u64,
    pub(crate) deferred: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Status {
    pub(crate) partitions: u32,
    /// Of the partition with the newest time, as are time and speed.
    #[serde(serialize_with = "id")]
    pub(crate) lineage: Option<Lineage>,
    pub(crate) kind: Option<&'static str>,
    #[serde(serialize_with = "time")]
    pub(crate) log_time: Option<Timestamp>,
    pub(crate) speed_permille: u32,
    pub(crate) counts: Counts,
    /// Whether the counts go back to the log's beginning.
    pub(crate) counted_from_start: bool,
    /// Partitions that something was heard of.
    pub(crate) places: Vec<PlaceSeen>,
    /// Why the log can't be followed, if it can't.
    pub(crate) trouble: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct PlaceSeen {
    pub(crate) partition: u32,
    #[serde(serialize_with = "id")]
    pub(crate) lineage: Option<Lineage>,
    pub(crate) kind: Option<&'static str>,
    /// The next step, by the owner or by the newest commit point.
    #[serde(serialize_with = "id")]
    pub(crate) position: Option<Position>,
    #[serde(serialize_with = "time")]
    pub(crate) log_time: Option<Timestamp>,
    pub(crate) speed_permille: u32,
    /// Where the console reads on.
    pub(crate) events: u64,
    pub(crate) decisions: u64,
}

pub(crate) const fn kind_word(kind: LineageKind) -> &'static str {
    match kind {
        LineageKind::Dev => "dev",
        LineageKind::Production => "production",
    }
}

fn id<T: ToString, S: Serializer>(id: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    id.as_ref().map(ToString::to_string).serialize(serializer)
}

fn time<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(rfc3339).serialize(serializer)
}
