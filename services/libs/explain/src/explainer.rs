//! Finds things on the log: decisions by id or position, facts by id, what became
//! of commands.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use tradewind_domain::{CommandId, Decision, DecisionId, DecisionRecord, Envelope, FactId, Position, Timestamp};
use tradewind_ports::{EventLog, Record, Topic};
use tradewind_wire::ledger;

use crate::chain::{Chain, Stretch};
use crate::decision::DecisionSeen;
use crate::error::ExplainError;
use crate::fact::FactSeen;
use crate::ledger::{LedgerSeen, LedgerStep};
use crate::log::{Scan, next, scan, seek};
use crate::outcome::{Issued, OutcomeSeen};
use crate::place::{Place, commands_of, commands_of_choice, decided_at, decoded, envelope, millis_of, unreadable};

/// Most decisions of one millisecond that are looked through for one id.
const MAX_OF_ONE_MILLISECOND: u64 = 1_000_000;

/// How far before a decision its facts are looked for, in offsets.
const FACTS_BACK: u64 = 500_000;

/// Set-up is at the log's beginning, however long ago.
const FACTS_AT_START: u64 = 50_000;

/// Offsets read at once on the way back.
const WINDOW: u64 = 4_096;

/// How far behind a command its outcomes are looked for, in offsets.
const OUTCOMES_AHEAD: u64 = 500_000;

const LEDGER_AHEAD: u64 = 500_000;

/// The clocks of two brokers may differ by less.
const SKEW_MS: i64 = 60_000;

/// Answers from the log alone. Clones share it.
#[derive(Clone)]
pub struct Explainer {
    log: Arc<dyn EventLog>,
    partitions: u32,
}

impl fmt::Debug for Explainer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Explainer").field("partitions", &self.partitions).finish_non_exhaustive()
    }
}

/// A decision with its place.
struct Found {
    partition: u32,
    position: Position,
    stored: Record,
    decision: Decision,
}

/// Facts by their ids, as far as they were found.
struct FactsFound {
    facts: Vec<FactSeen>,
    missing: Vec<FactId>,
    searched: Vec<Stretch>,
}

impl Explainer {
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>, partitions: u32) -> Explainer {
        Explainer { log, partitions }
    }

    /// The chain of a command; `None` if no decision on the log issued it.
    ///
    /// # Errors
    ///
    /// See [`ExplainError`].
    pub fn explain(&self, command: CommandId) -> Result<Option<Chain>, ExplainError> {
        let is_it = |decision: &Decision| commands_of(decision).any(|issued| issued == command);
        let Some(mut found) = self.find(decided_at(command.as_bytes()), is_it)? else { return Ok(None) };
        found.decision.choices.retain(|choice| commands_of_choice(choice).any(|issued| issued == command));
        self.chain(found, Some(command)).map(Some)
    }

    /// The chain of a decision, whether it issued anything or not.
    ///
    /// # Errors
    ///
    /// See [`ExplainError`].
    pub fn explain_decision(&self, id: DecisionId) -> Result<Option<Chain>, ExplainError> {
        let found = self.find(decided_at(id.as_bytes()), |decision| decision.id == id)?;
        found.map(|found| self.chain(found, None)).transpose()
    }

    /// The decision taken at a step; `None` if the step said nothing.
    ///
    /// # Errors
    ///
    /// See [`ExplainError`].
    pub fn decision_at(&self, partition: u32, position: Position) -> Result<Option<DecisionSeen>, ExplainError> {
        let at = Topic::Decisions.partition(partition);
        let bounds = self.log.bounds(&at)?;
        let from = seek(&*self.log, &at, bounds, |record| Ok(Place::of(&at, record)?.position < Some(position)))?;
        let mut found = None;
        scan(&*self.log, &at, from, bounds.end, |record| {
            let (at_position, decoded) = decoded(&at, record)?;
            match (at_position, decoded) {
                (Some(at_position), DecisionRecord::Decision(decision)) if at_position == position => {
                    found = Some(DecisionSeen::of(&decision, position, record.offset));
                    Ok(Scan::Done)
                }
                (_, DecisionRecord::TurnCommitted(turn)) if turn.to <= position => Ok(Scan::On),
                (_, DecisionRecord::Lineage(_)) => Ok(Scan::On),
                (_, DecisionRecord::TurnCommitted(_) | DecisionRecord::Decision(_)) => Ok(Scan::Done),
            }
        })?;
        Ok(found)
    }

    /// The event at an offset; `None` where there is none.
    ///
    /// # Errors
    ///
    /// See [`ExplainError`].
    pub fn event_at(&self, partition: u32, offset: u64) -> Result<Option<Envelope>, ExplainError> {
        let at = Topic::Events.partition(partition);
        let stored = next(&*self.log, &at, offset, offset.saturating_add(1))?;
        stored.map(|stored| envelope(&at, &stored)).transpose()
    }

    /// The outcomes of commands, each looked for from the offset on `tradewind.events`
    /// it was issued at, and up to `ahead` offsets behind it.
    ///
    /// # Errors
    ///
    /// See [`ExplainError`].
    pub fn outcomes(
        &self,
        partition: u32,
        issued: &BTreeMap<CommandId, Issued>,
        ahead: u64,
    ) -> Result<Vec<OutcomeSeen>, ExplainError> {
        let at = Topic::Events.partition(partition);
        let end = self.log.bounds(&at)?.end;
        let mut open: BTreeSet<CommandId> = issued.keys().copied().collect();
        let mut seen: BTreeMap<FactId, OutcomeSeen> = BTreeMap::new();
        let mut read_to = 0;
        let mut starts: Vec<u64> = issued.values().map(|issued| issued.offset).collect();
        starts.sort_unstable();
        for start in starts {
            if open.is_empty() {
                break;
            }
            let from = start.max(read_to);
            read_to = scan(&*self.log, &at, from, end.min(start.saturating_add(ahead)).max(from), |stored| {
                let event = envelope(&at, stored)?;
                let Some(outcome) = OutcomeSeen::of(&event) else { return Ok(Scan::On) };
                if let Some(issued) = issued.get(&outcome.command) {
                    if outcome.is_final {
                        open.remove(&outcome.command);
                    }
                    // It may stand on the log twice.
                    seen.entry(outcome.id).or_insert(outcome.carried_out_by(&issued.by));
                }
                Ok(if open.is_empty() { Scan::Done } else { Scan::On })
            })?;
        }
        let mut outcomes: Vec<OutcomeSeen> = seen.into_values().collect();
        outcomes.sort_by_key(|outcome| outcome.offset);
        Ok(outcomes)
    }

    /// The decision for which `is_it` holds among those of one millisecond.
    fn find(&self, millis: i64, is_it: impl Fn(&Decision) -> bool) -> Result<Option<Found>, ExplainError> {
        for partition in 0..self.partitions {
            let at = Topic::Decisions.partition(partition);
            let bounds = self.log.bounds(&at)?;
            let from = seek(&*self.log, &at, bounds, |record| Ok(Place::of(&at, record)?.millis < Some(millis)))?;
            let to = bounds.end.min(from.saturating_add(MAX_OF_ONE_MILLISECOND));
            let (mut found, mut is_past) = (None, false);
            scan(&*self.log, &at, from, to, |stored| {
                let (position, record) = decoded(&at, stored)?;
                let (Some(position), DecisionRecord::Decision(decision)) = (position, record) else {
                    return Ok(Scan::On);
                };
                is_past = millis_of(decision.watermark) > millis;
                if is_it(&decision) {
                    found = Some(Found { partition, position, stored: stored.clone(), decision });
                }
                Ok(if is_past || found.is_some() { Scan::Done } else { Scan::On })
            })?;
            if found.is_some() {
                return Ok(found);
            }
            if !is_past && to < bounds.end {
                return Err(ExplainError::Crowded { at, from, to });
            }
        }
        Ok(None)
    }

    fn chain(&self, found: Found, command: Option<CommandId>) -> Result<Chain, ExplainError> {
        let Found { partition, position, stored, decision } = found;
        let seen = DecisionSeen::of(&decision, position, stored.offset);
        let read = decision.choices.iter().flat_map(|choice| &choice.facts_read);
        let causes = seen.commands().flat_map(|issued| &issued.causes);
        let wanted: BTreeSet<FactId> = read.chain(causes).copied().chain([decision.fact]).collect();
        let FactsFound { facts, missing, searched } = self.facts(partition, position, wanted, &seen)?;
        let issued: BTreeMap<CommandId, Issued> = seen
            .commands()
            .filter(|issued| command.is_none_or(|asked| asked == issued.id))
            .map(|command| (command.id, Issued::of(command, position.offset)))
            .collect();
        let end = self.log.bounds(&Topic::Events.partition(partition))?.end;
        let to = end.min(position.offset.saturating_add(OUTCOMES_AHEAD));
        let outcomes_searched = Stretch { from: position.offset, to, is_cut: to < end };
        Ok(Chain {
            partition,
            command,
            facts,
            facts_missing: missing,
            facts_searched: searched,
            outcomes: self.outcomes(partition, &issued, OUTCOMES_AHEAD)?,
            outcomes_searched,
            ledger: self.ledger(partition, &seen, &issued, stored.appended_at)?,
            decision: seen,
        })
    }

    /// Facts by id: in windows backwards from the decision, then from the log's
    /// beginning, each a bounded way; and what the decision itself concluded.
    fn facts(
        &self,
        partition: u32,
        position: Position,
        mut wanted: BTreeSet<FactId>,
        decision: &DecisionSeen,
    ) -> Result<FactsFound, ExplainError> {
        let at = Topic::Events.partition(partition);
        let start = self.log.bounds(&at)?.start;
        let derived = decision.choices.iter().flat_map(|choice| &choice.derived);
        let mut facts: Vec<FactSeen> = derived.filter(|fact| wanted.remove(&fact.id)).cloned().collect();
        let mut take = |from: u64, to: u64| {
            let mut found = Vec::new();
            scan(&*self.log, &at, from, to, |stored| {
                let event = envelope(&at, stored)?;
                if wanted.remove(&event.id) {
                    found.push(FactSeen::of(&event));
                }
                Ok(if wanted.is_empty() { Scan::Done } else { Scan::On })
            })?;
            facts.extend(found);
            Ok::<bool, ExplainError>(wanted.is_empty())
        };
        let top = position.offset.saturating_add(1);
        let bottom = top.saturating_sub(FACTS_BACK).max(start);
        let mut low = top;
        let mut is_done = false;
        while low > bottom && !is_done {
            let from = low.saturating_sub(WINDOW).max(bottom);
            is_done = take(from, low)?;
            low = from;
        }
        let mut searched = vec![Stretch { from: low, to: top, is_cut: low > start }];
        if !is_done && bottom > start {
            let to = bottom.min(start.saturating_add(FACTS_AT_START));
            take(start, to)?;
            searched.insert(0, Stretch { from: start, to, is_cut: to < bottom });
        }
        facts.sort_by_key(|fact| (fact.offset.unwrap_or(u64::MAX), fact.id));
        Ok(FactsFound { facts, missing: wanted.into_iter().collect(), searched })
    }

    /// What the actuators of the commands' vendors wrote down from `since` on.
    fn ledger(
        &self,
        partition: u32,
        decision: &DecisionSeen,
        issued: &BTreeMap<CommandId, Issued>,
        since: Timestamp,
    ) -> Result<Vec<LedgerSeen>, ExplainError> {
        let mut entries = Vec::new();
        let of_vendor = |command: &crate::CommandSeen| issued.contains_key(&command.id).then(|| command.vendor.clone());
        let vendors: BTreeSet<_> = decision.commands().filter_map(of_vendor).collect();
        for vendor in vendors {
            let at = Topic::Ledger(vendor.clone()).partition(partition);
            let bounds = self.log.bounds(&at)?;
            let from = seek(&*self.log, &at, bounds, |record| Ok(record.appended_at + SKEW_MS < since))?;
            let mut open: BTreeSet<CommandId> = issued.keys().copied().collect();
            scan(&*self.log, &at, from, bounds.end.min(from.saturating_add(LEDGER_AHEAD)), |stored| {
                // Every key of a command begins with its id.
                let id = stored.key.first_chunk().map(|id| CommandId::from_bytes(*id));
                if !id.is_some_and(|id| issued.contains_key(&id)) {
                    return Ok(Scan::On);
                }
                let entry = ledger::decode(stored).map_err(|source| unreadable(&at, stored.offset, source))?;
                let seen = entry.and_then(|entry| LedgerSeen::of(&entry, stored.offset, stored.appended_at));
                if let Some(seen) = &seen
                    && matches!(seen.step, LedgerStep::Judged { .. })
                {
                    open.remove(&seen.command);
                }
                entries.extend(seen);
                Ok(if open.is_empty() { Scan::Done } else { Scan::On })
            })?;
        }
        Ok(entries)
    }
}
