//! What is encoded reads back as it was, and nothing that is read makes us panic.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use tradewind_domain::{Arrival, DecisionRecord, Envelope};
use tradewind_ports::{Headers, NewRecord, Record};
use tradewind_wire::record::{self, NewFact};
use tradewind_wire::{command, decision, delivery, directory, envelope, fact, ledger, vault};

use crate::{contract, samples, stored, strategies};

/// Reads a value as every record there is.
pub(crate) fn read_all(bytes: &[u8]) {
    let lineage = samples::lineage_id().to_string();
    let headers = Headers::new()
        .with("ce_id", lineage.as_bytes())
        .with("ce_source", b"/demo/shopify/x")
        .with("tw-min-reader", b"1")
        .with("tw-arrival", b"live")
        .with("tw-placement", b"1")
        .with("tw-position", b"1.0")
        .with("tw-lineage", lineage.as_bytes());
    read_record(&stored(&NewRecord { key: b"demo".to_vec(), headers, value: Some(bytes.to_vec()) }));
    let _ = fact::decode(bytes);
    let _ = envelope::decode(bytes);
    let _ = vault::decode(bytes);
}

fn read_record(record: &Record) {
    let _ = record::envelope(record);
    let _ = envelope::encode(record, record.appended_at);
    let _ = decision::decode(record);
    let _ = decision::commands(record);
    let _ = command::decode(record);
    let _ = directory::decode(record);
    let _ = ledger::decode(record);
    let _ = delivery::decode_raw(record);
    let _ = delivery::decode_dead_letter(record);
    let _ = vault::decode_record(record);
}

fn new_fact() -> impl Strategy<Value = NewFact> {
    (strategies::envelope(), strategies::fact(), any::<bool>()).prop_map(|(envelope, fact, is_imported)| NewFact {
        tenant: envelope.tenant,
        id: envelope.id,
        source: envelope.source,
        arrival: envelope.arrival,
        produced_at: envelope.produced_at.unwrap_or_default(),
        recorded_at: is_imported.then_some(envelope.recorded_at),
        placement: envelope.placement,
        translation: envelope.translation,
        caused_by: envelope.caused_by,
        fact,
    })
}

/// A field of a later release, which every reader passes over; without it, facts
/// of commerce are read by another way.
fn with_unknown_field(bytes: &[u8]) -> Vec<u8> {
    [bytes, &[0x82, 0x7d, 3, b'n', b'e', b'w']].concat()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_fact_reads_the_same_by_both_ways(
        written in strategies::fact(),
        broken_at in any::<prop::sample::Index>(),
        broken_to in any::<u8>(),
    ) {
        let mut bytes = fact::encode(&written);
        prop_assert_eq!(fact::decode(&bytes).unwrap(), written.clone());
        prop_assert_eq!(fact::decode(&with_unknown_field(&bytes)).unwrap(), written);
        let at = broken_at.index(bytes.len());
        bytes[at] = broken_to;
        if let Ok(read) = fact::decode(&bytes) {
            prop_assert_eq!(fact::decode(&with_unknown_field(&bytes)).unwrap(), read);
        }
    }

    #[test]
    fn facts_read_back(fact in strategies::fact()) {
        prop_assert_eq!(fact::decode(&fact::encode(&fact)), Ok(fact));
    }

    #[test]
    fn events_read_back(new in new_fact()) {
        let record = stored(&record::event(&new));
        let expected = Envelope {
            offset: record.offset,
            recorded_at: new.recorded_at.unwrap_or(record.appended_at),
            imported: new.recorded_at.is_some(),
            produced_at: Some(new.produced_at),
            tenant: new.tenant,
            id: new.id,
            source: new.source,
            arrival: new.arrival,
            placement: new.placement,
            translation: new.translation,
            caused_by: new.caused_by,
            fact: new.fact,
        };
        prop_assert_eq!(record::envelope(&record), Ok(expected));
    }

    #[test]
    fn envelopes_read_back(envelope in strategies::envelope()) {
        let new = NewFact {
            recorded_at: Some(envelope.recorded_at),
            produced_at: envelope.produced_at.unwrap_or_default(),
            arrival: Arrival::Live,
            ..crate::headers::new_fact_of(&Envelope { produced_at: Some(envelope.recorded_at), ..envelope.clone() })
        };
        let bytes = envelope::encode(&stored(&record::event(&new)), envelope.recorded_at).unwrap();
        prop_assert_eq!(envelope::decode(&bytes), Ok(Envelope { arrival: Arrival::Live, ..envelope }));
    }

    #[test]
    fn decisions_and_their_commands_read_back(
        decision in strategies::decision(),
        position in strategies::position(),
        lineage in strategies::lineage_id(),
    ) {
        let encoded = decision::record(&decision, position, lineage);
        let record = stored(&encoded.record);
        prop_assert_eq!(decision::commands(&record), Ok(encoded.commands.clone()));
        for (vendor, command) in &encoded.commands {
            let issued = command::decode(&stored(command)).unwrap();
            prop_assert_eq!((&issued.command.vendor, issued.position, issued.lineage), (vendor, position, lineage));
        }
        prop_assert_eq!(decision::decode(&record), Ok((Some(position), DecisionRecord::Decision(decision))));
    }

    #[test]
    fn commit_points_and_lineages_read_back(
        partition in any::<u32>(),
        turn in strategies::turn(),
        opened in strategies::lineage_opened(),
    ) {
        let record = stored(&decision::turn_record(partition, &turn));
        prop_assert_eq!(decision::decode(&record), Ok((None, DecisionRecord::TurnCommitted(turn))));
        let record = stored(&decision::lineage_record(partition, &opened));
        prop_assert_eq!(decision::decode(&record), Ok((None, DecisionRecord::Lineage(opened))));
    }

    #[test]
    fn entries_and_deliveries_read_back(
        entry in strategies::directory(),
        promise in strategies::ledger(),
        raw in strategies::raw(),
    ) {
        prop_assert_eq!(directory::decode(&stored(&directory::record(&entry))), Ok(Some(entry)));
        prop_assert_eq!(ledger::decode(&stored(&ledger::record(&promise))), Ok(Some(promise)));
        let record = stored(&delivery::raw_record(&samples::tenant(), &raw));
        prop_assert_eq!(delivery::decode_raw(&record), Ok(raw));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        read_all(&bytes);
    }

    #[test]
    fn arbitrary_headers_never_panic(
        key in vec(any::<u8>(), 0..10),
        headers in vec((prop::sample::select(NAMES.to_vec()), vec(any::<u8>(), 0..40)), 0..12),
        fact in strategies::fact(),
    ) {
        let headers = headers.iter().fold(Headers::new(), |headers, (name, value)| headers.with(name, value));
        read_record(&stored(&NewRecord { key, headers, value: Some(fact::encode(&fact)) }));
    }

    /// Any message of the contract with a changed byte, at its ends or within.
    #[test]
    fn changed_records_never_panic(fact in strategies::fact(), decision in strategies::decision(), at: u16, with: u8) {
        let record = decision::record(&decision, tradewind_domain::Position::default(), samples::lineage_id()).record;
        for mut bytes in [fact::encode(&fact), record.value.unwrap()] {
            let at = usize::from(at) % bytes.len();
            bytes[at] = with;
            read_all(&bytes);
        }
    }
}

const NAMES: [&str; 12] = [
    "ce_id",
    "ce_source",
    "ce_type",
    "tw-min-reader",
    "tw-arrival",
    "tw-produced-at",
    "tw-recorded-at",
    "tw-placement",
    "tw-translation",
    "tw-caused-by",
    "tw-position",
    "tw-lineage",
];

/// The strategies stand beside the contract: a body they forget would go untried.
#[test]
fn every_alternative_of_the_contract_is_tried() {
    let alternatives = |message: &str| {
        let message = contract().get_message_by_name(&format!("tradewind.v1.{message}")).expect("expected a message");
        message.oneofs().next().expect("expected alternatives").fields().len()
    };
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut kinds = std::collections::HashSet::new();
    let mut transitions = std::collections::HashSet::new();
    for _ in 0..2_000 {
        let fact = strategies::fact().new_tree(&mut runner).expect("expected a fact").current();
        kinds.insert(std::mem::discriminant(&fact.body));
        let decision = strategies::decision().new_tree(&mut runner).expect("expected a decision").current();
        let issued = decision.choices.iter().flat_map(|choice| &choice.transitions);
        transitions.extend(issued.map(std::mem::discriminant));
    }
    assert_eq!((kinds.len(), transitions.len()), (alternatives("Fact"), alternatives("Transition")));
}
