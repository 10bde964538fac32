//! The roles of an installation on Kafka, each a process of its own.

mod actuator;
mod connector;
mod console;
mod orchestrator;
mod sandbox;

pub(crate) use actuator::actuator;
pub(crate) use connector::connector;
pub(crate) use console::console;
pub(crate) use orchestrator::orchestrator;
pub(crate) use sandbox::sandbox;

use std::future::Future;
use std::time::Duration;

use tokio::runtime::Runtime;
use tradewind_orchestrator::Shares;
use tradewind_telemetry::{Health, Metrics, Shutdown, operations};

use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::ground::Ground;
use crate::kafka::Cluster;
use crate::parts::{address, listen};

/// What every role has.
#[derive(Clone)]
pub(crate) struct Role {
    pub(crate) configuration: Configuration,
    pub(crate) cluster: Cluster,
    pub(crate) ground: Ground,
    pub(crate) health: Health,
    pub(crate) metrics: Metrics,
    pub(crate) shutdown: Shutdown,
}

/// Runs a role until it is told to stop: probes are answered from before the
/// cluster is asked for until the end. It has started when all of `parts`, which
/// it names itself, were ready.
fn run<F: Future<Output = Result<(), Failure>>>(
    name: &str,
    parts: &[String],
    configuration: &Configuration,
    serve: impl FnOnce(Role) -> F,
) -> Result<(), Failure> {
    let runtime = Runtime::new().map_err(Failure::unavailable)?;
    let ended = runtime.block_on(async {
        let shutdown = Shutdown::on_signals().map_err(Failure::unavailable)?;
        let (health, metrics) = (Health::new(), Metrics::new());
        let listener = listen("operations", configuration.operations.address).await?;
        announce(&format!("tradewind {name}\n  operations  http://{}/readyz and /metrics", address(&listener)?));
        let served = tokio::spawn(operations::serve(listener, health.clone(), metrics.clone()));
        let part = health.part("cluster");
        parts.iter().for_each(|part| drop(health.part(part.clone())));
        part.waits_for("the Kafka cluster");
        let (asked, heard) = (configuration.clone(), health.clone());
        let prepared = tokio::task::spawn_blocking(move || {
            let cluster = Cluster::prepare(&asked)?;
            let ground = cluster.ground(&asked, &heard)?;
            Ok::<_, Failure>((cluster, ground))
        });
        // A cluster that does not answer can be waited for no longer than asked.
        let (cluster, ground) = tokio::select! {
            () = shutdown.requested() => return Ok(()),
            prepared = prepared => prepared.map_err(Failure::stopped)??,
        };
        part.ready();
        let shares = Shares::of(configuration.memory_mib.0, ground.partitions);
        announce(&format!("  memory      {} MiB; {shares}", configuration.memory_mib.0));
        let role =
            Role { configuration: configuration.clone(), cluster, ground, health: health.clone(), metrics, shutdown };
        let stopping = tokio::spawn({
            let (health, shutdown) = (health.clone(), role.shutdown.clone());
            async move {
                shutdown.requested().await;
                health.stop();
            }
        });
        let ended = serve(role).await;
        stopping.abort();
        health.stop();
        served.abort();
        ended
    });
    // What is still under way has had its time.
    runtime.shutdown_timeout(Duration::from_millis(500));
    ended
}

#[expect(clippy::print_stdout, reason = "it is what the command prints")]
fn announce(text: &str) {
    println!("{text}");
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tradewind_actuator::ActuatorMetric;
    use tradewind_connector::ConnectorMetric;
    use tradewind_console::ConsoleMetric;
    use tradewind_orchestrator::OrchestratorMetric;
    use tradewind_telemetry::Metric;

    fn names<M: Metric>(metrics: &[M]) -> Vec<&'static str> {
        metrics.iter().map(|metric| metric.name()).collect()
    }

    #[test]
    fn every_metric_is_documented_and_no_other() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operations/metrics.md");
        let page = std::fs::read_to_string(page).unwrap();
        let (_, table) = page.split_once("## All of them").unwrap();
        let mut documented: Vec<&str> =
            table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
        let mut known = [
            names(&ActuatorMetric::ALL),
            names(&ConnectorMetric::ALL),
            names(&ConsoleMetric::ALL),
            names(&OrchestratorMetric::ALL),
        ]
        .concat();
        known.sort_unstable();
        documented.sort_unstable();
        assert_eq!(documented, known);
    }
}
