//! A made-up merchant: what its customers do, as facts with the times they
//! happen at. Everything follows from the seed.

use fastrand::Rng;
use tradewind_domain::{
    Account, Arrival, BindingSet, Body, CartUpdated, CheckoutUpdated, ConnectionChanged, ConnectionName, Currency,
    DefinitionActivated, DefinitionHash, EntityKey, EntityKind, Fact, FactId, FactIdentity, IdentifierHash, Intake,
    KeyId, Lifecycle, Line, Money, Name, OrderCancelled, OrderPlaced, Sealed, SettingSet, Source, Tenant, TicketChange,
    TicketStatus, TicketUpdated, Timestamp, Vendor,
};
use tradewind_wire::record::NewFact;

mod rare;

pub use rare::{Rare, trouble_day};

pub const MINUTE: i64 = 60_000;
pub const HOUR: i64 = 60 * MINUTE;

/// A fact, and when the vendor first tries to deliver it.
#[derive(Clone, Debug)]
pub struct Happening {
    pub at: Timestamp,
    pub fact: NewFact,
}

/// How lively and how troubled a merchant's day is.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub customers: u32,
    pub tenants: u32,
    /// From the first cart to the last.
    pub hours: i64,
    pub quiet_minutes: i64,
    pub holdout_percent: i64,
}

impl Shape {
    #[must_use]
    pub fn drawn(rng: &mut Rng) -> Shape {
        Shape {
            customers: rng.u32(2..12),
            tenants: rng.u32(1..3),
            hours: rng.i64(1..5),
            quiet_minutes: rng.i64(5..60),
            holdout_percent: *rng.choice(&[0, 0, 30]).unwrap_or(&0),
        }
    }
}

#[must_use]
pub fn vendor(name: &str) -> Vendor {
    Vendor::new(name).expect("a vendor's name")
}

#[must_use]
pub fn tenant(number: u32) -> Tenant {
    Tenant::new(&format!("shop-{number}")).expect("a tenant's name")
}

fn account() -> Account {
    Account::new("demo.example.com").expect("an account")
}

fn store(kind: EntityKind, id: &str) -> EntityKey {
    EntityKey::at_vendor(kind, &vendor("shopify"), &account(), id)
}

fn email(customer: u32, alias: u32) -> EntityKey {
    let mut hash = [0; 16];
    hash[..4].copy_from_slice(&customer.to_be_bytes());
    hash[4..8].copy_from_slice(&alias.to_be_bytes());
    EntityKey::identifier(EntityKind::Email, IdentifierHash::from_bytes(hash))
}

fn dollars(minor: i64) -> Option<Money> {
    Some(Money { minor, currency: "USD".parse::<Currency>().expect("a currency") })
}

/// A fact of a tenant, live, made at its own time.
fn fact(
    tenant: &Tenant,
    vendor_name: &str,
    object: &EntityKey,
    version: &str,
    occurred_at: Timestamp,
    body: Body,
) -> NewFact {
    let source = Source { vendor: vendor(vendor_name), account: account() };
    new_fact(tenant, source, object.as_bytes(), version, Fact { occurred_at, body })
}

fn new_fact(tenant: &Tenant, source: Source, object: &[u8], version: &str, fact: Fact) -> NewFact {
    let id = FactId::derive(&FactIdentity {
        tenant: tenant.as_str(),
        vendor: source.vendor.as_str(),
        account: source.account.as_str(),
        kind: fact.body.kind(),
        object,
        version: version.as_bytes(),
        item: b"",
    });
    NewFact {
        tenant: tenant.clone(),
        id,
        source,
        arrival: Arrival::Live,
        produced_at: fact.occurred_at,
        recorded_at: None,
        placement: 1,
        translation: 1,
        caused_by: None,
        fact,
    }
}

/// A fact of the merchant's set-up.
#[must_use]
pub fn set_up_fact(tenant: &Tenant, entry: &str, version: u64, at: Timestamp, body: Body) -> NewFact {
    let made = new_fact(tenant, Source::ourselves(), entry.as_bytes(), "", Fact { occurred_at: at, body });
    NewFact { id: FactId::of_entry(entry, version), ..made }
}

fn connection(name: &str, vendor_name: &str, intake: Intake, active: bool, version: u64) -> Body {
    Body::ConnectionChanged(ConnectionChanged {
        connection: ConnectionName::new(name).expect("a connection's name"),
        vendor: vendor(vendor_name),
        account: account(),
        intake,
        active,
        retry_horizon_ms: 4 * HOUR,
        version,
    })
}

/// The facts a merchant starts with.
#[must_use]
pub fn set_up(tenant: &Tenant, shape: Shape, at: Timestamp) -> Vec<NewFact> {
    let setting =
        |name: &'static str, value: i64| Body::SettingSet(SettingSet { name: Name::fixed(name), value, version: 1 });
    let binding = Body::BindingSet(BindingSet {
        capability: Name::fixed("message.send"),
        channel: Name::fixed("email"),
        connection: Some(ConnectionName::new("mail").expect("a connection's name")),
        version: 1,
    });
    [
        ("connection/store", connection("store", "shopify", Intake::Webhook, true, 1)),
        ("connection/desk", connection("desk", "gorgias", Intake::Webhook, true, 1)),
        ("connection/mail", connection("mail", "klaviyo", Intake::None, true, 1)),
        ("binding/mail", binding),
        ("setting/quiet", setting("cart-recovery.quiet_minutes", shape.quiet_minutes)),
        ("setting/holdout", setting("cart-recovery.holdout_percent", shape.holdout_percent)),
    ]
    .into_iter()
    .map(|(entry, body)| set_up_fact(tenant, &format!("{tenant}/{entry}"), 1, at, body))
    .chain([activation(tenant, Lifecycle::On, 1, at)])
    .collect()
}

/// The workflow's lifecycle, as an operator sets it.
#[must_use]
pub fn activation(tenant: &Tenant, lifecycle: Lifecycle, version: u64, at: Timestamp) -> NewFact {
    let body = Body::DefinitionActivated(DefinitionActivated {
        workflow: Name::fixed("cart-recovery"),
        definition: DefinitionHash([0; 32]),
        lifecycle,
        canary_percent: 50,
        version,
    });
    set_up_fact(tenant, &format!("{tenant}/definition/cart-recovery"), version, at, body)
}

/// Ends the webhooks, so that silence is no gap any more.
#[must_use]
pub fn close_down(tenant: &Tenant, at: Timestamp) -> Vec<NewFact> {
    [("store", "shopify"), ("desk", "gorgias")]
        .into_iter()
        .map(|(name, vendor_name)| {
            let body = connection(name, vendor_name, Intake::Webhook, false, 2);
            set_up_fact(tenant, &format!("{tenant}/connection/{name}"), 2, at, body)
        })
        .collect()
}

/// A cart as one edit leaves it.
#[must_use]
pub fn cart(tenant: &Tenant, token: &str, created_at: Timestamp, at: Timestamp, quantity: i64) -> NewFact {
    let key = store(EntityKind::Cart, token);
    let line = Line {
        line_id: "1".into(),
        variant_id: "704912205188288575".into(),
        product_id: "788032119674292922".into(),
        sku: "SHIRT-S".into(),
        title: "A shirt".into(),
        quantity,
        unit_price: dollars(1_999),
    };
    let body = Body::CartUpdated(CartUpdated {
        cart: key.clone(),
        digest: [u8::try_from(quantity & 0x7f).unwrap_or(0); 16],
        created_at,
        lines: if quantity == 0 { Vec::new() } else { vec![line] },
        total: dollars(1_999 * quantity),
        names: Vec::new(),
    });
    fact(tenant, "shopify", &key, &format!("{}:{quantity}", at.millis()), at, body)
}

/// The checkout that tells whose cart it is.
#[must_use]
pub fn checkout(
    tenant: &Tenant,
    token: &str,
    customer: u32,
    alias: u32,
    created_at: Timestamp,
    at: Timestamp,
) -> NewFact {
    let key = store(EntityKind::Checkout, token);
    let names = vec![store(EntityKind::Cart, token), email(customer, alias)];
    let body = Body::CheckoutUpdated(CheckoutUpdated {
        checkout: key.clone(),
        digest: [1; 16],
        created_at,
        completed_at: None,
        lines: Vec::new(),
        total: dollars(1_999),
        names,
        email: None,
        phone: None,
        first_name: None,
        recovery_url: None,
        started: true,
    });
    let mut made = fact(tenant, "shopify", &key, &at.millis().to_string(), at, body);
    if let Body::CheckoutUpdated(checkout) = &mut made.fact.body {
        checkout.email = Some(sealed(made.id, "email"));
        checkout.first_name = Some(sealed(made.id, "first_name"));
        checkout.recovery_url = Some(sealed(made.id, "recovery_url"));
    }
    made
}

fn sealed(origin: FactId, field: &str) -> Sealed {
    Sealed {
        algorithm: 1,
        key_id: KeyId::from_bytes([2; 16]),
        origin,
        field: field.into(),
        ciphertext: vec![3; 24].into(),
    }
}

/// How an order tells that it belongs to a cart: not every order does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderedBy {
    SameAddress,
    /// Another address, and the token of the checkout.
    OtherAddress,
    /// Another address alone: a stranger to the cart.
    Stranger,
}

#[must_use]
pub fn order(tenant: &Tenant, token: &str, customer: u32, by: OrderedBy, at: Timestamp) -> NewFact {
    let key = store(EntityKind::Order, token);
    let names = match by {
        OrderedBy::SameAddress => vec![email(customer, 0)],
        OrderedBy::OtherAddress => vec![store(EntityKind::Checkout, token), email(customer, 7)],
        OrderedBy::Stranger => vec![email(customer, 9)],
    };
    let body = Body::OrderPlaced(OrderPlaced {
        order: key.clone(),
        lines: Vec::new(),
        total: dollars(1_999),
        names,
        email: None,
        phone: None,
        first_name: None,
        test: false,
        number: "#1001".into(),
    });
    fact(tenant, "shopify", &key, "placed", at, body)
}

#[must_use]
pub fn cancellation(tenant: &Tenant, token: &str, at: Timestamp) -> NewFact {
    let key = store(EntityKind::Order, token);
    let body =
        Body::OrderCancelled(OrderCancelled { order: key.clone(), reason: "customer".into(), names: Vec::new() });
    fact(tenant, "shopify", &key, "cancelled", at, body)
}

#[must_use]
pub fn ticket(tenant: &Tenant, customer: u32, status: TicketStatus, opened_at: Timestamp, at: Timestamp) -> NewFact {
    let key = ticket_key(customer, opened_at);
    let change = match status {
        TicketStatus::Open => TicketChange::Opened,
        TicketStatus::Closed => TicketChange::Closed,
    };
    let body = Body::TicketUpdated(TicketUpdated {
        ticket: key.clone(),
        change,
        status,
        digest: [4; 16],
        created_at: opened_at,
        channel: "email".into(),
        names: vec![email(customer, 0)],
        subject: None,
        email: None,
    });
    fact(tenant, "gorgias", &key, &at.millis().to_string(), at, body)
}

fn ticket_key(customer: u32, opened_at: Timestamp) -> EntityKey {
    let id = format!("{customer}-{}", opened_at.millis());
    EntityKey::at_vendor(EntityKind::Ticket, &vendor("gorgias"), &account(), &id)
}

/// A day of a merchant: what its customers do, in no order.
#[must_use]
pub fn day(rng: &mut Rng, tenant: &Tenant, shape: Shape, start: Timestamp) -> Vec<Happening> {
    let mut facts = Vec::new();
    for customer in 0..shape.customers {
        for cart_number in 0..rng.u32(1..3) {
            shopping(rng, tenant, shape, customer, cart_number, start, &mut facts);
        }
        if rng.u32(0..4) == 0 {
            let opened_at = start + rng.i64(0..shape.hours * HOUR);
            facts.push(ticket(tenant, customer, TicketStatus::Open, opened_at, opened_at));
            if rng.bool() {
                let closed_at = opened_at + rng.i64(MINUTE..HOUR);
                facts.push(ticket(tenant, customer, TicketStatus::Closed, opened_at, closed_at));
            }
        }
    }
    if rng.u32(0..4) == 0 {
        // An operator changes their mind, and perhaps changes it back.
        for version in 2..rng.u64(3..6) {
            let lifecycles = [Lifecycle::Off, Lifecycle::Observe, Lifecycle::Shadow, Lifecycle::Canary, Lifecycle::On];
            let lifecycle = *rng.choice(&lifecycles).unwrap_or(&Lifecycle::On);
            let at = start + rng.i64(0..shape.hours * HOUR);
            facts.push(activation(tenant, lifecycle, version, at));
        }
    }
    facts.into_iter().map(|fact| Happening { at: fact.fact.occurred_at, fact }).collect()
}

/// One cart from its first line to whatever becomes of it.
fn shopping(
    rng: &mut Rng,
    tenant: &Tenant,
    shape: Shape,
    customer: u32,
    cart_number: u32,
    start: Timestamp,
    facts: &mut Vec<NewFact>,
) {
    let token = format!("{customer}-{cart_number}");
    let created_at = start + rng.i64(0..shape.hours * HOUR);
    let mut at = created_at;
    for edit in 0..rng.i64(1..5) {
        // Now and then the last edit empties the cart.
        let quantity = if rng.u32(0..12) == 0 { 0 } else { edit + 1 };
        facts.push(cart(tenant, &token, created_at, at, quantity));
        at = at + rng.i64(1_000..30 * MINUTE);
    }
    if rng.u32(0..5) > 0 {
        let alias = u32::from(rng.u32(0..6) == 0);
        facts.push(checkout(tenant, &token, customer, alias, created_at, at));
    }
    if rng.u32(0..5) < 2 {
        let by = *rng
            .choice(&[OrderedBy::SameAddress, OrderedBy::OtherAddress, OrderedBy::Stranger])
            .unwrap_or(&OrderedBy::Stranger);
        let ordered_at = at + rng.i64(1_000..2 * HOUR);
        facts.push(order(tenant, &token, customer, by, ordered_at));
        if rng.u32(0..4) == 0 {
            facts.push(cancellation(tenant, &token, ordered_at + rng.i64(1_000..HOUR)));
        }
    }
}
