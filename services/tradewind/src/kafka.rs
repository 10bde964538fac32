//! An installation on Kafka: how its cluster is reached, and which topics it has.

use std::sync::Arc;

use tradewind_domain::{LineageKind, LineageOpened, Vendor};
use tradewind_log_kafka::{KafkaLog, KafkaSettings, SetupError, prepare};
use tradewind_orchestrator::Shares;
use tradewind_ports::{Clock as _, EventLog, Topic};
use tradewind_telemetry::Health;
use tradewind_vendors::ROSTER;

use crate::clock::WallClock;
use crate::configuration::{Configuration, Kafka};
use crate::failure::Failure;
use crate::ground::Ground;
use crate::installation::Installation;
use crate::lineage;

/// A cluster that was prepared.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) settings: KafkaSettings,
    pub(crate) member: String,
    /// Bytes that a turn may put out, so that its memory is kept to.
    pub(crate) output_bytes: usize,
}

impl Cluster {
    /// Makes the topics that are missing and checks the others.
    pub(crate) fn prepare(configuration: &Configuration) -> Result<Cluster, Failure> {
        let settings = settings(configuration)?;
        let output_bytes = settings.output_limit_bytes().map_err(|error| {
            let share = "Kafka's clients get a quarter of memory_mib: raise that in the configuration";
            Failure::usage(format!("{error}; {share}"))
        })?;
        let prepared = prepare(&settings, &topics()).map_err(of_setup)?;
        for topic in prepared.created {
            tracing::info!(topic, "topic made");
        }
        for unchecked in prepared.unchecked {
            tracing::warn!(unchecked, "could not be checked");
        }
        let output_bytes = usize::try_from(output_bytes).map_err(Failure::usage)?;
        let member = configuration.kafka.as_ref().map(|kafka| kafka.member.clone()).unwrap_or_default();
        Ok(Cluster { settings, member, output_bytes })
    }

    pub(crate) fn log(&self) -> Result<KafkaLog, Failure> {
        KafkaLog::connect(self.settings.clone()).map_err(of_setup)
    }

    /// The log with its lineage, which is drawn where the log is new.
    pub(crate) fn opened_log(
        &self,
        configuration: &Configuration,
    ) -> Result<(Arc<dyn EventLog>, LineageOpened), Failure> {
        let log: Arc<dyn EventLog> = Arc::new(self.log()?);
        let kind = if self.settings.is_dev { LineageKind::Dev } else { LineageKind::Production };
        let opened = lineage::open(log.as_ref(), configuration.partitions.0, kind, WallClock.now())?;
        Ok((log, opened))
    }

    /// What a process of the installation stands on.
    pub(crate) fn ground(&self, configuration: &Configuration, health: &Health) -> Result<Ground, Failure> {
        let partitions = configuration.partitions.0;
        let (log, opened) = self.opened_log(configuration)?;
        let installation = Installation::create(&configuration.directory)?;
        let vault = installation.topic_vault(log.clone(), Arc::new(WallClock), health.part("vault"))?;
        let secrets = installation.secrets()?;
        Ok(Ground { installation, log, vault, secrets, partitions, opened })
    }
}

/// How the cluster of the configuration is reached.
pub(crate) fn settings(configuration: &Configuration) -> Result<KafkaSettings, Failure> {
    let Some(Kafka { bootstrap, dev, topic_prefix, client, .. }) = &configuration.kafka else {
        return Err(Failure::usage("find the cluster: expected [kafka] with bootstrap in the configuration"));
    };
    let partitions = configuration.partitions.0;
    Ok(KafkaSettings {
        partitions,
        is_dev: *dev,
        memory_bytes: Shares::of(configuration.memory_mib.0, partitions).kafka_bytes,
        topic_prefix: topic_prefix.clone(),
        client: client.clone(),
        ..KafkaSettings::new(bootstrap, &configuration.installation.0)
    })
}

/// Every topic of this release.
fn topics() -> Vec<Topic> {
    let mut topics =
        vec![Topic::Events, Topic::Decisions, Topic::DeadLetter, Topic::Directory, Topic::Keys, Topic::Owners];
    for integration in ROSTER {
        let vendor = Vendor::new(integration.vendor).expect("a vendor of the roster");
        if integration.inbound.is_some() {
            topics.push(Topic::Raw(vendor.clone()));
        }
        if integration.outbound.is_some() {
            topics.push(Topic::Commands(vendor.clone()));
            topics.push(Topic::Ledger(vendor));
        }
    }
    topics
}

pub(crate) fn of_setup(error: SetupError) -> Failure {
    match error {
        SetupError::Setting { .. } | SetupError::Cluster(_) => Failure::usage(error),
        SetupError::Unreachable { .. } => Failure::unavailable(error),
    }
}
