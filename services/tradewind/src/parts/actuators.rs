//! Actuators, a thread for each vendor and partition.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tokio::runtime::Handle;
use tradewind_actuator::{Actuator, Clocks, Counted, HttpCalls, Ports, Remedy, Secrets, Settings};
use tradewind_egress::Client;
use tradewind_orchestrator::Pulse;
use tradewind_ports::{EventLog, KeyVault};
use tradewind_telemetry::{Health, Part};

use crate::parts::alive::alive;
use crate::parts::worker::{Ended, Worker};

/// From one recovery that failed to the next.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// What all actuators of a process have in common.
#[derive(Clone)]
pub(crate) struct Acting {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) vault: Arc<dyn KeyVault>,
    pub(crate) secrets: Arc<dyn Secrets>,
    pub(crate) clocks: Arc<dyn Clocks>,
    pub(crate) client: Client,
    pub(crate) runtime: Handle,
    pub(crate) health: Health,
    pub(crate) counted: Counted,
}

impl Acting {
    pub(crate) fn start(&self, settings: Settings) -> std::io::Result<Worker> {
        let acting = self.clone();
        let name = format!("{}-{}", settings.vendor, settings.partition);
        let (pulse, part) = (Pulse::new(), self.health.part(name.clone()));
        Worker::start(name, Some(pulse.clone()), move |stop| {
            let ended = acting.run(&settings, stop, &pulse, &part);
            // Where a person has to look, a probe goes on saying why.
            if !matches!(ended, Err(Ended::Stopped(_))) {
                part.leave();
            }
            ended
        })
    }

    /// Carries commands out until it is told to stop. An error is one that nobody
    /// who tries again gets past.
    fn run(&self, settings: &Settings, stop: &AtomicBool, pulse: &Pulse, part: &Part) -> Result<(), Ended> {
        while !stop.load(Ordering::Relaxed) {
            let ports = Ports {
                log: alive(self.log.clone(), pulse),
                vault: self.vault.clone(),
                secrets: self.secrets.clone(),
                clocks: self.clocks.clone(),
                calls: Box::new(HttpCalls::new(self.client.clone(), self.runtime.clone())),
                counted: self.counted.clone(),
            };
            pulse.beat();
            part.waits_for("recovering");
            let ended = Actuator::recover(settings.clone(), ports).and_then(|mut actuator| {
                part.ready();
                actuator.run(stop, &|| pulse.beat())
            });
            let Err(error) = ended else { return Ok(()) };
            let (vendor, partition) = (&settings.vendor, settings.partition);
            part.waits_for(error.to_string());
            match error.remedy() {
                Remedy::Recover => {
                    tracing::warn!(%vendor, partition, %error, "recovering");
                }
                Remedy::GiveUp => return Err(Ended::Fenced),
                Remedy::Stop => {
                    tracing::error!(%vendor, partition, %error, "the actuator stops");
                    return Err(Ended::Stopped(error.to_string()));
                }
            }
            thread::sleep(RETRY_EVERY);
        }
        Ok(())
    }
}
