//! A command or a decision with everything that led to it and came of it.

use serde::Serialize;
use tradewind_domain::{CommandId, FactId};

use crate::command::CommandSeen;
use crate::decision::{ChoiceSeen, DecisionSeen};
use crate::fact::FactSeen;
use crate::ledger::LedgerSeen;
use crate::outcome::OutcomeSeen;
use crate::personal::Personal;
use crate::text;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Chain {
    pub partition: u32,
    /// The command that was asked about; `None` where it was the decision.
    #[serde(serialize_with = "text::shown_if_any")]
    pub command: Option<CommandId>,
    /// The choices that issued the command, or all of them.
    pub decision: DecisionSeen,
    /// What was read to decide, and the record the decision was taken with; oldest first.
    pub facts: Vec<FactSeen>,
    /// Read for the decision, and not found in the stretches of `tradewind.events` that were searched.
    #[serde(serialize_with = "text::all_shown")]
    pub facts_missing: Vec<FactId>,
    pub facts_searched: Vec<Stretch>,
    pub outcomes: Vec<OutcomeSeen>,
    pub outcomes_searched: Stretch,
    pub ledger: Vec<LedgerSeen>,
}

/// Offsets from one up to, and not including, the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Stretch {
    pub from: u64,
    pub to: u64,
    /// There is more behind it that was not read.
    pub is_cut: bool,
}

impl Chain {
    /// The commands that are explained: the one asked about, or all of the decision.
    pub fn commands(&self) -> impl Iterator<Item = &CommandSeen> {
        self.decision.commands().filter(|command| self.command.is_none_or(|asked| asked == command.id))
    }

    /// Shows every personal field to whoever may open it.
    pub fn for_each_personal(&mut self, mut open: impl FnMut(&mut Personal)) {
        self.facts.iter_mut().for_each(|fact| fact.for_each_personal(&mut open));
        self.decision.for_each_personal(&mut open);
        self.outcomes.iter_mut().for_each(|outcome| outcome.for_each_personal(&mut open));
    }
}

impl FactSeen {
    pub fn for_each_personal(&mut self, open: impl FnMut(&mut Personal)) {
        self.personal.iter_mut().for_each(open);
    }
}

impl OutcomeSeen {
    pub fn for_each_personal(&mut self, open: impl FnMut(&mut Personal)) {
        self.evidence.iter_mut().for_each(open);
    }
}

impl CommandSeen {
    pub fn for_each_personal(&mut self, open: impl FnMut(&mut Personal)) {
        self.personal.iter_mut().for_each(open);
    }
}

impl DecisionSeen {
    pub fn for_each_personal(&mut self, mut open: impl FnMut(&mut Personal)) {
        let of_choice = |choice: &mut ChoiceSeen| {
            choice.commands.iter_mut().for_each(|command| command.for_each_personal(&mut open));
            choice.derived.iter_mut().for_each(|fact| fact.for_each_personal(&mut open));
        };
        self.choices.iter_mut().for_each(of_choice);
    }
}
