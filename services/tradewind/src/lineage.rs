//! The first record of each partition: which history of the log this is.

use tradewind_domain::{Body, Lineage, LineageKind, LineageOpened, Timestamp};
use tradewind_ports::{EventLog, Topic};
use tradewind_wire::reading::{ReadError, first_event};
use tradewind_wire::record::{self, NewFact};

use crate::failure::Failure;

/// Opens every partition of an empty log as part of one history, and joins the
/// history of one that is not empty.
pub(crate) fn open(
    log: &dyn EventLog,
    partitions: u32,
    kind: LineageKind,
    now: Timestamp,
) -> Result<LineageOpened, Failure> {
    // Processes may begin at once: the first record of the first partition counts
    // for all of them, so the others are opened only when that one stands.
    let all = match opened(log, 0)? {
        Some(found) => found,
        None => open_partition(log, 0, LineageOpened { lineage: draw()?, kind }, now)?,
    };
    for partition in 1..partitions {
        let found = match opened(log, partition)? {
            Some(found) => found,
            None => open_partition(log, partition, all, now)?,
        };
        if found.lineage != all.lineage {
            let (at, expected, got) = (Topic::Events.partition(partition), all.lineage, found.lineage);
            return Err(Failure::stopped(format!("open {at}: expected lineage {expected}, got {got}")));
        }
    }
    Ok(all)
}

fn open_partition(
    log: &dyn EventLog,
    partition: u32,
    of: LineageOpened,
    now: Timestamp,
) -> Result<LineageOpened, Failure> {
    let record = record::event(&NewFact::of_partition(partition, now, Body::LineageOpened(of)));
    let at = Topic::Events.partition(partition);
    log.append(&at, vec![record]).map_err(Failure::unavailable)?;
    opened(log, partition)?.ok_or_else(|| Failure::stopped(format!("read {at}: expected what was just appended")))
}

/// What a partition was opened with; `None` for an empty one.
pub(crate) fn opened(log: &dyn EventLog, partition: u32) -> Result<Option<LineageOpened>, Failure> {
    let first = first_event(log, partition).map_err(|error| match error {
        ReadError::Log(error) => Failure::unavailable(error),
        ReadError::Unreadable { .. } => Failure::stopped(error),
    })?;
    let Some(envelope) = first else { return Ok(None) };
    if let Body::LineageOpened(opened) = envelope.fact.body {
        return Ok(Some(opened));
    }
    let at = Topic::Events.partition(partition);
    Err(Failure::stopped(format!("read {at}: expected the record that opens the lineage")))
}

pub(crate) fn draw() -> Result<Lineage, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| Failure::unavailable(format!("draw a lineage: {error}")))?;
    Ok(Lineage::from_bytes(bytes))
}
