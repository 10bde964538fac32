//! Calls over HTTP: a vendor's request as it is sent, and the sending on a tokio
//! runtime.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tradewind_domain::CommandId;
use tradewind_egress::{Answer, Client, Connection, Loss, Method, Request};

use crate::calls::{Call, Calls, Ended, Permit};

/// A vendor's request with all that a shell adds.
#[must_use]
pub fn rendered(
    request: tradewind_vendors::Request,
    origin: String,
    authorization: String,
    connection: Connection,
    deadline: Duration,
) -> Request {
    let mut headers: Vec<(String, String)> =
        request.headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    headers.push(("authorization".to_owned(), authorization));
    Request {
        method: match request.method {
            tradewind_vendors::Method::Get => Method::Get,
            tradewind_vendors::Method::Post => Method::Post,
        },
        origin,
        path: request.path,
        headers,
        body: request.body,
        deadline,
        connection,
    }
}

/// Dropping it gives up what is under way.
#[derive(Debug)]
pub struct HttpCalls {
    client: Client,
    runtime: Handle,
    running: JoinSet<()>,
    done: Sender<Ended>,
    ended: Receiver<Ended>,
}

impl HttpCalls {
    #[must_use]
    pub fn new(client: Client, runtime: Handle) -> HttpCalls {
        let (done, ended) = channel();
        HttpCalls { client, runtime, running: JoinSet::new(), done, ended }
    }
}

impl Calls for HttpCalls {
    fn begin(&mut self, call: Call) {
        let Call { command, request, permit } = call;
        let (client, done) = (self.client.clone(), self.done.clone());
        let exchange = async move {
            let asked = permit.clone();
            let mut exchange = Exchange { command, permit, done, answer: None };
            exchange.answer = Some(client.send(request, move || asked.ask()).await);
        };
        self.running.spawn_on(exchange, &self.runtime);
    }

    fn ended(&mut self, patience: Duration) -> Vec<Ended> {
        while self.running.try_join_next().is_some() {}
        let mut ended: Vec<Ended> = self.ended.try_iter().collect();
        if ended.is_empty() && !patience.is_zero() {
            ended.extend(self.ended.recv_timeout(patience));
        }
        ended
    }
}

/// Tells how it ended in any case: an exchange that panicked may have had its effect.
struct Exchange {
    command: CommandId,
    permit: Permit,
    done: Sender<Ended>,
    answer: Option<Answer>,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let broken = || Answer::Lost(Loss::Broken { reason: "the exchange ended without an answer".into() });
        let answer = self.answer.take().unwrap_or_else(broken);
        // Nobody listens any more when the actuator was dropped.
        let _ = self.done.send(Ended { command: self.command, sent_at: self.permit.sent_at(), answer });
    }
}
