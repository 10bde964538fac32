//! The stores of one partition, in the terms of its host.

use tradewind_orchestrator::Stores;
use tradewind_ports::{StateStore, StoreError};
use tradewind_store::{Opened, Opening};

#[derive(Debug)]
pub(crate) struct PartitionStores(pub(crate) Opening);

impl Stores for PartitionStores {
    fn open(&mut self, alive: &dyn Fn()) -> Result<(Box<dyn StateStore>, Option<String>), StoreError> {
        let Opened { store, rebuilt } = self.0.open_while(alive)?;
        let reason = rebuilt.map(|rebuilt| match rebuilt.moved_to {
            Some(moved_to) => format!("{}; what was there is in {}", rebuilt.reason, moved_to.display()),
            None => rebuilt.reason,
        });
        Ok((Box::new(store), reason))
    }

    fn move_aside(&mut self, reason: &str) -> Result<(), StoreError> {
        self.0.move_aside(reason).map(drop)
    }

    fn remove_older(&mut self) -> Result<Vec<String>, StoreError> {
        self.0.remove_older()
    }
}
