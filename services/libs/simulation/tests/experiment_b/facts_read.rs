//! Which facts a decision says it was made on.

use std::collections::{BTreeMap, BTreeSet};

use tradewind_domain::{
    Body, Choice, EntityKey, Envelope, FactId, InstanceId, Position, Tenant, Timestamp, Transition,
};
use tradewind_simulation::Reading;

/// Most ids a decision lists.
const LISTED: usize = 64;

/// Returns how many decisions count facts beyond those they list.
pub(crate) fn check(seed: u64, events: &[Envelope], reading: &Reading) -> usize {
    let mut triggers: BTreeMap<InstanceId, FactId> = BTreeMap::new();
    let mut cut = 0;
    for read in &reading.decisions {
        let decision = &read.value;
        for choice in &decision.choices {
            let what = || format!("seed {seed}: decision {} at {}", decision.id, read.position);
            let listed: BTreeSet<FactId> = choice.facts_read.iter().copied().collect();
            assert!(choice.facts_read.is_sorted() && listed.len() == choice.facts_read.len(), "{}: a set", what());
            assert!(listed.len() <= LISTED && (choice.facts_read_more == 0 || listed.len() == LISTED), "{}", what());
            for fact in &listed {
                let is_on_log = events.iter().any(|event| event.id == *fact && event.offset <= read.position.offset);
                assert!(is_on_log, "{}: {fact} is not on the log", what());
            }
            let started = choice.transitions.iter().find_map(|transition| {
                if let Transition::InstanceStarted { trigger } = transition { Some(*trigger) } else { None }
            });
            triggers.extend(started.map(|trigger| (choice.instance, trigger)));
            let folded = decision.wakeup.is_none().then_some(decision.fact);
            for fact in triggers.get(&choice.instance).copied().into_iter().chain(folded) {
                assert!(listed.contains(&fact), "{}: what led to it is not listed, {fact}", what());
            }
            if looked_at_its_subject(choice) {
                for fact in newest(events, &decision.tenant, read.position, &choice.subject) {
                    assert!(listed.contains(&fact), "{}: {fact} of its own subject is not listed", what());
                }
            }
            cut += usize::from(choice.facts_read_more > 0);
        }
    }
    cut
}

/// An instance that starts, or that ends by an outcome, has no need to.
fn looked_at_its_subject(choice: &Choice) -> bool {
    !choice.features.is_empty()
}

/// The newest fact of each kind about an entity.
fn newest(events: &[Envelope], tenant: &Tenant, at: Position, about: &EntityKey) -> Vec<FactId> {
    let mut newest: BTreeMap<_, (Timestamp, FactId)> = BTreeMap::new();
    for event in events.iter().filter(|event| event.tenant == *tenant && event.offset <= at.offset) {
        if event.fact.body.about().is_some_and(|(object, _)| object == about) {
            let is_deleted = matches!(event.fact.body, Body::CheckoutDeleted(_));
            let version = (event.fact.occurred_at, event.id);
            let known = newest.entry(is_deleted).or_insert(version);
            *known = version.max(*known);
        }
    }
    newest.into_values().map(|(_, fact)| fact).collect()
}
