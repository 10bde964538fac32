//! What the decisions so far have set going: instances, wakeups, commands, slots.

use std::collections::{BTreeMap, BTreeSet};

use tradewind_domain::{
    Choice, Command, CommandId, Decision, EntityKey, FactId, InstanceId, Name, Position, Tenant, Timestamp, Transition,
    WakeupId,
};

pub(super) type Decisions = [(Position, Decision)];

#[derive(Debug)]
pub(super) struct Instance<'a> {
    pub(super) tenant: &'a Tenant,
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

/// Of the choices that `is_asked` picks, the instances that have started and not ended.
pub(super) fn running(
    decisions: &Decisions,
    is_asked: impl Fn(&Tenant, &Choice) -> bool,
) -> BTreeMap<InstanceId, Instance<'_>> {
    let mut running: BTreeMap<InstanceId, Instance<'_>> = BTreeMap::new();
    for (position, Decision { tenant, choices, .. }) in decisions {
        for choice in choices.iter().filter(|choice| is_asked(tenant, choice)) {
            for transition in &choice.transitions {
                if let Transition::InstanceStarted { trigger } = transition {
                    running.insert(choice.instance, Instance::started(tenant, &choice.subject, *trigger));
                } else if let Transition::InstanceEnded { .. } = transition {
                    running.remove(&choice.instance);
                } else if let Some(instance) = running.get_mut(&choice.instance) {
                    instance.apply(*position, choice.instance, transition);
                }
            }
        }
    }
    running
}

/// The instance, if it runs.
pub(super) fn instance(decisions: &Decisions, id: InstanceId) -> Option<Instance<'_>> {
    running(decisions, |_, choice| choice.instance == id).remove(&id)
}

pub(super) fn is_running(decisions: &Decisions, tenant: &Tenant, workflow: &Name, subject: &EntityKey) -> bool {
    let is_asked =
        |of: &Tenant, choice: &Choice| of == tenant && choice.workflow == *workflow && choice.subject == *subject;
    !running(decisions, is_asked).is_empty()
}

impl<'a> Instance<'a> {
    fn started(tenant: &'a Tenant, subject: &'a EntityKey, trigger: FactId) -> Instance<'a> {
        Instance { tenant, subject, trigger, wakeups: vec![], commands: vec![], steps: vec![] }
    }

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
            | Transition::Withheld { .. }
            | Transition::Suppressed { .. }
            | Transition::Deferred { .. }
            | Transition::HeldOut { .. }
            | Transition::Derived { .. }
            | Transition::InstanceEnded { .. }
            | Transition::OutcomeMissing { .. } => {}
        }
    }
}

/// The workflow has started an instance for this subject, ever.
pub(super) fn has_met(decisions: &Decisions, tenant: &Tenant, workflow: &Name, subject: &EntityKey) -> bool {
    transitions(decisions, tenant).any(|(choice, transition)| {
        choice.workflow == *workflow
            && choice.subject == *subject
            && matches!(transition, Transition::InstanceStarted { .. })
    })
}

pub(super) fn is_held_out(decisions: &Decisions, tenant: &Tenant, workflow: &Name, subject: &EntityKey) -> bool {
    transitions(decisions, tenant).any(|(choice, transition)| {
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
    for (_, transition) in transitions(decisions, tenant) {
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

pub(super) fn command<'a>(decisions: &'a Decisions, tenant: &Tenant, id: CommandId) -> Option<&'a Command> {
    transitions(decisions, tenant).find_map(|(_, transition)| {
        let Transition::CommandIssued { command } = transition else { return None };
        (command.id == id).then_some(command)
    })
}

fn transitions<'a>(decisions: &'a Decisions, tenant: &Tenant) -> impl Iterator<Item = (&'a Choice, &'a Transition)> {
    let of_tenant = decisions.iter().filter(move |(_, decision)| decision.tenant == *tenant);
    let choices = of_tenant.flat_map(|(_, decision)| &decision.choices);
    choices.flat_map(|choice| choice.transitions.iter().map(move |transition| (choice, transition)))
}
