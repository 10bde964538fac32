//! What happens to a merchant now and then: history is imported, a poller finds
//! what a webhook lost, an operator changes the set-up, time is stretched. Each
//! is rare, so that most days stay days on which messages are sent.

use fastrand::Rng;
use tradewind_domain::{
    Arrival, BindingSet, Body, CheckoutDeleted, ClockAdjusted, ConnectionName, Direction, EntityKind, Envelope,
    GapClosed, GapOpened, Intake, Lifecycle, Name, SettingSet, SwitchSet, Tenant, TicketMessaged, TicketStatus,
    Timestamp,
};
use tradewind_wire::record::NewFact;

use super::{
    HOUR, Happening, MINUTE, OrderedBy, Shape, activation, cancellation, cart, checkout, connection, email, fact,
    order, sealed, set_up_fact, store, ticket, ticket_key, vendor,
};

const DAY: i64 = 24 * HOUR;

/// Each is part of one day in so many.
const ODDS: u32 = 9;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rare {
    /// History of customers, some of whom shop today.
    Imported,
    /// A poller finds facts of the day, whether or not a webhook told them too.
    Recovered,
    /// A webhook that comes a week late.
    Old,
    Stopped,
    Resumed,
    /// To another connection, or to none; or the connection itself is paused.
    Rebound,
    SettingChanged,
    GapOpened,
    GapClosed,
    CheckoutCompleted,
    CheckoutDeleted,
    TicketMessaged,
    Approve,
    ClockAdjusted,
}

impl Rare {
    pub const ALL: [Rare; 14] = [
        Rare::Imported,
        Rare::Recovered,
        Rare::Old,
        Rare::Stopped,
        Rare::Resumed,
        Rare::Rebound,
        Rare::SettingChanged,
        Rare::GapOpened,
        Rare::GapClosed,
        Rare::CheckoutCompleted,
        Rare::CheckoutDeleted,
        Rare::TicketMessaged,
        Rare::Approve,
        Rare::ClockAdjusted,
    ];

    /// Whether this record of the log is one.
    #[must_use]
    pub fn is_shown_by(self, envelope: &Envelope) -> bool {
        let body = &envelope.fact.body;
        match self {
            Rare::Imported => envelope.arrival == Arrival::Backfill,
            Rare::Recovered => envelope.arrival == Arrival::Recovered,
            Rare::Old => {
                let is_old = envelope.recorded_at.since(envelope.fact.occurred_at) > 7 * DAY;
                envelope.arrival == Arrival::Live && matches!(body, Body::CartUpdated(_)) && is_old
            }
            Rare::Stopped => matches!(body, Body::SwitchSet(set) if set.stopped),
            Rare::Resumed => matches!(body, Body::SwitchSet(set) if !set.stopped),
            Rare::Rebound => matches!(body, Body::BindingSet(set) if set.version > 1),
            Rare::SettingChanged => matches!(body, Body::SettingSet(set) if set.version > 1),
            Rare::GapOpened => matches!(body, Body::GapOpened(_)),
            Rare::GapClosed => matches!(body, Body::GapClosed(_)),
            Rare::CheckoutCompleted => matches!(body, Body::CheckoutUpdated(set) if set.completed_at.is_some()),
            Rare::CheckoutDeleted => matches!(body, Body::CheckoutDeleted(_)),
            Rare::TicketMessaged => matches!(body, Body::TicketMessaged(_)),
            Rare::Approve => matches!(body, Body::DefinitionActivated(set) if set.lifecycle == Lifecycle::Approve),
            Rare::ClockAdjusted => matches!(body, Body::ClockAdjusted(_)),
        }
    }
}

/// Adds rare happenings to a merchant's day, and to what others do in it.
pub fn trouble_day(rng: &mut Rng, tenant: &Tenant, shape: Shape, start: Timestamp, day: &mut Vec<Happening>) {
    let mut drawing = Drawing { rng, tenant, shape, start, day };
    for rare in Rare::ALL {
        if drawing.rng.u32(0..ODDS) == 0 {
            drawing.happen(rare);
        }
    }
}

struct Drawing<'a> {
    rng: &'a mut Rng,
    tenant: &'a Tenant,
    shape: Shape,
    start: Timestamp,
    day: &'a mut Vec<Happening>,
}

impl Drawing<'_> {
    fn happen(&mut self, rare: Rare) {
        match rare {
            Rare::Imported => self.import(),
            Rare::Recovered => self.recover(),
            Rare::Old => self.come_a_week_late(),
            // Nobody resumes what was never stopped.
            Rare::Stopped | Rare::Resumed => self.stop(),
            Rare::Rebound => self.rebind(),
            Rare::SettingChanged => (0..self.rng.u32(1..5)).for_each(|_| self.change_a_setting()),
            Rare::GapOpened | Rare::GapClosed => self.poll(rare),
            Rare::CheckoutCompleted => self.complete_a_checkout(),
            Rare::CheckoutDeleted => self.delete_a_checkout(),
            Rare::TicketMessaged => self.write(),
            Rare::Approve => {
                let at = self.time();
                self.now(at, activation(self.tenant, Lifecycle::Approve, 9, at));
            }
            Rare::ClockAdjusted => self.adjust_the_clock(),
        }
    }

    /// A time of the day, and of the hours after it in which messages are decided on.
    fn time(&mut self) -> Timestamp {
        self.start + self.rng.i64(0..(self.shape.hours + 3) * HOUR)
    }

    fn customer(&mut self) -> u32 {
        self.rng.u32(0..self.shape.customers)
    }

    /// It is told at `at`, whenever it happened.
    fn now(&mut self, at: Timestamp, mut fact: NewFact) {
        fact.produced_at = at;
        self.day.push(Happening { at, fact });
    }

    /// A fact of the set-up.
    fn set(&mut self, entry: &str, version: u64, at: Timestamp, body: Body) {
        self.now(at, set_up_fact(self.tenant, &format!("{}/{entry}", self.tenant), version, at, body));
    }

    fn import(&mut self) {
        for _ in 0..self.rng.u32(1..4) {
            let (customer, at) = (self.customer(), self.time());
            // A store is connected on the day it is used, or long after.
            let happened_at = at - *self.rng.choice(&[0, HOUR, 3 * DAY, 300 * DAY]).unwrap_or(&0);
            let token = if self.rng.bool() { format!("{customer}-0") } else { format!("imported-{customer}") };
            let facts = [
                cart(self.tenant, &token, happened_at, happened_at, 9),
                checkout(self.tenant, &token, customer, 0, happened_at, happened_at),
                order(self.tenant, &token, customer, OrderedBy::SameAddress, happened_at),
                cancellation(self.tenant, &token, happened_at),
            ];
            let first = self.rng.usize(0..3);
            for fact in facts.into_iter().skip(first).take(1 + self.rng.usize(0..3)) {
                self.now(at, NewFact { arrival: Arrival::Backfill, ..fact });
            }
        }
    }

    fn recover(&mut self) {
        let told = self.day.len();
        for _ in 0..self.rng.usize(1..6) {
            let picked = self.rng.usize(0..told);
            let at = self.day[picked].at + self.rng.i64(MINUTE..3 * HOUR);
            if self.day[picked].fact.fact.body.about().is_none() {
                continue;
            }
            let fact = NewFact { arrival: Arrival::Recovered, ..self.day[picked].fact.clone() };
            if self.rng.bool() {
                self.now(at, fact);
            } else {
                // No webhook told it.
                self.day[picked] = Happening { at, fact: NewFact { produced_at: at, ..fact } };
            }
        }
    }

    fn come_a_week_late(&mut self) {
        let (customer, at) = (self.customer(), self.time());
        let happened_at = at - self.rng.i64(6 * DAY..9 * DAY);
        let token = format!("old-{customer}");
        self.now(at, cart(self.tenant, &token, happened_at, happened_at, 2));
        // Most come late enough to start nothing.
        let long_ago = at - 8 * DAY;
        self.now(at, cart(self.tenant, &format!("older-{customer}"), long_ago, long_ago, 2));
        if self.rng.bool() {
            self.now(at, checkout(self.tenant, &token, customer, 0, happened_at, happened_at));
        }
    }

    fn stop(&mut self) {
        let scopes = ["all", "workflow/cart-recovery", "capability/message.send", "connection/mail", "connection/desk"];
        let scope = *self.rng.choice(&scopes).unwrap_or(&"all");
        let from = self.time();
        let switch = |stopped, version| {
            let scope = scope.parse().expect("a scope");
            Body::SwitchSet(SwitchSet { scope, stopped, reason: "".into(), version })
        };
        let entry = format!("switch/{scope}");
        self.set(&entry, 1, from, switch(true, 1));
        if self.rng.u32(0..4) > 0 {
            let until = from + self.rng.i64(MINUTE..5 * HOUR);
            self.set(&entry, 2, until, switch(false, 2));
        } else {
            // What is not resumed is soon not worth the message.
            let hours = self.rng.i64(2..9);
            self.set_setting("cart-recovery.expire_hours", hours, 2, from);
        }
    }

    fn rebind(&mut self) {
        let at = self.time();
        let bind = |to: Option<&str>, version| {
            let connection = to.map(|name| ConnectionName::new(name).expect("a connection's name"));
            let (capability, channel) = (Name::fixed("message.send"), Name::fixed("email"));
            Body::BindingSet(BindingSet { capability, channel, connection, version })
        };
        let second = connection("mail-2", "klaviyo", Intake::None, true, 1);
        self.set("connection/mail-2", 1, at, second);
        let to = *self.rng.choice(&[None, Some("mail-2"), Some("nowhere")]).unwrap_or(&None);
        self.set("binding/mail", 2, at, bind(to, 2));
        if self.rng.bool() {
            let back_at = at + self.rng.i64(MINUTE..3 * HOUR);
            self.set("binding/mail", 3, back_at, bind(Some("mail"), 3));
        }
        if self.rng.bool() {
            let paused_at = self.time();
            self.set("connection/mail", 2, paused_at, connection("mail", "klaviyo", Intake::None, false, 2));
        }
    }

    fn change_a_setting(&mut self) {
        let choices: [(&'static str, &[i64]); 7] = [
            ("cart-recovery.quiet_minutes", &[-5, 0, 1, 20, 90]),
            ("cart-recovery.lateness_minutes", &[-1, 0, 1, 30]),
            ("cart-recovery.expire_hours", &[-1, 0, 1, 3, 30]),
            ("cart-recovery.command_deadline_hours", &[-2, 0, 1, 48]),
            ("cart-recovery.holdout_percent", &[-1, 50, 100]),
            ("cap.promotional.per_day", &[-1, 0, 1, 2]),
            ("cap.promotional.per_week", &[-1, 0, 1, 2]),
        ];
        let (name, values) = *self.rng.choice(&choices).expect("a setting");
        let value = *self.rng.choice(values).expect("a value");
        let (version, at) = (self.rng.u64(2..5), self.time());
        self.set_setting(name, value, version, at);
    }

    fn set_setting(&mut self, name: &'static str, value: i64, version: u64, at: Timestamp) {
        let body = Body::SettingSet(SettingSet { name: Name::fixed(name), value, version });
        self.set(&format!("setting/{name}"), version, at, body);
    }

    /// A connection that is polled has gaps, and one of webhooks where deliveries were turned away.
    fn poll(&mut self, rare: Rare) {
        let connected_at = self.start + self.rng.i64(0..HOUR);
        let polled = connection("market", "market", Intake::Poll, true, 1);
        self.set("connection/market", 1, connected_at, polled);
        let named = |name| Some(ConnectionName::new(name).expect("a connection's name"));
        let from = self.time();
        let of = if self.rng.u32(0..4) > 0 { named("market") } else { None };
        let opened = GapOpened { vendor: vendor("market"), connection: of.clone(), from };
        self.set("gap/opened", 1, from, Body::GapOpened(opened));
        if self.rng.bool() {
            let turned_away_at = self.time();
            let (of, connection) = *self.rng.choice(&[("shopify", "store"), ("gorgias", "desk")]).expect("two");
            let opened = GapOpened { vendor: vendor(of), connection: named(connection), from: turned_away_at };
            self.set("gap/turned-away", 1, turned_away_at, Body::GapOpened(opened));
        }
        if rare == Rare::GapClosed {
            let until = from + self.rng.i64(MINUTE..6 * HOUR);
            let closed = GapClosed { vendor: vendor("market"), connection: of, until };
            self.set("gap/closed", 1, until, Body::GapClosed(closed));
            let covered = if self.rng.bool() { named("store") } else { None };
            let covered_until = until - self.rng.i64(0..HOUR);
            let closed = GapClosed { vendor: vendor("shopify"), connection: covered, until: covered_until };
            self.set("gap/closed", 2, until, Body::GapClosed(closed));
        }
    }

    /// A checkout of today, or one of a cart nobody told of.
    fn checkout_of(&mut self, at: Timestamp) -> (String, u32, Timestamp) {
        let customer = self.customer();
        (format!("{customer}-{}", self.rng.u32(0..3)), customer, at - self.rng.i64(0..HOUR))
    }

    fn complete_a_checkout(&mut self) {
        for _ in 0..2 {
            let at = self.time();
            let (token, customer, created_at) = self.checkout_of(at);
            let mut completed = checkout(self.tenant, &token, customer, 0, created_at, at);
            if let Body::CheckoutUpdated(checkout) = &mut completed.fact.body {
                checkout.completed_at = Some(at);
            }
            self.now(at, completed);
        }
    }

    fn delete_a_checkout(&mut self) {
        for _ in 0..3 {
            let at = self.time();
            let (token, ..) = self.checkout_of(at);
            let key = store(EntityKind::Checkout, &token);
            let body = Body::CheckoutDeleted(CheckoutDeleted { checkout: key.clone() });
            self.now(at, fact(self.tenant, "shopify", &key, "deleted", at, body));
        }
    }

    /// A ticket's messages change nothing but where the customer is reached.
    fn write(&mut self) {
        for _ in 0..2 {
            let (customer, at) = (self.customer(), self.time());
            let opened_at = at - self.rng.i64(0..HOUR);
            if self.rng.bool() {
                let status = if self.rng.bool() { TicketStatus::Open } else { TicketStatus::Closed };
                self.now(at, ticket(self.tenant, customer, status, opened_at, at));
            }
            let key = ticket_key(customer, opened_at);
            let directions = [Direction::Received, Direction::Sent, Direction::Note];
            let body = Body::TicketMessaged(TicketMessaged {
                ticket: key.clone(),
                message_id: "1".into(),
                direction: *self.rng.choice(&directions).unwrap_or(&Direction::Received),
                channel: "email".into(),
                names: vec![email(customer, self.rng.u32(0..2))],
                body: None,
                email: None,
            });
            let mut told = fact(self.tenant, "gorgias", &key, "message/1", at, body);
            let address = sealed(told.id, "email");
            if let Body::TicketMessaged(message) = &mut told.fact.body {
                message.email = Some(address);
            }
            self.now(at, told);
        }
    }

    fn adjust_the_clock(&mut self) {
        let at = self.time();
        let speed_permille = *self.rng.choice(&[0, 500, 1_000, 1_300, 10_000]).unwrap_or(&1_000);
        let skip_ms = *self.rng.choice(&[-HOUR, 0, 0, 50_000, 2 * HOUR]).unwrap_or(&0);
        self.set("clock", 1, at, Body::ClockAdjusted(ClockAdjusted { speed_permille, skip_ms }));
        if speed_permille == 0 {
            // The slowest there is; a while later it runs as ever.
            let back = ClockAdjusted { speed_permille: 1_000, skip_ms: 0 };
            self.set("clock", 2, at + 10 * MINUTE, Body::ClockAdjusted(back));
        }
    }
}
