//! `tradewind orchestrator`: owns partitions, once its own state of them has caught up.

use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use tradewind_engine::Rules;
use tradewind_log_kafka::Membership;
use tradewind_orchestrator::{Candidate, Counted, OwnerError, TurnLimits, catch_up};

use super::{Role, run};
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::memory::Shares;
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
    let rules = Arc::new(Rules::shipped());
    let fold_version = rules.fold_version;
    let shares = Shares::of(configuration.memory_mib.0, ground.partitions);
    let owning = Owning {
        installation: configuration.installation.0.clone(),
        log: ground.log.clone(),
        rules,
        shares,
        limits: TurnLimits { bytes: cluster.output_bytes, ..TurnLimits::default() },
        health: health.clone(),
        counted: Counted::new(metrics),
    };
    let part = health.part(MEMBERSHIP);
    if !ground.installation.has_caught_up(fold_version) {
        part.waits_for("catching up with the log before it joins");
        match follow(role, &owning) {
            Ok(()) => ground.installation.note_caught_up(fold_version)?,
            Err(OwnerError::Stopped) => return Ok(()),
            Err(error) => return Err(Failure::stopped(error)),
        }
    }
    let membership = Membership::join(&cluster.settings, GROUP, &cluster.member).map_err(Failure::unavailable)?;
    let start = |partition| {
        let stores = ground.installation.stores(partition, fold_version, shares.store_bytes);
        owning.start(partition, Box::new(stores)).map(|(worker, _)| worker)
    };
    own(membership, &start, &part, shutdown)
}

/// Any partition may become this member's, so it follows all of them.
fn follow(role: &Role, owning: &Owning) -> Result<(), OwnerError> {
    let Role { ground, health, shutdown, .. } = role;
    let candidate = |partition| Candidate {
        settings: owning.settings(partition),
        log: ground.log.clone(),
        stores: Box::new(ground.installation.stores(partition, owning.rules.fold_version, owning.shares.store_bytes)),
        part: health.part(Owning::part(partition)),
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    catch_up((0..ground.partitions).map(candidate).collect(), threads, &|| !shutdown.is_requested())
}
