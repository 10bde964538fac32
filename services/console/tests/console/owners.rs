//! An owner that knows nothing but the log: it reads everything at each question.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tradewind_console::{Owners, OwnersError, Place, Reference, ReferenceKind, Timeline};
use tradewind_domain::{DecisionRecord, EntityKey, Lineage, Position, Tenant, Timestamp};
use tradewind_ports::Topic;
use tradewind_simulation::Broker;
use tradewind_wire::{decision, record};

pub(crate) struct LogOwners {
    pub(crate) broker: Arc<Broker>,
    /// Whoever asks where it is ends with that.
    pub(crate) is_broken: Arc<AtomicBool>,
}

impl LogOwners {
    /// Everything linked to `entity`, until nothing more is.
    fn component(&self, tenant: &Tenant, entity: &EntityKey) -> BTreeSet<EntityKey> {
        let mut known = BTreeSet::from([entity.clone()]);
        loop {
            let before = known.len();
            for (_, together) in self.named(tenant) {
                if together.iter().any(|key| known.contains(key)) {
                    known.extend(together);
                }
            }
            if known.len() == before {
                return known;
            }
        }
    }

    /// What each fact is about and names.
    fn named(&self, tenant: &Tenant) -> Vec<(u64, Vec<EntityKey>)> {
        let mut named = Vec::new();
        for stored in self.broker.records(&Topic::Events.partition(0)) {
            let event = record::envelope(&stored).unwrap();
            if let (Some((about, names)), true) = (event.fact.body.about(), event.tenant == *tenant) {
                named.push((event.offset, [std::slice::from_ref(about), names].concat()));
            }
        }
        named
    }
}

impl Owners for LogOwners {
    fn timeline(&self, tenant: &Tenant, entity: &EntityKey) -> Result<Timeline, OwnersError> {
        let named = self.named(tenant);
        if named.is_empty() {
            return Err(OwnersError::UnknownTenant);
        }
        let entities = self.component(tenant, entity);
        let mut references = Vec::new();
        for (offset, together) in named {
            for (index, entity) in together.into_iter().enumerate().filter(|(_, key)| entities.contains(key)) {
                let kind = if index == 0 { ReferenceKind::About } else { ReferenceKind::Named };
                references.push(Reference { position: Position::fold(offset), kind, entity });
            }
        }
        for stored in self.broker.records(&Topic::Decisions.partition(0)) {
            let (Some(position), DecisionRecord::Decision(decision)) = decision::decode(&stored).unwrap() else {
                continue;
            };
            let subjects = decision.choices.into_iter().map(|choice| choice.subject);
            let ours = subjects.filter(|subject| entities.contains(subject) && decision.tenant == *tenant);
            references.extend(ours.map(|entity| Reference { position, kind: ReferenceKind::Decision, entity }));
        }
        Ok(Timeline {
            partition: 0,
            lineage: Lineage::from_bytes([5; 16]),
            as_of: Position::fold(0),
            log_time: Timestamp::from_millis(0),
            entities: entities.into_iter().collect(),
            references,
        })
    }

    fn places(&self) -> Vec<Place> {
        assert!(!self.is_broken.load(Ordering::SeqCst), "as the test has it");
        Vec::new()
    }
}
