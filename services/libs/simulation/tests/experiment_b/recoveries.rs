//! What a merchant is promised of cart recovery (R01), read off the log alone:
//! no second message about what was met before, and none after an order.

use std::collections::BTreeSet;

use tradewind_domain::{Body, Command, EntityKey, EntityKind, Envelope, FactId, Position, Timestamp, Transition};
use tradewind_simulation::Reading;

pub(crate) fn check(seed: u64, events: &[Envelope], reading: &Reading) {
    let mut instances = BTreeSet::new();
    let mut versions = BTreeSet::new();
    for read in &reading.decisions {
        for choice in &read.value.choices {
            for transition in &choice.transitions {
                let Transition::CommandIssued { command } = transition else { continue };
                assert!(instances.insert(command.instance), "seed {seed}: a second message of {}", command.instance);
                let version = (command.tenant.clone(), choice.subject.clone(), version(events, read.position, command));
                assert!(versions.insert(version), "seed {seed}: a second message about one version, {}", command.id);
                let order = linked_order(events, read.position, command, &choice.subject);
                assert_eq!(order, None, "seed {seed}: message {} after an order", command.id);
            }
        }
    }
}

/// The tenant's events that are folded when a step is taken.
fn before<'a>(events: &'a [Envelope], command: &Command, at: Position) -> impl Iterator<Item = &'a Envelope> + Clone {
    let tenant = command.tenant.clone();
    events.iter().filter(move |event| event.tenant == tenant && event.offset <= at.offset)
}

/// What a cart is at one moment: its own newest edit, and that of its checkouts.
type CartVersion = (Option<(Timestamp, FactId)>, Option<(Timestamp, FactId)>);

fn version(events: &[Envelope], at: Position, command: &Command) -> CartVersion {
    let subject = command_cart(command);
    let (mut cart, mut checkout) = (None, None);
    for event in before(events, command, at) {
        let version = Some((event.fact.occurred_at, event.id));
        if let Body::CartUpdated(_) = event.fact.body
            && event.fact.body.about().is_some_and(|(object, _)| object == subject)
        {
            cart = cart.max(version);
        } else if let Body::CheckoutUpdated(updated) = &event.fact.body
            && (updated.checkout == *subject || updated.names.contains(subject))
        {
            checkout = checkout.max(version);
        }
    }
    (cart, checkout)
}

fn command_cart(command: &Command) -> &EntityKey {
    let tradewind_domain::CommandBody::MessageSend(message) = &command.body;
    message.cart.as_ref().expect("a reminder is about a cart")
}

/// An order of anybody linked to the cart since it was made, or one that names
/// the cart or its checkout.
fn linked_order(events: &[Envelope], at: Position, command: &Command, cart: &EntityKey) -> Option<EntityKey> {
    let abouts = before(events, command, at).filter_map(|event| Some((event, event.fact.body.about()?)));
    let neighbours = |of: &BTreeSet<EntityKey>| -> BTreeSet<EntityKey> {
        let touches =
            |object: &EntityKey, names: &[EntityKey]| of.contains(object) || names.iter().any(|n| of.contains(n));
        let touched = abouts.clone().filter(|(_, (object, names))| touches(object, names));
        touched.flat_map(|(_, (object, names))| names.iter().chain([object])).chain(of).cloned().collect()
    };
    let created_at = created_at(before(events, command, at), cart);
    let one_link = neighbours(&BTreeSet::from([cart.clone()]));
    let own: BTreeSet<EntityKey> =
        one_link.into_iter().filter(|entity| entity == cart || entity.kind() == EntityKind::Checkout).collect();
    let mut customer = own.clone();
    loop {
        let more = neighbours(&customer);
        if more.len() == customer.len() {
            break;
        }
        customer = more;
    }
    let mut orders = abouts.filter(|(_, (object, _))| object.kind() == EntityKind::Order);
    let ordered = orders.find(|(event, (order, names))| {
        let is_own = names.iter().any(|name| own.contains(name));
        is_own || customer.contains(*order) && event.fact.occurred_at >= created_at
    });
    ordered.map(|(_, (order, _))| order.clone())
}

fn created_at<'a>(events: impl Iterator<Item = &'a Envelope>, cart: &EntityKey) -> Timestamp {
    let versions = events.filter_map(|event| {
        let (is_cart, created_at) = if let Body::CartUpdated(updated) = &event.fact.body
            && updated.cart == *cart
        {
            (true, updated.created_at)
        } else if let Body::CheckoutUpdated(updated) = &event.fact.body
            && (updated.checkout == *cart || updated.names.contains(cart))
        {
            (false, updated.created_at)
        } else {
            return None;
        };
        Some(((is_cart, event.fact.occurred_at, event.id), created_at))
    });
    versions.max().expect("something is known of the cart").1
}
