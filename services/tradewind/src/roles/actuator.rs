//! `tradewind actuator`: carries commands out, of all vendors that can be told things.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tradewind_actuator::{Counted, Settings, SystemClocks};
use tradewind_domain::LineageKind;
use tradewind_log_kafka::Membership;
use tradewind_vendors::{Integration, ROSTER};

use super::{Role, run};
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::parts::actuators::Acting;
use crate::parts::client;
use crate::parts::owning::own;

pub(crate) fn actuator(configuration: &Configuration) -> Result<(), Failure> {
    let groups: Vec<String> = served().map(group).collect();
    run("actuator", &groups, configuration, async |role| {
        let acting = Acting {
            log: role.ground.log.clone(),
            vault: role.ground.vault.clone(),
            secrets: Arc::new(role.ground.secrets.clone()),
            clocks: Arc::new(SystemClocks),
            client: client(&role.ground)?,
            runtime: Handle::current(),
            health: role.health.clone(),
            counted: Counted::new(&role.metrics),
        };
        let mut vendors = JoinSet::new();
        for integration in served() {
            let (role, acting) = (role.clone(), acting.clone());
            vendors.spawn_blocking(move || {
                let ended = serve(&role, &acting, integration);
                // One vendor's trouble must not hide behind the others' work.
                role.shutdown.request();
                ended
            });
        }
        vendors.join_all().await.into_iter().collect()
    })
}

/// The vendors that can be told things.
fn served() -> impl Iterator<Item = &'static Integration> {
    ROSTER.iter().filter(|integration| integration.outbound.is_some())
}

fn group(integration: &Integration) -> String {
    format!("actuator-{}", integration.vendor)
}

fn serve(role: &Role, acting: &Acting, integration: &Integration) -> Result<(), Failure> {
    let Role { configuration, cluster, ground, health, shutdown, .. } = role;
    let group = group(integration);
    let membership = Membership::join(&cluster.settings, &group, &cluster.member).map_err(Failure::unavailable)?;
    // In production every vendor has an address of its own.
    let is_played = ground.opened.kind == LineageKind::Dev && configuration.sandbox.mail_port > 0;
    let origin = is_played.then(|| format!("http://127.0.0.1:{}", configuration.sandbox.mail_port));
    let start = |partition| {
        let settings = Settings::of(&configuration.installation.0, partition, integration);
        let settings = settings.expect("only vendors that can be told things are served");
        acting.start(Settings { origin: origin.clone(), ..settings })
    };
    own(membership, &start, &health.part(group), health, shutdown)
}
