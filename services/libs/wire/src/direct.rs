//! Facts of commerce read from their bytes without the generated types between:
//! these are nearly all of a log, and the detour costs most of reading one.
//!
//! It reads what this release writes and gives up on the rest (a field it does
//! not know, a field that comes twice, anything malformed): then the generated
//! types read the bytes, and say what is wrong. So an answer here is always the
//! answer there, and never a sole authority on what the contract means.

mod fields;
mod parts;

use tradewind_domain::{
    Body, CartAbandoned, CartUpdated, CheckoutDeleted, CheckoutUpdated, Fact, FactId, OrderCancelled, OrderPlaced,
    TicketMessaged, TicketUpdated, Timestamp,
};

use crate::common::Wire;
use fields::{fields, once};
use parts::{entity, line, money, sealed};

/// `None` if it is none of these facts, or not as this release writes them.
pub(crate) fn fact(bytes: &[u8]) -> Option<Fact> {
    let (mut occurred_at, mut body) = (None, None);
    for field in fields(bytes) {
        let (number, value) = field?;
        match number {
            1 => once(&mut occurred_at, value.time()?)?,
            10 => once(&mut body, Body::CartUpdated(cart_updated(value.bytes()?)?))?,
            11 => once(&mut body, Body::CheckoutUpdated(checkout_updated(value.bytes()?)?))?,
            12 => once(&mut body, Body::CheckoutDeleted(checkout_deleted(value.bytes()?)?))?,
            13 => once(&mut body, Body::OrderPlaced(order_placed(value.bytes()?)?))?,
            14 => once(&mut body, Body::OrderCancelled(order_cancelled(value.bytes()?)?))?,
            15 => once(&mut body, Body::TicketUpdated(ticket_updated(value.bytes()?)?))?,
            16 => once(&mut body, Body::TicketMessaged(ticket_messaged(value.bytes()?)?))?,
            17 => once(&mut body, Body::CartAbandoned(cart_abandoned(value.bytes()?)?))?,
            _ => return None,
        }
    }
    Some(Fact { occurred_at: or_zero(occurred_at), body: body? })
}

/// A time whose zero is not written.
fn or_zero(time: Option<Timestamp>) -> Timestamp {
    time.unwrap_or(Timestamp::from_millis(0))
}

fn cart_updated(bytes: &[u8]) -> Option<CartUpdated> {
    let (mut cart, mut digest, mut created_at, mut total) = (None, None, None, None);
    let (mut lines, mut names) = (Vec::new(), Vec::new());
    for field in fields(bytes) {
        let (number, value) = field?;
        match number {
            1 => once(&mut cart, entity(value)?)?,
            2 => once(&mut digest, value.array()?)?,
            3 => once(&mut created_at, value.time()?)?,
            4 => lines.push(line(value)?),
            5 => once(&mut total, money(value)?)?,
            6 => names.push(entity(value)?),
            _ => return None,
        }
    }
    Some(CartUpdated { cart: cart?, digest: digest?, created_at: or_zero(created_at), lines, total, names })
}

fn checkout_updated(bytes: &[u8]) -> Option<CheckoutUpdated> {
    let (mut checkout, mut digest, mut created_at, mut completed_at) = (None, None, None, None);
    let (mut total, mut started) = (None, None);
    let (mut lines, mut names) = (Vec::new(), Vec::new());
    let (mut email, mut phone, mut first_name, mut recovery_url) = (None, None, None, None);
    for field in fields(bytes) {
        let (number, value) = field?;
        match number {
            1 => once(&mut checkout, entity(value)?)?,
            2 => once(&mut digest, value.array()?)?,
            3 => once(&mut created_at, value.time()?)?,
            4 => once(&mut completed_at, value.time()?)?,
            5 => lines.push(line(value)?),
            6 => once(&mut total, money(value)?)?,
            7 => names.push(entity(value)?),
            8 => once(&mut email, sealed(value)?)?,
            9 => once(&mut phone, sealed(value)?)?,
            10 => once(&mut first_name, sealed(value)?)?,
            11 => once(&mut recovery_url, sealed(value)?)?,
            12 => once(&mut started, value.bool()?)?,
            _ => return None,
        }
    }
    Some(CheckoutUpdated {
        checkout: checkout?,
        digest: digest?,
        created_at: or_zero(created_at),
        completed_at: completed_at.filter(|at| at.millis() != 0),
        lines,
        total,
        names,
        email,
        phone,
        first_name,
        recovery_url,
        started: started.unwrap_or(false),
    })
}

fn checkout_deleted(bytes: &[u8]) -> Option<CheckoutDeleted> {
    let mut checkout = None;
    for field in fields(bytes) {
        let (number, value) = field?;
        match number {
            1 => once(&mut checkout, entity(value)?)?,
            _ => return None,
        }
    }
    Some(CheckoutDeleted { checkout: checkout? })
}

fn order_placed(bytes: &[u8]) -> Option<OrderPlaced> {
    let (mut order, mut total, mut test, mut text) = (None, None, None, None);
    let (mut lines, mut names) = (Vec::new(), Vec::new());
    let (mut email, mut phone, mut first_name) = (None, None, None);
    for field in fields(bytes) {
        let (number, value) = field?;
        match number {
            1 => once(&mut order, entity(value)?)?,
            2 => lines.push(line(value)?),
            3 => once(&mut total, money(value)?)?,
            4 => names.push(entity(value)?),
            5 => once(&mut email, sealed(value)?)?,
            6 => once(&mut phone, sealed(value)?)?,
            7 => once(&mut first_name, sealed(value)?)?,
            8 => once(&mut test, value.bool()?)?,
            9 => once(&mut text, value.text()?)?,
            _ => return None,
        }
    }
    Some(OrderPlaced {
        order: order?,
        lines,
        total,
        names,
        email,
        phone,
        first_name,
        test: test.unwrap_or(false),
        number: text.unwrap_or_default().into(),
    })
}

fn order_cancelled(bytes: &[u8]) -> Option<OrderCancelled> {
    let (mut order, mut reason, mut names) = (None, None, Vec::new());
    for field in fields(bytes) {
        let (number, value) = field?;
        match number {
            1 => once(&mut order, entity(value)?)?,
            2 => once(&mut reason, value.text()?)?,
            3 => names.push(entity(value)?),
            _ => return None,
        }
    }
    Some(OrderCancelled { order: order?, reason: reason.unwrap_or_default().into(), names })
}

fn ticket_updated(bytes: &[u8]) -> Option<TicketUpdated> {
    let (mut ticket, mut change, mut status, mut digest) = (None, None, None, None);
    let (mut created_at, mut channel, mut names) = (None, None, Vec::new());
    let (mut subject, mut email) = (None, None);
    for field in fields(bytes) {
        let (number, value) = field?;
        match number {
            1 => once(&mut ticket, entity(value)?)?,
            2 => once(&mut change, value.number()?)?,
            3 => once(&mut status, value.number()?)?,
            4 => once(&mut digest, value.array()?)?,
            5 => once(&mut created_at, value.time()?)?,
            6 => once(&mut channel, value.text()?)?,
            7 => names.push(entity(value)?),
            8 => once(&mut subject, sealed(value)?)?,
            9 => once(&mut email, sealed(value)?)?,
            _ => return None,
        }
    }
    Some(TicketUpdated {
        ticket: ticket?,
        change: Wire::from_proto(change?).ok()?,
        status: Wire::from_proto(status?).ok()?,
        digest: digest?,
        created_at: or_zero(created_at),
        channel: channel.unwrap_or_default().into(),
        names,
        subject,
        email,
    })
}

fn ticket_messaged(bytes: &[u8]) -> Option<TicketMessaged> {
    let (mut ticket, mut message_id, mut direction, mut channel) = (None, None, None, None);
    let (mut names, mut body, mut email) = (Vec::new(), None, None);
    for field in fields(bytes) {
        let (number, value) = field?;
        match number {
            1 => once(&mut ticket, entity(value)?)?,
            2 => once(&mut message_id, value.text()?)?,
            3 => once(&mut direction, value.number()?)?,
            4 => once(&mut channel, value.text()?)?,
            5 => names.push(entity(value)?),
            6 => once(&mut body, sealed(value)?)?,
            7 => once(&mut email, sealed(value)?)?,
            _ => return None,
        }
    }
    Some(TicketMessaged {
        ticket: ticket?,
        message_id: message_id.unwrap_or_default().into(),
        direction: Wire::from_proto(direction?).ok()?,
        channel: channel.unwrap_or_default().into(),
        names,
        body,
        email,
    })
}

fn cart_abandoned(bytes: &[u8]) -> Option<CartAbandoned> {
    let (mut cart, mut quiet_since, mut cart_fact) = (None, None, None);
    for field in fields(bytes) {
        let (number, value) = field?;
        match number {
            1 => once(&mut cart, entity(value)?)?,
            2 => once(&mut quiet_since, value.time()?)?,
            3 => once(&mut cart_fact, FactId::from_bytes(value.array()?))?,
            _ => return None,
        }
    }
    Some(CartAbandoned { cart: cart?, quiet_since: or_zero(quiet_since), cart_fact: cart_fact? })
}

#[cfg(test)]
mod tests;
