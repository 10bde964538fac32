//! A day of merchants, as the records of `tradewind.events`: visits of customers
//! who are drawn by Zipf's law, in the order of the log.
//!
//! The day goes by in steps of half a minute. A step begins with a `ClockAdjusted`
//! that lets the log's time leap and a beat of the connectors; so wakeups fall due
//! all the time, as they would in a day, however fast the facts are written. This
//! needs a `dev` lineage, and is the only thing in which the log differs from one
//! that vendors wrote.

use std::collections::{HashMap, VecDeque};
use std::time::{SystemTime, UNIX_EPOCH};

use fastrand::Rng;
use tradewind_domain::{
    Body, ClockAdjusted, IngestAlive, Lineage, LineageKind, LineageOpened, Name, SettingSet, Tenant, TicketStatus,
    Timestamp, partition_of,
};
use tradewind_ports::NewRecord;
use tradewind_simulation::shop::{self, MINUTE, OrderedBy};
use tradewind_wire::record::{self, NewFact};

/// A connector is silent for no longer than a minute.
const STEP_MS: i64 = 30_000;

/// As shipped.
const QUIET_MINUTES: i64 = 120;

/// Longest time between two acts of a visit.
const PAUSE_MS: i64 = 2 * MINUTE;

#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Of commerce: beats and leaps of the clock come on top.
    pub facts: u64,
    pub tenants: u32,
    pub partitions: u32,
    pub customers: u64,
    pub hours: i64,
    pub seed: u64,
}

/// What a customer does next.
#[derive(Clone, Copy, Debug)]
enum Act {
    Edit(i64),
    Checkout,
    Order,
    Cancel,
    Complain,
    Calm,
}

#[derive(Clone, Copy, Debug)]
struct Planned {
    at: Timestamp,
    act: Act,
    customer: u64,
    cart: u64,
    cart_at: Timestamp,
}

/// The records, step by step.
#[derive(Debug)]
pub struct Workload {
    shape: Shape,
    rng: Rng,
    tenants: Vec<(Tenant, u32)>,
    lineage: Lineage,
    now: Timestamp,
    opened: bool,
    /// Of this step and those to come.
    planned: VecDeque<Vec<Planned>>,
    /// The cart a customer has left in the shop, and since when it is there.
    carts: HashMap<u64, (u64, Timestamp)>,
    carts_made: u64,
    facts: u64,
}

impl Workload {
    /// # Panics
    ///
    /// There is no tenant.
    #[must_use]
    pub fn new(shape: Shape) -> Workload {
        let tenants = (0..shape.tenants).map(shop::tenant);
        Workload {
            shape,
            rng: Rng::with_seed(shape.seed),
            tenants: tenants.map(|tenant| (tenant.clone(), partition_of(tenant.as_str(), shape.partitions))).collect(),
            lineage: Lineage::from_bytes([7; 16]),
            now: wall(),
            opened: false,
            planned: VecDeque::new(),
            carts: HashMap::new(),
            carts_made: 0,
            facts: 0,
        }
    }

    /// The facts of commerce so far.
    #[must_use]
    pub fn facts(&self) -> u64 {
        self.facts
    }

    /// The next half minute: partition and record. Nothing when the day is over.
    pub fn step(&mut self) -> Vec<(u32, NewRecord)> {
        if !self.opened {
            self.opened = true;
            return self.opening();
        }
        if self.facts >= self.shape.facts {
            return Vec::new();
        }
        let produced_at = wall();
        let mut records = Vec::new();
        let leap = Body::ClockAdjusted(ClockAdjusted { speed_permille: 1_000, skip_ms: STEP_MS });
        let beat = Body::IngestAlive(IngestAlive { vendors: vec![shop::vendor("shopify"), shop::vendor("gorgias")] });
        for partition in 0..self.shape.partitions {
            for body in [&leap, &beat] {
                let fact = NewFact::of_partition(partition, produced_at, body.clone());
                records.push((partition, record::event(&fact)));
            }
        }
        let until = self.now + STEP_MS;
        let steps = u64::try_from(self.shape.hours * 60 * MINUTE / STEP_MS).expect("a day is short");
        let wanted = self.shape.facts / steps;
        // Visits begin until the step has what it should have, on average.
        while self.planned.front().map_or(0, Vec::len) < usize::try_from(wanted).expect("a step is small").max(1) {
            self.visit();
        }
        let mut acts = self.planned.pop_front().unwrap_or_default();
        acts.sort_by_key(|planned| planned.at);
        for planned in acts {
            let (tenant, partition) =
                &self.tenants[usize::try_from(planned.customer).expect("64 bits") % self.tenants.len()];
            let fact = NewFact { produced_at, ..fact(tenant, &planned) };
            records.push((*partition, record::event(&fact)));
            self.facts += 1;
        }
        self.now = until;
        records
    }

    /// Lineage and set-up.
    fn opening(&mut self) -> Vec<(u32, NewRecord)> {
        let lineage = Body::LineageOpened(LineageOpened { lineage: self.lineage, kind: LineageKind::Dev });
        let opened = |partition| NewFact::of_partition(partition, self.now, lineage.clone());
        let mut records: Vec<(u32, NewRecord)> =
            (0..self.shape.partitions).map(|partition| (partition, record::event(&opened(partition)))).collect();
        let shape = shop::Shape {
            customers: 0,
            tenants: self.shape.tenants,
            hours: self.shape.hours,
            quiet_minutes: QUIET_MINUTES,
            holdout_percent: 0,
        };
        for (tenant, partition) in &self.tenants {
            records.extend(shop::set_up(tenant, shape, self.now).iter().map(|fact| (*partition, record::event(fact))));
        }
        records
    }

    /// Somebody comes to the shop: fills a cart or goes on with the one left
    /// there, mostly goes to the checkout, and may order.
    fn visit(&mut self) {
        let customer = popular(&mut self.rng, self.shape.customers);
        let mut at = self.now + self.rng.i64(0..STEP_MS);
        let mut fresh = || {
            self.carts_made += 1;
            (self.carts_made, at)
        };
        let (cart, cart_at) = *self.carts.entry(customer).or_insert_with(&mut fresh);
        let mut acts = Vec::new();
        acts.extend((0..self.rng.i64(2..7)).map(|edit| Act::Edit(edit + 1)));
        if self.rng.u8(..100) < 95 {
            acts.extend(std::iter::repeat_n(Act::Checkout, self.rng.usize(1..6)));
            if self.rng.u8(..100) < 40 {
                acts.push(Act::Order);
                self.carts.remove(&customer);
                if self.rng.u8(..100) < 15 {
                    acts.push(Act::Cancel);
                }
            }
        }
        if self.rng.u8(..100) < 24 {
            let place = self.rng.usize(..acts.len());
            acts.insert(place, Act::Complain);
            if self.rng.u8(..100) < 85 {
                acts.push(Act::Calm);
            }
        }
        for act in acts {
            let step = usize::try_from(at.since(self.now) / STEP_MS).expect("what is planned lies ahead");
            while self.planned.len() <= step {
                self.planned.push_back(Vec::new());
            }
            self.planned[step].push(Planned { at, act, customer, cart, cart_at });
            at = at + self.rng.i64(1_000..PAUSE_MS);
        }
    }
}

fn fact(tenant: &Tenant, planned: &Planned) -> NewFact {
    let Planned { at, act, customer, cart, cart_at } = *planned;
    let token = format!("{:032x}", u128::from(cart).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
    let number = u32::try_from(customer).expect("fewer customers than 2^32");
    match act {
        Act::Edit(quantity) => shop::cart(tenant, &token, cart_at, at, quantity),
        Act::Checkout => shop::checkout(tenant, &token, number, 0, cart_at, at),
        Act::Order => shop::order(tenant, &token, number, OrderedBy::SameAddress, at),
        Act::Cancel => shop::cancellation(tenant, &token, at),
        Act::Complain => shop::ticket(tenant, number, TicketStatus::Open, cart_at, at),
        Act::Calm => shop::ticket(tenant, number, TicketStatus::Closed, cart_at, at),
    }
}

/// By Zipf's law with exponent 1: the n-th customer 1/n as often as the first.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the customers")]
#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn popular(rng: &mut Rng, customers: u64) -> u64 {
    ((customers as f64).powf(rng.f64()) as u64).min(customers) - 1
}

/// A lineage and a merchant in partition 0, from now on, with this quiet time and
/// no lateness.
#[must_use]
pub fn set_up_now(tenant: &Tenant, quiet_minutes: i64) -> Vec<NewRecord> {
    let now = wall();
    let lineage = LineageOpened { lineage: Lineage::from_bytes([7; 16]), kind: LineageKind::Dev };
    let opened = NewFact::of_partition(0, now, Body::LineageOpened(lineage));
    let shape = shop::Shape { customers: 0, tenants: 1, hours: 1, quiet_minutes, holdout_percent: 0 };
    let lateness = SettingSet { name: Name::fixed("cart-recovery.lateness_minutes"), value: 0, version: 1 };
    let lateness = shop::set_up_fact(tenant, &format!("{tenant}/setting/lateness"), 1, now, Body::SettingSet(lateness));
    let facts = shop::set_up(tenant, shape, now);
    // Nobody beats here, and silence would be a gap.
    let closed = shop::close_down(tenant, now);
    [opened].iter().chain(&facts).chain(&closed).chain([&lateness]).map(record::event).collect()
}

/// The wall's clock, by which the log's append times are.
///
/// # Panics
///
/// It is before 1970.
#[must_use]
pub fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock behind 1970");
    Timestamp::from_millis(i64::try_from(since.as_millis()).expect("a clock of this age"))
}
