//! Faults: what may go wrong at each request to the log and the store. Requests
//! are counted, so a plan can name the one it strikes, and a calm run tells how
//! many there are: every crash point of the code is in the list.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

/// One life of a process; its successor has another number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProcessId(pub u32);

/// A request whose loss, delay or interruption could matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    Init,
    Begin,
    Send,
    Acknowledge,
    Commit,
    Append,
    Bounds,
    StoreWrite,
    StoreCheckpoint,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The process ends; the request was never made.
    CrashBefore,
    /// The request took effect; the process ends without learning of it.
    CrashAfter,
    /// The request took effect; the caller is told it can't be known.
    LoseResponse,
    /// The request never arrived; the caller is told it can't be known.
    LoseRequest,
    /// A copy of an earlier commit of this writer arrives just before the
    /// request, and ends the transaction that is open now.
    EarlyCommit,
    /// The process ends while its request to commit is still on its way; it
    /// arrives just before a successor fences the writer.
    LateCommit,
}

/// What shall go wrong when, and what did.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    requests: Vec<Operation>,
    plan: BTreeMap<usize, Fault>,
    injected: usize,
    dead: BTreeSet<ProcessId>,
}

impl Faults {
    #[must_use]
    pub fn none() -> Faults {
        Faults::default()
    }

    /// Strikes at these requests, counted from 0.
    #[must_use]
    pub fn at(plan: impl IntoIterator<Item = (usize, Fault)>) -> Faults {
        Faults(Arc::new(Mutex::new(State { plan: plan.into_iter().collect(), ..State::default() })))
    }

    /// The requests made so far, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Operation> {
        self.state().requests.clone()
    }

    /// How many faults have struck.
    #[must_use]
    pub fn injected(&self) -> usize {
        self.state().injected
    }

    #[must_use]
    pub fn is_dead(&self, process: ProcessId) -> bool {
        self.state().dead.contains(&process)
    }

    /// Notes a request of a process; tells what goes wrong with it.
    pub(crate) fn strike(&self, process: ProcessId, operation: Operation) -> Strike {
        let mut state = self.state();
        if state.dead.contains(&process) {
            return Strike { fault: Some(Fault::CrashBefore) };
        }
        let request = state.requests.len();
        state.requests.push(operation);
        let fault = state.plan.get(&request).copied();
        if let Some(fault) = fault {
            state.injected += 1;
            if matches!(fault, Fault::CrashBefore | Fault::CrashAfter | Fault::LateCommit) {
                state.dead.insert(process);
            }
        }
        Strike { fault }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panics while it holds the faults")
    }
}

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strike {
    pub(crate) fault: Option<Fault>,
}

impl Strike {
    /// The request reaches its end.
    pub(crate) fn takes_effect(self) -> bool {
        !matches!(self.fault, Some(Fault::CrashBefore | Fault::LoseRequest | Fault::LateCommit))
    }

    /// The answer reaches the caller.
    pub(crate) fn is_answered(self) -> bool {
        self.takes_effect() && !matches!(self.fault, Some(Fault::CrashAfter | Fault::LoseResponse))
    }
}
