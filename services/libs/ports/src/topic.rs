//! The topics of an installation: names, keys, how long they are kept.

use std::fmt;

use tradewind_domain::Vendor;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// Facts, in the tenants' order; never written in a transaction.
    Events,
    /// Decisions and commit points of the partition's owner.
    Decisions,
    /// A vendor's work queue.
    Commands(Vendor),
    /// What the actuators of a vendor promised and found out.
    Ledger(Vendor),
    /// Deliveries as they came, sealed.
    Raw(Vendor),
    DeadLetter,
    /// The control plane; one partition.
    Directory,
    /// The key vault; one partition.
    Keys,
    /// Membership only; nobody writes to it.
    Owners,
}

/// What becomes of old records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleanup {
    KeptForEver,
    DeletedAfterMs(i64),
    /// The newest record of a key is kept; a tombstone removes the key.
    Compacted,
}

impl Topic {
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Topic::Events => "tradewind.events".into(),
            Topic::Decisions => "tradewind.decisions".into(),
            Topic::Commands(vendor) => format!("tradewind.commands.{vendor}"),
            Topic::Ledger(vendor) => format!("tradewind.ledger.{vendor}"),
            Topic::Raw(vendor) => format!("tradewind.raw.{vendor}"),
            Topic::DeadLetter => "tradewind.dead-letter".into(),
            Topic::Directory => "tradewind.directory".into(),
            Topic::Keys => "tradewind.keys".into(),
            Topic::Owners => "tradewind.owners".into(),
        }
    }

    /// The topic of this name; `None` if it is none of ours.
    #[must_use]
    pub fn parse(name: &str) -> Option<Topic> {
        let vendor = |prefix: &str| name.strip_prefix(prefix).and_then(|vendor| Vendor::new(vendor).ok());
        match name {
            "tradewind.events" => Some(Topic::Events),
            "tradewind.decisions" => Some(Topic::Decisions),
            "tradewind.dead-letter" => Some(Topic::DeadLetter),
            "tradewind.directory" => Some(Topic::Directory),
            "tradewind.keys" => Some(Topic::Keys),
            "tradewind.owners" => Some(Topic::Owners),
            _ => vendor("tradewind.commands.")
                .map(Topic::Commands)
                .or_else(|| vendor("tradewind.ledger.").map(Topic::Ledger))
                .or_else(|| vendor("tradewind.raw.").map(Topic::Raw)),
        }
    }

    #[must_use]
    pub fn cleanup(&self) -> Cleanup {
        match self {
            Topic::Events | Topic::Decisions => Cleanup::KeptForEver,
            Topic::Commands(_) | Topic::Raw(_) | Topic::DeadLetter => Cleanup::DeletedAfterMs(30 * DAY_MS),
            Topic::Owners => Cleanup::DeletedAfterMs(DAY_MS),
            Topic::Ledger(_) | Topic::Directory | Topic::Keys => Cleanup::Compacted,
        }
    }

    /// One partition however many the installation has.
    #[must_use]
    pub fn is_single(&self) -> bool {
        matches!(self, Topic::Directory | Topic::Keys)
    }

    #[must_use]
    pub fn partition(self, partition: u32) -> TopicPartition {
        TopicPartition { topic: self, partition }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    pub topic: Topic,
    pub partition: u32,
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}[{}]", self.topic.name(), self.partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_reads_back_its_name() {
        let shopify = Vendor::new("shopify").unwrap();
        for topic in [
            Topic::Events,
            Topic::Decisions,
            Topic::Commands(shopify.clone()),
            Topic::Ledger(shopify.clone()),
            Topic::Raw(shopify),
            Topic::DeadLetter,
            Topic::Directory,
            Topic::Keys,
            Topic::Owners,
        ] {
            assert_eq!(Topic::parse(&topic.name()), Some(topic));
        }
        assert_eq!(Topic::parse("orders"), None);
    }
}
