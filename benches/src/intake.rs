//! Two servers that take webhooks in: the connector, and what somebody would
//! write who needs no more than the check and one durable record.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tradewind_connector::{Settings, Telemetry, World, serve};
use tradewind_domain::{
    Account, ConnectionEntry, ConnectionName, DirectoryEntry, DirectoryValue, Intake, Name, Tenant, TenantEntry,
    Timestamp,
};
use tradewind_ports::{Clock, EventLog, NewRecord, Topic};
use tradewind_simulation::shop;
use tradewind_telemetry::{Health, Metrics, Shutdown};
use tradewind_vault::{FileVault, InstallationKey};
use tradewind_wire::directory;

use crate::processes::top;
use crate::scratch::Scratch;
use crate::workload::wall;

const TOKEN: &str = "5ZqJ0mC3xK8nQ1vT7rB4yW6e";
const SHOP: &str = "demo.myshopify.com";
const SECRET: &[u8] = b"a secret of these measurements";
const PEPPER: &[u8] = b"0123456789abcdef0123456789abcdef";

/// The cart of the fixture.
const CART: &str = "c1d2e3f405162738495a6b7c8d9e0f10";

/// Most records in one append, as in the connector.
const BATCH: usize = 512;

/// Requests as they go over the wire: nine carts to one order, each of its own
/// cart, or its own order of one of its customers.
///
/// # Panics
///
/// The fixtures are not where they were.
#[must_use]
pub fn deliveries(count: usize) -> Arc<Vec<Vec<u8>>> {
    let (cart, order) = (sample("cart_updated"), sample("order_placed"));
    let one = |number: usize| {
        let (topic, body) = if number.is_multiple_of(10) {
            let body = order.replace("820982911946154508", &format!("9{number:08}"));
            ("orders/create", body.replace("ada@example.com", &format!("ada{number}@example.com")))
        } else {
            ("carts/update", cart.replace(CART, &format!("{number:032x}")))
        };
        let mac = Hmac::<Sha256>::new_from_slice(SECRET).expect("a key of any length").chain_update(&body);
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        let head = format!(
            "POST /v1/in/{TOKEN} HTTP/1.1\r\nhost: benches\r\ncontent-length: {}\r\ncontent-type: application/json\r\n\
             x-shopify-topic: {topic}\r\nx-shopify-shop-domain: {SHOP}\r\nx-shopify-hmac-sha256: {signature}\r\n\r\n",
            body.len()
        );
        [head.into_bytes(), body.into_bytes()].concat()
    };
    Arc::new((0..count).map(one).collect())
}

/// The body of a delivery among the fixtures.
fn sample(case: &str) -> String {
    let path = top().join("schemas/fixtures/shopify").join(case).join("delivery.json");
    let delivery: Value = serde_json::from_slice(&std::fs::read(path).expect("a fixture")).expect("JSON");
    let lines = delivery["body"].as_array().expect("lines");
    lines.iter().map(|line| line.as_str().expect("a line")).collect::<Vec<_>>().join("\n")
}

/// The connector, as `tradewind` runs it on the embedded log.
#[derive(Clone, Copy, Debug)]
pub struct Product;

impl Product {
    /// # Panics
    ///
    /// It can't be set up.
    pub fn serve(log: Arc<dyn EventLog>, listener: TcpListener, runtime: &Runtime, home: &Scratch) {
        let key = InstallationKey::create(&home.join("key")).expect("a directory to write to");
        let clock: Arc<dyn Clock> = Arc::new(Wall);
        let vault = FileVault::open(&home.join("vault"), key, clock.clone()).expect("a new vault").vault;
        let tenant = shop::tenant(0);
        for value in [merchant(&tenant), connection(&tenant)] {
            let entry = directory::record(&DirectoryEntry { version: 1, value });
            log.append(&Topic::Directory.partition(0), vec![entry]).expect("a log that takes entries");
        }
        let world = World {
            log,
            vault: Arc::new(vault),
            clock,
            secrets: Arc::new(|reference: &Name| match reference.as_str() {
                "secret" => Some(SECRET.to_vec()),
                "pepper" => Some(PEPPER.to_vec()),
                _ => None,
            }),
            probe: Arc::new(|| Box::pin(async { false })),
            fetch: None,
        };
        let (health, metrics, shutdown) = (Health::new(), Metrics::new(), Shutdown::new());
        let telemetry = Telemetry { health: health.clone(), metrics, shutdown };
        let served =
            runtime.spawn(serve(listener, world, Settings { partitions: 1, ..Settings::default() }, telemetry));
        while !health.is_ready() {
            if served.is_finished() {
                panic!("expected the connector to serve, it ended: {:?}", runtime.block_on(served));
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

struct Wall;

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        wall()
    }
}

fn merchant(tenant: &Tenant) -> DirectoryValue {
    DirectoryValue::Tenant(TenantEntry {
        tenant: tenant.clone(),
        partition: 0,
        placement: 1,
        pepper: Name::fixed("pepper"),
    })
}

fn connection(tenant: &Tenant) -> DirectoryValue {
    DirectoryValue::Connection(ConnectionEntry {
        tenant: tenant.clone(),
        connection: ConnectionName::new("store").expect("a connection's name"),
        vendor: shop::vendor("shopify"),
        account: Account::new(SHOP).expect("an account"),
        intake: Intake::Webhook,
        active: true,
        token_hash: Sha256::digest(TOKEN).into(),
        secrets: vec![Name::fixed("secret")],
        retry_horizon_ms: 60_000,
        requests_per_second: 2,
        max_body_bytes: 1 << 20,
    })
}

/// axum, the same check, and the delivery's body as one record.
#[derive(Clone, Debug)]
pub struct Plain(SyncSender<Waiting>);

#[derive(Debug)]
struct Waiting {
    body: Bytes,
    reply: oneshot::Sender<()>,
}

impl Plain {
    /// With so many appends one after the other for each batch.
    pub fn serve(log: Arc<dyn EventLog>, listener: TcpListener, runtime: &Runtime, appends: usize) {
        let (sender, waiting) = sync_channel(1_024);
        thread::spawn(move || append(log.as_ref(), &waiting, appends));
        let router = Router::new().route("/v1/in/{token}", post(take_in)).with_state(Plain(sender));
        runtime.spawn(async { axum::serve(listener, router).await });
    }
}

async fn take_in(State(Plain(sender)): State<Plain>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let signature = headers.get("x-shopify-hmac-sha256").and_then(|value| STANDARD.decode(value.as_bytes()).ok());
    let mac = Hmac::<Sha256>::new_from_slice(SECRET).expect("a key of any length").chain_update(&body);
    if signature.is_none_or(|signature| mac.verify_slice(&signature).is_err()) {
        return StatusCode::UNAUTHORIZED;
    }
    let (reply, answer) = oneshot::channel();
    if sender.try_send(Waiting { body, reply }).is_err() || answer.await.is_err() {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    StatusCode::OK
}

/// Appends for everybody who waits, as the connector's appender does.
fn append(log: &dyn EventLog, waiting: &Receiver<Waiting>, appends: usize) {
    while let Ok(first) = waiting.recv() {
        let mut batch = vec![first];
        batch.extend(waiting.try_iter().take(BATCH - 1));
        let topics = [Topic::Events, Topic::Raw(shop::vendor("shopify"))];
        for topic in topics.into_iter().take(appends) {
            let record = |waiting: &Waiting| NewRecord { value: Some(waiting.body.to_vec()), ..NewRecord::default() };
            if log.append(&topic.partition(0), batch.iter().map(record).collect()).is_err() {
                return;
            }
        }
        for Waiting { reply, .. } in batch {
            // Whoever waited may have given up.
            let _ = reply.send(());
        }
    }
}
