//! The values the goldens encode, one a case, written from `golden/<case>.txtpb`.

use tradewind_domain::*;
use tradewind_wire::vault::KeyEntry;

/// What a golden decodes to.
#[derive(Debug, PartialEq)]
pub(crate) enum Sample {
    Fact(Box<Fact>),
    Command(Box<Command>),
    Decision(Box<DecisionRecord>),
    Ledger(LedgerEntry),
    Directory(DirectoryEntry),
    Raw(RawDelivery),
    DeadLetter(DeadLetter),
    Key(KeyEntry),
    Envelope(Box<Envelope>),
}

/// Each case with its value.
pub(crate) fn all() -> Vec<(&'static str, Sample)> {
    let mut samples: Vec<_> = facts().into_iter().map(|(case, fact)| (case, Sample::Fact(Box::new(fact)))).collect();
    samples.extend([
        ("command.message_send", Sample::Command(Box::new(command()))),
        ("command.message_send.minimal", Sample::Command(Box::new(minimal_command()))),
        ("decision.decision", Sample::Decision(Box::new(DecisionRecord::Decision(decision())))),
        ("decision.decision.minimal", Sample::Decision(Box::new(DecisionRecord::Decision(minimal_decision())))),
        ("decision.turn_committed", Sample::Decision(Box::new(DecisionRecord::TurnCommitted(turn())))),
        ("decision.lineage", Sample::Decision(Box::new(DecisionRecord::Lineage(lineage(LineageKind::Dev))))),
        ("raw.delivery", Sample::Raw(delivery())),
        (
            "dead_letter.delivery",
            Sample::DeadLetter(DeadLetter {
                delivery: delivery(),
                reason: name("malformed"),
                expected: "a number in updated_at".into(),
                translation: 4,
            }),
        ),
        (
            "key.entry",
            Sample::Key(KeyEntry {
                id: key_id(),
                tenant: tenant(),
                owner: *b"owner-hash-that-has-32-bytes-001",
                wrapped: (*b"wrapped").into(),
                nonce: *b"nonce-000001",
                created_at: at(1_700_000_000_000),
            }),
        ),
        ("envelope.event", Sample::Envelope(Box::new(envelope()))),
        (
            "envelope.event.of_a_fact",
            Sample::Envelope(Box::new(Envelope { caused_by: Some(Cause::Fact(fact_id(8))), ..envelope() })),
        ),
    ]);
    samples.extend(ledger().into_iter().map(|(case, entry)| (case, Sample::Ledger(entry))));
    samples.extend(directory().into_iter().map(|(case, entry)| (case, Sample::Directory(entry))));
    samples
}

pub(crate) fn tenant() -> Tenant {
    Tenant::new("demo").unwrap()
}

pub(crate) fn shopify() -> Vendor {
    Vendor::new("shopify").unwrap()
}

pub(crate) fn shop() -> Account {
    Account::new("demo.myshopify.com").unwrap()
}

fn name(text: &'static str) -> Name {
    Name::fixed(text)
}

fn connection(text: &str) -> ConnectionName {
    ConnectionName::new(text).unwrap()
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

pub(crate) fn fact_id(last: u8) -> FactId {
    let mut bytes = *b"fact-id-0000000_";
    bytes[15] = b'0' + last;
    FactId::from_bytes(bytes)
}

pub(crate) fn command_id(last: u8) -> CommandId {
    let mut bytes = *b"command-id-0000_";
    bytes[15] = b'0' + last;
    CommandId::from_bytes(bytes)
}

fn wakeup_id(last: u8) -> WakeupId {
    let mut bytes = *b"wakeup-id-00000_";
    bytes[15] = b'0' + last;
    WakeupId::from_bytes(bytes)
}

fn instance_id() -> InstanceId {
    InstanceId::from_bytes(*b"instance-id-0001")
}

fn key_id() -> KeyId {
    KeyId::from_bytes(*b"key-id-000000001")
}

pub(crate) fn lineage_id() -> Lineage {
    Lineage::from_bytes(*b"lineage-00000001")
}

pub(crate) fn lineage(kind: LineageKind) -> LineageOpened {
    LineageOpened { lineage: lineage_id(), kind }
}

fn definition() -> DefinitionHash {
    DefinitionHash(*b"definition-hash-of-32-bytes-0001")
}

fn at_shop(kind: EntityKind, id: &str) -> EntityKey {
    EntityKey::at_vendor(kind, &shopify(), &shop(), id)
}

fn nowhere(kind: EntityKind, id: &str) -> EntityKey {
    EntityKey::at_vendor(kind, &Vendor::none(), &Account::none(), id)
}

fn ticket() -> EntityKey {
    EntityKey::at_vendor(EntityKind::Ticket, &Vendor::new("gorgias").unwrap(), &Account::new("demo").unwrap(), "42")
}

fn email() -> EntityKey {
    EntityKey::identifier(EntityKind::Email, IdentifierHash::from_bytes(*b"email-hash-00001"))
}

fn phone() -> EntityKey {
    EntityKey::identifier(EntityKind::Phone, IdentifierHash::from_bytes(*b"phone-hash-00001"))
}

fn money(minor: i64, currency: &str) -> Option<Money> {
    Some(Money { minor, currency: currency.parse().unwrap() })
}

fn sealed(field: &str, ciphertext: &[u8]) -> Option<Sealed> {
    Some(Sealed {
        algorithm: 1,
        key_id: key_id(),
        origin: fact_id(1),
        field: field.into(),
        ciphertext: ciphertext.into(),
    })
}

fn empty_line() -> Line {
    Line {
        line_id: "".into(),
        variant_id: "".into(),
        product_id: "".into(),
        sku: "".into(),
        title: "".into(),
        quantity: 1,
        unit_price: None,
    }
}

fn delivery() -> RawDelivery {
    RawDelivery {
        connection: connection("store"),
        received_at: at(1_700_000_000_456),
        headers: vec![Header { name: "x-shopify-topic".into(), value: "carts/update".into() }],
        body: sealed("raw", b"r").unwrap(),
    }
}

pub(crate) fn cart_updated() -> Fact {
    occurred(Body::CartUpdated(CartUpdated {
        cart: at_shop(EntityKind::Cart, "c1"),
        digest: *b"cart-digest-0001",
        created_at: at(1_699_999_990_000),
        lines: vec![Line {
            line_id: "l1".into(),
            variant_id: "v1".into(),
            product_id: "p1".into(),
            sku: "CUP-1".into(),
            title: "Blue cup".into(),
            quantity: 2,
            unit_price: money(1999, "USD"),
        }],
        total: money(3998, "USD"),
        names: vec![at_shop(EntityKind::Customer, "7"), email()],
    }))
}

fn occurred(body: Body) -> Fact {
    Fact { occurred_at: at(1_700_000_000_123), body }
}

fn undated(body: Body) -> Fact {
    Fact { occurred_at: at(0), body }
}

pub(crate) fn envelope() -> Envelope {
    Envelope {
        offset: 0,
        recorded_at: at(1_700_000_000_000),
        imported: true,
        produced_at: Some(at(1_699_999_999_999)),
        tenant: tenant(),
        id: fact_id(9),
        source: Source { vendor: shopify(), account: shop() },
        arrival: Arrival::Live,
        placement: 2,
        translation: 4,
        caused_by: Some(Cause::Command(command_id(1))),
        fact: occurred(Body::Tick),
    }
}

fn switch() -> SwitchSet {
    SwitchSet {
        scope: Scope::Workflow(name("cart-recovery")),
        stopped: true,
        reason: "wrong prices".into(),
        version: 5,
    }
}

fn commerce() -> Vec<(&'static str, Fact)> {
    vec![
        ("fact.cart_updated", cart_updated()),
        (
            "fact.cart_updated.minimal",
            undated(Body::CartUpdated(CartUpdated {
                cart: nowhere(EntityKind::Cart, "c1"),
                digest: *b"cart-digest-0001",
                created_at: at(0),
                lines: vec![],
                total: None,
                names: vec![],
            })),
        ),
        (
            "fact.checkout_updated",
            occurred(Body::CheckoutUpdated(CheckoutUpdated {
                checkout: at_shop(EntityKind::Checkout, "k1"),
                digest: *b"kout-digest-0001",
                created_at: at(1_699_999_990_000),
                completed_at: Some(at(1_699_999_999_000)),
                lines: vec![Line { line_id: "l1".into(), ..empty_line() }],
                total: money(-5, "EUR"),
                names: vec![phone()],
                email: sealed("email", b"\0\xffe"),
                phone: sealed("phone", b"\0\xffp"),
                first_name: sealed("first_name", b"\0\xfff"),
                recovery_url: sealed("recovery_url", b"\0\xffu"),
                started: true,
            })),
        ),
        (
            "fact.checkout_deleted",
            occurred(Body::CheckoutDeleted(CheckoutDeleted { checkout: at_shop(EntityKind::Checkout, "k1") })),
        ),
        (
            "fact.order_placed",
            occurred(Body::OrderPlaced(OrderPlaced {
                order: at_shop(EntityKind::Order, "9007199254740993"),
                lines: vec![Line { sku: "CUP-1".into(), ..empty_line() }],
                total: money(1999, "JPY"),
                names: vec![email()],
                email: sealed("email", b"e"),
                phone: sealed("phone", b"p"),
                first_name: sealed("first_name", b"f"),
                test: true,
                number: "#1001".into(),
            })),
        ),
        (
            "fact.order_placed.minimal",
            undated(Body::OrderPlaced(OrderPlaced {
                order: nowhere(EntityKind::Order, "1"),
                lines: vec![],
                total: None,
                names: vec![],
                email: None,
                phone: None,
                first_name: None,
                test: false,
                number: "".into(),
            })),
        ),
        (
            "fact.order_cancelled",
            occurred(Body::OrderCancelled(OrderCancelled {
                order: at_shop(EntityKind::Order, "1"),
                reason: "customer".into(),
                names: vec![email()],
            })),
        ),
        (
            "fact.ticket_updated",
            occurred(Body::TicketUpdated(TicketUpdated {
                ticket: ticket(),
                change: TicketChange::Closed,
                status: TicketStatus::Closed,
                digest: *b"tick-digest-0001",
                created_at: at(1_699_999_990_000),
                channel: "email".into(),
                names: vec![email()],
                subject: sealed("subject", b"s"),
                email: sealed("email", b"e"),
            })),
        ),
        (
            "fact.ticket_messaged",
            occurred(Body::TicketMessaged(TicketMessaged {
                ticket: ticket(),
                message_id: "m1".into(),
                direction: Direction::Note,
                channel: "chat".into(),
                names: vec![email()],
                body: sealed("body", b"b"),
                email: sealed("email", b"e"),
            })),
        ),
        (
            "fact.cart_abandoned",
            occurred(Body::CartAbandoned(CartAbandoned {
                cart: at_shop(EntityKind::Cart, "c1"),
                quiet_since: at(1_699_999_990_000),
                cart_fact: fact_id(2),
            })),
        ),
    ]
}

fn outcomes() -> Vec<(&'static str, Fact)> {
    vec![
        (
            "fact.outcome",
            occurred(Body::Outcome(Outcome {
                command: command_id(1),
                attempt: 3,
                state: OutcomeState::Resolved,
                code: name("timeout"),
                retry_at: Some(at(1_700_000_060_000)),
                vendor_ref: "evt-1".into(),
                vendor_version: "v2".into(),
                value_before: "10".into(),
                value_after: "12".into(),
                cost: money(3, "USD"),
                actor: name("operator"),
                resolution: Some(Resolution::DidNotHappen),
                evidence: sealed("evidence", b"v"),
            })),
        ),
        (
            "fact.outcome.minimal",
            undated(Body::Outcome(Outcome {
                command: command_id(1),
                attempt: 0,
                state: OutcomeState::Accepted,
                code: name(""),
                retry_at: None,
                vendor_ref: "".into(),
                vendor_version: "".into(),
                value_before: "".into(),
                value_after: "".into(),
                cost: None,
                actor: name(""),
                resolution: None,
                evidence: None,
            })),
        ),
    ]
}

fn of_the_log() -> Vec<(&'static str, Fact)> {
    let vendor = shopify();
    let connection = Some(connection("store"));
    let then = at(1_699_999_990_000);
    vec![
        ("fact.lineage_opened", occurred(Body::LineageOpened(lineage(LineageKind::Production)))),
        (
            "fact.ingest_alive",
            occurred(Body::IngestAlive(IngestAlive { vendors: vec![vendor.clone(), Vendor::new("gorgias").unwrap()] })),
        ),
        ("fact.tick", occurred(Body::Tick)),
        (
            "fact.gap_opened",
            occurred(Body::GapOpened(GapOpened { vendor: vendor.clone(), connection: connection.clone(), from: then })),
        ),
        ("fact.gap_closed", occurred(Body::GapClosed(GapClosed { vendor: vendor.clone(), connection, until: then }))),
        ("fact.gap_closed.minimal", undated(Body::GapClosed(GapClosed { vendor, connection: None, until: at(0) }))),
        (
            "fact.clock_adjusted",
            occurred(Body::ClockAdjusted(ClockAdjusted { speed_permille: 60_000, skip_ms: 3_600_000 })),
        ),
    ]
}

fn of_the_set_up() -> Vec<(&'static str, Fact)> {
    vec![
        (
            "fact.connection_changed",
            occurred(Body::ConnectionChanged(ConnectionChanged {
                connection: connection("store"),
                vendor: shopify(),
                account: shop(),
                intake: Intake::Poll,
                active: true,
                retry_horizon_ms: 14_400_000,
                version: 2,
            })),
        ),
        (
            "fact.binding_set",
            occurred(Body::BindingSet(BindingSet {
                capability: name("message.send"),
                channel: name("email"),
                connection: Some(connection("mail")),
                version: 3,
            })),
        ),
        (
            "fact.setting_set",
            occurred(Body::SettingSet(SettingSet {
                name: name("cart-recovery.quiet_minutes"),
                value: -30,
                version: 4,
            })),
        ),
        ("fact.switch_set", occurred(Body::SwitchSet(switch()))),
        (
            "fact.definition_activated",
            occurred(Body::DefinitionActivated(DefinitionActivated {
                workflow: name("cart-recovery"),
                definition: definition(),
                lifecycle: Lifecycle::Canary,
                canary_percent: 10,
                version: 6,
            })),
        ),
        (
            "fact.approval_decided",
            occurred(Body::ApprovalDecided(ApprovalDecided {
                command: command_id(1),
                granted: true,
                actor: name("operator"),
                reason: name("known_customer"),
            })),
        ),
        (
            "fact.fact_unparked",
            occurred(Body::FactUnparked(FactUnparked {
                fact: fact_id(9),
                envelope: Box::new(envelope()),
                actor: name("operator"),
            })),
        ),
        (
            "fact.instance_unparked",
            occurred(Body::InstanceUnparked(InstanceUnparked { instance: instance_id(), actor: name("operator") })),
        ),
        ("fact.tenant_moved", occurred(Body::TenantMoved { to_partition: 7, placement: 2 })),
        ("fact.tenant_arrived", occurred(Body::TenantArrived { from_partition: 3, placement: 2 })),
        (
            "fact.erasure_requested",
            occurred(Body::ErasureRequested { request: fact_id(5), entities: vec![email()], actor: name("operator") }),
        ),
        (
            "fact.erasure_completed",
            occurred(Body::ErasureCompleted {
                request: fact_id(5),
                keys: 2,
                vendors: vec![name("klaviyo"), name("gorgias")],
            }),
        ),
    ]
}

fn facts() -> Vec<(&'static str, Fact)> {
    [commerce(), outcomes(), of_the_log(), of_the_set_up()].concat()
}

pub(crate) fn command() -> Command {
    Command {
        id: command_id(1),
        tenant: tenant(),
        connection: connection("mail"),
        vendor: Vendor::new("klaviyo").unwrap(),
        account: Account::new("pk_demo").unwrap(),
        target: at_shop(EntityKind::Customer, "7"),
        change: Change::Relative,
        class: CommandClass::Promotional,
        issued_at: at(1_700_003_600_000),
        not_before: at(1_700_003_600_000),
        deadline: at(1_700_090_000_000),
        workflow: name("cart-recovery"),
        instance: instance_id(),
        decision: decision_id(),
        causes: vec![fact_id(2), fact_id(1)],
        approval: Some(fact_id(3)),
        compensates: Some(command_id(0)),
        contact: sealed("email", b"e"),
        body: CommandBody::MessageSend(MessageSend {
            channel: name("email"),
            template: name("cart_reminder"),
            cart: Some(at_shop(EntityKind::Cart, "c1")),
            lines: vec![MessageLine {
                sku: "CUP-1".into(),
                title: "Blue cup".into(),
                quantity: 2,
                unit_price: money(1999, "USD"),
            }],
            total: money(3998, "USD"),
            recovery_url: sealed("recovery_url", b"u"),
            first_name: sealed("first_name", b"f"),
        }),
    }
}

fn decision_id() -> DecisionId {
    DecisionId::from_bytes(*b"decision-id-0001")
}

fn minimal_command() -> Command {
    Command {
        id: command_id(1),
        tenant: Tenant::system(),
        connection: connection("mail"),
        vendor: Vendor::none(),
        account: Account::none(),
        target: nowhere(EntityKind::Customer, "7"),
        change: Change::Absolute,
        class: CommandClass::Care,
        issued_at: at(0),
        not_before: at(0),
        deadline: at(0),
        workflow: name(""),
        instance: instance_id(),
        decision: decision_id(),
        causes: vec![],
        approval: None,
        compensates: None,
        contact: None,
        body: CommandBody::MessageSend(MessageSend {
            channel: name(""),
            template: name(""),
            cart: None,
            lines: vec![],
            total: None,
            recovery_url: None,
            first_name: None,
        }),
    }
}

/// With every transition there is.
pub(crate) fn decision() -> Decision {
    let derived = Fact {
        occurred_at: at(1_700_003_600_000),
        body: Body::CartAbandoned(CartAbandoned {
            cart: at_shop(EntityKind::Cart, "c1"),
            quiet_since: at(1_700_000_000_123),
            cart_fact: fact_id(1),
        }),
    };
    Decision {
        id: decision_id(),
        tenant: tenant(),
        fact: fact_id(2),
        wakeup: Some(wakeup_id(1)),
        watermark: at(1_700_003_600_000),
        build: name("0.1.0"),
        choices: vec![Choice {
            workflow: name("cart-recovery"),
            definition: definition(),
            instance: instance_id(),
            subject: at_shop(EntityKind::Cart, "c1"),
            lifecycle: Lifecycle::Canary,
            withholds: true,
            facts_read: vec![fact_id(1), fact_id(2)],
            facts_read_more: 5,
            features: vec![Feature { name: name("cart_value"), value: 39.98 }],
            alternatives: vec![
                Alternative { arm: name("remind"), rule: None, propensity: 0.95 },
                Alternative { arm: name("discount"), rule: Some(name("margin")), propensity: 0.0 },
            ],
            chosen: Some(name("remind")),
            seed: u64::MAX,
            policy: name("epsilon"),
            policy_version: 2,
            holdout: true,
            explored: true,
            reasons: vec![name("quiet")],
            missing: vec![name("gorgias")],
            transitions: vec![
                Transition::InstanceStarted { trigger: fact_id(1) },
                Transition::StepEntered { step: name("remind"), iteration: 1 },
                Transition::VariableSet { name: name("reminders"), value: -1 },
                Transition::WakeupSet {
                    wakeup: wakeup_id(2),
                    name: name("quiet"),
                    due: at(1_700_007_200_000),
                    lateness_ms: 300_000,
                    awaits_sources: true,
                    round: 1,
                },
                Transition::WakeupCleared { wakeup: wakeup_id(1), name: name("quiet") },
                Transition::SlotReserved {
                    cap: name("promotional"),
                    entity: email(),
                    command: command_id(1),
                    at: at(1_700_003_600_000),
                },
                Transition::SlotReleased { cap: name("promotional"), entity: email(), command: command_id(0) },
                Transition::CommandIssued { command: command() },
                Transition::Suppressed { capability: Capability::MessageSend, rule: name("open_ticket") },
                Transition::Deferred {
                    capability: Capability::MessageSend,
                    rule: name("quiet_hours"),
                    until: at(1_700_010_800_000),
                },
                Transition::HeldOut { entity: email() },
                Transition::Derived { id: fact_id(4), fact: derived },
                Transition::InstanceEnded { reason: name("sent") },
                Transition::OutcomeMissing { command: command_id(0) },
                Transition::Withheld { command: minimal_command(), rule: name("shadow") },
            ],
        }],
        parked: vec![
            Parked::Fact(FactParked {
                fact: fact_id(9),
                build: name("0.1.0"),
                reason: "expected a cart".into(),
                entities: vec![at_shop(EntityKind::Cart, "c1")],
            }),
            parked(ParkedAt::Wakeup(wakeup_id(1))),
            parked(ParkedAt::Trigger(fact_id(1))),
            parked(ParkedAt::Outcome(fact_id(2))),
        ],
    }
}

fn parked(at: ParkedAt) -> Parked {
    Parked::Instance(InstanceParked {
        instance: instance_id(),
        at,
        workflow: name("cart-recovery"),
        subject: at_shop(EntityKind::Cart, "c1"),
        build: name("0.1.0"),
        reason: "expected a step".into(),
    })
}

fn minimal_decision() -> Decision {
    Decision {
        id: decision_id(),
        tenant: Tenant::system(),
        fact: fact_id(2),
        wakeup: None,
        watermark: at(0),
        build: name(""),
        choices: vec![Choice {
            workflow: name(""),
            definition: definition(),
            instance: instance_id(),
            subject: nowhere(EntityKind::Cart, "c1"),
            lifecycle: Lifecycle::On,
            withholds: false,
            facts_read: vec![],
            facts_read_more: 0,
            features: vec![],
            alternatives: vec![],
            chosen: None,
            seed: 0,
            policy: name(""),
            policy_version: 0,
            holdout: false,
            explored: false,
            reasons: vec![],
            missing: vec![],
            transitions: vec![],
        }],
        parked: vec![],
    }
}

pub(crate) fn turn() -> TurnCommitted {
    TurnCommitted {
        lineage: lineage_id(),
        from: Position { offset: 10, step: 0 },
        to: Position { offset: 20, step: 3 },
        watermark: at(1_700_003_600_000),
        facts: 10,
        wakeups: 3,
        decisions: 4,
        commands: 2,
        build: name("0.1.0"),
    }
}

pub(crate) fn ledger() -> Vec<(&'static str, LedgerEntry)> {
    vec![
        (
            "ledger.claimed",
            LedgerEntry::Claimed(Claimed {
                command: command_id(1),
                attempt: 2,
                valid_ms: 60_000,
                first_claimed_at: at(1_700_003_601_000),
                step: 1,
            }),
        ),
        (
            "ledger.step_answered",
            LedgerEntry::StepAnswered(StepAnswered {
                command: command_id(1),
                attempt: 2,
                step: 1,
                status: 202,
                answer: sealed("answer", b"a"),
            }),
        ),
        (
            "ledger.verdict",
            LedgerEntry::Verdict(Verdict {
                command: command_id(1),
                attempt: 2,
                // Tag 40, a message of 20 bytes: the command in field 1, accepted in field 3.
                outcome: (*b"\xc2\x02\x14\x0a\x10command-id-00001\x18\x01").into(),
            }),
        ),
        ("ledger.position", LedgerEntry::Position(LedgerPosition { lineage: lineage_id(), offset: 77 })),
    ]
}

fn directory() -> Vec<(&'static str, DirectoryEntry)> {
    let entry = |version, value| DirectoryEntry { version, value };
    vec![
        (
            "directory.tenant",
            entry(
                1,
                DirectoryValue::Tenant(TenantEntry {
                    tenant: tenant(),
                    partition: 11,
                    placement: 1,
                    pepper: name("file:demo-pepper"),
                }),
            ),
        ),
        (
            "directory.connection",
            entry(
                2,
                DirectoryValue::Connection(ConnectionEntry {
                    tenant: tenant(),
                    connection: connection("store"),
                    vendor: shopify(),
                    account: shop(),
                    intake: Intake::Webhook,
                    active: true,
                    token_hash: *b"token-hash-with-32-bytes-0000001",
                    secrets: vec![name("file:new"), name("file:old")],
                    retry_horizon_ms: 14_400_000,
                    requests_per_second: 2,
                    max_body_bytes: 1_048_576,
                }),
            ),
        ),
        (
            "directory.definition",
            entry(
                1,
                DirectoryValue::Definition(DefinitionStored {
                    workflow: name("cart-recovery"),
                    definition: definition(),
                    text: "name: cart-recovery\n".into(),
                }),
            ),
        ),
        ("directory.switch", entry(5, DirectoryValue::Switch { tenant: tenant(), switch: switch() })),
        ("directory.format", entry(1, DirectoryValue::Format(1))),
        (
            "directory.owner",
            entry(
                9,
                DirectoryValue::Owner(OwnerEntry {
                    partition: 3,
                    address: name("127.0.0.1:7400"),
                    build: name("0.1.0"),
                }),
            ),
        ),
    ]
}
