//! The loop over the ports.

mod deciding;
mod taking_up;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tradewind_domain::{
    Account, Body, Capability, Command, CommandId, EntityKey, LedgerEntry, LedgerPosition, Lineage, OutcomeState,
    Tenant,
};
use tradewind_ports::{EventLog, KeyVault, NewRecord, Topic, TopicPartition, Writer};
use tradewind_wire::ledger;
use tradewind_wire::reading::first_event;

use crate::admission::Opened;
use crate::calls::{Call, Calls, Ended, Secrets};
use crate::clock::{Boot, Clocks, Moment};
use crate::directory::Directory;
use crate::errand::Errand;
use crate::error::ActuatorError;
use crate::ledger::Ledger;
use crate::metrics::Tally;
use crate::outcome;
use crate::pace::Pace;
use crate::setback::Setbacks;
use crate::settings::{Ports, Settings};

/// Ledger entries forgotten in one step.
const FORGOTTEN_MAX: usize = 500;

/// How often the position is written where nothing else is.
const POSITION_EVERY_MS: i64 = 1_000;

/// Longest wait without a look at the log while requests are under way.
const GLANCE: Duration = Duration::from_millis(10);

/// How long what is under way may take to end, once it was told to stop.
const STOP_MS: i64 = 6_000;

/// Longest wait for the log, so that a request to stop is seen.
const WAIT_MAX: Duration = Duration::from_millis(500);

/// What a step did, and what there is to wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stepped {
    pub commands: u32,
    pub claims: u32,
    pub requests: u32,
    pub outcomes: u32,
    /// Commands that came too late for any outcome.
    pub passed_over: u32,
    /// Requests under way.
    pub under_way: usize,
    /// When the next command wants to be looked at; `None` if none does before an answer comes.
    pub next_at: Option<Boot>,
}

impl Stepped {
    /// It found nothing to do, but for answers that are still to come.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.commands == 0 && self.claims == 0 && self.requests == 0 && self.outcomes == 0
    }
}

/// Commands of one target are carried out one after the other.
type Target = (Tenant, EntityKey);

/// A command that has no outcome yet.
#[derive(Debug)]
struct Work {
    offset: u64,
    command: Command,
    errand: Errand,
    /// Its entry in the agenda.
    planned_at: Option<Boot>,
    /// What is under way for it.
    flight: Option<Flight>,
    is_held: bool,
}

struct Flight {
    step: u32,
    is_read: bool,
    /// Kept, so that the answer can be judged whatever becomes of the key.
    opened: Opened,
}

impl fmt::Debug for Flight {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Flight(step {})", self.step)
    }
}

/// A command with a verdict in the ledger, whose outcome is not appended yet.
#[derive(Debug)]
struct Untold {
    offset: u64,
    command: Command,
    outcome: Box<[u8]>,
}

/// What was decided in one step and is to be done.
#[derive(Default)]
struct Round {
    /// To the ledger, in one transaction.
    entries: Vec<NewRecord>,
    claims: u32,
    calls: Vec<Call>,
    verdicts: Vec<(CommandId, Box<[u8]>)>,
}

pub struct Actuator {
    settings: Settings,
    log: Arc<dyn EventLog>,
    vault: Arc<dyn KeyVault>,
    secrets: Arc<dyn Secrets>,
    clocks: Arc<dyn Clocks>,
    calls: Box<dyn Calls>,
    tally: Tally,
    writer: Box<dyn Writer>,
    lineage: Lineage,
    directory: Directory,
    ledger: Ledger,
    /// When the ledger was read: claims of predecessors are waited out from here.
    read_at: Moment,
    commands_next: u64,
    work: BTreeMap<CommandId, Work>,
    targets: BTreeMap<Target, VecDeque<CommandId>>,
    /// When to look at which command; of each target only the first.
    agenda: BTreeSet<(Boot, u64, CommandId)>,
    paces: BTreeMap<(Account, Capability), Pace>,
    setbacks: Setbacks,
    under_way: usize,
    /// How many are not carried out now for a switch, a connection that is off or unknown, or a secret that is missing.
    held: usize,
    /// Ended, and not looked at yet.
    ended: Vec<Ended>,
    untold: Vec<Untold>,
    /// Offsets of the commands that have no outcome.
    open: BTreeSet<u64>,
    position: u64,
    position_at: Boot,
    is_stopping: bool,
    stopping_since: Option<Boot>,
}

impl fmt::Debug for Actuator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Actuator")
            .field("vendor", &self.settings.vendor)
            .field("partition", &self.settings.partition)
            .field("position", &self.position)
            .field("open", &self.work.len())
            .field("under_way", &self.under_way)
            .finish_non_exhaustive()
    }
}

impl Actuator {
    /// Takes the partition over: fences whoever had it, then reads what it left.
    ///
    /// # Errors
    ///
    /// See [`ActuatorError::remedy`].
    pub fn recover(settings: Settings, ports: Ports) -> Result<Actuator, ActuatorError> {
        let Ports { log, vault, secrets, clocks, calls, counted } = ports;
        let tally = counted.by(settings.vendor_word);
        let Settings { installation, partition, vendor, .. } = &settings;
        let writer = log.writer(&format!("{installation}/actuator/{vendor}/{partition}"))?;
        // Only now: what a predecessor adds after this read would be missed.
        let lineage = lineage(log.as_ref(), *partition)?;
        let ledger = Ledger::read(log.as_ref(), &Topic::Ledger(vendor.clone()).partition(*partition), lineage)?;
        let read_at = clocks.now();
        let commands = Topic::Commands(vendor.clone()).partition(*partition);
        let position = match ledger.position {
            Some(position) => position,
            None => log.bounds(&commands)?.start,
        };
        let mut directory = Directory::default();
        directory.follow(log.as_ref())?;
        Ok(Actuator {
            log,
            vault,
            secrets,
            clocks,
            calls,
            tally,
            writer,
            lineage,
            directory,
            ledger,
            read_at,
            commands_next: position,
            work: BTreeMap::new(),
            targets: BTreeMap::new(),
            agenda: BTreeSet::new(),
            paces: BTreeMap::new(),
            setbacks: Setbacks::default(),
            under_way: 0,
            held: 0,
            ended: Vec::new(),
            untold: Vec::new(),
            open: BTreeSet::new(),
            position,
            position_at: read_at.boot,
            is_stopping: false,
            stopping_since: None,
            settings,
        })
    }

    /// Every command before this offset has its outcome on the log.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Begins nothing new from now on; what is under way ends as usual.
    pub fn stop(&mut self) {
        self.is_stopping = true;
        self.stopping_since.get_or_insert_with(|| self.clocks.now().boot);
    }

    /// Steps and waits until it is told to stop, then lets end what is under way.
    /// `alive` is called whenever it comes round.
    ///
    /// # Errors
    ///
    /// See [`ActuatorError::remedy`].
    pub fn run(&mut self, stop: &AtomicBool, alive: &dyn Fn()) -> Result<(), ActuatorError> {
        loop {
            alive();
            if stop.load(Ordering::Relaxed) {
                self.stop();
            }
            let stepped = self.step()?;
            // What hangs on is claimed, and its answer is sought by whoever comes next.
            let is_over = self.stopping_since.is_some_and(|since| self.clocks.now().boot.since(since) > STOP_MS);
            if is_over {
                return Ok(());
            }
            if self.is_stopping && stepped.is_idle() && stepped.under_way == 0 && self.is_position_written() {
                return Ok(());
            }
            if stepped.is_idle() {
                self.wait(&stepped)?;
            }
        }
    }

    /// Waits for a command, an answer, or the time of one.
    ///
    /// # Errors
    ///
    /// The log does not answer.
    pub fn wait(&mut self, stepped: &Stepped) -> Result<(), ActuatorError> {
        let now = self.clocks.now();
        let until_next = stepped
            .next_at
            .map_or(WAIT_MAX, |at| Duration::from_millis(u64::try_from(at.since(now.boot)).unwrap_or(0)).min(WAIT_MAX));
        if stepped.under_way > 0 || self.room() == 0 {
            // Without room there may be commands to read, and none that is read.
            let glance = if stepped.under_way > 0 { GLANCE } else { WAIT_MAX };
            let ended = self.calls.ended(until_next.min(glance));
            self.ended.extend(ended);
        } else if !until_next.is_zero() {
            self.log.wait(&self.commands(), self.commands_next, until_next)?;
        }
        Ok(())
    }

    /// One round, without waiting: answers in, commands in, what is due decided;
    /// then one ledger transaction, the requests it allows, the outcomes it holds.
    ///
    /// # Errors
    ///
    /// Whatever it is, this actuator is of no more use; see [`ActuatorError::remedy`].
    pub fn step(&mut self) -> Result<Stepped, ActuatorError> {
        let mut stepped = Stepped::default();
        let mut round = Round::default();
        let ended = self.calls.ended(Duration::ZERO);
        self.ended.extend(ended);
        for ended in std::mem::take(&mut self.ended) {
            self.judge(ended, &mut round)?;
        }
        if !self.is_stopping {
            self.read(&mut stepped)?;
        }
        self.decide(&mut round)?;
        self.write(&mut round.entries)?;
        stepped.claims = round.claims;
        stepped.requests = count(round.calls.len());
        self.tally.requests.add(stepped.requests.into());
        for call in round.calls {
            self.under_way += 1;
            self.calls.begin(call);
        }
        for (command, outcome) in round.verdicts {
            self.conclude(command, outcome);
        }
        stepped.outcomes = self.tell()?;
        self.tally.passed_over.add(stepped.passed_over.into());
        self.tally.open.set(level(self.work.len()));
        self.tally.held.set(level(self.held));
        stepped.under_way = self.under_way;
        // With as many requests under way as may be, an answer is what there is to wait for.
        let may_begin = !self.is_stopping && self.under_way < self.settings.requests_max;
        stepped.next_at = self.agenda.first().map(|(at, _, _)| *at).filter(|_| may_begin);
        Ok(stepped)
    }

    /// How many more commands may be in memory.
    fn room(&self) -> usize {
        self.settings.commands_max.saturating_sub(self.work.len())
    }

    fn commands(&self) -> TopicPartition {
        Topic::Commands(self.settings.vendor.clone()).partition(self.settings.partition)
    }

    fn ledger_topic(&self) -> TopicPartition {
        Topic::Ledger(self.settings.vendor.clone()).partition(self.settings.partition)
    }

    fn plan(&mut self, command: CommandId, at: Boot) {
        let work = self.work.get_mut(&command).expect("a command with a plan is open");
        if let Some(planned_at) = work.planned_at.replace(at) {
            self.agenda.remove(&(planned_at, work.offset, command));
        }
        self.agenda.insert((at, work.offset, command));
    }

    /// One transaction for all that is to be durable before the requests and the
    /// outcomes, with the position reached by the outcomes before.
    fn write(&mut self, entries: &mut Vec<NewRecord>) -> Result<(), ActuatorError> {
        let now = self.clocks.now();
        let position = self.reached();
        let is_position_due =
            self.is_stopping || !entries.is_empty() || now.boot.since(self.position_at) >= POSITION_EVERY_MS;
        if position > self.position && is_position_due {
            let position = LedgerPosition { lineage: self.lineage, offset: position };
            entries.push(ledger::record(&LedgerEntry::Position(position)));
        }
        if now.boot.since(self.position_at) >= POSITION_EVERY_MS {
            entries.extend(self.ledger.forgettable(now.wall, FORGOTTEN_MAX));
            self.position_at = now.boot;
        }
        if entries.is_empty() {
            return Ok(());
        }
        let at = self.ledger_topic();
        self.writer.begin()?;
        for entry in entries.drain(..) {
            self.writer.send(&at, entry)?;
        }
        self.writer.acknowledge()?;
        self.writer.commit()?;
        if is_position_due {
            self.position = self.position.max(position);
        }
        Ok(())
    }

    fn hold(&mut self, command: CommandId, is_held: bool) {
        let work = self.work.get_mut(&command).expect("a command that is held is open");
        let was_held = std::mem::replace(&mut work.is_held, is_held);
        self.held = self.held + usize::from(is_held) - usize::from(was_held);
    }

    /// Its verdict is in the ledger: the target is free for the next command.
    fn conclude(&mut self, id: CommandId, outcome: Box<[u8]>) {
        let now = self.clocks.now();
        self.hold(id, false);
        let Work { offset, command, .. } = self.work.remove(&id).expect("a command with a verdict was open");
        self.ledger.told(id, now.wall);
        let target = (command.tenant.clone(), command.target.clone());
        let waiting = self.targets.get_mut(&target).expect("a command waits at its target");
        waiting.pop_front();
        match waiting.front().copied() {
            Some(next) => self.plan(next, now.boot),
            None => {
                self.targets.remove(&target);
            }
        }
        self.untold.push(Untold { offset, command, outcome });
    }

    /// Appends the outcomes whose verdicts are durable.
    fn tell(&mut self) -> Result<u32, ActuatorError> {
        if self.untold.is_empty() {
            return Ok(0);
        }
        let mut records = Vec::new();
        let mut told = Vec::new();
        for Untold { offset, command, outcome } in self.untold.drain(..) {
            let placement = self.directory.placement(&command.tenant);
            let (state, record) = outcome::record(&command, outcome, placement).map_err(|source| {
                let at = Topic::Ledger(self.settings.vendor.clone()).partition(self.settings.partition);
                ActuatorError::Unreadable { at, offset, source }
            })?;
            if state == OutcomeState::Quarantined {
                let (tenant, id) = (&command.tenant, command.id);
                tracing::warn!(%tenant, command = %id, "quarantined: nobody knows whether the vendor did it; a person has to look there");
            }
            records.push(record);
            told.push((offset, state));
        }
        self.log.append(&Topic::Events.partition(self.settings.partition), records)?;
        for (offset, state) in &told {
            self.open.remove(offset);
            self.tally.outcome(*state);
        }
        Ok(count(told.len()))
    }

    /// Up to where every command has its outcome on the log.
    fn reached(&self) -> u64 {
        self.open.first().copied().unwrap_or(self.commands_next)
    }

    fn is_position_written(&self) -> bool {
        self.position >= self.reached()
    }
}

/// Whose rate a command counts towards.
fn account(command: &Command) -> (Account, Capability) {
    (command.account.clone(), command.body.capability())
}

fn level(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// The lineage that a partition's events open with.
fn lineage(log: &dyn EventLog, partition: u32) -> Result<Lineage, ActuatorError> {
    let first = first_event(log, partition)?.map(|envelope| envelope.fact.body);
    if let Some(Body::LineageOpened(opened)) = first {
        return Ok(opened.lineage);
    }
    Err(ActuatorError::NoLineage { at: Topic::Events.partition(partition) })
}
