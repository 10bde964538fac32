//! What people do: they fill carts, change their minds, check out, order, walk
//! away, cancel, and ask the shop where their things are.
//!
//! A visit is planned as a whole when it begins, from the seed and its number
//! alone, and its moments come out in order of time among those of all others. No
//! clock is read: the plan of a run is the same however fast it is carried out.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use crate::chance::Chance;
use crate::people::{ARTICLES, Article, BEYOND_DOUBLES, Customer};

const SECOND_MS: i64 = 1_000;
const MINUTE_MS: i64 = 60 * SECOND_MS;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// What decides the plan.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) started_at_ms: i64,
    pub(crate) customers: u32,
    pub(crate) visits_per_hour: u32,
    pub(crate) visits_max: Option<u64>,
    /// Per mille of visits.
    pub(crate) tickets: u16,
}

/// One person at the shop, once.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) number: u64,
    pub(crate) customer: Customer,
    pub(crate) known_as: KnownAs,
    pub(crate) began_at_ms: i64,
    pub(crate) checkout_at_ms: i64,
    pub(crate) cart_token: String,
    pub(crate) checkout_token: String,
    /// The checkout's number, which stands in its name.
    pub(crate) checkout_number: u64,
    pub(crate) order_id: u64,
    /// In thousandths of a dollar for a euro, if the prices were shown in dollars.
    pub(crate) dollars_per_euro_mille: Option<u64>,
    pub(crate) ticket: Option<Ticket>,
}

/// What a checkout says of the person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KnownAs {
    /// With an account: customer, e-mail, telephone.
    Member,
    /// The e-mail they typed; there is no customer.
    Guest,
    /// A telephone number; e-mail and customer are null.
    Caller,
}

/// A question to the shop, from its opening to its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket {
    pub(crate) id: u64,
    pub(crate) opened_at_ms: i64,
    pub(crate) answered_at_ms: i64,
    pub(crate) closed_at_ms: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Line {
    pub(crate) article: usize,
    pub(crate) pieces: u64,
}

impl Line {
    pub(crate) fn article(self) -> Article {
        ARTICLES[self.article]
    }

    pub(crate) fn cents(self) -> u64 {
        self.article().price_cents * self.pieces
    }
}

/// What happens in a visit. Lines are what the cart held at that moment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Moment {
    Cart { lines: Vec<Line>, is_new: bool },
    Checkout { lines: Vec<Line>, is_new: bool, is_completed: bool },
    Ordered { lines: Vec<Line> },
    Cancelled { lines: Vec<Line>, ordered_at_ms: i64 },
    TicketOpened,
    TicketAnswered,
    TicketClosed,
}

#[derive(Clone, Debug)]
pub(crate) struct Happening {
    pub(crate) at_ms: i64,
    /// Counts what was planned; it names the happening, and settles ties.
    pub(crate) number: u64,
    pub(crate) visit: Arc<Visit>,
    pub(crate) moment: Moment,
}

impl PartialEq for Happening {
    fn eq(&self, other: &Happening) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Happening {}

impl PartialOrd for Happening {
    fn partial_cmp(&self, other: &Happening) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Happening {
    fn cmp(&self, other: &Happening) -> std::cmp::Ordering {
        (self.at_ms, self.number).cmp(&(other.at_ms, other.number))
    }
}

/// Everything that happens, in order of time.
#[derive(Debug)]
pub(crate) struct Life {
    plan: Plan,
    planned: BinaryHeap<Reverse<Happening>>,
    happenings: u64,
    visits: u64,
    next_visit_at_ms: i64,
}

impl Life {
    pub(crate) fn new(plan: Plan) -> Life {
        let next_visit_at_ms = plan.started_at_ms;
        Life { plan, planned: BinaryHeap::new(), happenings: 0, visits: 0, next_visit_at_ms }
    }

    /// When the next thing happens; `None` when nothing ever does.
    pub(crate) fn next_at_ms(&mut self) -> Option<i64> {
        self.begin_visits();
        self.planned.peek().map(|Reverse(happening)| happening.at_ms)
    }

    /// Begins the visits that begin before anything planned happens.
    fn begin_visits(&mut self) {
        while self.plan.visits_max.is_none_or(|visits_max| self.visits < visits_max)
            && self.planned.peek().is_none_or(|Reverse(first)| self.next_visit_at_ms <= first.at_ms)
        {
            self.begin_visit();
        }
    }

    fn begin_visit(&mut self) {
        let number = self.visits;
        let started_at_ms = self.plan.started_at_ms.to_be_bytes();
        let mut chance = Chance::of(self.plan.seed, "visit", &[&started_at_ms, &number.to_be_bytes()]);
        let (visit, moments) = visit(&self.plan, number, self.next_visit_at_ms, &mut chance);
        for (at_ms, moment) in moments {
            let happening = Happening { at_ms, number: self.happenings, visit: Arc::clone(&visit), moment };
            self.planned.push(Reverse(happening));
            self.happenings += 1;
        }
        let every_ms = HOUR_MS / i64::from(self.plan.visits_per_hour);
        self.next_visit_at_ms += chance.span_ms(every_ms / 2, every_ms + every_ms / 2);
        self.visits += 1;
    }
}

impl Iterator for Life {
    type Item = Happening;

    fn next(&mut self) -> Option<Happening> {
        self.begin_visits();
        self.planned.pop().map(|Reverse(happening)| happening)
    }
}

fn visit(plan: &Plan, number: u64, began_at_ms: i64, chance: &mut Chance) -> (Arc<Visit>, Vec<(i64, Moment)>) {
    let index = chance.between(0, u64::from(plan.customers) - 1);
    let customer = Customer::of(plan.seed, u32::try_from(index).expect("a customer's number"));
    let mut moments = Vec::new();

    let mut now_ms = began_at_ms;
    let mut lines = vec![line(chance)];
    moments.push((now_ms, Moment::Cart { lines: lines.clone(), is_new: true }));
    for _ in 0..chance.between(0, 4) {
        now_ms += chance.span_ms(3 * SECOND_MS, 90 * SECOND_MS);
        edit(&mut lines, chance);
        moments.push((now_ms, Moment::Cart { lines: lines.clone(), is_new: false }));
    }

    // Of those who fill a cart a third leave without a trace, a third at the checkout; the rest order.
    let resolve = chance.between(0, 99);
    now_ms += chance.span_ms(20 * SECOND_MS, 3 * MINUTE_MS);
    let checkout_at_ms = now_ms;
    if resolve >= 33 && !lines.is_empty() {
        moments.push((now_ms, Moment::Checkout { lines: lines.clone(), is_new: true, is_completed: false }));
        for _ in 0..chance.between(0, 2) {
            now_ms += chance.span_ms(5 * SECOND_MS, 40 * SECOND_MS);
            moments.push((now_ms, Moment::Checkout { lines: lines.clone(), is_new: false, is_completed: false }));
        }
        // Some of those who left come back by themselves within hours.
        let comes_back = resolve < 66 && chance.per_mille(150);
        if comes_back {
            now_ms += chance.span_ms(30 * MINUTE_MS, 6 * HOUR_MS);
        }
        if comes_back || resolve >= 66 {
            now_ms += chance.span_ms(20 * SECOND_MS, 4 * MINUTE_MS);
            let ordered_at_ms = now_ms;
            moments.push((now_ms, Moment::Ordered { lines: lines.clone() }));
            now_ms += chance.span_ms(0, 900);
            moments.push((now_ms, Moment::Checkout { lines: lines.clone(), is_new: false, is_completed: true }));
            if chance.per_mille(60) {
                let at_ms = ordered_at_ms + chance.span_ms(2 * MINUTE_MS, 2 * HOUR_MS);
                moments.push((at_ms, Moment::Cancelled { lines, ordered_at_ms }));
            }
        }
    }

    let asks = chance.per_mille(plan.tickets);
    let ticket = {
        let opened_at_ms = now_ms + chance.span_ms(SECOND_MS, 25 * MINUTE_MS);
        let answered_at_ms = opened_at_ms + chance.span_ms(4 * MINUTE_MS, 3 * HOUR_MS);
        let closed_at_ms = answered_at_ms + chance.span_ms(MINUTE_MS, 2 * HOUR_MS);
        Ticket { id: chance.between(1_000_000, 999_999_999_999), opened_at_ms, answered_at_ms, closed_at_ms }
    };
    let ticket = asks.then_some(ticket);
    if let Some(ticket) = ticket {
        moments.push((ticket.opened_at_ms, Moment::TicketOpened));
        moments.push((ticket.answered_at_ms, Moment::TicketAnswered));
        moments.push((ticket.closed_at_ms, Moment::TicketClosed));
    }

    let known_as = match chance.between(0, 9) {
        0..=6 => KnownAs::Member,
        7 | 8 => KnownAs::Guest,
        _ if customer.phone.is_some() => KnownAs::Caller,
        _ => KnownAs::Guest,
    };
    let visit = Visit {
        number,
        customer,
        known_as,
        began_at_ms,
        checkout_at_ms,
        cart_token: chance.token(),
        checkout_token: chance.token(),
        checkout_number: chance.between(BEYOND_DOUBLES, u64::try_from(i64::MAX).expect("a positive number")),
        order_id: chance.between(BEYOND_DOUBLES, u64::try_from(i64::MAX).expect("a positive number")),
        dollars_per_euro_mille: chance.per_mille(80).then_some(1_084),
        ticket,
    };
    (Arc::new(visit), moments)
}

fn line(chance: &mut Chance) -> Line {
    let articles: Vec<usize> = (0..ARTICLES.len()).collect();
    Line { article: *chance.pick(&articles), pieces: chance.between(1, 3) }
}

/// One article more, another number of one, or one less; the last may go too.
fn edit(lines: &mut Vec<Line>, chance: &mut Chance) {
    match chance.between(0, 9) {
        0..=4 => {
            let added = line(chance);
            match lines.iter_mut().find(|line| line.article == added.article) {
                Some(line) => line.pieces += added.pieces,
                None => lines.push(added),
            }
        }
        5..=7 => {
            if let Some(last) = lines.last_mut() {
                last.pieces = chance.between(1, 5);
            }
        }
        _ => {
            lines.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn plan(seed: u64) -> Plan {
        Plan {
            seed,
            started_at_ms: 1_795_428_000_000,
            customers: 50,
            visits_per_hour: 240,
            visits_max: Some(300),
            tickets: 120,
        }
    }

    fn told(life: Life) -> Vec<(i64, u64, String, Moment)> {
        life.map(|happening| (happening.at_ms, happening.number, happening.visit.cart_token.clone(), happening.moment))
            .collect()
    }

    #[test]
    fn one_seed_one_life() {
        assert_eq!(told(Life::new(plan(7))), told(Life::new(plan(7))));
        assert_ne!(told(Life::new(plan(7))), told(Life::new(plan(8))));
    }

    #[test]
    fn another_start_is_another_life_of_the_same_people() {
        let later = Plan { started_at_ms: 1_795_428_060_000, ..plan(7) };
        let tokens = |plan: Plan| Life::new(plan).map(|happening| happening.visit.cart_token.clone()).next();
        assert_ne!(tokens(plan(7)), tokens(later));
    }

    #[test]
    fn time_goes_forwards_and_a_run_of_so_many_visits_ends() {
        let life = told(Life::new(plan(7)));
        assert!(life.windows(2).all(|pair| pair[0].0 <= pair[1].0));
        let carts = life.iter().filter(|(.., moment)| matches!(moment, Moment::Cart { is_new: true, .. })).count();
        assert_eq!(carts, 300);
    }

    #[test]
    fn every_kind_of_end_occurs_and_none_before_its_beginning() {
        let mut visits: BTreeMap<String, Vec<Moment>> = BTreeMap::new();
        for (_, _, token, moment) in told(Life::new(plan(7))) {
            visits.entry(token).or_default().push(moment);
        }
        let has = |moments: &[Moment], wanted: fn(&Moment) -> bool| moments.iter().any(wanted);
        let is_checkout = |moment: &Moment| matches!(moment, Moment::Checkout { .. });
        let is_order = |moment: &Moment| matches!(moment, Moment::Ordered { .. });
        let is_cancelled = |moment: &Moment| matches!(moment, Moment::Cancelled { .. });
        let is_ticket = |moment: &Moment| matches!(moment, Moment::TicketOpened);
        let count = |wanted: &dyn Fn(&[Moment]) -> bool| visits.values().filter(|moments| wanted(moments)).count();
        assert!(count(&|moments| !has(moments, is_checkout)) > 50);
        assert!(count(&|moments| has(moments, is_checkout) && !has(moments, is_order)) > 50);
        assert!(count(&|moments| has(moments, is_order)) > 50);
        assert!(count(&|moments| has(moments, is_cancelled)) > 0);
        assert!(count(&|moments| has(moments, is_ticket)) > 10);
        for moments in visits.values() {
            assert!(matches!(moments.first(), Some(Moment::Cart { is_new: true, .. })));
            if let Some(cancelled) = moments.iter().position(is_cancelled) {
                assert!(moments[..cancelled].iter().any(is_order));
            }
        }
    }
}
