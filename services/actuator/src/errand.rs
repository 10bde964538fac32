//! One command on its way: what to do next, given what was answered, what may
//! have happened unseen, and the time. Nothing here does anything.
//!
//! The word for what is not known is *doubt*: a request that may have an effect
//! left, or may have, and nothing told what became of it. The settle time counts
//! from the last moment at which a byte of it may have left.

mod step;

use tradewind_domain::{Claimed, CommandId, OutcomeState, Timestamp, derive};
use tradewind_egress::{Answer as Ending, LINGER, Unsent};
use tradewind_vendors::{Answer, Answered, Effect, Next, Outbound, Personal, Request, Verdict};

use crate::clock::{Boot, Moment};
use crate::setback::Setback;

pub use step::Terms;
pub(crate) use step::{Conclusion, Gate, Step};

/// How long a claim holds: an append, a name's address, a connection with TLS.
pub(crate) const CLAIM_MS: i64 = 30_000;

/// From a request's beginning to the last byte of its answer.
pub(crate) const REQUEST_MS: i64 = 8_000;

/// How far apart the clocks of two machines may be.
const SKEW_MS: i64 = 60_000;

/// A command without a ledger entry that is first seen later than this after
/// its deadline was told missing already.
const MISSING_MS: i64 = 60 * 60 * 1_000;

/// The first pause between two attempts, and the longest.
const BACKOFF_MS: i64 = 1_000;
const BACKOFF_MS_MAX: i64 = 10 * 60 * 1_000;

/// A vendor's wish to be asked later is heard up to here.
const RETRY_AFTER_MS_MAX: i64 = 24 * 60 * 60 * 1_000;

/// How soon a command that may not be sent now is looked at again: an operator
/// who stops or resumes sees it within a second.
const RECHECK_MS: i64 = 500;

#[derive(Debug)]
pub(crate) struct Errand {
    command: CommandId,
    terms: Terms,
    /// Claims so far, over all processes.
    attempt: u32,
    first_claimed_at: Option<Timestamp>,
    /// The last moment at which a byte of a request in doubt may have left.
    doubt: Option<Boot>,
    /// For the vendor's code; a request in doubt stands as `Lost`, once.
    answers: Vec<Answered>,
    /// About the newest answer, if it was received.
    last: Option<Received>,
    /// Nothing is done before.
    rest_until: Boot,
    /// Without progress, in a row.
    failures: u32,
    /// What the vendor said last, for whoever has to judge.
    evidence: Option<Personal>,
    /// That the newest request did not do it, until it is told.
    setback: Option<Setback>,
}

#[derive(Clone, Copy, Debug)]
struct Received {
    /// When its request was sent; `None` if that is not known.
    sent_at: Option<Boot>,
    is_read: bool,
    status: u16,
}

impl Errand {
    /// A command without a ledger entry, seen now for the first time. `None` if
    /// it is too late for any outcome: it was told missing, and may have had an
    /// outcome before its entry was forgotten.
    pub(crate) fn fresh(command: CommandId, terms: Terms, now: Moment) -> Option<Errand> {
        (now.wall <= terms.deadline + MISSING_MS).then(|| Errand {
            command,
            terms,
            attempt: 0,
            first_claimed_at: None,
            doubt: None,
            answers: Vec::new(),
            last: None,
            rest_until: Boot::default(),
            failures: 0,
            evidence: None,
            setback: None,
        })
    }

    /// A command that a predecessor claimed: it may still send until the claim
    /// ends, counted from when we read it, and what it sent may be under way for
    /// as long as a request takes.
    pub(crate) fn taken_over(claimed: &Claimed, terms: Terms, read_at: Moment) -> Errand {
        let claim_ends = read_at.boot + claimed.valid_ms;
        Errand {
            command: claimed.command,
            terms,
            attempt: claimed.attempt,
            first_claimed_at: Some(claimed.first_claimed_at),
            doubt: Some(claim_ends + REQUEST_MS + linger_ms()),
            answers: vec![Answered { step: claimed.step, at: read_at.wall, answer: Answer::Lost }],
            last: None,
            rest_until: claim_ends,
            failures: 0,
            evidence: None,
            setback: None,
        }
    }

    /// Whether the newest request did not do it; told once.
    pub(crate) fn take_setback(&mut self) -> Option<Setback> {
        self.setback.take()
    }

    /// When it is to be looked at again.
    pub(crate) fn rest_until(&self) -> Boot {
        self.rest_until
    }

    pub(crate) fn attempt(&self) -> u32 {
        self.attempt
    }

    /// What can be said without asking anybody.
    pub(crate) fn early(&mut self, now: Moment) -> Option<Step> {
        if now.boot < self.rest_until {
            return Some(Step::Wait(self.rest_until));
        }
        if self.doubt.is_none() && now.wall >= self.terms.deadline {
            return Some(self.expired());
        }
        if self.attempt == 0 && now.wall < self.terms.not_before {
            return Some(Step::Wait(now.boot_at(self.terms.not_before.min(self.terms.deadline))));
        }
        None
    }

    /// The whole choice, where [`Errand::early`] had nothing to say.
    pub(crate) fn decide(&mut self, now: Moment, outbound: &Outbound, gate: &Gate<'_>) -> Step {
        let open = match gate {
            Gate::Barred(state, code) => {
                return match self.doubt {
                    None => Step::Conclude(Conclusion::ours(*state, code)),
                    Some(since) => self.unresolved(now, since, code),
                };
            }
            Gate::Shut => {
                return match self.doubt {
                    Some(since) if now.wall >= self.terms.deadline => self.unresolved(now, since, "deadline"),
                    Some(_) | None => Step::Hold(self.before_deadline(now, now.boot + RECHECK_MS)),
                };
            }
            Gate::Open(open) => *open,
        };
        match (outbound.next)(open, &self.answers) {
            Next::Verdict(verdict) => self.judge(now, verdict),
            Next::Request { step, effect: Effect::Read, request } => Step::Read { step, request },
            Next::Request { step, effect: Effect::Once, request } => self.effect(now, step, request, None),
            Next::Request { step, effect: Effect::Idempotent { key: _, lifetime_ms }, request } => {
                self.effect(now, step, request, Some(lifetime_ms))
            }
        }
    }

    /// A request that may have an effect; `lifetime_ms` is its key's, if it has one.
    fn effect(&mut self, now: Moment, step: u32, request: Request, lifetime_ms: Option<i64>) -> Step {
        let is_late = now.wall >= self.terms.deadline;
        let claim = |until| Step::Claim { step, request, until, is_once: lifetime_ms.is_none() };
        let Some(since) = self.doubt else {
            return if is_late { self.expired() } else { claim(self.terms.deadline) };
        };
        if let Some(Received { sent_at, is_read: true, .. }) = self.last {
            if !self.is_settled(since, sent_at) {
                // It may only be invisible: look again when it can't be.
                self.back_to_doubt();
                return self.rest(since + self.terms.settle_ms);
            }
            self.doubt = None;
            return if is_late { self.expired() } else { claim(self.terms.deadline) };
        }
        let key_until = lifetime_ms
            .zip(self.first_claimed_at)
            .map(|(lifetime_ms, first_claimed_at)| first_claimed_at + lifetime_ms - self.terms.settle_ms - SKEW_MS);
        match key_until {
            Some(key_until) if now.wall < key_until && !is_late => claim(key_until.min(self.terms.deadline)),
            Some(_) if !is_late => self.unresolved(now, since, "key_too_old"),
            Some(_) | None => self.unresolved(now, since, "no_answer"),
        }
    }

    fn judge(&mut self, now: Moment, verdict: Verdict) -> Step {
        let Verdict { state, code, retry_at, evidence } = verdict;
        let conclusion = Conclusion { state, code, evidence };
        match state {
            OutcomeState::Succeeded | OutcomeState::Accepted | OutcomeState::Compensated | OutcomeState::Resolved => {
                Step::Conclude(conclusion)
            }
            OutcomeState::Rejected
            | OutcomeState::Superseded
            | OutcomeState::Cancelled
            | OutcomeState::Expired
            | OutcomeState::DeadLettered => self.refused(now, conclusion),
            OutcomeState::Throttled => {
                self.setback = Some(Setback::of("throttled", conclusion.code));
                self.evidence = conclusion.evidence;
                self.drop_answer();
                Step::Pause(self.retry(now, retry_at))
            }
            OutcomeState::Failed | OutcomeState::Unknown => {
                self.setback = Some(Setback::of(state.as_str(), conclusion.code));
                self.evidence = conclusion.evidence;
                let is_no = |status| state == OutcomeState::Failed && is_refusal(status);
                if self.last.is_none_or(|last| last.is_read || is_no(last.status)) {
                    self.drop_answer();
                } else {
                    self.doubted(now, now.boot);
                }
                self.retry(now, retry_at);
                Step::Wait(self.rest_until)
            }
            OutcomeState::Quarantined => {
                let since = self.doubt.unwrap_or(now.boot);
                self.doubt = Some(since);
                if now.boot >= since + self.terms.settle_ms {
                    Step::Conclude(conclusion)
                } else {
                    self.rest(since + self.terms.settle_ms)
                }
            }
        }
    }

    /// A no. It is the end only if no earlier request can still say yes.
    fn refused(&mut self, now: Moment, conclusion: Conclusion) -> Step {
        let Some(since) = self.doubt else { return Step::Conclude(conclusion) };
        match self.last {
            Some(last) if self.is_settled(since, last.sent_at) => Step::Conclude(conclusion),
            Some(_) => {
                self.evidence = conclusion.evidence;
                self.back_to_doubt();
                self.rest(since + self.terms.settle_ms)
            }
            // Nobody was asked: that says nothing about what was sent before.
            None => self.unresolved(now, since, "no_answer"),
        }
    }

    /// With what the vendor said last, if it was ever asked.
    fn expired(&mut self) -> Step {
        let evidence = self.evidence.take();
        Step::Conclude(Conclusion { evidence, ..Conclusion::ours(OutcomeState::Expired, "deadline") })
    }

    /// A person has to tell; but not before nothing can happen any more.
    fn unresolved(&mut self, now: Moment, since: Boot, code: &'static str) -> Step {
        let settled = since + self.terms.settle_ms;
        if now.boot < settled {
            return self.rest(settled);
        }
        let evidence = self.evidence.take();
        Step::Conclude(Conclusion { evidence, ..Conclusion::ours(OutcomeState::Quarantined, code) })
    }

    /// The claim of a request to be made durable, counted from `now`.
    pub(crate) fn claim(&mut self, now: Moment, step: u32) -> Claimed {
        self.attempt += 1;
        let first_claimed_at = *self.first_claimed_at.get_or_insert(now.wall);
        Claimed { command: self.command, attempt: self.attempt, valid_ms: CLAIM_MS, first_claimed_at, step }
    }

    /// A request ended; true if there is an answer to be judged.
    pub(crate) fn ended(
        &mut self,
        now: Moment,
        step: u32,
        is_read: bool,
        sent_at: Option<Boot>,
        ending: Ending,
    ) -> bool {
        match ending {
            Ending::Received { status, headers, body } => {
                let answer = Answer::Received { status, headers, body };
                self.answers.push(Answered { step, at: now.wall, answer });
                self.last = Some(Received { sent_at, is_read, status });
                self.rest_until = now.boot;
                return true;
            }
            Ending::Unsent(Unsent::Withheld) => self.rest_until = now.boot,
            Ending::Unsent(Unsent::Refused { .. } | Unsent::Unreachable { .. }) => {
                self.setback = Some(Setback::of("unreachable", None));
                self.retry(now, None);
            }
            Ending::Lost(_) => {
                self.setback = Some(Setback::of("lost", None));
                if !is_read {
                    self.answers.push(Answered { step, at: now.wall, answer: Answer::Lost });
                    self.doubted(now, now.boot + linger_ms());
                }
                self.retry(now, None);
            }
        }
        false
    }

    /// The newest request may have had its effect; its last byte left at `last_byte` at the latest.
    fn doubted(&mut self, now: Moment, last_byte: Boot) {
        self.doubt = self.doubt.max(Some(last_byte));
        if let Some(newest) = self.answers.last_mut() {
            newest.answer = Answer::Lost;
            newest.at = now.wall;
        }
        self.back_to_doubt();
    }

    /// The request of the newest answer is sent again, as if it had not been.
    fn drop_answer(&mut self) {
        if self.last.take().is_some() {
            self.answers.pop();
        }
    }

    /// Drops what was answered behind the first request in doubt: it is stale.
    fn back_to_doubt(&mut self) {
        let first = self.answers.iter().position(|answered| answered.answer == Answer::Lost);
        self.answers.truncate(first.map_or(0, |first| first + 1));
        self.last = None;
    }

    fn is_settled(&self, since: Boot, sent_at: Option<Boot>) -> bool {
        sent_at.is_some_and(|sent_at| sent_at >= since + self.terms.settle_ms)
    }

    fn rest(&mut self, until: Boot) -> Step {
        self.rest_until = until;
        Step::Wait(until)
    }

    /// Rests until the vendor wishes to be asked again, or for ever longer.
    /// Returns when that is, whatever this command's deadline.
    fn retry(&mut self, now: Moment, retry_at: Option<Timestamp>) -> Boot {
        self.failures += 1;
        let until = match retry_at {
            Some(retry_at) => now.boot_in(retry_at.since(now.wall).clamp(0, RETRY_AFTER_MS_MAX)),
            None => now.boot + backoff_ms(self.command, self.failures),
        };
        self.rest_until = self.before_deadline(now, until);
        until
    }

    /// A deadline that is still ahead is not slept through.
    fn before_deadline(&self, now: Moment, until: Boot) -> Boot {
        let deadline = now.boot_at(self.terms.deadline);
        if deadline > now.boot { until.min(deadline) } else { until }
    }
}

fn linger_ms() -> i64 {
    i64::try_from(LINGER.as_millis()).expect("a few seconds")
}

/// A status that says the request was not carried out. 408 says only that the
/// server has waited long enough.
fn is_refusal(status: u16) -> bool {
    (400..500).contains(&status) && status != 408
}

/// Doubles up to its cap; the upper half of it is drawn, from the command and
/// the count alone.
fn backoff_ms(command: CommandId, failures: u32) -> i64 {
    let doubled = BACKOFF_MS << failures.saturating_sub(1).min(20);
    let half = doubled.min(BACKOFF_MS_MAX) / 2;
    let digest = derive("backoff", &[command.as_bytes(), &failures.to_be_bytes()]);
    let drawn = i64::from(u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]));
    half + drawn * half / i64::from(u32::MAX)
}

#[cfg(test)]
mod tests;
