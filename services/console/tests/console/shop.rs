//! A merchant's day on the log, and a console beside it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use fastrand::Rng;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tradewind_console::{AccessKey, ServeError, Settings, Telemetry, World, serve};
use tradewind_domain::{Body, EntityKey, Tenant, Timestamp, key_owner_digest};
use tradewind_ports::{Clock, EventLog as _, KeyVault, Topic};
use tradewind_simulation::shop::{self, HOUR, MINUTE, Shape};
use tradewind_simulation::{
    Broker, Faults, MemoryLog, Pace, ProcessId, Reading, START, StoreFate, Trouble, World as Simulated, read,
};
use tradewind_telemetry::{Health, Metrics, Shutdown};
use tradewind_vault::{FileVault, InstallationKey};
use tradewind_wire::record::{self, NewFact};
use tradewind_wire::seal;

use crate::client::until;
use crate::owners::LogOwners;

pub(crate) const EMAIL: &str = "augusta.lovelace@example.com";
pub(crate) const FIRST_NAME: &str = "Augusta Ada";
pub(crate) const KEY: &str = "a-key-nobody-guesses";

/// The customer of the cart [`TOKEN`].
const CUSTOMER: u32 = 77;
const TOKEN: &str = "seven";

/// A day on which this customer is reminded and the vendor says so.
const SEED: u64 = 4;

struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000)
    }
}

pub(crate) struct Shop {
    pub(crate) broker: Arc<Broker>,
    pub(crate) reading: Reading,
    pub(crate) address: SocketAddr,
    pub(crate) health: Health,
    pub(crate) metrics: Metrics,
    pub(crate) shutdown: Shutdown,
    pub(crate) served: JoinHandle<Result<(), ServeError>>,
    /// Breaks the owners that the console asks.
    pub(crate) is_broken: Arc<AtomicBool>,
    _home: TempDir,
}

impl Shop {
    pub(crate) async fn open() -> Shop {
        Shop::with(Settings { access_key: AccessKey::new(KEY), ..settings() }, true).await
    }

    pub(crate) async fn with(settings: Settings, has_vault: bool) -> Shop {
        let home = tempfile::tempdir().unwrap();
        let key = InstallationKey::create(&home.path().join("key")).unwrap();
        let vault = Arc::new(FileVault::open(&home.path().join("vault"), key, Arc::new(Noon)).unwrap().vault);
        let (broker, reading) = day(&*vault, SEED);
        let is_broken = Arc::new(AtomicBool::new(false));
        let log = Arc::new(broker.connect(ProcessId(500), &Faults::none()));
        let (health, metrics, shutdown) = (Health::new(), Metrics::new(), Shutdown::new());
        let world = World {
            log,
            owners: Arc::new(LogOwners { broker: broker.clone(), is_broken: is_broken.clone() }),
            vault: has_vault.then_some(vault as Arc<dyn KeyVault>),
            clock: Arc::new(Noon),
        };
        let telemetry = Telemetry { health: health.clone(), metrics: metrics.clone(), shutdown: shutdown.clone() };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = tokio::spawn(serve(listener, world, settings, telemetry));
        until(|| health.is_ready()).await;
        Shop { broker, reading, address, health, metrics, shutdown, served, is_broken, _home: home }
    }

    pub(crate) fn log(&self) -> MemoryLog {
        self.broker.connect(ProcessId(501), &Faults::none())
    }

    pub(crate) fn append(&self, fact: &NewFact) {
        self.log().append(&Topic::Events.partition(0), vec![record::event(fact)]).unwrap();
    }

    /// The command to the customer whose data is known here.
    pub(crate) fn command(&self) -> String {
        let issued = self.reading.commands.values().find(|read| read.value.target == customer());
        issued.expect("the customer was reminded").value.id.to_string()
    }

    pub(crate) fn decision(&self) -> String {
        let issued = self.reading.commands.values().find(|read| read.value.target == customer());
        issued.expect("the customer was reminded").value.decision.to_string()
    }

    pub(crate) fn timeline(&self) -> String {
        let entity = customer().to_string().replace('/', "%2F");
        format!("/api/customers/{}/{entity}/timeline", tenant())
    }

    pub(crate) fn counted(&self, line: &str) -> bool {
        self.metrics.text().lines().any(|counted| counted == line)
    }
}

pub(crate) fn settings() -> Settings {
    Settings { partitions: 2, ..Settings::default() }
}

pub(crate) fn tenant() -> Tenant {
    shop::tenant(0)
}

pub(crate) fn customer() -> EntityKey {
    let body = checkout(START).fact.body;
    let (_, names) = body.about().unwrap();
    names[1].clone()
}

pub(crate) fn cart(at: Timestamp) -> NewFact {
    shop::cart(&tenant(), TOKEN, at, at, 2)
}

fn checkout(at: Timestamp) -> NewFact {
    shop::checkout(&tenant(), TOKEN, CUSTOMER, 0, at, at)
}

/// A customer whose data is really sealed, among others who shop too.
pub(crate) fn day(vault: &dyn KeyVault, seed: u64) -> (Arc<Broker>, Reading) {
    let trouble = Trouble {
        faults: Faults::none(),
        fate: StoreFate::Kept,
        pace: Pace::TIGHT,
        outage: None,
        duplicated_percent: 0,
        late_percent: 0,
    };
    let shape = Shape { customers: 14, tenants: 1, hours: 2, quiet_minutes: 20, holdout_percent: 0 };
    let mut rng = Rng::with_seed(seed);
    let mut world = Simulated::new(rng.fork(), &trouble, shape, Broker::new());
    world.plan(shop::day(&mut rng, &tenant(), shape, START), &trouble);
    let at = START + 5 * MINUTE;
    world.plan_fact(at, cart(at));
    let mut told = checkout(at + MINUTE);
    let owner = key_owner_digest(&tenant(), &customer());
    let key = vault.key_of(&tenant(), &owner).unwrap();
    let origin = told.id;
    if let Body::CheckoutUpdated(checkout) = &mut told.fact.body {
        checkout.email = Some(seal::seal(&key, origin, "email", EMAIL.as_bytes()));
        checkout.first_name = Some(seal::seal(&key, origin, "first_name", FIRST_NAME.as_bytes()));
        checkout.recovery_url = None;
    }
    world.plan_fact(at + MINUTE, told);
    world.plan_beats(START + (shape.hours + 6) * HOUR, &trouble);
    world.run().expect("nothing stops");
    world.settle(shape).expect("nothing stops");
    let broker = world.deployment.broker.clone();
    let reading = read(&broker, &[shop::vendor("klaviyo")]).expect("a log that keeps the rules");
    (broker, reading)
}
