//! Writes a workload to a log.

use tradewind_ports::{EventLog, LogError, NewRecord, Topic};

use crate::workload::Workload;

/// Records of one partition that are appended at once.
const BATCH: usize = 5_000;

/// What was written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filled {
    /// Of commerce.
    pub facts: u64,
    /// With set-up, beats and leaps of the clock.
    pub records: u64,
    pub value_bytes: u64,
    pub header_bytes: u64,
}

/// # Errors
///
/// The log does not take it.
pub fn fill(log: &dyn EventLog, partitions: u32, workload: &mut Workload) -> Result<Filled, LogError> {
    let mut filled = Filled::default();
    let mut waiting: Vec<Vec<NewRecord>> = vec![Vec::new(); usize::try_from(partitions).expect("small")];
    loop {
        let step = workload.step();
        let is_last = step.is_empty();
        for (partition, record) in step {
            filled.records += 1;
            filled.value_bytes += record.value.as_ref().map_or(0, |value| value.len() as u64);
            filled.header_bytes += record.headers.as_bytes().len() as u64;
            waiting[usize::try_from(partition).expect("small")].push(record);
        }
        for (partition, records) in (0..).zip(&mut waiting) {
            if records.len() >= BATCH || is_last && !records.is_empty() {
                log.append(&Topic::Events.partition(partition), std::mem::take(records))?;
            }
        }
        if is_last {
            filled.facts = workload.facts();
            return Ok(filled);
        }
    }
}
