//! What was turned away comes again, for as long as its vendor tries. Until then something is missing, though the vendor is
//! heard of all the while; whoever decides must know. So the gap of each such connection goes onto the log, as soon as
//! that takes anything, and again for as long as it goes on (docs/adr/0009).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tradewind_domain::{Body, ConnectionName, FactId, GapOpened, Tenant, Timestamp, Vendor};
use tradewind_wire::record::NewFact;

use crate::directory::Door;

/// A connection that brings again what it could not deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owed {
    pub(crate) tenant: Tenant,
    pub(crate) connection: ConnectionName,
    pub(crate) vendor: Vendor,
    pub(crate) partition: u32,
    pub(crate) placement: u32,
}

impl Owed {
    pub(crate) fn by(door: &Door) -> Owed {
        Owed {
            tenant: door.tenant.clone(),
            connection: door.connection.clone(),
            vendor: door.vendor.clone(),
            partition: door.partition,
            placement: door.placement,
        }
    }

    pub(crate) fn gap(self, now: Timestamp) -> NewFact {
        let Owed { tenant, connection, vendor, placement, .. } = self;
        let opened = GapOpened { vendor, connection: Some(connection), from: now };
        let id = FactId::of_gap(&tenant, &opened);
        NewFact::ours(tenant, placement, id, now, Body::GapOpened(opened))
    }
}

/// Those whose gap is not on the log yet. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct TurnedAway(Arc<Mutex<Waiting>>);

type Waiting = BTreeMap<u32, BTreeMap<(Tenant, ConnectionName), Owed>>;

impl TurnedAway {
    pub(crate) fn note(&self, owed: Owed) {
        let of = (owed.tenant.clone(), owed.connection.clone());
        self.waiting().entry(owed.partition).or_default().insert(of, owed);
    }

    /// Those of a partition, to be told now; they are noted again if that fails.
    pub(crate) fn take(&self, partition: u32) -> Vec<Owed> {
        self.waiting().remove(&partition).into_iter().flat_map(BTreeMap::into_values).collect()
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().expect("nothing panics while it holds what was turned away")
    }
}
