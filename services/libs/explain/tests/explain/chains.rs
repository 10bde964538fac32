use std::collections::{BTreeMap, BTreeSet};

use tradewind_domain::{
    Body, Choice, Claimed, CommandId, LedgerEntry, LedgerPosition, Lineage, OutcomeState, Transition, Verdict,
};
use tradewind_explain::{Chain, LedgerStep, Shown};
use tradewind_ports::{EventLog as _, Topic};
use tradewind_simulation::shop::vendor;
use tradewind_wire::{fact, ledger, record};

use crate::shop::{Day, FINAL};

#[test]
fn every_command_leads_back_to_its_facts() {
    for seed in 1..=3 {
        let day = Day::of(seed);
        let explainer = day.explainer();
        assert!(day.reading.commands.len() > 3, "seed {seed}");
        for (id, read) in &day.reading.commands {
            let chain = explainer.explain(*id).unwrap().expect("a command on the log");
            assert_eq!(
                (chain.decision.position, chain.decision.id),
                (read.position, read.value.decision),
                "seed {seed}"
            );
            let commands: Vec<CommandId> = chain.commands().map(|command| command.id).collect();
            assert_eq!(commands, [*id]);
            let found: BTreeSet<_> = chain.facts.iter().map(|fact| fact.id).collect();
            assert!(read.value.causes.iter().all(|cause| found.contains(cause)), "seed {seed}: {id}");
            assert!(found.contains(&chain.decision.fact), "the record it was decided with");
            assert_eq!(chain.facts_missing, [], "seed {seed}: {id}");
            assert!(chain.facts.iter().all(|fact| fact.offset <= Some(read.position.offset)));
        }
    }
}

#[test]
fn every_command_leads_on_to_what_became_of_it() {
    let day = Day::of(1);
    let mut reported: BTreeMap<CommandId, BTreeSet<&str>> = BTreeMap::new();
    for stored in day.broker.records(&Topic::Events.partition(0)) {
        if let Body::Outcome(outcome) = record::envelope(&stored).unwrap().fact.body {
            reported.entry(outcome.command).or_default().insert(outcome.state.as_str());
        }
    }
    assert!(!reported.is_empty());
    for id in day.reading.commands.keys() {
        let chain = day.explainer().explain(*id).unwrap().unwrap();
        let seen: BTreeSet<&str> = chain.outcomes.iter().map(|outcome| outcome.state).collect();
        let expected = reported.remove(id).unwrap_or_default();
        // Nothing is looked for behind a final one.
        let final_ones: Vec<&str> = expected.iter().copied().filter(|state| FINAL.contains(state)).collect();
        assert!(seen.is_subset(&expected) && final_ones.iter().all(|state| seen.contains(state)), "{id}: {seen:?}");
        assert_eq!(chain.outcomes.len(), seen.len(), "an outcome that came twice is shown once");
    }
}

#[test]
fn every_decision_is_explained_whether_it_issued_anything_or_not() {
    let day = Day::of(2);
    let explainer = day.explainer();
    let mut kinds = BTreeSet::new();
    for read in &day.reading.decisions {
        let chain = explainer.explain_decision(read.value.id).unwrap().expect("a decision on the log");
        assert_eq!(chain.decision.position, read.position);
        assert_eq!(chain.decision.choices.len(), read.value.choices.len());
        for choice in &chain.decision.choices {
            kinds.extend([
                (!choice.suppressed.is_empty()).then_some("suppressed"),
                (!choice.commands.is_empty()).then_some("issued"),
                (!choice.derived.is_empty()).then_some("derived"),
            ]);
        }
        assert!(!chain.to_string().is_empty());
    }
    assert!(kinds.is_superset(&[Some("suppressed"), Some("issued"), Some("derived")].into()), "{kinds:?}");
}

#[test]
fn a_command_that_was_not_sent_says_by_which_rule() {
    let is_ordered = |choice: &Choice| {
        choice
            .transitions
            .iter()
            .any(|transition| matches!(transition, Transition::Suppressed { rule, .. } if rule.as_str() == "ordered"))
    };
    let (day, decision) = Day::with(is_ordered);
    let chain = day.explainer().explain_decision(decision).unwrap().unwrap();
    let text = chain.to_string();
    assert!(text.contains("send a message: the customer has ordered"), "{text}");
    assert!(text.contains("order placed #1001"), "{text}");
    assert!(!text.contains("What happened"), "nothing was to happen:\n{text}");
}

#[test]
fn what_was_withheld_is_shown_as_the_command_it_would_have_been() {
    let is_withheld = |choice: &Choice| choice.transitions.iter().any(|one| matches!(one, Transition::Withheld { .. }));
    let (day, decision) = Day::with(is_withheld);
    let chain = day.explainer().explain_decision(decision).unwrap().unwrap();
    let withheld = chain.decision.choices.iter().flat_map(|choice| &choice.withheld).next().expect("what was withheld");
    assert_eq!(day.explainer().explain(withheld.command.id).unwrap(), None, "it is no command");
    let text = chain.to_string();
    assert!(text.contains("  withheld      send a message by email: Cart Abandoned: the workflow"), "{text}");
    assert!(text.contains("  chosen        remind") && text.contains("  lifecycle     "), "{text}");
    assert!(!text.contains("What happened"), "nothing was to happen:\n{text}");
}

#[test]
fn the_text_of_a_chain_says_what_who_why_and_what_happened() {
    let day = Day::of(1);
    let has_succeeded = |chain: &Chain| chain.outcomes.iter().any(|outcome| outcome.state == "succeeded");
    let chains = day.reading.commands.keys().map(|id| day.explainer().explain(*id).unwrap().unwrap());
    let chain = chains.into_iter().find(has_succeeded).expect("a command that succeeded");
    let text = chain.to_string();
    for expected in [
        "  asks to       send a message by email: Cart Abandoned",
        "  sent through  klaviyo demo.example.com (connection mail)",
        "× A shirt (SHIRT-S) at 19.99 USD",
        "  email         sealed",
        "  because       its wakeup quiet was due",
        "  workflow      cart-recovery for cart/shopify/demo.example.com/",
        "  lifecycle     on",
        "  chosen        remind",
        "  alternative   remind: probability 1, chosen",
        "  policy        always-remind, version 1",
        "cart: ",
        "commerce.checkout.started.v1 from shopify demo.example.com, live, offset ",
        "  ← decided with this record",
        "  2026-05-2",
        "succeeded: the vendor has done it",
        ", klaviyo demo.example.com, offset ",
    ] {
        assert!(text.contains(expected), "{expected:?} in\n{text}");
    }
}

#[test]
fn the_json_of_a_chain_has_ids_and_times_as_text_and_nothing_sealed() {
    let day = Day::of(1);
    let id = *day.reading.commands.keys().next().unwrap();
    let chain = day.explainer().explain(id).unwrap().unwrap();
    let json = serde_json::to_value(&chain).unwrap();
    assert_eq!(json["command"], id.to_string());
    assert!(json["decision"]["decided_at"].as_str().unwrap().ends_with('Z'));
    let command = &json["decision"]["choices"][0]["commands"][0];
    assert_eq!(command["personal"][0], serde_json::json!({ "field": "email", "state": "sealed", "value": null }));
    assert!(!json.to_string().contains("ciphertext"));
}

#[test]
fn personal_fields_are_shown_to_whoever_opens_them() {
    let day = Day::of(1);
    let id = *day.reading.commands.keys().next().unwrap();
    let mut chain = day.explainer().explain(id).unwrap().unwrap();
    let mut fields = BTreeSet::new();
    chain.for_each_personal(|personal| {
        fields.insert(personal.sealed.field.to_string());
        personal.shown = Shown::Opened("Augusta".into());
    });
    assert_eq!(fields, ["email", "first_name", "recovery_url"].map(String::from).into());
    let text = chain.to_string();
    assert!(text.contains("first name    Augusta") && !text.contains("sealed"), "{text}");
}

#[test]
fn the_ledger_of_a_command_is_part_of_its_chain() {
    let day = Day::of(1);
    let (id, read) = day.reading.commands.iter().next().unwrap();
    let outcome = day.broker.records(&Topic::Events.partition(0)).into_iter().find(|stored| {
        matches!(record::envelope(stored).unwrap().fact.body, Body::Outcome(outcome) if outcome.state == OutcomeState::Succeeded)
    });
    let outcome = record::envelope(&outcome.expect("an outcome")).unwrap().fact;
    let claimed_at = read.value.issued_at + 1_000;
    let claimed = Claimed { command: *id, attempt: 1, valid_ms: 30_000, first_claimed_at: claimed_at, step: 0 };
    let other = Claimed { command: CommandId::from_bytes([9; 16]), ..claimed };
    let verdict = Verdict { command: *id, attempt: 1, outcome: fact::encode(&outcome).into() };
    day.broker.set_now(claimed_at);
    let entries = [
        LedgerEntry::Claimed(other),
        LedgerEntry::Claimed(claimed),
        LedgerEntry::Position(LedgerPosition { lineage: Lineage::from_bytes([3; 16]), offset: 7 }),
        LedgerEntry::Verdict(verdict),
    ];
    let at = Topic::Ledger(vendor("klaviyo")).partition(0);
    day.log().append(&at, entries.iter().map(ledger::record).collect()).unwrap();
    let chain = day.explainer().explain(*id).unwrap().unwrap();
    let steps: Vec<&LedgerStep> = chain.ledger.iter().map(|entry| &entry.step).collect();
    let first_claimed_at = claimed_at;
    assert_eq!(
        steps,
        [
            &LedgerStep::Claimed { step: 0, valid_ms: 30_000, first_claimed_at },
            &LedgerStep::Judged { state: Some("succeeded") }
        ]
    );
    assert!(chain.to_string().contains("attempt 1, request 0 claimed for 30 s"), "{chain}");
}
