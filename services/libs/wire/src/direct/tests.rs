use tradewind_domain::{
    Account, Direction, EntityKey, EntityKind, IdentifierHash, KeyId, Line, Money, Sealed, TicketChange, TicketStatus,
    Vendor,
};

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

/// The value of one field, like that of no other.
fn sealed(field: &str) -> Option<Sealed> {
    let (key_id, origin) = (KeyId::from_bytes([2; 16]), FactId::from_bytes([3; 16]));
    Some(Sealed { algorithm: 1, key_id, origin, field: field.into(), ciphertext: [4; 40].into() })
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
        email: sealed("email"),
        phone: sealed("phone"),
        first_name: sealed("first_name"),
        recovery_url: sealed("recovery_url"),
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
            email: sealed("email"),
            phone: sealed("phone"),
            first_name: sealed("first_name"),
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
            subject: sealed("subject"),
            email: sealed("email"),
        }),
        Body::TicketMessaged(TicketMessaged {
            ticket,
            message_id: "5".into(),
            direction: Direction::Note,
            channel: "chat".into(),
            names: names(),
            body: sealed("body"),
            email: sealed("email"),
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
