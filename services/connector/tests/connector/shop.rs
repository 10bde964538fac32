//! A connector that serves one merchant: a shop at Shopify, a helpdesk at Gorgias.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tradewind_connector::{Fetch, Probe, ServeError, Settings, Telemetry, World, serve};
use tradewind_domain::{
    Account, ConnectionEntry, ConnectionName, DirectoryEntry, DirectoryValue, Envelope, Intake, Name, Tenant,
    TenantEntry, Timestamp, Vendor,
};
use tradewind_ports::{Clock, EventLog as _, Record, Topic, TopicPartition};
use tradewind_simulation::{Broker, Faults, ProcessId};
use tradewind_telemetry::{Health, Metrics, Shutdown};
use tradewind_vault::{FileVault, InstallationKey};
use tradewind_wire::{directory, record};

use crate::client::Sent;
use crate::log::GatedLog;

pub(crate) const PARTITIONS: u32 = 4;
pub(crate) const PARTITION: u32 = 2;
pub(crate) const PLACEMENT: u32 = 3;
pub(crate) const MAX_BODY_BYTES: u32 = 8_192;
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

pub(crate) const SHOP_TOKEN: &str = "5ZqJ0mC3xK8nQ1vT7rB4yW6e";
pub(crate) const DESK_TOKEN: &str = "9aLk2PzX4cV7bN1mQ8wE5rT3";

pub(crate) const EMAIL: &str = "augusta@example.com";
pub(crate) const FIRST_NAME: &str = "Augusta Ada";

const SHOP_SECRET: &[u8] = b"shopify-test-secret";
const DESK_SECRET: &[u8] = b"gorgias-test-token-0123456789";

struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        NOW
    }
}

pub(crate) struct Shop {
    pub(crate) log: GatedLog,
    pub(crate) broker: Broker,
    pub(crate) vault: Arc<FileVault>,
    pub(crate) health: Health,
    pub(crate) metrics: Metrics,
    pub(crate) shutdown: Shutdown,
    pub(crate) address: SocketAddr,
    pub(crate) served: JoinHandle<Result<(), ServeError>>,
    _home: TempDir,
}

/// An answer may take as long as it takes, where a test is not about that: storing a key syncs a file.
pub(crate) fn settings() -> Settings {
    Settings { partitions: PARTITIONS, answer_within: Duration::from_secs(600), ..Settings::default() }
}

/// What differs from one test to the next.
pub(crate) struct Setting {
    pub(crate) settings: Settings,
    pub(crate) probe: Probe,
    pub(crate) fetch: Option<Fetch>,
    pub(crate) entries: Vec<DirectoryValue>,
}

impl Default for Setting {
    fn default() -> Setting {
        Setting {
            settings: settings(),
            probe: Arc::new(|| Box::pin(async { false })),
            fetch: None,
            entries: vec![tenant(), shop(), helpdesk()],
        }
    }
}

impl Shop {
    pub(crate) async fn open() -> Shop {
        Shop::with(Setting::default()).await
    }

    pub(crate) async fn with(setting: Setting) -> Shop {
        let shop = Shop::starting(setting).await;
        until(|| shop.health.is_ready()).await;
        shop
    }

    pub(crate) async fn starting(setting: Setting) -> Shop {
        let home = tempfile::tempdir().unwrap();
        let key = InstallationKey::create(&home.path().join("key")).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(Noon);
        let vault = Arc::new(FileVault::open(&home.path().join("vault"), key, clock.clone()).unwrap().vault);
        let broker = Broker::new();
        broker.set_now(NOW);
        let log = GatedLog::new(broker.connect(ProcessId(1), &Faults::none()));
        for value in setting.entries {
            publish(&log, value);
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (health, metrics, shutdown) = (Health::new(), Metrics::new(), Shutdown::new());
        let world = World {
            log: Arc::new(log.clone()),
            vault: vault.clone(),
            clock,
            secrets: Arc::new(secret),
            probe: setting.probe,
            fetch: setting.fetch,
        };
        let telemetry = Telemetry { health: health.clone(), metrics: metrics.clone(), shutdown: shutdown.clone() };
        let served = tokio::spawn(serve(listener, world, setting.settings, telemetry));
        Shop { log, broker, vault, health, metrics, shutdown, address, served, _home: home }
    }

    pub(crate) fn facts(&self) -> Vec<Envelope> {
        self.records(Topic::Events).iter().map(|stored| record::envelope(stored).unwrap()).collect()
    }

    pub(crate) fn records(&self, topic: Topic) -> Vec<Record> {
        self.broker.records(&topic.partition(PARTITION))
    }

    /// Every byte of every topic the connector writes to, keys and headers too.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let topics = [Topic::Events, Topic::DeadLetter, Topic::Raw(vendor("shopify")), Topic::Raw(vendor("gorgias"))];
        let partitions =
            topics.into_iter().flat_map(|topic| (0..PARTITIONS).map(move |at| topic.clone().partition(at)));
        let records = partitions.flat_map(|at: TopicPartition| self.broker.records(&at));
        records
            .flat_map(|record| [record.key, record.headers.as_bytes().to_vec(), record.value.unwrap_or_default()])
            .flatten()
            .collect()
    }

    pub(crate) fn counted(&self, line: &str) -> bool {
        self.metrics.text().lines().any(|counted| counted == line)
    }

    pub(crate) async fn stop(self) -> Result<(), ServeError> {
        self.shutdown.request();
        self.served.await.unwrap()
    }
}

fn secret(reference: &Name) -> Option<Vec<u8>> {
    match reference.as_str() {
        "shop-secret" => Some(SHOP_SECRET.to_vec()),
        "desk-secret" => Some(DESK_SECRET.to_vec()),
        "demo-pepper" => Some(b"0123456789abcdef0123456789abcdef".to_vec()),
        _ => None,
    }
}

pub(crate) fn publish(log: &GatedLog, value: DirectoryValue) {
    let entry = DirectoryEntry { version: 1, value };
    log.inner.append(&Topic::Directory.partition(0), vec![directory::record(&entry)]).unwrap();
}

pub(crate) fn vendor(name: &str) -> Vendor {
    Vendor::new(name).unwrap()
}

pub(crate) fn demo() -> Tenant {
    Tenant::new("demo").unwrap()
}

pub(crate) fn tenant() -> DirectoryValue {
    DirectoryValue::Tenant(TenantEntry {
        tenant: demo(),
        partition: PARTITION,
        placement: PLACEMENT,
        pepper: Name::fixed("demo-pepper"),
    })
}

pub(crate) fn connection(name: &str, at: &str, account: &str, token: &str, secret: &'static str) -> ConnectionEntry {
    ConnectionEntry {
        tenant: demo(),
        connection: ConnectionName::new(name).unwrap(),
        vendor: vendor(at),
        account: Account::new(account).unwrap(),
        intake: Intake::Webhook,
        active: true,
        token_hash: Sha256::digest(token).into(),
        secrets: vec![Name::fixed(secret)],
        retry_horizon_ms: 60_000,
        requests_per_second: 2,
        max_body_bytes: MAX_BODY_BYTES,
    }
}

pub(crate) fn shop() -> DirectoryValue {
    DirectoryValue::Connection(connection("store", "shopify", "demo.myshopify.com", SHOP_TOKEN, "shop-secret"))
}

pub(crate) fn helpdesk() -> DirectoryValue {
    DirectoryValue::Connection(connection("helpdesk", "gorgias", "demo", DESK_TOKEN, "desk-secret"))
}

/// A delivery of Shopify, signed.
pub(crate) fn shopify(topic: &str, body: impl Into<Vec<u8>>) -> Sent {
    let body = body.into();
    let mac = Hmac::<Sha256>::new_from_slice(SHOP_SECRET).unwrap().chain_update(&body);
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    let headers = [
        ("x-shopify-topic", topic),
        ("x-shopify-shop-domain", "demo.myshopify.com"),
        ("x-shopify-webhook-id", "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043"),
        ("x-shopify-hmac-sha256", &signature),
        ("x-private", "nobody keeps this header"),
    ];
    Sent { token: SHOP_TOKEN, headers: headers.map(|(name, value)| (name.into(), value.into())).into(), body }
}

/// A delivery of Gorgias, with its token.
pub(crate) fn gorgias(body: impl Into<Vec<u8>>) -> Sent {
    let token = String::from_utf8(DESK_SECRET.to_vec()).unwrap();
    let headers = vec![("x-tradewind-token".into(), token), ("content-type".into(), "application/json".into())];
    Sent { token: DESK_TOKEN, headers, body: body.into() }
}

/// The body of a recorded delivery, under the customer's name of these tests.
pub(crate) fn sample(case: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/fixtures").join(case).join("delivery.json");
    let delivery: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    body_of(&delivery)
}

/// What the vendor answers to the fetch of a recorded delivery.
pub(crate) fn fetched(case: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/fixtures").join(case).join("delivery.json");
    let delivery: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    body_of(&delivery["fetched"])
}

fn body_of(delivery: &serde_json::Value) -> String {
    let lines: Vec<&str> = delivery["body"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    lines.join("\n").replace("ada@example.com", EMAIL).replace("\"Ada\"", &format!("\"{FIRST_NAME}\""))
}

pub(crate) fn order() -> Sent {
    shopify("orders/create", sample("shopify/order_placed"))
}

/// An order of its own customer.
pub(crate) fn order_of(number: u32) -> Sent {
    let body = sample("shopify/order_placed");
    let body = body.replace("820982911946154508", &format!("9{number:08}"));
    shopify("orders/create", body.replace("9007199254740997", &format!("7{number:08}")))
}

/// Waits until something is so.
pub(crate) async fn until(what: impl Fn() -> bool) {
    let becomes_so = async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    bounded(becomes_so).await;
}

/// So that a test that fails ends.
pub(crate) async fn bounded<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("expected it within a minute")
}
