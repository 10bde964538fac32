//! A vendor of one of three kinds, with a ledger of effects that cannot lie.

use std::collections::BTreeMap;

use fastrand::Rng;
use tradewind_domain::{Account, Capability, CommandId, Name, OutcomeState};
use tradewind_egress::{Answer, LINGER, Loss, Method, Request};
use tradewind_vendors::{
    Access, Answer as Given, Answered, Effect, Limit, Next, OpenCommand, Operation, Outbound, Verdict,
};

use super::{MINUTE, SECOND};

pub const SETTLE_MS: i64 = 2 * MINUTE;
pub const KEY_LIFETIME_MS: i64 = 15 * MINUTE;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It knows a key for a while.
    Keyed,
    /// It can be asked what it did.
    Readable,
    Neither,
}

const OPERATIONS: &[Operation] = &[Operation {
    capability: Capability::MessageSend,
    settle_ms: SETTLE_MS,
    limits: &[Limit { requests: 3, window_ms: 1_000 }, Limit { requests: 40, window_ms: 60_000 }],
}];

impl Kind {
    pub fn outbound(self) -> Outbound {
        let next = match self {
            Kind::Keyed => next_keyed,
            Kind::Readable => next_readable,
            Kind::Neither => next_neither,
        };
        Outbound { operations: OPERATIONS, next }
    }
}

pub const ACCESS: Access = Access { origin, authorization };

fn origin(_: &Account) -> Option<String> {
    Some("https://vendor.example.com".to_owned())
}

fn authorization(secret: &[u8]) -> Option<String> {
    String::from_utf8(secret.to_vec()).ok()
}

fn post(command: &OpenCommand<'_>, effect: Effect) -> Next {
    let request = tradewind_vendors::Request {
        method: tradewind_vendors::Method::Post,
        path: "/effects".into(),
        headers: vec![("content-type", "text/plain")],
        body: command.contact.unwrap_or("nobody").as_bytes().to_vec(),
    };
    Next::Request { step: 0, effect, request }
}

fn next_keyed(command: &OpenCommand<'_>, answers: &[Answered]) -> Next {
    match answers.last().map(|answered| &answered.answer) {
        None | Some(Given::Lost) => {
            let key = command.command.id.to_string().into();
            post(command, Effect::Idempotent { key, lifetime_ms: KEY_LIFETIME_MS })
        }
        Some(Given::Received { status, .. }) => judge(*status, answers),
    }
}

fn next_readable(command: &OpenCommand<'_>, answers: &[Answered]) -> Next {
    let Some(answered) = answers.last() else { return post(command, Effect::Once) };
    match &answered.answer {
        Given::Lost => Next::Request {
            step: 1,
            effect: Effect::Read,
            request: tradewind_vendors::Request {
                method: tradewind_vendors::Method::Get,
                path: "/effects".into(),
                headers: Vec::new(),
                body: Vec::new(),
            },
        },
        Given::Received { status: 200, body, .. } if answered.step == 1 => {
            if body == b"1" {
                verdict(OutcomeState::Succeeded)
            } else {
                post(command, Effect::Once)
            }
        }
        Given::Received { status, .. } => judge(*status, answers),
    }
}

fn next_neither(command: &OpenCommand<'_>, answers: &[Answered]) -> Next {
    match answers.last().map(|answered| &answered.answer) {
        None | Some(Given::Lost) => post(command, Effect::Once),
        Some(Given::Received { status, .. }) => judge(*status, answers),
    }
}

fn verdict(state: OutcomeState) -> Next {
    Next::Verdict(Verdict { state, code: Name::fixed(state.as_str()), retry_at: None, evidence: None })
}

fn judge(status: u16, answers: &[Answered]) -> Next {
    match status {
        202 => verdict(OutcomeState::Succeeded),
        429 => {
            let at = answers.last().expect("an answer that is judged").at;
            Next::Verdict(Verdict {
                state: OutcomeState::Throttled,
                code: Name::fixed("throttled"),
                retry_at: Some(at + 5 * SECOND),
                evidence: None,
            })
        }
        401 | 500 => verdict(OutcomeState::Failed),
        400..=499 => verdict(OutcomeState::Rejected),
        _ => verdict(OutcomeState::Unknown),
    }
}

/// How it behaves; of 100 requests each.
#[derive(Clone, Copy, Debug)]
pub struct Temper {
    /// Carried out, but slowly, up to the settle time.
    pub slow: u32,
    /// Its first byte leaves at once, its last as late as can be.
    pub late_bytes: u32,
    pub swallowed: u32,
    pub refused: u32,
    pub throttled: u32,
    pub failing: u32,
    pub unanswered: u32,
}

impl Temper {
    pub const CALM: Temper =
        Temper { slow: 0, late_bytes: 0, swallowed: 0, refused: 0, throttled: 0, failing: 0, unanswered: 0 };

    pub fn drawn(rng: &mut Rng) -> Temper {
        let mut percent = |most| if rng.bool() { rng.u32(0..most) } else { 0 };
        Temper {
            slow: percent(60),
            late_bytes: percent(40),
            swallowed: percent(30),
            refused: percent(70),
            throttled: percent(30),
            failing: percent(30),
            unanswered: percent(60),
        }
    }
}

#[derive(Debug)]
struct Pending {
    apply_at: i64,
    visible_at: i64,
    command: CommandId,
}

#[derive(Debug)]
pub struct Vendor {
    pub kind: Kind,
    pub temper: Temper,
    /// Every effect, in the order they happened.
    pub effects: Vec<(i64, CommandId)>,
    /// Every request that left for it.
    pub received: Vec<(i64, CommandId)>,
    visible_at: BTreeMap<CommandId, i64>,
    /// When each key was first used with effect.
    keys: BTreeMap<CommandId, i64>,
    pending: Vec<Pending>,
}

impl Vendor {
    pub fn new(kind: Kind, temper: Temper) -> Vendor {
        Vendor {
            kind,
            temper,
            effects: Vec::new(),
            received: Vec::new(),
            visible_at: BTreeMap::new(),
            keys: BTreeMap::new(),
            pending: Vec::new(),
        }
    }

    pub fn next_at(&self) -> Option<i64> {
        self.pending.iter().map(|pending| pending.apply_at).min()
    }

    /// Applies what is due.
    pub fn pass(&mut self, now: i64) {
        self.pending.sort_by_key(|pending| pending.apply_at);
        while self.pending.first().is_some_and(|pending| pending.apply_at <= now) {
            let Pending { apply_at, visible_at, command } = self.pending.remove(0);
            if self.is_known(command, apply_at) {
                continue;
            }
            self.effects.push((apply_at, command));
            self.keys.insert(command, apply_at);
            let visible = self.visible_at.entry(command).or_insert(visible_at);
            *visible = (*visible).min(visible_at);
        }
    }

    /// A key that is still remembered.
    fn is_known(&self, command: CommandId, at: i64) -> bool {
        self.kind == Kind::Keyed && self.keys.get(&command).is_some_and(|used_at| at < used_at + KEY_LIFETIME_MS)
    }

    /// A request whose first byte leaves now. Returns how it ends, and when.
    pub fn receive(&mut self, rng: &mut Rng, now: i64, command: CommandId, request: &Request) -> (i64, Answer) {
        let deadline = i64::try_from(request.deadline.as_millis()).unwrap();
        let times_out = (now + deadline, Answer::Lost(Loss::Deadline));
        let chance = |rng: &mut Rng, percent: u32| rng.u32(0..100) < percent;
        let is_unanswered = chance(rng, self.temper.unanswered);
        let round_trip = rng.i64(5..500);
        let answered = |status: u16, body: &[u8], at: i64| {
            if is_unanswered || at > times_out.0 {
                times_out.clone()
            } else {
                (at, Answer::Received { status, headers: Vec::new(), body: body.to_vec() })
            }
        };
        if request.method == Method::Get {
            let is_visible = self.visible_at.get(&command).is_some_and(|at| *at <= now);
            return answered(200, if is_visible { b"1" } else { b"0" }, now + round_trip);
        }
        self.received.push((now, command));
        if chance(rng, self.temper.throttled) {
            return answered(429, b"", now + round_trip);
        }
        if chance(rng, self.temper.swallowed) {
            return if rng.bool() { times_out } else { answered(500, b"", now + round_trip) };
        }
        let linger = i64::try_from(LINGER.as_millis()).unwrap();
        let last_byte = if chance(rng, self.temper.late_bytes) { now + rng.i64(0..deadline + linger) } else { now };
        let delay = if chance(rng, self.temper.slow) { rng.i64(0..SETTLE_MS) } else { rng.i64(0..200) };
        let apply_at = last_byte + delay;
        if chance(rng, self.temper.refused) && !self.is_known(command, now) {
            return answered(if rng.bool() { 400 } else { 401 }, b"", apply_at + round_trip);
        }
        let visible_at = rng.i64(apply_at..=last_byte + SETTLE_MS);
        self.pending.push(Pending { apply_at, visible_at, command });
        let status = if chance(rng, self.temper.failing) { 500 } else { 202 };
        answered(status, b"", apply_at + round_trip)
    }
}
