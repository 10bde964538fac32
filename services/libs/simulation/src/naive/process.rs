//! What the decisions so far have set going: instances, wakeups, commands, slots.

use std::collections::{BTreeMap, BTreeSet};

use tradewind_domain::{
    Body, Choice, Command, CommandId, Decision, EntityKey, FactId, InstanceId, Name, OutcomeState, Position, Tenant,
    Timestamp, Transition, WakeupId,
};

use super::facts::Record;

pub(super) type Decisions = [(Position, Decision)];

#[derive(Debug)]
pub(super) struct Instance<'a> {
    pub(super) workflow: &'a Name,
    pub(super) subject: &'a EntityKey,
    pub(super) trigger: FactId,
    /// In the order they were set.
    pub(super) wakeups: Vec<Wakeup>,
    pub(super) commands: Vec<CommandId>,
    pub(super) steps: Vec<&'a Name>,
}

#[derive(Clone, Debug)]
pub(super) struct Wakeup {
    pub(super) instance: InstanceId,
    pub(super) id: WakeupId,
    pub(super) name: Name,
    pub(super) due: Timestamp,
    pub(super) lateness_ms: i64,
    pub(super) awaits_sources: bool,
    pub(super) round: u32,
    /// The step that set it.
    pub(super) set_at: Position,
}

/// The instances that have started and not ended, of all tenants.
pub(super) fn running(decisions: &Decisions) -> BTreeMap<(&Tenant, InstanceId), Instance<'_>> {
    let mut running: BTreeMap<(&Tenant, InstanceId), Instance<'_>> = BTreeMap::new();
    for (position, decision) in decisions {
        for choice in &decision.choices {
            for transition in &choice.transitions {
                let at = (&decision.tenant, choice.instance);
                if let Transition::InstanceStarted { trigger } = transition {
                    running.insert(at, started(choice, *trigger));
                } else if let Transition::InstanceEnded { .. } = transition {
                    running.remove(&at);
                } else if let Some(instance) = running.get_mut(&at) {
                    instance.apply(*position, choice.instance, transition);
                }
            }
        }
    }
    running
}

fn started(choice: &Choice, trigger: FactId) -> Instance<'_> {
    Instance {
        workflow: &choice.workflow,
        subject: &choice.subject,
        trigger,
        wakeups: vec![],
        commands: vec![],
        steps: vec![],
    }
}

impl<'a> Instance<'a> {
    fn apply(&mut self, set_at: Position, id: InstanceId, transition: &'a Transition) {
        match transition {
            Transition::StepEntered { step, .. } => self.steps.push(step),
            Transition::WakeupSet { wakeup, name, due, lateness_ms, awaits_sources, round } => {
                self.wakeups.retain(|earlier| earlier.name != *name);
                self.wakeups.push(Wakeup {
                    instance: id,
                    id: *wakeup,
                    name: name.clone(),
                    due: *due,
                    lateness_ms: *lateness_ms,
                    awaits_sources: *awaits_sources,
                    round: *round,
                    set_at,
                });
            }
            Transition::WakeupCleared { wakeup, .. } => self.wakeups.retain(|earlier| earlier.id != *wakeup),
            Transition::CommandIssued { command } => self.commands.push(command.id),
            Transition::InstanceStarted { .. }
            | Transition::VariableSet { .. }
            | Transition::SlotReserved { .. }
            | Transition::SlotReleased { .. }
            | Transition::Suppressed { .. }
            | Transition::Deferred { .. }
            | Transition::HeldOut { .. }
            | Transition::Derived { .. }
            | Transition::InstanceEnded { .. }
            | Transition::OutcomeMissing { .. } => {}
        }
    }
}

pub(super) fn is_running(decisions: &Decisions, tenant: &Tenant, workflow: &Name, subject: &EntityKey) -> bool {
    running(decisions)
        .iter()
        .any(|((of, _), instance)| *of == tenant && instance.workflow == workflow && instance.subject == subject)
}

/// The workflow has started an instance for this subject, ever.
pub(super) fn has_met(decisions: &Decisions, tenant: &Tenant, workflow: &Name, subject: &EntityKey) -> bool {
    transitions(decisions, tenant).any(|(_, choice, transition)| {
        choice.workflow == *workflow
            && choice.subject == *subject
            && matches!(transition, Transition::InstanceStarted { .. })
    })
}

pub(super) fn is_held_out(decisions: &Decisions, tenant: &Tenant, workflow: &Name, subject: &EntityKey) -> bool {
    transitions(decisions, tenant).any(|(_, choice, transition)| {
        choice.workflow == *workflow && matches!(transition, Transition::HeldOut { entity } if entity == subject)
    })
}

/// The commands that occupy a place of the cap at any of the entities, and since when.
pub(super) fn slots(
    decisions: &Decisions,
    tenant: &Tenant,
    of_cap: &str,
    at_any: &BTreeSet<&EntityKey>,
) -> BTreeMap<CommandId, Timestamp> {
    let mut held: BTreeMap<(&EntityKey, CommandId), Timestamp> = BTreeMap::new();
    for (_, _, transition) in transitions(decisions, tenant) {
        if let Transition::SlotReserved { cap, entity, command, at } = transition
            && cap.as_str() == of_cap
            && at_any.contains(entity)
        {
            held.insert((entity, *command), *at);
        } else if let Transition::SlotReleased { cap, entity, command } = transition
            && cap.as_str() == of_cap
        {
            held.remove(&(entity, *command));
        }
    }
    held.into_iter().map(|((_, command), at)| (command, at)).collect()
}

/// A command, and the step that issued it.
pub(super) fn command<'a>(decisions: &'a Decisions, tenant: &Tenant, id: CommandId) -> Option<(Position, &'a Command)> {
    transitions(decisions, tenant).find_map(|(position, _, transition)| {
        let Transition::CommandIssued { command } = transition else { return None };
        (command.id == id).then_some((position, command))
    })
}

/// What became of a command, by the outcomes recorded since it was issued: a final state stays.
pub(super) fn state_of(records: &[&Record], id: CommandId, issued_at: Position) -> Option<OutcomeState> {
    let mut state: Option<OutcomeState> = None;
    for record in records.iter().filter(|record| record.envelope.offset > issued_at.offset) {
        if let Body::Outcome(outcome) = record.body()
            && outcome.command == id
            && !state.is_some_and(OutcomeState::is_final)
        {
            state = Some(outcome.state);
        }
    }
    state
}

fn transitions<'a>(
    decisions: &'a Decisions,
    tenant: &Tenant,
) -> impl Iterator<Item = (Position, &'a Choice, &'a Transition)> {
    decisions.iter().filter(move |(_, decision)| decision.tenant == *tenant).flat_map(|(position, decision)| {
        let choices = decision.choices.iter();
        choices.flat_map(move |choice| choice.transitions.iter().map(move |transition| (*position, choice, transition)))
    })
}
