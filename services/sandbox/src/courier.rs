//! Deliveries on their way: what is due, what was answered, what is tried again,
//! and a ledger of all of it. No clock and no socket: times are given.
//!
//! A *line* is what the receiver subscribed to: a topic of the shop, a trigger of
//! the helpdesk. It closes when its vendor has had enough of failures.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use serde::{Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::settings::Subscriptions;

/// Shopify tries eight times more within four hours, and doubles the pause: 56 s,
/// 113 s, … 120 min. The sum is documented; that it doubles from there is ours.
const SHOP_RETRIES: u32 = 8;
const SHOP_FIRST_PAUSE_MS: i64 = 4 * 60 * 60 * 1_000 / ((1 << SHOP_RETRIES) - 1);

/// Second-hand: Gorgias asks three times more, and only where the receiver failed.
const DESK_RETRIES: u32 = 3;
const DESK_FIRST_PAUSE_MS: i64 = 10_000;

/// So many requests failing in a row switch an integration off.
const DESK_FAILURES_MAX: u32 = 100;

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sender {
    Shop,
    Desk,
}

/// What an attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Status(u16),
    /// No connection within a second.
    Unreachable,
    /// Connected, and no answer within five seconds.
    TimedOut,
    /// The connection ended before the answer.
    Broken,
}

impl Answer {
    const fn is_accepted(self) -> bool {
        matches!(self, Answer::Status(200..=299))
    }

    /// The word in counts: a status or a reason.
    #[must_use]
    pub fn word(self) -> String {
        match self {
            Answer::Status(status) => status.to_string(),
            Answer::Unreachable => "unreachable".to_owned(),
            Answer::TimedOut => "timed_out".to_owned(),
            Answer::Broken => "broken".to_owned(),
        }
    }
}

impl Serialize for Answer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.word())
    }
}

/// One request that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Attempt {
    /// When it was sent, and when that had come to something.
    pub sent_at_ms: i64,
    pub settled_at_ms: i64,
    pub answer: Answer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    Waiting,
    Accepted,
    /// Every attempt failed, or the receiver's answer left no point in another.
    GaveUp,
    /// The line was closed before an attempt succeeded.
    LineClosed,
}

/// A delivery in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Delivery {
    pub number: u64,
    pub sender: Sender,
    /// The topic or trigger.
    pub line: &'static str,
    /// The vendor's id of the delivery; the helpdesk gives none.
    pub webhook_id: String,
    pub event_id: String,
    /// The cart's or checkout's token, the order's or ticket's number.
    pub object: String,
    /// The delivery that this one repeats.
    pub copy_of: Option<u64>,
    pub triggered_at_ms: i64,
    pub body_sha256: String,
    #[serde(skip)]
    pub body: Bytes,
    pub state: DeliveryState,
    pub attempts: Vec<Attempt>,
}

/// What is to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub(crate) sender: Sender,
    pub(crate) line: &'static str,
    pub(crate) webhook_id: String,
    pub(crate) event_id: String,
    pub(crate) object: String,
    pub(crate) triggered_at_ms: i64,
    pub(crate) is_newer: bool,
    /// Without the signature, which each attempt has anew.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

/// An attempt to be made now.
#[derive(Clone, Debug)]
pub(crate) struct Due {
    pub(crate) number: u64,
    /// Counted from 0.
    pub(crate) attempt: usize,
    pub(crate) letter: Arc<Letter>,
}

#[derive(Clone, Debug, Serialize)]
pub(crate) struct LineStatus {
    pub(crate) sender: Sender,
    pub(crate) line: &'static str,
    pub(crate) is_open: bool,
    pub(crate) failures_in_a_row: u32,
    #[serde(skip)]
    accepted_at_ms: Option<i64>,
}

/// Exact, whatever the ledger has forgotten.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DeliveryCounts {
    /// Without copies.
    pub deliveries: u64,
    pub copies: u64,
    pub attempts: u64,
    pub accepted: u64,
    pub gave_up: u64,
    pub line_closed: u64,
    pub waiting: u64,
    /// By status or reason.
    pub answers: BTreeMap<String, u64>,
}

#[derive(Debug)]
pub(crate) struct Courier {
    subscriptions: Subscriptions,
    kept: usize,
    /// By due time, then in the order they were planned.
    due: BinaryHeap<Reverse<(i64, u64)>>,
    letters: BTreeMap<u64, Arc<Letter>>,
    ledger: BTreeMap<u64, Delivery>,
    settled: VecDeque<u64>,
    lines: BTreeMap<(Sender, &'static str), LineStatus>,
    counts: BTreeMap<Sender, DeliveryCounts>,
    numbers: u64,
    in_flight: usize,
}

impl Courier {
    pub(crate) fn new(
        subscriptions: Subscriptions,
        kept: usize,
        lines: impl Iterator<Item = (Sender, &'static str)>,
    ) -> Courier {
        let open = |(sender, line)| {
            let status = LineStatus { sender, line, is_open: true, failures_in_a_row: 0, accepted_at_ms: None };
            ((sender, line), status)
        };
        Courier {
            subscriptions,
            kept,
            due: BinaryHeap::new(),
            letters: BTreeMap::new(),
            ledger: BTreeMap::new(),
            settled: VecDeque::new(),
            lines: lines.map(open).collect(),
            counts: BTreeMap::new(),
            numbers: 0,
            in_flight: 0,
        }
    }

    /// Takes a letter on, to be sent then for the first time.
    pub(crate) fn take_on(&mut self, letter: Letter, due_ms: i64, copy_of: Option<u64>) -> u64 {
        let number = self.numbers;
        self.numbers += 1;
        let digest = Sha256::digest(&letter.body);
        let delivery = Delivery {
            number,
            sender: letter.sender,
            line: letter.line,
            webhook_id: letter.webhook_id.clone(),
            event_id: letter.event_id.clone(),
            object: letter.object.clone(),
            copy_of,
            triggered_at_ms: letter.triggered_at_ms,
            body_sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
            body: letter.body.clone(),
            state: DeliveryState::Waiting,
            attempts: Vec::new(),
        };
        let counts = self.counts.entry(letter.sender).or_default();
        match copy_of {
            Some(_) => counts.copies += 1,
            None => counts.deliveries += 1,
        }
        counts.waiting += 1;
        self.ledger.insert(number, delivery);
        self.letters.insert(number, Arc::new(letter));
        self.due.push(Reverse((due_ms, number)));
        number
    }

    pub(crate) fn next_due_ms(&self) -> Option<i64> {
        self.due.peek().map(|Reverse((due_ms, _))| *due_ms)
    }

    /// Nothing waits and nothing is under way.
    pub(crate) fn is_idle(&self) -> bool {
        self.due.is_empty() && self.in_flight == 0
    }

    /// The next attempt that is due. What a closed line had waiting ends here.
    pub(crate) fn next_due(&mut self, now_ms: i64) -> Option<Due> {
        while self.next_due_ms().is_some_and(|due_ms| due_ms <= now_ms) {
            let Reverse((_, number)) = self.due.pop()?;
            let letter = Arc::clone(&self.letters[&number]);
            if !self.lines[&(letter.sender, letter.line)].is_open {
                self.settle(number, DeliveryState::LineClosed);
                continue;
            }
            self.in_flight += 1;
            return Some(Due { number, attempt: self.ledger[&number].attempts.len(), letter });
        }
        None
    }

    pub(crate) fn answered(&mut self, number: u64, attempt: Attempt) {
        self.in_flight -= 1;
        let delivery = self.ledger.get_mut(&number).expect("a delivery that waits is in the ledger");
        delivery.attempts.push(attempt);
        let (sender, line) = (delivery.sender, delivery.line);
        let first_sent_at_ms = delivery.attempts[0].sent_at_ms;
        let attempts = delivery.attempts.len();
        let counts = self.counts.entry(sender).or_default();
        counts.attempts += 1;
        *counts.answers.entry(attempt.answer.word()).or_default() += 1;

        let status = self.lines.get_mut(&(sender, line)).expect("a line that is sent on");
        if attempt.answer.is_accepted() {
            status.failures_in_a_row = 0;
            status.accepted_at_ms = Some(attempt.settled_at_ms);
            self.settle(number, DeliveryState::Accepted);
            return;
        }
        status.failures_in_a_row += 1;
        let retry_at_ms = retry_after_ms(sender, attempt.answer, attempts).map(|pause| attempt.settled_at_ms + pause);
        match sender {
            // A delivery that failed to its end, with none of its topic accepted meanwhile.
            Sender::Shop => {
                let was_silent = status.accepted_at_ms.is_none_or(|at_ms| at_ms < first_sent_at_ms);
                if retry_at_ms.is_none() && was_silent && self.subscriptions == Subscriptions::OfTheShop {
                    status.is_open = false;
                }
            }
            Sender::Desk if status.failures_in_a_row >= DESK_FAILURES_MAX => status.is_open = false,
            Sender::Desk => {}
        }
        match retry_at_ms {
            Some(retry_at_ms) => self.due.push(Reverse((retry_at_ms, number))),
            None => self.settle(number, DeliveryState::GaveUp),
        }
    }

    /// As a merchant does who finds a subscription gone or an integration off.
    pub(crate) fn reopen_lines(&mut self) {
        for status in self.lines.values_mut() {
            status.is_open = true;
            status.failures_in_a_row = 0;
        }
    }

    fn settle(&mut self, number: u64, state: DeliveryState) {
        let delivery = self.ledger.get_mut(&number).expect("a delivery that waits is in the ledger");
        delivery.state = state;
        let counts = self.counts.entry(delivery.sender).or_default();
        counts.waiting -= 1;
        match state {
            DeliveryState::Accepted => counts.accepted += 1,
            DeliveryState::GaveUp => counts.gave_up += 1,
            DeliveryState::LineClosed => counts.line_closed += 1,
            DeliveryState::Waiting => unreachable!("waiting settles nothing"),
        }
        self.letters.remove(&number);
        self.settled.push_back(number);
        if self.settled.len() > self.kept {
            self.settled.pop_front().and_then(|oldest| self.ledger.remove(&oldest));
        }
    }

    pub(crate) fn ledger(&self) -> impl DoubleEndedIterator<Item = &Delivery> {
        self.ledger.values()
    }

    /// Those from that number on.
    pub(crate) fn ledger_from(&self, number: u64) -> impl Iterator<Item = &Delivery> {
        self.ledger.range(number..).map(|(_, delivery)| delivery)
    }

    pub(crate) fn lines(&self) -> impl Iterator<Item = &LineStatus> {
        self.lines.values()
    }

    pub(crate) fn counts(&self, sender: Sender) -> DeliveryCounts {
        self.counts.get(&sender).cloned().unwrap_or_default()
    }
}

/// How long until the next attempt, after so many; `None` is never.
fn retry_after_ms(sender: Sender, answer: Answer, attempts: usize) -> Option<i64> {
    let earlier_retries = u32::try_from(attempts - 1).expect("few attempts");
    let (retries, first_pause_ms) = match sender {
        Sender::Shop => (SHOP_RETRIES, SHOP_FIRST_PAUSE_MS),
        Sender::Desk => (DESK_RETRIES, DESK_FIRST_PAUSE_MS),
    };
    let is_final = sender == Sender::Desk && matches!(answer, Answer::Status(300..=428 | 430..=499));
    (earlier_retries < retries && !is_final).then(|| first_pause_ms << earlier_retries)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn courier(subscriptions: Subscriptions) -> Courier {
        let lines = [(Sender::Shop, "orders/create"), (Sender::Desk, "ticket-created")];
        Courier::new(subscriptions, 10, lines.into_iter())
    }

    fn letter(sender: Sender) -> Letter {
        let line = match sender {
            Sender::Shop => "orders/create",
            Sender::Desk => "ticket-created",
        };
        Letter {
            sender,
            line,
            webhook_id: "w".to_owned(),
            event_id: "e".to_owned(),
            object: "5".to_owned(),
            triggered_at_ms: 0,
            is_newer: false,
            headers: Vec::new(),
            body: Bytes::from_static(b"{}"),
        }
    }

    /// Sends whatever is due until nothing is; when each attempt was made.
    fn run(courier: &mut Courier, answer: impl Fn(usize) -> Answer) -> Vec<i64> {
        let mut sent = Vec::new();
        while let Some(now_ms) = courier.next_due_ms() {
            let Some(due) = courier.next_due(now_ms) else { continue };
            sent.push(now_ms);
            let attempt = Attempt { sent_at_ms: now_ms, settled_at_ms: now_ms, answer: answer(due.attempt) };
            courier.answered(due.number, attempt);
        }
        sent
    }

    #[test]
    fn a_webhook_is_tried_eight_times_more_within_four_hours() {
        let mut courier = courier(Subscriptions::OfTheShop);
        courier.take_on(letter(Sender::Shop), 0, None);
        let sent = run(&mut courier, |_| Answer::Status(503));
        assert_eq!(sent.len(), 9);
        let pauses: Vec<i64> = sent.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(pauses.windows(2).all(|pair| pair[1] == pair[0] * 2), "{pauses:?}");
        let last_ms = sent[8];
        assert!((4 * 3_600_000 - 1_000..=4 * 3_600_000).contains(&last_ms), "{last_ms}");
        let counts = courier.counts(Sender::Shop);
        assert_eq!((counts.gave_up, counts.attempts, counts.waiting), (1, 9, 0));
        assert_eq!(counts.answers, BTreeMap::from([("503".to_owned(), 9)]));
    }

    #[test]
    fn a_subscription_that_only_fails_is_deleted_and_sends_no_more() {
        for (subscriptions, is_open) in [(Subscriptions::OfTheShop, false), (Subscriptions::OfTheApp, true)] {
            let mut courier = courier(subscriptions);
            courier.take_on(letter(Sender::Shop), 0, None);
            run(&mut courier, |_| Answer::Status(500));
            assert_eq!(courier.lines().any(|status| status.sender == Sender::Shop && status.is_open), is_open);
            courier.take_on(letter(Sender::Shop), 20_000_000, None);
            let sent = run(&mut courier, |_| Answer::Status(200));
            assert_eq!(sent.len(), usize::from(is_open));
            assert_eq!(courier.counts(Sender::Shop).line_closed, u64::from(!is_open));
        }
    }

    #[test]
    fn a_subscription_of_which_anything_is_accepted_stays() {
        let mut courier = courier(Subscriptions::OfTheShop);
        let unlucky = courier.take_on(letter(Sender::Shop), 0, None);
        courier.take_on(letter(Sender::Shop), 1_000, None);
        while let Some(now_ms) = courier.next_due_ms() {
            let due = courier.next_due(now_ms).expect("due now");
            let answer = Answer::Status(if due.number == unlucky { 400 } else { 200 });
            courier.answered(due.number, Attempt { sent_at_ms: now_ms, settled_at_ms: now_ms, answer });
        }
        assert_eq!((courier.counts(Sender::Shop).gave_up, courier.counts(Sender::Shop).accepted), (1, 1));
        assert!(courier.lines().all(|status| status.is_open));
    }

    #[test]
    fn a_line_can_be_opened_again() {
        let mut courier = courier(Subscriptions::OfTheShop);
        courier.take_on(letter(Sender::Shop), 0, None);
        run(&mut courier, |_| Answer::Unreachable);
        courier.reopen_lines();
        courier.take_on(letter(Sender::Shop), 20_000_000, None);
        assert_eq!(run(&mut courier, |_| Answer::Status(202)), [20_000_000]);
    }

    #[test]
    fn only_2xx_is_acceptance() {
        for (status, is_accepted) in [(199, false), (200, true), (204, true), (299, true), (301, false), (401, false)] {
            assert_eq!(Answer::Status(status).is_accepted(), is_accepted, "{status}");
        }
    }

    #[test]
    fn the_helpdesk_repeats_what_failed_and_not_what_was_refused() {
        for (answer, attempts) in [
            (Answer::TimedOut, 4),
            (Answer::Status(503), 4),
            (Answer::Status(429), 4),
            (Answer::Status(401), 1),
            (Answer::Status(200), 1),
        ] {
            let mut courier = courier(Subscriptions::OfTheShop);
            courier.take_on(letter(Sender::Desk), 0, None);
            assert_eq!(run(&mut courier, |_| answer).len(), attempts, "{answer:?}");
        }
    }

    #[test]
    fn a_hundred_failures_in_a_row_switch_an_integration_off() {
        let mut courier = courier(Subscriptions::OfTheShop);
        for at_ms in 0..120 {
            courier.take_on(letter(Sender::Desk), at_ms * 100, None);
        }
        let sent = run(&mut courier, |_| Answer::Status(404));
        assert_eq!(sent.len(), 100);
        assert_eq!(courier.counts(Sender::Desk).line_closed, 20);
    }

    #[test]
    fn one_success_begins_the_count_of_failures_anew() {
        let mut courier = courier(Subscriptions::OfTheShop);
        for at_ms in 0..150 {
            courier.take_on(letter(Sender::Desk), at_ms, None);
        }
        while let Some(due) = courier.next_due_ms().and_then(|now_ms| courier.next_due(now_ms)) {
            let answer = Answer::Status(if due.number == 75 { 200 } else { 404 });
            courier.answered(due.number, Attempt { sent_at_ms: 0, settled_at_ms: 0, answer });
        }
        let status = courier.lines().find(|status| status.sender == Sender::Desk).expect("a line");
        assert_eq!((status.is_open, status.failures_in_a_row), (true, 74));
    }

    #[test]
    fn the_ledger_forgets_what_is_settled_and_counts_on() {
        let mut courier = courier(Subscriptions::OfTheShop);
        for at_ms in 0..25 {
            courier.take_on(letter(Sender::Shop), at_ms, None);
        }
        assert_eq!(courier.ledger().count(), 25);
        run(&mut courier, |_| Answer::Status(200));
        assert_eq!(courier.ledger().map(|delivery| delivery.number).collect::<Vec<_>>(), (15..25).collect::<Vec<_>>());
        assert_eq!(courier.counts(Sender::Shop).accepted, 25);
    }
}
