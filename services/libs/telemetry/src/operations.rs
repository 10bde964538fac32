//! What operators and orchestrators ask over HTTP. It is served apart from the
//! public door: none of it is for the world.
//!
//! `/livez` says that the process answers, and nothing of what it waits for: a
//! broker that is down is no reason to kill whoever waits for it.

use std::io;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::health::{Answer, Health};
use crate::metrics::Metrics;

/// `/livez`, `/readyz`, `/startupz` and `/metrics`.
pub fn router(health: Health, metrics: Metrics) -> Router {
    Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(async |State(health): State<Health>| health.readiness()))
        .route("/startupz", get(async |State(health): State<Health>| health.startup()))
        .with_state(health)
        .route("/metrics", get(exposition))
        .with_state(metrics)
}

/// Serves [`router`] until the future is dropped: also while the process stops,
/// since then it is asked most.
///
/// # Errors
///
/// The listener fails.
pub async fn serve(listener: TcpListener, health: Health, metrics: Metrics) -> io::Result<()> {
    axum::serve(listener, router(health, metrics)).await
}

async fn exposition(State(metrics): State<Metrics>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], metrics.text())
}

impl IntoResponse for Answer {
    fn into_response(self) -> axum::response::Response {
        let status = if self.is_well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        (status, self.text).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    #[tokio::test]
    async fn probes_are_answered_by_what_the_parts_say() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let health = Health::new();
        let served = tokio::spawn(serve(listener, health.clone(), Metrics::new()));
        let ask = async |path: &str| {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nhost: tradewind\r\nconnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer.split(' ').nth(1).unwrap().to_owned()
        };
        let part = health.part("log");
        assert_eq!([ask("/livez").await, ask("/readyz").await, ask("/startupz").await], ["200", "503", "503"]);
        part.ready();
        assert_eq!([ask("/readyz").await, ask("/startupz").await, ask("/metrics").await], ["200", "200", "200"]);
        health.stop();
        assert_eq!([ask("/livez").await, ask("/readyz").await, ask("/startupz").await], ["200", "503", "200"]);
        assert_eq!(ask("/").await, "404");
        served.abort();
    }
}
