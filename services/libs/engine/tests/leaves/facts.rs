//! One fact of every kind, all of them about the same few entities.

use tradewind_domain::{
    Account, ApprovalDecided, Arrival, BindingSet, Body, CartAbandoned, CartUpdated, CheckoutDeleted, CheckoutUpdated,
    ClockAdjusted, CommandId, ConnectionChanged, ConnectionName, DefinitionActivated, DefinitionHash, Direction,
    EntityKey, EntityKind, Envelope, Fact, FactId, FactUnparked, GapClosed, GapOpened, IdentifierHash, IngestAlive,
    InstanceId, InstanceUnparked, Intake, KeyId, Lifecycle, Line, Lineage, LineageKind, LineageOpened, Money, Name,
    OrderCancelled, OrderPlaced, Outcome, OutcomeState, Scope, Sealed, SettingSet, Source, SwitchSet, Tenant,
    TicketChange, TicketMessaged, TicketStatus, TicketUpdated, Timestamp, Vendor,
};

pub(crate) fn tenant() -> Tenant {
    Tenant::new("demo").unwrap()
}

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + seconds * 1_000)
}

pub(crate) fn key(kind: EntityKind) -> EntityKey {
    match kind {
        EntityKind::Email | EntityKind::Phone => {
            EntityKey::identifier(kind, IdentifierHash::from_bytes(*b"hash-of-a-person"))
        }
        EntityKind::Customer | EntityKind::Cart | EntityKind::Checkout | EntityKind::Order | EntityKind::Ticket => {
            EntityKey::at_vendor(kind, &shopify(), &Account::none(), "1")
        }
    }
}

pub(crate) fn shopify() -> Vendor {
    Vendor::new("shopify").unwrap()
}

pub(crate) fn fact_id(number: u8) -> FactId {
    FactId::from_bytes([number; 16])
}

/// Of the commands and instances that transitions make.
pub(crate) fn command_id(number: u8) -> CommandId {
    CommandId::from_bytes([b'0' + number; 16])
}

pub(crate) fn instance_id(number: u8) -> InstanceId {
    InstanceId::from_bytes([b'0' + number; 16])
}

pub(crate) fn connection() -> ConnectionName {
    ConnectionName::new("store").unwrap()
}

pub(crate) fn sealed(number: u8) -> Sealed {
    Sealed {
        algorithm: 1,
        key_id: KeyId::from_bytes([2; 16]),
        origin: fact_id(number),
        field: "field".into(),
        ciphertext: vec![number; 4].into(),
    }
}

pub(crate) fn envelope(offset: u64, body: Body) -> Envelope {
    let seconds = i64::try_from(offset).unwrap();
    Envelope {
        offset,
        recorded_at: at(seconds),
        imported: true,
        produced_at: None,
        tenant: tenant(),
        id: fact_id(u8::try_from(offset).unwrap()),
        source: Source { vendor: shopify(), account: Account::none() },
        arrival: Arrival::Live,
        placement: 1,
        translation: 1,
        caused_by: None,
        fact: Fact { occurred_at: at(seconds - 1_000), body },
    }
}

pub(crate) fn bodies() -> Vec<Body> {
    let mut bodies = vec![opened()];
    while let Some(next) = after(bodies.last().expect("it begins with one")) {
        bodies.push(next);
    }
    bodies
}

fn opened() -> Body {
    Body::LineageOpened(LineageOpened { lineage: Lineage::from_bytes([1; 16]), kind: LineageKind::Dev })
}

/// The fact that follows one of this kind. A new one does not compile until it has
/// its place here: let an earlier one lead to it, and it to the next.
fn after(body: &Body) -> Option<Body> {
    Some(match body {
        Body::LineageOpened(_) => Body::IngestAlive(IngestAlive { vendors: vec![shopify()] }),
        Body::IngestAlive(_) => Body::Tick,
        Body::Tick => Body::ConnectionChanged(ConnectionChanged {
            connection: connection(),
            vendor: shopify(),
            account: Account::none(),
            intake: Intake::Poll,
            active: true,
            retry_horizon_ms: 60_000,
            version: 3,
        }),
        Body::ConnectionChanged(_) => Body::BindingSet(BindingSet {
            capability: Name::fixed("message.send"),
            channel: Name::fixed("email"),
            connection: Some(connection()),
            version: 3,
        }),
        Body::BindingSet(_) => {
            Body::SettingSet(SettingSet { name: Name::fixed("cap.promotional.per_day"), value: -2, version: 3 })
        }
        Body::SettingSet(_) => Body::SwitchSet(SwitchSet {
            scope: Scope::Capability(Name::fixed("message.send")),
            stopped: true,
            reason: "why".into(),
            version: 3,
        }),
        Body::SwitchSet(_) => Body::DefinitionActivated(DefinitionActivated {
            workflow: Name::fixed("another"),
            definition: DefinitionHash([4; 32]),
            lifecycle: Lifecycle::Canary,
            canary_percent: 120,
            version: 3,
        }),
        Body::DefinitionActivated(_) => {
            Body::GapOpened(GapOpened { vendor: shopify(), connection: Some(connection()), from: at(3) })
        }
        // Of the vendor as a whole, so that what was opened for the connection stays open.
        Body::GapOpened(_) => Body::GapClosed(GapClosed { vendor: shopify(), connection: None, until: at(4) }),
        Body::GapClosed(_) => Body::CartUpdated(cart()),
        Body::CartUpdated(_) => Body::CheckoutUpdated(checkout()),
        Body::CheckoutUpdated(_) => Body::CheckoutDeleted(CheckoutDeleted { checkout: key(EntityKind::Checkout) }),
        Body::CheckoutDeleted(_) => Body::OrderPlaced(order()),
        Body::OrderPlaced(_) => Body::OrderCancelled(OrderCancelled {
            order: key(EntityKind::Order),
            reason: "customer".into(),
            names: vec![key(EntityKind::Customer)],
        }),
        Body::OrderCancelled(_) => Body::TicketUpdated(ticket()),
        Body::TicketUpdated(_) => Body::TicketMessaged(TicketMessaged {
            ticket: key(EntityKind::Ticket),
            message_id: "1".into(),
            direction: Direction::Received,
            channel: "email".into(),
            names: vec![key(EntityKind::Email)],
            body: None,
            email: Some(sealed(6)),
        }),
        Body::TicketMessaged(_) => Body::CartAbandoned(CartAbandoned {
            cart: key(EntityKind::Cart),
            quiet_since: at(10),
            cart_fact: fact_id(10),
        }),
        Body::CartAbandoned(_) => Body::Outcome(outcome()),
        Body::Outcome(_) => Body::ApprovalDecided(ApprovalDecided {
            command: command_id(1),
            granted: true,
            actor: Name::fixed("operator"),
            reason: Name::fixed("fine"),
        }),
        Body::ApprovalDecided(_) => {
            let parked = CartUpdated { digest: [7; 16], created_at: at(-5), ..cart() };
            let envelope = Box::new(envelope(200, Body::CartUpdated(parked)));
            Body::FactUnparked(FactUnparked { fact: envelope.id, envelope, actor: Name::fixed("operator") })
        }
        Body::FactUnparked(_) => {
            Body::InstanceUnparked(InstanceUnparked { instance: instance_id(1), actor: Name::fixed("operator") })
        }
        Body::InstanceUnparked(_) => Body::TenantMoved { to_partition: 2, placement: 2 },
        Body::TenantMoved { .. } => Body::TenantArrived { from_partition: 1, placement: 2 },
        Body::TenantArrived { .. } => Body::ErasureRequested {
            request: fact_id(99),
            entities: vec![key(EntityKind::Email)],
            actor: Name::fixed("operator"),
        },
        Body::ErasureRequested { .. } => {
            Body::ErasureCompleted { request: fact_id(99), keys: 1, vendors: vec![Name::fixed("shopify")] }
        }
        // It would change what the times of the facts after it mean.
        Body::ErasureCompleted { .. } => Body::ClockAdjusted(ClockAdjusted { speed_permille: 2_000, skip_ms: 5 }),
        Body::ClockAdjusted(_) => return None,
    })
}

fn money(minor: i64) -> Option<Money> {
    Some(Money { minor, currency: "USD".parse().unwrap() })
}

fn line(number: u32) -> Line {
    Line {
        line_id: "1".into(),
        variant_id: "2".into(),
        product_id: "3".into(),
        sku: format!("SHIRT-{number}").into(),
        title: "A shirt".into(),
        quantity: 2,
        unit_price: money(1_999),
    }
}

/// Of more lines than a leaf keeps.
fn cart() -> CartUpdated {
    CartUpdated {
        cart: key(EntityKind::Cart),
        digest: [1; 16],
        created_at: at(-10),
        lines: (0..22).map(line).collect(),
        total: money(43_978),
        names: vec![key(EntityKind::Phone)],
    }
}

fn checkout() -> CheckoutUpdated {
    CheckoutUpdated {
        checkout: key(EntityKind::Checkout),
        digest: [2; 16],
        created_at: at(-9),
        completed_at: Some(at(-1)),
        lines: vec![line(1)],
        total: money(-5),
        names: vec![key(EntityKind::Cart), key(EntityKind::Email), key(EntityKind::Customer)],
        email: Some(sealed(3)),
        phone: Some(sealed(4)),
        first_name: Some(sealed(5)),
        recovery_url: Some(sealed(7)),
        started: true,
    }
}

fn order() -> OrderPlaced {
    OrderPlaced {
        order: key(EntityKind::Order),
        lines: vec![line(1)],
        total: money(1_999),
        names: vec![key(EntityKind::Email), key(EntityKind::Phone)],
        email: None,
        phone: None,
        first_name: Some(sealed(8)),
        test: false,
        number: "#1001".into(),
    }
}

fn ticket() -> TicketUpdated {
    TicketUpdated {
        ticket: key(EntityKind::Ticket),
        change: TicketChange::Opened,
        status: TicketStatus::Open,
        digest: [4; 16],
        created_at: at(-8),
        channel: "email".into(),
        names: vec![key(EntityKind::Email)],
        subject: None,
        email: None,
    }
}

fn outcome() -> Outcome {
    Outcome {
        command: command_id(1),
        attempt: 1,
        state: OutcomeState::Rejected,
        code: Name::fixed("no"),
        retry_at: None,
        vendor_ref: "".into(),
        vendor_version: "".into(),
        value_before: "".into(),
        value_after: "".into(),
        cost: None,
        actor: Name::fixed(""),
        resolution: None,
        evidence: None,
    }
}
