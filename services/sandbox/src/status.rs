//! What the sandbox has done, as JSON for the console and for tests.
//!
//! | address | is |
//! |---|---|
//! | `/sandbox/status` | counts, lines, the latest deliveries |
//! | `/sandbox/deliveries?from=0&limit=1000` | the ledger of deliveries |
//! | `/sandbox/effects?from=0&limit=1000` | the ledger of effects |
//! | `/sandbox/effects/{unique_id}` | the effects of one id and their count |
//!
//! No personal data: profiles are hashes, bodies are digests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::clock::Clock;
use crate::courier::{Courier, Delivery, DeliveryCounts, LineStatus, Sender};
use crate::desk::Desk;
use crate::locked;
use crate::mail::{Effect, Mail, MailCounts};

/// How many of the latest deliveries the status shows.
const LATEST: usize = 20;

/// The longest page of a ledger, and the one that is given unasked.
const PAGE_MAX: usize = 10_000;
const PAGE: usize = 1_000;

/// What everybody may look at.
#[derive(Clone, Debug)]
pub(crate) struct Ledgers {
    pub(crate) seed: u64,
    pub(crate) speed: u32,
    pub(crate) clock: Clock,
    pub(crate) courier: Arc<Mutex<Courier>>,
    pub(crate) desk: Option<Arc<Mutex<Desk>>>,
    pub(crate) mail: Arc<Mutex<Mail>>,
}

/// The sandbox at a glance.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    pub seed: u64,
    pub speed: u32,
    pub now_ms: i64,
    pub shop: DeliveryCounts,
    pub desk: DeliveryCounts,
    pub tickets_open: u64,
    pub tickets_fetched: BTreeMap<u16, u64>,
    pub mail: MailCounts,
    pub lines: Vec<Line>,
    /// The newest first.
    pub latest: Vec<Delivery>,
}

/// A subscription or an integration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    pub sender: Sender,
    pub line: &'static str,
    /// False once the vendor deleted it or switched it off.
    pub is_open: bool,
    pub failures_in_a_row: u32,
}

impl Ledgers {
    pub(crate) fn status(&self) -> Status {
        let now_ms = self.clock.now_ms();
        let (shop, desk, lines, latest) = {
            let courier = locked(&self.courier);
            let line = |LineStatus { sender, line, is_open, failures_in_a_row, .. }: &LineStatus| Line {
                sender: *sender,
                line,
                is_open: *is_open,
                failures_in_a_row: *failures_in_a_row,
            };
            let latest = courier.ledger().rev().take(LATEST).cloned().collect();
            let lines = courier.lines().map(line).collect();
            (courier.counts(Sender::Shop), courier.counts(Sender::Desk), lines, latest)
        };
        let (tickets_open, tickets_fetched) = match &self.desk {
            Some(desk) => {
                let desk = locked(desk);
                (desk.tickets_open(), desk.fetches().clone())
            }
            None => (0, BTreeMap::new()),
        };
        let mail = locked(&self.mail).counts().clone();
        let (seed, speed) = (self.seed, self.speed);
        Status { seed, speed, now_ms, shop, desk, tickets_open, tickets_fetched, mail, lines, latest }
    }

    pub(crate) fn effects_of(&self, unique_id: &str) -> Vec<Effect> {
        locked(&self.mail).effects_of(unique_id).cloned().collect()
    }
}

pub(crate) fn router(ledgers: Ledgers) -> Router {
    Router::new()
        .route("/sandbox/status", get(status))
        .route("/sandbox/deliveries", get(deliveries))
        .route("/sandbox/effects", get(effects))
        .route("/sandbox/effects/{unique_id}", get(effects_of))
        .with_state(ledgers)
}

#[derive(Deserialize)]
struct Page {
    from: Option<u64>,
    limit: Option<usize>,
}

impl Page {
    fn limit(&self) -> usize {
        self.limit.unwrap_or(PAGE).min(PAGE_MAX)
    }
}

async fn status(State(ledgers): State<Ledgers>) -> Json<Status> {
    Json(ledgers.status())
}

async fn deliveries(State(ledgers): State<Ledgers>, Query(page): Query<Page>) -> Response {
    let courier = locked(&ledgers.courier);
    let deliveries: Vec<&Delivery> = courier.ledger_from(page.from.unwrap_or(0)).take(page.limit()).collect();
    let next = deliveries.last().filter(|_| deliveries.len() == page.limit()).map(|last| last.number + 1);
    Json(json!({ "deliveries": deliveries, "next": next })).into_response()
}

async fn effects(State(ledgers): State<Ledgers>, Query(page): Query<Page>) -> Response {
    let mail = locked(&ledgers.mail);
    let from = usize::try_from(page.from.unwrap_or(0)).unwrap_or(usize::MAX);
    let effects: Vec<&Effect> = mail.effects().iter().skip(from).take(page.limit()).collect();
    let next = effects.last().filter(|_| effects.len() == page.limit()).map(|last| last.number + 1);
    Json(json!({ "effects": effects, "total": mail.counts().effects, "next": next })).into_response()
}

async fn effects_of(State(ledgers): State<Ledgers>, Path(unique_id): Path<String>) -> Response {
    let effects = ledgers.effects_of(&unique_id);
    let count: u64 = effects.iter().map(|effect| effect.count).sum();
    Json(json!({ "unique_id": unique_id, "count": count, "effects": effects })).into_response()
}
