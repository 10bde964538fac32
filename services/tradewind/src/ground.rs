//! What every part of an installation stands on: the log, the vault, the secrets.

use std::sync::Arc;

use tradewind_domain::{LineageKind, LineageOpened};
use tradewind_ports::{Clock as _, EventLog, KeyVault};

use crate::clock::WallClock;
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::installation::Installation;
use crate::lineage;
use crate::secrets::SecretFiles;

#[derive(Clone)]
pub(crate) struct Ground {
    pub(crate) installation: Installation,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) vault: Arc<dyn KeyVault>,
    pub(crate) secrets: SecretFiles,
    pub(crate) partitions: u32,
    pub(crate) opened: LineageOpened,
}

impl Ground {
    /// Everything in one directory. A log that is new is one for development.
    pub(crate) fn embedded(configuration: &Configuration) -> Result<Ground, Failure> {
        let partitions = configuration.partitions.0;
        let installation = Installation::create(&configuration.directory)?;
        let log = installation.log(partitions)?;
        let opened = lineage::open(log.as_ref(), partitions, LineageKind::Dev, WallClock.now())?;
        let vault = installation.vault(Arc::new(WallClock))?;
        let secrets = installation.secrets()?;
        Ok(Ground { installation, log, vault, secrets, partitions, opened })
    }

    /// # Errors
    ///
    /// The log is of a production installation.
    pub(crate) fn must_be_for_development(&self) -> Result<(), Failure> {
        match self.opened.kind {
            LineageKind::Dev => Ok(()),
            LineageKind::Production => {
                Err(Failure::usage("play vendors: this log is of a production installation, where nothing is played"))
            }
        }
    }
}
