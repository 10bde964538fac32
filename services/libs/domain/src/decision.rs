//! Decisions: what one step concluded, why, and the transitions it makes.

use crate::command::{Capability, Command};
use crate::control::Lifecycle;
use crate::entity::EntityKey;
use crate::fact::Fact;
use crate::id::{CommandId, DecisionId, DefinitionHash, FactId, InstanceId, Lineage, WakeupId};
use crate::ingest::LineageOpened;
use crate::name::{Name, Tenant};
use crate::time::{Position, Timestamp};

/// A record on `tradewind.decisions`.
#[derive(Clone, Debug, PartialEq)]
pub enum DecisionRecord {
    Decision(Decision),
    TurnCommitted(TurnCommitted),
    Lineage(LineageOpened),
}

/// Everything one step concluded; at most one for each position.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    pub id: DecisionId,
    pub tenant: Tenant,
    /// The fact whose folding led here.
    pub fact: FactId,
    /// The wakeup that fired; `None` at step 0.
    pub wakeup: Option<WakeupId>,
    pub watermark: Timestamp,
    pub build: Name,
    pub choices: Vec<Choice>,
    pub parked: Vec<Parked>,
}

/// What was chosen for one instance, why, and what changes by it.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    pub workflow: Name,
    pub definition: DefinitionHash,
    pub instance: InstanceId,
    pub subject: EntityKey,
    /// The workflow's, as an operator has set it for the tenant.
    pub lifecycle: Lifecycle,
    /// Whatever it would issue is withheld: in shadow, and for whom a canary is not on.
    pub withholds: bool,
    pub facts_read: Vec<FactId>,
    /// Facts beyond the most that are listed.
    pub facts_read_more: u32,
    pub features: Vec<Feature>,
    pub alternatives: Vec<Alternative>,
    pub chosen: Option<Name>,
    /// Of the generator the choice was drawn with; 0 where nothing was drawn.
    pub seed: u64,
    pub policy: Name,
    pub policy_version: u32,
    pub holdout: bool,
    pub explored: bool,
    pub reasons: Vec<Name>,
    /// Sources whose gap was still open when waiting ended.
    pub missing: Vec<Name>,
    pub transitions: Vec<Transition>,
}

/// A figure the choice was made on; never a personal value.
#[derive(Clone, Debug, PartialEq)]
pub struct Feature {
    pub name: Name,
    pub value: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Alternative {
    pub arm: Name,
    /// The rule that made it ineligible; `None` for an eligible arm.
    pub rule: Option<Name>,
    pub propensity: f64,
}

/// One change that a decision makes. Applying it needs the record and one leaf,
/// no definition and no expression; its meaning never changes.
#[derive(Clone, Debug, PartialEq)]
pub enum Transition {
    /// The choice's instance runs for its subject.
    InstanceStarted {
        trigger: FactId,
    },
    StepEntered {
        step: Name,
        iteration: u32,
    },
    VariableSet {
        name: Name,
        value: i64,
    },
    /// Replaces the instance's wakeup of the same name.
    WakeupSet {
        wakeup: WakeupId,
        name: Name,
        due: Timestamp,
        /// Added to `due` before it may fire: late facts get their chance.
        lateness_ms: i64,
        /// It may reach a customer, so it waits while a source has a gap.
        awaits_sources: bool,
        round: u32,
    },
    WakeupCleared {
        wakeup: WakeupId,
        name: Name,
    },
    /// The command occupies one place of a cap at the entity, from `at` on.
    SlotReserved {
        cap: Name,
        entity: EntityKey,
        command: CommandId,
        at: Timestamp,
    },
    /// The command never reached anybody: its place is free again.
    SlotReleased {
        cap: Name,
        entity: EntityKey,
        command: CommandId,
    },
    CommandIssued {
        command: Command,
    },
    /// What would have been issued, had the workflow been on for the subject.
    /// Nobody is to carry it out, and nothing changes by it.
    Withheld {
        command: Command,
        rule: Name,
    },
    Suppressed {
        capability: Capability,
        rule: Name,
    },
    Deferred {
        capability: Capability,
        rule: Name,
        until: Timestamp,
    },
    /// The subject belongs to the holdout, by the leaf that first met the workflow.
    HeldOut {
        entity: EntityKey,
    },
    /// What we conclude: folded like a fact, never on `tradewind.events`.
    Derived {
        id: FactId,
        fact: Fact,
    },
    InstanceEnded {
        reason: Name,
    },
    /// No outcome arrived by the command's deadline and an hour.
    OutcomeMissing {
        command: CommandId,
    },
}

/// A step that was dropped because our own code failed in it.
#[derive(Clone, Debug, PartialEq)]
pub enum Parked {
    Fact(FactParked),
    Instance(InstanceParked),
}

/// What the fact names counts as a gap until it is unparked.
#[derive(Clone, Debug, PartialEq)]
pub struct FactParked {
    pub fact: FactId,
    pub build: Name,
    pub reason: Box<str>,
    pub entities: Vec<EntityKey>,
}

/// What a workflow was asked about when our code failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParkedAt {
    /// It is cleared.
    Wakeup(WakeupId),
    /// The instance has not started.
    Trigger(FactId),
    Outcome(FactId),
}

/// The fold and the other wakeups stand.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceParked {
    pub instance: InstanceId,
    pub at: ParkedAt,
    pub workflow: Name,
    pub subject: EntityKey,
    pub build: Name,
    pub reason: Box<str>,
}

/// The commit point: every step in `[from, to)` is decided, and its commands
/// are on their topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnCommitted {
    pub lineage: Lineage,
    pub from: Position,
    pub to: Position,
    pub watermark: Timestamp,
    pub facts: u32,
    pub wakeups: u32,
    pub decisions: u32,
    pub commands: u32,
    pub build: Name,
}
