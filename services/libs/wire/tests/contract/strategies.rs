//! Any value of the domain. Left out is what the wire holds as absent: an
//! optional name that is empty, an optional time that is 0.
//!
//! The larger strategies are boxed: unboxed, their trees outgrow a test's stack.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use tradewind_domain::*;

fn bytes16() -> impl Strategy<Value = [u8; 16]> {
    any::<[u8; 16]>()
}

macro_rules! ids {
    ($($function:ident $name:ident),* $(,)?) => {
        $(pub(crate) fn $function() -> impl Strategy<Value = $name> {
            bytes16().prop_map($name::from_bytes)
        })*
    };
}

ids! {
    fact_id FactId, instance_id InstanceId, command_id CommandId, decision_id DecisionId,
    wakeup_id WakeupId, lineage_id Lineage, key_id KeyId,
}

fn text() -> impl Strategy<Value = Box<str>> {
    any::<String>().prop_map(Into::into)
}

pub(crate) fn tenant() -> impl Strategy<Value = Tenant> {
    "([a-z0-9._][a-z0-9._-]{0,11})?".prop_map(|text| Tenant::new(&text).unwrap())
}

fn vendor() -> impl Strategy<Value = Vendor> {
    "[a-z0-9._-]{0,12}".prop_map(|text| Vendor::new(&text).unwrap())
}

fn account() -> impl Strategy<Value = Account> {
    "\\PC{0,20}".prop_filter_map("an account", |text| Account::new(&text).ok())
}

fn connection() -> impl Strategy<Value = ConnectionName> {
    "[a-z0-9._-]{1,12}".prop_map(|text| ConnectionName::new(&text).unwrap())
}

fn name() -> impl Strategy<Value = Name> {
    "\\PC{0,20}".prop_filter_map("a name", |text| Name::new(&text).ok())
}

fn some_name() -> impl Strategy<Value = Option<Name>> {
    option::of("\\PC{1,20}".prop_filter_map("a name", |text| Name::new(&text).ok()))
}

fn time() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(Timestamp::from_millis)
}

fn some_time() -> impl Strategy<Value = Option<Timestamp>> {
    option::of(time().prop_filter("a time that is known", |time| time.millis() != 0))
}

pub(crate) fn position() -> impl Strategy<Value = Position> {
    any::<(u64, u32)>().prop_map(|(offset, step)| Position { offset, step })
}

fn money() -> impl Strategy<Value = Option<Money>> {
    option::of((any::<i64>(), "[A-Z]{3}").prop_map(|(minor, code)| Money { minor, currency: code.parse().unwrap() }))
}

fn bytes() -> impl Strategy<Value = Box<[u8]>> {
    vec(any::<u8>(), 0..40).prop_map(Into::into)
}

fn sealed() -> BoxedStrategy<Sealed> {
    (any::<u32>(), key_id(), fact_id(), text(), bytes())
        .prop_map(|(algorithm, key_id, origin, field, ciphertext)| Sealed {
            algorithm,
            key_id,
            origin,
            field,
            ciphertext,
        })
        .boxed()
}

fn entity() -> BoxedStrategy<EntityKey> {
    let kind = prop::sample::select(vec![
        EntityKind::Email,
        EntityKind::Phone,
        EntityKind::Customer,
        EntityKind::Cart,
        EntityKind::Checkout,
        EntityKind::Order,
        EntityKind::Ticket,
    ]);
    let id = prop_oneof![text().prop_map(Ok), bytes16().prop_map(|hash| Err(IdentifierHash::from_bytes(hash)))];
    (kind, vendor(), account(), id)
        .prop_map(|(kind, vendor, account, id)| {
            let id = id.as_ref().map_or_else(|hash| EntityId::Hash(*hash), |id| EntityId::Vendor(id));
            EntityKey::new(kind, &vendor, &account, id)
        })
        .boxed()
}

fn entities() -> impl Strategy<Value = Vec<EntityKey>> {
    vec(entity(), 0..3)
}

fn definition() -> impl Strategy<Value = DefinitionHash> {
    any::<[u8; 32]>().prop_map(DefinitionHash)
}

fn lines() -> BoxedStrategy<Vec<Line>> {
    let line = (text(), text(), text(), text(), text(), any::<i64>(), money()).prop_map(
        |(line_id, variant_id, product_id, sku, title, quantity, unit_price)| Line {
            line_id,
            variant_id,
            product_id,
            sku,
            title,
            quantity,
            unit_price,
        },
    );
    vec(line, 0..3).boxed()
}

fn commerce() -> BoxedStrategy<Body> {
    let sealed = || option::of(sealed());
    prop_oneof![
        (entity(), bytes16(), time(), lines(), money(), entities()).prop_map(
            |(cart, digest, created_at, lines, total, names)| Body::CartUpdated(CartUpdated {
                cart,
                digest,
                created_at,
                lines,
                total,
                names
            })
        ),
        (
            (entity(), bytes16(), time(), some_time(), lines(), money(), entities()),
            (sealed(), sealed(), sealed(), sealed(), any::<bool>())
        )
            .prop_map(
                |(
                    (checkout, digest, created_at, completed_at, lines, total, names),
                    (email, phone, first_name, recovery_url, started),
                )| {
                    Body::CheckoutUpdated(CheckoutUpdated {
                        checkout,
                        digest,
                        created_at,
                        completed_at,
                        lines,
                        total,
                        names,
                        email,
                        phone,
                        first_name,
                        recovery_url,
                        started,
                    })
                }
            ),
        entity().prop_map(|checkout| Body::CheckoutDeleted(CheckoutDeleted { checkout })),
        (entity(), lines(), money(), entities(), sealed(), sealed(), sealed(), any::<bool>(), text()).prop_map(
            |(order, lines, total, names, email, phone, first_name, test, number)| Body::OrderPlaced(OrderPlaced {
                order,
                lines,
                total,
                names,
                email,
                phone,
                first_name,
                test,
                number
            })
        ),
        (entity(), text(), entities()).prop_map(|(order, reason, names)| Body::OrderCancelled(OrderCancelled {
            order,
            reason,
            names
        })),
        (
            entity(),
            prop::sample::select(vec![TicketChange::Opened, TicketChange::Updated, TicketChange::Closed]),
            prop::sample::select(vec![TicketStatus::Open, TicketStatus::Closed]),
            bytes16(),
            time(),
            text(),
            entities(),
            sealed(),
            sealed()
        )
            .prop_map(|(ticket, change, status, digest, created_at, channel, names, subject, email)| {
                Body::TicketUpdated(TicketUpdated {
                    ticket,
                    change,
                    status,
                    digest,
                    created_at,
                    channel,
                    names,
                    subject,
                    email,
                })
            }),
        (
            entity(),
            text(),
            prop::sample::select(vec![Direction::Received, Direction::Sent, Direction::Note]),
            text(),
            entities(),
            sealed(),
            sealed()
        )
            .prop_map(|(ticket, message_id, direction, channel, names, body, email)| {
                Body::TicketMessaged(TicketMessaged { ticket, message_id, direction, channel, names, body, email })
            }),
        (entity(), time(), fact_id()).prop_map(|(cart, quiet_since, cart_fact)| Body::CartAbandoned(CartAbandoned {
            cart,
            quiet_since,
            cart_fact
        })),
    ]
    .boxed()
}

fn outcome() -> BoxedStrategy<Outcome> {
    let state = prop::sample::select(vec![
        OutcomeState::Accepted,
        OutcomeState::Succeeded,
        OutcomeState::Rejected,
        OutcomeState::Throttled,
        OutcomeState::Failed,
        OutcomeState::Unknown,
        OutcomeState::Expired,
        OutcomeState::Superseded,
        OutcomeState::Quarantined,
        OutcomeState::Resolved,
        OutcomeState::Cancelled,
        OutcomeState::Compensated,
        OutcomeState::DeadLettered,
    ]);
    let resolution = prop::sample::select(vec![Resolution::Happened, Resolution::DidNotHappen, Resolution::Skipped]);
    (
        (command_id(), any::<u32>(), state, name(), some_time(), text(), text()),
        (text(), text(), money(), name(), option::of(resolution), option::of(sealed())),
    )
        .prop_map(
            |(
                (command, attempt, state, code, retry_at, vendor_ref, vendor_version),
                (value_before, value_after, cost, actor, resolution, evidence),
            )| Outcome {
                command,
                attempt,
                state,
                code,
                retry_at,
                vendor_ref,
                vendor_version,
                value_before,
                value_after,
                cost,
                actor,
                resolution,
                evidence,
            },
        )
        .boxed()
}

pub(crate) fn lineage_opened() -> impl Strategy<Value = LineageOpened> {
    (lineage_id(), prop::sample::select(vec![LineageKind::Dev, LineageKind::Production]))
        .prop_map(|(lineage, kind)| LineageOpened { lineage, kind })
}

fn of_the_log() -> BoxedStrategy<Body> {
    prop_oneof![
        lineage_opened().prop_map(Body::LineageOpened),
        vec(vendor(), 0..3).prop_map(|vendors| Body::IngestAlive(IngestAlive { vendors })),
        Just(Body::Tick),
        (vendor(), option::of(connection()), time())
            .prop_map(|(vendor, connection, from)| Body::GapOpened(GapOpened { vendor, connection, from })),
        (vendor(), option::of(connection()), time())
            .prop_map(|(vendor, connection, until)| Body::GapClosed(GapClosed { vendor, connection, until })),
        any::<(u32, i64)>()
            .prop_map(|(speed_permille, skip_ms)| Body::ClockAdjusted(ClockAdjusted { speed_permille, skip_ms })),
    ]
    .boxed()
}

fn intake() -> impl Strategy<Value = Intake> {
    prop::sample::select(vec![Intake::Webhook, Intake::Poll, Intake::None])
}

fn switch() -> impl Strategy<Value = SwitchSet> {
    let named = || name().prop_filter("a name", |name| !name.as_str().is_empty());
    let scope = prop_oneof![
        Just(Scope::All),
        named().prop_map(Scope::Capability),
        connection().prop_map(Scope::Connection),
        named().prop_map(Scope::Workflow),
    ];
    (scope, any::<bool>(), text(), any::<u64>()).prop_map(|(scope, stopped, reason, version)| SwitchSet {
        scope,
        stopped,
        reason,
        version,
    })
}

fn of_the_set_up() -> BoxedStrategy<Body> {
    prop_oneof![
        (connection(), vendor(), account(), intake(), any::<bool>(), any::<i64>(), any::<u64>()).prop_map(
            |(connection, vendor, account, intake, active, retry_horizon_ms, version)| {
                Body::ConnectionChanged(ConnectionChanged {
                    connection,
                    vendor,
                    account,
                    intake,
                    active,
                    retry_horizon_ms,
                    version,
                })
            }
        ),
        (name(), name(), option::of(connection()), any::<u64>()).prop_map(
            |(capability, channel, connection, version)| Body::BindingSet(BindingSet {
                capability,
                channel,
                connection,
                version
            })
        ),
        (name(), any::<i64>(), any::<u64>()).prop_map(|(name, value, version)| Body::SettingSet(SettingSet {
            name,
            value,
            version
        })),
        switch().prop_map(Body::SwitchSet),
        (name(), definition(), lifecycle(), any::<u32>(), any::<u64>()).prop_map(
            |(workflow, definition, lifecycle, canary_percent, version)| {
                Body::DefinitionActivated(DefinitionActivated {
                    workflow,
                    definition,
                    lifecycle,
                    canary_percent,
                    version,
                })
            }
        ),
        (command_id(), any::<bool>(), name(), name()).prop_map(|(command, granted, actor, reason)| {
            Body::ApprovalDecided(ApprovalDecided { command, granted, actor, reason })
        }),
        (instance_id(), name())
            .prop_map(|(instance, actor)| Body::InstanceUnparked(InstanceUnparked { instance, actor })),
        any::<(u32, u32)>().prop_map(|(to_partition, placement)| Body::TenantMoved { to_partition, placement }),
        any::<(u32, u32)>().prop_map(|(from_partition, placement)| Body::TenantArrived { from_partition, placement }),
        (fact_id(), entities(), name()).prop_map(|(request, entities, actor)| Body::ErasureRequested {
            request,
            entities,
            actor
        }),
        (fact_id(), any::<u32>(), vec(name(), 0..3)).prop_map(|(request, keys, vendors)| Body::ErasureCompleted {
            request,
            keys,
            vendors
        }),
    ]
    .boxed()
}

/// A fact that unparks none.
fn parkable() -> BoxedStrategy<Fact> {
    let body = prop_oneof![commerce(), outcome().prop_map(Body::Outcome), of_the_log(), of_the_set_up()];
    (time(), body).prop_map(|(occurred_at, body)| Fact { occurred_at, body }).boxed()
}

fn cause() -> BoxedStrategy<Cause> {
    prop_oneof![command_id().prop_map(Cause::Command), fact_id().prop_map(Cause::Fact)].boxed()
}

/// As a message: with its own time, and without an offset.
pub(crate) fn envelope() -> BoxedStrategy<Envelope> {
    let arrival = prop::sample::select(vec![Arrival::Live, Arrival::Recovered, Arrival::Backfill]);
    let source = (vendor(), account()).prop_map(|(vendor, account)| Source { vendor, account });
    (
        (time(), some_time(), tenant(), fact_id(), source, arrival),
        (any::<u32>(), any::<u32>(), option::of(cause()), parkable()),
    )
        .prop_map(
            |((recorded_at, produced_at, tenant, id, source, arrival), (placement, translation, caused_by, fact))| {
                Envelope {
                    offset: 0,
                    recorded_at,
                    imported: true,
                    produced_at,
                    tenant,
                    id,
                    source,
                    arrival,
                    placement,
                    translation,
                    caused_by,
                    fact,
                }
            },
        )
        .boxed()
}

pub(crate) fn fact() -> BoxedStrategy<Fact> {
    let unparking = (time(), fact_id(), envelope(), name()).prop_map(|(occurred_at, fact, envelope, actor)| Fact {
        occurred_at,
        body: Body::FactUnparked(FactUnparked { fact, envelope: Box::new(envelope), actor }),
    });
    prop_oneof![9 => parkable(), 1 => unparking].boxed()
}

fn message_send() -> BoxedStrategy<MessageSend> {
    let line = (text(), text(), any::<i64>(), money()).prop_map(|(sku, title, quantity, unit_price)| MessageLine {
        sku,
        title,
        quantity,
        unit_price,
    });
    (name(), name(), option::of(entity()), vec(line, 0..3), money(), option::of(sealed()), option::of(sealed()))
        .prop_map(|(channel, template, cart, lines, total, recovery_url, first_name)| MessageSend {
            channel,
            template,
            cart,
            lines,
            total,
            recovery_url,
            first_name,
        })
        .boxed()
}

pub(crate) fn command() -> BoxedStrategy<Command> {
    let change = prop::sample::select(vec![Change::Absolute, Change::Relative]);
    let class = prop::sample::select(vec![
        CommandClass::Transactional,
        CommandClass::Promotional,
        CommandClass::Care,
        CommandClass::Operational,
    ]);
    (
        (command_id(), tenant(), connection(), vendor(), account(), entity(), change, class),
        (time(), time(), time(), name(), instance_id(), decision_id(), vec(fact_id(), 0..3)),
        (option::of(fact_id()), option::of(command_id()), option::of(sealed()), message_send()),
    )
        .prop_map(
            |(
                (id, tenant, connection, vendor, account, target, change, class),
                (issued_at, not_before, deadline, workflow, instance, decision, causes),
                (approval, compensates, contact, message),
            )| Command {
                id,
                tenant,
                connection,
                vendor,
                account,
                target,
                change,
                class,
                issued_at,
                not_before,
                deadline,
                workflow,
                instance,
                decision,
                causes,
                approval,
                compensates,
                contact,
                body: CommandBody::MessageSend(message),
            },
        )
        .boxed()
}

fn lifecycle() -> impl Strategy<Value = Lifecycle> {
    prop::sample::select(vec![
        Lifecycle::Off,
        Lifecycle::Observe,
        Lifecycle::Shadow,
        Lifecycle::Canary,
        Lifecycle::Approve,
        Lifecycle::On,
    ])
}

fn transition() -> BoxedStrategy<Transition> {
    let capability = || Just(Capability::MessageSend);
    prop_oneof![
        fact_id().prop_map(|trigger| Transition::InstanceStarted { trigger }),
        (name(), any::<u32>()).prop_map(|(step, iteration)| Transition::StepEntered { step, iteration }),
        (name(), any::<i64>()).prop_map(|(name, value)| Transition::VariableSet { name, value }),
        (wakeup_id(), name(), time(), any::<i64>(), any::<bool>(), any::<u32>()).prop_map(
            |(wakeup, name, due, lateness_ms, awaits_sources, round)| Transition::WakeupSet {
                wakeup,
                name,
                due,
                lateness_ms,
                awaits_sources,
                round
            }
        ),
        (wakeup_id(), name()).prop_map(|(wakeup, name)| Transition::WakeupCleared { wakeup, name }),
        (name(), entity(), command_id(), time()).prop_map(|(cap, entity, command, at)| Transition::SlotReserved {
            cap,
            entity,
            command,
            at
        }),
        (name(), entity(), command_id()).prop_map(|(cap, entity, command)| Transition::SlotReleased {
            cap,
            entity,
            command
        }),
        command().prop_map(|command| Transition::CommandIssued { command }),
        (command(), name()).prop_map(|(command, rule)| Transition::Withheld { command, rule }),
        (capability(), name()).prop_map(|(capability, rule)| Transition::Suppressed { capability, rule }),
        (capability(), name(), time()).prop_map(|(capability, rule, until)| Transition::Deferred {
            capability,
            rule,
            until
        }),
        entity().prop_map(|entity| Transition::HeldOut { entity }),
        (fact_id(), fact()).prop_map(|(id, fact)| Transition::Derived { id, fact }),
        name().prop_map(|reason| Transition::InstanceEnded { reason }),
        command_id().prop_map(|command| Transition::OutcomeMissing { command }),
    ]
    .boxed()
}

fn choice() -> BoxedStrategy<Choice> {
    let feature = (name(), any::<f64>()).prop_map(|(name, value)| Feature { name, value });
    let alternative = (name(), option::of(name()), any::<f64>()).prop_map(|(arm, rule, propensity)| Alternative {
        arm,
        rule,
        propensity,
    });
    (
        (name(), definition(), instance_id(), entity(), vec(fact_id(), 0..3), any::<u32>()),
        (vec(feature, 0..3), vec(alternative, 0..3), some_name(), any::<u64>(), name(), any::<u32>()),
        (any::<bool>(), any::<bool>(), vec(name(), 0..3), vec(name(), 0..3), vec(transition(), 0..4)),
        (lifecycle(), any::<bool>()),
    )
        .prop_map(
            |(
                (workflow, definition, instance, subject, facts_read, facts_read_more),
                (features, alternatives, chosen, seed, policy, policy_version),
                (holdout, explored, reasons, missing, transitions),
                (lifecycle, withholds),
            )| Choice {
                workflow,
                definition,
                instance,
                subject,
                lifecycle,
                withholds,
                facts_read,
                facts_read_more,
                features,
                alternatives,
                chosen,
                seed,
                policy,
                policy_version,
                holdout,
                explored,
                reasons,
                missing,
                transitions,
            },
        )
        .boxed()
}

fn parked_at() -> impl Strategy<Value = ParkedAt> {
    prop_oneof![
        wakeup_id().prop_map(ParkedAt::Wakeup),
        fact_id().prop_map(ParkedAt::Trigger),
        fact_id().prop_map(ParkedAt::Outcome),
    ]
}

fn parked() -> BoxedStrategy<Parked> {
    prop_oneof![
        (fact_id(), name(), text(), entities()).prop_map(|(fact, build, reason, entities)| Parked::Fact(FactParked {
            fact,
            build,
            reason,
            entities
        })),
        (instance_id(), parked_at(), name(), entity(), name(), text()).prop_map(
            |(instance, at, workflow, subject, build, reason)| {
                Parked::Instance(InstanceParked { instance, at, workflow, subject, build, reason })
            }
        ),
    ]
    .boxed()
}

pub(crate) fn decision() -> BoxedStrategy<Decision> {
    (
        (decision_id(), tenant(), fact_id(), option::of(wakeup_id()), time(), name()),
        (vec(choice(), 0..3), vec(parked(), 0..3)),
    )
        .prop_map(|((id, tenant, fact, wakeup, watermark, build), (choices, parked))| Decision {
            id,
            tenant,
            fact,
            wakeup,
            watermark,
            build,
            choices,
            parked,
        })
        .boxed()
}

pub(crate) fn turn() -> impl Strategy<Value = TurnCommitted> {
    (lineage_id(), position(), position(), time(), any::<(u32, u32, u32, u32)>(), name()).prop_map(
        |(lineage, from, to, watermark, (facts, wakeups, decisions, commands), build)| TurnCommitted {
            lineage,
            from,
            to,
            watermark,
            facts,
            wakeups,
            decisions,
            commands,
            build,
        },
    )
}

pub(crate) fn ledger() -> impl Strategy<Value = LedgerEntry> {
    prop_oneof![
        (command_id(), any::<u32>(), any::<i64>(), time(), any::<u32>()).prop_map(
            |(command, attempt, valid_ms, first_claimed_at, step)| {
                LedgerEntry::Claimed(Claimed { command, attempt, valid_ms, first_claimed_at, step })
            }
        ),
        (command_id(), any::<(u32, u32, u32)>(), option::of(sealed())).prop_map(
            |(command, (attempt, step, status), answer)| {
                LedgerEntry::StepAnswered(StepAnswered { command, attempt, step, status, answer })
            }
        ),
        (command_id(), any::<u32>(), bytes()).prop_map(|(command, attempt, outcome)| LedgerEntry::Verdict(Verdict {
            command,
            attempt,
            outcome
        })),
        (lineage_id(), any::<u64>())
            .prop_map(|(lineage, offset)| LedgerEntry::Position(LedgerPosition { lineage, offset })),
    ]
}

pub(crate) fn directory() -> impl Strategy<Value = DirectoryEntry> {
    let value = prop_oneof![
        (tenant(), any::<u32>(), any::<u32>(), name()).prop_map(|(tenant, partition, placement, pepper)| {
            DirectoryValue::Tenant(TenantEntry { tenant, partition, placement, pepper })
        }),
        (
            (tenant(), connection(), vendor(), account(), intake(), any::<bool>()),
            (any::<[u8; 32]>(), vec(name(), 0..3), any::<i64>(), any::<u32>(), any::<u32>())
        )
            .prop_map(
                |(
                    (tenant, connection, vendor, account, intake, active),
                    (token_hash, secrets, retry_horizon_ms, requests_per_second, max_body_bytes),
                )| {
                    DirectoryValue::Connection(ConnectionEntry {
                        tenant,
                        connection,
                        vendor,
                        account,
                        intake,
                        active,
                        token_hash,
                        secrets,
                        retry_horizon_ms,
                        requests_per_second,
                        max_body_bytes,
                    })
                }
            ),
        (name(), definition(), text()).prop_map(|(workflow, definition, text)| DirectoryValue::Definition(
            DefinitionStored { workflow, definition, text }
        )),
        (tenant(), switch()).prop_map(|(tenant, switch)| DirectoryValue::Switch { tenant, switch }),
        any::<u32>().prop_map(DirectoryValue::Format),
        (any::<u32>(), name(), name()).prop_map(|(partition, address, build)| DirectoryValue::Owner(OwnerEntry {
            partition,
            address,
            build
        })),
    ];
    (any::<u64>(), value).prop_map(|(version, value)| DirectoryEntry { version, value })
}

pub(crate) fn raw() -> impl Strategy<Value = RawDelivery> {
    let header = (text(), text()).prop_map(|(name, value)| Header { name, value });
    (connection(), time(), vec(header, 0..3), sealed())
        .prop_map(|(connection, received_at, headers, body)| RawDelivery { connection, received_at, headers, body })
}
