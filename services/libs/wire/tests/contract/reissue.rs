//! Commands are copied from a stored decision as they stand in it: the second
//! copy of a command is byte for byte the first.

use prost_reflect::prost::Message;
use prost_reflect::{DynamicMessage, ReflectMessage, Value};
use tradewind_domain::{Position, Transition};
use tradewind_ports::Record;
use tradewind_wire::{DecodeError, command, decision};

use crate::golden::golden;
use crate::{contract, samples, stored};

const POSITION: Position = Position { offset: 41, step: 2 };

/// Field 900 with the text `later`, as a newer release could have added it.
const UNKNOWN: &[u8] = b"\xa2\x38\x05later";

fn message(name: &str) -> DynamicMessage {
    DynamicMessage::new(contract().get_message_by_name(&format!("tradewind.v1.{name}")).expect("expected a message"))
}

/// A stored decision that issues these commands, as bytes.
fn decision_with(commands: &[Vec<u8>]) -> Record {
    let transitions = commands.iter().map(|bytes| {
        let mut issued = message("CommandIssued");
        issued.set_field_by_name("command", Value::Bytes(bytes.clone().into()));
        let mut transition = message("Transition");
        transition.set_field_by_name("command_issued", Value::Message(issued));
        Value::Message(transition)
    });
    let mut choice = message("Choice");
    choice.set_field_by_name("transitions", Value::List(transitions.collect()));
    let mut decision = message("Decision");
    decision.set_field_by_name("choices", Value::List(vec![Value::Message(choice)]));
    let mut record = message("DecisionRecord");
    record.set_field_by_name("decision", Value::Message(decision));
    let shaped = decision::record(&samples::decision(), POSITION, samples::lineage_id()).record;
    Record { value: Some(record.encode_to_vec()), ..stored(&shaped) }
}

#[test]
fn the_command_in_the_decision_is_the_commands_record() {
    let encoded = decision::record(&samples::decision(), POSITION, samples::lineage_id());
    let value = encoded.commands[0].1.value.clone().unwrap();
    assert_eq!(value, golden("command.message_send"));
    let stands_in = encoded.record.value.as_ref().unwrap().windows(value.len()).any(|window| window == value);
    assert!(stands_in, "expected the command's bytes within the decision's");
}

#[test]
fn issued_again_every_byte_is_the_same() {
    let mut several = samples::decision();
    let mut second = samples::command();
    second.id = tradewind_domain::CommandId::from_bytes([2; 16]);
    several.choices[0].transitions.push(Transition::CommandIssued { command: second });
    several.choices.push(several.choices[0].clone());
    let encoded = decision::record(&several, POSITION, samples::lineage_id());
    assert_eq!(encoded.commands.len(), 4);
    assert_eq!(decision::commands(&stored(&encoded.record)), Ok(encoded.commands));
}

#[test]
fn what_a_newer_release_put_into_a_command_survives() {
    let newer = [golden("command.message_send"), UNKNOWN.to_vec()].concat();
    let commands = decision::commands(&decision_with(std::slice::from_ref(&newer))).unwrap();
    let [(_, record)] = commands.as_slice() else { panic!("expected one command") };
    assert_eq!(record.value, Some(newer));
    assert_eq!(command::decode(&stored(record)).unwrap().command, samples::command());
}

/// Carrying it out needs a newer release; passing it on does not.
#[test]
fn a_command_of_an_unknown_kind_is_passed_on() {
    let mut newer = DynamicMessage::decode(message("Command").descriptor(), golden("command.message_send").as_slice())
        .expect("expected a command");
    newer.clear_field_by_name("message_send");
    newer.set_field_by_name("capability", Value::String("ticket.reply".into()));
    let newer = [newer.encode_to_vec(), UNKNOWN.to_vec()].concat();
    let commands = decision::commands(&decision_with(std::slice::from_ref(&newer))).unwrap();
    let [(vendor, record)] = commands.as_slice() else { panic!("expected one command") };
    assert_eq!((vendor.as_str(), record.value.as_ref()), ("klaviyo", Some(&newer)));
    assert_eq!(record.headers.text("ce_type"), Some("tradewind.command.ticket.reply.v1"));
    assert_eq!(
        command::decode(&stored(record)).unwrap_err().to_string(),
        "read command: expected a capability that this release knows in capability, got \"ticket.reply\""
    );
}

#[test]
fn a_commit_point_issues_nothing() {
    let turn = decision::turn_record(3, &samples::turn());
    assert_eq!(decision::commands(&stored(&turn)), Ok(vec![]));
}

#[test]
fn a_command_without_an_id_is_an_error() {
    let error = decision::commands(&decision_with(&[vec![]])).unwrap_err();
    assert_eq!(error.to_string(), "read command: expected 16 bytes in id, got 0");
    assert!(matches!(error, DecodeError::Field { message: "command", .. }));
}
