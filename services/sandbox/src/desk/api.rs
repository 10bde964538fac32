//! `GET /api/tickets/{id}`, for whoever was sent a hint.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::payload::{Stage, resource};
use crate::chance::Chance;
use crate::clock::Clock;
use crate::life::{Ticket, Visit};
use crate::locked;
use crate::settings::DeskSettings;

/// Tickets beyond this many can't be fetched any more, the oldest first.
const TICKETS_KEPT: usize = 100_000;

/// A key's bucket: so many requests, refilled within so long.
const BUCKET: i64 = 40;
const BUCKET_MS: i64 = 20_000;

#[derive(Debug)]
pub(crate) struct Desk {
    settings: DeskSettings,
    seed: u64,
    tickets: BTreeMap<u64, (Arc<Visit>, Ticket, Stage)>,
    order: VecDeque<u64>,
    open: u64,
    /// Requests in the bucket, in milliseconds of refilling, and when that was.
    level_ms: i64,
    level_at_ms: i64,
    fetches: u64,
    answered: BTreeMap<u16, u64>,
}

impl Desk {
    pub(crate) fn new(settings: DeskSettings, seed: u64, now_ms: i64) -> Desk {
        Desk {
            settings,
            seed,
            tickets: BTreeMap::new(),
            order: VecDeque::new(),
            open: 0,
            level_ms: 0,
            level_at_ms: now_ms,
            fetches: 0,
            answered: BTreeMap::new(),
        }
    }

    pub(crate) fn settings(&self) -> &DeskSettings {
        &self.settings
    }

    /// From now on the ticket is that far.
    pub(crate) fn set(&mut self, visit: &Arc<Visit>, ticket: Ticket, stage: Stage) {
        match stage {
            Stage::Opened => self.open += 1,
            Stage::Answered => {}
            Stage::Closed => self.open -= 1,
        }
        if self.tickets.insert(ticket.id, (Arc::clone(visit), ticket, stage)).is_none() {
            self.order.push_back(ticket.id);
        }
        if self.order.len() > TICKETS_KEPT {
            self.order.pop_front().and_then(|oldest| self.tickets.remove(&oldest));
        }
    }

    pub(crate) fn tickets_open(&self) -> u64 {
        self.open
    }

    /// Fetches by what they were answered.
    pub(crate) fn fetches(&self) -> &BTreeMap<u16, u64> {
        &self.answered
    }

    fn fetch(&mut self, id: &str, authorization: Option<&str>, now_ms: i64) -> Response {
        self.fetches += 1;
        let response = self.answer(id, authorization, now_ms);
        *self.answered.entry(response.status().as_u16()).or_default() += 1;
        response
    }

    fn answer(&mut self, id: &str, authorization: Option<&str>, now_ms: i64) -> Response {
        let expected = format!("Basic {}", STANDARD.encode(self.settings.login.as_str()));
        if authorization != Some(expected.as_str()) {
            return (StatusCode::UNAUTHORIZED, "Unauthorized.").into_response();
        }
        let each_ms = BUCKET_MS / BUCKET;
        self.level_ms = (self.level_ms - (now_ms - self.level_at_ms)).max(0);
        self.level_at_ms = now_ms;
        if self.level_ms + each_ms > BUCKET_MS {
            let wait_s = ((self.level_ms + each_ms - BUCKET_MS) + 999) / 1_000;
            let headers = [("retry-after", wait_s.to_string()), (CALLS_HEADER, format!("{BUCKET}/{BUCKET}"))];
            return (StatusCode::TOO_MANY_REQUESTS, headers, error("Too many requests.")).into_response();
        }
        self.level_ms += each_ms;
        let calls = [(CALLS_HEADER, format!("{}/{BUCKET}", (self.level_ms + each_ms - 1) / each_ms))];
        let mut chance = Chance::of(self.seed, "fetch", &[id.as_bytes(), &self.fetches.to_be_bytes()]);
        if chance.per_mille(self.settings.faults.unavailable) {
            return (StatusCode::SERVICE_UNAVAILABLE, calls, error("Temporarily unavailable.")).into_response();
        }
        match id.parse().ok().and_then(|id: u64| self.tickets.get(&id)) {
            Some((visit, ticket, stage)) => {
                (calls, axum::Json(resource(visit, ticket, *stage, &self.settings.domain))).into_response()
            }
            None => (StatusCode::NOT_FOUND, calls, error("Ticket does not exist.")).into_response(),
        }
    }
}

const CALLS_HEADER: &str = "x-gorgias-account-api-call-limit";

fn error(message: &str) -> axum::Json<serde_json::Value> {
    axum::Json(json!({ "error": { "msg": message } }))
}

pub(crate) fn router(desk: Arc<Mutex<Desk>>, clock: Clock) -> Router {
    Router::new().route("/api/tickets/{id}", get(ticket)).with_state((desk, clock))
}

async fn ticket(
    State((desk, clock)): State<(Arc<Mutex<Desk>>, Clock)>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let authorization = headers.get("authorization").and_then(|value| value.to_str().ok());
    locked(&desk).fetch(&id, authorization, clock.now_ms())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::DeskFaults;

    const LOGIN: Option<&str> = Some("Basic YWdlbnRAZXhhbXBsZS5jb206a2V5");

    fn desk(faults: DeskFaults) -> Desk {
        let settings = DeskSettings::new("http://127.0.0.1:1/", "demo", "token".into(), "agent@example.com:key".into());
        Desk::new(DeskSettings { faults, ..settings }, 7, 0)
    }

    #[test]
    fn a_full_bucket_says_when_there_is_room() {
        let mut desk = desk(DeskFaults::default());
        for _ in 0..40 {
            assert_eq!(desk.fetch("5", LOGIN, 0).status(), StatusCode::NOT_FOUND);
        }
        let refused = desk.fetch("5", LOGIN, 0);
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(refused.headers()["retry-after"], "1");
        assert_eq!(refused.headers()[CALLS_HEADER], "40/40");
        // Half a second is room for one.
        assert_eq!(desk.fetch("5", LOGIN, 500).status(), StatusCode::NOT_FOUND);
        assert_eq!(desk.fetch("5", LOGIN, 500).status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(*desk.fetches(), BTreeMap::from([(404, 41), (429, 2)]));
    }

    #[test]
    fn a_wrong_login_learns_nothing() {
        let mut desk = desk(DeskFaults::default());
        for authorization in [None, Some("Basic eDp5"), Some("Bearer token")] {
            assert_eq!(desk.fetch("5", authorization, 0).status(), StatusCode::UNAUTHORIZED);
        }
    }

    #[test]
    fn it_can_be_unavailable() {
        let mut desk = desk(DeskFaults { unavailable: 1_000, ..DeskFaults::default() });
        assert_eq!(desk.fetch("5", LOGIN, 0).status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
