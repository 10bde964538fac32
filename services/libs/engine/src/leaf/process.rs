//! What runs: which workflows for an entity, and each instance of one. Facts
//! never change these leaves, only decisions do.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use tradewind_domain::{CommandId, DefinitionHash, EntityKey, FactId, InstanceId, Name, Tenant, Timestamp, WakeupId};
use tradewind_ports::DueKey;

use crate::leaf::entity::Reference;

/// The workflows that met one entity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessLeaf {
    /// The live instance of each workflow.
    pub running: BTreeMap<Name, InstanceId>,
    /// Workflows that have met this entity, so holdout was drawn here once.
    pub met: BTreeSet<Name>,
    /// Places of decisions about it, for timelines.
    pub references: VecDeque<Reference>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceLeaf {
    pub id: InstanceId,
    pub tenant: Tenant,
    pub workflow: Name,
    pub definition: DefinitionHash,
    pub subject: EntityKey,
    pub trigger: FactId,
    pub step: Name,
    /// How often each step was entered.
    pub iterations: BTreeMap<Name, u32>,
    pub variables: BTreeMap<Name, i64>,
    pub wakeups: Vec<Wakeup>,
    pub commands: Vec<CommandId>,
    /// The wakeup at which our own code failed; it waits to be unparked.
    pub parked: Option<Wakeup>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wakeup {
    pub id: WakeupId,
    pub name: Name,
    pub due: Timestamp,
    pub lateness_ms: i64,
    pub awaits_sources: bool,
    pub round: u32,
    /// The record whose step set it; it fires with a later one.
    pub set_at_offset: u64,
}

impl Wakeup {
    /// When the watermark lets it fire, gaps aside.
    #[must_use]
    pub fn fires_at(&self) -> Timestamp {
        self.due + self.lateness_ms
    }

    #[must_use]
    pub fn due_key(&self, leaf: &[u8]) -> DueKey {
        DueKey { fires_at: self.fires_at(), round: self.round, wakeup: *self.id.as_bytes(), leaf: leaf.to_vec() }
    }
}
