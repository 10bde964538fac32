//! What the connector is given: its ports, its settings, what it reports to.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tradewind_domain::{Account, ConnectionName, Name, Tenant, Vendor};
use tradewind_ports::{Clock, EventLog, KeyVault};
use tradewind_telemetry::{Health, Metrics, Shutdown};
use tradewind_vendors::Request;

/// The bytes of a secret, by the reference that the directory names. It is asked
/// again every half a minute, from a thread that may block.
pub type SecretSource = Arc<dyn Fn(&Name) -> Option<Vec<u8>> + Send + Sync>;

/// Whether our own public address leads back to us.
pub type Probe = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;

/// Asks a vendor for what a delivery only hinted at. An error is what an operator
/// shall read: nothing a vendor sent.
pub type Fetch =
    Arc<dyn Fn(FetchCall) -> Pin<Box<dyn Future<Output = Result<FetchAnswer, String>> + Send>> + Send + Sync>;

/// Whose account is asked for what.
#[derive(Clone, Debug)]
pub struct FetchCall {
    pub tenant: Tenant,
    pub connection: ConnectionName,
    pub vendor: Vendor,
    pub account: Account,
    pub request: Request,
}

#[derive(Clone)]
pub struct FetchAnswer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl fmt::Debug for FetchAnswer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "FetchAnswer({}, {} bytes)", self.status, self.body.len())
    }
}

#[derive(Clone)]
pub struct World {
    pub log: Arc<dyn EventLog>,
    pub vault: Arc<dyn KeyVault>,
    pub clock: Arc<dyn Clock>,
    pub secrets: SecretSource,
    pub probe: Probe,
    /// Without one, deliveries that are only hints become dead letters.
    pub fetch: Option<Fetch>,
}

impl fmt::Debug for World {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("World").field("fetches", &self.fetch.is_some()).finish_non_exhaustive()
    }
}

/// What the connector reports to, and what stops it.
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
    /// Where a vendor was silent for so long, a beat says that it could have reached
    /// us. `dev` divides it by its speed.
    pub beat_every: Duration,
    /// From the whole body to the answer: behind it, 503.
    pub answer_within: Duration,
    /// For a client to send its headers, and again for its body.
    pub request_within: Duration,
    /// All deliveries in work together hold at most so many bytes of bodies.
    pub memory_bytes: usize,
    /// Deliveries that wait for one partition's log.
    pub queued_deliveries: usize,
    /// Open connections of clients.
    pub connections: usize,
    /// From "not ready" until no new connection is taken: until the load balancer knows.
    pub stop_delay: Duration,
    /// From there until what is in work is given up.
    pub stop_within: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            partitions: 16,
            beat_every: Duration::from_secs(15),
            answer_within: Duration::from_millis(2_500),
            request_within: Duration::from_secs(10),
            memory_bytes: 64 << 20,
            queued_deliveries: 1024,
            connections: 4096,
            stop_delay: Duration::ZERO,
            stop_within: Duration::from_secs(8),
        }
    }
}
