//! `fold`: what a fact changes in one leaf. It is total and silent, decides
//! nothing, and knows only the leaf and the record.

use tradewind_domain::{
    Body, CheckoutUpdated, EntityKey, EntityKind, Fact, FactId, Line, Outcome, Position, Sealed, Timestamp,
};

use crate::leaf::{
    Abandoned, CartFigures, CheckoutContent, CommandLeaf, ConnectionState, Definition, EntityLeaf, Entry, Figures,
    LineFigure, MAX_LINES, ReferenceKind, TenantLeaf, TicketState, Version, Versioned,
};

/// A fact with what folding needs of its envelope.
#[derive(Clone, Copy, Debug)]
pub struct Folding<'a> {
    pub id: FactId,
    pub fact: &'a Fact,
    /// By the log's clock.
    pub recorded_at: Timestamp,
    pub position: Position,
}

impl Folding<'_> {
    fn version(&self) -> Version {
        Version { occurred_at: self.fact.occurred_at, fact: self.id }
    }
}

/// Folds a fact into the leaf of the object it is about. True if it said
/// something new: not a repeat, not older than what is known.
pub(crate) fn about(leaf: &mut EntityLeaf, folding: &Folding<'_>) -> bool {
    let Some((_, names)) = folding.fact.body.about() else { return false };
    leaf.parked.remove(&folding.id);
    for name in names {
        leaf.edges.link(name, folding.version());
    }
    let changed = figures(&mut leaf.figures, folding);
    if changed {
        leaf.refer(folding.position, ReferenceKind::About);
    }
    changed
}

/// Folds a fact into the leaf of an entity it names.
pub(crate) fn named(leaf: &mut EntityLeaf, name: &EntityKey, folding: &Folding<'_>) {
    let Some((object, _)) = folding.fact.body.about() else { return };
    leaf.parked.remove(&folding.id);
    let version = folding.version();
    let is_newer = leaf.edges.to(object).is_none_or(|edge| edge.evidence < version);
    leaf.edges.link(object, version);
    if let (EntityKind::Email, Figures::Identifier(figures)) = (name.kind(), &mut leaf.figures) {
        let (email, first_name) = personal(&folding.fact.body);
        if let Some(email) = email {
            Versioned::put(&mut figures.contact, version, email.clone());
        }
        if let Some(first_name) = first_name {
            Versioned::put(&mut figures.first_name, version, first_name.clone());
        }
    }
    if is_newer {
        leaf.refer(folding.position, ReferenceKind::Named);
    }
}

/// The sealed address and first name that belong to the e-mail a fact names.
fn personal(body: &Body) -> (Option<&Sealed>, Option<&Sealed>) {
    if let Body::CheckoutUpdated(fact) = body {
        (fact.email.as_ref(), fact.first_name.as_ref())
    } else if let Body::OrderPlaced(fact) = body {
        (fact.email.as_ref(), fact.first_name.as_ref())
    } else if let Body::TicketUpdated(fact) = body {
        (fact.email.as_ref(), None)
    } else if let Body::TicketMessaged(fact) = body {
        (fact.email.as_ref(), None)
    } else {
        (None, None)
    }
}

fn figures(figures: &mut Figures, folding: &Folding<'_>) -> bool {
    let version = folding.version();
    match (&folding.fact.body, figures) {
        (Body::CartUpdated(fact), Figures::Cart(cart)) => match cart {
            Some(known) if known.version > version => false,
            Some(known) if known.version == version => {
                known.quiet_since = known.quiet_since.min(folding.recorded_at);
                false
            }
            known => {
                let (lines, line_count) = line_figures(&fact.lines);
                *known = Some(CartFigures {
                    version,
                    quiet_since: folding.recorded_at,
                    created_at: fact.created_at,
                    lines,
                    line_count,
                    total: fact.total,
                    abandoned: known.as_ref().and_then(|known| known.abandoned),
                });
                true
            }
        },
        (Body::CartAbandoned(fact), Figures::Cart(Some(cart))) => {
            let abandoned = Abandoned { cart_fact: fact.cart_fact, quiet_since: fact.quiet_since };
            let changed = cart.abandoned != Some(abandoned);
            cart.abandoned = Some(abandoned);
            changed
        }
        (Body::CheckoutUpdated(fact), Figures::Checkout(checkout)) => {
            let is_repeat = checkout.content.as_ref().is_some_and(|known| known.version == version);
            let changed = Versioned::put(&mut checkout.content, version, content(fact));
            if changed || is_repeat {
                let earliest = checkout.quiet_since.filter(|_| is_repeat).unwrap_or(folding.recorded_at);
                checkout.quiet_since = Some(earliest.min(folding.recorded_at));
            }
            changed
        }
        (Body::CheckoutDeleted(_), Figures::Checkout(checkout)) => keep_newest(&mut checkout.deleted, version),
        (Body::OrderPlaced(fact), Figures::Order(order)) => {
            let changed = order.placed.is_none_or(|known| known < version);
            if changed {
                order.placed = Some(version);
                order.total = fact.total;
            }
            changed
        }
        (Body::OrderCancelled(_), Figures::Order(order)) => keep_newest(&mut order.cancelled, version),
        (Body::TicketUpdated(fact), Figures::Ticket(ticket)) => {
            Versioned::put(&mut ticket.status, version, TicketState::from(fact.status))
        }
        (Body::TicketMessaged(_), Figures::Ticket(ticket)) => keep_newest(&mut ticket.last_message, version),
        // A fact never lands on a leaf of another kind: the leaf was made for
        // its object's kind, and a derived one is about a cart that is known.
        (_, _) => false,
    }
}

fn keep_newest(slot: &mut Option<Version>, version: Version) -> bool {
    let changed = slot.is_none_or(|known| known < version);
    if changed {
        *slot = Some(version);
    }
    changed
}

fn content(fact: &CheckoutUpdated) -> CheckoutContent {
    let (lines, line_count) = line_figures(&fact.lines);
    CheckoutContent {
        created_at: fact.created_at,
        completed_at: fact.completed_at,
        lines,
        line_count,
        total: fact.total,
        recovery_url: fact.recovery_url.clone(),
    }
}

fn line_figures(lines: &[Line]) -> (Vec<LineFigure>, u32) {
    let figure = |line: &Line| LineFigure {
        sku: line.sku.clone(),
        title: line.title.clone(),
        quantity: line.quantity,
        unit_price: line.unit_price,
    };
    (lines.iter().take(MAX_LINES).map(figure).collect(), u32::try_from(lines.len()).unwrap_or(u32::MAX))
}

/// Folds a fact of the set-up into its tenant's leaf.
pub(crate) fn tenant(leaf: &mut TenantLeaf, folding: &Folding<'_>) {
    let fact = folding.id;
    match &folding.fact.body {
        Body::ConnectionChanged(changed) => {
            let known = leaf.connections.get(&changed.connection);
            if known.is_some_and(|known| known.version >= changed.version) {
                return;
            }
            let since = known.filter(|known| known.active && changed.active).map_or(folding.recorded_at, |k| k.since);
            let state = ConnectionState {
                vendor: changed.vendor.clone(),
                account: changed.account.clone(),
                intake: changed.intake,
                active: changed.active,
                retry_horizon_ms: changed.retry_horizon_ms,
                since,
                version: changed.version,
                fact,
            };
            leaf.connections.insert(changed.connection.clone(), state);
        }
        Body::BindingSet(set) => {
            let scope = (set.capability.clone(), set.channel.clone());
            put(&mut leaf.bindings, scope, set.connection.clone(), set.version, fact);
        }
        Body::SettingSet(set) => put(&mut leaf.settings, set.name.clone(), set.value, set.version, fact),
        Body::SwitchSet(set) => put(&mut leaf.switches, set.scope.clone(), set.stopped, set.version, fact),
        Body::DefinitionActivated(set) => {
            let definition = Definition {
                hash: set.definition,
                lifecycle: set.lifecycle,
                canary_percent: set.canary_percent.min(100),
            };
            put(&mut leaf.definitions, set.workflow.clone(), definition, set.version, fact);
        }
        Body::GapOpened(gap) => {
            if let Some(connection) = &gap.connection {
                leaf.open_gaps.entry(connection.clone()).or_insert(gap.from);
                let told_at = leaf.turned_away.entry(connection.clone()).or_insert(folding.recorded_at);
                *told_at = folding.recorded_at.max(*told_at);
            }
        }
        Body::GapClosed(gap) => {
            if let Some(connection) = &gap.connection {
                leaf.open_gaps.remove(connection);
            }
            let covered_until =
                leaf.covered_until.entry((gap.vendor.clone(), gap.connection.clone())).or_insert(gap.until);
            *covered_until = gap.until.max(*covered_until);
        }
        Body::CartUpdated(_)
        | Body::CheckoutUpdated(_)
        | Body::CheckoutDeleted(_)
        | Body::OrderPlaced(_)
        | Body::OrderCancelled(_)
        | Body::TicketUpdated(_)
        | Body::TicketMessaged(_)
        | Body::CartAbandoned(_)
        | Body::Outcome(_)
        | Body::LineageOpened(_)
        | Body::IngestAlive(_)
        | Body::Tick
        | Body::ClockAdjusted(_)
        | Body::ApprovalDecided(_)
        | Body::FactUnparked(_)
        | Body::InstanceUnparked(_)
        | Body::TenantMoved { .. }
        | Body::TenantArrived { .. }
        | Body::ErasureRequested { .. }
        | Body::ErasureCompleted { .. } => {}
    }
}

fn put<K: Ord, T>(entries: &mut std::collections::BTreeMap<K, Entry<T>>, key: K, value: T, version: u64, fact: FactId) {
    if entries.get(&key).is_none_or(|known| known.version < version) {
        entries.insert(key, Entry { value, version, fact });
    }
}

/// Folds an outcome into its command's leaf. True if it said something new. A
/// final state stays, whatever comes after it.
pub(crate) fn command(leaf: &mut CommandLeaf, outcome: &Outcome) -> bool {
    let known = leaf.state;
    if known == Some(outcome.state) || known.is_some_and(|state| state.is_final()) {
        return false;
    }
    leaf.state = Some(outcome.state);
    leaf.without_effect = outcome.is_without_effect();
    true
}
