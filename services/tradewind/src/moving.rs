//! `tradewind move`: a whole log into another one, with another number of
//! partitions or another kind of log.

use std::sync::Arc;

use tradewind_domain::{LineageOpened, Name};
use tradewind_ports::{Clock as _, EventLog};
use tradewind_transfer::moved::{self, Move, Moved, Unsettled};

use crate::clock::WallClock;
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::installation::Installation;
use crate::kafka::Cluster;
use crate::lineage;

/// Events appended at once.
const BATCH: usize = 1_000;

const BUILD: &str = concat!("tradewind ", env!("CARGO_PKG_VERSION"));

/// Moves the log of one configuration into that of another. Nobody else may write
/// to either meanwhile.
pub(crate) fn relocate(from: &Configuration, to: &Configuration, leave_unsettled: bool) -> Result<(), Failure> {
    let source = open(from)?;
    let target = open(to)?;
    let opened =
        lineage::opened(source.as_ref(), 0)?.ok_or_else(|| Failure::usage("move the log: there is nothing in it"))?;
    let moving = Move {
        source_partitions: from.partitions.0,
        target_partitions: to.partitions.0,
        lineage: LineageOpened { lineage: lineage::draw()?, kind: opened.kind },
        opened_at: WallClock.now(),
        installation: to.installation.0.clone(),
        build: Name::fixed(BUILD),
        unsettled: if leave_unsettled { Unsettled::Left } else { Unsettled::Refused },
        batch: BATCH,
    };
    let mut report = |moved: &Moved| tracing::info!(facts = moved.facts, decisions = moved.decisions, "moving");
    let moved = moved::run(source.as_ref(), target.as_ref(), &moving, &mut report).map_err(Failure::stopped)?;
    say(&moved);
    Ok(())
}

fn open(configuration: &Configuration) -> Result<Arc<dyn EventLog>, Failure> {
    if configuration.kafka.is_some() {
        return Ok(Arc::new(Cluster::prepare(configuration)?.log()?));
    }
    let installation = Installation::create(&configuration.directory)?;
    Ok(installation.log(configuration.partitions.0)?)
}

#[expect(clippy::print_stdout, reason = "it is what the command prints")]
fn say(moved: &Moved) {
    println!(
        "moved {} facts and {} decisions; {} were there already, {} of the source's own left behind, {} commands unsettled",
        moved.facts, moved.decisions, moved.already, moved.dropped, moved.unsettled
    );
    println!("installation.key, vault and secrets are files: copy them yourself, apart from the log");
}
