//! What an owner is asked while it runs: read only, from memory at one position.
//!
//! The state of a partition is nobody else's to open, so whoever wants to see it
//! asks the thread that owns it, which answers between two turns.

use std::fmt;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use tradewind_domain::{EntityKey, Lineage, Position, Tenant, Timestamp};
use tradewind_engine::leaf::ReferenceKind;
use tradewind_ports::StoreError;

use crate::owner::Owner;

/// Longest wait for an answer: an owner that recovers may take a while.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Everything the owner remembers of one customer, as of one position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline {
    pub lineage: Lineage,
    /// Facts before it are in, later ones are not.
    pub as_of: Position,
    pub log_time: Timestamp,
    /// The customer: every entity that evidence links to the one asked for.
    pub entities: Vec<EntityKey>,
    /// Where on the log they played a part, the oldest first. Each entity keeps
    /// its last 64.
    pub references: Vec<(Position, ReferenceKind, EntityKey)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskError {
    /// Nobody owns the partition here, or its owner is busy recovering.
    NoAnswer,
}

impl fmt::Display for AskError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ask the partition's owner: it does not answer; try again when it has recovered")
    }
}

impl std::error::Error for AskError {}

/// How far an owner is, and what time it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub lineage: Lineage,
    pub as_of: Position,
    /// By the wall's clock, when it was asked.
    pub at: Timestamp,
    pub log_time: Timestamp,
}

/// Questions that may wait; more are not answered.
const WAITING_MAX: usize = 64;

#[derive(Debug)]
struct Asked {
    at: Instant,
    question: Question,
}

#[derive(Debug)]
enum Question {
    Standing { reply: SyncSender<Standing> },
    Timeline { tenant: Tenant, entity: EntityKey, reply: SyncSender<Timeline> },
}

/// Where questions to one partition are put.
#[derive(Clone, Debug)]
pub struct Desk(SyncSender<Asked>);

/// The owner's end of it.
#[derive(Debug)]
pub struct Questions(Receiver<Asked>);

#[must_use]
pub fn desk() -> (Desk, Questions) {
    let (sender, receiver) = sync_channel(WAITING_MAX);
    (Desk(sender), Questions(receiver))
}

impl Desk {
    /// # Errors
    ///
    /// See [`AskError`].
    pub fn standing(&self) -> Result<Standing, AskError> {
        self.ask(|reply| Question::Standing { reply })
    }

    /// # Errors
    ///
    /// See [`AskError`].
    pub fn timeline(&self, tenant: &Tenant, entity: &EntityKey) -> Result<Timeline, AskError> {
        self.ask(|reply| Question::Timeline { tenant: tenant.clone(), entity: entity.clone(), reply })
    }

    fn ask<T>(&self, question: impl FnOnce(SyncSender<T>) -> Question) -> Result<T, AskError> {
        let (reply, answer) = sync_channel(1);
        let asked = Asked { at: Instant::now(), question: question(reply) };
        self.0.try_send(asked).map_err(|_| AskError::NoAnswer)?;
        answer.recv_timeout(ANSWER_WITHIN).map_err(|_| AskError::NoAnswer)
    }
}

impl Questions {
    /// Answers what was asked until now.
    pub(crate) fn answer(&self, owner: &mut Owner, now: Timestamp) -> Result<(), StoreError> {
        while let Ok(Asked { at, question }) = self.0.try_recv() {
            // Whoever asked may have given up, also while this is answered.
            if at.elapsed() > ANSWER_WITHIN {
                continue;
            }
            match question {
                Question::Standing { reply } => {
                    let (lineage, as_of) = (owner.lineage(), owner.position());
                    let log_time = owner.partition().log_time(now);
                    let _ = reply.try_send(Standing { lineage, as_of, at: now, log_time });
                }
                Question::Timeline { tenant, entity, reply } => {
                    let _ = reply.try_send(timeline(owner, &tenant, &entity, now)?);
                }
            }
        }
        Ok(())
    }
}

fn timeline(owner: &mut Owner, tenant: &Tenant, entity: &EntityKey, now: Timestamp) -> Result<Timeline, StoreError> {
    let (lineage, as_of) = (owner.lineage(), owner.position());
    let partition = owner.partition();
    let log_time = partition.log_time(now);
    let mut view = partition.view(tenant);
    let customer = view.customer(entity)?;
    let mut entities = vec![entity.clone()];
    entities.extend(customer.entities().cloned());
    entities.sort_unstable();
    entities.dedup();
    let mut references = Vec::new();
    for entity in &entities {
        let (of_facts, of_decisions) = (view.entity(entity)?, view.process(entity)?);
        let all = of_facts.iter().flat_map(|leaf| &leaf.references).chain(&of_decisions.references);
        references.extend(all.map(|reference| (reference.position, reference.kind, entity.clone())));
    }
    references.sort_unstable_by(|one, other| (one.0, &one.2).cmp(&(other.0, &other.2)));
    Ok(Timeline { lineage, as_of, log_time, entities, references })
}
