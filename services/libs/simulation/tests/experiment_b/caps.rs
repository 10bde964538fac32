//! Caps, read off decisions and settings alone.

use std::collections::BTreeMap;

use tradewind_domain::{Body, CommandId, EntityKey, Envelope, Position, Tenant, Timestamp, Transition};
use tradewind_simulation::Reading;
use tradewind_simulation::shop::HOUR;

/// No address is sent more promotional messages a day than the tenant's setting
/// allows when another one is decided on: a place is taken from the decision on
/// until it is released.
pub(crate) fn check(seed: u64, events: &[Envelope], reading: &Reading) {
    let mut taken: BTreeMap<(Tenant, EntityKey), Vec<(Timestamp, CommandId)>> = BTreeMap::new();
    for read in &reading.decisions {
        let tenant = &read.value.tenant;
        for transition in read.value.choices.iter().flat_map(|choice| &choice.transitions) {
            if let Transition::SlotReserved { entity, command, at, .. } = transition {
                let places = taken.entry((tenant.clone(), entity.clone())).or_default();
                let in_window = places.iter().filter(|(taken_at, _)| at.since(*taken_at) < 24 * HOUR).count();
                let limit = per_day(events, tenant, read.position);
                assert!(in_window < limit, "seed {seed}: message {command} within a day of {in_window}, of {limit}");
                places.push((*at, *command));
            } else if let Transition::SlotReleased { entity, command, .. } = transition {
                let places = taken.entry((tenant.clone(), entity.clone())).or_default();
                places.retain(|(_, known)| known != command);
            }
        }
    }
}

fn per_day(events: &[Envelope], tenant: &Tenant, at: Position) -> usize {
    let (mut limit, mut newest) = (1, 0);
    for event in events.iter().filter(|event| event.tenant == *tenant && event.offset <= at.offset) {
        if let Body::SettingSet(set) = &event.fact.body
            && set.name.as_str() == "cap.promotional.per_day"
            && set.version > newest
        {
            (limit, newest) = (usize::try_from(set.value.max(0)).expect("it is not negative"), set.version);
        }
    }
    limit
}
