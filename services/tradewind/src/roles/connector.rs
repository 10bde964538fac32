//! `tradewind connector`: takes deliveries in.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tradewind_connector::Telemetry;
use tradewind_domain::LineageKind;

use super::{Role, announce, run};
use crate::clock::WallClock;
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::parts::ingress::Ingress;
use crate::parts::{address, listen};

const STOP_WITHIN: Duration = Duration::from_secs(8);

pub(crate) fn connector(configuration: &Configuration) -> Result<(), Failure> {
    run("connector", &["connector".into()], configuration, async |role| {
        let Role { configuration, ground, health, metrics, shutdown, .. } = role;
        let listener = listen("ingress", configuration.ingress.address).await?;
        announce(&format!("  webhooks    http://{}", address(&listener)?));
        // In production every vendor has an address of its own.
        let desk = (ground.opened.kind == LineageKind::Dev && configuration.sandbox.desk_port > 0)
            .then(|| SocketAddr::from((Ipv4Addr::LOCALHOST, configuration.sandbox.desk_port)));
        let serving = Ingress {
            ground: &ground,
            listener,
            clock: Arc::new(WallClock),
            speed: 1,
            public_address: configuration.ingress.public_address.clone().map(|address| address.0),
            desk,
            stop_within: STOP_WITHIN,
            telemetry: Telemetry { health, metrics, shutdown },
        }
        .start()?;
        serving.await.map_err(Failure::stopped)?.map_err(Failure::stopped)
    })
}
