//! The loop's rules, one by one, against a vendor that mostly behaves.

#![forbid(unsafe_code)]

mod world;

use std::sync::Arc;

use fastrand::Rng;
use tradewind_actuator::{ActuatorError, Remedy};
use tradewind_domain::{Account, Command, LedgerEntry, LedgerPosition, Lineage, Name, OutcomeState, Tenant};
use tradewind_ports::{LogError, Topic};
use tradewind_simulation::{Faults, Operation};
use tradewind_wire::{command as wire_command, ledger};

use world::process::{Process, never_frozen};
use world::setting::{self, MemoryVault};
use world::vendor::{Kind, SETTLE_MS, Temper, Vendor};
use world::{MINUTE, SECOND, START, World};

const DEADLINE_MS: i64 = 30 * MINUTE;

struct Case {
    world: Arc<World>,
    vault: Arc<MemoryVault>,
    process: Process,
    faults: Faults,
}

impl Case {
    fn new(kind: Kind, temper: Temper) -> Case {
        let world = World::new(Rng::with_seed(7), Vendor::new(kind, temper));
        setting::set_up(&world);
        let vault = Arc::new(MemoryVault::default());
        let faults = Faults::none();
        let process = Case::process(&world, &vault, &faults, kind, 1);
        Case { world, vault, process, faults }
    }

    fn process(world: &Arc<World>, vault: &Arc<MemoryVault>, faults: &Faults, kind: Kind, number: u32) -> Process {
        Process::new(world, number, setting::settings(kind), vault, Rng::with_seed(1))
            .with_faults(faults)
            .with_freeze(never_frozen())
    }

    /// A command to a customer, issued now.
    fn issue(&self, number: u8, customer: u8) -> Command {
        self.issue_as(number, customer, |_| {})
    }

    fn issue_as(&self, number: u8, customer: u8, change: impl FnOnce(&mut Command)) -> Command {
        let mut command = setting::command(&self.vault, number, customer, self.world.wall(), DEADLINE_MS);
        change(&mut command);
        setting::issue(&self.world, &command);
        command
    }

    fn run_until(&mut self, until: i64) {
        loop {
            let now = self.world.now();
            let next = self.process.run().min(self.world.next_at().unwrap_or(until)).min(until);
            if now >= until {
                return;
            }
            self.world.set_time(next.max(now + 1));
        }
    }

    fn run_for(&mut self, for_ms: i64) {
        self.run_until(self.world.now() + for_ms);
    }

    /// Every outcome, shortly.
    fn outcomes(&self) -> Vec<(u8, OutcomeState, String)> {
        let outcomes = setting::outcomes(&self.world);
        let shown = outcomes
            .iter()
            .map(|(_, outcome)| (outcome.command.as_bytes()[0], outcome.state, outcome.code.as_str().to_owned()));
        shown.collect()
    }

    fn effects(&self) -> Vec<u8> {
        self.world.state().vendor.effects.iter().map(|(_, command)| command.as_bytes()[0]).collect()
    }

    fn received(&self) -> Vec<(i64, u8)> {
        let state = self.world.state();
        state.vendor.received.iter().map(|(at, command)| (*at, command.as_bytes()[0])).collect()
    }

    fn ledger(&self) -> Vec<LedgerEntry> {
        let records = self.world.broker.records(&Topic::Ledger(setting::vendor()).partition(0));
        records.iter().filter_map(|record| ledger::decode(record).expect("an entry")).collect()
    }
}

fn succeeded(number: u8) -> (u8, OutcomeState, String) {
    (number, OutcomeState::Succeeded, "succeeded".to_owned())
}

#[test]
fn a_command_is_claimed_sent_judged_told_and_left_behind() {
    let mut case = Case::new(Kind::Keyed, Temper::CALM);
    case.issue(1, 100);
    case.run_for(5 * SECOND);
    assert_eq!(case.outcomes(), [succeeded(1)]);
    assert_eq!(case.effects(), [1]);
    let entries = case.ledger();
    let [LedgerEntry::Claimed(claimed), LedgerEntry::Verdict(verdict), LedgerEntry::Position(position)] = &entries[..]
    else {
        panic!("{entries:?}");
    };
    let appended_at = case.world.broker.records(&Topic::Ledger(setting::vendor()).partition(0))[0].appended_at;
    assert_eq!((claimed.attempt, claimed.step, claimed.first_claimed_at), (1, 0, appended_at));
    assert_eq!((position.lineage, position.offset), (setting::LINEAGE, setting::commands_end(&case.world)));
    // The fact is the verdict's bytes.
    let events = case.world.broker.records(&Topic::Events.partition(0));
    assert_eq!(events[1].value.as_deref(), Some(&*verdict.outcome));
    assert_eq!(events[1].headers.text("tw-caused-by"), Some(format!("command/{}", claimed.command).as_str()));
    assert_eq!(events[1].headers.text("tw-placement"), Some("3"));
}

#[test]
fn whoever_takes_over_fences_before_it_reads() {
    let mut case = Case::new(Kind::Keyed, Temper::CALM);
    case.run_for(1);
    assert_eq!(case.faults.requests()[..2], [Operation::Init, Operation::Bounds]);
    let twin = Case::process(&case.world, &case.vault, &case.faults, Kind::Keyed, 2);
    let mut first = std::mem::replace(&mut case.process, twin);
    case.run_for(1);
    case.issue(1, 100);
    first.run();
    assert!(first.actuator().is_none(), "a fenced actuator goes on");
    assert_eq!(ActuatorError::Log(LogError::Fenced).remedy(), Remedy::GiveUp);
}

#[test]
fn waiting_claims_share_one_transaction() {
    let mut case = Case::new(Kind::Keyed, Temper::CALM);
    for customer in 0..3 {
        case.issue(customer + 1, 100 + customer);
    }
    case.run_for(1);
    let commits = case.faults.requests().iter().filter(|request| **request == Operation::Commit).count();
    assert_eq!((case.ledger().len(), commits), (3, 1));
}

#[test]
fn commands_of_one_target_go_one_after_the_other_and_targets_side_by_side() {
    let slow = Temper { slow: 100, ..Temper::CALM };
    let mut case = Case::new(Kind::Neither, slow);
    for (number, customer) in [(1, 100), (2, 100), (3, 101), (4, 100)] {
        case.issue(number, customer);
    }
    case.run_for(SECOND);
    let begun: Vec<u8> = case.received().into_iter().map(|(_, number)| number).collect();
    assert_eq!(
        {
            let mut begun = begun;
            begun.sort_unstable();
            begun
        },
        [1, 3]
    );
    case.run_for(20 * MINUTE);
    let effects: Vec<u8> = case.effects().into_iter().filter(|number| *number != 3).collect();
    assert_eq!(effects, [1, 2, 4]);
    // Counterexample G: the next one is sent when the one before can't happen any more.
    let received = case.received();
    let sent = |number| received.iter().find(|(_, sent)| *sent == number).expect("it was sent").0;
    for (earlier, later) in [(1, 2), (2, 4)] {
        let gap = sent(later) - sent(earlier);
        let is_told = case.outcomes().contains(&succeeded(earlier));
        assert!(is_told || gap >= SETTLE_MS, "{later} was sent {gap} ms after {earlier}");
    }
}

#[test]
fn a_successor_tells_a_verdict_again_with_the_same_bytes() {
    let mut case = Case::new(Kind::Keyed, Temper::CALM);
    case.issue(1, 100);
    while case.outcomes().is_empty() {
        case.run_for(10);
    }
    // It dies before its position is written.
    case.process.kill();
    let told = case.world.broker.records(&Topic::Events.partition(0));
    case.run_for(10 * MINUTE);
    let again = case.world.broker.records(&Topic::Events.partition(0));
    assert_eq!((told.len(), again.len()), (2, 3));
    assert_eq!((&again[2].value, &again[2].headers), (&told[1].value, &told[1].headers));
    assert_eq!(case.effects(), [1]);
    // A copy of the command is told again, and changes nothing.
    let copy = setting::command(&case.vault, 1, 100, START, DEADLINE_MS);
    setting::issue(&case.world, &copy);
    case.process.kill();
    case.run_for(10 * MINUTE);
    let outcomes = setting::outcomes(&case.world);
    assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]), "{outcomes:?}");
    assert_eq!(case.effects(), [1]);
}

/// A command that is held keeps the position back, and with it all that ended behind it.
#[test]
fn a_successor_finds_all_verdicts_behind_a_held_command_in_one_pass() {
    let mut case = Case::new(Kind::Keyed, Temper::CALM);
    setting::switch(&case.world, 1, setting::tenant(), "workflow/held", true);
    case.issue_as(1, 100, |command| command.workflow = Name::new("held").unwrap());
    (2..=5).for_each(|number| drop(case.issue(number, 100 + number)));
    case.run_for(MINUTE);
    let told = case.outcomes();
    assert_eq!(told.len(), 4);
    case.process.kill();
    case.world.state().ledger_reads = 0;
    case.run_for(10 * MINUTE);
    assert_eq!(case.world.state().ledger_reads, 2, "its recovery reads it once, and once more what was found out");
    let again = &case.outcomes()[4..];
    assert_eq!(again, [2, 3, 4, 5].map(succeeded), "in the order of the commands");
    assert_eq!(case.effects().len(), 4);
}

#[test]
fn a_stop_is_obeyed_right_before_the_claim_and_lifted_within_a_second() {
    for (tenant, scope) in [
        (setting::tenant(), "all"),
        (Tenant::system(), "all"),
        (setting::tenant(), "capability/message.send"),
        (setting::tenant(), "connection/mail"),
        (setting::tenant(), "workflow/cart-recovery"),
    ] {
        let mut case = Case::new(Kind::Keyed, Temper::CALM);
        setting::switch(&case.world, 1, tenant.clone(), scope, true);
        case.issue(1, 100);
        case.run_for(MINUTE);
        assert!(case.received().is_empty() && case.ledger().is_empty(), "{scope}");
        let held = || case.process.metrics.text().contains("actuator_held_commands{vendor=\"mail\"} 1");
        assert!(held(), "{scope}");
        setting::switch(&case.world, 2, tenant, scope, false);
        case.run_for(SECOND);
        assert_eq!(case.received().len(), 1, "{scope}");
        let metrics = case.process.metrics.text();
        for line in [
            "actuator_outcomes_total{vendor=\"mail\",state=\"succeeded\"} 1",
            "actuator_held_commands{vendor=\"mail\"} 0",
            "actuator_open_commands{vendor=\"mail\"} 0",
        ] {
            assert!(metrics.contains(line), "{scope}: {metrics}");
        }
    }
    let mut case = Case::new(Kind::Keyed, Temper::CALM);
    setting::switch(&case.world, 1, Tenant::new("other").unwrap(), "all", true);
    setting::switch(&case.world, 1, setting::tenant(), "connection/other", true);
    // A workflow of the connection's name is another thing.
    setting::switch(&case.world, 1, setting::tenant(), "workflow/mail", true);
    case.issue(1, 100);
    case.run_for(SECOND);
    assert_eq!(case.received().len(), 1);
}

/// Those behind lie on the log, which has nothing to wait for: it would turn in circles.
#[test]
fn without_room_for_more_commands_the_log_is_not_waited_for() {
    let mut case = Case::new(Kind::Keyed, Temper::CALM);
    setting::switch(&case.world, 1, setting::tenant(), "all", true);
    for number in 1..10 {
        case.issue(number, 100);
    }
    case.run_for(MINUTE);
    assert!(case.process.metrics.text().contains("actuator_open_commands{vendor=\"mail\"} 6"));
    // The log of this world fails whoever waits for it.
    case.process.wait();
}

#[test]
fn what_is_stopped_past_its_deadline_expires_unsent() {
    let mut case = Case::new(Kind::Keyed, Temper::CALM);
    setting::switch(&case.world, 1, setting::tenant(), "all", true);
    case.issue(1, 100);
    case.run_for(DEADLINE_MS + 2 * SECOND);
    assert_eq!(case.outcomes(), [(1, OutcomeState::Expired, "deadline".to_owned())]);
    let (id, outcome) = &setting::outcomes(&case.world)[0];
    assert_eq!(*id, tradewind_domain::FactId::of_outcome(outcome.command, 9, OutcomeState::Expired));
    assert!(case.received().is_empty());
}

#[test]
fn a_connection_of_another_account_is_a_mismatch() {
    let mut case = Case::new(Kind::Keyed, Temper::CALM);
    case.issue_as(1, 100, |command| command.account = Account::new("another").unwrap());
    setting::connect(&case.world, 2, |connection| connection.vendor = tradewind_domain::Vendor::new("other").unwrap());
    case.issue(2, 101);
    case.run_for(SECOND);
    let mismatch = |number| (number, OutcomeState::Rejected, "mismatch".to_owned());
    assert_eq!(case.outcomes(), [mismatch(1), mismatch(2)]);
    assert!(case.received().is_empty());
}

#[test]
fn a_connection_that_is_off_or_has_no_secret_holds_its_commands() {
    let mut case = Case::new(Kind::Keyed, Temper::CALM);
    setting::connect(&case.world, 2, |connection| connection.active = false);
    case.issue(1, 100);
    case.run_for(5 * SECOND);
    setting::connect(&case.world, 3, |connection| connection.secrets.clear());
    case.run_for(5 * SECOND);
    assert!(case.received().is_empty() && case.outcomes().is_empty());
    setting::connect(&case.world, 4, |_| {});
    case.run_for(5 * SECOND);
    assert_eq!(case.outcomes(), [succeeded(1)]);
}

#[test]
fn a_command_whose_key_is_gone_is_cancelled() {
    let mut case = Case::new(Kind::Keyed, Temper::CALM);
    case.issue(1, 100);
    case.vault.erase(100);
    case.run_for(SECOND);
    assert_eq!(case.outcomes(), [(1, OutcomeState::Cancelled, "erased".to_owned())]);
    assert!(case.received().is_empty());
}

#[test]
fn a_field_that_is_not_what_was_sealed_is_not_sent() {
    let mut case = Case::new(Kind::Keyed, Temper::CALM);
    case.issue_as(1, 100, |command| {
        let contact = command.contact.as_mut().expect("a contact");
        contact.field = "phone".into();
    });
    case.run_for(SECOND);
    assert_eq!(case.outcomes(), [(1, OutcomeState::Rejected, "unopenable".to_owned())]);
}

#[test]
fn a_vendors_limits_hold_for_its_account() {
    let mut case = Case::new(Kind::Keyed, Temper::CALM);
    for number in 1..=6 {
        case.issue(number, 100 + number);
    }
    case.run_for(5 * MINUTE);
    assert_eq!(case.outcomes().len(), 6);
    let received = case.received();
    assert!(received[3].0 >= 1_000, "the fourth within a second: {received:?}");
}

#[test]
fn the_whole_account_waits_when_the_vendor_asks_to() {
    let mut case = Case::new(Kind::Keyed, Temper { throttled: 100, ..Temper::CALM });
    case.issue(1, 100);
    case.run_for(SECOND);
    case.issue(2, 101);
    case.run_for(3 * SECOND);
    assert_eq!(case.received().len(), 1);
    case.world.state().vendor.temper = Temper::CALM;
    case.run_for(10 * SECOND);
    assert_eq!(case.outcomes().len(), 2);
    assert_eq!(case.received().len(), 3);
}

#[test]
fn what_a_vendor_keeps_putting_off_is_counted_until_it_expires() {
    let mut case = Case::new(Kind::Keyed, Temper { throttled: 100, ..Temper::CALM });
    case.issue(1, 100);
    case.run_for(DEADLINE_MS + 2 * SECOND);
    assert_eq!(case.outcomes(), [(1, OutcomeState::Expired, "deadline".to_owned())]);
    let text = case.process.metrics.text();
    let counted = text.lines().find_map(|line| {
        line.strip_prefix("actuator_setbacks_total{vendor=\"mail\",reason=\"throttled\"} ")?.parse::<usize>().ok()
    });
    assert_eq!(counted, Some(case.received().len()), "{text}");
}

#[test]
fn a_command_of_another_history_stops_the_partition() {
    let mut case = Case::new(Kind::Keyed, Temper::CALM);
    let command = setting::command(&case.vault, 1, 100, START, DEADLINE_MS);
    setting::issue_in(&case.world, &command, Lineage::from_bytes([6; 16]));
    case.run_for(SECOND);
    let stopped = case.process.stopped.as_ref().expect("it stopped");
    assert!(matches!(stopped, ActuatorError::OtherLineage { .. }), "{stopped}");
    assert!(case.received().is_empty());
}

#[test]
fn a_ledger_of_another_history_stops_the_partition() {
    let mut case = Case::new(Kind::Keyed, Temper::CALM);
    let position = LedgerPosition { lineage: Lineage::from_bytes([6; 16]), offset: 0 };
    let record = ledger::record(&LedgerEntry::Position(position));
    setting::append(&case.world, Topic::Ledger(setting::vendor()), vec![record]);
    case.issue(1, 100);
    case.run_for(SECOND);
    let stopped = case.process.stopped.as_ref().expect("it stopped");
    assert!(matches!(stopped, ActuatorError::OtherLineage { .. }), "{stopped}");
    assert!(case.received().is_empty());
}

#[test]
fn a_verdict_is_forgotten_after_sixty_days_and_a_copy_then_gets_no_outcome() {
    let mut case = Case::new(Kind::Keyed, Temper::CALM);
    case.issue(1, 100);
    case.run_for(5 * SECOND);
    case.world.set_time(61 * 24 * 60 * MINUTE);
    case.run_for(5 * SECOND);
    let records = case.world.broker.records(&Topic::Ledger(setting::vendor()).partition(0));
    let tombstones: Vec<&[u8]> =
        records.iter().filter(|record| record.value.is_none()).map(|record| record.key.as_slice()).collect();
    assert_eq!(tombstones, [[1; 16].as_slice()]);
    let stored = &case.world.broker.records(&Topic::Commands(setting::vendor()).partition(0))[0];
    setting::issue(&case.world, &wire_command::decode(stored).expect("a command").command);
    case.run_for(MINUTE);
    assert_eq!((case.outcomes().len(), case.process.passed_over), (1, 1));
    assert_eq!(case.effects(), [1]);
}

#[test]
fn what_is_told_to_stop_ends_what_is_under_way_and_begins_nothing() {
    let mut case = Case::new(Kind::Keyed, Temper::CALM);
    case.issue(1, 100);
    case.issue(2, 100);
    case.run_for(1);
    case.process.stop();
    case.run_for(MINUTE);
    assert_eq!(case.outcomes(), [succeeded(1)]);
    assert_eq!(case.received().len(), 1);
    let LedgerEntry::Position(_) = case.ledger().last().expect("entries") else { panic!("no position at the end") };
}
