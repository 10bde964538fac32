//! What the directory says, brought into each tenant's own order (D17): decisions
//! read nothing of the control plane but these facts.

use std::collections::BTreeMap;

use tradewind_domain::{
    Body, ConnectionChanged, ConnectionEntry, DirectoryEntry, DirectoryValue, FactId, SwitchSet, Tenant, TenantEntry,
    Timestamp,
};
use tradewind_ports::EventLog;
use tradewind_wire::reading::DirectoryReader;
use tradewind_wire::record;

use crate::error::OwnerError;
use crate::owner::Owner;

/// The directory as far as it was read, and what of it was told.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    reader: DirectoryReader,
    tenants: BTreeMap<Tenant, TenantEntry>,
    entries: BTreeMap<String, Stated>,
    /// Versions whose facts this owner appended: they may wait to be folded.
    told: BTreeMap<String, u64>,
}

#[derive(Clone, Debug)]
struct Stated {
    version: u64,
    what: What,
}

/// The entries that tenants have facts of.
#[derive(Clone, Debug)]
enum What {
    Connection(ConnectionEntry),
    Switch(Tenant, SwitchSet),
}

impl Directory {
    /// Reads on, and appends a fact for each entry that its tenant's order lacks.
    pub(crate) fn follow(&mut self, owner: &mut Owner, now: Timestamp) -> Result<(), OwnerError> {
        let log = owner.log.clone();
        self.read(log.as_ref())?;
        let facts = self.lacking(owner, now)?;
        if !facts.is_empty() {
            log.append(&owner.events(), facts.iter().map(record::event).collect())?;
        }
        Ok(())
    }

    fn read(&mut self, log: &dyn EventLog) -> Result<(), OwnerError> {
        let mut reader = std::mem::take(&mut self.reader);
        let read = reader.follow(log, |key, entry| match entry {
            Some(entry) => self.learn(entry),
            // What ended was switched off before, with a version of its own.
            None => {
                self.entries.remove(&*String::from_utf8_lossy(key));
            }
        });
        self.reader = reader;
        read?;
        Ok(())
    }

    fn learn(&mut self, entry: DirectoryEntry) {
        let key = entry.value.key();
        let version = entry.version;
        let what = match entry.value {
            DirectoryValue::Tenant(entry) => {
                self.tenants.insert(entry.tenant.clone(), entry);
                return;
            }
            DirectoryValue::Connection(entry) => What::Connection(entry),
            DirectoryValue::Switch { tenant, switch } => What::Switch(tenant, switch),
            DirectoryValue::Definition(_) | DirectoryValue::Format(_) | DirectoryValue::Owner(_) => return,
        };
        self.entries.insert(key, Stated { version, what });
    }

    fn lacking(&mut self, owner: &mut Owner, now: Timestamp) -> Result<Vec<record::NewFact>, OwnerError> {
        let number = owner.settings.partition;
        let mut facts = Vec::new();
        for (key, Stated { version, what }) in &self.entries {
            let tenant = match what {
                What::Connection(entry) => &entry.tenant,
                What::Switch(tenant, _) => tenant,
            };
            let Some(placed) = self.tenants.get(tenant).filter(|entry| entry.partition == number) else { continue };
            if self.told.get(key).is_some_and(|told| told >= version) {
                continue;
            }
            let set_up = owner.partition.view(tenant).set_up()?;
            let known = match what {
                What::Connection(entry) => set_up.connections.get(&entry.connection).map(|state| state.version),
                What::Switch(_, switch) => set_up.switches.get(&switch.scope).map(|state| state.version),
            };
            self.told.insert(key.clone(), *version);
            if known.is_some_and(|known| known >= *version) {
                continue;
            }
            let body = match what {
                What::Connection(entry) => Body::ConnectionChanged(changed(entry, *version)),
                What::Switch(_, switch) => Body::SwitchSet(SwitchSet { version: *version, ..switch.clone() }),
            };
            let id = FactId::of_entry(key, *version);
            facts.push(record::NewFact::ours(tenant.clone(), placed.placement, id, now, body));
        }
        Ok(facts)
    }
}

fn changed(entry: &ConnectionEntry, version: u64) -> ConnectionChanged {
    ConnectionChanged {
        connection: entry.connection.clone(),
        vendor: entry.vendor.clone(),
        account: entry.account.clone(),
        intake: entry.intake,
        active: entry.active,
        retry_horizon_ms: entry.retry_horizon_ms,
        version,
    }
}
