//! A reader of its own: it knows the rules every reader of decisions relies on
//! (docs/CONTRACT.md) and nothing of how they are kept.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use tradewind_domain::{Command, CommandId, Decision, DecisionRecord, Position, Transition, TurnCommitted, Vendor};
use tradewind_ports::{Record, Topic};
use tradewind_wire::command::Issued;
use tradewind_wire::{command, decision};

use crate::memory_log::Broker;

/// What a reader makes of a partition's decisions and commands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// In the order of their positions.
    pub decisions: Vec<Read<Decision>>,
    /// Each command once.
    pub commands: BTreeMap<CommandId, Read<Command>>,
}

/// What was read, and the bytes it stood in.
#[derive(Clone, Debug, PartialEq)]
pub struct Read<T> {
    pub position: Position,
    pub value: T,
    pub bytes: Vec<u8>,
}

/// Reads partition 0 and checks the rules.
///
/// # Errors
///
/// The rule that is broken, in words.
pub fn read(broker: &Broker, vendors: &[Vendor]) -> Result<Reading, String> {
    let decisions = broker.records(&Topic::Decisions.partition(0));
    let commands = vendors.iter().flat_map(|vendor| broker.records(&Topic::Commands(vendor.clone()).partition(0)));
    read_records(decisions, commands)
}

/// Checks the rules of one partition's decisions, and of the commands of all vendors in it.
///
/// # Errors
///
/// The rule that is broken, in words.
pub fn read_records(
    decisions: impl IntoIterator<Item = Record>,
    commands: impl IntoIterator<Item = Record>,
) -> Result<Reading, String> {
    let mut reading = Reading::default();
    let mut closed = Position::default();
    let mut uncovered = 0_usize;
    let mut expected_commands = BTreeMap::new();
    for stored in decisions {
        let (position, record) = decision::decode(&stored).map_err(|error| error.to_string())?;
        match record {
            DecisionRecord::Lineage(_) => {}
            DecisionRecord::TurnCommitted(turn) => {
                close(&turn, &mut closed, &reading)?;
                uncovered = 0;
            }
            DecisionRecord::Decision(decision) => {
                let position = position.ok_or("a decision without its position")?;
                expected_commands.extend(commands_of(&decision));
                let bytes = stored.value.unwrap_or_default();
                take(&mut reading, closed, Read { position, value: decision, bytes })?;
                uncovered += 1;
            }
        }
    }
    if uncovered > 0 {
        return Err(format!("{uncovered} decisions that no turn covers"));
    }
    for stored in commands {
        take_command(&mut reading, &stored)?;
    }
    let missing = expected_commands.keys().filter(|id| !reading.commands.contains_key(id)).count();
    let without_decision = reading.commands.keys().filter(|id| !expected_commands.contains_key(id)).count();
    if missing + without_decision > 0 {
        return Err(format!("{missing} commands lost, {without_decision} without a decision"));
    }
    Ok(reading)
}

/// Checks what holds at any moment, also while nobody owns the partition: a
/// command never shows before its decision.
///
/// # Errors
///
/// The command that does, in words.
pub(crate) fn check_order(broker: &Broker, vendors: &[Vendor]) -> Result<(), String> {
    let mut issued = BTreeMap::new();
    for stored in broker.records(&Topic::Decisions.partition(0)) {
        let (_, record) = decision::decode(&stored).map_err(|error| error.to_string())?;
        if let DecisionRecord::Decision(decision) = record {
            issued.extend(commands_of(&decision));
        }
    }
    for vendor in vendors {
        for stored in broker.records(&Topic::Commands(vendor.clone()).partition(0)) {
            let Issued { command, .. } = command::decode(&stored).map_err(|error| error.to_string())?;
            if !issued.contains_key(&command.id) {
                return Err(format!("command {} shows before its decision", command.id));
            }
        }
    }
    Ok(())
}

fn commands_of(decision: &Decision) -> Vec<(CommandId, Command)> {
    let transitions = decision.choices.iter().flat_map(|choice| &choice.transitions);
    transitions
        .filter_map(|transition| {
            if let Transition::CommandIssued { command } = transition {
                Some((command.id, command.clone()))
            } else {
                None
            }
        })
        .collect()
}

fn take(reading: &mut Reading, closed: Position, decision: Read<Decision>) -> Result<(), String> {
    let position = decision.position;
    if position < closed {
        return Err(format!("a decision at {position}, behind what is closed up to {closed}"));
    }
    if let Some(last) = reading.decisions.last()
        && last.position >= position
    {
        return Err(format!("a decision at {position} after one at {}", last.position));
    }
    reading.decisions.push(decision);
    Ok(())
}

fn close(turn: &TurnCommitted, closed: &mut Position, reading: &Reading) -> Result<(), String> {
    if turn.from != *closed {
        return Err(format!("a turn from {} where {closed} was to be next", turn.from));
    }
    if let Some(last) = reading.decisions.last()
        && last.position >= turn.to
    {
        return Err(format!("a turn to {} that does not cover the decision at {}", turn.to, last.position));
    }
    *closed = turn.to;
    Ok(())
}

fn take_command(reading: &mut Reading, stored: &Record) -> Result<(), String> {
    let Issued { command, position, .. } = command::decode(stored).map_err(|error| error.to_string())?;
    let bytes = stored.value.clone().unwrap_or_default();
    match reading.commands.entry(command.id) {
        Entry::Vacant(entry) => {
            entry.insert(Read { position, value: command, bytes });
        }
        Entry::Occupied(entry) if entry.get().bytes == bytes && entry.get().position == position => {}
        Entry::Occupied(_) => {
            return Err(format!("two different copies of command {}", command.id));
        }
    }
    Ok(())
}
