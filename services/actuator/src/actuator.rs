//! The loop over the ports.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tradewind_domain::{
    Account, Body, Capability, Command, CommandBody, CommandId, EntityKey, LedgerEntry, LedgerPosition, Lineage,
    OutcomeState, Tenant, Vendor, Verdict,
};
use tradewind_egress::{Connection, Method, Request};
use tradewind_ports::{EventLog, KeyVault, LogError, NewRecord, ReadLimit, Topic, TopicPartition, VaultError, Writer};
use tradewind_vendors::{Access, Integration, OpenCommand, Operation, Outbound};
use tradewind_wire::{DecodeError, command, ledger, record, seal};

use crate::calls::{Call, Calls, Ended, Permit, Secrets};
use crate::clock::{Boot, Clocks, Moment};
use crate::directory::Directory;
use crate::errand::{CLAIM_MS, Errand, Gate, REQUEST_MS, Step, Terms};
use crate::ledger::{Known, Ledger};
use crate::outcome;
use crate::pace::Pace;

/// Commands looked at in one step.
const LOOKED_AT_MAX: usize = 1_000;

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

#[derive(Clone, Debug)]
pub struct Settings {
    /// Names the writers of an installation: `<installation>/actuator/<vendor>/<partition>`.
    pub installation: String,
    pub partition: u32,
    pub vendor: Vendor,
    pub outbound: Outbound,
    pub access: Access,
    /// Called in place of the vendor, for every account: a sandbox.
    pub origin: Option<String>,
    /// Requests under way at once.
    pub requests_max: usize,
    /// Commands in memory; those behind them are read when there is room.
    pub commands_max: usize,
}

impl Settings {
    /// `None` if the vendor is not one we tell things.
    #[must_use]
    pub fn of(installation: &str, partition: u32, integration: &Integration) -> Option<Settings> {
        Some(Settings {
            installation: installation.to_owned(),
            partition,
            vendor: Vendor::new(integration.vendor).ok()?,
            outbound: integration.outbound?,
            access: integration.access?,
            origin: None,
            requests_max: 32,
            commands_max: 20_000,
        })
    }
}

/// What an actuator works with.
pub struct Ports {
    pub log: Arc<dyn EventLog>,
    pub vault: Arc<dyn KeyVault>,
    pub secrets: Arc<dyn Secrets>,
    pub clocks: Arc<dyn Clocks>,
    pub calls: Box<dyn Calls>,
}

impl fmt::Debug for Ports {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Ports(…)")
    }
}

#[derive(Debug)]
pub enum ActuatorError {
    Log(LogError),
    Vault(VaultError),
    /// A record can't be read by this build.
    Unreadable {
        at: TopicPartition,
        offset: u64,
        source: DecodeError,
    },
    /// The events don't open a lineage.
    NoLineage {
        at: TopicPartition,
    },
    /// A command belongs to another history of the log.
    OtherLineage {
        at: TopicPartition,
        offset: u64,
        expected: Lineage,
        got: Lineage,
    },
}

/// What to do after an error; the actuator itself is of no more use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Somebody else has the partition.
    GiveUp,
    /// Recover another actuator, after a pause.
    Recover,
    /// A successor would get no further: a person has to act.
    Stop,
}

impl ActuatorError {
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            ActuatorError::Log(LogError::Fenced) => Remedy::GiveUp,
            ActuatorError::Log(LogError::Indefinite { .. } | LogError::Unavailable { .. })
            | ActuatorError::Vault(VaultError::Unavailable { .. }) => Remedy::Recover,
            ActuatorError::Log(LogError::Lost { .. } | LogError::Damaged { .. } | LogError::Refused { .. })
            | ActuatorError::Vault(VaultError::Damaged { .. })
            | ActuatorError::Unreadable { .. }
            | ActuatorError::NoLineage { .. }
            | ActuatorError::OtherLineage { .. } => Remedy::Stop,
        }
    }
}

impl fmt::Display for ActuatorError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ActuatorError::Log(error) => error.fmt(formatter),
            ActuatorError::Vault(error) => error.fmt(formatter),
            ActuatorError::Unreadable { at, offset, source } => {
                write!(formatter, "read {at} at offset {offset}: {source}")
            }
            ActuatorError::NoLineage { at } => {
                write!(formatter, "trust {at}: expected the record that opens the lineage")
            }
            ActuatorError::OtherLineage { at, offset, expected, got } => {
                write!(formatter, "carry out {at} at offset {offset}: expected lineage {expected}, got {got}")
            }
        }
    }
}

impl std::error::Error for ActuatorError {}

impl From<LogError> for ActuatorError {
    fn from(error: LogError) -> ActuatorError {
        ActuatorError::Log(error)
    }
}

impl From<VaultError> for ActuatorError {
    fn from(error: VaultError) -> ActuatorError {
        ActuatorError::Vault(error)
    }
}

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

/// The personal fields of a command, in clear.
#[derive(Default)]
struct Opened {
    contact: Option<String>,
    first_name: Option<String>,
    recovery_url: Option<String>,
}

impl Opened {
    fn of<'a>(&'a self, command: &'a Command) -> OpenCommand<'a> {
        OpenCommand {
            command,
            contact: self.contact.as_deref(),
            first_name: self.first_name.as_deref(),
            recovery_url: self.recovery_url.as_deref(),
        }
    }
}

/// A command that may be carried out, with what that takes.
struct Opening {
    opened: Opened,
    origin: String,
    authorization: String,
}

enum Admission {
    Open(Opening),
    Shut,
    Barred(OutcomeState, &'static str),
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
    under_way: usize,
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
        let Ports { log, vault, secrets, clocks, calls } = ports;
        let Settings { installation, partition, vendor, .. } = &settings;
        let writer = log.writer(&format!("{installation}/actuator/{vendor}/{partition}"))?;
        // Only now: what a predecessor adds after this read would be missed.
        let lineage = lineage(log.as_ref(), &Topic::Events.partition(*partition))?;
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
            under_way: 0,
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

    /// Commands that are not carried out now for a switch, a connection that is
    /// off or unknown, or a secret that is missing.
    pub fn held(&self) -> impl Iterator<Item = CommandId> {
        self.work.iter().filter(|(_, work)| work.is_held).map(|(command, _)| *command)
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
        if stepped.under_way > 0 {
            let ended = self.calls.ended(until_next.min(GLANCE));
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
        for call in round.calls {
            self.under_way += 1;
            self.calls.begin(call);
        }
        for (command, outcome) in round.verdicts {
            self.conclude(command, outcome);
        }
        stepped.outcomes = self.tell()?;
        stepped.under_way = self.under_way;
        // With as many requests under way as may be, an answer is what there is to wait for.
        let may_begin = !self.is_stopping && self.under_way < self.settings.requests_max;
        stepped.next_at = self.agenda.first().map(|(at, _, _)| *at).filter(|_| may_begin);
        Ok(stepped)
    }

    fn commands(&self) -> TopicPartition {
        Topic::Commands(self.settings.vendor.clone()).partition(self.settings.partition)
    }

    fn ledger_topic(&self) -> TopicPartition {
        Topic::Ledger(self.settings.vendor.clone()).partition(self.settings.partition)
    }

    fn operation(&self, command: &Command) -> Option<&'static Operation> {
        let capability = command.body.capability();
        self.settings.outbound.operations.iter().find(|operation| operation.capability == capability)
    }

    /// Takes up the commands there are, as far as there is room.
    fn read(&mut self, stepped: &mut Stepped) -> Result<(), ActuatorError> {
        let room = self.settings.commands_max.saturating_sub(self.work.len());
        if room == 0 {
            return Ok(());
        }
        let at = self.commands();
        let batch = self.log.read(&at, self.commands_next, ReadLimit { records: room.min(2_000), bytes: 4 << 20 })?;
        for stored in &batch.records {
            let issued = command::decode(stored).map_err(|source| ActuatorError::Unreadable {
                at: at.clone(),
                offset: stored.offset,
                source,
            })?;
            if issued.lineage != self.lineage {
                let (expected, got) = (self.lineage, issued.lineage);
                return Err(ActuatorError::OtherLineage { at, offset: stored.offset, expected, got });
            }
            stepped.commands += 1;
            if !self.take_up(stored.offset, issued.command)? {
                stepped.passed_over += 1;
            }
        }
        self.commands_next = batch.next;
        Ok(())
    }

    /// False if the command gets no outcome.
    fn take_up(&mut self, offset: u64, command: Command) -> Result<bool, ActuatorError> {
        let id = command.id;
        if self.work.contains_key(&id) {
            // A copy: the first one has its place.
            return Ok(true);
        }
        let terms = Terms::of(&command, self.operation(&command));
        let now = self.clocks.now();
        let errand = match self.ledger.known.get(&id).copied() {
            Some(Known::Told) => return Ok(true),
            Some(Known::Verdict { offset: at }) => {
                let outcome = self.verdict(at)?;
                self.ledger.told(id, now.wall);
                self.open.insert(offset);
                self.untold.push(Untold { offset, command, outcome });
                return Ok(true);
            }
            Some(Known::Claimed(claimed)) => Some(Errand::taken_over(&claimed, terms, self.read_at)),
            None => Errand::fresh(id, terms, now),
        };
        let Some(errand) = errand else { return Ok(false) };
        let waiting = self.targets.entry((command.tenant.clone(), command.target.clone())).or_default();
        waiting.push_back(id);
        let is_first = waiting.len() == 1;
        self.open.insert(offset);
        self.work.insert(id, Work { offset, command, errand, planned_at: None, flight: None, is_held: false });
        if is_first {
            self.plan(id, now.boot);
        }
        Ok(true)
    }

    /// The outcome in the verdict at this offset of the ledger.
    fn verdict(&self, offset: u64) -> Result<Box<[u8]>, ActuatorError> {
        let at = self.ledger_topic();
        let batch = self.log.read(&at, offset, ReadLimit { records: 1, bytes: 1 })?;
        let found = batch.records.first().filter(|record| record.offset == offset);
        let entry = found.map(ledger::decode).transpose();
        let entry = entry.map_err(|source| ActuatorError::Unreadable { at: at.clone(), offset, source })?;
        match entry.flatten() {
            Some(LedgerEntry::Verdict(verdict)) => Ok(verdict.outcome),
            Some(LedgerEntry::Claimed(_) | LedgerEntry::StepAnswered(_) | LedgerEntry::Position(_)) | None => {
                let reason = format!("{at} no longer has the verdict at offset {offset}");
                Err(LogError::Indefinite { reason }.into())
            }
        }
    }

    fn plan(&mut self, command: CommandId, at: Boot) {
        let work = self.work.get_mut(&command).expect("a command with a plan is open");
        if let Some(planned_at) = work.planned_at.replace(at) {
            self.agenda.remove(&(planned_at, work.offset, command));
        }
        self.agenda.insert((at, work.offset, command));
    }

    /// A request ended: its answer is judged at once, with what was opened for
    /// it, since a stop or an erasure changes nothing about what has happened.
    fn judge(&mut self, ended: Ended, round: &mut Round) -> Result<(), ActuatorError> {
        let Some(work) = self.work.get_mut(&ended.command) else { return Ok(()) };
        let Some(flight) = work.flight.take() else { return Ok(()) };
        self.under_way -= 1;
        let now = self.clocks.now();
        let is_answered = work.errand.ended(now, flight.step, flight.is_read, ended.sent_at, ended.answer);
        let step = if is_answered {
            work.errand.decide(now, &self.settings.outbound, &Gate::Open(&flight.opened.of(&work.command)))
        } else {
            Step::Wait(work.errand.rest_until())
        };
        self.apply(ended.command, step, now, round)
    }

    /// Decides what is due, as far as requests may be under way at once.
    fn decide(&mut self, round: &mut Round) -> Result<(), ActuatorError> {
        let is_any_due = self.agenda.first().is_some_and(|(at, _, _)| *at <= self.clocks.now().boot);
        if self.is_stopping || !is_any_due {
            return Ok(());
        }
        self.directory.follow(self.log.as_ref())?;
        // Claims count from here, before they are appended.
        let now = self.clocks.now();
        let mut deferred: BTreeMap<(Account, Capability), i64> = BTreeMap::new();
        for _ in 0..LOOKED_AT_MAX {
            if self.under_way + round.calls.len() >= self.settings.requests_max {
                break;
            }
            let Some((at, offset, id)) = self.agenda.first().copied() else { break };
            if at > now.boot {
                break;
            }
            self.agenda.remove(&(at, offset, id));
            let work = self.work.get_mut(&id).expect("a command in the agenda is open");
            work.planned_at = None;
            work.is_held = false;
            if let Some(step) = work.errand.early(now) {
                self.apply(id, step, now, round)?;
                continue;
            }
            if let Some(later) = self.paced(id, now, &mut deferred) {
                self.plan(id, later);
                continue;
            }
            let admission = self.admit(&self.work[&id].command)?;
            self.attempt(id, admission, now, round)?;
        }
        Ok(())
    }

    /// When a command has to wait for its account's pace: those that wait are
    /// spread over the slots to come, so that each is looked at about once.
    fn paced(&self, id: CommandId, now: Moment, deferred: &mut BTreeMap<(Account, Capability), i64>) -> Option<Boot> {
        let account = account(&self.work[&id].command);
        let pace = self.paces.get(&account)?;
        let free_at = pace.free_at();
        if free_at <= now.boot {
            return None;
        }
        let ahead = deferred.entry(account).or_default();
        let later = free_at + *ahead * pace.interval_ms();
        *ahead += 1;
        Some(later)
    }

    /// Asks the errand, and does what needs more than a plan.
    fn attempt(
        &mut self,
        id: CommandId,
        admission: Admission,
        now: Moment,
        round: &mut Round,
    ) -> Result<(), ActuatorError> {
        let outbound = self.settings.outbound;
        let work = self.work.get_mut(&id).expect("a command that is attempted is open");
        let opening = match admission {
            Admission::Open(opening) => opening,
            Admission::Shut => {
                let step = work.errand.decide(now, &outbound, &Gate::Shut);
                return self.apply(id, step, now, round);
            }
            Admission::Barred(state, code) => {
                let step = work.errand.decide(now, &outbound, &Gate::Barred(state, code));
                return self.apply(id, step, now, round);
            }
        };
        let step = work.errand.decide(now, &outbound, &Gate::Open(&opening.opened.of(&work.command)));
        let (step, request, permit, is_read, connection) = match step {
            Step::Read { step, request } => {
                (step, request, Permit::always(self.clocks.clone()), true, Connection::Kept)
            }
            Step::Claim { step, request, until, is_once } => {
                let claimed = work.errand.claim(now, step);
                round.entries.push(ledger::record(&LedgerEntry::Claimed(claimed)));
                round.claims += 1;
                let permit = Permit::new(self.clocks.clone(), now.boot + CLAIM_MS, until);
                let connection = if is_once { Connection::Fresh } else { Connection::Kept };
                (step, request, permit, false, connection)
            }
            Step::Wait(_) | Step::Pause(_) | Step::Hold(_) | Step::Conclude(_) => {
                return self.apply(id, step, now, round);
            }
        };
        let Opening { opened, origin, authorization } = opening;
        work.flight = Some(Flight { step, is_read, opened });
        let account = account(&work.command);
        let limits = self.operation(&self.work[&id].command).map_or(&[][..], |operation| operation.limits);
        self.paces.entry(account).or_insert_with(|| Pace::new(limits)).note(now.boot);
        let request = rendered(request, origin, authorization, connection);
        round.calls.push(Call { command: id, request, permit });
        Ok(())
    }

    /// Does what a step asks for, where that is no request.
    fn apply(&mut self, id: CommandId, step: Step, now: Moment, round: &mut Round) -> Result<(), ActuatorError> {
        let work = self.work.get_mut(&id).expect("a command with a step is open");
        match step {
            Step::Wait(at) => self.plan(id, at),
            Step::Hold(at) => {
                work.is_held = true;
                self.plan(id, at);
            }
            Step::Pause(until) => {
                let at = work.errand.rest_until();
                if let Some(pace) = self.paces.get_mut(&account(&work.command)) {
                    pace.pause(until);
                }
                self.plan(id, at);
            }
            // It is asked again, when it is known that it may be sent.
            Step::Read { .. } | Step::Claim { .. } => self.plan(id, now.boot),
            Step::Conclude(conclusion) => {
                let attempt = work.errand.attempt();
                let outcome = outcome::encode(&work.command, attempt, &conclusion, now.wall, self.vault.as_ref())?;
                let verdict = Verdict { command: id, attempt, outcome: outcome.clone() };
                round.entries.push(ledger::record(&LedgerEntry::Verdict(verdict)));
                round.verdicts.push((id, outcome));
            }
        }
        Ok(())
    }

    /// Whether a command may be carried out, and what that takes.
    fn admit(&self, command: &Command) -> Result<Admission, ActuatorError> {
        let rejected = |code| Ok(Admission::Barred(OutcomeState::Rejected, code));
        if self.operation(command).is_none() {
            return rejected("capability_not_served");
        }
        let Some(connection) = self.directory.connection(command) else { return Ok(Admission::Shut) };
        let is_match = command.vendor == self.settings.vendor
            && connection.vendor == command.vendor
            && connection.account == command.account;
        if !is_match {
            return rejected("mismatch");
        }
        let Some(origin) = (self.settings.access.origin)(&command.account) else { return rejected("account") };
        let CommandBody::MessageSend(message) = &command.body;
        let mut opened = Opened::default();
        for (sealed, slot) in [
            (&command.contact, &mut opened.contact),
            (&message.first_name, &mut opened.first_name),
            (&message.recovery_url, &mut opened.recovery_url),
        ] {
            let Some(sealed) = sealed else { continue };
            let Some(key) = self.vault.key(sealed.key_id)? else {
                return Ok(Admission::Barred(OutcomeState::Cancelled, "erased"));
            };
            match seal::open(&key, sealed).ok().and_then(|clear| String::from_utf8(clear).ok()) {
                Some(clear) => *slot = Some(clear),
                None => return rejected("unopenable"),
            }
        }
        if !connection.active || self.directory.is_stopped(command) {
            return Ok(Admission::Shut);
        }
        let secrets = connection.secrets.iter().filter_map(|name| self.secrets.secret(name));
        let Some(authorization) = secrets.filter_map(|secret| (self.settings.access.authorization)(&secret)).next()
        else {
            return Ok(Admission::Shut);
        };
        let origin = self.settings.origin.clone().unwrap_or(origin);
        Ok(Admission::Open(Opening { opened, origin, authorization }))
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

    /// Its verdict is in the ledger: the target is free for the next command.
    fn conclude(&mut self, id: CommandId, outcome: Box<[u8]>) {
        let now = self.clocks.now();
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
        let mut offsets = Vec::new();
        for Untold { offset, command, outcome } in self.untold.drain(..) {
            let placement = self.directory.placement(&command.tenant);
            let record = outcome::record(&command, outcome, placement).map_err(|source| {
                let at = Topic::Ledger(self.settings.vendor.clone()).partition(self.settings.partition);
                ActuatorError::Unreadable { at, offset, source }
            })?;
            records.push(record);
            offsets.push(offset);
        }
        self.log.append(&Topic::Events.partition(self.settings.partition), records)?;
        for offset in &offsets {
            self.open.remove(offset);
        }
        Ok(count(offsets.len()))
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

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// A vendor's request with all that the shell adds.
fn rendered(
    request: tradewind_vendors::Request,
    origin: String,
    authorization: String,
    connection: Connection,
) -> Request {
    let mut headers: Vec<(String, String)> =
        request.headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    headers.push(("authorization".to_owned(), authorization));
    Request {
        method: match request.method {
            tradewind_vendors::Method::Get => Method::Get,
            tradewind_vendors::Method::Post => Method::Post,
        },
        origin,
        path: request.path,
        headers,
        body: request.body,
        deadline: Duration::from_millis(REQUEST_MS.unsigned_abs()),
        connection,
    }
}

/// The lineage that a partition's events open with.
fn lineage(log: &dyn EventLog, events: &TopicPartition) -> Result<Lineage, ActuatorError> {
    let start = log.bounds(events)?.start;
    let first = log.read(events, start, ReadLimit { records: 1, bytes: 1 })?.records.into_iter().next();
    let none = || ActuatorError::NoLineage { at: events.clone() };
    let first = first.ok_or_else(none)?;
    let envelope = record::envelope(&first).map_err(|source| ActuatorError::Unreadable {
        at: events.clone(),
        offset: first.offset,
        source,
    })?;
    if let Body::LineageOpened(opened) = envelope.fact.body { Ok(opened.lineage) } else { Err(none()) }
}
