//! Owners of partitions, a thread each.

use std::sync::Arc;

use tradewind_domain::Name;
use tradewind_engine::Rules;
use tradewind_orchestrator::{
    Candidate, Counted, Desk, Host, HostError, Pulse, Settings, Shares, Stores, TurnLimits, desk,
};
use tradewind_telemetry::{Health, Metrics, Part};

use crate::BUILD;
use crate::clock::WallClock;
use crate::configuration::Configuration;
use crate::ground::Ground;
use crate::parts::alive::alive;
use crate::parts::worker::{Ended, Worker};

/// What all owners of a process have in common.
#[derive(Clone)]
pub(crate) struct Owning {
    /// What the installation's writers are named after.
    name: String,
    ground: Ground,
    rules: Arc<Rules>,
    shares: Shares,
    limits: TurnLimits,
    health: Health,
    counted: Counted,
}

impl Owning {
    pub(crate) fn new(configuration: &Configuration, ground: &Ground, health: &Health, metrics: &Metrics) -> Owning {
        Owning {
            name: configuration.installation.0.clone(),
            ground: ground.clone(),
            rules: Arc::new(Rules::shipped()),
            shares: Shares::of(configuration.memory_mib.0, ground.partitions),
            limits: TurnLimits::default(),
            health: health.clone(),
            counted: Counted::new(metrics),
        }
    }

    pub(crate) fn within(self, limits: TurnLimits) -> Owning {
        Owning { limits, ..self }
    }

    pub(crate) fn start(&self, partition: u32) -> std::io::Result<(Worker, Desk)> {
        let (desk, questions) = desk();
        let pulse = Pulse::new();
        let host = Host {
            settings: self.settings(partition),
            log: alive(self.ground.log.clone(), &pulse),
            stores: self.stores(partition),
            clock: Arc::new(WallClock),
            questions,
            pulse: pulse.clone(),
            part: self.part(partition),
            counted: self.counted.clone(),
        };
        let worker = Worker::start(name(partition), Some(pulse), move |stop| {
            host.run(stop).map_err(|error| match error {
                HostError::Fenced => Ended::Fenced,
                HostError::Stopped(error) => Ended::Stopped(error.to_string()),
            })
        })?;
        Ok((worker, desk))
    }

    /// The partition's state, as it is caught up before it is owned.
    pub(crate) fn candidate(&self, partition: u32) -> Candidate {
        Candidate {
            settings: self.settings(partition),
            log: self.ground.log.clone(),
            stores: self.stores(partition),
            part: self.part(partition),
        }
    }

    pub(crate) fn fold_version(&self) -> u32 {
        self.rules.fold_version
    }

    fn stores(&self, partition: u32) -> Box<dyn Stores> {
        Box::new(self.ground.installation.stores(partition, self.fold_version(), self.shares.store_bytes))
    }

    fn settings(&self, partition: u32) -> Settings {
        Settings {
            installation: self.name.clone(),
            partition,
            build: Name::fixed(BUILD),
            rules: self.rules.clone(),
            limits: self.limits,
            budget: self.shares.budget(),
            drain_leaves: self.shares.dirty_leaves,
        }
    }

    fn part(&self, partition: u32) -> Part {
        self.health.part(name(partition))
    }
}

/// What a probe and the thread call a partition.
fn name(partition: u32) -> String {
    format!("partition {partition}")
}
