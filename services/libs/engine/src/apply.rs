//! `apply`: what a decision's transitions change, leaf by leaf. It needs no
//! definition and no expression, so that a later release can't diverge from a
//! decision it reads.
//!
//! While the log is read again a leaf may already hold a later step, or be gone
//! because its instance has ended since; then there is nothing to do for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use tradewind_domain::{
    Choice, CommandId, Decision, EntityKey, FactId, InstanceId, Name, Parked, ParkedAt, Position, Tenant, Transition,
};
use tradewind_ports::StoreError;

use crate::fold::Folding;
use crate::key::LeafKey;
use crate::leaf::{
    CommandLeaf, EntityLeaf, Figures, InstanceLeaf, Leaf, MAX_REFERENCES, ProcessLeaf, Reference, ReferenceKind, Wakeup,
};
use crate::rules::Rules;
use crate::state::State;

pub(crate) fn decision(
    state: &mut State,
    rules: &Rules,
    position: Position,
    decision: &Decision,
) -> Result<(), StoreError> {
    for choice in &decision.choices {
        let applying = Applying { tenant: &decision.tenant, rules, position, choice, decision };
        refer(state, &applying)?;
        for transition in &choice.transitions {
            apply(state, &applying, transition)?;
        }
    }
    for parked in &decision.parked {
        park(state, &decision.tenant, parked)?;
    }
    Ok(())
}

struct Applying<'a> {
    tenant: &'a Tenant,
    rules: &'a Rules,
    position: Position,
    choice: &'a Choice,
    decision: &'a Decision,
}

fn refer(state: &mut State, applying: &Applying<'_>) -> Result<(), StoreError> {
    let reference = Reference { position: applying.position, kind: ReferenceKind::Decision };
    process(state, applying.tenant, &applying.choice.subject, |process| {
        if process.references.len() == MAX_REFERENCES {
            process.references.pop_front();
        }
        process.references.push_back(reference);
    })
}

fn apply(state: &mut State, applying: &Applying<'_>, transition: &Transition) -> Result<(), StoreError> {
    let Applying { tenant, rules, position, choice, decision } = applying;
    match transition {
        Transition::InstanceStarted { trigger } => {
            start_instance(state, applying, *trigger)?;
            process(state, tenant, &choice.subject, |process| {
                process.running.insert(choice.workflow.clone(), choice.instance);
                process.met.insert(choice.workflow.clone());
            })
        }
        Transition::StepEntered { step, iteration } => instance(state, tenant, choice.instance, |instance| {
            instance.step = step.clone();
            instance.iterations.insert(step.clone(), *iteration);
        }),
        Transition::VariableSet { name, value } => instance(state, tenant, choice.instance, |instance| {
            instance.variables.insert(name.clone(), *value);
        }),
        Transition::WakeupSet { wakeup, name, due, lateness_ms, awaits_sources, round } => {
            let wakeup = Wakeup {
                id: *wakeup,
                name: name.clone(),
                due: *due,
                lateness_ms: *lateness_ms,
                awaits_sources: *awaits_sources,
                round: *round,
                set_at_offset: position.offset,
            };
            instance(state, tenant, choice.instance, |instance| {
                instance.wakeups.retain(|known| known.name != wakeup.name);
                instance.wakeups.push(wakeup);
                instance.parked = None;
            })
        }
        Transition::WakeupCleared { wakeup, .. } => instance(state, tenant, choice.instance, |instance| {
            instance.wakeups.retain(|known| known.id != *wakeup);
        }),
        Transition::SlotReserved { cap, entity: at_entity, command, at } => entity(state, tenant, at_entity, |leaf| {
            if let Figures::Identifier(figures) = &mut leaf.figures {
                figures.slots.insert((cap.clone(), *command), *at);
            }
        }),
        Transition::SlotReleased { cap, entity: at_entity, command } => entity(state, tenant, at_entity, |leaf| {
            if let Figures::Identifier(figures) = &mut leaf.figures {
                figures.slots.remove(&(cap.clone(), *command));
            }
        }),
        Transition::CommandIssued { command } => {
            let leaf = CommandLeaf {
                instance: choice.instance,
                target: command.target.clone(),
                deadline: command.deadline,
                state: None,
                without_effect: false,
                missing: false,
            };
            state.update(&LeafKey::Command(tenant, command.id), |slot| {
                slot.get_or_insert_with(|| Leaf::Command(Arc::new(leaf)));
            })?;
            instance(state, tenant, choice.instance, |instance| instance.commands.push(command.id))
        }
        // What was not done, and why: the record says it, no leaf needs it.
        Transition::Withheld { .. } | Transition::Suppressed { .. } | Transition::Deferred { .. } => Ok(()),
        Transition::HeldOut { entity: at_entity } => entity(state, tenant, at_entity, |leaf| {
            leaf.held_out.insert(choice.workflow.clone());
        }),
        Transition::Derived { id, fact } => {
            let Some((about, _)) = fact.body.about() else { return Ok(()) };
            let folding = Folding { id: *id, fact, recorded_at: decision.watermark, position: *position };
            entity(state, tenant, about, |leaf| {
                (rules.fold_about)(leaf, &folding);
            })
        }
        Transition::InstanceEnded { .. } => {
            process(state, tenant, &choice.subject, |process| {
                if process.running.get(&choice.workflow) == Some(&choice.instance) {
                    process.running.remove(&choice.workflow);
                }
            })?;
            state.update(&LeafKey::Instance(tenant, choice.instance), |slot| *slot = None)
        }
        Transition::OutcomeMissing { command: missing } => command(state, tenant, *missing, |command| {
            command.missing = true;
        }),
    }
}

fn start_instance(state: &mut State, applying: &Applying<'_>, trigger: FactId) -> Result<(), StoreError> {
    let leaf = instance_of(applying.tenant, applying.choice, trigger);
    state.update(&LeafKey::Instance(applying.tenant, applying.choice.instance), |slot| {
        slot.get_or_insert_with(|| Leaf::Instance(Arc::new(leaf)));
    })
}

/// An instance of the choice's workflow as it stands right after it started.
pub(crate) fn instance_of(tenant: &Tenant, choice: &Choice, trigger: FactId) -> InstanceLeaf {
    InstanceLeaf {
        id: choice.instance,
        tenant: tenant.clone(),
        workflow: choice.workflow.clone(),
        definition: choice.definition,
        subject: choice.subject.clone(),
        trigger,
        step: Name::fixed(""),
        iterations: BTreeMap::new(),
        variables: BTreeMap::new(),
        wakeups: Vec::new(),
        commands: Vec::new(),
        parked: None,
    }
}

fn park(state: &mut State, tenant: &Tenant, parked: &Parked) -> Result<(), StoreError> {
    match parked {
        Parked::Fact(parked) => parked.entities.iter().try_for_each(|at_entity| {
            entity(state, tenant, at_entity, |leaf| {
                leaf.parked.insert(parked.fact);
            })
        }),
        Parked::Instance(parked) => match parked.at {
            ParkedAt::Wakeup(at) => instance(state, tenant, parked.instance, |instance| {
                instance.parked = instance.wakeups.iter().find(|wakeup| wakeup.id == at).cloned();
                instance.wakeups.retain(|wakeup| wakeup.id != at);
            }),
            // There is no leaf yet, or it stands as it was with all its wakeups.
            ParkedAt::Trigger(_) | ParkedAt::Outcome(_) => Ok(()),
        },
    }
}

/// Changes the leaf of an entity, which is made if it is the first.
pub(crate) fn entity(
    state: &mut State,
    tenant: &Tenant,
    entity: &EntityKey,
    change: impl FnOnce(&mut EntityLeaf),
) -> Result<(), StoreError> {
    state.update(&LeafKey::Entity(tenant, entity), |slot| {
        let leaf = slot.get_or_insert_with(|| Leaf::Entity(Arc::new(EntityLeaf::new(entity.kind()))));
        if let Leaf::Entity(leaf) = leaf {
            change(Arc::make_mut(leaf));
        }
    })
}

fn process(
    state: &mut State,
    tenant: &Tenant,
    entity: &EntityKey,
    change: impl FnOnce(&mut ProcessLeaf),
) -> Result<(), StoreError> {
    state.update(&LeafKey::Process(tenant, entity), |slot| {
        let leaf = slot.get_or_insert_with(|| Leaf::Process(Arc::default()));
        if let Leaf::Process(leaf) = leaf {
            change(Arc::make_mut(leaf));
        }
    })
}

fn instance(
    state: &mut State,
    tenant: &Tenant,
    instance: InstanceId,
    change: impl FnOnce(&mut InstanceLeaf),
) -> Result<(), StoreError> {
    state.update(&LeafKey::Instance(tenant, instance), |slot| {
        if let Some(Leaf::Instance(leaf)) = slot {
            change(Arc::make_mut(leaf));
        }
    })
}

/// Changes the leaf of a command, if there is one.
pub(crate) fn command(
    state: &mut State,
    tenant: &Tenant,
    command: CommandId,
    change: impl FnOnce(&mut CommandLeaf),
) -> Result<(), StoreError> {
    state.update(&LeafKey::Command(tenant, command), |slot| {
        if let Some(Leaf::Command(leaf)) = slot {
            change(Arc::make_mut(leaf));
        }
    })
}
