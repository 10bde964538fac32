//! The vendors' HTTP client: kept-alive connections, a second to connect, five for
//! the whole request, no redirects followed. These are the world's seconds.

use std::time::Duration;

use axum::body::Body;
use hyper::{Request, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;

use crate::courier::{Answer, Sender};
use crate::postman::{Post, Transport};

const CONNECT: Duration = Duration::from_secs(1);
const REQUEST: Duration = Duration::from_secs(5);
/// Shorter than receivers keep a silent connection.
const IDLE: Duration = Duration::from_secs(4);

/// Sends to the address of each sender.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    client: Client<HttpConnector, Body>,
    shop: Option<Uri>,
    desk: Option<Uri>,
}

impl Http {
    pub(crate) fn new(shop: Option<Uri>, desk: Option<Uri>) -> Http {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .http1_title_case_headers(true)
            .build(connector);
        Http { client, shop, desk }
    }

    async fn send(&self, post: Post) -> Answer {
        let address = match post.sender {
            Sender::Shop => &self.shop,
            Sender::Desk => &self.desk,
        };
        let address = address.as_ref().expect("a sender has an address");
        let mut request = Request::post(address);
        for (name, value) in &post.headers {
            request = request.header(name, value);
        }
        let request = request.body(Body::from(post.body)).expect("headers without control characters");
        match self.client.request(request).await {
            Ok(response) => Answer::Status(response.status().as_u16()),
            Err(error) if error.is_connect() => Answer::Unreachable,
            Err(_) => Answer::Broken,
        }
    }
}

impl Transport for Http {
    async fn post(&self, request: Post) -> Answer {
        timeout(REQUEST, self.send(request)).await.unwrap_or(Answer::TimedOut)
    }
}
