//! `tradewind sandbox`: plays a merchant's vendors to an installation for
//! development, and sets that merchant up in it.

use tradewind_ports::Clock as _;

use super::{Role, announce, run};
use crate::clock::{Stretched, WallClock};
use crate::configuration::Configuration;
use crate::demo::merchant::{self, Agreed};
use crate::demo::{Played, play};
use crate::failure::Failure;

pub(crate) fn sandbox(configuration: &Configuration) -> Result<(), Failure> {
    run("sandbox", &[], configuration, async |role| {
        let Role { configuration, ground, shutdown, .. } = role;
        ground.must_be_for_development()?;
        let agreed = Agreed::with(&ground.secrets)?;
        let now = WallClock.now();
        let (set_up, with, played) = (ground.clone(), agreed.clone(), configuration.sandbox.clone());
        let done = tokio::task::spawn_blocking(move || {
            merchant::set_up(set_up.log.as_ref(), set_up.partitions, &with, &played, now)
        });
        done.await.map_err(Failure::stopped)??;
        // The vendors' clocks run ahead of the log's, which nothing may mind.
        let clock = Stretched { real_base: now, log_base: now, speed: configuration.sandbox.speed.0 };
        let settings = &configuration.sandbox;
        let ingress = configuration.ingress.address;
        let mut sandbox = play(Played { settings, agreed: &agreed, ingress, clock }).await?;
        announce(&format!("  sandbox     http://{}/sandbox/status", sandbox.addresses().status));
        shutdown.requested().await;
        sandbox.stop().await;
        Ok(())
    })
}
