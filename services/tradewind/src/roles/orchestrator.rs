//! `tradewind orchestrator`: owns partitions, once its own state of them has caught up.

use std::num::NonZero;
use std::thread;

use tradewind_log_kafka::Membership;
use tradewind_orchestrator::{OwnerError, TurnLimits, catch_up};

use super::{Role, run};
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::parts::owners::Owning;
use crate::parts::owning::own;

const GROUP: &str = "orchestrator";

const MEMBERSHIP: &str = "membership";

pub(crate) fn orchestrator(configuration: &Configuration) -> Result<(), Failure> {
    run("orchestrator", &[MEMBERSHIP.into()], configuration, async |role| {
        let threads = tokio::task::spawn_blocking(move || serve(&role));
        threads.await.map_err(Failure::stopped)?
    })
}

fn serve(role: &Role) -> Result<(), Failure> {
    let Role { configuration, cluster, ground, health, metrics, shutdown } = role;
    let limits = TurnLimits { bytes: cluster.output_bytes, ..TurnLimits::default() };
    let owning = Owning::new(configuration, ground, health, metrics).within(limits);
    let part = health.part(MEMBERSHIP);
    if !ground.installation.has_caught_up(owning.fold_version()) {
        part.waits_for("catching up with the log before it joins");
        // Any partition may become this member's, so it follows all of them.
        let candidates = (0..ground.partitions).map(|partition| owning.candidate(partition)).collect();
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        match catch_up(candidates, threads, &|| !shutdown.is_requested()) {
            Ok(()) => ground.installation.note_caught_up(owning.fold_version())?,
            Err(OwnerError::Stopped) => return Ok(()),
            Err(error) => return Err(Failure::stopped(error)),
        }
    }
    let membership = Membership::join(&cluster.settings, GROUP, &cluster.member).map_err(Failure::unavailable)?;
    let start = |partition| owning.start(partition).map(|(worker, _)| worker);
    own(membership, &start, &part, health, shutdown)
}
