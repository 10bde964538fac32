//! Golden bytes. `golden/<case>.txtpb` says in words what `golden/<case>.hex`
//! holds; the bytes were made by another protobuf implementation than the one
//! under test. They are never rewritten by a failing test: after a new case,
//! `TRADEWIND_REGENERATE_GOLDENS=1 cargo test -p tradewind-wire golden` encodes
//! the words again, through their description and not through our conversions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::{env, fs};

use prost_reflect::prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage, Value};
use tradewind_domain::{DecisionRecord, Position};
use tradewind_ports::{NewRecord, Record};
use tradewind_wire::{command, decision, delivery, directory, envelope, fact, ledger, vault};

use crate::samples::{self, Sample};
use crate::{contract, stored};

fn directory_of_goldens() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden")
}

/// The message that a case's first word stands for.
fn message_of(case: &str) -> MessageDescriptor {
    let name = match case.split('.').next().expect("expected a case") {
        "fact" => "Fact",
        "command" => "Command",
        "decision" => "DecisionRecord",
        "ledger" => "LedgerEntry",
        "directory" => "DirectoryEntry",
        "raw" => "RawDelivery",
        "dead_letter" => "DeadLetter",
        "key" => "KeyEntry",
        "envelope" => "Envelope",
        other => panic!("expected a record's word before the first dot of {case}, got {other}"),
    };
    contract().get_message_by_name(&format!("tradewind.v1.{name}")).expect("expected a message of the contract")
}

/// The bytes of each case.
pub(crate) fn goldens() -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(directory_of_goldens()).expect("expected the goldens beside Cargo.toml");
    let paths = files.map(|entry| entry.expect("expected a readable directory").path());
    paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "hex"))
        .map(|path| {
            let text = fs::read_to_string(&path).expect("expected a golden as text");
            let case = path.file_stem().expect("expected a file").to_str().expect("expected ASCII").to_owned();
            (case, from_hex(&text))
        })
        .collect()
}

pub(crate) fn golden(case: &str) -> Vec<u8> {
    goldens().remove(case).unwrap_or_else(|| panic!("expected golden/{case}.hex"))
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().filter(|character| !character.is_whitespace()).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).expect("expected hexadecimal"))
        .collect()
}

fn to_hex(bytes: &[u8]) -> String {
    let line = |chunk: &[u8]| chunk.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n";
    bytes.chunks(32).map(line).collect()
}

/// The case's words, encoded through the description of the contract alone.
fn encoded_words(case: &str) -> Vec<u8> {
    let path = directory_of_goldens().join(format!("{case}.txtpb"));
    let words = fs::read_to_string(&path).unwrap_or_else(|_| panic!("expected {}", path.display()));
    let message = DynamicMessage::parse_text_format(message_of(case), &words)
        .unwrap_or_else(|mismatch| panic!("expected the fields of the contract in {case}: {mismatch}"));
    message.encode_to_vec()
}

fn cases_in_words() -> Vec<String> {
    let files = fs::read_dir(directory_of_goldens()).expect("expected the goldens beside Cargo.toml");
    let mut cases: Vec<String> = files
        .map(|entry| entry.expect("expected a readable directory").file_name().into_string().expect("expected ASCII"))
        .filter_map(|name| name.strip_suffix(".txtpb").map(str::to_owned))
        .collect();
    cases.sort();
    cases
}

#[test]
fn golden_bytes_are_what_their_words_say() {
    let regenerate = env::var_os("TRADEWIND_REGENERATE_GOLDENS").is_some();
    for case in cases_in_words() {
        let bytes = encoded_words(&case);
        if regenerate {
            fs::write(directory_of_goldens().join(format!("{case}.hex")), to_hex(&bytes)).expect("expected to write");
        }
        assert_eq!(to_hex(&golden(&case)), to_hex(&bytes), "{case}");
    }
}

/// Command bytes as they stand in a decision that issues it.
fn encoded(sample: &Sample) -> Vec<u8> {
    let value = |record: NewRecord| record.value.expect("expected a value");
    match sample {
        Sample::Fact(fact) => fact::encode(fact),
        Sample::Command(command) => {
            let mut decision = samples::decision();
            decision.choices[0].transitions =
                vec![tradewind_domain::Transition::CommandIssued { command: command.as_ref().clone() }];
            let (_, record) = decision::record(&decision, Position::fold(1), samples::lineage_id()).commands.remove(0);
            value(record)
        }
        Sample::Decision(record) => value(match record.as_ref() {
            DecisionRecord::Decision(decision) => {
                decision::record(decision, Position::fold(1), samples::lineage_id()).record
            }
            DecisionRecord::TurnCommitted(turn) => decision::turn_record(0, turn),
            DecisionRecord::Lineage(opened) => decision::lineage_record(0, opened),
        }),
        Sample::Ledger(entry) => value(ledger::record(entry)),
        Sample::Directory(entry) => value(directory::record(entry)),
        Sample::Raw(raw) => value(delivery::raw_record(&samples::tenant(), raw)),
        Sample::DeadLetter(letter) => value(delivery::dead_letter_record(&samples::tenant(), letter)),
        Sample::Key(entry) => vault::encode(entry),
        Sample::Envelope(envelope) => {
            let record = tradewind_wire::record::event(&crate::headers::new_fact_of(envelope));
            tradewind_wire::envelope::encode(&stored(&record), envelope.recorded_at).expect("expected an event")
        }
    }
}

/// A record whose value is a golden. Its headers are the least a reader needs.
fn record_of(bytes: &[u8]) -> Record {
    let lineage = samples::lineage_id().to_string();
    let headers = tradewind_ports::Headers::new().with("tw-position", b"1.0").with("tw-lineage", lineage.as_bytes());
    stored(&NewRecord { key: b"demo".to_vec(), headers, value: Some(bytes.to_vec()) })
}

fn decoded(case: &str, bytes: &[u8]) -> Sample {
    let record = record_of(bytes);
    let expected = "expected a golden to be readable";
    match case.split('.').next().expect(expected) {
        "fact" => Sample::Fact(Box::new(fact::decode(bytes).expect(expected))),
        "command" => Sample::Command(Box::new(command::decode(&record).expect(expected).command)),
        "decision" => Sample::Decision(Box::new(decision::decode(&record).expect(expected).1)),
        "ledger" => Sample::Ledger(ledger::decode(&record).expect(expected).expect(expected)),
        "directory" => Sample::Directory(directory::decode(&record).expect(expected).expect(expected)),
        "raw" => Sample::Raw(delivery::decode_raw(&record).expect(expected)),
        "dead_letter" => Sample::DeadLetter(delivery::decode_dead_letter(&record).expect(expected)),
        "key" => Sample::Key(vault::decode(bytes).expect(expected)),
        "envelope" => Sample::Envelope(Box::new(envelope::decode(bytes).expect(expected))),
        other => panic!("expected a record's word, got {other}"),
    }
}

#[test]
fn values_are_encoded_as_their_goldens() {
    let goldens = goldens();
    let samples = samples::all();
    assert_eq!(
        samples.iter().map(|(case, _)| (*case).to_owned()).collect::<BTreeSet<_>>(),
        goldens.keys().cloned().collect::<BTreeSet<_>>(),
        "expected one sample a golden"
    );
    for (case, sample) in &samples {
        assert_eq!(to_hex(&encoded(sample)), to_hex(&goldens[*case]), "{case}");
    }
}

#[test]
fn goldens_of_version_1_stay_readable() {
    let goldens = goldens();
    for (case, sample) in &samples::all() {
        assert_eq!(decoded(case, &goldens[*case]), *sample, "{case}");
    }
}

/// A message or field that no golden shows could change its number unseen.
#[test]
fn every_field_of_every_message_stands_in_a_golden() {
    let mut seen = BTreeSet::new();
    for (case, bytes) in goldens() {
        let message = DynamicMessage::decode(message_of(&case), bytes.as_slice()).expect("expected a golden");
        look_at(&message, &mut seen);
    }
    let pool = contract();
    let ours = pool.all_messages().filter(|message| message.package_name() == "tradewind.v1");
    let unseen: Vec<String> = ours
        .flat_map(|message| {
            let fields = message.fields().map(|field| field.full_name().to_owned());
            fields.chain([message.full_name().to_owned()]).collect::<Vec<_>>()
        })
        .filter(|name| !seen.contains(name))
        .collect();
    assert_eq!(unseen, Vec::<String>::new(), "expected a golden with each of these");
}

fn look_at(message: &DynamicMessage, seen: &mut BTreeSet<String>) {
    assert_eq!(message.unknown_fields().count(), 0, "expected a golden without fields outside the contract");
    seen.insert(message.descriptor().full_name().to_owned());
    for (field, value) in message.fields() {
        seen.insert(field.full_name().to_owned());
        look_into(&field, value, seen);
    }
}

fn look_into(field: &FieldDescriptor, value: &Value, seen: &mut BTreeSet<String>) {
    if !matches!(field.kind(), Kind::Message(_)) {
        return;
    }
    if let Some(messages) = value.as_list() {
        messages.iter().filter_map(Value::as_message).for_each(|message| look_at(message, seen));
    } else if let Some(message) = value.as_message() {
        look_at(message, seen);
    }
}
