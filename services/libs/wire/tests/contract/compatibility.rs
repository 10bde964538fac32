//! Old readers and new data, in values. Old data and new readers are the goldens.

use prost_reflect::prost::Message;
use prost_reflect::{DynamicMessage, Value};
use tradewind_domain::{Body, FactUnparked, Name, Timestamp};
use tradewind_ports::Record;
use tradewind_wire::{DecodeError, decision, envelope, fact, record};

use crate::golden::{golden, goldens};
use crate::headers::new_cart;
use crate::{contract, samples, stored};

/// Field 900 with the text `later`.
const UNKNOWN: &[u8] = b"\xa2\x38\x05later";

#[test]
fn fields_of_a_newer_release_are_passed_over() {
    let newer = [golden("fact.cart_updated"), UNKNOWN.to_vec()].concat();
    assert_eq!(fact::decode(&newer), Ok(samples::cart_updated()));
    let newer = [golden("decision.turn_committed"), UNKNOWN.to_vec()].concat();
    let record = Record { value: Some(newer), ..stored(&decision::turn_record(3, &samples::turn())) };
    assert!(decision::decode(&record).is_ok());
}

#[test]
fn a_fact_of_an_unknown_type_stops_the_reader() {
    let message = "read fact: expected one of the alternatives this release knows in body, got none";
    let record = Record { value: Some(UNKNOWN.to_vec()), ..stored(&record::event(&new_cart())) };
    assert_eq!(record::envelope(&record).unwrap_err().to_string(), message);
    assert_eq!(fact::decode(&[]).unwrap_err().to_string(), message);
}

fn check(case: &str, change: impl FnOnce(&mut DynamicMessage), expected: &str) {
    let pool = contract();
    let fact = pool.get_message_by_name("tradewind.v1.Fact").expect("expected a fact");
    let mut message = DynamicMessage::decode(fact, golden(case).as_slice()).expect("expected a golden");
    change(&mut message);
    assert_eq!(fact::decode(&message.encode_to_vec()).unwrap_err().to_string(), expected);
}

/// The message that is set in the fact's body.
fn body<'a>(fact: &'a mut DynamicMessage, name: &str) -> &'a mut DynamicMessage {
    fact.get_field_by_name_mut(name).expect("expected the body").as_message_mut().expect("expected a message")
}

#[test]
fn an_error_names_the_field_and_what_was_expected() {
    check(
        "fact.cart_updated",
        |fact| body(fact, "cart_updated").set_field_by_name("digest", Value::Bytes(vec![0; 3].into())),
        "read fact: expected 16 bytes in cart_updated.digest, got 3",
    );
    check(
        "fact.cart_updated",
        |fact| body(fact, "cart_updated").clear_field_by_name("cart"),
        "read fact: expected a message in cart_updated.cart, got none",
    );
    check(
        "fact.outcome",
        |fact| body(fact, "outcome").set_field_by_name("state", Value::EnumNumber(99)),
        "read fact: expected a number of OutcomeState that this release knows in outcome.state, got 99",
    );
    check(
        "fact.outcome",
        |fact| body(fact, "outcome").clear_field_by_name("state"),
        "read fact: expected a number of OutcomeState that this release knows in outcome.state, got 0",
    );
    check(
        "fact.cart_updated",
        |fact| {
            let names = body(fact, "cart_updated").get_field_by_name_mut("names").unwrap();
            let email = names.as_list_mut().unwrap()[1].as_message_mut().unwrap();
            email.clear_field_by_name("hash");
        },
        "read fact: expected one of the alternatives this release knows in cart_updated.names[1].id, got none",
    );
    check(
        "fact.cart_updated",
        |fact| {
            let total = body(fact, "cart_updated").get_field_by_name_mut("total").unwrap();
            total.as_message_mut().unwrap().set_field_by_name("currency", Value::String("usd".into()));
        },
        "read fact: expected three capitals of ISO 4217 in cart_updated.total.currency, got \"usd\"",
    );
    check(
        "fact.gap_opened",
        |fact| body(fact, "gap_opened").set_field_by_name("vendor", Value::String("A B".into())),
        "read fact: expected a vendor: at most 190 of a-z, 0-9, dash, underscore and dot, or nothing for none in \
         gap_opened.vendor, got \"A B\"",
    );
}

#[test]
fn an_eligible_arm_with_a_rule_is_an_error() {
    let pool = contract();
    let message = pool.get_message_by_name("tradewind.v1.DecisionRecord").expect("expected a decision");
    let mut decoded = DynamicMessage::decode(message, golden("decision.decision").as_slice()).unwrap();
    let choice =
        &mut body(&mut decoded, "decision").get_field_by_name_mut("choices").unwrap().as_list_mut().unwrap()[0];
    let arms = choice.as_message_mut().unwrap().get_field_by_name_mut("alternatives").unwrap().as_list_mut().unwrap();
    arms[1].as_message_mut().unwrap().set_field_by_name("eligible", Value::Bool(true));
    let record = Record { value: Some(decoded.encode_to_vec()), ..stored(&decision::turn_record(3, &samples::turn())) };
    assert_eq!(
        decision::decode(&record).unwrap_err().to_string(),
        "read decision: expected no rule on an eligible arm in decision.choices[0].alternatives[1].rule, \
         got \"margin\""
    );
}

#[test]
fn bytes_that_are_no_message_are_an_error() {
    let error = fact::decode(&[0xff]).unwrap_err();
    assert!(matches!(error, DecodeError::Malformed { message: "fact", .. }), "{error}");
}

/// By the log's clock, which ran ahead of the wall's.
const RECORDED_AT: Timestamp = Timestamp::from_millis(1_700_000_900_000);

/// Whoever carries a record on copies it, with what this release can't read.
#[test]
fn an_envelope_keeps_what_it_does_not_know() {
    let newer = [golden("fact.cart_updated"), UNKNOWN.to_vec()].concat();
    let parked = Record { value: Some(newer.clone()), ..stored(&record::event(&new_cart())) };
    let bytes = envelope::encode(&parked, RECORDED_AT).unwrap();
    assert!(bytes.ends_with(&newer));
    assert_eq!(envelope::decode(&bytes).unwrap().fact, samples::cart_updated());

    let unparking =
        fact::encode_unparking(&parked, RECORDED_AT, &Name::fixed("operator"), Timestamp::from_millis(5)).unwrap();
    assert!(unparking.windows(newer.len()).any(|window| window == newer));
    let Body::FactUnparked(FactUnparked { fact, envelope, .. }) = fact::decode(&unparking).unwrap().body else {
        panic!("expected an unparking")
    };
    assert_eq!((fact, envelope.id, envelope.fact), (samples::fact_id(1), samples::fact_id(1), samples::cart_updated()));
    assert_eq!(envelope.recorded_at, RECORDED_AT, "by the log's clock, wherever it is read");
}

/// Or a few hundred kilobytes could nest deeper than any stack.
#[test]
fn an_unparking_never_holds_an_unparking() {
    let parked = stored(&record::event(&new_cart()));
    let operator = Name::fixed("operator");
    let once = fact::encode_unparking(&parked, RECORDED_AT, &operator, Timestamp::from_millis(5)).unwrap();
    let again = Record { value: Some(once.clone()), ..parked.clone() };
    assert_eq!(fact::encode_unparking(&again, RECORDED_AT, &operator, Timestamp::from_millis(5)), Ok(once.clone()));

    let unparked = fact::decode(&once).unwrap();
    let Body::FactUnparked(inner) = &unparked.body else { panic!("expected an unparking") };
    let mut nested = unparked.clone();
    if let Body::FactUnparked(outer) = &mut nested.body {
        outer.envelope.fact = tradewind_domain::Fact { occurred_at: unparked.occurred_at, body: unparked.body.clone() };
    }
    let Body::FactUnparked(read) = fact::decode(&fact::encode(&nested)).unwrap().body else {
        panic!("expected an unparking")
    };
    assert_eq!(read.envelope, inner.envelope);

    let nested_bytes = envelope::encode(&again, RECORDED_AT).unwrap();
    let by_hand = golden("fact.fact_unparked");
    let pool = contract();
    let fact = pool.get_message_by_name("tradewind.v1.Fact").unwrap();
    let mut message = DynamicMessage::decode(fact, by_hand.as_slice()).unwrap();
    body(&mut message, "fact_unparked").set_field_by_name("envelope", Value::Bytes(nested_bytes.into()));
    assert_eq!(
        fact::decode(&message.encode_to_vec()).unwrap_err().to_string(),
        "read fact: expected a fact that unparks none in fact_unparked.envelope.value, got one that does"
    );
}

/// Whatever else stands in its headers, which a newer release may write otherwise.
#[test]
fn the_level_is_looked_at_before_all_else() {
    let newer = Record {
        key: b"No tenant of ours".to_vec(),
        headers: tradewind_ports::Headers::new().with("ce_id", b"7").with("tw-min-reader", b"7"),
        ..stored(&record::event(&new_cart()))
    };
    assert_eq!(record::envelope(&newer), Err(DecodeError::NewerReader { needed: 7 }));
    assert_eq!(envelope::encode(&newer, RECORDED_AT), Err(DecodeError::NewerReader { needed: 7 }));

    let pool = contract();
    let message = pool.get_message_by_name("tradewind.v1.Envelope").expect("expected an envelope");
    let mut envelope = DynamicMessage::decode(message, golden("envelope.event").as_slice()).unwrap();
    envelope.set_field_by_name("min_reader", Value::U32(7));
    envelope.clear_field_by_name("id");
    assert_eq!(envelope::decode(&envelope.encode_to_vec()), Err(DecodeError::NewerReader { needed: 7 }));
}

/// Numbers of enums, one `message VALUE = number` a line, as released.
#[test]
fn numbers_of_enums_never_change() {
    let pool = contract();
    let ours = pool.all_enums().filter(|listed| listed.package_name() == "tradewind.v1");
    let numbers: Vec<String> = ours
        .flat_map(|listed| {
            let values = listed.values().map(|value| format!("{} = {}", value.name(), value.number()));
            values.collect::<Vec<_>>()
        })
        .collect();
    let released = include_str!("../../golden/enums.txt");
    let mut expected: Vec<&str> = released.lines().collect();
    let mut numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
    expected.sort_unstable();
    numbers.sort_unstable();
    assert_eq!(numbers, expected);
}

#[test]
fn goldens_cut_short_or_flipped_never_panic() {
    for (case, bytes) in goldens() {
        for length in 0..bytes.len() {
            crate::properties::read_all(&bytes[..length]);
        }
        for at in 0..bytes.len() {
            for bit in [0x01, 0x08, 0x80] {
                let mut flipped = bytes.clone();
                flipped[at] ^= bit;
                crate::properties::read_all(&flipped);
            }
        }
        assert!(!case.is_empty());
    }
}
