//! Keys and headers, written by hand. Names, order and meaning never change.

use tradewind_domain::{
    Account, Arrival, Body, CartUpdated, Cause, DecisionRecord, EntityKey, EntityKind, Envelope, LineageKind, Position,
    Source, Tenant, Timestamp, Vendor,
};
use tradewind_ports::{NewRecord, Record, Topic};
use tradewind_wire::record::{self, NewFact};
use tradewind_wire::{DecodeError, command, decision, delivery, directory, ledger, vault};

use crate::{samples, stored};

/// As `envelope` was before it had a place.
pub(crate) fn new_fact_of(envelope: &Envelope) -> NewFact {
    NewFact {
        tenant: envelope.tenant.clone(),
        id: envelope.id,
        source: envelope.source.clone(),
        arrival: envelope.arrival,
        produced_at: envelope.produced_at.expect("expected a producer's time"),
        recorded_at: Some(envelope.recorded_at),
        placement: envelope.placement,
        translation: envelope.translation,
        caused_by: envelope.caused_by,
        fact: envelope.fact.clone(),
    }
}

pub(crate) fn new_cart() -> NewFact {
    NewFact {
        tenant: samples::tenant(),
        id: samples::fact_id(1),
        source: Source { vendor: samples::shopify(), account: samples::shop() },
        arrival: Arrival::Recovered,
        produced_at: Timestamp::from_millis(1_700_000_000_400),
        recorded_at: Some(Timestamp::from_millis(1_700_000_000_450)),
        placement: 1,
        translation: 4,
        caused_by: Some(Cause::Command(samples::command_id(1))),
        fact: samples::cart_updated(),
    }
}

fn check(record: &NewRecord, key: &str, expected: &[(&str, &str)]) {
    let headers: Vec<(&str, &str)> =
        record.headers.iter().map(|(name, value)| (name, std::str::from_utf8(value).unwrap())).collect();
    assert_eq!(std::str::from_utf8(&record.key), Ok(key));
    assert_eq!(headers, expected);
}

#[test]
fn an_event_is_a_cloud_event() {
    let expected = [
        ("ce_specversion", "1.0"),
        ("ce_id", "66616374-2d69-642d-3030-303030303031"),
        ("ce_source", "/demo/shopify/demo.myshopify.com"),
        ("ce_type", "commerce.cart.updated.v1"),
        ("ce_subject", "cart/shopify/demo.myshopify.com/c1"),
        ("ce_time", "2023-11-14T22:13:20.123Z"),
        ("content-type", "application/protobuf"),
        ("tw-min-reader", "1"),
        ("tw-arrival", "recovered"),
        ("tw-produced-at", "1700000000400"),
        ("tw-recorded-at", "1700000000450"),
        ("tw-placement", "1"),
        ("tw-translation", "4"),
        ("tw-caused-by", "command/636f6d6d-616e-642d-6964-2d3030303031"),
        ("tw-raw", "tradewind.raw.shopify/11/77"),
    ];
    let mut event = record::event(&new_cart());
    record::name_delivery(&mut event, &Topic::Raw(samples::shopify()).partition(11), 77);
    check(&event, "demo", &expected);
}

#[test]
fn what_is_not_known_has_no_header() {
    let tick = NewFact {
        tenant: Tenant::system(),
        source: Source::ourselves(),
        arrival: Arrival::Live,
        recorded_at: None,
        translation: 0,
        caused_by: None,
        fact: samples::envelope().fact,
        ..new_cart()
    };
    let expected = [
        ("ce_specversion", "1.0"),
        ("ce_id", "66616374-2d69-642d-3030-303030303031"),
        ("ce_source", "/-/tradewind/"),
        ("ce_type", "tradewind.tick.v1"),
        ("ce_time", "2023-11-14T22:13:20.123Z"),
        ("content-type", "application/protobuf"),
        ("tw-min-reader", "1"),
        ("tw-arrival", "live"),
        ("tw-produced-at", "1700000000400"),
        ("tw-placement", "1"),
    ];
    check(&record::event(&tick), "", &expected);
}

/// From docs/contract_vectors.py.
#[test]
fn the_id_of_a_fact_about_a_partition_never_changes() {
    let tick = NewFact::of_partition(3, Timestamp::from_millis(1_700_000_000_000), Body::Tick);
    assert_eq!(tick.id.to_string(), "d7cca266-892e-89ea-8606-9f3503e0f703");
}

#[test]
fn a_decision_and_its_command_say_where_they_were_taken() {
    let encoded = decision::record(&samples::decision(), Position { offset: 41, step: 2 }, samples::lineage_id());
    let expected = [
        ("ce_specversion", "1.0"),
        ("ce_id", "64656369-7369-6f6e-2d69-642d30303031"),
        ("ce_source", "/demo/tradewind/"),
        ("ce_type", "tradewind.decision.made.v1"),
        ("ce_time", "2023-11-14T23:13:20.000Z"),
        ("content-type", "application/protobuf"),
        ("tw-min-reader", "1"),
        ("tw-position", "41.2"),
        ("tw-lineage", "6c696e65-6167-652d-3030-303030303031"),
    ];
    check(&encoded.record, "demo", &expected);

    let [(vendor, command)] = encoded.commands.as_slice() else { panic!("expected one command") };
    let expected = [
        ("ce_specversion", "1.0"),
        ("ce_id", "636f6d6d-616e-642d-6964-2d3030303031"),
        ("ce_source", "/demo/tradewind/"),
        ("ce_type", "tradewind.command.message.send.v1"),
        ("ce_subject", "customer/shopify/demo.myshopify.com/7"),
        ("ce_time", "2023-11-14T23:13:20.000Z"),
        ("content-type", "application/protobuf"),
        ("tw-min-reader", "1"),
        ("tw-position", "41.2"),
        ("tw-lineage", "6c696e65-6167-652d-3030-303030303031"),
    ];
    check(command, "demo", &expected);
    assert_eq!(vendor.as_str(), "klaviyo");

    let issued = command::decode(&stored(command)).unwrap();
    assert_eq!(issued.command, samples::command());
    assert_eq!((issued.position, issued.lineage), (Position { offset: 41, step: 2 }, samples::lineage_id()));
    let decoded = decision::decode(&stored(&encoded.record)).unwrap();
    assert_eq!(decoded, (Some(Position { offset: 41, step: 2 }), DecisionRecord::Decision(samples::decision())));
}

#[test]
fn records_of_the_partition_belong_to_no_tenant() {
    let expected = [
        ("ce_specversion", "1.0"),
        ("ce_id", "6c696e65-6167-652d-3030-303030303031/3/20.3"),
        ("ce_source", "/-/tradewind/"),
        ("ce_type", "tradewind.turn.committed.v1"),
        ("ce_time", "2023-11-14T23:13:20.000Z"),
        ("content-type", "application/protobuf"),
        ("tw-min-reader", "1"),
        ("tw-lineage", "6c696e65-6167-652d-3030-303030303031"),
    ];
    check(&decision::turn_record(3, &samples::turn()), "", &expected);
    let expected = [
        ("ce_specversion", "1.0"),
        ("ce_id", "6c696e65-6167-652d-3030-303030303031/3"),
        ("ce_source", "/-/tradewind/"),
        ("ce_type", "tradewind.lineage.opened.v1"),
        ("content-type", "application/protobuf"),
        ("tw-min-reader", "1"),
        ("tw-lineage", "6c696e65-6167-652d-3030-303030303031"),
    ];
    check(&decision::lineage_record(3, &samples::lineage(LineageKind::Dev)), "", &expected);
}

/// Their keys are held by the tests of `domain`; here it is that they are used.
#[test]
fn other_records_name_the_least_reader_only() {
    let plain = [("tw-min-reader", "1")];
    for (case, sample) in samples::all() {
        match sample {
            samples::Sample::Directory(entry) => check(&directory::record(&entry), &entry.value.key(), &plain),
            samples::Sample::Key(entry) => check(&vault::record(&entry), "key-id-000000001", &plain),
            samples::Sample::Raw(raw) => check(&delivery::raw_record(&samples::tenant(), &raw), "demo", &plain),
            samples::Sample::DeadLetter(letter) => {
                check(&delivery::dead_letter_record(&samples::tenant(), &letter), "demo", &plain);
            }
            samples::Sample::Ledger(entry) => {
                let key = match case {
                    "ledger.position" => "position",
                    "ledger.step_answered" => "command-id-00001\0\0\0\x01",
                    _ => "command-id-00001",
                };
                check(&ledger::record(&entry), key, &plain);
            }
            samples::Sample::Fact(_)
            | samples::Sample::Command(_)
            | samples::Sample::Decision(_)
            | samples::Sample::Envelope(_) => {}
        }
    }
}

#[test]
fn an_envelope_reads_back_what_the_event_said() {
    let new = new_cart();
    let expected = Envelope {
        offset: 41,
        recorded_at: Timestamp::from_millis(1_700_000_000_450),
        imported: true,
        produced_at: Some(new.produced_at),
        tenant: new.tenant.clone(),
        id: new.id,
        source: new.source.clone(),
        arrival: new.arrival,
        placement: 1,
        translation: 4,
        caused_by: new.caused_by,
        fact: new.fact.clone(),
    };
    assert_eq!(record::envelope(&stored(&record::event(&new))), Ok(expected));
}

#[test]
fn without_a_time_of_its_own_a_record_has_that_of_the_log() {
    let record = stored(&record::event(&NewFact { recorded_at: None, ..new_cart() }));
    let envelope = record::envelope(&record).unwrap();
    assert_eq!((envelope.recorded_at, envelope.imported), (record.appended_at, false));
}

/// A header holds 65,535 bytes and a vendor's id any number.
#[test]
fn an_endless_subject_is_left_off() {
    let mut new = new_cart();
    if let Body::CartUpdated(CartUpdated { cart, .. }) = &mut new.fact.body {
        let endless = "é".repeat(40_000);
        *cart = EntityKey::at_vendor(EntityKind::Cart, &Vendor::ourselves(), &Account::none(), &endless);
    }
    let event = record::event(&new);
    assert_eq!(event.headers.get("ce_subject"), None);
    assert_eq!(record::envelope(&stored(&event)).unwrap().fact, new.fact);
}

/// The headers of an event with one changed or left out.
fn with_header(name: &str, value: Option<&str>) -> Record {
    let mut record = stored(&record::event(&new_cart()));
    let mut headers = tradewind_ports::Headers::new();
    for (known, bytes) in record.headers.iter() {
        if known != name {
            headers.push(known, bytes);
        }
    }
    if let Some(value) = value {
        headers.push(name, value.as_bytes());
    }
    record.headers = headers;
    record
}

#[test]
fn a_wrong_header_is_named_with_what_was_expected() {
    for (name, value, expected) in [
        ("ce_id", None, "read a header: expected a UUID in ce_id, got none"),
        ("ce_id", Some("17"), "read a header: expected a UUID in ce_id, got \"17\""),
        (
            "ce_source",
            Some("/other/shopify/x"),
            "of the tenant in the record's key or of - for none in ce_source, got \"/other/shop",
        ),
        ("ce_source", Some("/demo/Shopify/x"), "expected /{tenant}/{vendor}/{account}"),
        ("ce_type", Some("commerce.order.placed.v1"), "expected the type of the value in ce_type, got \"commerce.ord"),
        ("tw-arrival", Some("late"), "expected live, recovered or backfill in tw-arrival, got \"late\""),
        ("tw-placement", None, "expected an epoch: a decimal number in tw-placement, got none"),
        ("tw-produced-at", Some("noon"), "expected milliseconds since 1970: a decimal number in tw-produced-at"),
        (
            "tw-caused-by",
            Some("636f6d6d-616e-642d-6964-2d3030303031"),
            "expected command/<uuid> or fact/<uuid> in tw-caused-by",
        ),
        ("tw-min-reader", Some("-1"), "expected a reader level: a decimal number in tw-min-reader, got \"-1\""),
    ] {
        let error = record::envelope(&with_header(name, value)).unwrap_err().to_string();
        assert!(error.contains(expected), "{name} {value:?}: {error}");
    }
}

#[test]
fn a_tombstone_is_no_event() {
    let record = Record { value: None, ..stored(&record::event(&new_cart())) };
    assert_eq!(record::envelope(&record), Err(DecodeError::NoValue { message: "fact" }));
}

/// A newer release may add headers; defaults stand for those an old one did not write.
#[test]
fn unknown_headers_are_passed_over_and_missing_ones_have_defaults() {
    let envelope = record::envelope(&with_header("tw-of-a-newer-release", Some("x"))).unwrap();
    assert_eq!(envelope.fact, samples::cart_updated());

    assert!(record::envelope(&with_header("ce_type", None)).is_ok());
    assert_eq!(record::envelope(&with_header("tw-translation", None)).unwrap().translation, 0);
    assert_eq!(record::envelope(&with_header("tw-produced-at", None)).unwrap().produced_at, None);
    assert_eq!(record::envelope(&with_header("tw-caused-by", None)).unwrap().caused_by, None);
    assert!(record::envelope(&with_header("tw-min-reader", None)).is_ok());
}

#[test]
fn a_record_for_newer_readers_stops_this_one() {
    let record = with_header("tw-min-reader", Some("2"));
    let error = record::envelope(&record).unwrap_err();
    assert_eq!(error, DecodeError::NewerReader { needed: 2 });
    assert_eq!(error.to_string(), "read a newer record: it needs a release of reader level 2");
    assert_eq!(decision::decode(&record), Err(DecodeError::NewerReader { needed: 2 }));
    assert_eq!(decision::commands(&record), Err(DecodeError::NewerReader { needed: 2 }));
    assert_eq!(command::decode(&record), Err(DecodeError::NewerReader { needed: 2 }));
    assert_eq!(directory::decode(&record), Err(DecodeError::NewerReader { needed: 2 }));
    assert_eq!(ledger::decode(&record), Err(DecodeError::NewerReader { needed: 2 }));
    assert_eq!(delivery::decode_raw(&record), Err(DecodeError::NewerReader { needed: 2 }));
    assert_eq!(delivery::decode_dead_letter(&record), Err(DecodeError::NewerReader { needed: 2 }));
    assert_eq!(vault::decode_record(&record), Err(DecodeError::NewerReader { needed: 2 }));
}
