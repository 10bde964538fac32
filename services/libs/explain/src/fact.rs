//! A fact as it is shown: what happened, in a line, with its time and its source.

use serde::Serialize;
use tradewind_domain::{
    Body, CartUpdated, Cause, CheckoutUpdated, Direction, EntityKey, Envelope, Fact, FactId, Intake, Lifecycle, Line,
    LineageKind, Money, OrderPlaced, Tenant, TicketChange, TicketMessaged, TicketUpdated, Timestamp,
};

use crate::personal::Personal;
use crate::text;
use crate::words::{self, count, cut};

/// Most products that a line about a fact names.
const MAX_TITLES: usize = 3;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FactSeen {
    /// Its place on `tradewind.events`; `None` for a conclusion of ours, which stands in a decision.
    pub offset: Option<u64>,
    #[serde(serialize_with = "text::shown")]
    pub id: FactId,
    pub kind: &'static str,
    pub tenant: Tenant,
    /// What happened, without anything personal.
    pub headline: String,
    /// By the vendor's clock.
    #[serde(serialize_with = "text::time")]
    pub occurred_at: Timestamp,
    /// By the log's clock.
    #[serde(serialize_with = "text::time")]
    pub recorded_at: Timestamp,
    pub source: String,
    pub arrival: &'static str,
    /// The object it is about.
    #[serde(serialize_with = "text::entity_if_any")]
    pub about: Option<EntityKey>,
    /// What it names beside it.
    #[serde(serialize_with = "text::entities")]
    pub names: Vec<EntityKey>,
    pub personal: Vec<Personal>,
    #[serde(serialize_with = "text::shown_if_any")]
    pub caused_by: Option<Cause>,
}

impl FactSeen {
    #[must_use]
    pub fn of(envelope: &Envelope) -> FactSeen {
        let body = &envelope.fact.body;
        let about = body.about();
        FactSeen {
            offset: Some(envelope.offset),
            id: envelope.id,
            kind: body.kind(),
            tenant: envelope.tenant.clone(),
            headline: headline(body),
            occurred_at: envelope.fact.occurred_at,
            recorded_at: envelope.recorded_at,
            source: words::source(&envelope.source),
            arrival: words::arrival(envelope.arrival),
            about: about.map(|(about, _)| about.clone()),
            names: about.map(|(_, names)| names.to_vec()).unwrap_or_default(),
            personal: personal(body),
            caused_by: envelope.caused_by,
        }
    }

    /// What a decision concluded, folded like a fact.
    #[must_use]
    pub fn derived(id: FactId, fact: &Fact, tenant: &Tenant, watermark: Timestamp) -> FactSeen {
        let about = fact.body.about();
        FactSeen {
            offset: None,
            id,
            kind: fact.body.kind(),
            tenant: tenant.clone(),
            headline: headline(&fact.body),
            occurred_at: fact.occurred_at,
            recorded_at: watermark,
            source: "concluded here".into(),
            arrival: "derived",
            about: about.map(|(about, _)| about.clone()),
            names: about.map(|(_, names)| names.to_vec()).unwrap_or_default(),
            personal: personal(&fact.body),
            caused_by: None,
        }
    }
}

fn personal(body: &Body) -> Vec<Personal> {
    match body {
        Body::CheckoutUpdated(fact) => Personal::of([&fact.first_name, &fact.email, &fact.phone, &fact.recovery_url]),
        Body::OrderPlaced(fact) => Personal::of([&fact.first_name, &fact.email, &fact.phone]),
        Body::TicketUpdated(fact) => Personal::of([&fact.subject, &fact.email]),
        Body::TicketMessaged(fact) => Personal::of([&fact.body, &fact.email]),
        Body::Outcome(outcome) => Personal::of([&outcome.evidence]),
        Body::CartUpdated(_)
        | Body::CheckoutDeleted(_)
        | Body::OrderCancelled(_)
        | Body::CartAbandoned(_)
        | Body::LineageOpened(_)
        | Body::IngestAlive(_)
        | Body::Tick
        | Body::GapOpened(_)
        | Body::GapClosed(_)
        | Body::ClockAdjusted(_)
        | Body::ConnectionChanged(_)
        | Body::BindingSet(_)
        | Body::SettingSet(_)
        | Body::SwitchSet(_)
        | Body::DefinitionActivated(_)
        | Body::ApprovalDecided(_)
        | Body::FactUnparked(_)
        | Body::InstanceUnparked(_)
        | Body::TenantMoved { .. }
        | Body::TenantArrived { .. }
        | Body::ErasureRequested { .. }
        | Body::ErasureCompleted { .. } => Vec::new(),
    }
}

fn headline(body: &Body) -> String {
    match body {
        Body::CartUpdated(cart) => cart_updated(cart),
        Body::CheckoutUpdated(checkout) => checkout_updated(checkout),
        Body::CheckoutDeleted(_) => "checkout deleted".into(),
        Body::OrderPlaced(order) => order_placed(order),
        Body::OrderCancelled(order) => with("order cancelled", &cut(&order.reason)),
        Body::TicketUpdated(ticket) => ticket_updated(ticket),
        Body::TicketMessaged(message) => ticket_messaged(message),
        Body::CartAbandoned(cart) => format!("cart abandoned: quiet since {}", text::rfc3339(cart.quiet_since)),
        Body::Outcome(outcome) => format!("outcome: {}", words::state(outcome.state)),
        Body::LineageOpened(opened) => match opened.kind {
            LineageKind::Dev => "a development log begins".into(),
            LineageKind::Production => "a production log begins".into(),
        },
        Body::IngestAlive(alive) => with("vendors can reach us", &list(&alive.vendors)),
        Body::Tick => "time went by".into(),
        Body::GapOpened(gap) => with("a gap opened", gap.vendor.as_str()),
        Body::GapClosed(gap) => with("a gap closed", gap.vendor.as_str()),
        Body::ClockAdjusted(clock) => {
            let speed = f64::from(clock.speed_permille) / 1_000.0;
            if clock.skip_ms == 0 {
                format!("time runs {speed} times as fast")
            } else {
                format!("time leaps by {} and runs {speed} times as fast", text::span(clock.skip_ms))
            }
        }
        Body::ConnectionChanged(changed) => {
            let intake = match changed.intake {
                Intake::Webhook => "by webhook",
                Intake::Poll => "by polling",
                Intake::None => "outgoing only",
            };
            let active = if changed.active { "connected" } else { "disconnected" };
            let (connection, vendor, account) = (&changed.connection, &changed.vendor, &changed.account);
            format!("{connection} {active}: {vendor} {account}, {intake}")
        }
        Body::BindingSet(binding) => {
            let served = binding.connection.as_ref().map_or("nobody", |connection| connection.as_str());
            format!("{} on {} is served by {served}", binding.capability, binding.channel)
        }
        Body::SettingSet(setting) => format!("setting {} is {}", setting.name, setting.value),
        Body::SwitchSet(switch) => {
            let verb = if switch.stopped { "stopped" } else { "resumed" };
            with(&format!("commands of {} {verb}", switch.scope), &cut(&switch.reason))
        }
        Body::DefinitionActivated(activated) => {
            format!("workflow {} is {}", activated.workflow, lifecycle(activated.lifecycle, activated.canary_percent))
        }
        Body::ApprovalDecided(approval) => {
            let verb = if approval.granted { "approved" } else { "refused" };
            with(&format!("command {verb} by {}", approval.actor), approval.reason.as_str())
        }
        Body::FactUnparked(unparked) => format!("a parked fact is taken up again by {}", unparked.actor),
        Body::InstanceUnparked(unparked) => format!("a parked instance goes on, by {}", unparked.actor),
        Body::TenantMoved { to_partition, .. } => format!("the merchant moves to partition {to_partition}"),
        Body::TenantArrived { from_partition, .. } => format!("the merchant arrived from partition {from_partition}"),
        Body::ErasureRequested { entities, actor, .. } => {
            format!("erasure requested by {actor}, of {} of the customer", count(entities.len(), "key"))
        }
        Body::ErasureCompleted { keys, .. } => format!("erasure completed: {keys} keys are gone"),
    }
}

fn with(what: &str, detail: &str) -> String {
    if detail.is_empty() { what.into() } else { format!("{what}: {detail}") }
}

fn list<T: ToString>(names: &[T]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn lifecycle(lifecycle: Lifecycle, canary_percent: u32) -> String {
    match lifecycle {
        Lifecycle::Off => "off".into(),
        Lifecycle::Observe => "observing".into(),
        Lifecycle::Shadow => "in shadow: it decides and sends nothing".into(),
        Lifecycle::Canary => format!("on for {canary_percent} % of customers"),
        Lifecycle::Approve => "on, each command waiting for approval".into(),
        Lifecycle::On => "on".into(),
    }
}

fn content(lines: &[Line], total: Option<Money>) -> String {
    let mut parts: Vec<String> =
        lines.iter().take(MAX_TITLES).map(|line| format!("{} × {}", line.quantity, cut(&line.title))).collect();
    if lines.len() > MAX_TITLES {
        parts.push(format!("and {} more", lines.len() - MAX_TITLES));
    }
    parts.extend(total.map(|total| total.to_string()));
    parts.join(", ")
}

fn cart_updated(cart: &CartUpdated) -> String {
    if cart.lines.is_empty() { "cart emptied".into() } else { with("cart", &content(&cart.lines, cart.total)) }
}

fn checkout_updated(checkout: &CheckoutUpdated) -> String {
    let what = match (checkout.completed_at, checkout.started) {
        (Some(_), _) => "checkout completed",
        (None, true) => "checkout started",
        (None, false) => "checkout updated",
    };
    with(what, &content(&checkout.lines, checkout.total))
}

fn order_placed(order: &OrderPlaced) -> String {
    let what = if order.test { "test order placed" } else { "order placed" };
    let number = cut(&order.number);
    let what = if number.is_empty() { what.into() } else { format!("{what} {number}") };
    with(&what, &content(&order.lines, order.total))
}

fn ticket_updated(ticket: &TicketUpdated) -> String {
    let what = match ticket.change {
        TicketChange::Opened => "support ticket opened",
        TicketChange::Updated => "support ticket updated",
        TicketChange::Closed => "support ticket closed",
    };
    with(what, &cut(&ticket.channel))
}

fn ticket_messaged(message: &TicketMessaged) -> String {
    let what = match message.direction {
        Direction::Received => "the customer wrote to support",
        Direction::Sent => "support wrote to the customer",
        Direction::Note => "support made a note",
    };
    with(what, &cut(&message.channel))
}
