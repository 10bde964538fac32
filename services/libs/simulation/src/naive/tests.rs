//! Facts in, decisions out: one case for each rule that is easily misread.

use tradewind_domain::{
    Account, Arrival, BindingSet, Body, CartUpdated, CheckoutDeleted, CheckoutUpdated, ClockAdjusted, Command,
    CommandBody, CommandId, ConnectionChanged, ConnectionName, Decision, DefinitionActivated, DefinitionHash,
    EntityKey, EntityKind, Envelope, Fact, FactId, FactIdentity, GapClosed, GapOpened, IdentifierHash, IngestAlive,
    Intake, KeyId, Lifecycle, Line, Lineage, LineageKind, LineageOpened, MessageSend, Money, Name, OrderCancelled,
    OrderPlaced, Outcome, OutcomeState, Position, Resolution, Sealed, SettingSet, Source, SwitchSet, Tenant,
    TicketChange, TicketStatus, TicketUpdated, Timestamp, Transition, Vendor,
};

use super::Naive;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// When the cases begin.
const START: i64 = 1_700_000_000_000;
/// A cart of minute 0 is looked at again then: two hours quiet, five minutes late.
const FIRES: i64 = 125 * MINUTE;

/// Appends records of one tenant; times count from [`START`].
struct Case {
    naive: Naive,
    offset: u64,
    version: u64,
    tenant: Tenant,
    arrival: Arrival,
    /// Another fact than the one before, unless it is a repeat.
    serial: u8,
    decided: Vec<(Position, Decision)>,
}

impl Case {
    /// Nothing is set up.
    fn bare() -> Case {
        Case {
            naive: Naive::new(Name::fixed("test")),
            offset: 100,
            version: 0,
            tenant: tenant("demo"),
            arrival: Arrival::Live,
            serial: 0,
            decided: vec![],
        }
    }

    /// The workflow is on, and e-mail is bound to a connection that only sends.
    fn on() -> Case {
        let mut case = Case::bare();
        case.lifecycle(Lifecycle::On, 0);
        case.connection("mail", "klaviyo", Intake::None, true);
        case.bind(Some("mail"));
        case
    }

    fn append(&mut self, at: i64, body: Body) -> Vec<Decision> {
        self.serial += 1;
        self.append_as(at, at, self.serial, body)
    }

    /// `serial` and `occurred_at` are the fact's version.
    fn append_as(&mut self, at: i64, occurred_at: i64, serial: u8, body: Body) -> Vec<Decision> {
        let source = if body.about().is_some() { "shopify" } else { "tradewind" };
        self.append_envelope(Envelope {
            offset: 0,
            recorded_at: time(at),
            imported: false,
            produced_at: None,
            tenant: self.tenant.clone(),
            id: fact_id(serial),
            source: Source { vendor: vendor(source), account: Account::none() },
            arrival: self.arrival,
            placement: 0,
            translation: 0,
            caused_by: None,
            fact: Fact { occurred_at: time(occurred_at), body },
        })
    }

    fn append_envelope(&mut self, envelope: Envelope) -> Vec<Decision> {
        self.offset += 2;
        self.decided = self.naive.record(&Envelope { offset: self.offset, ..envelope });
        self.decided.iter().map(|(_, decision)| decision.clone()).collect()
    }

    fn tick(&mut self, at: i64) -> Vec<Decision> {
        self.append(at, Body::Tick)
    }

    /// The last record's one decision, as its reasons.
    fn reasons(&self) -> Vec<&str> {
        let [(_, decision)] = self.decided.as_slice() else { panic!("expected one decision, got {:?}", self.decided) };
        decision.choices[0].reasons.iter().map(Name::as_str).collect()
    }

    fn next_version(&mut self) -> u64 {
        self.version += 1;
        self.version
    }

    fn lifecycle(&mut self, lifecycle: Lifecycle, canary_percent: u32) {
        let version = self.next_version();
        let workflow = Name::fixed("cart-recovery");
        let definition = DefinitionHash([0; 32]);
        let body = DefinitionActivated { workflow, definition, lifecycle, canary_percent, version };
        self.append(0, Body::DefinitionActivated(body));
    }

    fn connection(&mut self, name: &str, of: &str, intake: Intake, active: bool) {
        let body = connection(name, of, intake, active, self.next_version());
        self.append(0, body);
    }

    fn bind(&mut self, to: Option<&str>) {
        let version = self.next_version();
        let body = BindingSet {
            capability: Name::fixed("message.send"),
            channel: Name::fixed("email"),
            connection: to.map(connection_name),
            version,
        };
        self.append(0, Body::BindingSet(body));
    }

    fn set(&mut self, name: &'static str, value: i64) {
        let version = self.next_version();
        self.append(0, Body::SettingSet(SettingSet { name: Name::fixed(name), value, version }));
    }

    fn switch(&mut self, at: i64, scope: &'static str, stopped: bool) -> Vec<Decision> {
        let version = self.next_version();
        self.append(
            at,
            Body::SwitchSet(SwitchSet { scope: scope.parse().unwrap(), stopped, reason: "".into(), version }),
        )
    }

    fn outcome(&mut self, at: i64, command: CommandId, state: OutcomeState) -> Vec<Decision> {
        self.append(at, outcome(command, state, None))
    }

    /// A cart of a customer who is known by mail, quiet from minute 0 on.
    fn quiet_cart(&mut self) {
        self.append(0, cart("c1", 2, &[]));
        self.append(0, checkout("k1", &[key(EntityKind::Cart, "c1"), email(1)]));
    }
}

fn time(at: i64) -> Timestamp {
    Timestamp::from_millis(START + at)
}

fn tenant(name: &str) -> Tenant {
    Tenant::new(name).unwrap()
}

fn vendor(name: &str) -> Vendor {
    Vendor::new(name).unwrap()
}

fn connection_name(name: &str) -> ConnectionName {
    ConnectionName::new(name).unwrap()
}

fn fact_id(serial: u8) -> FactId {
    FactId::from_bytes([serial; 16])
}

fn key(kind: EntityKind, id: &str) -> EntityKey {
    EntityKey::at_vendor(kind, &vendor("shopify"), &Account::new("demo").unwrap(), id)
}

fn email(number: u8) -> EntityKey {
    EntityKey::identifier(EntityKind::Email, IdentifierHash::from_bytes([number; 16]))
}

fn sealed(text: &str) -> Sealed {
    Sealed {
        algorithm: 1,
        key_id: KeyId::from_bytes([1; 16]),
        origin: fact_id(1),
        field: "email".into(),
        ciphertext: text.as_bytes().into(),
    }
}

fn lines(count: usize) -> Vec<Line> {
    let line = |number| Line {
        line_id: "".into(),
        variant_id: "".into(),
        product_id: "".into(),
        sku: format!("sku-{number}").into(),
        title: "".into(),
        quantity: 1,
        unit_price: None,
    };
    (0..count).map(line).collect()
}

fn connection(name: &str, of: &str, intake: Intake, active: bool, version: u64) -> Body {
    Body::ConnectionChanged(ConnectionChanged {
        connection: connection_name(name),
        vendor: vendor(of),
        account: Account::new("demo").unwrap(),
        intake,
        active,
        retry_horizon_ms: HOUR,
        version,
    })
}

/// Created at minute 0.
fn cart(id: &str, count: usize, names: &[EntityKey]) -> Body {
    Body::CartUpdated(CartUpdated {
        cart: key(EntityKind::Cart, id),
        digest: [0; 16],
        created_at: time(0),
        lines: lines(count),
        total: Some(Money { minor: 1_999, currency: "EUR".parse().unwrap() }),
        names: names.to_vec(),
    })
}

/// With an e-mail address, created at minute 0.
fn checkout_of(id: &str, names: &[EntityKey]) -> CheckoutUpdated {
    CheckoutUpdated {
        checkout: key(EntityKind::Checkout, id),
        digest: [0; 16],
        created_at: time(0),
        completed_at: None,
        lines: lines(1),
        total: None,
        names: names.to_vec(),
        email: Some(sealed(id)),
        phone: None,
        first_name: None,
        recovery_url: Some(sealed(&format!("url-{id}"))),
        started: false,
    }
}

fn checkout(id: &str, names: &[EntityKey]) -> Body {
    Body::CheckoutUpdated(checkout_of(id, names))
}

fn order_of(id: &str, names: &[EntityKey]) -> OrderPlaced {
    OrderPlaced {
        order: key(EntityKind::Order, id),
        lines: vec![],
        total: None,
        names: names.to_vec(),
        email: None,
        phone: None,
        first_name: None,
        test: false,
        number: "".into(),
    }
}

fn order(id: &str, names: &[EntityKey]) -> Body {
    Body::OrderPlaced(order_of(id, names))
}

fn ticket(status: TicketStatus, names: &[EntityKey]) -> Body {
    Body::TicketUpdated(TicketUpdated {
        ticket: key(EntityKind::Ticket, "t1"),
        change: TicketChange::Updated,
        status,
        digest: [0; 16],
        created_at: time(0),
        channel: "email".into(),
        names: names.to_vec(),
        subject: None,
        email: None,
    })
}

fn outcome(command: CommandId, state: OutcomeState, resolution: Option<Resolution>) -> Body {
    Body::Outcome(Outcome {
        command,
        attempt: 1,
        state,
        code: Name::fixed("ok"),
        retry_at: None,
        vendor_ref: "".into(),
        vendor_version: "".into(),
        value_before: "".into(),
        value_after: "".into(),
        cost: None,
        actor: Name::fixed(""),
        resolution,
        evidence: None,
    })
}

fn alive(vendors: &[&str]) -> Body {
    Body::IngestAlive(IngestAlive { vendors: vendors.iter().map(|name| vendor(name)).collect() })
}

fn transitions(decisions: &[Decision]) -> Vec<&Transition> {
    decisions.iter().flat_map(|decision| &decision.choices).flat_map(|choice| &choice.transitions).collect()
}

fn commands(decisions: &[Decision]) -> Vec<&Command> {
    let issued = transitions(decisions).into_iter().filter_map(|transition| {
        let Transition::CommandIssued { command } = transition else { return None };
        Some(command)
    });
    issued.collect()
}

fn message(decisions: &[Decision]) -> &MessageSend {
    let CommandBody::MessageSend(message) = &commands(decisions)[0].body;
    message
}

/// Transitions, each as one word and what tells it apart.
fn told(decisions: &[Decision]) -> Vec<String> {
    let tell = |transition: &Transition| match transition {
        Transition::InstanceStarted { .. } => "started".into(),
        Transition::StepEntered { step, iteration } => format!("step {step} {iteration}"),
        Transition::VariableSet { .. } => "variable".into(),
        Transition::WakeupSet { name, due, .. } => format!("set {name} {}", due.since(time(0)) / MINUTE),
        Transition::WakeupCleared { name, .. } => format!("cleared {name}"),
        Transition::SlotReserved { cap, at, .. } => format!("reserved {cap} {}", at.since(time(0)) / MINUTE),
        Transition::SlotReleased { cap, .. } => format!("released {cap}"),
        Transition::CommandIssued { .. } => "issued".into(),
        Transition::Withheld { rule, .. } => format!("withheld {rule}"),
        Transition::Suppressed { rule, .. } => format!("suppressed {rule}"),
        Transition::Deferred { rule, until, .. } => format!("deferred {rule} {}", until.since(time(0)) / MINUTE),
        Transition::HeldOut { .. } => "held out".into(),
        Transition::Derived { .. } => "derived".into(),
        Transition::InstanceEnded { reason } => format!("ended {reason}"),
        Transition::OutcomeMissing { .. } => "outcome missing".into(),
    };
    transitions(decisions).into_iter().map(tell).collect()
}

fn feature(decisions: &[Decision], name: &str) -> Option<f64> {
    let feature = decisions[0].choices[0].features.iter().find(|feature| feature.name.as_str() == name);
    feature.map(|feature| feature.value)
}

#[test]
fn a_quiet_cart_gets_one_message() {
    let mut case = Case::on();
    let started = case.append(0, cart("c1", 25, &[email(1)]));
    assert_eq!(told(&started), ["started", "step quiet 1", "set quiet 120"]);
    assert_eq!(case.append(0, checkout("k1", &[key(EntityKind::Cart, "c1"), email(1)])), []);
    assert_eq!(case.tick(FIRES - 1), []);
    let sent = case.tick(FIRES);
    let expected = ["cleared quiet", "derived", "step remind 1", "reserved promotional 125", "issued"];
    assert_eq!(told(&sent)[..5], expected);
    assert_eq!(told(&sent)[5..], ["set outcome 1625"]);
    assert_eq!(case.decided[0].0, Position { offset: case.offset, step: 1 });
    let command = commands(&sent)[0];
    assert_eq!(command.decision, sent[0].id);
    assert_eq!(command.contact, Some(sealed("k1")));
    assert_eq!(command.causes, [fact_id(4), fact_id(4)]);
    assert_eq!(command.deadline, time(FIRES + DAY));
    assert_eq!(message(&sent).lines.len(), 20);
    assert_eq!(message(&sent).recovery_url, Some(sealed("url-k1")));
    let names: Vec<&str> = sent[0].choices[0].features.iter().map(|feature| feature.name.as_str()).collect();
    assert_eq!(names, ["cart_lines", "cart_total_minor", "quiet_ms", "orders", "tickets_open", "promotional_slots"]);
    assert_eq!(feature(&sent, "cart_lines"), Some(25.0));
    assert_eq!(case.tick(FIRES + HOUR), []);
}

#[test]
fn the_derived_fact_is_about_the_version_that_fell_quiet() {
    let mut case = Case::on();
    case.append_as(0, 0, 77, cart("c1", 1, &[]));
    let decisions = case.tick(FIRES);
    let Transition::Derived { id, fact } = transitions(&decisions)[1] else { panic!("expected a derived fact") };
    let cart = key(EntityKind::Cart, "c1");
    let identity = FactIdentity {
        tenant: "demo",
        vendor: "tradewind",
        account: "",
        kind: "commerce.cart.abandoned.v1",
        object: cart.as_bytes(),
        version: &[77; 16],
        item: b"",
    };
    assert_eq!(*id, FactId::derive(&identity));
    assert_eq!(fact.occurred_at, time(FIRES));
    assert_eq!(case.reasons(), ["no_contact"]);
}

#[test]
fn only_what_is_new_starts_an_instance() {
    let mut case = Case::on();
    case.append_as(0, 0, 50, cart("c1", 1, &[email(1)]));
    case.append_as(MINUTE, MINUTE, 51, cart("c1", 0, &[]));
    case.tick(FIRES + MINUTE);
    assert_eq!(case.reasons(), ["emptied"]);
    // A repeat, an older version, and the newest version again.
    assert_eq!(case.append_as(FIRES, 0, 50, cart("c1", 1, &[])), []);
    assert_eq!(case.append_as(FIRES, MINUTE, 49, cart("c1", 1, &[])), []);
    assert_eq!(case.append_as(FIRES, MINUTE, 51, cart("c1", 1, &[])), []);
    // At one time the higher id is newer.
    assert_eq!(told(&case.append_as(FIRES, MINUTE, 52, cart("c1", 1, &[])))[0], "started");
    case.append_as(FIRES, 0, 60, checkout("k1", &[]));
    case.tick(2 * FIRES);
    assert_eq!(case.append_as(2 * FIRES, 0, 60, checkout("k1", &[])), []);
}

#[test]
fn what_is_no_trigger_starts_nothing() {
    let mut case = Case::on();
    let mut completed = checkout_of("k1", &[]);
    completed.completed_at = Some(time(0));
    assert_eq!(case.append(0, Body::CheckoutUpdated(completed)), []);
    assert_eq!(case.append(0, cart("c1", 0, &[])), []);
    assert_eq!(case.append_as(0, -7 * DAY - 1, 60, cart("c2", 1, &[])), []);
    assert_eq!(case.append_as(0, -7 * DAY, 61, cart("c3", 1, &[])).len(), 1);
    case.arrival = Arrival::Backfill;
    assert_eq!(case.append(0, cart("c4", 1, &[])), []);
    case.arrival = Arrival::Recovered;
    assert_eq!(case.append(0, cart("c5", 1, &[])).len(), 1);
    let mut off = Case::bare();
    assert_eq!(off.append(0, cart("c1", 1, &[])), []);
}

#[test]
fn an_edit_moves_the_wakeup_and_writes_nothing_before() {
    let mut case = Case::on();
    case.append(0, cart("c1", 1, &[]));
    assert_eq!(case.append(HOUR, cart("c1", 2, &[])), []);
    // An edit of the checkout counts as well.
    assert_eq!(case.append(90 * MINUTE, checkout("k1", &[key(EntityKind::Cart, "c1")])), []);
    assert_eq!(told(&case.tick(FIRES)), ["set quiet 210"]);
    assert_eq!(case.reasons(), ["edited"]);
    assert_eq!(case.tick(210 * MINUTE), []);
    assert_eq!(case.tick(215 * MINUTE).len(), 1);
}

#[test]
fn a_repeat_can_only_make_a_cart_quiet_earlier() {
    let mut case = Case::on();
    case.append_as(MINUTE, 0, 50, cart("c1", 1, &[email(1)]));
    // The broker's clock was set back.
    case.append_as(0, 0, 50, cart("c1", 1, &[email(1)]));
    case.append_as(HOUR, 0, 50, cart("c1", 1, &[email(1)]));
    let decisions = case.tick(FIRES + HOUR);
    assert_eq!(feature(&decisions, "quiet_ms"), Some((FIRES + HOUR) as f64));
}

#[test]
fn a_checkout_without_a_cart_stands_for_itself() {
    let mut case = Case::on();
    let started = case.append(0, checkout("k1", &[email(1)]));
    assert_eq!(started[0].choices[0].subject, key(EntityKind::Checkout, "k1"));
    let sent = case.tick(FIRES);
    assert_eq!(message(&sent).cart, Some(key(EntityKind::Checkout, "k1")));
    assert_eq!(feature(&sent, "cart_total_minor"), None);
}

#[test]
fn a_cart_known_by_its_checkout_alone_is_told_by_its_newest_version() {
    let mut case = Case::on();
    let names = [key(EntityKind::Cart, "c1"), email(1)];
    case.append_as(0, 5, 50, checkout("k1", &names));
    let mut older = checkout_of("k2", &names);
    older.lines = lines(3);
    case.append_as(MINUTE, 0, 51, Body::CheckoutUpdated(older));
    let sent = case.tick(FIRES);
    assert_eq!(feature(&sent, "cart_lines"), Some(1.0));
    // The older version, which came later, was an edit all the same.
    assert_eq!(feature(&sent, "quiet_ms"), Some((FIRES - MINUTE) as f64));
    assert_eq!(commands(&sent)[0].causes, [fact_id(50), fact_id(50)]);
}

#[test]
fn a_deleted_checkout_leads_nowhere() {
    let mut case = Case::on();
    case.quiet_cart();
    let names = [key(EntityKind::Cart, "c1"), email(1)];
    case.append(0, checkout("k2", &names));
    case.append(0, Body::CheckoutDeleted(CheckoutDeleted { checkout: key(EntityKind::Checkout, "k2") }));
    let sent = case.tick(FIRES);
    assert_eq!(message(&sent).recovery_url, Some(sealed("url-k1")));
    // Its address is still the newest.
    assert_eq!(commands(&sent)[0].contact, Some(sealed("k2")));
}

#[test]
fn an_order_of_anybody_linked_ends_it() {
    let customer = key(EntityKind::Customer, "7");
    let placed = |names: &[EntityKey]| order("o1", names);
    let cancelled = Body::OrderCancelled(OrderCancelled {
        order: key(EntityKind::Order, "o1"),
        reason: "".into(),
        names: vec![email(1)],
    });
    for (occurred_at, body, reason) in [
        // Two links away, and not before the cart was made.
        (0, placed(std::slice::from_ref(&customer)), "ordered"),
        // An earlier purchase.
        (-1, placed(std::slice::from_ref(&customer)), ""),
        // Somebody else's.
        (0, placed(&[email(9)]), ""),
        // Cancelled since: it was an order.
        (MINUTE, cancelled, "ordered"),
        // However old, it is this cart's or this checkout's.
        (-DAY, placed(&[key(EntityKind::Cart, "c1")]), "ordered"),
        (-DAY, placed(&[key(EntityKind::Checkout, "k1")]), "ordered"),
    ] {
        let mut case = Case::on();
        case.append(0, ticket(TicketStatus::Closed, &[email(1), customer.clone()]));
        case.quiet_cart();
        case.append_as(HOUR, occurred_at, 90, body.clone());
        let decisions = case.tick(FIRES);
        assert_eq!(case.reasons().concat(), reason, "{occurred_at} {body:?}");
        if reason == "ordered" {
            assert_eq!(told(&decisions), ["cleared quiet", "suppressed ordered", "ended ordered"]);
            let [alternative] = decisions[0].choices[0].alternatives.as_slice() else { panic!("expected one arm") };
            assert_eq!((alternative.rule.clone(), alternative.propensity), (Some(Name::fixed("ordered")), 0.0));
        }
    }
}

#[test]
fn a_completed_checkout_is_an_order() {
    let mut case = Case::on();
    case.quiet_cart();
    let mut completed = checkout_of("k1", &[key(EntityKind::Cart, "c1")]);
    completed.completed_at = Some(time(0));
    case.append(0, Body::CheckoutUpdated(completed));
    case.tick(FIRES);
    assert_eq!(case.reasons(), ["ordered"]);
}

#[test]
fn an_order_with_the_record_that_makes_it_due_counts() {
    let mut case = Case::on();
    case.quiet_cart();
    case.append(FIRES, order("o1", &[email(1)]));
    assert_eq!(case.reasons(), ["ordered"]);
}

#[test]
fn the_address_is_that_of_the_newest_fact_that_has_one() {
    let mut case = Case::on();
    case.quiet_cart();
    let mut newer = order_of("o1", &[email(2), email(1)]);
    newer.email = Some(sealed("newest"));
    case.append_as(0, -1, 90, Body::OrderPlaced(newer.clone()));
    newer.email = Some(sealed("older"));
    newer.first_name = Some(sealed("name"));
    case.append_as(0, -3, 91, Body::OrderPlaced(newer));
    let sent = case.tick(FIRES);
    // The checkout's is newer than the orders', and on the first identifier.
    assert_eq!((&commands(&sent)[0].target, &commands(&sent)[0].contact), (&email(1), &Some(sealed("k1"))));
    assert_eq!(message(&sent).first_name, Some(sealed("name")));
}

#[test]
fn of_two_addresses_of_one_fact_the_higher_identifier_is_used() {
    let mut case = Case::on();
    case.append(0, checkout("k1", &[email(2), email(3), email(1)]));
    assert_eq!(commands(&case.tick(FIRES))[0].target, email(3));
}

#[test]
fn rules_speak_in_their_order() {
    type Objection = fn(&mut Case);
    // Each case adds what an earlier rule objects to.
    let steps: [(&str, Objection); 7] = [
        ("no_contact", |_| {}),
        ("no_binding", |case| case.bind(None)),
        ("open_ticket", |case| drop(case.append(0, ticket(TicketStatus::Open, &[key(EntityKind::Cart, "c1")])))),
        ("observe", |case| case.lifecycle(Lifecycle::Observe, 0)),
        ("expired", |case| case.set("cart-recovery.expire_hours", 2)),
        ("ordered", |case| drop(case.append(0, order("o1", &[key(EntityKind::Cart, "c1")])))),
        ("emptied", |case| drop(case.append(1, cart("c1", 0, &[])))),
    ];
    for applied in 0..steps.len() {
        let mut case = Case::on();
        case.append(0, cart("c1", 1, &[]));
        steps[..=applied].iter().for_each(|(_, add)| add(&mut case));
        case.tick(FIRES + 1);
        assert_eq!(case.reasons(), [steps[applied].0]);
    }
}

#[test]
fn a_binding_to_an_inactive_connection_is_none() {
    let mut case = Case::on();
    case.quiet_cart();
    case.connection("mail", "klaviyo", Intake::None, false);
    case.tick(FIRES);
    assert_eq!(case.reasons(), ["no_binding"]);
}

#[test]
fn a_closed_ticket_is_judged_by_its_newest_version() {
    for (closed_at, reason) in [(MINUTE, ""), (-MINUTE, "open_ticket")] {
        let mut case = Case::on();
        case.quiet_cart();
        case.append_as(0, 0, 90, ticket(TicketStatus::Open, &[email(1)]));
        case.append_as(0, closed_at, 91, ticket(TicketStatus::Closed, &[email(1)]));
        case.tick(FIRES);
        assert_eq!(case.reasons().concat(), reason);
    }
}

#[test]
fn only_a_higher_version_of_an_entry_replaces() {
    let mut case = Case::on();
    let quiet = |value, version| {
        let name = Name::fixed("cart-recovery.quiet_minutes");
        Body::SettingSet(SettingSet { name, value, version })
    };
    case.append(0, quiet(30, 7));
    case.append(0, quiet(40, 7));
    case.append(0, quiet(50, 6));
    assert_eq!(told(&case.append(0, cart("c1", 1, &[])))[2], "set quiet 30");
    case.append(0, quiet(-1, 8));
    assert_eq!(told(&case.append(0, cart("c2", 1, &[])))[2], "set quiet 0");
}

#[test]
fn what_this_record_set_fires_with_the_next_one() {
    let mut case = Case::on();
    case.set("cart-recovery.quiet_minutes", 0);
    case.set("cart-recovery.lateness_minutes", 0);
    assert_eq!(told(&case.append(0, cart("c1", 1, &[])))[0], "started");
    assert_eq!(told(&case.tick(0))[0], "cleared quiet");
}

#[test]
fn due_wakeups_fire_in_order_and_see_one_another() {
    let mut case = Case::on();
    case.append(MINUTE, cart("late", 1, &[email(1)]));
    case.append(0, cart("early", 1, &[email(1)]));
    case.append(MINUTE, checkout("k1", &[key(EntityKind::Cart, "late"), email(1)]));
    let decisions = case.tick(FIRES + MINUTE);
    // Both are set by the watermark, which had reached the first minute: the id decides.
    let wakeups: Vec<_> = decisions.iter().map(|decision| decision.wakeup.unwrap()).collect();
    assert!(wakeups[0] < wakeups[1]);
    assert_eq!(case.decided.iter().map(|(position, _)| position.step).collect::<Vec<_>>(), [1, 2]);
    // The second message is a day's second to one customer.
    assert_eq!(commands(&decisions).len(), 1);
    assert_eq!(told(&decisions[1..])[2..], ["deferred cap 1566", "set quiet 1566"]);
    assert_eq!(feature(&decisions[1..], "promotional_slots"), Some(1.0));
}

#[test]
fn a_wakeup_of_one_tenant_may_fire_with_a_record_of_another() {
    let mut case = Case::on();
    case.append(0, cart("c1", 1, &[]));
    case.tenant = tenant("other");
    let decisions = case.append_as(FIRES, 0, 99, Body::Tick);
    assert_eq!((decisions[0].tenant.as_str(), decisions[0].fact), ("demo", fact_id(99)));
}

#[test]
fn the_cap_counts_windows_of_commands() {
    let mut case = Case::on();
    case.set("cap.promotional.per_day", 5);
    case.set("cap.promotional.per_week", 2);
    case.set("cart-recovery.expire_hours", 1_000);
    for (day, expected) in [(0, "issued"), (1, "issued"), (2, "deferred cap")] {
        let at = day * DAY;
        case.append(at, checkout(&format!("k{day}"), &[email(1)]));
        let decisions = case.tick(at + FIRES);
        assert!(told(&decisions).iter().any(|told| told.starts_with(expected)), "{day}: {:?}", told(&decisions));
    }
    // A week after the first, to the millisecond.
    let opens = 7 * DAY + FIRES;
    assert!(commands(&case.tick(opens + 5 * MINUTE - 1)).is_empty());
    assert_eq!(commands(&case.tick(opens + 5 * MINUTE)).len(), 1);
}

#[test]
fn a_place_opens_when_its_window_has_passed() {
    let mut case = Case::on();
    case.set("cart-recovery.lateness_minutes", 0);
    for id in ["k1", "k2"] {
        case.append(0, checkout(id, &[email(1)]));
    }
    assert_eq!(commands(&case.tick(FIRES)).len(), 1);
    assert_eq!(commands(&case.tick(FIRES + DAY)).len(), 1);
}

#[test]
fn a_lower_limit_waits_until_few_enough_are_left() {
    let mut case = Case::on();
    case.set("cap.promotional.per_day", 5);
    case.append(0, checkout("k1", &[email(1)]));
    case.tick(FIRES);
    case.append(FIRES, checkout("k2", &[email(1)]));
    case.tick(2 * FIRES);
    case.set("cap.promotional.per_day", 1);
    case.append(2 * FIRES, checkout("k3", &[email(1)]));
    // The second one's window ends last; a week's three places would not hold it back.
    assert_eq!(told(&case.tick(3 * FIRES))[2], "deferred cap 1690");
    // With both caps full, the later of the two counts.
    case.set("cart-recovery.expire_hours", 1_000);
    case.set("cap.promotional.per_week", 1);
    case.append(3 * FIRES, checkout("k4", &[email(1)]));
    assert_eq!(told(&case.tick(4 * FIRES))[2], "deferred cap 10330");
}

#[test]
fn a_cart_expires_after_its_last_hour_not_with_it() {
    for (at, reason) in [(3 * HOUR, ""), (3 * HOUR + 1, "expired")] {
        let mut case = Case::on();
        case.quiet_cart();
        case.set("cart-recovery.expire_hours", 3);
        case.tick(at);
        assert_eq!(case.reasons().concat(), reason);
    }
    let mut case = Case::on();
    case.quiet_cart();
    case.switch(0, "all", true);
    case.set("cart-recovery.expire_hours", 4);
    assert_eq!(told(&case.tick(3 * HOUR))[2], "deferred stopped 240");
}

#[test]
fn a_limit_of_none_never_opens() {
    let mut case = Case::on();
    case.quiet_cart();
    case.set("cap.promotional.per_week", 0);
    assert_eq!(told(&case.tick(FIRES))[2..], ["suppressed cap", "ended cap"]);
}

#[test]
fn a_wait_that_outlasts_the_cart_suppresses() {
    let mut case = Case::on();
    case.quiet_cart();
    case.switch(0, "capability/message.send", true);
    case.set("cart-recovery.expire_hours", 3);
    assert_eq!(told(&case.tick(FIRES))[2..], ["suppressed stopped", "ended stopped"]);
}

#[test]
fn every_scope_stops_and_resuming_is_seen_an_hour_later() {
    for scope in ["workflow/cart-recovery", "capability/message.send", "connection/mail", "all"] {
        let mut case = Case::on();
        case.quiet_cart();
        case.switch(0, scope, true);
        assert_eq!(told(&case.tick(FIRES))[2..], ["deferred stopped 185", "set quiet 185"]);
        assert_eq!(case.reasons(), ["stopped"]);
        assert_eq!(case.switch(FIRES, scope, false), []);
        assert_eq!(commands(&case.tick(FIRES + HOUR + 5 * MINUTE)).len(), 1);
    }
}

#[test]
fn a_final_outcome_ends_the_instance_once_and_frees_its_slot_only_without_effect() {
    for (state, resolution, expected) in [
        (OutcomeState::Succeeded, None, vec!["cleared outcome", "ended succeeded"]),
        (OutcomeState::Rejected, None, vec!["cleared outcome", "released promotional", "ended rejected"]),
        (
            OutcomeState::Resolved,
            Some(Resolution::DidNotHappen),
            vec!["cleared outcome", "released promotional", "ended resolved"],
        ),
        (OutcomeState::Resolved, Some(Resolution::Happened), vec!["cleared outcome", "ended resolved"]),
    ] {
        let mut case = Case::on();
        case.quiet_cart();
        let command = commands(&case.tick(FIRES))[0].id;
        assert_eq!(case.outcome(FIRES, command, OutcomeState::Failed), []);
        assert_eq!(told(&case.append(FIRES, outcome(command, state, resolution))), expected);
        assert_eq!(case.append(FIRES, outcome(command, state, resolution)), []);
        assert_eq!(case.outcome(FIRES, command, OutcomeState::Expired), []);
        // A free slot lets the next cart through, a taken one does not.
        case.append(FIRES, checkout("k2", &[email(1)]));
        let sent = commands(&case.tick(2 * FIRES)).len();
        assert_eq!(sent, usize::from(expected.len() == 3));
    }
}

#[test]
fn an_outcome_of_nobodys_command_is_silent() {
    let mut case = Case::on();
    assert_eq!(case.outcome(0, CommandId::from_bytes([9; 16]), OutcomeState::Succeeded), []);
}

#[test]
fn a_missing_outcome_ends_the_instance_and_a_late_one_says_nothing() {
    let mut case = Case::on();
    case.quiet_cart();
    let command = commands(&case.tick(FIRES))[0].id;
    assert_eq!(case.tick(FIRES + 25 * HOUR - 1), []);
    let expected = ["cleared outcome", "outcome missing", "ended outcome_missing"];
    assert_eq!(told(&case.tick(FIRES + 25 * HOUR)), expected);
    assert_eq!(case.outcome(FIRES + 26 * HOUR, command, OutcomeState::Rejected), []);
}

#[test]
fn an_outcome_that_comes_with_its_missing_wakeup_wins() {
    let mut case = Case::on();
    case.quiet_cart();
    let command = commands(&case.tick(FIRES))[0].id;
    case.outcome(FIRES + 30 * HOUR, command, OutcomeState::Succeeded);
    assert_eq!(case.reasons(), ["succeeded"]);
    assert_eq!(case.decided[0].0.step, 0);
}

#[test]
fn observe_records_and_starts_nothing() {
    let mut case = Case::on();
    case.lifecycle(Lifecycle::Observe, 0);
    assert_eq!(told(&case.append(0, cart("c1", 1, &[]))), ["suppressed observe"]);
    assert_eq!(case.reasons(), ["observed"]);
    assert_eq!(case.tick(FIRES), []);
    // Nor is anybody met by it: the draw is still to come.
    case.lifecycle(Lifecycle::On, 0);
    case.set("cart-recovery.holdout_percent", 100);
    assert_eq!(told(&case.append(FIRES, cart("c1", 2, &[])))[1], "held out");
}

#[test]
fn nothing_is_sent_unless_the_workflow_is_on_when_it_fires() {
    for (lifecycle, percent, reason) in [
        (Lifecycle::Off, 0, "off"),
        (Lifecycle::Observe, 0, "observe"),
        (Lifecycle::Shadow, 0, "shadow"),
        (Lifecycle::Approve, 0, "approve"),
        (Lifecycle::Canary, 0, "canary"),
        (Lifecycle::Canary, 400, ""),
        (Lifecycle::On, 0, ""),
    ] {
        let mut case = Case::on();
        case.quiet_cart();
        case.lifecycle(lifecycle, percent);
        let decisions = case.tick(FIRES);
        assert_eq!(case.reasons().concat(), reason, "{lifecycle:?} {percent}");
        let choice = &decisions[0].choices[0];
        assert_eq!((choice.lifecycle, choice.withholds), (lifecycle, !reason.is_empty()));
    }
}

#[test]
fn in_shadow_everything_is_decided_and_the_command_is_withheld() {
    let mut case = Case::on();
    case.quiet_cart();
    case.lifecycle(Lifecycle::Shadow, 0);
    let withheld = case.tick(FIRES);
    assert_eq!(told(&withheld), ["cleared quiet", "derived", "withheld shadow", "ended shadow"]);
    let mut on = Case::on();
    on.quiet_cart();
    // As many facts, so that both are decided on the same one.
    on.lifecycle(Lifecycle::On, 0);
    let sent = on.tick(FIRES);
    let found = transitions(&withheld).into_iter().find_map(|transition| {
        if let Transition::Withheld { command, .. } = transition { Some(command) } else { None }
    });
    assert_eq!(found, Some(commands(&sent)[0]), "the very command that would have been sent");
    assert_eq!(withheld[0].choices[0].chosen, sent[0].choices[0].chosen);
    // The rules speak in shadow as they would if it were on.
    let mut capped = Case::on();
    capped.quiet_cart();
    capped.lifecycle(Lifecycle::Shadow, 0);
    capped.append(0, ticket(TicketStatus::Open, &[key(EntityKind::Cart, "c1")]));
    capped.tick(FIRES);
    assert_eq!(capped.reasons(), ["open_ticket"]);
}

#[test]
fn holdout_is_drawn_once_and_holds_for_all_who_are_linked() {
    let mut case = Case::on();
    case.set("cart-recovery.holdout_percent", 100);
    let started = case.append(0, cart("c1", 1, &[email(1)]));
    assert_eq!(told(&started), ["started", "held out", "step quiet 1", "set quiet 120"]);
    assert!(started[0].choices[0].holdout);
    case.set("cart-recovery.holdout_percent", 0);
    // Another cart of the same customer is not held out itself.
    let other = case.append(0, checkout("k2", &[email(1)]));
    assert_eq!((told(&other)[1].as_str(), other[0].choices[0].holdout), ("step quiet 1", false));
    let decisions = case.tick(FIRES);
    assert_eq!(decisions.len(), 2);
    assert!(decisions.iter().all(|decision| decision.choices[0].holdout));
    assert_eq!(told(&decisions[1..])[2..], ["suppressed holdout", "ended holdout"]);
    // Met before, so it is not drawn again.
    let again = case.append(2 * FIRES, cart("c1", 2, &[email(1)]));
    assert_eq!(told(&again), ["started", "step quiet 1", "set quiet 370"]);
    assert!(again[0].choices[0].holdout);
}

#[test]
fn a_silent_source_is_waited_for_and_then_named() {
    let mut case = Case::on();
    case.connection("shop", "shopify", Intake::Webhook, true);
    case.quiet_cart();
    assert_eq!(case.tick(FIRES), []);
    assert_eq!(case.tick(FIRES + 4 * HOUR - 1), []);
    let decisions = case.tick(FIRES + 4 * HOUR);
    assert_eq!(decisions[0].choices[0].missing, [Name::fixed("shop")]);
    assert_eq!(commands(&decisions).len(), 1);
}

#[test]
fn a_source_that_is_heard_is_not_waited_for() {
    let mut case = Case::on();
    case.connection("shop", "shopify", Intake::Webhook, true);
    case.quiet_cart();
    for minute in 0..=125 {
        case.append_as(minute * MINUTE, 0, 200, alive(&["shopify"]));
    }
    assert_eq!(case.decided.len(), 1);
    assert_eq!(case.decided[0].1.choices[0].missing, []);
}

#[test]
fn a_hole_holds_until_the_retry_horizon_has_passed() {
    let mut case = Case::on();
    case.connection("shop", "shopify", Intake::Webhook, true);
    case.quiet_cart();
    // Heard again after more than a minute: what was retried may still come, for an hour.
    for at in [FIRES, FIRES + MINUTE, FIRES + HOUR - 1] {
        assert_eq!(case.append(at, alive(&["shopify"])), []);
    }
    // The last silence was itself a hole.
    assert_eq!(case.append(FIRES + HOUR, alive(&["shopify"])), []);
    assert_eq!(case.append(FIRES + HOUR + MINUTE, alive(&["shopify"])), []);
    let until = FIRES + 2 * HOUR - 1;
    let mut at = FIRES + HOUR + MINUTE;
    while at + MINUTE < until {
        at += MINUTE;
        assert_eq!(case.append_as(at, 0, 200, alive(&["shopify"])), []);
    }
    assert_eq!(case.append_as(until - 1, 0, 200, alive(&["shopify"])), []);
    assert_eq!(case.append_as(until, 0, 200, alive(&["shopify"])).len(), 1);
}

#[test]
fn a_reconciliation_covers_the_hole() {
    let closed = |of: &str, connection: Option<&str>, until| {
        let connection = connection.map(connection_name);
        Body::GapClosed(GapClosed { vendor: vendor(of), connection, until: time(until) })
    };
    for (of, connection, until, fires) in [
        ("shopify", None, FIRES, true),
        ("shopify", Some("shop"), FIRES, true),
        ("shopify", Some("other"), FIRES, false),
        ("gorgias", None, FIRES, false),
        ("shopify", None, FIRES - 1, false),
    ] {
        let mut case = Case::on();
        case.connection("shop", "shopify", Intake::Webhook, true);
        case.quiet_cart();
        assert_eq!(case.append(FIRES, alive(&["shopify"])), []);
        let decisions = case.append(FIRES, closed(of, connection, until));
        assert_eq!(decisions.len(), usize::from(fires), "{of} {connection:?} {until}");
    }
}

#[test]
fn a_connection_owes_nothing_from_before_it_was_active() {
    let mut case = Case::on();
    case.quiet_cart();
    case.append(0, connection("shop", "shopify", Intake::Webhook, false, 50));
    case.append(FIRES - MINUTE, connection("shop", "shopify", Intake::Webhook, true, 51));
    // A change of an active one does not begin again.
    case.append(FIRES - 1, connection("shop", "shopify", Intake::Webhook, true, 52));
    assert_eq!(case.tick(FIRES + 1), [] as [Decision; 0]);
    let mut case = Case::on();
    case.quiet_cart();
    case.append(FIRES - MINUTE, connection("shop", "shopify", Intake::Webhook, true, 51));
    assert_eq!(case.tick(FIRES).len(), 1);
}

#[test]
fn history_shows_nobody_is_there() {
    let mut case = Case::on();
    case.connection("shop", "shopify", Intake::Webhook, true);
    case.quiet_cart();
    let silent_since = FIRES - MINUTE - 1;
    case.append(silent_since, alive(&["shopify"]));
    let covered = GapClosed { vendor: vendor("shopify"), connection: None, until: time(silent_since) };
    case.append(silent_since, Body::GapClosed(covered));
    case.arrival = Arrival::Backfill;
    case.append(FIRES - 1, order("o1", &[email(9)]));
    assert_eq!(case.tick(FIRES), []);
}

#[test]
fn an_inactive_connection_is_no_source() {
    let mut case = Case::on();
    case.connection("shop", "shopify", Intake::Webhook, false);
    case.quiet_cart();
    // What an older version of it said does not count.
    case.append(0, connection("shop", "shopify", Intake::Webhook, true, 0));
    assert_eq!(case.tick(FIRES).len(), 1);
}

#[test]
fn a_polled_connection_has_the_gaps_it_was_told() {
    let mut case = Case::on();
    case.connection("poll", "gorgias", Intake::Poll, true);
    case.quiet_cart();
    let (connection, of) = (Some(connection_name("poll")), vendor("gorgias"));
    let other = GapClosed { vendor: of.clone(), connection: Some(connection_name("other")), until: time(0) };
    case.append(0, Body::GapClosed(other.clone()));
    assert_eq!(case.append(0, checkout("k2", &[])).len(), 1);
    let opened = GapOpened { vendor: of.clone(), connection: connection.clone(), from: time(0) };
    case.append(0, Body::GapOpened(opened));
    assert_eq!(case.tick(FIRES), []);
    // Closing the vendor's gap does not close the connection's.
    let whole = GapClosed { vendor: of.clone(), connection: None, until: time(FIRES) };
    assert_eq!(case.append(FIRES, Body::GapClosed(whole)), []);
    assert_eq!(case.append(FIRES, Body::GapClosed(other)), []);
    let own = GapClosed { vendor: of, connection, until: time(0) };
    assert_eq!(case.append(FIRES, Body::GapClosed(own)).len(), 2);
}

#[test]
fn a_broker_ahead_of_its_producers_moves_the_watermark_by_a_minute() {
    let mut case = Case::on();
    case.quiet_cart();
    let ahead = |produced_at, imported| Envelope {
        offset: 0,
        recorded_at: time(365 * DAY),
        imported,
        produced_at: Some(time(produced_at)),
        tenant: Tenant::system(),
        id: fact_id(250),
        source: Source::ourselves(),
        arrival: Arrival::Live,
        placement: 0,
        translation: 0,
        caused_by: None,
        fact: Fact { occurred_at: time(0), body: Body::Tick },
    };
    assert_eq!(case.append_envelope(ahead(FIRES - MINUTE - 1, false)), []);
    let decisions = case.append_envelope(ahead(FIRES - MINUTE, false));
    assert_eq!(decisions[0].watermark, time(FIRES));
    // An imported record brings its own time.
    assert_eq!(case.append_envelope(ahead(FIRES, true))[0].watermark, time(365 * DAY));
}

#[test]
fn time_is_stretched_on_a_dev_lineage_only() {
    for (kinds, fires) in [
        (vec![LineageKind::Dev, LineageKind::Production], true),
        (vec![LineageKind::Production, LineageKind::Dev], false),
        (vec![], false),
    ] {
        let mut case = Case::on();
        for kind in kinds {
            let lineage = Lineage::from_bytes([1; 16]);
            case.append(0, Body::LineageOpened(LineageOpened { lineage, kind }));
        }
        case.quiet_cart();
        let leap = ClockAdjusted { speed_permille: 10_000, skip_ms: HOUR };
        assert_eq!(case.append(MINUTE, Body::ClockAdjusted(leap)), []);
        // 61 minutes, and ten for each one: 125 are reached 6.4 minutes later.
        assert_eq!(case.tick(MINUTE + 6 * MINUTE + 23_999), []);
        let decisions = case.tick(MINUTE + 6 * MINUTE + 24_000);
        assert_eq!(decisions.len(), usize::from(fires));
        if fires {
            // A negative leap is none, and speed is never 0.
            let slow = ClockAdjusted { speed_permille: 0, skip_ms: -HOUR };
            case.append(MINUTE + 6 * MINUTE + 24_000, Body::ClockAdjusted(slow));
            case.append(MINUTE + 6 * MINUTE + 25_000, cart("c2", 1, &[]));
            assert_eq!(case.decided[0].1.watermark, time(FIRES + 1));
        }
    }
}

#[test]
fn a_leap_holds_for_the_record_that_brings_it() {
    let mut case = Case::on();
    let lineage = LineageOpened { lineage: Lineage::from_bytes([1; 16]), kind: LineageKind::Dev };
    case.append(0, Body::LineageOpened(lineage));
    case.quiet_cart();
    let leap = ClockAdjusted { speed_permille: 1_000, skip_ms: FIRES - 1 };
    assert_eq!(case.append(1, Body::ClockAdjusted(leap)).len(), 1);
}

#[test]
fn a_deleted_checkout_still_stands_for_its_cart() {
    let mut case = Case::on();
    case.append(0, checkout("k1", &[key(EntityKind::Cart, "c1"), email(1)]));
    case.append(0, Body::CheckoutDeleted(CheckoutDeleted { checkout: key(EntityKind::Checkout, "k1") }));
    let sent = case.tick(FIRES);
    assert_eq!(message(&sent).recovery_url, None);
}

#[test]
fn tenants_share_no_customer_and_no_cap() {
    let mut case = Case::on();
    case.quiet_cart();
    case.tenant = tenant("other");
    case.lifecycle(Lifecycle::On, 0);
    case.connection("mail", "klaviyo", Intake::None, true);
    case.bind(Some("mail"));
    case.append(0, order("o1", &[email(1)]));
    // Made after that order.
    case.append_as(0, 0, 240, checkout("k1", &[key(EntityKind::Cart, "c1"), email(2)]));
    case.append_as(0, 0, 241, ticket(TicketStatus::Closed, &[email(2)]));
    assert_eq!(commands(&case.tick(FIRES)).len(), 2);
    // The first tenant's slot at an identifier is none of the second one's.
    case.append(FIRES, checkout("k2", &[email(1), email(3)]));
    assert_eq!(feature(&case.tick(2 * FIRES), "promotional_slots"), Some(0.0));
}
