//! One partition's owner among faults: it is run, it dies, a successor recovers.

use std::sync::Arc;

use tradewind_domain::{Name, Timestamp};
use tradewind_engine::{Budget, Rules};
use tradewind_orchestrator::{Owner, OwnerError, Settings, TurnLimits, Turned};
use tradewind_ports::{LogError, ReadLimit};

use crate::faults::{Faults, ProcessId};
use crate::memory_log::Broker;
use crate::memory_store::MemoryStore;

/// What becomes of the store when its process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreFate {
    Kept,
    /// The last writes had not reached the disk.
    FallsBack(usize),
    Lost,
}

/// How large turns are and how often the store is written; never seen in a decision.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    pub read_records: usize,
    pub turn_commands: usize,
    pub drain_leaves: usize,
    pub slice_leaves: usize,
    pub cache_leaves: usize,
}

impl Pace {
    /// Small enough for everything to happen many times in a short log.
    pub const TIGHT: Pace =
        Pace { read_records: 3, turn_commands: 1, drain_leaves: 4, slice_leaves: 1, cache_leaves: 8 };

    #[must_use]
    pub fn drawn(rng: &mut fastrand::Rng) -> Pace {
        Pace {
            read_records: rng.usize(1..40),
            turn_commands: rng.usize(1..20),
            drain_leaves: rng.usize(2..60),
            slice_leaves: rng.usize(1..20),
            cache_leaves: rng.usize(4..80),
        }
    }
}

#[derive(Debug)]
pub struct Deployment {
    pub broker: Arc<Broker>,
    pub store: MemoryStore,
    pub faults: Faults,
    pub fate: StoreFate,
    pace: Pace,
    rules: Arc<Rules>,
    /// What an owner that takes over from a dead one is told, if anything else.
    pub successor_rules: Option<Arc<Rules>>,
    process: ProcessId,
    owner: Option<Owner>,
    /// How often an owner was lost, by crash or by error.
    pub restarts: u32,
}

/// A fault nobody recovers from: the log breaks its own rules.
#[derive(Debug)]
pub struct Stopped(pub OwnerError);

impl Deployment {
    #[must_use]
    pub fn new(broker: Arc<Broker>, faults: Faults, fate: StoreFate, pace: Pace, rules: Arc<Rules>) -> Deployment {
        let store = MemoryStore::new();
        Deployment {
            broker,
            store,
            faults,
            fate,
            pace,
            rules,
            process: ProcessId(1),
            successor_rules: None,
            owner: None,
            restarts: 0,
        }
    }

    /// A second process that believes the partition is its own, with a store of
    /// its own: empty, or as the first one's is now.
    #[must_use]
    pub fn twin(&self, store: MemoryStore) -> Deployment {
        Deployment {
            broker: self.broker.clone(),
            store,
            faults: self.faults.clone(),
            fate: self.fate,
            pace: self.pace,
            rules: self.rules.clone(),
            process: ProcessId(self.process.0 + 1_000),
            successor_rules: self.successor_rules.clone(),
            owner: None,
            restarts: 0,
        }
    }

    fn settings(&self) -> Settings {
        let Pace { read_records, turn_commands, drain_leaves, slice_leaves, cache_leaves } = self.pace;
        Settings {
            installation: "simulated".into(),
            partition: 0,
            build: Name::fixed("simulated"),
            rules: self.rules.clone(),
            limits: TurnLimits {
                read: ReadLimit { records: read_records, bytes: 1 << 20 },
                commands: turn_commands,
                bytes: 64 << 10,
            },
            budget: Budget { cache_leaves, slice_leaves },
            drain_leaves,
        }
    }

    /// One turn, recovering first if there is no owner. `None` if the owner was
    /// lost on the way.
    ///
    /// # Errors
    ///
    /// The partition has to stop: no successor would get any further.
    pub fn turn(&mut self) -> Result<Option<Turned>, Stopped> {
        self.attempt(|owner| {
            let turned = owner.turn()?;
            owner.drain_slice()?;
            Ok(turned)
        })
    }

    /// A turn of an owner that may have been overtaken: once it is gone, it does
    /// not come back.
    ///
    /// # Errors
    ///
    /// As [`Deployment::turn`].
    pub fn turn_once_more(&mut self) -> Result<(), Stopped> {
        if self.owner.is_some() {
            self.turn()?;
        }
        Ok(())
    }

    /// Writes everything to the store. False if the owner was lost on the way.
    ///
    /// # Errors
    ///
    /// As [`Deployment::turn`].
    pub fn checkpoint(&mut self) -> Result<bool, Stopped> {
        Ok(self.attempt(Owner::checkpoint)?.is_some())
    }

    /// Appends a tick where one is due.
    ///
    /// # Errors
    ///
    /// As [`Deployment::turn`].
    pub fn tick(&mut self, now: Timestamp) -> Result<bool, Stopped> {
        Ok(self.attempt(|owner| owner.tick(now))?.unwrap_or(false))
    }

    /// When the next wakeup fires, gaps aside, and whether any waits at all.
    pub fn wakeups(&mut self) -> (Option<Timestamp>, bool) {
        self.owner.as_mut().map_or((None, true), |owner| {
            let partition = owner.partition();
            (partition.next_wakeup(), partition.has_wakeups())
        })
    }

    fn attempt<T>(&mut self, act: impl FnOnce(&mut Owner) -> Result<T, OwnerError>) -> Result<Option<T>, Stopped> {
        let done = match self.recovered() {
            Ok(owner) => act(owner),
            Err(error) => Err(error),
        };
        match done {
            Ok(done) => Ok(Some(done)),
            Err(error) => {
                self.owner = None;
                self.restarts += 1;
                self.bury(error)?;
                Ok(None)
            }
        }
    }

    fn recovered(&mut self) -> Result<&mut Owner, OwnerError> {
        if self.owner.is_none() {
            let log = Arc::new(self.broker.connect(self.process, &self.faults));
            let store = self.store.open(self.process, &self.faults);
            self.owner = Some(Owner::recover(self.settings(), log, store)?);
        }
        Ok(self.owner.as_mut().expect("an owner was recovered"))
    }

    /// What is done about an error; a dead process gets a successor.
    fn bury(&mut self, error: OwnerError) -> Result<(), Stopped> {
        if self.faults.is_dead(self.process) {
            self.process = ProcessId(self.process.0 + 1);
            if let Some(rules) = &self.successor_rules {
                self.rules = rules.clone();
            }
            match self.fate {
                StoreFate::Kept => {}
                StoreFate::FallsBack(writes) => self.store.fall_back(writes),
                StoreFate::Lost => self.store.lose(),
            }
            return Ok(());
        }
        match error {
            OwnerError::Log(LogError::Fenced | LogError::Indefinite { .. } | LogError::Unavailable { .. }) => Ok(()),
            OwnerError::Store(_) => {
                self.store.lose();
                Ok(())
            }
            OwnerError::Log(LogError::Lost { .. } | LogError::Damaged { .. } | LogError::Refused { .. })
            | OwnerError::Unreadable { .. }
            | OwnerError::Broken { .. }
            | OwnerError::OtherLineage { .. }
            | OwnerError::Stopped => Err(Stopped(error)),
        }
    }
}
