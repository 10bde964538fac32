//! Cart recovery: a cart that lies quiet for a while is met with one message,
//! unless anybody linked to it has ordered, or waits for an answer of support.
//!
//! An instance runs for one cart (or for a checkout that names no cart). Edits
//! never touch it: they move the cart's `quiet_since`, and the wakeup looks again.

use tradewind_domain::{
    Alternative, Arrival, Body, Capability, CartAbandoned, Change, Command, CommandBody, CommandClass, CommandId,
    ConnectionName, DefinitionHash, EntityKey, EntityKind, Fact, FactId, FactIdentity, Lifecycle, MessageLine,
    MessageSend, Money, Name, Outcome, Scope, Sealed, Share, Timestamp, Transition, Vendor, WakeupId, derive,
};
use tradewind_ports::StoreError;

use crate::leaf::{CheckoutFigures, ConnectionState, IdentifierFigures, InstanceLeaf, LineFigure, TenantLeaf, Wakeup};
use crate::view::{CustomerView, View};
use crate::workflow::{Cause, Considered, Situation, Workflow};

mod rule;

pub use rule::Rule;

pub const WORKFLOW: &str = "cart-recovery";

/// Settings, each a number a tenant may set, and what it is where it is not set.
pub const QUIET_MINUTES: (&str, i64) = ("cart-recovery.quiet_minutes", 120);
pub const LATENESS_MINUTES: (&str, i64) = ("cart-recovery.lateness_minutes", 5);
/// From the last edit on; past it nothing is sent any more.
pub const EXPIRE_HOURS: (&str, i64) = ("cart-recovery.expire_hours", 72);
pub const COMMAND_DEADLINE_HOURS: (&str, i64) = ("cart-recovery.command_deadline_hours", 24);
pub const HOLDOUT_PERCENT: (&str, i64) = ("cart-recovery.holdout_percent", 0);
/// Promotional messages to one customer, over all workflows.
pub const CAP_PER_DAY: (&str, i64) = ("cap.promotional.per_day", 1);
pub const CAP_PER_WEEK: (&str, i64) = ("cap.promotional.per_week", 3);

/// The cap whose places promotional messages take.
pub const CAP: &str = "promotional";

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// A live fact older than this by its vendor's time starts nothing.
const MAX_AGE_MS: i64 = 7 * DAY_MS;

/// How long commands stay stopped before they are looked at again.
const STOPPED_RETRY_MS: i64 = HOUR_MS;

/// A fact of the customer is parked: how long to wait for it, and how often.
const PARKED_RETRY_MS: i64 = 30 * MINUTE_MS;
const PARKED_RETRIES: u32 = 8;

/// After a command's deadline, its outcome is missed.
const OUTCOME_GRACE_MS: i64 = HOUR_MS;

const ARM: &str = "remind";
const STEP_QUIET: &str = "quiet";
const STEP_REMIND: &str = "remind";
const WAKEUP_QUIET: &str = "quiet";
const WAKEUP_OUTCOME: &str = "outcome";
const CHANNEL: &str = "email";
const TEMPLATE: &str = "Cart Abandoned";

#[derive(Clone, Copy, Debug)]
pub struct CartRecovery;

impl Workflow for CartRecovery {
    fn name(&self) -> Name {
        Name::fixed(WORKFLOW)
    }

    /// It has no text; its name and version stand for it.
    fn definition(&self) -> DefinitionHash {
        DefinitionHash(derive("builtin", &[WORKFLOW.as_bytes(), &1_u32.to_be_bytes()]))
    }

    fn policy(&self) -> (Name, u32) {
        (Name::fixed("always-remind"), 1)
    }

    fn subject(&self, fact: &Fact, arrival: Arrival) -> Option<EntityKey> {
        if arrival == Arrival::Backfill {
            return None;
        }
        if let Body::CartUpdated(cart) = &fact.body {
            return (!cart.lines.is_empty()).then(|| cart.cart.clone());
        }
        let Body::CheckoutUpdated(checkout) = &fact.body else { return None };
        let cart = checkout.names.iter().find(|name| name.kind() == EntityKind::Cart);
        checkout.completed_at.is_none().then(|| cart.unwrap_or(&checkout.checkout).clone())
    }

    fn consider(
        &self,
        cause: Cause<'_>,
        instance: &InstanceLeaf,
        situation: &Situation<'_>,
        view: &mut View<'_>,
    ) -> Result<Considered, StoreError> {
        match cause {
            Cause::Trigger(fact) => start(fact, instance, situation, view),
            Cause::Wakeup(wakeup) if wakeup.name.as_str() == WAKEUP_OUTCOME => Ok(miss_outcome(instance, wakeup)),
            Cause::Wakeup(wakeup) => look_again(instance, wakeup, situation, view),
            Cause::Outcome(outcome) => settle(outcome, instance, view),
        }
    }
}

/// The cart as the workflow sees it: the cart's own leaf, or the checkout's
/// where no cart is known, with the last time anything of it was edited.
struct Subject {
    quiet_since: Timestamp,
    created_at: Timestamp,
    lines: Vec<LineFigure>,
    line_count: u32,
    total: Option<Money>,
    /// The version that fell quiet.
    fact: FactId,
    recovery_url: Option<Sealed>,
}

impl Subject {
    /// `None` while nothing is known of the cart but that others name it.
    fn of(entity: &EntityKey, customer: &CustomerView, checkouts: &[&CheckoutFigures]) -> Option<Subject> {
        let recovery_url = checkouts
            .iter()
            .filter(|checkout| checkout.deleted.is_none())
            .filter_map(|checkout| checkout.content.as_ref())
            .max_by_key(|content| content.version)
            .and_then(|content| content.value.recovery_url.clone());
        let edited_at = checkouts.iter().filter_map(|checkout| checkout.quiet_since).max();
        match customer.cart(entity) {
            Some(cart) => Some(Subject {
                quiet_since: edited_at.map_or(cart.quiet_since, |edited_at| edited_at.max(cart.quiet_since)),
                created_at: cart.created_at,
                lines: cart.lines.clone(),
                line_count: cart.line_count,
                total: cart.total,
                fact: cart.version.fact,
                recovery_url,
            }),
            None => {
                let newest = checkouts
                    .iter()
                    .filter_map(|checkout| checkout.content.as_ref())
                    .max_by_key(|content| content.version)?;
                Some(Subject {
                    quiet_since: edited_at?,
                    created_at: newest.value.created_at,
                    lines: newest.value.lines.clone(),
                    line_count: newest.value.line_count,
                    total: newest.value.total,
                    fact: newest.version.fact,
                    recovery_url,
                })
            }
        }
    }
}

fn setting(set_up: &TenantLeaf, setting: (&str, i64)) -> i64 {
    set_up.setting(setting.0, setting.1).max(0)
}

fn start(
    fact: &Fact,
    instance: &InstanceLeaf,
    situation: &Situation<'_>,
    view: &mut View<'_>,
) -> Result<Considered, StoreError> {
    let mut considered = Considered::default();
    if situation.watermark.since(fact.occurred_at) > MAX_AGE_MS {
        return Ok(considered);
    }
    let set_up = view.set_up()?;
    if situation.lifecycle == Lifecycle::Observe {
        considered.reasons.push(Name::fixed("observed"));
        considered.transitions =
            vec![Transition::Suppressed { capability: Capability::MessageSend, rule: Rule::Observe.name() }];
        return Ok(considered);
    }
    let met = view.process(&instance.subject)?.met.contains(WORKFLOW);
    let is_held_out = if met {
        view.is_held_out(&instance.subject, WORKFLOW)?
    } else {
        // By the entity that first met the workflow, so it stays whatever is linked to it later.
        let percent = setting(&set_up, HOLDOUT_PERCENT);
        Share::Holdout.holds(percent, situation.tenant, &instance.workflow, &instance.subject)
    };
    considered.holdout = is_held_out;
    considered.transitions.push(Transition::InstanceStarted { trigger: situation.fact });
    if is_held_out && !met {
        considered.transitions.push(Transition::HeldOut { entity: instance.subject.clone() });
    }
    considered.transitions.push(Transition::StepEntered { step: Name::fixed(STEP_QUIET), iteration: 1 });
    let due = situation.watermark + setting(&set_up, QUIET_MINUTES) * MINUTE_MS;
    considered.transitions.push(quiet_wakeup(instance, &set_up, due, 0));
    Ok(considered)
}

fn quiet_wakeup(instance: &InstanceLeaf, set_up: &TenantLeaf, due: Timestamp, round: u32) -> Transition {
    let name = Name::fixed(WAKEUP_QUIET);
    Transition::WakeupSet {
        wakeup: WakeupId::derive(instance.id, &name, due, round),
        name,
        due,
        lateness_ms: setting(set_up, LATENESS_MINUTES) * MINUTE_MS,
        awaits_sources: true,
        round,
    }
}

fn cleared(wakeup: &Wakeup) -> Transition {
    Transition::WakeupCleared { wakeup: wakeup.id, name: wakeup.name.clone() }
}

/// The quiet time is over, by the clock of when it was set: is the cart quiet?
fn look_again(
    instance: &InstanceLeaf,
    wakeup: &Wakeup,
    situation: &Situation<'_>,
    view: &mut View<'_>,
) -> Result<Considered, StoreError> {
    let set_up = view.set_up()?;
    let customer = view.customer(&instance.subject)?;
    let checkout_keys = own_checkouts(&instance.subject, view)?;
    let checkouts: Vec<&CheckoutFigures> =
        checkout_keys.iter().filter_map(|checkout| customer.checkout(checkout)).collect();
    let mut considered = Considered::default();
    if customer.has_parked() {
        if wakeup.round < PARKED_RETRIES {
            considered.reasons.push(Name::fixed("parked_fact"));
            let due = situation.watermark + PARKED_RETRY_MS;
            considered.transitions.push(quiet_wakeup(instance, &set_up, due, wakeup.round + 1));
            return Ok(considered);
        }
        considered.missing.push(Name::fixed("parked_fact"));
    }
    let Some(subject) = Subject::of(&instance.subject, &customer, &checkouts) else {
        considered.transitions.push(cleared(wakeup));
        return Ok(ended(considered, "nothing known"));
    };
    describe(&mut considered, &subject, &customer, situation);

    let quiet_until = subject.quiet_since + setting(&set_up, QUIET_MINUTES) * MINUTE_MS;
    if quiet_until > situation.watermark {
        considered.reasons.push(Name::fixed("edited"));
        considered.transitions.push(quiet_wakeup(instance, &set_up, quiet_until, 0));
        return Ok(considered);
    }
    considered.transitions.push(cleared(wakeup));
    if subject.lines.is_empty() {
        return Ok(ended(considered, "emptied"));
    }
    if has_ordered(&instance.subject, &checkout_keys, &subject, &customer, view)?
        || checkouts.iter().any(|checkout| is_completed(checkout))
    {
        return Ok(suppressed(considered, Rule::Ordered));
    }
    considered.transitions.push(abandoned(situation, &instance.subject, &subject));
    let expires_at = subject.quiet_since + setting(&set_up, EXPIRE_HOURS) * HOUR_MS;
    if situation.watermark > expires_at {
        return Ok(suppressed(considered, Rule::Expired));
    }
    match situation.lifecycle {
        // It was running when it was switched back.
        Lifecycle::Off => return Ok(suppressed(considered, Rule::Off)),
        Lifecycle::Observe => return Ok(suppressed(considered, Rule::Observe)),
        Lifecycle::Shadow | Lifecycle::Canary | Lifecycle::Approve | Lifecycle::On => {}
    }
    if customer.is_held_out(WORKFLOW) {
        considered.holdout = true;
        return Ok(suppressed(considered, Rule::Holdout));
    }
    if customer.has_open_ticket() {
        return Ok(suppressed(considered, Rule::OpenTicket));
    }
    let Some((connection_name, connection)) = binding(&set_up) else {
        return Ok(suppressed(considered, Rule::NoBinding));
    };
    let Some((email, contact)) = customer.email() else {
        return Ok(suppressed(considered, Rule::NoContact));
    };
    let is_stopped = set_up.is_stopped(&[
        Scope::Workflow(Name::fixed(WORKFLOW)),
        Scope::Capability(Name::fixed(Capability::MessageSend.as_str())),
        Scope::Connection(connection_name.clone()),
    ]);
    let wait = if is_stopped {
        Some((Rule::Stopped, situation.watermark + STOPPED_RETRY_MS))
    } else {
        cap_opens_at(&customer, &set_up, situation.watermark).map(|until| (Rule::Cap, until))
    };
    match wait {
        Some((rule, until)) if until > expires_at => Ok(suppressed(considered, rule)),
        Some((rule, until)) => Ok(deferred(considered, instance, &set_up, rule, until)),
        None => {
            let connection = (connection_name, connection);
            Ok(remind(considered, instance, situation, &set_up, &subject, connection, (email, contact)))
        }
    }
}

/// The checkouts of this very cart: the subject itself, or those linked to it directly.
fn own_checkouts(subject: &EntityKey, view: &mut View<'_>) -> Result<Vec<EntityKey>, StoreError> {
    if subject.kind() == EntityKind::Checkout {
        return Ok(vec![subject.clone()]);
    }
    let leaf = view.entity(subject)?;
    let linked = leaf.iter().flat_map(|leaf| leaf.edges.iter()).map(|(key, _)| key);
    Ok(linked.filter(|key| key.kind() == EntityKind::Checkout).cloned().collect())
}

fn is_completed(checkout: &CheckoutFigures) -> bool {
    checkout.content.as_ref().is_some_and(|content| content.value.completed_at.is_some())
}

/// Anybody linked to the cart has ordered since it was made, or an order names
/// this very cart or a checkout of it, whenever that was. A cancelled order
/// counts: whoever cancelled is not nagged.
fn has_ordered(
    entity: &EntityKey,
    checkouts: &[EntityKey],
    subject: &Subject,
    customer: &CustomerView,
    view: &mut View<'_>,
) -> Result<bool, StoreError> {
    let by_customer = customer.orders().any(|(_, order)| {
        [order.placed, order.cancelled].into_iter().flatten().any(|version| version.occurred_at >= subject.created_at)
    });
    if by_customer {
        return Ok(true);
    }
    for key in checkouts.iter().chain([entity]) {
        let leaf = view.entity(key)?;
        if leaf.is_some_and(|leaf| leaf.edges.iter().any(|(linked, _)| linked.kind() == EntityKind::Order)) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn describe(considered: &mut Considered, subject: &Subject, customer: &CustomerView, situation: &Situation<'_>) {
    let count = |number: usize| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    considered.feature("cart_lines", f64::from(subject.line_count));
    if let Some(total) = subject.total {
        // A feature is for learning and people; the exact amount is in the cart.
        #[expect(clippy::cast_precision_loss, reason = "an amount beyond 2^53 minor units is no cart")]
        considered.feature("cart_total_minor", total.minor as f64);
    }
    #[expect(clippy::cast_precision_loss, reason = "a span of milliseconds is far below 2^53")]
    considered.feature("quiet_ms", situation.watermark.since(subject.quiet_since) as f64);
    considered.feature("orders", count(customer.orders().count()));
    considered.feature("tickets_open", f64::from(u8::from(customer.has_open_ticket())));
    considered.feature("promotional_slots", count(customer.slots(&Name::fixed(CAP)).len()));
    if customer.truncated {
        considered.feature("customer_truncated", 1.0);
    }
}

fn arm(rule: Option<Rule>) -> Alternative {
    let propensity = if rule.is_none() { 1.0 } else { 0.0 };
    Alternative { arm: Name::fixed(ARM), rule: rule.map(Rule::name), propensity }
}

fn ended(mut considered: Considered, reason: &'static str) -> Considered {
    considered.reasons.push(Name::fixed(reason));
    considered.transitions.push(Transition::InstanceEnded { reason: Name::fixed(reason) });
    considered
}

fn suppressed(mut considered: Considered, rule: Rule) -> Considered {
    considered.alternatives.push(arm(Some(rule)));
    considered.transitions.push(Transition::Suppressed { capability: Capability::MessageSend, rule: rule.name() });
    ended(considered, rule.as_str())
}

fn deferred(
    mut considered: Considered,
    instance: &InstanceLeaf,
    set_up: &TenantLeaf,
    rule: Rule,
    until: Timestamp,
) -> Considered {
    considered.alternatives.push(arm(Some(rule)));
    considered.reasons.push(rule.name());
    considered.transitions.push(Transition::Deferred { capability: Capability::MessageSend, rule: rule.name(), until });
    considered.transitions.push(quiet_wakeup(instance, set_up, until, 0));
    considered
}

/// What we concluded, as a fact: no vendor's word, so it means the same for every store.
fn abandoned(situation: &Situation<'_>, entity: &EntityKey, subject: &Subject) -> Transition {
    let body = Body::CartAbandoned(CartAbandoned {
        cart: entity.clone(),
        quiet_since: subject.quiet_since,
        cart_fact: subject.fact,
    });
    let id = FactId::derive(&FactIdentity {
        tenant: situation.tenant.as_str(),
        vendor: Vendor::ourselves().as_str(),
        account: "",
        kind: body.kind(),
        object: entity.as_bytes(),
        version: subject.fact.as_bytes(),
        item: b"",
    });
    Transition::Derived { id, fact: Fact { occurred_at: situation.watermark, body } }
}

/// The connection that sends e-mail for the tenant.
fn binding(set_up: &TenantLeaf) -> Option<(&ConnectionName, &ConnectionState)> {
    let scope = (Name::fixed(Capability::MessageSend.as_str()), Name::fixed(CHANNEL));
    let connection = set_up.bindings.get(&scope)?.value.as_ref()?;
    set_up.connections.get_key_value(connection).filter(|(_, state)| state.active)
}

/// When a place of the cap is free again; `None` if one is free now.
fn cap_opens_at(customer: &CustomerView, set_up: &TenantLeaf, now: Timestamp) -> Option<Timestamp> {
    let slots: Vec<Timestamp> = customer.slots(&Name::fixed(CAP)).into_values().collect();
    let opens = |limit: i64, window_ms: i64| -> Option<Timestamp> {
        let mut taken: Vec<Timestamp> = slots.iter().copied().filter(|at| *at + window_ms > now).collect();
        taken.sort_unstable();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        if limit == 0 {
            return Some(Timestamp::MAX);
        }
        let first_that_must_go = taken.len().checked_sub(limit)?;
        Some(taken[first_that_must_go] + window_ms)
    };
    opens(setting(set_up, CAP_PER_DAY), DAY_MS).max(opens(setting(set_up, CAP_PER_WEEK), 7 * DAY_MS))
}

fn remind(
    mut considered: Considered,
    instance: &InstanceLeaf,
    situation: &Situation<'_>,
    set_up: &TenantLeaf,
    subject: &Subject,
    (connection_name, connection): (&ConnectionName, &ConnectionState),
    (email, contact): (&EntityKey, &IdentifierFigures),
) -> Considered {
    let step = Name::fixed(STEP_REMIND);
    let iteration = instance.iterations.get(&step).copied().unwrap_or(0) + 1;
    let id = CommandId::derive(situation.watermark, situation.tenant, instance.id, &step, iteration, 0);
    let deadline = situation.watermark + setting(set_up, COMMAND_DEADLINE_HOURS) * HOUR_MS;
    let line = |line: &LineFigure| MessageLine {
        sku: line.sku.clone(),
        title: line.title.clone(),
        quantity: line.quantity,
        unit_price: line.unit_price,
    };
    let command = Command {
        id,
        tenant: situation.tenant.clone(),
        connection: connection_name.clone(),
        vendor: connection.vendor.clone(),
        account: connection.account.clone(),
        target: email.clone(),
        change: Change::Relative,
        class: CommandClass::Promotional,
        issued_at: situation.watermark,
        not_before: situation.watermark,
        deadline,
        workflow: Name::fixed(WORKFLOW),
        instance: instance.id,
        decision: situation.decision,
        causes: vec![subject.fact, instance.trigger],
        approval: None,
        compensates: None,
        contact: contact.contact.as_ref().map(|contact| contact.value.clone()),
        body: CommandBody::MessageSend(MessageSend {
            channel: Name::fixed(CHANNEL),
            template: Name::fixed(TEMPLATE),
            cart: Some(instance.subject.clone()),
            lines: subject.lines.iter().map(line).collect(),
            total: subject.total,
            recovery_url: subject.recovery_url.clone(),
            first_name: contact.first_name.as_ref().map(|name| name.value.clone()),
        }),
    };
    considered.alternatives.push(arm(None));
    considered.chosen = Some(Name::fixed(ARM));
    if situation.withholds {
        let rule = situation.lifecycle.as_str();
        considered.transitions.push(Transition::Withheld { command, rule: Name::fixed(rule) });
        return ended(considered, rule);
    }
    let outcome_due = deadline + OUTCOME_GRACE_MS;
    let outcome = Name::fixed(WAKEUP_OUTCOME);
    considered.transitions.extend([
        Transition::StepEntered { step, iteration },
        Transition::SlotReserved { cap: Name::fixed(CAP), entity: email.clone(), command: id, at: situation.watermark },
        Transition::CommandIssued { command },
        Transition::WakeupSet {
            wakeup: WakeupId::derive(instance.id, &outcome, outcome_due, 0),
            name: outcome,
            due: outcome_due,
            lateness_ms: 0,
            awaits_sources: false,
            round: 0,
        },
    ]);
    considered
}

/// The command has its final outcome, so the instance is over.
fn settle(outcome: &Outcome, instance: &InstanceLeaf, view: &mut View<'_>) -> Result<Considered, StoreError> {
    let mut considered = Considered::default();
    considered.transitions.extend(instance.wakeups.iter().map(cleared));
    if outcome.is_without_effect()
        && let Some(command) = view.command(outcome.command)?
    {
        considered.transitions.push(Transition::SlotReleased {
            cap: Name::fixed(CAP),
            entity: command.target.clone(),
            command: outcome.command,
        });
    }
    Ok(ended(considered, outcome.state.as_str()))
}

/// No outcome came: its place in the cap stays taken, since it may have reached
/// somebody.
fn miss_outcome(instance: &InstanceLeaf, wakeup: &Wakeup) -> Considered {
    let mut considered = Considered::default();
    considered.transitions.push(cleared(wakeup));
    considered
        .transitions
        .extend(instance.commands.iter().map(|command| Transition::OutcomeMissing { command: *command }));
    ended(considered, "outcome_missing")
}
