//! `tradewind import`: a shop's past orders, as history that starts nothing.

use std::fs::File;
use std::io::BufReader;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tradewind_domain::{
    Account, Body, DirectoryEntry, DirectoryValue, IngestAlive, Name, Tenant, TenantEntry, Timestamp, partition_of,
};
use tradewind_orchestrator::{Desk, Standing};
use tradewind_ports::{Clock as _, EventLog, Topic};
use tradewind_telemetry::{Health, Metrics, Shutdown};
use tradewind_transfer::import::{Import, Pace, Progress};
use tradewind_transfer::orders::{self, Order};
use tradewind_wire::directory;
use tradewind_wire::record::{self, NewFact};

use crate::clock::WallClock;
use crate::configuration::Configuration;
use crate::failure::Failure;
use crate::ground::Ground;
use crate::kafka::Cluster;
use crate::parts::directory::{Directory, Placed};
use crate::parts::owners::Owning;
use crate::parts::worker::Worker;

/// Orders appended at once: a live fact waits behind at most so many.
const BATCH: usize = 500;

/// Of a tenant that an import makes.
const PLACEMENT: u32 = 1;

const LOOK_EVERY: Duration = Duration::from_millis(5);

/// From one look at a live fact's way to the next.
const PROBE_EVERY: Duration = Duration::from_millis(200);

/// What is imported, and for whom.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) orders: Arc<[Order]>,
    pub(crate) tenant: Tenant,
    pub(crate) account: Account,
    /// `None` for as fast as the log takes them.
    pub(crate) per_second: Option<u32>,
}

impl Asked {
    /// The file is read whole first: a mistake in its last line imports nothing.
    pub(crate) fn of(file: &Path, tenant: &str, account: &str, per_second: Option<u32>) -> Result<Asked, Failure> {
        let opened = File::open(file).map_err(|error| Failure::usage(format!("open {}: {error}", file.display())))?;
        let orders: Result<Vec<Order>, _> = orders::read(BufReader::new(opened)).collect();
        let orders = orders.map_err(|error| Failure::usage(format!("{error}; nothing was imported")))?;
        if orders.is_empty() {
            return Err(Failure::usage(format!("find orders in {}: expected at least one", file.display())));
        }
        Ok(Asked {
            orders: orders.into(),
            tenant: Tenant::new(tenant).map_err(Failure::usage)?,
            account: Account::new(account).map_err(Failure::usage)?,
            per_second,
        })
    }

    /// Appends what the log lacks.
    pub(crate) fn append(
        &self,
        log: &dyn EventLog,
        placed: Placed,
        bar: &ProgressBar,
        shutdown: &Shutdown,
    ) -> Result<Progress, Failure> {
        let pace = Pace { batch: BATCH, per_second: self.per_second };
        let import = Import {
            tenant: self.tenant.clone(),
            account: self.account.clone(),
            partition: placed.partition,
            placement: placed.epoch,
            pace,
        };
        let mut report = |progress: &Progress| {
            bar.set_position(progress.done());
            if shutdown.is_requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let again = |error| Failure::unavailable(format!("{error}; run the import again, it goes on from there"));
        import.run(log, &self.orders, WallClock.now(), &mut report).map_err(again)
    }

    pub(crate) fn bar(&self) -> ProgressBar {
        let template = "{msg} {wide_bar} {pos} of {len} orders, {per_sec}, {eta} left";
        let style = ProgressStyle::with_template(template).expect("a template that is one");
        ProgressBar::new(self.orders.len() as u64).with_style(style).with_message("importing")
    }
}

/// Into the installation of the configuration, which is not running if it is
/// embedded: then what was imported is folded here, too.
pub(crate) fn import(configuration: &Configuration, asked: &Asked) -> Result<(), Failure> {
    if configuration.kafka.is_some() {
        let (log, _) = Cluster::prepare(configuration)?.opened_log(configuration)?;
        let placed = placed(&log, configuration.partitions.0, &asked.tenant)?;
        say(&asked.append(log.as_ref(), placed, &asked.bar(), &Shutdown::new())?);
        return Ok(());
    }
    let ground = Ground::embedded(configuration)?;
    let placed = placed(&ground.log, ground.partitions, &asked.tenant)?;
    say(&asked.append(ground.log.as_ref(), placed, &asked.bar(), &Shutdown::new())?);
    fold(configuration, &ground, placed.partition)
}

/// Where the tenant lies. One that nobody knows yet is made.
fn placed(log: &Arc<dyn EventLog>, partitions: u32, tenant: &Tenant) -> Result<Placed, Failure> {
    let known = Directory::new(log.clone()).placed(tenant).map_err(Failure::unavailable)?;
    if let Some(known) = known {
        return Ok(known);
    }
    let partition = partition_of(tenant.as_str(), partitions);
    let pepper = Name::new(&format!("{tenant}.pepper")).map_err(Failure::usage)?;
    let entry = TenantEntry { tenant: tenant.clone(), partition, placement: PLACEMENT, pepper };
    let entry = DirectoryEntry { version: 1, value: DirectoryValue::Tenant(entry) };
    log.append(&Topic::Directory.partition(0), vec![directory::record(&entry)]).map_err(Failure::unavailable)?;
    Ok(Placed { partition, epoch: PLACEMENT })
}

/// Folds one partition to its end, into its store.
fn fold(configuration: &Configuration, ground: &Ground, partition: u32) -> Result<(), Failure> {
    let owning = Owning::new(configuration, ground, &Health::new(), &Metrics::new());
    let end = ground.log.bounds(&Topic::Events.partition(partition)).map_err(Failure::unavailable)?.end;
    let begun = Instant::now();
    let (owner, desk) = owning.start(partition).map_err(Failure::unavailable)?;
    let from = wait_for(&owner, &desk, 0)?;
    wait_for(&owner, &desk, end)?;
    let seconds = begun.elapsed().as_secs_f64();
    owner.stop();
    owner.join().map_err(Failure::stopped)?;
    print(&format!("folded up to offset {end} in {seconds:.1} s (it stood at {from} when it was first asked)"));
    Ok(())
}

/// Returns the offset the owner is at, once it has folded everything before `end`.
fn wait_for(owner: &Worker, desk: &Desk, end: u64) -> Result<u64, Failure> {
    loop {
        if let Ok(standing) = desk.standing()
            && standing.as_of.offset >= end
        {
            return Ok(standing.as_of.offset);
        }
        if owner.is_finished() {
            return Err(Failure::stopped("fold what was imported: the owner ended; see the log lines above"));
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Beside a running product: appends, and meanwhile looks again and again how long
/// a live fact takes from being appended until it is folded.
pub(crate) fn beside(asked: &Asked, ground: &Ground, desks: &[Desk], shutdown: &Shutdown) -> Result<(), Failure> {
    let placed = placed(&ground.log, ground.partitions, &asked.tenant)?;
    let partition = placed.partition;
    let desk = &desks[partition as usize];
    let before = probe(ground, desk, partition, shutdown)?;
    let (appended, mut taken) = std::thread::scope(|scope| {
        let appending = scope.spawn(|| asked.append(ground.log.as_ref(), placed, &ProgressBar::hidden(), shutdown));
        let mut taken = Vec::new();
        while !appending.is_finished() && !shutdown.is_requested() {
            taken.push(probe(ground, desk, partition, shutdown)?);
            std::thread::sleep(PROBE_EVERY);
        }
        let appended = appending.join().map_err(|_| Failure::stopped("import: the thread panicked"))??;
        Ok::<_, Failure>((appended, taken))
    })?;
    say(&appended);
    taken.sort_unstable();
    let at = |permille: usize| taken.get((taken.len() * permille / 1_000).min(taken.len().saturating_sub(1)));
    let millis = |taken: Option<&Duration>| taken.map_or(0, Duration::as_millis);
    print(&format!(
        "a live fact, from appended to folded, in ms: {} before; during the import p50 {}, p99 {}, at most {} ({} looked at)",
        before.as_millis(),
        millis(at(500)),
        millis(at(990)),
        millis(taken.last()),
        taken.len()
    ));
    Ok(())
}

/// How long a live fact takes from its append until it is folded, or all of it is to end.
fn probe(ground: &Ground, desk: &Desk, partition: u32, shutdown: &Shutdown) -> Result<Duration, Failure> {
    let now: Timestamp = WallClock.now();
    let beat = Body::IngestAlive(IngestAlive { vendors: Vec::new() });
    let begun = Instant::now();
    let record = record::event(&NewFact::of_partition(partition, now, beat));
    let offsets = ground.log.append(&Topic::Events.partition(partition), vec![record]).map_err(Failure::unavailable)?;
    // An owner that does not answer is one that is busy: that is what is measured.
    let is_folded = |standing: Standing| offsets.iter().all(|offset| standing.as_of.offset > *offset);
    while !desk.standing().is_ok_and(is_folded) && !shutdown.is_requested() {
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(begun.elapsed())
}

fn say(progress: &Progress) {
    print(&format!(
        "imported {} orders in {:.1} s, {:.0} a second; {} were there already, of {}",
        progress.appended,
        progress.elapsed.as_secs_f64(),
        progress.per_second(),
        progress.already,
        progress.total
    ));
}

#[expect(clippy::print_stdout, reason = "it is what the command prints")]
fn print(text: &str) {
    println!("{text}");
}
