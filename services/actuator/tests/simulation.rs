//! Free runs of the actuator against a vendor that lies: processes freeze, die,
//! have twins, lose what they asked for. Whatever happens, a command has at most
//! one effect and one outcome, and the outcome is true.

#![forbid(unsafe_code)]

mod world;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use fastrand::Rng;
use tradewind_actuator::Actuator;
use tradewind_domain::{Command, CommandId, OutcomeState, Tenant};
use tradewind_ports::Topic;
use tradewind_simulation::{Fault, Faults};

use world::process::{Freezer, Process, Shared};
use world::setting::{self, MemoryVault};
use world::vendor::{Kind, Temper, Vendor};
use world::{MINUTE, SECOND, START, World};

/// Seeds of each kind of vendor.
const SEEDS: u64 = 1_500;

const HOUR: i64 = 60 * MINUTE;

/// How far the clocks of the processes are from the right time.
const SKEW_MS: i64 = 25 * SECOND;

/// When a run is over, whatever is still open.
const END: i64 = 30 * HOUR;

#[derive(Debug, Default)]
struct Seen {
    outcomes: BTreeMap<&'static str, u32>,
    without: u32,
    faults: usize,
    freezes: u32,
    requests: usize,
}

#[test]
fn an_effect_happens_once_and_its_outcome_is_true_with_a_key() {
    check_seeds(Kind::Keyed);
}

#[test]
fn an_effect_happens_once_and_its_outcome_is_true_with_a_read_back() {
    check_seeds(Kind::Readable);
}

#[test]
fn an_effect_happens_once_and_its_outcome_is_true_with_neither() {
    check_seeds(Kind::Neither);
}

fn check_seeds(kind: Kind) {
    let first = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = first.map_or(0..SEEDS, |seed: u64| seed..seed + 1);
    let mut seen = Seen::default();
    for seed in seeds {
        run(kind, seed, &mut seen);
    }
    eprintln!("{kind:?}: {seen:?}");
    if first.is_none() {
        // A run that is never troubled, or never ends well, proves nothing.
        let count = |state: OutcomeState| seen.outcomes.get(state.as_str()).copied().unwrap_or(0);
        assert!(count(OutcomeState::Succeeded) > 200, "{seen:?}");
        assert!(count(OutcomeState::Quarantined) > 20 || kind == Kind::Readable, "{seen:?}");
        assert!(count(OutcomeState::Rejected) > 10 && count(OutcomeState::Expired) > 20, "{seen:?}");
        assert!(count(OutcomeState::Cancelled) > 0, "{seen:?}");
        assert!(seen.faults > 100 && seen.freezes > 100, "{seen:?}");
    }
}

/// Every request to the log is struck once by every fault: the list is what a
/// calm run asks for.
#[test]
fn a_fault_at_any_request_changes_no_effect_and_no_outcome() {
    for kind in [Kind::Keyed, Kind::Readable, Kind::Neither] {
        let calm = Faults::none();
        run_struck(kind, &calm);
        let requests = calm.requests().len();
        assert!(requests > 20, "{requests}");
        for request in 0..requests {
            for fault in FAULTS {
                run_struck(kind, &Faults::at([(request, fault)]));
            }
        }
    }
}

/// Three commands, two of them to one target, one late.
fn run_struck(kind: Kind, faults: &Faults) {
    let world = World::new(Rng::with_seed(1), Vendor::new(kind, Temper::CALM));
    setting::set_up(&world);
    let vault = Arc::new(MemoryVault::default());
    let issued = [(1, 100, 4 * HOUR), (2, 100, 4 * HOUR), (3, 101, 0)];
    let commands: Vec<Command> = issued
        .into_iter()
        .map(|(number, customer, deadline_ms)| setting::command(&vault, number, customer, START, deadline_ms))
        .collect();
    commands.iter().for_each(|command| setting::issue(&world, command));
    let mut process = Process::new(&world, 1, setting::settings(kind), &vault, Rng::with_seed(1)).with_faults(faults);
    while process.actuator().map_or(0, Actuator::position) < setting::commands_end(&world) {
        let now = world.now();
        assert!(now < HOUR, "it never ended: {:?}", faults.requests());
        let next = process.run().min(world.next_at().unwrap_or(END));
        world.set_time(next.max(now + 1));
    }
    world.set_time(world.now() + HOUR);
    judge(0, &world, &commands, &mut Seen::default());
}

const FAULTS: [Fault; 6] = [
    Fault::CrashBefore,
    Fault::CrashAfter,
    Fault::LoseResponse,
    Fault::LoseRequest,
    Fault::EarlyCommit,
    Fault::LateCommit,
];

/// What happens from outside, and when.
enum Happening {
    Issue(usize),
    Stop(bool),
    Erase(u8),
    Kill,
    /// Nobody runs for so long.
    Outage(i64),
}

fn run(kind: Kind, seed: u64, seen: &mut Seen) {
    let mut rng = Rng::with_seed(seed);
    let temper = Temper::drawn(&mut rng);
    let world = World::new(rng.fork(), Vendor::new(kind, temper));
    setting::set_up(&world);
    let vault = Arc::new(MemoryVault::default());
    let (commands, mut agenda) = plan(&mut rng, &vault);

    let faults = Faults::at((0..rng.u32(0..4)).map(|_| (rng.usize(0..150), pick(&mut rng, &FAULTS))));
    let settings = setting::settings(kind);
    let process = |number, rng: &mut Rng| {
        let mut process = Process::new(&world, number, settings.clone(), &vault, rng.fork()).with_faults(&faults);
        process.unreachable_percent = rng.u32(0..20);
        process.skew = if number == 1 { SKEW_MS } else { -SKEW_MS };
        process
    };
    let twin: Shared = Arc::new(Mutex::new(process(2, &mut rng)));
    let freezes = (0..rng.u32(0..4)).map(|_| (rng.u64(0..400), pick(&mut rng, &[5, 20, 40, 150, 400, 1_500]) * SECOND));
    let freezer = Arc::new(Freezer::new(freezes.collect(), meanwhile(&world, &twin)));
    let freezing = freezer.clone();
    let mut first = process(1, &mut rng).with_freeze(Arc::new(move || freezing.point()));
    let has_twin = rng.u32(0..3) > 0;

    let mut back_at = 0;
    loop {
        let now = world.now();
        if now >= END {
            break;
        }
        while agenda.first().is_some_and(|(at, _)| *at <= now) {
            match agenda.remove(0).1 {
                Happening::Issue(index) => setting::issue(&world, &commands[index]),
                Happening::Stop(stopped) => setting::switch(&world, 1, Tenant::system(), "all", stopped),
                Happening::Erase(customer) => vault.erase(customer),
                Happening::Kill => {
                    first.kill();
                    twin.lock().unwrap().kill();
                }
                Happening::Outage(for_ms) => {
                    first.kill();
                    twin.lock().unwrap().kill();
                    back_at = now + for_ms;
                }
            }
        }
        let mut next = agenda.first().map_or(END, |(at, _)| *at);
        next = next.min(world.next_at().unwrap_or(END));
        if now < back_at {
            next = next.min(back_at);
        } else {
            // A twin lives beside the first one for some time, then it doesn't.
            let twin_runs = has_twin && (now / (4 * MINUTE)) % 3 == 1;
            if !twin_runs || rng.bool() {
                next = next.min(first.run());
            }
            if twin_runs {
                next = next.min(twin.lock().unwrap().run());
            }
            let position = first.actuator().map_or(0, Actuator::position);
            if agenda.is_empty() && position >= setting::commands_end(&world) {
                break;
            }
        }
        world.set_time(next.clamp(now, now + 10 * MINUTE).max(now + i64::from(rng.u32(0..4) > 0)));
    }
    // What is under way at the vendor arrives.
    world.set_time(world.now() + HOUR);
    assert!(world.now() < END, "seed {seed}: it never ended");
    for process in [&first, &*twin.lock().unwrap()] {
        assert!(process.stopped.is_none(), "seed {seed}: {:?}", process.stopped);
    }
    judge(seed, &world, &commands, seen);
    seen.faults += faults.injected();
    seen.freezes += freezer.struck();
    seen.requests += world.state().vendor.received.len();
}

fn pick<T: Copy>(rng: &mut Rng, among: &[T]) -> T {
    among[rng.usize(0..among.len())]
}

/// Commands to a few customers, and what happens beside them.
fn plan(rng: &mut Rng, vault: &Arc<MemoryVault>) -> (Vec<Command>, Vec<(i64, Happening)>) {
    let mut commands = Vec::new();
    let mut agenda = Vec::new();
    for number in 0..rng.u8(2..12) {
        let at = rng.i64(0..20 * MINUTE);
        let deadline_ms = pick(rng, &[90 * SECOND, 10 * MINUTE, 30 * MINUTE, 4 * HOUR]);
        let customer = rng.u8(100..103);
        let mut command = setting::command(vault, number + 1, customer, START + at, deadline_ms);
        if rng.u32(0..5) == 0 {
            command.not_before = command.issued_at + rng.i64(0..5 * MINUTE);
        }
        commands.push(command);
        for _ in 0..if rng.u32(0..5) == 0 { 2 } else { 1 } {
            let copied_at = if rng.bool() { at } else { at + rng.i64(0..40 * MINUTE) };
            agenda.push((copied_at, Happening::Issue(commands.len() - 1)));
        }
    }
    if rng.u32(0..4) == 0 {
        let at = rng.i64(0..20 * MINUTE);
        agenda.push((at, Happening::Stop(true)));
        agenda.push((at + rng.i64(0..20 * MINUTE), Happening::Stop(false)));
    }
    if rng.u32(0..6) == 0 {
        agenda.push((rng.i64(0..10 * MINUTE), Happening::Erase(rng.u8(100..103))));
    }
    for _ in 0..rng.u32(0..3) {
        agenda.push((rng.i64(0..30 * MINUTE), Happening::Kill));
    }
    if rng.u32(0..3) == 0 {
        let outage = pick(rng, &[MINUTE, 12 * MINUTE, 14 * MINUTE, 20 * MINUTE, 3 * HOUR]);
        agenda.push((rng.i64(0..20 * MINUTE), Happening::Outage(outage)));
    }
    agenda.sort_by_key(|(at, _)| *at);
    (commands, agenda)
}

/// What goes on while the first process stands still: time, the vendor, the twin.
fn meanwhile(world: &Arc<World>, twin: &Shared) -> Box<dyn Fn(i64) + Send + Sync> {
    let (world, twin) = (world.clone(), twin.clone());
    let is_frozen = AtomicBool::new(false);
    Box::new(move |for_ms| {
        if is_frozen.swap(true, Ordering::SeqCst) {
            return;
        }
        world.state().frozen = Some(1);
        let until = world.now() + for_ms;
        while world.now() < until {
            let now = world.now();
            let mut next = twin.try_lock().map_or(until, |mut twin| twin.run());
            next = next.min(world.next_at().unwrap_or(until)).min(until);
            world.set_time(next.max(now + 1));
        }
        world.state().frozen = None;
        is_frozen.store(false, Ordering::SeqCst);
    })
}

fn judge(seed: u64, world: &World, commands: &[Command], seen: &mut Seen) {
    let outcomes = setting::outcomes(world);
    let state = world.state();
    let effects = |command: CommandId| state.vendor.effects.iter().filter(|(_, effect)| *effect == command).count();
    // The commands by their first record.
    let records = world.broker.records(&Topic::Commands(setting::vendor()).partition(0));
    let mut order: Vec<CommandId> = Vec::new();
    let mut last_read = BTreeMap::new();
    for stored in &records {
        let issued = tradewind_wire::command::decode(stored).expect("a command");
        if !order.contains(&issued.command.id) {
            order.push(issued.command.id);
            last_read.insert(issued.command.id, START + state.last_read[&stored.offset]);
        }
    }
    for command in commands {
        let mut ids: Vec<_> = outcomes.iter().filter(|(_, outcome)| outcome.command == command.id).collect();
        ids.sort_by_key(|(id, _)| *id);
        ids.dedup_by_key(|(id, _)| *id);
        let effects = effects(command.id);
        assert!(effects <= 1, "seed {seed}: {} had {effects} effects, {ids:?}", command.id);
        let [(_, outcome)] = ids[..] else {
            assert!(ids.is_empty(), "seed {seed}: {} has {ids:?}", command.id);
            assert_eq!(effects, 0, "seed {seed}: {} had its effect and no outcome", command.id);
            // Only what a process saw too late goes without, by a clock that may be late itself.
            let is_late = last_read[&command.id] + SKEW_MS > command.deadline + HOUR;
            assert!(is_late, "seed {seed}: {} has no outcome", command.id);
            seen.without += 1;
            continue;
        };
        let expected = match outcome.state {
            OutcomeState::Succeeded => Some(1),
            OutcomeState::Rejected | OutcomeState::Expired | OutcomeState::Cancelled => Some(0),
            OutcomeState::Quarantined => None,
            OutcomeState::Accepted
            | OutcomeState::Throttled
            | OutcomeState::Failed
            | OutcomeState::Unknown
            | OutcomeState::Superseded
            | OutcomeState::Resolved
            | OutcomeState::Compensated
            | OutcomeState::DeadLettered => panic!("seed {seed}: {outcome:?}"),
        };
        assert!(expected.is_none_or(|expected| expected == effects), "seed {seed}: {effects} effects, {outcome:?}");
        *seen.outcomes.entry(outcome.state.as_str()).or_default() += 1;
    }
    // On one target, effects happen in the order the commands were issued in.
    let place = |id: CommandId| order.iter().position(|known| *known == id);
    let target = |id: CommandId| commands.iter().find(|command| command.id == id).map(|command| &command.target);
    for (index, (_, later)) in state.vendor.effects.iter().enumerate() {
        for (_, earlier) in &state.vendor.effects[..index] {
            let is_in_order = target(*earlier) != target(*later) || place(*earlier) < place(*later);
            assert!(is_in_order, "seed {seed}: {later} had its effect after {earlier}, which came behind it");
        }
    }
}
