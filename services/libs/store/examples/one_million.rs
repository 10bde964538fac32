//! A million customers in one store under a memory budget, bounded in time:
//! `cargo run --release -p tradewind-store --example one_million [budget MiB] [directory]`.
//! Prints what it took and fails if it took more than the budget.
//!
//! Three leaves a customer, of the sizes and keys of docs/adr/0002, and a due time
//! for every second one. They are loaded in slices as a drain writes them, then
//! rewritten by popularity, and the store is closed, opened and compared.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "it prints figures")]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use fastrand::Rng;
use tradewind_domain::{Lineage, Position, Timestamp};
use tradewind_ports::{Checkpoint, DueKey, StateStore, Stored, Write};
use tradewind_store::{Opening, Settings, Store};

const CUSTOMERS: u64 = 1_000_000;
const KINDS: [(&str, usize, usize); 3] = [("identifier", 300, 500), ("cart", 350, 450), ("order", 220, 280)];
const SLICE: usize = 250;
const CUSTOMERS_PER_GENERATION: u64 = 33_334;
const REWRITING: Duration = Duration::from_secs(20);
const MIB: u64 = 1 << 20;

fn key(customer: u64, kind: usize) -> Vec<u8> {
    let hash = u128::from(spread(customer * 3 + kind as u64)) << 64 | u128::from(spread(customer));
    format!("shop-{:02}/{}/shopify/demo/{hash:032x}", customer % 64, KINDS[kind].0).into_bytes()
}

fn spread(number: u64) -> u64 {
    let mixed = (number ^ (number >> 30)).wrapping_add(0x9e37_79b9).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb)
}

fn stored(rng: &mut Rng, kind: usize, offset: u64) -> Stored {
    let (_, from, to) = KINDS[kind];
    // Half of it random, half of it zero, as identifiers among small numbers are.
    let mut bytes: Vec<u8> = vec![0; rng.usize(from..to)];
    bytes.chunks_mut(8).for_each(|word| word.iter_mut().take(4).for_each(|byte| *byte = rng.u8(..)));
    Stored { position: Position::fold(offset), bytes }
}

fn due(customer: u64, key: &[u8]) -> DueKey {
    let fires_at = i64::try_from(spread(customer) % 86_400_000).expect("a time of day");
    DueKey { fires_at: Timestamp::from_millis(fires_at), round: 0, wakeup: [1; 16], leaf: key.to_vec() }
}

fn checkpoint(offset: u64) -> Checkpoint {
    Checkpoint {
        lineage: Lineage::from_bytes([5; 16]),
        fold_version: 1,
        position: Position::fold(offset),
        decisions_offset: 0,
        watermark: Timestamp::MIN,
        partition: vec![0; 200],
    }
}

/// A generation: sorted, in slices, the position last. The leaves are made as they
/// are written, so that the store's memory is all there is.
fn drain(store: &mut Store, rng: &mut Rng, mut leaves: Vec<(Vec<u8>, u64, usize)>, offset: u64, is_new: bool) {
    leaves.sort_unstable();
    for slice in leaves.chunks(SLICE) {
        let writes = slice.iter().map(|(key, customer, kind)| {
            let has_wakeup = is_new && *kind == 1 && customer % 2 == 0;
            let due_added = if has_wakeup { vec![due(*customer, key)] } else { Vec::new() };
            Write { key: key.clone(), value: Some(stored(rng, *kind, offset)), due_removed: Vec::new(), due_added }
        });
        store.write(&writes.collect::<Vec<_>>()).expect("a written slice");
    }
    store.set_checkpoint(&checkpoint(offset)).expect("a checkpoint");
}

fn load(store: &mut Store, rng: &mut Rng) -> f64 {
    let started = Instant::now();
    for first in (0..CUSTOMERS).step_by(usize::try_from(CUSTOMERS_PER_GENERATION).expect("small")) {
        let numbers = first..(first + CUSTOMERS_PER_GENERATION).min(CUSTOMERS);
        // Customers come in no order of their keys.
        let customers = numbers.map(|number| number.wrapping_mul(0x9e37_79b1) % CUSTOMERS);
        let leaves = customers.flat_map(|customer| [0, 1, 2].map(|kind| (key(customer, kind), customer, kind)));
        drain(store, rng, leaves.collect(), first, true);
    }
    started.elapsed().as_secs_f64()
}

/// Rewrites leaves by popularity: the n-th customer 1/n as often as the first.
fn rewrite(store: &mut Store, rng: &mut Rng) -> f64 {
    let started = Instant::now();
    let mut written = 0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and a million")]
    #[expect(clippy::cast_precision_loss, reason = "a million is exact")]
    let popular = |rng: &mut Rng| ((CUSTOMERS as f64).powf(rng.f64()) as u64).min(CUSTOMERS - 1);
    while started.elapsed() < REWRITING {
        let leaves: BTreeSet<(Vec<u8>, u64, usize)> = (0..3 * CUSTOMERS_PER_GENERATION)
            .map(|_| {
                let (customer, kind) = (popular(rng), rng.usize(0..3));
                (key(customer, kind), customer, kind)
            })
            .collect();
        written += leaves.len();
        drain(store, rng, leaves.into_iter().collect(), CUSTOMERS, false);
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = written as f64 / started.elapsed().as_secs_f64();
    rate
}

/// In MiB, of this process.
fn memory(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with(field)).expect("a field of the status");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number") / 1024
}

fn say(what: &str, store: &Store) {
    let sizes = store.sizes().expect("a readable store");
    println!(
        "{what}: {} leaves, {} due times, disk {} MiB, resident {} MiB, peak {} MiB",
        sizes.leaves,
        sizes.due,
        sizes.disk_bytes / MIB,
        memory("VmRSS:"),
        memory("VmHWM:")
    );
}

/// Opens the store as another process finds it, and compares it with its ledger.
fn reopen(opening: &Opening) {
    let settings = Settings { scan_at_open_leaves: u64::MAX, ..opening.settings.clone() };
    let started = Instant::now();
    let opened = Opening { settings, ..opening.clone() }.open().expect("a store that opens");
    assert_eq!(opened.rebuilt, None, "nothing is wrong with it");
    say(&format!("opened and compared in {:.2} s", started.elapsed().as_secs_f64()), &opened.store);
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let budget: u64 = arguments.first().map_or(256, |mib| mib.parse().expect("the budget in MiB"));
    let parent = arguments.get(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = arguments.get(2).map_or_else(|| parent.join(format!("million-{}", std::process::id())), PathBuf::from);
    let opening = Opening { dir: dir.clone(), settings: Settings::new(1, budget * MIB) };
    if arguments.len() > 2 {
        reopen(&opening);
    } else {
        println!("budget {budget} MiB, of it cache {} MiB", opening.settings.cache_bytes() / MIB);
        let mut rng = Rng::with_seed(1);
        let mut store = opening.open().expect("a new store").store;
        let seconds = load(&mut store, &mut rng);
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let rate = (CUSTOMERS * 3) as f64 / seconds;
        say(&format!("loaded in {seconds:.0} s, {rate:.0} keys/s"), &store);
        let rate = rewrite(&mut store, &mut rng);
        say(&format!("rewritten at {rate:.0} keys/s"), &store);
        let started = Instant::now();
        drop(store);
        println!("closed in {:.2} s; then, in a new process:", started.elapsed().as_secs_f64());
        let mut again = Command::new(std::env::current_exe().expect("this program"));
        let reopened = again.arg(budget.to_string()).args([&parent, &dir]).status().expect("a new process");
        fs::remove_dir_all(dir).expect("a directory to remove");
        if !reopened.success() {
            return ExitCode::FAILURE;
        }
    }
    let peak = memory("VmHWM:");
    if peak > budget {
        println!("peak {peak} MiB is over the budget of {budget} MiB");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
