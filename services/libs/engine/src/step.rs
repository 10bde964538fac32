//! One step: folding one record and deciding on it, or firing one wakeup.
//!
//! Our own code may fail in a step. Then that step alone is dropped, and the
//! decision says so: a fact that can't be folded is parked, an instance that
//! can't be decided for is parked, and everything else stands.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tradewind_domain::{
    Body, Choice, Decision, DecisionId, EntityKey, Envelope, FactId, FactParked, InstanceId, InstanceParked, Lifecycle,
    Name, Outcome, Parked, ParkedAt, Position, Share, Tenant, Timestamp, Transition,
};
use tradewind_ports::StoreError;

use crate::apply;
use crate::fold::{self, Folding};
use crate::key::LeafKey;
use crate::leaf::{InstanceLeaf, Leaf, Wakeup};
use crate::rules::Rules;
use crate::state::State;
use crate::view::View;
use crate::workflow::{Cause, Considered, Situation, Workflow};

/// A step that was taken.
#[derive(Clone, Debug, PartialEq)]
pub struct Stepped {
    pub position: Position,
    /// `None` if the step had nothing to say.
    pub decision: Option<Decision>,
}

/// What a step needs to know beside the state.
pub(crate) struct Stepping<'a> {
    pub rules: &'a Rules,
    pub build: &'a Name,
    pub position: Position,
    pub watermark: Timestamp,
}

/// Folds a fact into every leaf it concerns. True if it said something new.
pub(crate) fn fold(
    state: &mut State,
    stepping: &Stepping<'_>,
    envelope: &Envelope,
    recorded_at: Timestamp,
) -> Result<bool, StoreError> {
    let tenant = &envelope.tenant;
    let folding = Folding { id: envelope.id, fact: &envelope.fact, recorded_at, position: stepping.position };
    match &envelope.fact.body {
        Body::Outcome(outcome) => fold_outcome(state, tenant, outcome),
        // It brings the log's time with it: the clock may have been adjusted since.
        Body::FactUnparked(unparked) => fold(state, stepping, &unparked.envelope, unparked.envelope.recorded_at),
        Body::ConnectionChanged(_)
        | Body::BindingSet(_)
        | Body::SettingSet(_)
        | Body::SwitchSet(_)
        | Body::DefinitionActivated(_)
        | Body::GapOpened(_)
        | Body::GapClosed(_) => {
            state.update(&LeafKey::Tenant(tenant), |slot| {
                let leaf = slot.get_or_insert_with(|| Leaf::Tenant(Arc::default()));
                if let Leaf::Tenant(leaf) = leaf {
                    fold::tenant(Arc::make_mut(leaf), &folding);
                }
            })?;
            Ok(true)
        }
        Body::CartUpdated(_)
        | Body::CheckoutUpdated(_)
        | Body::CheckoutDeleted(_)
        | Body::OrderPlaced(_)
        | Body::OrderCancelled(_)
        | Body::TicketUpdated(_)
        | Body::TicketMessaged(_)
        | Body::CartAbandoned(_) => fold_commerce(state, stepping.rules, tenant, &folding),
        Body::LineageOpened(_)
        | Body::IngestAlive(_)
        | Body::Tick
        | Body::ClockAdjusted(_)
        | Body::ApprovalDecided(_)
        | Body::InstanceUnparked(_)
        | Body::TenantMoved { .. }
        | Body::TenantArrived { .. }
        | Body::ErasureRequested { .. }
        | Body::ErasureCompleted { .. } => Ok(true),
    }
}

fn fold_commerce(state: &mut State, rules: &Rules, tenant: &Tenant, folding: &Folding<'_>) -> Result<bool, StoreError> {
    let Some((object, names)) = folding.fact.body.about() else { return Ok(false) };
    let mut is_news = false;
    apply::entity(state, tenant, object, |leaf| is_news = (rules.fold_about)(leaf, folding))?;
    for name in names {
        apply::entity(state, tenant, name, |leaf| fold::named(leaf, name, folding))?;
    }
    Ok(is_news)
}

fn fold_outcome(state: &mut State, tenant: &Tenant, outcome: &Outcome) -> Result<bool, StoreError> {
    let mut is_news = false;
    apply::command(state, tenant, outcome.command, |leaf| is_news = fold::command(leaf, outcome))?;
    Ok(is_news)
}

/// Step 0: folds a record, decides on it, applies the decision.
pub(crate) fn fold_and_decide(
    state: &mut State,
    stepping: &Stepping<'_>,
    envelope: &Envelope,
    recorded_at: Timestamp,
) -> Result<Option<Decision>, StoreError> {
    let attempt = |state: &mut State| {
        let is_news = fold(state, stepping, envelope, recorded_at)?;
        if is_news { on_fact(state, stepping, envelope) } else { Ok(None) }
    };
    take(state, stepping, attempt, |panic| parked_fact(stepping, envelope, panic))
}

/// Decides and applies the decision, in one step; where our code panics, in its
/// place the decision that says so.
fn take(
    state: &mut State,
    stepping: &Stepping<'_>,
    decide: impl FnOnce(&mut State) -> Result<Option<Decision>, StoreError>,
    parked: impl FnOnce(&(dyn Any + Send)) -> Decision,
) -> Result<Option<Decision>, StoreError> {
    state.begin_step(stepping.position);
    let taken = catch_unwind(AssertUnwindSafe(|| {
        let decision = decide(state)?;
        apply(state, stepping, decision.as_ref())?;
        Ok(decision)
    }));
    let decision = match taken {
        Ok(decision) => decision?,
        Err(panic) => {
            state.undo_step();
            state.begin_step(stepping.position);
            let decision = Some(parked(panic.as_ref()));
            apply(state, stepping, decision.as_ref())?;
            decision
        }
    };
    state.finish_step();
    Ok(decision)
}

fn apply(state: &mut State, stepping: &Stepping<'_>, decision: Option<&Decision>) -> Result<(), StoreError> {
    decision.map_or(Ok(()), |decision| apply::decision(state, stepping.rules, stepping.position, decision))
}

fn parked_fact(stepping: &Stepping<'_>, envelope: &Envelope, panic: &(dyn Any + Send)) -> Decision {
    let entities = envelope
        .fact
        .body
        .about()
        .map_or(Vec::new(), |(object, names)| std::iter::once(object).chain(names).cloned().collect());
    let parked = Parked::Fact(FactParked {
        fact: envelope.id,
        build: stepping.build.clone(),
        reason: reason_of(panic).into(),
        entities,
    });
    Decision {
        parked: vec![parked],
        ..empty_decision(
            stepping,
            &envelope.tenant,
            envelope.id,
            DecisionId::of_fold(stepping.watermark, &envelope.tenant, envelope.id),
        )
    }
}

fn empty_decision(stepping: &Stepping<'_>, tenant: &Tenant, fact: FactId, id: DecisionId) -> Decision {
    Decision {
        id,
        tenant: tenant.clone(),
        fact,
        wakeup: None,
        watermark: stepping.watermark,
        build: stepping.build.clone(),
        choices: Vec::new(),
        parked: Vec::new(),
    }
}

fn reason_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a message")
}

/// What a fact that said something new leads to.
fn on_fact(state: &mut State, stepping: &Stepping<'_>, envelope: &Envelope) -> Result<Option<Decision>, StoreError> {
    let envelope =
        if let Body::FactUnparked(unparked) = &envelope.fact.body { unparked.envelope.as_ref() } else { envelope };
    let tenant = &envelope.tenant;
    // Most facts lead to nothing, and an id costs a digest.
    let begun = || {
        let id = DecisionId::of_fold(stepping.watermark, tenant, envelope.id);
        empty_decision(stepping, tenant, envelope.id, id)
    };
    let mut decision = None;
    if let Body::Outcome(outcome) = &envelope.fact.body {
        if outcome.state.is_final()
            && let Some(asked) = instance_of_command(state, stepping.rules, tenant, outcome)?
        {
            ask(state, stepping, decision.get_or_insert_with(begun), &asked, Cause::Outcome(outcome))?;
        }
    } else if let Body::InstanceUnparked(unparked) = &envelope.fact.body {
        unpark(state, stepping, decision.get_or_insert_with(begun), unparked.instance)?;
    } else {
        for workflow in &stepping.rules.workflows {
            let Some(subject) = workflow.subject(&envelope.fact, envelope.arrival) else { continue };
            if let Some(asked) = newcomer(state, stepping, workflow.as_ref(), envelope, subject)? {
                let cause = Cause::Trigger(&envelope.fact);
                ask(state, stepping, decision.get_or_insert_with(begun), &asked, cause)?;
            }
        }
    }
    Ok(decision.filter(|decision| !decision.choices.is_empty() || !decision.parked.is_empty()))
}

/// An instance a workflow is asked about.
struct Asked<'a> {
    workflow: &'a dyn Workflow,
    instance: Arc<InstanceLeaf>,
    lifecycle: Lifecycle,
    withholds: bool,
    missing: Vec<Name>,
}

/// The instance that would start; `None` if one runs, or the workflow is off.
fn newcomer<'a>(
    state: &mut State,
    stepping: &Stepping<'a>,
    workflow: &'a dyn Workflow,
    envelope: &Envelope,
    subject: EntityKey,
) -> Result<Option<Asked<'a>>, StoreError> {
    let tenant = &envelope.tenant;
    let name = workflow.name();
    let (lifecycle, withholds) = lifecycle(state, tenant, &name, &subject)?;
    let mut view = View::new(state, tenant);
    if lifecycle == Lifecycle::Off || view.is_running(&subject, &name)? {
        return Ok(None);
    }
    let id = InstanceId::derive(stepping.watermark, tenant, &name, &subject, envelope.id);
    let choice = Choice { lifecycle, withholds, ..empty_choice(workflow, id, subject) };
    let instance = Arc::new(apply::instance_of(tenant, &choice, envelope.id));
    Ok(Some(Asked { workflow, instance, lifecycle, withholds, missing: Vec::new() }))
}

fn instance_of_command<'a>(
    state: &mut State,
    rules: &'a Rules,
    tenant: &Tenant,
    outcome: &Outcome,
) -> Result<Option<Asked<'a>>, StoreError> {
    let mut view = View::new(state, tenant);
    let Some(command) = view.command(outcome.command)? else { return Ok(None) };
    let Some(instance) = view.instance(command.instance)? else { return Ok(None) };
    running(state, rules, tenant, instance)
}

fn running<'a>(
    state: &mut State,
    rules: &'a Rules,
    tenant: &Tenant,
    instance: Arc<InstanceLeaf>,
) -> Result<Option<Asked<'a>>, StoreError> {
    let Some(workflow) = rules.workflows.iter().find(|workflow| workflow.name() == instance.workflow) else {
        return Ok(None);
    };
    let (lifecycle, withholds) = lifecycle(state, tenant, &instance.workflow, &instance.subject)?;
    Ok(Some(Asked { workflow: workflow.as_ref(), instance, lifecycle, withholds, missing: Vec::new() }))
}

/// Of a workflow for one subject, and whether it withholds commands for it: a
/// canary is on for its share of subjects, and in the shadow for the rest. What
/// needs approval is in the shadow until approvals are there.
fn lifecycle(
    state: &mut State,
    tenant: &Tenant,
    workflow: &Name,
    subject: &EntityKey,
) -> Result<(Lifecycle, bool), StoreError> {
    let set_up = View::new(state, tenant).set_up()?;
    let Some(entry) = set_up.definitions.get(workflow) else { return Ok((Lifecycle::Off, true)) };
    let withholds = match entry.value.lifecycle {
        Lifecycle::On => false,
        Lifecycle::Canary => {
            let percent = i64::from(entry.value.canary_percent);
            !Share::Canary.holds(percent, tenant, workflow, subject)
        }
        Lifecycle::Off | Lifecycle::Observe | Lifecycle::Shadow | Lifecycle::Approve => true,
    };
    Ok((entry.value.lifecycle, withholds))
}

fn empty_choice(workflow: &dyn Workflow, instance: InstanceId, subject: EntityKey) -> Choice {
    let (policy, policy_version) = workflow.policy();
    Choice {
        workflow: workflow.name(),
        definition: workflow.definition(),
        instance,
        subject,
        lifecycle: Lifecycle::Off,
        withholds: true,
        facts_read: Vec::new(),
        facts_read_more: 0,
        features: Vec::new(),
        alternatives: Vec::new(),
        chosen: None,
        seed: 0,
        policy,
        policy_version,
        holdout: false,
        explored: false,
        reasons: Vec::new(),
        missing: Vec::new(),
        transitions: Vec::new(),
    }
}

/// Asks a workflow, and adds what it answers to the decision.
fn ask(
    state: &mut State,
    stepping: &Stepping<'_>,
    decision: &mut Decision,
    asked: &Asked<'_>,
    cause: Cause<'_>,
) -> Result<(), StoreError> {
    let situation = Situation {
        tenant: &decision.tenant,
        decision: decision.id,
        fact: decision.fact,
        watermark: stepping.watermark,
        lifecycle: asked.lifecycle,
        withholds: asked.withholds,
        missing: &asked.missing,
    };
    let considered = catch_unwind(AssertUnwindSafe(|| {
        let mut view = View::new(state, situation.tenant);
        view.note_cause(asked.instance.trigger);
        if matches!(cause, Cause::Outcome(_)) {
            view.note_cause(situation.fact);
        }
        let considered = asked.workflow.consider(cause, &asked.instance, &situation, &mut view)?;
        Ok::<_, StoreError>((considered, view.facts_read()))
    }));
    match considered {
        Ok(answer) => {
            let (considered, facts_read) = answer?;
            if !considered.transitions.is_empty() {
                decision.choices.push(choice(asked, considered, facts_read));
            }
        }
        Err(panic) => {
            let at = match cause {
                Cause::Wakeup(wakeup) => ParkedAt::Wakeup(wakeup.id),
                Cause::Trigger(_) => ParkedAt::Trigger(decision.fact),
                Cause::Outcome(_) => ParkedAt::Outcome(decision.fact),
            };
            decision.parked.push(parked_instance(stepping, &asked.instance, at, reason_of(panic.as_ref())));
        }
    }
    Ok(())
}

fn choice(asked: &Asked<'_>, considered: Considered, (facts_read, facts_read_more): (Vec<FactId>, u32)) -> Choice {
    let mut missing = asked.missing.clone();
    missing.extend(considered.missing);
    Choice {
        lifecycle: asked.lifecycle,
        withholds: asked.withholds,
        facts_read,
        facts_read_more,
        features: considered.features,
        alternatives: considered.alternatives,
        chosen: considered.chosen,
        holdout: considered.holdout,
        reasons: considered.reasons,
        missing,
        transitions: considered.transitions,
        ..empty_choice(asked.workflow, asked.instance.id, asked.instance.subject.clone())
    }
}

/// A parked instance goes on where it failed.
fn unpark(
    state: &mut State,
    stepping: &Stepping<'_>,
    decision: &mut Decision,
    id: InstanceId,
) -> Result<(), StoreError> {
    let Some(instance) = View::new(state, &decision.tenant).instance(id)? else { return Ok(()) };
    let Some(wakeup) = instance.parked.clone() else { return Ok(()) };
    let Some(asked) = running(state, stepping.rules, &decision.tenant, instance)? else { return Ok(()) };
    let Wakeup { id, name, due, lateness_ms, awaits_sources, round, .. } = wakeup;
    let considered = Considered {
        reasons: vec![Name::fixed("unparked")],
        transitions: vec![Transition::WakeupSet { wakeup: id, name, due, lateness_ms, awaits_sources, round }],
        ..Considered::default()
    };
    decision.choices.push(choice(&asked, considered, (Vec::new(), 0)));
    Ok(())
}

/// Steps 1 and on: fires one wakeup of an instance. Always writes a decision, so
/// that recovery never fires anything.
pub(crate) fn fire(
    state: &mut State,
    stepping: &Stepping<'_>,
    fact: FactId,
    instance: Arc<InstanceLeaf>,
    wakeup: &Wakeup,
    missing: Vec<Name>,
) -> Result<Option<Decision>, StoreError> {
    let attempt = |state: &mut State| decide_on_wakeup(state, stepping, fact, &instance, wakeup, missing).map(Some);
    take(state, stepping, attempt, |panic| {
        let mut decision = on_wakeup(stepping, fact, &instance, wakeup);
        let at = ParkedAt::Wakeup(wakeup.id);
        decision.parked.push(parked_instance(stepping, &instance, at, reason_of(panic)));
        decision
    })
}

fn on_wakeup(stepping: &Stepping<'_>, fact: FactId, instance: &InstanceLeaf, wakeup: &Wakeup) -> Decision {
    let id = DecisionId::of_wakeup(stepping.watermark, &instance.tenant, wakeup.id);
    Decision { wakeup: Some(wakeup.id), ..empty_decision(stepping, &instance.tenant, fact, id) }
}

fn parked_instance(stepping: &Stepping<'_>, instance: &InstanceLeaf, at: ParkedAt, reason: &str) -> Parked {
    Parked::Instance(InstanceParked {
        instance: instance.id,
        at,
        build: stepping.build.clone(),
        reason: reason.into(),
        workflow: instance.workflow.clone(),
        subject: instance.subject.clone(),
    })
}

fn decide_on_wakeup(
    state: &mut State,
    stepping: &Stepping<'_>,
    fact: FactId,
    instance: &Arc<InstanceLeaf>,
    wakeup: &Wakeup,
    missing: Vec<Name>,
) -> Result<Decision, StoreError> {
    let mut decision = on_wakeup(stepping, fact, instance, wakeup);
    let asked = running(state, stepping.rules, &instance.tenant, instance.clone())?;
    match asked {
        Some(asked) => {
            let asked = Asked { missing, ..asked };
            ask(state, stepping, &mut decision, &asked, Cause::Wakeup(wakeup))?;
        }
        None => {
            let reason = format!("this build has no workflow named {}", instance.workflow);
            decision.parked.push(parked_instance(stepping, instance, ParkedAt::Wakeup(wakeup.id), &reason));
        }
    }
    for choice in &decision.choices {
        let is_settled = choice.transitions.iter().any(|transition| match transition {
            Transition::WakeupSet { name, .. } => *name == wakeup.name,
            Transition::WakeupCleared { wakeup: cleared, .. } => *cleared == wakeup.id,
            Transition::InstanceEnded { .. } => true,
            Transition::InstanceStarted { .. }
            | Transition::StepEntered { .. }
            | Transition::VariableSet { .. }
            | Transition::SlotReserved { .. }
            | Transition::SlotReleased { .. }
            | Transition::CommandIssued { .. }
            | Transition::Withheld { .. }
            | Transition::Suppressed { .. }
            | Transition::Deferred { .. }
            | Transition::HeldOut { .. }
            | Transition::Derived { .. }
            | Transition::OutcomeMissing { .. } => false,
        });
        assert!(is_settled, "expected the decision on wakeup {} to set, clear or end it", wakeup.id);
    }
    assert!(!decision.choices.is_empty() || !decision.parked.is_empty(), "expected a decision on wakeup {}", wakeup.id);
    Ok(decision)
}
