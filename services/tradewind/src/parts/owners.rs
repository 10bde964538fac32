//! Owners of partitions, a thread each.

use std::sync::Arc;

use tradewind_domain::Name;
use tradewind_engine::Rules;
use tradewind_orchestrator::{Counted, Desk, Host, HostError, Pulse, Settings, Stores, TurnLimits, desk};
use tradewind_ports::EventLog;
use tradewind_telemetry::Health;

use crate::BUILD;
use crate::clock::WallClock;
use crate::memory::Shares;
use crate::parts::worker::{Ended, Worker};

/// What all owners of a process have in common.
#[derive(Clone)]
pub(crate) struct Owning {
    pub(crate) installation: String,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) rules: Arc<Rules>,
    pub(crate) shares: Shares,
    pub(crate) limits: TurnLimits,
    pub(crate) health: Health,
    pub(crate) counted: Counted,
}

impl Owning {
    pub(crate) fn start(&self, partition: u32, stores: Box<dyn Stores>) -> std::io::Result<(Worker, Desk)> {
        let (desk, questions) = desk();
        let pulse = Pulse::new();
        let host = Host {
            settings: self.settings(partition),
            log: self.log.clone(),
            stores,
            clock: Arc::new(WallClock),
            questions,
            pulse: pulse.clone(),
            part: self.health.part(Owning::part(partition)),
            counted: self.counted.clone(),
        };
        let worker = Worker::start(format!("owner-{partition}"), Some(pulse), move |stop| {
            host.run(stop).map_err(|error| match error {
                HostError::Fenced => Ended::Fenced,
                HostError::Stopped(error) => Ended::Stopped(error.to_string()),
            })
        })?;
        Ok((worker, desk))
    }
    pub(crate) fn settings(&self, partition: u32) -> Settings {
        Settings {
            installation: self.installation.clone(),
            partition,
            build: Name::fixed(BUILD),
            rules: self.rules.clone(),
            limits: self.limits,
            budget: self.shares.budget(),
            drain_leaves: self.shares.dirty_leaves,
        }
    }

    /// What a probe calls a partition.
    pub(crate) fn part(partition: u32) -> String {
        format!("partition {partition}")
    }
}
