//! A vendor that lies, processes that freeze and die, and one clock for all.
//! The actuators in it are the very code that runs in production.

#![allow(dead_code, unreachable_pub)]

pub mod process;
pub mod setting;
pub mod vendor;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use fastrand::Rng;
use tradewind_actuator::{Boot, Ended, Permit};
use tradewind_domain::{CommandId, Timestamp};
use tradewind_simulation::Broker;

use vendor::Vendor;

/// Where the wall clocks begin.
pub const START: Timestamp = Timestamp::from_millis(1_780_000_000_000);

pub const SECOND: i64 = 1_000;
pub const MINUTE: i64 = 60 * SECOND;

/// Lives of one process, numbered behind it.
pub const CALLERS: u32 = 1_000_000;

/// What all processes share. Locks are held for a moment only, never across a call.
pub struct World {
    pub broker: Broker,
    pub state: Mutex<State>,
}

pub struct State {
    /// Milliseconds since the beginning.
    pub now: i64,
    pub rng: Rng,
    pub vendor: Vendor,
    /// Requests that wait for their connection, by when it is open.
    pub opening: Vec<Opening>,
    /// The process that stands still, with all that it does.
    pub frozen: Option<u32>,
    /// When each command's record was read last, by its offset.
    pub last_read: BTreeMap<u64, i64>,
    /// How often the ledger was read from.
    pub ledger_reads: u32,
    /// Answers on their way, by when they arrive.
    pub answers: Vec<(i64, u32, Ended)>,
}

pub struct Opening {
    pub at: i64,
    /// Which life of which process began it.
    pub caller: u32,
    pub command: CommandId,
    pub request: tradewind_egress::Request,
    pub permit: Permit,
}

impl State {
    /// The connections that will be used, with those of a frozen process left out.
    fn openings(&self) -> impl Iterator<Item = (usize, &Opening)> {
        let is_frozen = |opening: &Opening| self.frozen == Some(opening.caller / CALLERS);
        self.opening.iter().enumerate().filter(move |(_, opening)| !is_frozen(opening))
    }
}

impl World {
    pub fn new(rng: Rng, vendor: Vendor) -> Arc<World> {
        let state = State {
            now: 0,
            rng,
            vendor,
            opening: Vec::new(),
            frozen: None,
            last_read: BTreeMap::new(),
            ledger_reads: 0,
            answers: Vec::new(),
        };
        let world = Arc::new(World { broker: Broker::new(), state: Mutex::new(state) });
        world.set_time(0);
        world
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while it holds the world")
    }

    pub fn now(&self) -> i64 {
        self.state().now
    }

    pub fn wall(&self) -> Timestamp {
        START + self.now()
    }

    /// Lets time pass; what is under way goes on.
    pub fn set_time(&self, to: i64) {
        loop {
            let next = {
                let state = self.state();
                state.openings().map(|(_, opening)| opening.at).filter(|at| *at <= to).min()
            };
            let Some(at) = next else { break };
            self.move_to(at);
            self.open_due();
        }
        self.move_to(to);
    }

    fn move_to(&self, to: i64) {
        let mut state = self.state();
        state.now = state.now.max(to);
        let now = state.now;
        state.vendor.pass(now);
        drop(state);
        self.broker.set_now(START + now);
    }

    /// Asks the permits of the connections that are open by now.
    fn open_due(&self) {
        loop {
            let mut state = self.state();
            let now = state.now;
            let due = state.openings().find(|(_, opening)| opening.at <= now).map(|(index, _)| index);
            let Some(due) = due else { return };
            let opening = state.opening.swap_remove(due);
            drop(state);
            let Opening { caller, command, request, permit, .. } = opening;
            // The clock of the caller is asked here, which needs the world.
            let is_given = permit.ask();
            let mut state = self.state();
            let State { now, vendor, rng, answers, .. } = &mut *state;
            let now = *now;
            let (at, answer) = if is_given {
                vendor.receive(rng, now, command, &request)
            } else {
                (now, tradewind_egress::Answer::Unsent(tradewind_egress::Unsent::Withheld))
            };
            answers.push((at, caller, Ended { command, sent_at: permit.sent_at(), answer }));
        }
    }

    /// When something happens next by itself.
    pub fn next_at(&self) -> Option<i64> {
        let state = self.state();
        let openings = state.openings().map(|(_, opening)| opening.at);
        let answers = state.answers.iter().map(|(at, _, _)| *at);
        // What is due already waits for somebody who may never come.
        openings.chain(answers).chain(state.vendor.next_at()).filter(|at| *at > state.now).min()
    }
}

/// The boot clock of a process whose machine started `age` before the beginning.
pub fn boot(now: i64, age: i64) -> Boot {
    Boot(age + now)
}
