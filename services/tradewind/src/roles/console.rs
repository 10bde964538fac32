//! `tradewind console`: shows operators what happens. Timelines are the owners'
//! memory, and these are other processes; everything else comes from the log.

use std::sync::Arc;

use tradewind_console::Telemetry;

use super::{Role, announce, run};
use crate::clock::WallClock;
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::parts::console::{ACCESS_KEY, Console, access_key};
use crate::parts::{address, listen};

pub(crate) fn console(configuration: &Configuration) -> Result<(), Failure> {
    run("console", &["console".into()], configuration, async |role| {
        let Role { configuration, ground, health, metrics, shutdown, .. } = role;
        let listener = listen("console", configuration.console.address).await?;
        let key = ground.secrets.drawn(ACCESS_KEY, |text| text).map_err(Failure::usage)?;
        announce(&format!("  console     http://{}; the key is the secret {ACCESS_KEY:?}", address(&listener)?));
        let serving = Console {
            ground: &ground,
            listener,
            hosts: configuration.console.hosts,
            desks: Vec::new(),
            speed: 1,
            access_key: access_key(&key)?,
            clock: Arc::new(WallClock),
            telemetry: Telemetry { health, metrics, shutdown },
        }
        .start();
        serving.await.map_err(Failure::stopped)?.map_err(Failure::stopped)
    })
}
