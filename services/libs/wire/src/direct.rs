//! Facts of commerce read from their bytes without the generated types between:
//! these are nearly all of a log, and the detour costs most of reading one.
//!
//! It reads what this release writes and gives up on the rest (a field it does
//! not know, a field that comes twice, anything malformed): then the generated
//! types read the bytes, and say what is wrong. So an answer here is always the
//! answer there, and never a sole authority on what the contract means.

mod fields;

use tradewind_domain::{
    Account, Body, CartAbandoned, CartUpdated, CheckoutDeleted, CheckoutUpdated, Currency, EntityId, EntityKey,
    EntityKind, Fact, FactId, IdentifierHash, KeyId, Line, Money, OrderCancelled, OrderPlaced, Sealed, TicketMessaged,
    TicketUpdated, Timestamp, Vendor,
};

use crate::common::{ReadName, Wire};
use fields::{Value, fields, once};

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

fn entity(value: Value<'_>) -> Option<EntityKey> {
    let (mut kind, mut vendor, mut account, mut id) = (None, None, None, None);
    for field in fields(value.bytes()?) {
        let (number, value) = field?;
        match number {
            1 => once(&mut kind, value.number()?)?,
            2 => once(&mut vendor, value.text()?)?,
            3 => once(&mut account, value.text()?)?,
            4 => once(&mut id, EntityId::Vendor(value.text()?))?,
            5 => once(&mut id, EntityId::Hash(IdentifierHash::from_bytes(value.array()?)))?,
            _ => return None,
        }
    }
    let kind = EntityKind::from_proto(kind?).ok()?;
    let vendor = Vendor::read(vendor.unwrap_or_default()).ok()?;
    let account = Account::read(account.unwrap_or_default()).ok()?;
    Some(EntityKey::new(kind, &vendor, &account, id?))
}

fn line(value: Value<'_>) -> Option<Line> {
    let mut texts = [None; 5];
    let (mut quantity, mut unit_price) = (None, None);
    for field in fields(value.bytes()?) {
        let (number, value) = field?;
        match number {
            1..=5 => once(&mut texts[usize::from(number) - 1], value.text()?)?,
            6 => once(&mut quantity, value.signed()?)?,
            7 => once(&mut unit_price, money(value)?)?,
            _ => return None,
        }
    }
    let [line_id, variant_id, product_id, sku, title] = texts.map(|text| text.unwrap_or_default().into());
    Some(Line { line_id, variant_id, product_id, sku, title, quantity: quantity.unwrap_or(0), unit_price })
}

fn money(value: Value<'_>) -> Option<Money> {
    let (mut minor, mut currency) = (None, None);
    for field in fields(value.bytes()?) {
        let (number, value) = field?;
        match number {
            1 => once(&mut minor, value.signed()?)?,
            2 => once(&mut currency, value.text()?.parse::<Currency>().ok()?)?,
            _ => return None,
        }
    }
    Some(Money { minor: minor.unwrap_or(0), currency: currency? })
}

fn sealed(value: Value<'_>) -> Option<Sealed> {
    let (mut algorithm, mut key_id, mut origin, mut name, mut ciphertext) = (None, None, None, None, None);
    for field in fields(value.bytes()?) {
        let (number, value) = field?;
        match number {
            1 => once(&mut algorithm, u32::try_from(value.varint()?).ok()?)?,
            2 => once(&mut key_id, KeyId::from_bytes(value.array()?))?,
            3 => once(&mut origin, FactId::from_bytes(value.array()?))?,
            4 => once(&mut name, value.text()?)?,
            5 => once(&mut ciphertext, value.bytes()?)?,
            _ => return None,
        }
    }
    Some(Sealed {
        algorithm: algorithm.unwrap_or(0),
        key_id: key_id?,
        origin: origin?,
        field: name.unwrap_or_default().into(),
        ciphertext: ciphertext.unwrap_or_default().into(),
    })
}

#[cfg(test)]
mod tests {
    use tradewind_domain::{Direction, TicketChange, TicketStatus};

    use super::*;
    use crate::fact::encode;

    fn shop(kind: EntityKind) -> EntityKey {
        let account = Account::new("demo.example.com").unwrap();
        EntityKey::at_vendor(kind, &Vendor::new("shopify").unwrap(), &account, "17")
    }

    fn names() -> Vec<EntityKey> {
        let email = EntityKey::identifier(EntityKind::Email, IdentifierHash::from_bytes([7; 16]));
        vec![shop(EntityKind::Customer), email]
    }

    fn sealed() -> Option<Sealed> {
        let (key_id, origin) = (KeyId::from_bytes([2; 16]), FactId::from_bytes([3; 16]));
        Some(Sealed { algorithm: 1, key_id, origin, field: "email".into(), ciphertext: [4; 40].into() })
    }

    fn lines() -> Vec<Line> {
        let empty = Line {
            line_id: "".into(),
            variant_id: "".into(),
            product_id: "".into(),
            sku: "".into(),
            title: "".into(),
            quantity: 0,
            unit_price: None,
        };
        let total = total();
        vec![Line { sku: "s-1".into(), title: "Tee".into(), quantity: -2, unit_price: total, ..empty.clone() }, empty]
    }

    fn total() -> Option<Money> {
        Some(Money { minor: -1_990, currency: "EUR".parse().unwrap() })
    }

    fn bodies() -> Vec<Body> {
        let (at, digest) = (Timestamp::from_millis(1_700_000_000_000), [9; 16]);
        let checkout = CheckoutUpdated {
            checkout: shop(EntityKind::Checkout),
            digest,
            created_at: at,
            completed_at: Some(at),
            lines: lines(),
            total: total(),
            names: names(),
            email: sealed(),
            phone: sealed(),
            first_name: sealed(),
            recovery_url: sealed(),
            started: true,
        };
        let blank = CheckoutUpdated {
            completed_at: None,
            lines: vec![],
            total: None,
            names: vec![],
            email: None,
            phone: None,
            first_name: None,
            recovery_url: None,
            started: false,
            ..checkout.clone()
        };
        let (cart, order, ticket) = (shop(EntityKind::Cart), shop(EntityKind::Order), shop(EntityKind::Ticket));
        vec![
            Body::CartUpdated(CartUpdated {
                cart: cart.clone(),
                digest,
                created_at: at,
                lines: lines(),
                total: total(),
                names: names(),
            }),
            Body::CheckoutUpdated(checkout),
            Body::CheckoutUpdated(blank),
            Body::CheckoutDeleted(CheckoutDeleted { checkout: shop(EntityKind::Checkout) }),
            Body::OrderPlaced(OrderPlaced {
                order: order.clone(),
                lines: lines(),
                total: total(),
                names: names(),
                email: sealed(),
                phone: sealed(),
                first_name: sealed(),
                test: true,
                number: "#1001".into(),
            }),
            Body::OrderCancelled(OrderCancelled { order, reason: "customer".into(), names: names() }),
            Body::TicketUpdated(TicketUpdated {
                ticket: ticket.clone(),
                change: TicketChange::Closed,
                status: TicketStatus::Closed,
                digest,
                created_at: at,
                channel: "email".into(),
                names: names(),
                subject: sealed(),
                email: sealed(),
            }),
            Body::TicketMessaged(TicketMessaged {
                ticket,
                message_id: "5".into(),
                direction: Direction::Note,
                channel: "chat".into(),
                names: names(),
                body: sealed(),
                email: sealed(),
            }),
            Body::CartAbandoned(CartAbandoned { cart, quiet_since: at, cart_fact: FactId::from_bytes([5; 16]) }),
        ]
    }

    /// So that a field that is added is added here too.
    #[test]
    fn every_fact_of_commerce_is_read_directly() {
        for body in bodies() {
            let written = Fact { occurred_at: Timestamp::from_millis(-1), body };
            assert_eq!(fact(&encode(&written)).as_ref(), Some(&written));
        }
    }

    #[test]
    fn what_is_not_as_this_release_writes_it_is_left_to_the_generated_types() {
        let written = encode(&Fact { occurred_at: Timestamp::from_millis(1), body: bodies().remove(0) });
        let unknown_field = [written.as_slice(), &[0xf8, 0x07, 1]].concat();
        let twice = [written.as_slice(), &[8, 2]].concat();
        let fixed = [written.as_slice(), &[9, 0, 0, 0, 0, 0, 0, 0, 0]].concat();
        let cut = written[..written.len() - 1].to_vec();
        for bytes in [unknown_field, twice, fixed, cut, encode(&Fact { body: Body::Tick, ..fact(&written).unwrap() })] {
            assert_eq!(fact(&bytes), None, "{bytes:02x?}");
        }
    }
}
