//! What a turn has to say, encoded as it goes, so that it knows its own size.

use tradewind_domain::{Decision, Lineage, Position, Vendor};
use tradewind_ports::NewRecord;
use tradewind_wire::decision;

use crate::owner::TurnLimits;

#[derive(Debug)]
pub(crate) struct Turn {
    limits: TurnLimits,
    lineage: Lineage,
    decisions: Vec<NewRecord>,
    commands: Vec<(Vendor, NewRecord)>,
    bytes: usize,
}

impl Turn {
    pub(crate) fn new(limits: TurnLimits, lineage: Lineage) -> Turn {
        Turn { limits, lineage, decisions: Vec::new(), commands: Vec::new(), bytes: 0 }
    }

    pub(crate) fn add(&mut self, decision: &Decision, position: Position) {
        let encoded = decision::record(decision, position, self.lineage);
        self.bytes += size_of(&encoded.record) + encoded.commands.iter().map(|(_, c)| size_of(c)).sum::<usize>();
        self.decisions.push(encoded.record);
        self.commands.extend(encoded.commands);
    }

    /// Commands of decisions that are on the log already.
    pub(crate) fn reissue(&mut self, commands: Vec<(Vendor, NewRecord)>) {
        self.commands.extend(commands);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.commands.len() >= self.limits.commands || self.bytes >= self.limits.bytes
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.decisions.is_empty() && self.commands.is_empty()
    }

    pub(crate) fn decisions(&self) -> u32 {
        u32::try_from(self.decisions.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn commands(&self) -> u32 {
        u32::try_from(self.commands.len()).unwrap_or(u32::MAX)
    }

    pub(crate) fn finish(self) -> (Vec<NewRecord>, Vec<(Vendor, NewRecord)>) {
        (self.decisions, self.commands)
    }
}

fn size_of(record: &NewRecord) -> usize {
    record.key.len() + record.headers.as_bytes().len() + record.value.as_ref().map_or(0, Vec::len)
}
