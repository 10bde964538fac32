//! The connector, with what this process has.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tradewind_connector::{ALIVE_PATH, Probe, ServeError, Settings, Telemetry, World, loopback_probe};
use tradewind_domain::{LineageKind, Vendor};
use tradewind_egress::{Answer, Client, Connection, Method, Request};
use tradewind_ports::Clock;

use crate::failure::Failure;
use crate::ground::Ground;
use crate::parts::client;
use crate::parts::directory::Directory;
use crate::parts::fetching::Fetching;

/// A beat every 15 s of the log's time.
const BEAT_EVERY: Duration = Duration::from_secs(15);

const PROBE_WITHIN: Duration = Duration::from_secs(4);

pub(crate) struct Ingress<'a> {
    pub(crate) ground: &'a Ground,
    pub(crate) listener: TcpListener,
    pub(crate) clock: Arc<dyn Clock>,
    /// How many times as fast as the wall's clock that runs.
    pub(crate) speed: u32,
    /// Without one, we ask ourselves on this machine: for development.
    pub(crate) public_address: Option<String>,
    /// The helpdesk that is played, if one is.
    pub(crate) desk: Option<SocketAddr>,
    pub(crate) stop_within: Duration,
    pub(crate) telemetry: Telemetry,
}

impl Ingress<'_> {
    pub(crate) fn start(self) -> Result<JoinHandle<Result<(), ServeError>>, Failure> {
        let Ingress { ground, listener, clock, speed, public_address, desk, stop_within, telemetry } = self;
        let desk = desk.map(|desk| (Vendor::new("gorgias").expect("a vendor of the roster"), format!("http://{desk}")));
        let secrets = ground.secrets.clone();
        let fetching = Fetching {
            directory: Directory::new(ground.log.clone()),
            secrets: secrets.clone(),
            client: client(ground)?,
            origins: BTreeMap::from_iter(desk),
        };
        let probe = match public_address {
            Some(origin) => public_probe(client(ground)?, origin),
            None if ground.opened.kind == LineageKind::Production => {
                let reason = "start the connector: expected public_address in [ingress], where vendors reach it";
                return Err(Failure::usage(reason));
            }
            None => loopback_probe(listener.local_addr().map_err(Failure::unavailable)?),
        };
        let world = World {
            log: ground.log.clone(),
            vault: ground.vault.clone(),
            clock,
            secrets: Arc::new(move |name| secrets.secret(name)),
            probe,
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

/// Asks the public address, the way everybody else comes.
fn public_probe(client: Client, origin: String) -> Probe {
    Arc::new(move || {
        let request = Request {
            method: Method::Get,
            origin: origin.clone(),
            path: ALIVE_PATH.into(),
            headers: Vec::new(),
            body: Vec::new(),
            deadline: PROBE_WITHIN,
            connection: Connection::Fresh,
        };
        let client = client.clone();
        Box::pin(async move { matches!(client.send(request, || true).await, Answer::Received { status: 204, .. }) })
    })
}
