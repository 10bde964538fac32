//! What the facts so far say about one object or identifier.

use tradewind_domain::{Body, CartUpdated, CheckoutUpdated, EntityKey, Sealed, TicketStatus, Timestamp};

use super::facts::{Record, Version};

/// The newest version of a cart or of a checkout's content.
#[derive(Clone, Copy, Debug)]
pub(super) struct Newest<'a, T> {
    pub(super) version: Version,
    /// When it was first recorded.
    pub(super) quiet_since: Timestamp,
    pub(super) content: &'a T,
}

pub(super) fn cart<'a>(records: &[&'a Record], cart: &EntityKey) -> Option<Newest<'a, CartUpdated>> {
    newest(records, |body| {
        let Body::CartUpdated(content) = body else { return None };
        (content.cart == *cart).then_some(content)
    })
}

pub(super) fn checkout<'a>(records: &[&'a Record], checkout: &EntityKey) -> Option<Newest<'a, CheckoutUpdated>> {
    newest(records, |body| {
        let Body::CheckoutUpdated(content) = body else { return None };
        (content.checkout == *checkout).then_some(content)
    })
}

pub(super) fn is_deleted(records: &[&Record], checkout: &EntityKey) -> bool {
    records
        .iter()
        .any(|record| matches!(record.body(), Body::CheckoutDeleted(deleted) if deleted.checkout == *checkout))
}

pub(super) fn is_open(records: &[&Record], ticket: &EntityKey) -> bool {
    let newest = newest(records, |body| {
        let Body::TicketUpdated(content) = body else { return None };
        (content.ticket == *ticket).then_some(content)
    });
    newest.is_some_and(|newest| newest.content.status == TicketStatus::Open)
}

/// When the order was placed or cancelled, by the vendor's clock: every version.
pub(super) fn order_times(records: &[&Record], order: &EntityKey) -> Vec<Timestamp> {
    let about = records.iter().filter(|record| record.body().about().is_some_and(|(object, _)| object == order));
    about.map(|record| record.envelope.fact.occurred_at).collect()
}

/// Where the holder of an e-mail identifier is reached, and which fact says so.
pub(super) fn contact<'a>(records: &[&'a Record], email: &EntityKey) -> Option<(Version, &'a Sealed)> {
    let newest = newest(records, |body| sealed_email(body).filter(|_| is_named(body, email)))?;
    Some((newest.version, newest.content))
}

pub(super) fn first_name<'a>(records: &[&'a Record], email: &EntityKey) -> Option<&'a Sealed> {
    let newest = newest(records, |body| sealed_first_name(body).filter(|_| is_named(body, email)))?;
    Some(newest.content)
}

fn is_named(body: &Body, entity: &EntityKey) -> bool {
    body.about().is_some_and(|(_, names)| names.contains(entity))
}

fn sealed_email(body: &Body) -> Option<&Sealed> {
    if let Body::CheckoutUpdated(fact) = body {
        fact.email.as_ref()
    } else if let Body::OrderPlaced(fact) = body {
        fact.email.as_ref()
    } else if let Body::TicketUpdated(fact) = body {
        fact.email.as_ref()
    } else if let Body::TicketMessaged(fact) = body {
        fact.email.as_ref()
    } else {
        None
    }
}

fn sealed_first_name(body: &Body) -> Option<&Sealed> {
    if let Body::CheckoutUpdated(fact) = body {
        fact.first_name.as_ref()
    } else if let Body::OrderPlaced(fact) = body {
        fact.first_name.as_ref()
    } else {
        None
    }
}

/// Of the records with such content, the first of the highest version.
fn newest<'a, T>(records: &[&'a Record], content_of: impl Fn(&'a Body) -> Option<&'a T>) -> Option<Newest<'a, T>> {
    let mut newest: Option<Newest<'a, T>> = None;
    for record in records {
        let Some(content) = content_of(record.body()) else { continue };
        let (version, at) = (record.version(), record.at);
        match &mut newest {
            Some(newest) if version < newest.version => {}
            Some(newest) if version == newest.version => newest.quiet_since = newest.quiet_since.min(at),
            Some(_) | None => newest = Some(Newest { version, quiet_since: at, content }),
        }
    }
    newest
}
