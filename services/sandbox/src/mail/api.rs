//! The service on the wire.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use tokio::time::sleep;

use super::events::{Asked, Mail, Manner, Reply};
use crate::clock::Clock;
use crate::locked;
use crate::server::Cut;

/// The longest body: Klaviyo's 5 MB.
const BODY_BYTES_MAX: usize = 5_000_000;

type Service = (Arc<Mutex<Mail>>, Clock);

pub(crate) fn router(mail: Arc<Mutex<Mail>>, clock: Clock) -> Router {
    Router::new()
        .route("/api/events", post(create).get(list))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state((mail, clock))
}

async fn create(
    State((mail, clock)): State<Service>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let body = match body {
        Ok(body) => body,
        Err(rejection) => return rejection.into_response(),
    };
    let (reply, slow_ms, held_ms) = {
        let mut mail = locked(&mail);
        let reply = mail.create(asked(&headers, &body), clock.now_ms());
        (reply, mail.settings().slow_ms, mail.settings().held_ms)
    };
    match reply.manner {
        Manner::Prompt => response(reply),
        Manner::Slow => {
            sleep(Duration::from_millis(slow_ms)).await;
            response(reply)
        }
        Manner::Held => {
            sleep(Duration::from_millis(held_ms)).await;
            Cut::response()
        }
        Manner::Cut => Cut::response(),
    }
}

async fn list(
    State((mail, clock)): State<Service>,
    headers: HeaderMap,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    let reply = locked(&mail).list(asked(&headers, &[]), &query, clock.now_ms());
    response(reply)
}

fn asked<'a>(headers: &'a HeaderMap, body: &'a [u8]) -> Asked<'a> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    Asked {
        authorization: header("authorization"),
        revision: header("revision"),
        content_type: header("content-type"),
        body,
    }
}

fn response(reply: Reply) -> Response {
    let mut response =
        Response::builder().status(StatusCode::from_u16(reply.status).expect("a status of three digits"));
    if let Some(remaining) = reply.remaining {
        response = response
            .header("ratelimit-limit", remaining.limit)
            .header("ratelimit-remaining", remaining.remaining)
            .header("ratelimit-reset", remaining.reset_s);
    }
    if let Some(retry_after_s) = reply.retry_after_s {
        response = response.header("retry-after", retry_after_s);
    }
    let body = match reply.body {
        Some(body) => {
            response = response.header("content-type", "application/vnd.api+json");
            Body::from(body.to_string())
        }
        None => Body::empty(),
    };
    response.body(body).expect("headers of digits and letters")
}
