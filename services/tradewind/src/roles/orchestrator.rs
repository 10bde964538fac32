//! `tradewind orchestrator`: owns partitions.

use std::sync::Arc;

use tradewind_engine::Rules;
use tradewind_log_kafka::Membership;
use tradewind_orchestrator::{Counted, TurnLimits};

use super::{Role, run};
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::memory::Shares;
use crate::parts::owners::Owning;
use crate::parts::owning::own;

const GROUP: &str = "orchestrator";

pub(crate) fn orchestrator(configuration: &Configuration) -> Result<(), Failure> {
    run("orchestrator", configuration, async |role| {
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
    let membership = Membership::join(&cluster.settings, GROUP, &cluster.member).map_err(Failure::unavailable)?;
    let start = |partition| {
        let stores = ground.installation.stores(partition, fold_version, shares.store_bytes);
        owning.start(partition, Box::new(stores)).map(|(worker, _)| worker)
    };
    own(membership, &start, &health.part("membership"), shutdown)
}
