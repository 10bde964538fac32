use tradewind_domain::{
    Account, Capability, Change, Command, CommandBody, CommandClass, ConnectionName, DecisionId, EntityKey, EntityKind,
    InstanceId, MessageSend, Name, Tenant, Vendor,
};
use tradewind_egress::Loss;
use tradewind_vendors::{OpenCommand, Operation};

use super::*;

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const SETTLE: i64 = 2 * MINUTE;
const LIFETIME: i64 = 24 * HOUR;
const DEADLINE: i64 = 48 * HOUR;

const OPERATIONS: &[Operation] = &[Operation { capability: Capability::MessageSend, settle_ms: SETTLE, limits: &[] }];

/// A vendor that recognises a key; its answer's body is the verdict's word.
const KEYED: Outbound = Outbound { operations: OPERATIONS, next: keyed };
/// A vendor that can be asked what it did.
const READABLE: Outbound = Outbound { operations: OPERATIONS, next: readable };
/// A vendor that can do neither.
const NEITHER: Outbound = Outbound { operations: OPERATIONS, next: neither };

fn request(effect: Effect) -> Next {
    let method = tradewind_vendors::Method::Post;
    let request = Request { method, path: "/".into(), headers: Vec::new(), body: b"x".to_vec() };
    Next::Request { step: u32::from(effect == Effect::Read), effect, request }
}

fn judged(answered: &Answered) -> Option<Next> {
    let Answer::Received { status, .. } = answered.answer else { return None };
    let (state, retry_at) = match status {
        202 => (OutcomeState::Succeeded, None),
        429 => (OutcomeState::Throttled, Some(answered.at + 7 * SECOND)),
        401 | 500 => (OutcomeState::Failed, None),
        999 => (OutcomeState::Unknown, None),
        _ => (OutcomeState::Rejected, None),
    };
    let evidence = (status == 401).then(|| Personal { field: "evidence", value: "a withdrawn key".into() });
    Some(Next::Verdict(Verdict { state, code: Name::fixed("told"), retry_at, evidence }))
}

fn keyed(command: &OpenCommand<'_>, answers: &[Answered]) -> Next {
    let key = command.command.id.to_string().into();
    answers.last().and_then(judged).unwrap_or_else(|| request(Effect::Idempotent { key, lifetime_ms: LIFETIME }))
}

fn readable(_: &OpenCommand<'_>, answers: &[Answered]) -> Next {
    let Some(last) = answers.last() else { return request(Effect::Once) };
    match (&last.answer, last.step) {
        (Answer::Lost, _) => request(Effect::Read),
        (Answer::Received { status: 404, .. }, 1) => request(Effect::Once),
        (Answer::Received { .. }, _) => judged(last).expect("an answer that was received"),
    }
}

fn neither(_: &OpenCommand<'_>, answers: &[Answered]) -> Next {
    answers.last().and_then(judged).unwrap_or_else(|| request(Effect::Once))
}

fn command() -> Command {
    let target = EntityKey::at_vendor(
        EntityKind::Cart,
        &Vendor::new("shopify").unwrap(),
        &Account::new("demo.myshopify.com").unwrap(),
        "1",
    );
    Command {
        id: CommandId::from_bytes([7; 16]),
        tenant: Tenant::new("demo").unwrap(),
        connection: ConnectionName::new("mail").unwrap(),
        vendor: Vendor::new("klaviyo").unwrap(),
        account: Account::new("demo").unwrap(),
        target: target.clone(),
        change: Change::Relative,
        class: CommandClass::Promotional,
        issued_at: Timestamp::from_millis(0),
        not_before: Timestamp::from_millis(0),
        deadline: Timestamp::from_millis(DEADLINE),
        workflow: Name::fixed("cart-recovery"),
        instance: InstanceId::from_bytes([1; 16]),
        decision: DecisionId::from_bytes([1; 16]),
        causes: Vec::new(),
        approval: None,
        compensates: None,
        contact: None,
        body: CommandBody::MessageSend(MessageSend {
            channel: Name::fixed("email"),
            template: Name::fixed("cart"),
            cart: Some(target),
            lines: Vec::new(),
            total: None,
            recovery_url: None,
            first_name: None,
        }),
    }
}

/// Both clocks begin at the same moment here.
fn at(millis: i64) -> Moment {
    Moment { boot: Boot(millis), wall: Timestamp::from_millis(millis), speed: 1 }
}

/// One errand and its vendor; each call says when it is made.
struct Case {
    outbound: Outbound,
    errand: Errand,
    command: Command,
}

/// A step, shortly.
#[derive(Debug, PartialEq)]
enum Does {
    Waits(i64),
    Pauses(i64),
    Holds,
    Reads,
    /// Until when it may be sent.
    Claims(i64),
    Ends(OutcomeState, String),
}
use Does::{Claims, Ends, Holds, Pauses, Reads, Waits};

fn ends(state: OutcomeState, code: &str) -> Does {
    Ends(state, code.to_owned())
}

impl Case {
    fn fresh(outbound: Outbound) -> Case {
        let command = command();
        let terms = Terms::of(&command, Some(&OPERATIONS[0]));
        let errand = Errand::fresh(command.id, terms, at(0)).expect("it is in time");
        Case { outbound, errand, command }
    }

    /// A claim of a predecessor that was first made at `first`, read at `read`.
    fn taken_over(outbound: Outbound, first: i64, read: i64) -> Case {
        let command = command();
        let terms = Terms::of(&command, Some(&OPERATIONS[0]));
        let claimed = Claimed {
            command: command.id,
            attempt: 1,
            valid_ms: CLAIM_MS,
            first_claimed_at: Timestamp::from_millis(first),
            step: 0,
        };
        let errand = Errand::taken_over(&claimed, terms, at(read));
        Case { outbound, errand, command }
    }

    fn gated(&mut self, millis: i64, gate: Option<Gate<'_>>) -> Does {
        let open = OpenCommand { command: &self.command, contact: None, first_name: None, recovery_url: None };
        let step = self
            .errand
            .early(at(millis))
            .unwrap_or_else(|| self.errand.decide(at(millis), &self.outbound, &gate.unwrap_or(Gate::Open(&open))));
        match step {
            Step::Wait(until) => Waits(until.0),
            Step::Pause(until) => Pauses(until.0),
            Step::Hold(_) => Holds,
            Step::Read { .. } => Reads,
            Step::Claim { step, until, .. } => {
                self.errand.claim(at(millis), step);
                Claims(until.millis())
            }
            Step::Conclude(conclusion) => Ends(conclusion.state, conclusion.code.as_str().to_owned()),
        }
    }

    fn does(&mut self, millis: i64) -> Does {
        self.gated(millis, None)
    }

    /// A request sent at `sent` is answered at `millis`.
    fn answered(&mut self, sent: i64, millis: i64, step: u32, status: u16) -> Does {
        let ending = Ending::Received { status, headers: Vec::new(), body: Vec::new() };
        assert!(self.errand.ended(at(millis), step, step == 1, Some(Boot(sent)), ending));
        let open = OpenCommand { command: &self.command, contact: None, first_name: None, recovery_url: None };
        match self.errand.decide(at(millis), &self.outbound, &Gate::Open(&open)) {
            Step::Wait(until) => Waits(until.0),
            Step::Pause(until) => Pauses(until.0),
            Step::Hold(_) => Holds,
            Step::Read { .. } => Reads,
            Step::Claim { until, .. } => Claims(until.millis()),
            Step::Conclude(conclusion) => Ends(conclusion.state, conclusion.code.as_str().to_owned()),
        }
    }

    fn lost(&mut self, millis: i64, step: u32) {
        let ending = Ending::Lost(Loss::Deadline);
        assert!(!self.errand.ended(at(millis), step, step == 1, None, ending));
    }
}

/// Until when something of a claim read at 0 may leave.
const CLAIM_LEAVES: i64 = CLAIM_MS + REQUEST_MS + 5 * SECOND;

#[test]
fn a_command_is_claimed_sent_and_done() {
    for outbound in [KEYED, READABLE, NEITHER] {
        let mut case = Case::fresh(outbound);
        assert_eq!(case.does(0), Claims(DEADLINE));
        assert_eq!(case.answered(10, 90, 0, 202), ends(OutcomeState::Succeeded, "told"));
    }
}

/// Counterexample D: A claims, B reads the claim, A sends at the last moment
/// and the vendor applies it later still.
#[test]
fn settling_counts_from_the_end_of_a_predecessors_claim() {
    let mut case = Case::taken_over(READABLE, 0, 0);
    assert_eq!(case.does(1), Waits(CLAIM_MS));
    assert_eq!(case.does(CLAIM_MS), Reads);
    // Settled from when the claim was read, not from when its last byte may have left.
    let early = SETTLE + CLAIM_MS;
    assert_eq!(case.answered(early, early + 50, 1, 404), Waits(CLAIM_LEAVES + SETTLE));
    assert_eq!(case.does(CLAIM_LEAVES + SETTLE), Reads);
    // Invisible all the same: now it did not happen.
    let late = CLAIM_LEAVES + SETTLE;
    assert_eq!(case.answered(late, late + 50, 1, 404), Claims(DEADLINE));
}

/// Counterexample D, the other half: what is there is there, settled or not.
#[test]
fn what_a_read_back_finds_needs_no_settling() {
    let mut case = Case::taken_over(READABLE, 0, 0);
    assert_eq!(case.does(CLAIM_MS), Reads);
    assert_eq!(case.answered(CLAIM_MS, CLAIM_MS + 50, 1, 202), ends(OutcomeState::Succeeded, "told"));
}

/// Counterexample E: nobody ran for longer than the vendor knows keys.
#[test]
fn a_key_is_used_again_only_while_the_vendor_surely_knows_it() {
    let last = LIFETIME - SETTLE - SKEW_MS;
    let mut case = Case::taken_over(KEYED, 0, 0);
    assert_eq!(case.does(CLAIM_MS), Claims(last));
    assert_eq!(case.does(last - 1), Claims(last));
    assert_eq!(case.does(last), ends(OutcomeState::Quarantined, "key_too_old"));

    let mut case = Case::taken_over(KEYED, 0, LIFETIME);
    assert_eq!(case.does(LIFETIME + CLAIM_MS), Waits(LIFETIME + CLAIM_LEAVES + SETTLE));
    let settled = LIFETIME + CLAIM_LEAVES + SETTLE;
    assert_eq!(case.does(settled), ends(OutcomeState::Quarantined, "key_too_old"));
}

/// Counterexample F: the first attempt is still on its way when the second is refused.
#[test]
fn a_refusal_waits_for_what_is_still_under_way() {
    let mut case = Case::fresh(KEYED);
    assert_eq!(case.does(0), Claims(DEADLINE));
    case.lost(8 * SECOND, 0);
    let settled = 8 * SECOND + 5 * SECOND + SETTLE;
    assert_eq!(case.does(10 * SECOND), Claims(LIFETIME - SETTLE - SKEW_MS));
    assert_eq!(case.answered(10 * SECOND, 11 * SECOND, 0, 400), Waits(settled));
    assert_eq!(case.does(settled - 1), Waits(settled));
    assert_eq!(case.does(settled), Claims(LIFETIME - SETTLE - SKEW_MS));
    // Sent after everything settled: now no means no.
    assert_eq!(case.answered(settled, settled + 50, 0, 400), ends(OutcomeState::Rejected, "told"));
}

#[test]
fn a_refusal_of_the_only_attempt_is_final() {
    for outbound in [KEYED, READABLE, NEITHER] {
        let mut case = Case::fresh(outbound);
        assert_eq!(case.does(0), Claims(DEADLINE));
        assert_eq!(case.answered(10, 20, 0, 400), ends(OutcomeState::Rejected, "told"));
    }
}

/// Counterexample G: quarantine lets the next command of the target go.
#[test]
fn quarantine_waits_until_nothing_can_happen_any_more() {
    let mut case = Case::fresh(NEITHER);
    assert_eq!(case.does(0), Claims(DEADLINE));
    case.lost(8 * SECOND, 0);
    let settled = 8 * SECOND + 5 * SECOND + SETTLE;
    assert_eq!(case.does(10 * SECOND), Waits(settled));
    assert_eq!(case.does(settled - 1), Waits(settled));
    assert_eq!(case.does(settled), ends(OutcomeState::Quarantined, "no_answer"));
}

/// Counterexample H: a copy of a command that came to its end long ago.
#[test]
fn a_command_first_seen_an_hour_after_its_deadline_gets_no_outcome() {
    let command = command();
    let terms = Terms::of(&command, Some(&OPERATIONS[0]));
    let seen = |millis| Errand::fresh(command.id, terms, at(millis));
    let mut errand = seen(DEADLINE + HOUR).expect("it is told to have expired");
    let expired = Step::Conclude(Conclusion::ours(OutcomeState::Expired, "deadline"));
    assert_eq!(errand.early(at(DEADLINE + HOUR)), Some(expired));
    assert!(seen(DEADLINE + HOUR + 1).is_none());
}

#[test]
fn past_its_deadline_a_command_that_was_never_claimed_expires() {
    let mut case = Case::fresh(KEYED);
    assert_eq!(case.does(DEADLINE - 1), Claims(DEADLINE));
    let mut case = Case::fresh(KEYED);
    assert_eq!(case.does(DEADLINE), ends(OutcomeState::Expired, "deadline"));
}

#[test]
fn what_expires_keeps_what_the_vendor_said_last() {
    let mut case = Case::fresh(KEYED);
    assert_eq!(case.does(0), Claims(DEADLINE));
    assert!(matches!(case.answered(0, SECOND, 0, 401), Waits(_)));
    let Some(Step::Conclude(conclusion)) = case.errand.early(at(DEADLINE)) else { panic!("expected its end") };
    assert_eq!(conclusion.state, OutcomeState::Expired);
    assert_eq!(conclusion.evidence.map(|evidence| evidence.value), Some("a withdrawn key".into()));
}

#[test]
fn past_its_deadline_a_claimed_command_is_read_back_first() {
    let mut case = Case::taken_over(READABLE, 0, DEADLINE);
    let settled = DEADLINE + CLAIM_LEAVES + SETTLE;
    assert_eq!(case.does(DEADLINE + CLAIM_MS), Reads);
    assert_eq!(case.answered(DEADLINE + CLAIM_MS, DEADLINE + CLAIM_MS + 9, 1, 404), Waits(settled));
    assert_eq!(case.does(settled), Reads);
    assert_eq!(case.answered(settled, settled + 50, 1, 404), ends(OutcomeState::Expired, "deadline"));
    for outbound in [KEYED, NEITHER] {
        let mut case = Case::taken_over(outbound, DEADLINE, DEADLINE);
        assert_eq!(case.does(DEADLINE + CLAIM_MS), Waits(settled));
        assert_eq!(case.does(settled), ends(OutcomeState::Quarantined, "no_answer"));
    }
}

#[test]
fn a_deadline_is_at_most_three_weeks_away() {
    let endless = Command { deadline: Timestamp::MAX, ..command() };
    assert_eq!(Terms::of(&endless, None).deadline.millis(), 21 * 24 * HOUR);
}

#[test]
fn nothing_is_sent_before_its_time() {
    let mut case = Case::fresh(KEYED);
    case.errand.terms.not_before = Timestamp::from_millis(5_000);
    assert_eq!(case.does(4_999), Waits(5_000));
    assert_eq!(case.does(5_000), Claims(DEADLINE));
}

/// In `dev` the log's time flies: its spans are over sooner, those of the machine
/// (claims, settling, our own pauses) are not.
#[test]
fn under_stretched_time_the_logs_spans_are_shorter_and_the_machines_are_not() {
    const SPEED: u32 = 60;
    let stretched =
        |boot: i64| Moment { boot: Boot(boot), wall: Timestamp::from_millis(boot * i64::from(SPEED)), speed: SPEED };
    let mut case = Case::fresh(NEITHER);
    case.errand.terms.not_before = Timestamp::from_millis(HOUR);
    assert_eq!(case.errand.early(stretched(0)), Some(Step::Wait(Boot(MINUTE))));
    assert_eq!(case.errand.early(stretched(MINUTE)), None);
    let wish = Some(Timestamp::from_millis(2 * HOUR));
    assert_eq!(case.errand.retry(stretched(MINUTE), wish), Boot(2 * MINUTE));
    let pause = case.errand.retry(stretched(2 * MINUTE), None).since(Boot(2 * MINUTE));
    assert!((SECOND..=2 * SECOND).contains(&pause), "{pause}");
    let claimed = Claimed {
        command: case.command.id,
        attempt: 1,
        valid_ms: CLAIM_MS,
        first_claimed_at: Timestamp::from_millis(0),
        step: 0,
    };
    let mut taken_over = Errand::taken_over(&claimed, case.errand.terms, stretched(0));
    assert_eq!(taken_over.early(stretched(0)), Some(Step::Wait(Boot(CLAIM_MS))));
}

#[test]
fn a_vendors_wish_to_be_asked_later_is_heard() {
    let mut case = Case::fresh(NEITHER);
    assert_eq!(case.does(0), Claims(DEADLINE));
    assert_eq!(case.answered(10, 1_000, 0, 429), Pauses(1_000 + 7 * SECOND));
    assert_eq!(case.does(7_999), Waits(8_000));
    // Refused for now is not done: it is sent again, also without a key.
    assert_eq!(case.does(8_000), Claims(DEADLINE));
    assert_eq!(case.errand.attempt(), 2);
}

#[test]
fn a_failure_may_have_had_its_effect_unless_its_status_says_no() {
    for (status, may_have) in [(401, false), (500, true), (999, true)] {
        let mut case = Case::fresh(NEITHER);
        assert_eq!(case.does(0), Claims(DEADLINE));
        let Waits(again) = case.answered(10, 20, 0, status) else { panic!("{status} is no end") };
        let next = case.does(again);
        let expected = if may_have { Waits(20 + SETTLE) } else { Claims(DEADLINE) };
        assert_eq!(next, expected, "{status}");
    }
}

#[test]
fn what_was_not_sent_is_sent_later_without_doubt() {
    let mut case = Case::fresh(NEITHER);
    assert_eq!(case.does(0), Claims(DEADLINE));
    let ending = Ending::Unsent(Unsent::Unreachable { reason: "refused".into() });
    assert!(!case.errand.ended(at(100), 0, false, None, ending));
    let Waits(again) = case.does(100) else { panic!("expected a pause") };
    assert!((500..=1_000).contains(&(again - 100)), "{again}");
    assert_eq!(case.does(again), Claims(DEADLINE));
    // A claim that ran out is made again at once.
    assert!(!case.errand.ended(at(50_000), 0, false, None, Ending::Unsent(Unsent::Withheld)));
    assert_eq!(case.does(50_000), Claims(DEADLINE));
}

#[test]
fn pauses_grow_to_a_cap_and_differ_between_commands() {
    let pause = |command: u8, failures| backoff_ms(CommandId::from_bytes([command; 16]), failures);
    for (failures, longest) in [(1, 1_000), (2, 2_000), (5, 16_000), (11, 600_000), (40, 600_000)] {
        let pauses: Vec<i64> = (0..50).map(|command| pause(command, failures)).collect();
        assert!(pauses.iter().all(|ms| (longest / 2..=longest).contains(ms)), "{failures}: {pauses:?}");
        assert!(pauses.iter().any(|ms| *ms != pauses[0]), "{failures}");
    }
    assert_eq!(pause(1, 3), pause(1, 3));
}

#[test]
fn what_may_never_be_sent_ends_unless_it_may_have_been() {
    let bar = || Some(Gate::Barred(OutcomeState::Cancelled, "erased"));
    let mut case = Case::fresh(KEYED);
    assert_eq!(case.gated(0, bar()), ends(OutcomeState::Cancelled, "erased"));
    let mut case = Case::taken_over(KEYED, 0, 0);
    assert_eq!(case.gated(CLAIM_MS, bar()), Waits(CLAIM_LEAVES + SETTLE));
    assert_eq!(case.gated(CLAIM_LEAVES + SETTLE, bar()), ends(OutcomeState::Quarantined, "erased"));
}

#[test]
fn a_shut_gate_holds_a_command_until_its_deadline() {
    let mut case = Case::fresh(KEYED);
    assert_eq!(case.gated(0, Some(Gate::Shut)), Holds);
    assert_eq!(case.does(600), Claims(DEADLINE));
    let mut case = Case::fresh(KEYED);
    assert_eq!(case.gated(DEADLINE, Some(Gate::Shut)), ends(OutcomeState::Expired, "deadline"));
    let mut case = Case::taken_over(KEYED, DEADLINE, DEADLINE);
    let settled = DEADLINE + CLAIM_LEAVES + SETTLE;
    assert_eq!(case.gated(DEADLINE + CLAIM_MS, Some(Gate::Shut)), Waits(settled));
    assert_eq!(case.gated(settled, Some(Gate::Shut)), ends(OutcomeState::Quarantined, "deadline"));
}

#[test]
fn an_attempt_keeps_when_the_command_was_first_claimed() {
    let mut case = Case::taken_over(KEYED, 1_234, 50_000);
    let claimed = case.errand.claim(at(90_000), 0);
    assert_eq!((claimed.attempt, claimed.first_claimed_at.millis()), (2, 1_234));
}

#[test]
fn the_last_of_several_losses_counts() {
    let mut case = Case::fresh(READABLE);
    assert_eq!(case.does(0), Claims(DEADLINE));
    case.lost(8_000, 0);
    assert_eq!(case.does(10_000), Reads);
    case.lost(18_000, 1);
    // A read that is lost changes nothing about the doubt.
    assert_eq!(case.errand.doubt, Some(Boot(13_000)));
    assert_eq!(case.errand.answers.len(), 1);
}
