//! What the console is given: its ports, its settings, what it reports to.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tradewind_ports::{Clock, EventLog, KeyVault};
use tradewind_telemetry::{Health, Metrics, Shutdown};

use crate::access::AccessKey;
use crate::owners::Owners;

#[derive(Clone)]
pub struct World {
    pub log: Arc<dyn EventLog>,
    pub owners: Arc<dyn Owners>,
    /// Without one, nothing personal can be opened, whoever asks.
    pub vault: Option<Arc<dyn KeyVault>>,
    pub clock: Arc<dyn Clock>,
}

impl fmt::Debug for World {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("World").field("opens", &self.vault.is_some()).finish_non_exhaustive()
    }
}

/// What the console reports to, and what stops it.
#[derive(Clone, Debug)]
pub struct Telemetry {
    pub health: Health,
    pub metrics: Metrics,
    pub shutdown: Shutdown,
}

#[derive(Clone, Debug)]
pub struct Settings {
    /// Of `tradewind.events`, for good.
    pub partitions: u32,
    /// Who shows it sees personal data. On an address that others can reach, it is
    /// asked of everybody.
    pub access_key: Option<AccessKey>,
    /// Names by which the console is reached, beside its own address and the loopback
    /// names; without a port. A request for another host is refused.
    pub hosts: Vec<String>,
    /// How many of the newest facts, decisions, commands and outcomes each are kept to be shown.
    pub newest: usize,
    /// Records of a partition, before the end of each topic, that are read at start.
    pub look_back: u64,
    /// Pages that may be open at once.
    pub live_clients: usize,
    /// Updates that may wait for a slow page before it is dropped.
    pub live_backlog: usize,
    /// Open connections of clients.
    pub connections: usize,
    /// For a client to send its request's headers.
    pub request_within: Duration,
    /// From the wish to stop until what is open is given up.
    pub stop_within: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            partitions: 16,
            access_key: None,
            hosts: Vec::new(),
            newest: 500,
            look_back: 20_000,
            live_clients: 32,
            live_backlog: 64,
            connections: 256,
            request_within: Duration::from_secs(10),
            stop_within: Duration::from_millis(1_500),
        }
    }
}
