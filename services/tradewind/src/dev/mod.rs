//! `tradewind dev`: the whole product in one process, without a server: embedded
//! log, sandbox vendors, connector, owners, actuators.

mod time;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::{Handle, Runtime};
use tokio::task::JoinHandle;
use tradewind_connector::Telemetry;
use tradewind_orchestrator::{Desk, Shares};
use tradewind_ports::Clock as _;
use tradewind_sandbox::Sandbox;
use tradewind_telemetry::{Health, Metrics, Shutdown, operations};
use tradewind_vendors::ROSTER;

use crate::clock::WallClock;
use crate::configuration::Configuration;
use crate::demo::merchant::{self, Agreed};
use crate::demo::{Played, play};
use crate::failure::Failure;
use crate::ground::Ground;
use crate::import::{Asked, beside};
use crate::parts::actuators::Acting;
use crate::parts::console::{ACCESS_KEY, Console, access_key};
use crate::parts::ingress::Ingress;
use crate::parts::owners::Owning;
use crate::parts::worker::Worker;
use crate::parts::{address, client, listen};

/// How often threads are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What each of the two halves of a stop may take: the whole is 10 s.
const STOP_WITHIN: Duration = Duration::from_secs(4);

/// `import` is done meanwhile.
pub(crate) fn run(configuration: &Configuration, import: Option<Asked>) -> Result<(), Failure> {
    let runtime = Runtime::new().map_err(Failure::unavailable)?;
    let ended = runtime.block_on(start_and_serve(configuration, import));
    // What is still under way has had its time.
    runtime.shutdown_timeout(Duration::from_millis(500));
    ended
}

async fn start_and_serve(configuration: &Configuration, import: Option<Asked>) -> Result<(), Failure> {
    let shutdown = Shutdown::on_signals().map_err(Failure::unavailable)?;
    let (health, metrics) = (Health::new(), Metrics::new());
    let ground = Ground::embedded(configuration)?;
    ground.must_be_for_development()?;
    let agreed = Agreed::with(&ground.secrets)?;
    merchant::set_up(ground.log.as_ref(), ground.partitions, &agreed, &configuration.sandbox, WallClock.now())?;
    let doors = Doors::open(configuration, &ground).await?;
    let shares = Shares::of(configuration.memory_mib.0, ground.partitions);
    doors.announce(configuration, shares);
    let served = tokio::spawn(operations::serve(doors.operations, health.clone(), metrics.clone()));
    let owning = Owning::new(configuration, &ground, &health, &metrics);
    let started = (0..ground.partitions).map(|partition| owning.start(partition).map_err(Failure::unavailable));
    let (owners, desks): (Vec<Worker>, Vec<Desk>) = started.collect::<Result<_, _>>()?;

    // A log that is long is folded first, and that can be broken off.
    let speed = configuration.sandbox.speed.0;
    let clock = tokio::select! {
        biased;
        () = shutdown.requested() => return stop(owners).await,
        failure = thread_failed(&owners, &[]) => return Err(failure),
        clock = time::stretch(&ground, &desks, speed) => clock?,
    };
    let settings = &configuration.sandbox;
    let sandbox = play(Played { settings, agreed: &agreed, ingress: address(&doors.ingress)?, clock }).await?;
    let acting = Acting {
        health: health.clone(),
        log: ground.log.clone(),
        vault: ground.vault.clone(),
        secrets: Arc::new(ground.secrets.clone()),
        clocks: Arc::new(clock),
        client: client(&ground)?,
        runtime: Handle::current(),
        counted: tradewind_actuator::Counted::new(&metrics),
    };
    let actuators = start_actuators(configuration, &ground, &acting, &sandbox)?;
    let connector = Ingress {
        ground: &ground,
        listener: doors.ingress,
        clock: Arc::new(clock),
        speed,
        public_address: None,
        desk: sandbox.addresses().desk,
        stop_within: STOP_WITHIN,
        telemetry: Telemetry { health: health.clone(), metrics: metrics.clone(), shutdown: shutdown.clone() },
    }
    .start()?;
    let console = Console {
        ground: &ground,
        listener: doors.console,
        hosts: configuration.console.hosts.clone(),
        desks: desks.clone(),
        speed,
        access_key: access_key(&doors.console_key)?,
        clock: Arc::new(clock),
        telemetry: tradewind_console::Telemetry { health: health.clone(), metrics, shutdown: shutdown.clone() },
    }
    .start();
    say(&format!("  sandbox     http://{}/sandbox/status", sandbox.addresses().status));
    say("ctrl-c stops it; the same command goes on from there");
    if let Some(asked) = import {
        let (ground, shutdown) = (ground.clone(), shutdown.clone());
        tokio::task::spawn_blocking(move || {
            if let Err(error) = beside(&asked, &ground, &desks, &shutdown) {
                tracing::error!(%error, "the import failed; run it again, it goes on from there");
            }
        });
    }

    let mut running = Running { owners, actuators, connector, console, sandbox };
    let ended = tokio::select! {
        // Parts that end because they were told to have not failed.
        biased;
        () = shutdown.requested() => Ok(()),
        failure = running.failed() => Err(failure),
    };
    health.stop();
    shutdown.request();
    let stopped = running.stop(&ground).await;
    served.abort();
    ended.and(stopped)
}

/// Threads and tasks that are to stop together.
struct Running {
    owners: Vec<Worker>,
    actuators: Vec<Worker>,
    connector: JoinHandle<Result<(), tradewind_connector::ServeError>>,
    console: JoinHandle<Result<(), tradewind_console::ServeError>>,
    sandbox: Sandbox,
}

impl Running {
    /// Returns when a part ended that nobody told to.
    async fn failed(&mut self) -> Failure {
        tokio::select! {
            ended = &mut self.connector => match ended {
                Ok(Ok(())) | Err(_) => Failure::stopped("keep the connector alive: it ended"),
                Ok(Err(error)) => Failure::stopped(error),
            },
            ended = &mut self.console => match ended {
                Ok(Ok(())) | Err(_) => Failure::stopped("keep the console alive: it ended"),
                Ok(Err(error)) => Failure::stopped(error),
            },
            failure = thread_failed(&self.owners, &self.actuators) => failure,
        }
    }

    /// First the doors and those who call out, then the owners with what these
    /// still appended, so that the next start finds everything in the stores.
    async fn stop(mut self, ground: &Ground) -> Result<(), Failure> {
        let doors = async {
            let (connector, console) = (end_of(self.connector), end_of(self.console));
            let (_, (), (), ()) = tokio::join!(stop(self.actuators), connector, console, self.sandbox.stop());
        };
        if tokio::time::timeout(STOP_WITHIN, doors).await.is_err() {
            tracing::warn!("not everything that was under way could be finished; it is taken up at the next start");
        }
        let unstretched = time::unstretch(ground);
        let stopped = tokio::time::timeout(STOP_WITHIN, stop(self.owners)).await.unwrap_or_else(|_| {
            Err(Failure::stopped("write the checkpoints: it takes too long; the next start reads more of the log"))
        });
        stopped.and(unstretched)
    }
}

/// Of a task that may have been heard of already.
async fn end_of<T>(task: JoinHandle<T>) {
    if !task.is_finished() {
        // What it has to say comes too late to change anything.
        let _ = task.await;
    }
}

/// Returns when a thread ended, or hangs.
async fn thread_failed(owners: &[Worker], actuators: &[Worker]) -> Failure {
    loop {
        for worker in owners.iter().chain(actuators) {
            if worker.is_finished() || worker.hangs() {
                let how = if worker.hangs() { "it hangs" } else { "it ended; see the log lines above" };
                return Failure::stopped(format!("keep {} alive: {how}", worker.name()));
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Tells them all, then waits for each.
async fn stop(workers: Vec<Worker>) -> Result<(), Failure> {
    workers.iter().for_each(Worker::stop);
    let joined = tokio::task::spawn_blocking(move || workers.into_iter().try_for_each(Worker::join));
    joined.await.map_err(Failure::stopped)?.map_err(Failure::stopped)
}

fn start_actuators(
    configuration: &Configuration,
    ground: &Ground,
    acting: &Acting,
    sandbox: &Sandbox,
) -> Result<Vec<Worker>, Failure> {
    let mut workers = Vec::new();
    for integration in ROSTER {
        for partition in 0..ground.partitions {
            let settings = tradewind_actuator::Settings::of(&configuration.installation.0, partition, integration);
            let Some(mut settings) = settings else { continue };
            settings.origin = Some(format!("http://{}", sandbox.addresses().mail));
            workers.push(acting.start(settings).map_err(Failure::unavailable)?);
        }
    }
    Ok(workers)
}

/// Where we listen, before anything that takes long.
struct Doors {
    ingress: TcpListener,
    console: TcpListener,
    operations: TcpListener,
    /// Opens what is personal on the console.
    console_key: String,
}

impl Doors {
    async fn open(configuration: &Configuration, ground: &Ground) -> Result<Doors, Failure> {
        Ok(Doors {
            ingress: listen("ingress", configuration.ingress.address).await?,
            console: listen("console", configuration.console.address).await?,
            operations: listen("operations", configuration.operations.address).await?,
            console_key: ground.secrets.drawn(ACCESS_KEY, |text| text).map_err(Failure::usage)?,
        })
    }

    fn announce(&self, configuration: &Configuration, shares: Shares) {
        let Configuration { directory, sandbox, partitions, memory_mib, .. } = configuration;
        let at = |listener: &TcpListener| listener.local_addr().map_or_else(|_| "?".into(), |at| at.to_string());
        say(&format!(
            "tradewind dev: one merchant and sandbox vendors, {} times as fast as the clock",
            sandbox.speed.0
        ));
        say(&format!("  console     http://{}", at(&self.console)));
        say(&format!("  with names  http://{}/?key={}", at(&self.console), self.console_key));
        say(&format!("  webhooks    http://{}", at(&self.ingress)));
        say(&format!("  operations  http://{}/readyz and /metrics", at(&self.operations)));
        say(&format!("  directory   {} (partitions: {})", directory.display(), partitions.0));
        say(&format!("  memory      {} MiB; {shares}", memory_mib.0));
    }
}

#[expect(clippy::print_stdout, reason = "it is what the command prints")]
fn say(line: &str) {
    println!("{line}");
}
