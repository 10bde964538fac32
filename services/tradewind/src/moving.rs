//! `tradewind move`: a whole log into another one, with another number of
//! partitions or another kind of log.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tradewind_domain::{LineageKind, LineageOpened, Name, Timestamp};
use tradewind_ports::{Clock as _, EventLog, NewRecord};
use tradewind_transfer::moved::{self, Move, MoveError, Moved, Unsettled};
use tradewind_wire::vault;

use crate::BUILD;
use crate::clock::WallClock;
use crate::configuration::{Configuration, Kafka};
use crate::failure::Failure;
use crate::installation::Installation;
use crate::kafka::Cluster;
use crate::lineage;

/// Events appended at once.
const BATCH: usize = 1_000;

/// Clocks differ by as much, and nobody needs to hear of it.
const AHEAD_MS: i64 = 60_000;

const REDRAW_EVERY: Duration = Duration::from_millis(200);

/// Moves the log of one configuration into that of another. Nobody else may write
/// to either meanwhile.
pub(crate) fn relocate(from: &Configuration, to: &Configuration, leave_unsettled: bool) -> Result<(), Failure> {
    refuse(from, to)?;
    let (source, opened) = source(from)?;
    let keys = keys(from, to)?;
    let target = target(to)?;
    let moving = Move {
        source_partitions: from.partitions.0,
        target_partitions: to.partitions.0,
        lineage: LineageOpened { lineage: lineage::draw()?, kind: kind(opened.kind, to) },
        opened_at: WallClock.now(),
        installation: to.installation.0.clone(),
        build: Name::fixed(BUILD),
        unsettled: if leave_unsettled { Unsettled::Left } else { Unsettled::Refused },
        keys,
        batch: BATCH,
    };
    let style =
        ProgressStyle::with_template("{spinner} moving, {pos} facts, {per_sec}").expect("a template that is one");
    let bar = ProgressBar::no_length().with_style(style);
    bar.enable_steady_tick(REDRAW_EVERY);
    let mut report = |moved: &Moved| bar.set_position(moved.facts);
    let moved = moved::run(source.as_ref(), target.as_ref(), &moving, &mut report).map_err(refused)?;
    bar.finish_and_clear();
    say(&moved, to);
    Ok(())
}

/// What is no move, before anything is opened.
fn refuse(from: &Configuration, to: &Configuration) -> Result<(), Failure> {
    let is_same = match (&from.kafka, &to.kafka) {
        (None, None) => match (fs::canonicalize(&from.directory), fs::canonicalize(&to.directory)) {
            (Ok(from), Ok(to)) => from == to,
            // One of them is not there yet.
            (Err(_), _) | (_, Err(_)) => false,
        },
        (Some(from), Some(to)) => (&from.bootstrap, &from.topic_prefix) == (&to.bootstrap, &to.topic_prefix),
        (None, Some(_)) => false,
        (Some(_), None) => {
            let reason = "move the log: expected [kafka] in the other configuration, since keys that are on a topic \
                          don't go into a directory's vault";
            return Err(Failure::usage(reason));
        }
    };
    if is_same {
        return Err(Failure::usage("move the log: expected another log, and both configurations name the same one"));
    }
    Ok(())
}

fn source(from: &Configuration) -> Result<(Arc<dyn EventLog>, LineageOpened), Failure> {
    let log: Arc<dyn EventLog> = if from.kafka.is_some() {
        Arc::new(Cluster::prepare(from)?.log()?)
    } else {
        Installation::find(&from.directory)?.log(from.partitions.0)?
    };
    let opened =
        lineage::opened(log.as_ref(), 0)?.ok_or_else(|| Failure::usage("move the log: there is nothing in it"))?;
    Ok((log, opened))
}

fn target(to: &Configuration) -> Result<Arc<dyn EventLog>, Failure> {
    if to.kafka.is_some() {
        return Ok(Arc::new(Cluster::prepare(to)?.log()?));
    }
    Ok(Installation::create(&to.directory)?.log(to.partitions.0)?)
}

/// What a directory's vault holds, for the topic where a cluster has its vault.
fn keys(from: &Configuration, to: &Configuration) -> Result<Vec<NewRecord>, Failure> {
    if from.kafka.is_some() || to.kafka.is_none() {
        return Ok(Vec::new());
    }
    let entries = Installation::find(&from.directory)?.vault_entries()?;
    Ok(entries.iter().map(vault::record).collect())
}

/// A cluster that is not for development makes a production history of any, which
/// the move refuses where time was stretched.
fn kind(source: LineageKind, to: &Configuration) -> LineageKind {
    match &to.kafka {
        Some(Kafka { dev: false, .. }) => LineageKind::Production,
        Some(Kafka { dev: true, .. }) | None => source,
    }
}

fn refused(error: MoveError) -> Failure {
    match error {
        MoveError::Log(error) => Failure::unavailable(format!("{error}; run the move again, it goes on from there")),
        MoveError::Unsettled { .. } => Failure::usage(format!("{error} (--leave-unsettled)")),
        MoveError::Stretched { .. } => Failure::usage(format!("{error} ([kafka] dev = true)")),
        MoveError::Occupied { .. } => Failure::usage(error),
        MoveError::Unreadable { .. } | MoveError::Broken { .. } | MoveError::Undecided { .. } => {
            Failure::stopped(error)
        }
    }
}

#[expect(clippy::print_stdout, reason = "it is what the command prints")]
fn say(moved: &Moved, to: &Configuration) {
    println!(
        "moved {} facts, {} decisions, {} entries and keys; {} facts were there already, \
         {} of the source's own left behind, {} commands unsettled",
        moved.facts, moved.decisions, moved.entries, moved.already, moved.dropped, moved.unsettled
    );
    if let Some(ahead) = ahead(moved.watermark, WallClock.now()) {
        println!(
            "the log's time was stretched and is {ahead} ahead of the clock on the wall: \
             what waits in it goes on to wait until that has caught up"
        );
    }
    if to.kafka.is_some() {
        println!("now copy installation.key and secrets/ into the directory of each process; never start the old log");
    } else {
        println!("now copy installation.key, vault and secrets/ into the new directory; never start the old log");
    }
}

/// How far the log's time is ahead, in words; `None` if it is not.
fn ahead(watermark: Timestamp, now: Timestamp) -> Option<String> {
    let ms = watermark.since(now);
    let minutes = ms / 60_000;
    (ms > AHEAD_MS).then(|| format!("{} h {} min", minutes / 60, minutes % 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_log_that_is_ahead_is_said_to_be() {
        let at = Timestamp::from_millis;
        assert_eq!(ahead(at(0), at(7)), None);
        assert_eq!(ahead(at(AHEAD_MS), at(0)), None);
        assert_eq!(ahead(at(3 * 3_600_000 + 65_000), at(0)).as_deref(), Some("3 h 1 min"));
    }
}
