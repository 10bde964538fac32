//! A whole log moved into another one, with another number of partitions.
//!
//! What is carried over: every tenant's facts and every decision, their values
//! byte for byte, so that ids, projections and due times are the same; then the
//! keys of the vault, from its topic or handed in, and the directory with the
//! tenants' new placement. Events bring the time that the source's owner gave them
//! (`tw-recorded-at`), and partitions that become one are merged by it. Decisions
//! stand at new positions, covered by `TurnCommitted`s of the target's own.
//!
//! What is left behind: facts about the source's partitions themselves (lineage,
//! beats, ticks, clock, gaps of a partition), raw and dead deliveries, commands,
//! ledgers and checkpoints. A decision taken on a fact left behind stands, in
//! the target, as a further step of the record before it.
//!
//! Nothing is emitted. A command that has no final outcome would be in nobody's
//! hands: the target's actuators never hear of it, and the source's would report
//! to a log that is no longer read (a second copy of commands and ledger could
//! be claimed twice, on either side). So a move is refused while there is such a
//! command. With `Unsettled::Left` it goes on: such a command is never sent
//! from the target, and past its deadline the workflow records that its outcome
//! is missing.
//!
//! Before a move the source's services are stopped in good order: its facts must
//! all be decided. After it the source must not run again.
//!
//! A move that was interrupted is taken up again by running it again: what the
//! target holds is compared with what would be written, and only the rest is
//! written. Until it is done nothing may run on the target. The directory comes
//! last, so that no service knows of any tenant before; an owner that was started
//! all the same leaves records of its own, and the move is refused from then on.
//! In each partition decisions go ahead of their events, so that not even such an
//! owner takes a fact of the source for one that is still to be decided.
//!
//! A `dev` log's clock may have been stretched: then its time is ahead of the
//! clock on the wall, and the target's time stands still until that has caught
//! up, or a `ClockAdjusted` skips up to `Moved::watermark`. Such a log is not
//! moved into a production lineage.

mod control;
mod error;
mod source;
mod target;

use std::collections::BTreeMap;

use tradewind_domain::{Body, CommandId, LineageKind, LineageOpened, Name, Timestamp, Transition};
use tradewind_ports::{EventLog, NewRecord};

pub use error::MoveError;

use control::Control;
use source::{Item, Source};
use target::Target;

#[derive(Clone, Debug)]
pub struct Move {
    pub source_partitions: u32,
    pub target_partitions: u32,
    /// Opens the target's partitions, unless they are opened already.
    pub lineage: LineageOpened,
    /// By the clock on the wall.
    pub opened_at: Timestamp,
    /// The target's, which names its writers: they are fenced.
    pub installation: String,
    pub build: Name,
    pub unsettled: Unsettled,
    /// Of a source whose vault is a file, where the target's is a topic.
    pub keys: Vec<NewRecord>,
    /// Events appended at once; their decisions are one transaction.
    pub batch: usize,
}

/// What becomes of commands that have no final outcome yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsettled {
    /// They forbid the move.
    Refused,
    /// They are never sent, and their outcome will be recorded as missing.
    Left,
}

/// What a move did, or has done so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    pub facts: u64,
    pub decisions: u64,
    /// Facts about the source's own partitions, left behind.
    pub dropped: u64,
    /// Facts that were there already, from a move that was interrupted.
    pub already: u64,
    /// Entries of the directory and keys of the vault.
    pub entries: u64,
    /// Commands left without an outcome.
    pub unsettled: u64,
    /// The source's time, at the end.
    pub watermark: Timestamp,
}

impl Moved {
    fn nothing() -> Moved {
        Moved { facts: 0, decisions: 0, dropped: 0, already: 0, entries: 0, unsettled: 0, watermark: Timestamp::MIN }
    }
}

/// Moves `source` into `target`, which is empty, or merely opened, or holds the
/// beginning of this very move. `report` is called now and then.
///
/// # Errors
///
/// See [`MoveError`]. The source is read twice, and nothing is written before it
/// was found fit to be moved.
pub fn run(
    source: &dyn EventLog,
    target: &dyn EventLog,
    moving: &Move,
    report: &mut dyn FnMut(&Moved),
) -> Result<Moved, MoveError> {
    let opened = target::opened(target, moving)?;
    let unsettled = check(source, moving, opened.kind)?;
    let control = Control::read(source)?;
    let mut target = Target::open(target, moving, opened)?;
    let mut moved = Moved { unsettled, ..Moved::nothing() };
    let mut source = Source::open(source, moving.source_partitions)?;
    while let Some(item) = source.next()? {
        carry(&item, &control, moving, &mut target, &mut moved)?;
        if (moved.facts + moved.dropped).is_multiple_of(REPORT_EVERY) {
            report(&moved);
        }
    }
    target.finish()?;
    moved.entries = control.write(target.log(), moving)?;
    report(&moved);
    Ok(moved)
}

/// Records between two reports.
const REPORT_EVERY: u64 = 10_000;

fn carry(
    item: &Item,
    control: &Control,
    moving: &Move,
    target: &mut Target<'_>,
    moved: &mut Moved,
) -> Result<(), MoveError> {
    let tenant = &item.envelope.tenant;
    moved.watermark = moved.watermark.max(item.time);
    if tenant.is_system() {
        moved.dropped += 1;
    } else {
        let placed = control.placement(tenant, moving.target_partitions);
        moved.already += u64::from(target.event(&item.record, item.time, placed)?);
        moved.facts += 1;
    }
    for (record, position, decision) in &item.decisions {
        // A fact of one tenant makes wakeups of others due.
        let placed = control.placement(&decision.tenant, moving.target_partitions);
        let is_fold = position.step == 0 && decision.tenant == *tenant && !tenant.is_system();
        target.decision(record, placed.partition, is_fold);
        moved.decisions += 1;
    }
    Ok(())
}

/// Reads the source to its end, before anything is written to a target of this
/// kind. Returns how many commands are unsettled.
fn check(source: &dyn EventLog, moving: &Move, kind: LineageKind) -> Result<u64, MoveError> {
    let mut unsettled: BTreeMap<CommandId, Name> = BTreeMap::new();
    let mut source = Source::open(source, moving.source_partitions)?;
    while let Some(item) = source.next()? {
        if let Body::Outcome(outcome) = &item.envelope.fact.body
            && outcome.state.is_final()
        {
            unsettled.remove(&outcome.command);
        }
        let is_stretched = item.is_dev && matches!(item.envelope.fact.body, Body::ClockAdjusted(_));
        if is_stretched && kind == LineageKind::Production {
            return Err(MoveError::Stretched { at: item.at, offset: item.record.offset });
        }
        let choices = item.decisions.iter().flat_map(|(_, _, decision)| &decision.choices);
        for choice in choices {
            for transition in &choice.transitions {
                if let Transition::CommandIssued { command } = transition {
                    unsettled.insert(command.id, choice.workflow.clone());
                } else if let Transition::OutcomeMissing { command } = transition {
                    unsettled.remove(command);
                }
            }
        }
    }
    match (moving.unsettled, unsettled.first_key_value()) {
        (Unsettled::Refused, Some((command, workflow))) => {
            Err(MoveError::Unsettled { commands: unsettled.len(), first: *command, workflow: workflow.clone() })
        }
        (Unsettled::Refused, None) | (Unsettled::Left, _) => Ok(unsettled.len() as u64),
    }
}
