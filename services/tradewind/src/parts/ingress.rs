//! The connector, with what this process has.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tradewind_connector::{ServeError, Settings, Telemetry, World, loopback_probe};
use tradewind_domain::Vendor;
use tradewind_ports::Clock;

use crate::failure::Failure;
use crate::ground::Ground;
use crate::parts::client;
use crate::parts::directory::Directory;
use crate::parts::fetching::Fetching;

/// A beat every 15 s of the log's time.
const BEAT_EVERY: Duration = Duration::from_secs(15);

pub(crate) struct Ingress<'a> {
    pub(crate) ground: &'a Ground,
    pub(crate) listener: TcpListener,
    pub(crate) clock: Arc<dyn Clock>,
    /// How many times as fast as the wall's clock that runs.
    pub(crate) speed: u32,
    /// The helpdesk that is played, if one is.
    pub(crate) desk: Option<SocketAddr>,
    pub(crate) stop_within: Duration,
    pub(crate) telemetry: Telemetry,
}

impl Ingress<'_> {
    pub(crate) fn start(self) -> Result<JoinHandle<Result<(), ServeError>>, Failure> {
        let Ingress { ground, listener, clock, speed, desk, stop_within, telemetry } = self;
        let desk = desk.map(|desk| (Vendor::new("gorgias").expect("a vendor of the roster"), format!("http://{desk}")));
        let secrets = ground.secrets.clone();
        let fetching = Fetching {
            directory: Directory::new(ground.log.clone()),
            secrets: secrets.clone(),
            client: client(ground)?,
            origins: BTreeMap::from_iter(desk),
        };
        let world = World {
            log: ground.log.clone(),
            vault: ground.vault.clone(),
            clock,
            secrets: Arc::new(move |name| secrets.secret(name)),
            probe: loopback_probe(listener.local_addr().map_err(Failure::unavailable)?),
            fetch: Some(fetching.into_fetch()),
        };
        let settings = Settings {
            partitions: ground.partitions,
            beat_every: BEAT_EVERY / speed,
            stop_within,
            ..Settings::default()
        };
        Ok(tokio::spawn(tradewind_connector::serve(listener, world, settings, telemetry)))
    }
}
