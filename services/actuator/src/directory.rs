//! What the control plane says about those we act for, followed as it changes.

use std::collections::{BTreeMap, BTreeSet};

use tradewind_domain::{Command, ConnectionEntry, ConnectionName, DirectoryValue, Scope, Tenant};
use tradewind_ports::EventLog;
use tradewind_wire::reading::DirectoryReader;

use crate::error::ActuatorError;

#[derive(Debug, Default)]
pub(crate) struct Directory {
    reader: DirectoryReader,
    connections: BTreeMap<(Tenant, ConnectionName), ConnectionEntry>,
    placements: BTreeMap<Tenant, u32>,
    /// By the record's key: a tombstone names nothing else.
    known: BTreeMap<Vec<u8>, Known>,
    stopped: BTreeSet<(Tenant, Scope)>,
}

#[derive(Clone, Debug)]
enum Known {
    Connection(Tenant, ConnectionName),
    Tenant(Tenant),
    Switch(Tenant, Scope),
}

impl Directory {
    /// Takes in what was written since.
    pub(crate) fn follow(&mut self, log: &dyn EventLog) -> Result<(), ActuatorError> {
        let mut reader = std::mem::take(&mut self.reader);
        let followed = reader.follow(log, |key, entry| {
            self.forget(key);
            if let Some(entry) = entry {
                self.learn(key, entry.value);
            }
        });
        self.reader = reader;
        followed?;
        Ok(())
    }

    fn forget(&mut self, key: &[u8]) {
        match self.known.remove(key) {
            None => {}
            Some(Known::Connection(tenant, connection)) => {
                self.connections.remove(&(tenant, connection));
            }
            Some(Known::Tenant(tenant)) => {
                self.placements.remove(&tenant);
            }
            Some(Known::Switch(tenant, scope)) => {
                self.stopped.remove(&(tenant, scope));
            }
        }
    }

    fn learn(&mut self, key: &[u8], value: DirectoryValue) {
        let known = match value {
            DirectoryValue::Tenant(entry) => {
                self.placements.insert(entry.tenant.clone(), entry.placement);
                Known::Tenant(entry.tenant)
            }
            DirectoryValue::Connection(entry) => {
                let known = (entry.tenant.clone(), entry.connection.clone());
                self.connections.insert(known.clone(), entry);
                Known::Connection(known.0, known.1)
            }
            DirectoryValue::Switch { tenant, switch } => {
                if switch.stopped {
                    self.stopped.insert((tenant.clone(), switch.scope.clone()));
                }
                Known::Switch(tenant, switch.scope)
            }
            DirectoryValue::Definition(_) | DirectoryValue::Format(_) | DirectoryValue::Owner(_) => return,
        };
        self.known.insert(key.to_vec(), known);
    }

    pub(crate) fn connection(&self, command: &Command) -> Option<&ConnectionEntry> {
        self.connections.get(&(command.tenant.clone(), command.connection.clone()))
    }

    /// The epoch of the tenant's placement; 0 before it has one.
    pub(crate) fn placement(&self, tenant: &Tenant) -> u32 {
        self.placements.get(tenant).copied().unwrap_or(0)
    }

    /// A switch stops it: one of its tenant, or of the whole installation.
    pub(crate) fn is_stopped(&self, command: &Command) -> bool {
        let is_of = |scope: &Scope| match scope {
            Scope::All => true,
            Scope::Capability(capability) => capability.as_str() == command.body.capability().as_str(),
            Scope::Connection(connection) => *connection == command.connection,
            Scope::Workflow(workflow) => *workflow == command.workflow,
        };
        self.stopped.iter().any(|(tenant, scope)| (*tenant == command.tenant || tenant.is_system()) && is_of(scope))
    }
}
