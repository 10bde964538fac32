//! Serving: from the first connection to the last answer.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tradewind_explain::Explainer;
use tradewind_serving::{Door, Guest, Limits};

use crate::access::Access;
use crate::api::{self, Api};
use crate::hub::Hub;
use crate::metrics::Counted;
use crate::tail;
use crate::world::{Settings, Telemetry, World};

/// Most bytes of a request's head; more is answered with 431.
const HEAD_BYTES: usize = 16 << 10;

const MAX_HEADERS: usize = 64;

/// A page that is told to come again has so long to read that.
const LINGER: Duration = Duration::from_secs(5);

/// Why the console does not serve.
#[derive(Debug)]
pub enum ServeError {
    /// Others could reach the address, and nobody would be asked who they are.
    Unprotected(SocketAddr),
    /// The listener has no address, or the thread that follows the log can't be started.
    Start(io::Error),
    /// The thread that follows the log ended by itself.
    Tail,
}

impl fmt::Display for ServeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServeError::Unprotected(address) => {
                write!(
                    formatter,
                    "serve the console on {address}: expected a loopback address such as 127.0.0.1, or an access key, \
                     since others can reach this one"
                )
            }
            ServeError::Start(reason) => write!(formatter, "start the console: {reason}"),
            ServeError::Tail => formatter.write_str("follow the log for the console: the thread ended by itself"),
        }
    }
}

impl std::error::Error for ServeError {}

/// Tells a connection that its client is too slow: it ends soon, read or unread.
pub(crate) type Kick = Arc<Notify>;

/// Serves the console until it is asked to stop, and returns within
/// [`Settings::stop_within`] of that.
///
/// The part `console` of the health is ready once the newest records were read.
///
/// # Errors
///
/// See [`ServeError`].
pub async fn serve(
    listener: TcpListener,
    world: World,
    settings: Settings,
    telemetry: Telemetry,
) -> Result<(), ServeError> {
    let Telemetry { health, metrics, shutdown } = telemetry;
    let address = listener.local_addr().map_err(ServeError::Start)?;
    let access = Access::new(address, &settings.hosts, settings.access_key.clone());
    let access = access.ok_or(ServeError::Unprotected(address))?;
    let part = health.part("console");
    part.waits_for("the log");
    let counted = Counted::new(&metrics);
    let hub = Arc::new(Hub::new(&settings, counted.clone()));
    let (tail, tail_ended) =
        tail::start(&world, &settings, hub.clone(), counted.clone(), part).map_err(ServeError::Start)?;
    let explainer = Explainer::new(world.log.clone(), settings.partitions);
    let api = Api::new(access, world, explainer, hub.clone(), counted);
    let router = api::router(Arc::new(api));

    let limits = Limits {
        connections: settings.connections,
        head_bytes: HEAD_BYTES,
        headers: MAX_HEADERS,
        head_within: settings.request_within,
    };
    let door = Door::new(listener, limits);
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let ended = tokio::select! {
        () = accept(&door, &router, &graceful, &mut connections) => Ok(()),
        () = shutdown.requested() => Ok(()),
        // Nothing is ever sent: it is over when the thread is.
        _ = tail_ended => Err(ServeError::Tail),
    };
    drop(door);
    tail.stop();
    hub.stop();
    if tokio::time::timeout(settings.stop_within, graceful.shutdown()).await.is_err() {
        tracing::info!("some pages did not read to their end in time");
    }
    connections.abort_all();
    ended
}

/// Takes connections until it is dropped.
async fn accept(door: &Door, router: &Router, graceful: &GracefulShutdown, connections: &mut JoinSet<()>) {
    loop {
        let Guest { stream, place } = door.next().await;
        while connections.try_join_next().is_some() {}
        let kick = Kick::default();
        let service = TowerToHyperService::new(router.clone().layer(Extension(kick.clone())));
        let connection = graceful.watch(door.http.serve_connection(stream, service));
        connections.spawn(async move {
            let mut connection = std::pin::pin!(connection);
            // A client that breaks off its connection may do so.
            tokio::select! {
                _ = &mut connection => {}
                () = kick.notified() => drop(tokio::time::timeout(LINGER, connection).await),
            }
            drop(place);
        });
    }
}
