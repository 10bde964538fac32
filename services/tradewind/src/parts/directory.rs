//! The directory, as far as parts that ask it now and then need it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tradewind_domain::{ConnectionName, DirectoryValue, Name, Tenant};
use tradewind_ports::EventLog;
use tradewind_wire::reading::DirectoryReader;

/// Read on whenever it is asked. Clones share what was read. Every call blocks.
#[derive(Clone)]
pub(crate) struct Directory {
    log: Arc<dyn EventLog>,
    entries: Arc<Mutex<Entries>>,
}

/// Where a tenant lies, and since which of its moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) partition: u32,
    pub(crate) epoch: u32,
}

#[derive(Debug, Default)]
struct Entries {
    reader: DirectoryReader,
    secrets: BTreeMap<(Tenant, ConnectionName), Vec<Name>>,
    placed: BTreeMap<Tenant, Placed>,
}

impl Directory {
    pub(crate) fn new(log: Arc<dyn EventLog>) -> Directory {
        Directory { log, entries: Arc::default() }
    }

    /// The references to the secrets of a connection, the newest first.
    pub(crate) fn secrets(&self, tenant: &Tenant, connection: &ConnectionName) -> Result<Vec<Name>, String> {
        let key = (tenant.clone(), connection.clone());
        self.look(|entries| entries.secrets.get(&key).cloned().unwrap_or_default())
    }

    pub(crate) fn placed(&self, tenant: &Tenant) -> Result<Option<Placed>, String> {
        self.look(|entries| entries.placed.get(tenant).copied())
    }

    fn look<T>(&self, look: impl FnOnce(&Entries) -> T) -> Result<T, String> {
        let mut entries = self.entries.lock().map_err(|_| "read the directory: it failed before".to_owned())?;
        entries.follow(self.log.as_ref())?;
        Ok(look(&entries))
    }
}

impl Entries {
    fn follow(&mut self, log: &dyn EventLog) -> Result<(), String> {
        let Entries { reader, secrets, placed } = self;
        let followed = reader.follow(log, |_, entry| match entry.map(|entry| entry.value) {
            Some(DirectoryValue::Connection(entry)) => {
                secrets.insert((entry.tenant, entry.connection), entry.secrets);
            }
            Some(DirectoryValue::Tenant(entry)) => {
                let at = Placed { partition: entry.partition, epoch: entry.placement };
                placed.insert(entry.tenant, at);
            }
            Some(
                DirectoryValue::Definition(_)
                | DirectoryValue::Switch { .. }
                | DirectoryValue::Format(_)
                | DirectoryValue::Owner(_),
            )
            | None => {}
        });
        followed.map(drop).map_err(|error| error.to_string())
    }
}
