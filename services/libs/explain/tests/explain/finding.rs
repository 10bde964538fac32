use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tradewind_domain::{CommandId, DecisionId, Position, Timestamp};
use tradewind_explain::{CommandSeen, Explainer, Issued};
use tradewind_ports::{EventLog, Topic};

use crate::shop::Day;
use crate::trouble::Elsewhere;

#[test]
fn a_decision_is_found_at_its_position_and_at_no_other() {
    let day = Day::of(3);
    let explainer = day.explainer();
    let decided: BTreeMap<Position, DecisionId> =
        day.reading.decisions.iter().map(|read| (read.position, read.value.id)).collect();
    let end = day.log().bounds(&Topic::Events.partition(0)).unwrap().end;
    for offset in 0..end + 2 {
        for step in 0..3 {
            let position = Position { offset, step };
            let found = explainer.decision_at(0, position).unwrap().map(|decision| decision.id);
            assert_eq!(found, decided.get(&position).copied(), "{position}");
        }
    }
}

#[test]
fn offsets_of_the_log_have_gaps_and_nothing_is_missed_for_it() {
    let day = Day::of(1);
    let offsets: BTreeSet<u64> =
        day.broker.records(&Topic::Decisions.partition(0)).iter().map(|stored| stored.offset).collect();
    let is_gap = |offset: &u64| !offsets.contains(&(offset + 1)) && Some(offset) != offsets.last();
    assert!(offsets.iter().filter(|offset| is_gap(offset)).count() > 10);
    let explainer = day.explainer();
    let found =
        day.reading.decisions.iter().filter(|read| explainer.explain_decision(read.value.id).unwrap().is_some());
    assert_eq!(found.count(), day.reading.decisions.len());
}

#[test]
fn what_is_not_on_the_log_is_nothing() {
    let day = Day::of(1);
    let explainer = day.explainer();
    for known in day.reading.commands.keys() {
        let mut bytes = *known.as_bytes();
        bytes[15] ^= 1;
        assert_eq!(explainer.explain(CommandId::from_bytes(bytes)).unwrap(), None, "of the same millisecond");
        bytes[5] ^= 0x80;
        assert_eq!(explainer.explain(CommandId::from_bytes(bytes)).unwrap(), None, "of another millisecond");
    }
    for bytes in [[0; 16], [0xff; 16]] {
        assert_eq!(explainer.explain(CommandId::from_bytes(bytes)).unwrap(), None);
        assert_eq!(explainer.explain_decision(DecisionId::from_bytes(bytes)).unwrap(), None);
    }
    assert_eq!(explainer.event_at(0, u64::MAX).unwrap(), None);
    let empty = Explainer::new(Arc::new(day.log()), 0);
    assert_eq!(empty.explain(*day.reading.commands.keys().next().unwrap()).unwrap(), None);
}

#[test]
fn a_command_is_found_in_whatever_partition_it_lies() {
    let day = Day::of(1);
    let explainer = Explainer::new(Arc::new(Elsewhere { inner: day.log(), partition: 2 }), 4);
    for id in day.reading.commands.keys() {
        assert_eq!(explainer.explain(*id).unwrap().map(|chain| chain.partition), Some(2));
    }
}

#[test]
fn an_outcome_far_behind_its_command_is_said_to_be_unread() {
    let day = Day::of(1);
    let explainer = day.explainer();
    let issued: BTreeMap<CommandId, Issued> = day
        .reading
        .commands
        .iter()
        .map(|(id, read)| (*id, Issued::of(&CommandSeen::of(&read.value), read.position.offset)))
        .collect();
    let all = explainer.outcomes(0, &issued, u64::MAX).unwrap();
    assert!(all.is_sorted_by_key(|outcome| outcome.offset) && !all.is_empty());
    let near = explainer.outcomes(0, &issued, 10).unwrap();
    assert!(near.iter().all(|outcome| outcome.offset < issued[&outcome.command].offset + 10 || all.contains(outcome)));
    assert!(near.len() < all.len());
}

/// Ids begin with a time of 48 bits; one before 1970 counts as its beginning.
#[test]
fn an_id_is_sought_by_the_time_it_begins_with() {
    let day = Day::of(1);
    for read in &day.reading.decisions {
        let millis = read.value.watermark.max(Timestamp::from_millis(0)).millis().to_be_bytes();
        assert_eq!(read.value.id.as_bytes()[..6], millis[2..]);
    }
}
