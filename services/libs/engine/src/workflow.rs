//! What a workflow is to the engine: it is asked at a few moments and answers
//! with what it considered and the transitions it wants. It changes nothing.

use std::fmt;

use tradewind_domain::{
    Alternative, Arrival, DecisionId, DefinitionHash, EntityKey, Fact, FactId, Feature, Lifecycle, Name, Outcome,
    Tenant, Timestamp, Transition,
};
use tradewind_ports::StoreError;

use crate::leaf::{InstanceLeaf, Wakeup};
use crate::view::View;

/// Where a decision is taken.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    pub tenant: &'a Tenant,
    pub decision: DecisionId,
    /// The fact whose folding led here.
    pub fact: FactId,
    /// The log's time: now, for every decision.
    pub watermark: Timestamp,
    /// Of this workflow for this tenant, as it is set.
    pub lifecycle: Lifecycle,
    /// What would be issued is withheld, by this lifecycle's name as the rule.
    pub withholds: bool,
    /// Sources with an open gap, where waiting for them has ended.
    pub missing: &'a [Name],
}

/// The moment a workflow is asked at.
#[derive(Clone, Copy, Debug)]
pub enum Cause<'a> {
    /// A fact that may start an instance; the instance would be this one.
    Trigger(&'a Fact),
    Wakeup(&'a Wakeup),
    /// A command of the instance has a final outcome.
    Outcome(&'a Outcome),
}

/// What a workflow considered, and what shall change.
#[derive(Clone, Debug, Default)]
pub struct Considered {
    pub features: Vec<Feature>,
    pub alternatives: Vec<Alternative>,
    pub chosen: Option<Name>,
    pub holdout: bool,
    pub reasons: Vec<Name>,
    /// What could not be waited for any longer, beside sources.
    pub missing: Vec<Name>,
    pub transitions: Vec<Transition>,
}

impl Considered {
    pub fn feature(&mut self, name: &'static str, value: f64) {
        self.features.push(Feature { name: Name::fixed(name), value });
    }
}

pub trait Workflow: Send + Sync + fmt::Debug {
    fn name(&self) -> Name;

    fn definition(&self) -> DefinitionHash;

    /// The name and version of the policy that chooses among its arms.
    fn policy(&self) -> (Name, u32);

    /// The entity an instance would run for, if this fact may start one.
    fn subject(&self, fact: &Fact, arrival: Arrival) -> Option<EntityKey>;

    /// `instance` is as it stands; for a trigger, as it would stand once started.
    ///
    /// # Errors
    ///
    /// The store can't be read.
    fn consider(
        &self,
        cause: Cause<'_>,
        instance: &InstanceLeaf,
        situation: &Situation<'_>,
        view: &mut View<'_>,
    ) -> Result<Considered, StoreError>;
}
