//! A customer's timeline: the owner says where the log speaks of them, the log says
//! what.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use tradewind_domain::{CommandId, EntityKey, Position};
use tradewind_explain::{
    CommandSeen, DecisionSeen, ExplainError, Explainer, FactSeen, Issued, OutcomeSeen, Personal, entity, rfc3339,
};

use crate::owners::{ReferenceKind, Timeline};

/// Most places of the log that are read for one timeline: the newest.
const MAX_PLACES: usize = 200;

/// How far behind a command its outcomes are looked for, in offsets.
const OUTCOMES_AHEAD: u64 = 20_000;

#[derive(Debug, Serialize)]
pub(crate) struct TimelineSeen {
    partition: u32,
    lineage: String,
    as_of: String,
    log_time: String,
    entities: Vec<String>,
    /// Oldest first.
    entries: Vec<Entry>,
    /// Older places that were not read.
    places_more: usize,
}

#[derive(Debug, Serialize)]
#[serde(tag = "lane", content = "item", rename_all = "snake_case")]
enum Entry {
    Fact(FactSeen),
    Decision(DecisionSeen),
    Command(CommandSeen),
    Outcome(OutcomeSeen),
}

/// # Errors
///
/// The log can't be read.
pub(crate) fn read(explainer: &Explainer, timeline: Timeline) -> Result<TimelineSeen, ExplainError> {
    let Timeline { partition, lineage, as_of, log_time, entities, references } = timeline;
    let mut places: BTreeMap<Position, BTreeSet<ReferenceKind>> = BTreeMap::new();
    for reference in references {
        places.entry(reference.position).or_default().insert(reference.kind);
    }
    let places_more = places.len().saturating_sub(MAX_PLACES);
    let mut entries: Vec<(Position, u8, Entry)> = Vec::new();
    let mut issued: BTreeMap<CommandId, Issued> = BTreeMap::new();
    let entity_set: BTreeSet<&EntityKey> = entities.iter().collect();
    for (position, kinds) in places.into_iter().skip(places_more) {
        let is_fact = kinds.contains(&ReferenceKind::About) || kinds.contains(&ReferenceKind::Named);
        if is_fact
            && position.step == 0
            && let Some(event) = explainer.event_at(partition, position.offset)?
        {
            entries.push((position, 0, Entry::Fact(FactSeen::of(&event))));
        }
        // What was concluded at a wakeup has no event; it stands in the decision.
        if (kinds.contains(&ReferenceKind::Decision) || position.step > 0)
            && let Some(mut decision) = explainer.decision_at(partition, position)?
        {
            // One step may look at the instances of others too.
            decision.choices.retain(|choice| entity_set.contains(&choice.subject));
            for command in decision.commands() {
                issued.insert(command.id, Issued::of(command, position.offset));
                entries.push((position, 2, Entry::Command(command.clone())));
            }
            entries.push((position, 1, Entry::Decision(decision)));
        }
    }
    for outcome in explainer.outcomes(partition, &issued, OUTCOMES_AHEAD)? {
        entries.push((Position::fold(outcome.offset), 0, Entry::Outcome(outcome)));
    }
    entries.sort_by_key(|(position, rank, _)| (*position, *rank));
    Ok(TimelineSeen {
        partition,
        lineage: lineage.to_string(),
        as_of: as_of.to_string(),
        log_time: rfc3339(log_time),
        entities: entities.iter().map(entity::text).collect(),
        entries: entries.into_iter().map(|(_, _, entry)| entry).collect(),
        places_more,
    })
}

impl TimelineSeen {
    pub(crate) fn for_each_personal(&mut self, mut open: impl FnMut(&mut Personal)) {
        for entry in &mut self.entries {
            match entry {
                Entry::Fact(fact) => fact.for_each_personal(&mut open),
                Entry::Decision(decision) => decision.for_each_personal(&mut open),
                Entry::Command(command) => command.for_each_personal(&mut open),
                Entry::Outcome(outcome) => outcome.for_each_personal(&mut open),
            }
        }
    }
}
