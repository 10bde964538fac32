//! The workflow: a cart that lies quiet is met with one message, unless a rule
//! speaks against it.

use std::collections::{BTreeMap, BTreeSet};

use tradewind_domain::{
    Alternative, Arrival, Body, Capability, CartAbandoned, Change, CheckoutUpdated, Choice, Command, CommandBody,
    CommandClass, CommandId, ConnectionChanged, DecisionId, DefinitionHash, EntityKey, EntityKind, Fact, FactId,
    FactIdentity, Feature, InstanceId, Lifecycle, Line, MessageLine, MessageSend, Money, Name, Outcome, Sealed, Tenant,
    Timestamp, Transition, WakeupId, derive,
};

use super::facts::{Record, Version};
use super::objects::{self, Newest};
use super::process::{self, Instance, Wakeup};
use super::{World, customer, setup};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

const WORKFLOW: &str = "cart-recovery";
const WORKFLOW_VERSION: u32 = 1;
const POLICY: &str = "always-remind";
const ARM: &str = "remind";
const CAP: &str = "promotional";
const CHANNEL: &str = "email";
const TEMPLATE: &str = "Cart Abandoned";
const QUIET: &str = "quiet";
const OUTCOME: &str = "outcome";

/// Older news, by the vendor's clock, starts nothing.
const MAX_AGE_MS: i64 = 7 * DAY_MS;
/// How soon stopped commands are looked at again.
const STOPPED_RETRY_MS: i64 = HOUR_MS;
/// How long after its deadline a command's outcome is missed.
const OUTCOME_GRACE_MS: i64 = HOUR_MS;
/// A message shows so many lines of a cart.
const LINES_MAX: usize = 20;

/// What the tenant's settings say, each with what it is where it is not set.
#[derive(Clone, Copy, Debug)]
struct Settings {
    quiet_ms: i64,
    lateness_ms: i64,
    expire_ms: i64,
    deadline_ms: i64,
    holdout_percent: i64,
    /// Messages, and in how long.
    caps: [(usize, i64); 2],
}

impl Settings {
    fn of(records: &[&Record]) -> Settings {
        let setting = |name, default| setup::setting(records, name, default);
        let span = |name, default, unit_ms: i64| setting(name, default).saturating_mul(unit_ms);
        let count = |name, default| usize::try_from(setting(name, default)).expect("it is not negative");
        Settings {
            quiet_ms: span("cart-recovery.quiet_minutes", 120, MINUTE_MS),
            lateness_ms: span("cart-recovery.lateness_minutes", 5, MINUTE_MS),
            expire_ms: span("cart-recovery.expire_hours", 72, HOUR_MS),
            deadline_ms: span("cart-recovery.command_deadline_hours", 24, HOUR_MS),
            holdout_percent: setting("cart-recovery.holdout_percent", 0),
            caps: [(count("cap.promotional.per_day", 1), DAY_MS), (count("cap.promotional.per_week", 3), 7 * DAY_MS)],
        }
    }
}

/// What a cart, or the checkouts that stand for it, last said.
#[derive(Clone, Copy, Debug)]
struct Contents<'a> {
    version: Version,
    quiet_since: Timestamp,
    created_at: Timestamp,
    lines: &'a [Line],
    total: Option<Money>,
    /// Back to the newest checkout that is still there.
    recovery_url: Option<&'a Sealed>,
}

/// How the customer is reached.
struct Route<'a> {
    connection: &'a ConnectionChanged,
    email: &'a EntityKey,
    contact: &'a Sealed,
}

/// What the record just folded leads to by itself.
pub(super) fn on_fact(world: World<'_>) -> Option<Choice> {
    let (last, earlier) = world.records.split_last().expect("a record was just folded");
    if let Body::Outcome(outcome) = last.body() {
        on_outcome(world, outcome)
    } else {
        start(world, last, triggered(earlier, last)?)
    }
}

/// The subject of an instance that the record may start.
fn triggered<'a>(earlier: &[&Record], last: &'a Record) -> Option<&'a EntityKey> {
    if last.envelope.arrival == Arrival::Backfill {
        return None;
    }
    let is_news = |before: Option<Version>| before.is_none_or(|before| last.version() > before);
    if let Body::CartUpdated(cart) = last.body() {
        let before = objects::cart(earlier, &cart.cart).map(|newest| newest.version);
        (is_news(before) && !cart.lines.is_empty()).then_some(&cart.cart)
    } else if let Body::CheckoutUpdated(checkout) = last.body() {
        let before = objects::checkout(earlier, &checkout.checkout).map(|newest| newest.version);
        let cart = checkout.names.iter().find(|name| name.kind() == EntityKind::Cart);
        (is_news(before) && checkout.completed_at.is_none()).then_some(cart.unwrap_or(&checkout.checkout))
    } else {
        None
    }
}

fn start(world: World<'_>, trigger: &Record, subject: &EntityKey) -> Option<Choice> {
    let World { tenant, records, decisions, watermark } = world;
    let workflow = Name::fixed(WORKFLOW);
    let (lifecycle, fact) = (lifecycle(world), trigger.envelope.id);
    if lifecycle == Lifecycle::Off
        || watermark.since(trigger.envelope.fact.occurred_at) > MAX_AGE_MS
        || process::is_running(decisions, tenant, &workflow, subject)
    {
        return None;
    }
    let instance = InstanceId::derive(watermark, tenant, &workflow, subject, fact);
    let mut choice = choice(world, instance, subject);
    if lifecycle == Lifecycle::Observe {
        choice.reasons.push(Name::fixed("observed"));
        choice
            .transitions
            .push(Transition::Suppressed { capability: Capability::MessageSend, rule: Name::fixed("observe") });
        return Some(choice);
    }
    let settings = Settings::of(records);
    let has_met = process::has_met(decisions, tenant, &workflow, subject);
    choice.holdout = if has_met {
        process::is_held_out(decisions, tenant, &workflow, subject)
    } else {
        i64::from(drawn_percent("holdout", tenant, subject)) < settings.holdout_percent
    };
    choice.transitions.push(Transition::InstanceStarted { trigger: fact });
    if choice.holdout && !has_met {
        choice.transitions.push(Transition::HeldOut { entity: subject.clone() });
    }
    choice.transitions.push(Transition::StepEntered { step: Name::fixed(QUIET), iteration: 1 });
    choice.transitions.push(quiet_wakeup(instance, watermark + settings.quiet_ms, settings));
    Some(choice)
}

/// The first final outcome ends the instance, so a second one finds none running.
fn on_outcome(world: World<'_>, outcome: &Outcome) -> Option<Choice> {
    if !outcome.state.is_final() {
        return None;
    }
    let command = process::command(world.decisions, world.tenant, outcome.command)?;
    let instance = process::instance(world.decisions, command.instance)?;
    let mut choice = choice(world, command.instance, instance.subject);
    choice.transitions.extend(instance.wakeups.iter().map(cleared));
    if outcome.is_without_effect() {
        choice.transitions.push(Transition::SlotReleased {
            cap: Name::fixed(CAP),
            entity: command.target.clone(),
            command: command.id,
        });
    }
    end(&mut choice, outcome.state.as_str());
    Some(choice)
}

/// What a due wakeup leads to; nothing if an earlier step has cleared it.
pub(super) fn on_wakeup(world: World<'_>, wakeup: &Wakeup, missing: Vec<Name>) -> Option<Choice> {
    let instance = process::instance(world.decisions, wakeup.instance)?;
    if !instance.wakeups.iter().any(|set| set.id == wakeup.id) {
        return None;
    }
    let mut choice = Choice { missing, ..choice(world, wakeup.instance, instance.subject) };
    if wakeup.name.as_str() == OUTCOME {
        choice.transitions.push(cleared(wakeup));
        choice.transitions.extend(instance.commands.iter().map(|id| Transition::OutcomeMissing { command: *id }));
        end(&mut choice, "outcome_missing");
    } else {
        look_again(world, &instance, wakeup, &mut choice);
    }
    Some(choice)
}

/// The cart has been quiet, as far as the wakeup knew.
fn look_again(world: World<'_>, instance: &Instance<'_>, wakeup: &Wakeup, choice: &mut Choice) {
    let World { records, watermark, .. } = world;
    let (subject, settings) = (instance.subject, Settings::of(records));
    let checkouts = own_checkouts(records, subject);
    let Some(contents) = contents(records, subject, &checkouts) else {
        choice.transitions.push(cleared(wakeup));
        return end(choice, "nothing known");
    };
    let customer = customer::reached(records, subject);
    choice.features = features(world, &contents, &customer);

    let quiet_until = contents.quiet_since + settings.quiet_ms;
    if quiet_until > watermark {
        choice.reasons.push(Name::fixed("edited"));
        choice.transitions.push(quiet_wakeup(wakeup.instance, quiet_until, settings));
        return;
    }
    choice.transitions.push(cleared(wakeup));
    if contents.lines.is_empty() {
        return end(choice, "emptied");
    }
    if is_ordered(records, subject, &checkouts, &customer, contents.created_at) {
        return suppress(choice, "ordered");
    }
    choice.transitions.push(abandoned(world, subject, &contents));
    let expires_at = contents.quiet_since + settings.expire_ms;
    let route = match route(world, &customer, expires_at) {
        Ok(route) => route,
        Err(rule) => {
            choice.holdout = rule == "holdout";
            return suppress(choice, rule);
        }
    };
    match wait(world, &customer, route.connection, settings) {
        Some((rule, until)) if until > expires_at => suppress(choice, rule),
        Some((rule, until)) => {
            choice.alternatives.push(ineligible(rule));
            choice.reasons.push(Name::fixed(rule));
            choice.transitions.push(Transition::Deferred {
                capability: Capability::MessageSend,
                rule: Name::fixed(rule),
                until,
            });
            choice.transitions.push(quiet_wakeup(wakeup.instance, until, settings));
        }
        None => remind(world, instance, wakeup, &contents, &route, choice),
    }
}

/// The checkout itself, or those with a link to the cart.
fn own_checkouts<'a>(records: &[&'a Record], subject: &'a EntityKey) -> BTreeSet<&'a EntityKey> {
    if subject.kind() == EntityKind::Checkout {
        BTreeSet::from([subject])
    } else {
        customer::linked(records, subject, EntityKind::Checkout)
    }
}

/// The content of each of the checkouts that has any, the newest last.
fn contents_of<'a>(
    records: &[&'a Record],
    checkouts: impl Iterator<Item = &'a EntityKey>,
) -> Vec<Newest<'a, CheckoutUpdated>> {
    let mut contents: Vec<_> = checkouts.filter_map(|checkout| objects::checkout(records, checkout)).collect();
    contents.sort_by_key(|checkout| checkout.version);
    contents
}

fn contents<'a>(
    records: &[&'a Record],
    subject: &EntityKey,
    checkouts: &BTreeSet<&'a EntityKey>,
) -> Option<Contents<'a>> {
    let cart = objects::cart(records, subject);
    let open = checkouts.iter().copied().filter(|checkout| !objects::is_deleted(records, checkout));
    let recovery_url = contents_of(records, open).last().and_then(|newest| newest.content.recovery_url.as_ref());
    let checkouts = contents_of(records, checkouts.iter().copied());
    let quiet_since = checkouts
        .iter()
        .map(|checkout| checkout.quiet_since)
        .chain(cart.as_ref().map(|cart| cart.quiet_since))
        .max()?;
    let (version, created_at, lines, total) = if let Some(Newest { version, content, .. }) = cart {
        (version, content.created_at, &content.lines, content.total)
    } else {
        let Newest { version, content, .. } = checkouts.last()?;
        (*version, content.created_at, &content.lines, content.total)
    };
    Some(Contents { version, quiet_since, created_at, lines, total, recovery_url })
}

fn features(world: World<'_>, contents: &Contents<'_>, customer: &BTreeSet<&EntityKey>) -> Vec<Feature> {
    let orders = customer.iter().filter(|entity| entity.kind() == EntityKind::Order).count();
    let slots = process::slots(world.decisions, world.tenant, CAP, customer).len();
    let is_ticket_open = has_open_ticket(world.records, customer);
    let figures = [
        ("cart_lines", Some(contents.lines.len() as f64)),
        ("cart_total_minor", contents.total.map(|total| total.minor as f64)),
        ("quiet_ms", Some(world.watermark.since(contents.quiet_since) as f64)),
        ("orders", Some(orders as f64)),
        ("tickets_open", Some(if is_ticket_open { 1.0 } else { 0.0 })),
        ("promotional_slots", Some(slots as f64)),
    ];
    let known = figures.into_iter().filter_map(|(name, value)| Some((name, value?)));
    known.map(|(name, value)| Feature { name: Name::fixed(name), value }).collect()
}

fn is_ordered(
    records: &[&Record],
    subject: &EntityKey,
    checkouts: &BTreeSet<&EntityKey>,
    customer: &BTreeSet<&EntityKey>,
    created_at: Timestamp,
) -> bool {
    let has_order = |entity: &EntityKey| !customer::linked(records, entity, EntityKind::Order).is_empty();
    let is_completed = |checkout: &EntityKey| {
        objects::checkout(records, checkout).is_some_and(|newest| newest.content.completed_at.is_some())
    };
    let is_since = |order: &EntityKey| objects::order_times(records, order).iter().any(|at| *at >= created_at);
    has_order(subject)
        || checkouts.iter().any(|checkout| has_order(checkout) || is_completed(checkout))
        || customer.iter().any(|entity| entity.kind() == EntityKind::Order && is_since(entity))
}

fn has_open_ticket(records: &[&Record], customer: &BTreeSet<&EntityKey>) -> bool {
    customer.iter().any(|entity| entity.kind() == EntityKind::Ticket && objects::is_open(records, entity))
}

fn abandoned(world: World<'_>, subject: &EntityKey, contents: &Contents<'_>) -> Transition {
    let (_, cart_fact) = contents.version;
    let body =
        Body::CartAbandoned(CartAbandoned { cart: subject.clone(), quiet_since: contents.quiet_since, cart_fact });
    let id = FactId::derive(&FactIdentity {
        tenant: world.tenant.as_str(),
        vendor: "tradewind",
        account: "",
        kind: body.kind(),
        object: subject.as_bytes(),
        version: cart_fact.as_bytes(),
        item: b"",
    });
    Transition::Derived { id, fact: Fact { occurred_at: world.watermark, body } }
}

/// The rules that forbid a message for good come before the way to send one.
fn route<'a>(
    world: World<'a>,
    customer: &BTreeSet<&'a EntityKey>,
    expires_at: Timestamp,
) -> Result<Route<'a>, &'static str> {
    let World { tenant, records, decisions, watermark } = world;
    if watermark > expires_at {
        return Err("expired");
    }
    // A workflow that was taken back ends what still runs.
    match lifecycle(world) {
        Lifecycle::Off => return Err("off"),
        Lifecycle::Observe => return Err("observe"),
        Lifecycle::Shadow | Lifecycle::Canary | Lifecycle::Approve | Lifecycle::On => {}
    }
    let workflow = Name::fixed(WORKFLOW);
    if customer.iter().any(|entity| process::is_held_out(decisions, tenant, &workflow, entity)) {
        return Err("holdout");
    }
    if has_open_ticket(records, customer) {
        return Err("open_ticket");
    }
    let connection = setup::bound(records, Capability::MessageSend, CHANNEL).ok_or("no_binding")?;
    let emails = customer.iter().filter(|entity| entity.kind() == EntityKind::Email);
    let contacts = emails.filter_map(|email| {
        let (version, contact) = objects::contact(records, email)?;
        Some((version, *email, contact))
    });
    let (_, email, contact) = contacts.max_by_key(|(version, email, _)| (*version, *email)).ok_or("no_contact")?;
    Ok(Route { connection, email, contact })
}

/// What the message waits for, and until when.
fn wait(
    world: World<'_>,
    customer: &BTreeSet<&EntityKey>,
    connection: &ConnectionChanged,
    settings: Settings,
) -> Option<(&'static str, Timestamp)> {
    let scopes = [
        "all".to_owned(),
        format!("workflow/{WORKFLOW}"),
        format!("capability/{}", Capability::MessageSend.as_str()),
        format!("connection/{}", connection.connection),
    ];
    if scopes.iter().any(|scope| setup::is_stopped(world.records, scope)) {
        return Some(("stopped", world.watermark + STOPPED_RETRY_MS));
    }
    let slots = process::slots(world.decisions, world.tenant, CAP, customer);
    let opening = |(limit, window_ms)| cap_opens_at(&slots, limit, window_ms, world.watermark);
    settings.caps.into_iter().filter_map(opening).max().map(|until| ("cap", until))
}

/// `None` if there is a place now.
fn cap_opens_at(
    slots: &BTreeMap<CommandId, Timestamp>,
    limit: usize,
    window_ms: i64,
    now: Timestamp,
) -> Option<Timestamp> {
    if limit == 0 {
        return Some(Timestamp::MAX);
    }
    let mut taken: Vec<Timestamp> = slots.values().copied().filter(|at| *at + window_ms > now).collect();
    taken.sort();
    let over = taken.len().checked_sub(limit)?;
    Some(taken[over] + window_ms)
}

fn remind(
    world: World<'_>,
    instance: &Instance<'_>,
    wakeup: &Wakeup,
    contents: &Contents<'_>,
    route: &Route<'_>,
    choice: &mut Choice,
) {
    let World { tenant, records, watermark, .. } = world;
    let step = Name::fixed(ARM);
    let reminders = instance.steps.iter().filter(|entered| entered.as_str() == ARM).count();
    let iteration = u32::try_from(reminders).expect("a step is entered a few times") + 1;
    let id = CommandId::derive(watermark, tenant, wakeup.instance, &step, iteration, 0);
    let deadline = watermark + Settings::of(records).deadline_ms;
    let command = Command {
        id,
        tenant: tenant.clone(),
        connection: route.connection.connection.clone(),
        vendor: route.connection.vendor.clone(),
        account: route.connection.account.clone(),
        target: route.email.clone(),
        change: Change::Relative,
        class: CommandClass::Promotional,
        issued_at: watermark,
        not_before: watermark,
        deadline,
        workflow: Name::fixed(WORKFLOW),
        instance: wakeup.instance,
        decision: DecisionId::of_wakeup(watermark, tenant, wakeup.id),
        causes: vec![contents.version.1, instance.trigger],
        approval: None,
        compensates: None,
        contact: Some(route.contact.clone()),
        body: CommandBody::MessageSend(MessageSend {
            channel: Name::fixed(CHANNEL),
            template: Name::fixed(TEMPLATE),
            cart: Some(instance.subject.clone()),
            lines: contents.lines.iter().take(LINES_MAX).map(message_line).collect(),
            total: contents.total,
            recovery_url: contents.recovery_url.cloned(),
            first_name: objects::first_name(records, route.email).cloned(),
        }),
    };
    choice.alternatives.push(Alternative { arm: step.clone(), rule: None, propensity: 1.0 });
    choice.chosen = Some(step.clone());
    if choice.withholds {
        let rule = match choice.lifecycle {
            Lifecycle::Canary => "canary",
            Lifecycle::Approve => "approve",
            Lifecycle::Shadow => "shadow",
            Lifecycle::Off | Lifecycle::Observe | Lifecycle::On => {
                unreachable!("it ended before, or withholds nothing")
            }
        };
        choice.transitions.push(Transition::Withheld { command, rule: Name::fixed(rule) });
        return end(choice, rule);
    }
    choice.transitions.push(Transition::StepEntered { step, iteration });
    choice.transitions.push(Transition::SlotReserved {
        cap: Name::fixed(CAP),
        entity: route.email.clone(),
        command: id,
        at: watermark,
    });
    choice.transitions.push(Transition::CommandIssued { command });
    choice.transitions.push(wakeup_set(wakeup.instance, OUTCOME, deadline + OUTCOME_GRACE_MS, 0, false));
}

fn message_line(line: &Line) -> MessageLine {
    MessageLine {
        sku: line.sku.clone(),
        title: line.title.clone(),
        quantity: line.quantity,
        unit_price: line.unit_price,
    }
}

/// What the operator lets the workflow do.
fn lifecycle(world: World<'_>) -> Lifecycle {
    setup::activated(world.records, WORKFLOW).map_or(Lifecycle::Off, |activated| activated.lifecycle)
}

/// The subjects whose number is below the canary's share are acted for, as all are
/// where the workflow is on.
fn acts_for(world: World<'_>, subject: &EntityKey) -> bool {
    let Some(activated) = setup::activated(world.records, WORKFLOW) else { return false };
    let is_below = drawn_percent("canary", world.tenant, subject) < activated.canary_percent.min(100);
    activated.lifecycle == Lifecycle::On || activated.lifecycle == Lifecycle::Canary && is_below
}

/// A number below 100, always the same for one subject.
fn drawn_percent(label: &str, tenant: &Tenant, subject: &EntityKey) -> u32 {
    let digest = derive(label, &[tenant.as_bytes(), WORKFLOW.as_bytes(), subject.as_bytes()]);
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]) % 10_000 / 100
}

fn choice(world: World<'_>, instance: InstanceId, subject: &EntityKey) -> Choice {
    Choice {
        lifecycle: lifecycle(world),
        withholds: !acts_for(world, subject),
        workflow: Name::fixed(WORKFLOW),
        definition: DefinitionHash(derive("builtin", &[WORKFLOW.as_bytes(), &WORKFLOW_VERSION.to_be_bytes()])),
        instance,
        subject: subject.clone(),
        facts_read: vec![],
        facts_read_more: 0,
        features: vec![],
        alternatives: vec![],
        chosen: None,
        seed: 0,
        policy: Name::fixed(POLICY),
        policy_version: 1,
        holdout: false,
        explored: false,
        reasons: vec![],
        missing: vec![],
        transitions: vec![],
    }
}

fn quiet_wakeup(instance: InstanceId, due: Timestamp, settings: Settings) -> Transition {
    wakeup_set(instance, QUIET, due, settings.lateness_ms, true)
}

fn wakeup_set(
    instance: InstanceId,
    name: &'static str,
    due: Timestamp,
    lateness_ms: i64,
    awaits_sources: bool,
) -> Transition {
    let name = Name::fixed(name);
    let wakeup = WakeupId::derive(instance, &name, due, 0);
    Transition::WakeupSet { wakeup, name, due, lateness_ms, awaits_sources, round: 0 }
}

fn cleared(wakeup: &Wakeup) -> Transition {
    Transition::WakeupCleared { wakeup: wakeup.id, name: wakeup.name.clone() }
}

fn ineligible(rule: &'static str) -> Alternative {
    Alternative { arm: Name::fixed(ARM), rule: Some(Name::fixed(rule)), propensity: 0.0 }
}

fn suppress(choice: &mut Choice, rule: &'static str) {
    choice.alternatives.push(ineligible(rule));
    choice.transitions.push(Transition::Suppressed { capability: Capability::MessageSend, rule: Name::fixed(rule) });
    end(choice, rule);
}

fn end(choice: &mut Choice, reason: &'static str) {
    choice.reasons.push(Name::fixed(reason));
    choice.transitions.push(Transition::InstanceEnded { reason: Name::fixed(reason) });
}
