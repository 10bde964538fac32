//! What an actuator is told, and what it works with.

use std::fmt;
use std::sync::Arc;

use tradewind_domain::{Command, Vendor};
use tradewind_ports::{EventLog, KeyVault};
use tradewind_vendors::{Access, Integration, Operation, Outbound};

use crate::calls::{Calls, Secrets};
use crate::clock::Clocks;
use crate::metrics::Counted;

#[derive(Clone, Debug)]
pub struct Settings {
    /// Names the writers of an installation: `<installation>/actuator/<vendor>/<partition>`.
    pub installation: String,
    pub partition: u32,
    pub vendor: Vendor,
    /// The vendor's name on the roster, for metrics.
    pub vendor_word: &'static str,
    pub outbound: Outbound,
    pub access: Access,
    /// Called in place of the vendor, for every account: a sandbox.
    pub origin: Option<String>,
    /// Requests under way at once.
    pub requests_max: usize,
    /// Commands in memory; those behind them are read when there is room.
    pub commands_max: usize,
}

impl Settings {
    /// `None` if the vendor is not one we tell things.
    #[must_use]
    pub fn of(installation: &str, partition: u32, integration: &Integration) -> Option<Settings> {
        Some(Settings {
            installation: installation.to_owned(),
            partition,
            vendor: Vendor::new(integration.vendor).ok()?,
            vendor_word: integration.vendor,
            outbound: integration.outbound?,
            access: integration.access?,
            origin: None,
            requests_max: 32,
            commands_max: 20_000,
        })
    }

    pub(crate) fn operation(&self, command: &Command) -> Option<&'static Operation> {
        let capability = command.body.capability();
        self.outbound.operations.iter().find(|operation| operation.capability == capability)
    }
}

/// What an actuator works with.
pub struct Ports {
    pub log: Arc<dyn EventLog>,
    pub vault: Arc<dyn KeyVault>,
    pub secrets: Arc<dyn Secrets>,
    pub clocks: Arc<dyn Clocks>,
    pub calls: Box<dyn Calls>,
    pub counted: Counted,
}

impl fmt::Debug for Ports {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Ports(…)")
    }
}
