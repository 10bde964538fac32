//! Serving: from the first connection to the last answer.

use std::fmt;
use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use axum::Router;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tradewind_serving::{Door, Guest, Limits};
use tradewind_telemetry::Part;

use crate::appender::{Appenders, Ended, Shared};
use crate::directory::{self, Current};
use crate::ingress::{self, Ingress};
use crate::metrics::Counted;
use crate::outage::Outages;
use crate::reach::Reach;
use crate::turned_away::TurnedAway;
use crate::world::{Settings, Telemetry, World};

/// Most bytes of a request's head; more is answered with 431.
const HEAD_BYTES: usize = 32 << 10;

const MAX_HEADERS: usize = 100;

/// Why serving ended before it was asked to.
#[derive(Debug)]
pub enum ServeError {
    /// Threads can't be started.
    Threads(io::Error),
    /// The directory can't be read, and waiting does not help.
    Directory(String),
    /// A thread that appends deliveries ended by itself.
    Appender,
}

impl fmt::Display for ServeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServeError::Threads(reason) => write!(formatter, "start the connector's threads: {reason}"),
            ServeError::Directory(reason) => write!(formatter, "follow the directory: {reason}"),
            ServeError::Appender => formatter.write_str("append deliveries: a thread ended by itself"),
        }
    }
}

impl std::error::Error for ServeError {}

/// Takes deliveries in until it is asked to stop, and returns once what was taken
/// is done or [`Settings::stop_within`] is over.
///
/// The part `connector` of the health is ready once the directory was read; until
/// then deliveries are answered with 503.
///
/// # Errors
///
/// See [`ServeError`]; what was taken is finished then too.
pub async fn serve(
    listener: TcpListener,
    world: World,
    settings: Settings,
    telemetry: Telemetry,
) -> Result<(), ServeError> {
    let Telemetry { health, metrics, shutdown } = telemetry;
    let part = health.part("connector");
    part.waits_for("the directory");
    let (directory, failure) = directory::follow(world.log.clone(), world.secrets.clone(), settings.partitions)
        .map_err(ServeError::Threads)?;
    let reach = Reach::default();
    let counted = Counted::new(&metrics);
    let outages = Outages::new(counted.outage.clone());
    let turned_away = TurnedAway::default();
    let shared = Shared {
        log: world.log.clone(),
        clock: world.clock.clone(),
        directory: directory.clone(),
        reach: reach.clone(),
        counted: counted.clone(),
        outages: outages.clone(),
        turned_away: turned_away.clone(),
        beat_every: settings.beat_every,
    };
    let (appenders, mut ended) =
        Appenders::start(settings.partitions, settings.queued_deliveries, &shared).map_err(ServeError::Threads)?;
    let probing = tokio::spawn(reach.watch(world.probe.clone(), settings.beat_every / 4, counted.reached.clone()));
    let readiness = tokio::spawn(ready_with(directory.clone(), part));
    let Settings { connections, stop_delay, stop_within, request_within, .. } = settings;
    let memory = ingress::memory(&settings);
    let router = ingress::router(Arc::new(Ingress {
        world,
        settings,
        directory,
        appenders,
        memory,
        counted,
        outages,
        turned_away,
    }));

    let limits = Limits { connections, head_bytes: HEAD_BYTES, headers: MAX_HEADERS, head_within: request_within };
    let door = Door::new(listener, limits);
    let graceful = GracefulShutdown::new();
    let asked = async {
        shutdown.requested().await;
        health.stop();
        tokio::time::sleep(stop_delay).await;
    };
    let stopped = tokio::select! {
        () = accept(&door, &router, &graceful) => Ok(()),
        () = asked => Ok(()),
        reason = failure => {
            Err(ServeError::Directory(reason.unwrap_or_else(|_| "its thread ended by itself".into())))
        }
        () = first_ended(&mut ended) => Err(ServeError::Appender),
    };
    health.stop();
    // What is not reached any more is not to be proven to be.
    probing.abort();
    drop(door);
    tracing::info!("finishing what was taken");
    let finished = async {
        graceful.shutdown().await;
        // With the last request the last way to the appenders is gone.
        drop(router);
        if matches!(stopped, Err(ServeError::Appender)) {
            return;
        }
        for end in ended {
            // It resolves with an error, since nothing is ever sent.
            let _ = end.await;
        }
    };
    if tokio::time::timeout(stop_within, finished).await.is_err() {
        tracing::warn!("not all of it could be finished in time; its vendors will send it again");
    }
    readiness.abort();
    stopped
}

/// Returns when one of them is over.
async fn first_ended(ends: &mut [Ended]) {
    poll_fn(|context| {
        let is_over = ends.iter_mut().any(|end| Pin::new(end).poll(context).is_ready());
        if is_over { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Takes connections until it is dropped.
async fn accept(door: &Door, router: &Router, graceful: &GracefulShutdown) {
    loop {
        let Guest { stream, place } = door.next().await;
        let service = TowerToHyperService::new(router.clone());
        let connection = graceful.watch(door.http.serve_connection(stream, service));
        tokio::spawn(async move {
            // A client that breaks off its connection may do so.
            let _ = connection.await;
            drop(place);
        });
    }
}

async fn ready_with(mut directory: Current, part: Part) {
    if directory.wait_for(Option::is_some).await.is_ok() {
        part.ready();
    }
}
