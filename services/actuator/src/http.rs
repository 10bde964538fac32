//! Calls over HTTP, on a tokio runtime.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tradewind_egress::Client;

use crate::calls::{Call, Calls, Ended};

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
            let answer = client.send(request, move || asked.ask()).await;
            // Nobody listens any more when the actuator was dropped.
            let _ = done.send(Ended { command, sent_at: permit.sent_at(), answer });
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
