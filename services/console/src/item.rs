//! What a lane of the page shows of a record. It is never more than a page needs to
//! show a line and why; the chain behind it is asked for when somebody looks.

use std::sync::Arc;

use serde::Serialize;
use tradewind_explain::{CommandSeen, DecisionSeen, FactSeen, OutcomeSeen};

const MAX_NAMES: usize = 16;
const MAX_CHOICES: usize = 5;
const MAX_CHANGES: usize = 8;
const MAX_LINES: usize = 3;

#[derive(Serialize)]
struct Item<'a, T> {
    partition: u32,
    #[serde(flatten)]
    seen: &'a T,
}

fn json<T: Serialize>(partition: u32, seen: &T) -> Arc<str> {
    serde_json::to_string(&Item { partition, seen }).expect("what is seen is plain data").into()
}

pub(crate) fn fact(partition: u32, mut seen: FactSeen) -> Arc<str> {
    seen.names.truncate(MAX_NAMES);
    json(partition, &seen)
}

/// Without its facts and commands, which have lanes of their own.
pub(crate) fn decision(partition: u32, mut seen: DecisionSeen) -> Arc<str> {
    seen.choices.truncate(MAX_CHOICES);
    for choice in &mut seen.choices {
        choice.facts_read.clear();
        choice.commands.clear();
        choice.withheld.iter_mut().for_each(|withheld| withheld.command.lines.truncate(MAX_LINES));
        choice.changes.truncate(MAX_CHANGES);
    }
    json(partition, &seen)
}

pub(crate) fn command(partition: u32, mut seen: CommandSeen) -> Arc<str> {
    seen.lines.truncate(MAX_LINES);
    json(partition, &seen)
}

pub(crate) fn outcome(partition: u32, seen: &OutcomeSeen) -> Arc<str> {
    json(partition, seen)
}
