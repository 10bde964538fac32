//! The public door: one address a connection, and what each request is answered.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tradewind_domain::{Digest, Tenant};
use tradewind_ports::VaultError;

use crate::answer::Answer;
use crate::appender::{Appenders, Job};
use crate::delivery::{Kept, Keys, Read, Received, misunderstood};
use crate::directory::{Current, Door};
use crate::metrics::Counted;
use crate::outage::Outages;
use crate::reach::ALIVE_PATH;
use crate::turned_away::{Owed, TurnedAway};
use crate::world::{FetchAnswer, FetchCall, Settings, World};

/// The unit in which memory for deliveries is handed out.
const MEMORY_UNIT: usize = 1024;

/// What a delivery costs beside its body.
const DELIVERY_BYTES: usize = 4096;

/// Up to here a delivery is read in less time than handing it to another thread and back takes, or not much more.
const AT_ONCE_BYTES: usize = 64 << 10;

const NO_VENDOR: &str = "none";

#[derive(Debug)]
pub(crate) struct Ingress {
    pub(crate) world: World,
    pub(crate) settings: Settings,
    pub(crate) directory: Current,
    pub(crate) appenders: Appenders,
    pub(crate) memory: Arc<Semaphore>,
    pub(crate) counted: Counted,
    pub(crate) outages: Outages,
    pub(crate) turned_away: TurnedAway,
}

/// Room for the bodies of all deliveries in work together.
pub(crate) fn memory(settings: &Settings) -> Arc<Semaphore> {
    Arc::new(Semaphore::new((settings.memory_bytes / MEMORY_UNIT).min(Semaphore::MAX_PERMITS)))
}

pub(crate) fn router(ingress: Arc<Ingress>) -> Router {
    Router::new()
        .route("/v1/in/{token}", post(take_in))
        .route(ALIVE_PATH, get(async || StatusCode::NO_CONTENT))
        .with_state(ingress)
}

async fn take_in(State(ingress): State<Arc<Ingress>>, Path(token): Path<String>, request: Request) -> Answer {
    let started = Instant::now();
    let (vendor, answer) = match ingress.find(&token) {
        Ok(door) => {
            let answer = ingress.receive(door.clone(), request).await;
            if answer.status() == StatusCode::SERVICE_UNAVAILABLE {
                ingress.turned_away.note(Owed::by(&door));
            }
            (door.vendor_word, answer)
        }
        Err(answer) => (NO_VENDOR, answer),
    };
    if matches!(answer, Answer::Silent | Answer::Unavailable | Answer::Overloaded) {
        ingress.outages.turned_away();
    }
    ingress.counted.delivery(vendor, answer);
    if answer.status() == StatusCode::OK {
        ingress.counted.acknowledge.observe(started.elapsed().as_secs_f64());
    }
    answer
}

impl Ingress {
    fn find(&self, token: &str) -> Result<Arc<Door>, Answer> {
        let directory = self.directory.borrow().clone().ok_or(Answer::Starting)?;
        match directory.find(token) {
            Some(Ok(door)) => Ok(door.clone()),
            Some(Err(owed)) => {
                owed.iter().cloned().for_each(|owed| self.turned_away.note(owed));
                Err(Answer::Unusable)
            }
            None => Err(Answer::UnknownToken),
        }
    }

    async fn receive(&self, door: Arc<Door>, request: Request) -> Answer {
        let received_at = self.world.clock.now();
        let (head, body) = request.into_parts();
        let declared = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        let limit = door.max_body_bytes;
        if declared.is_some_and(|declared| declared > limit as u64) {
            return Answer::TooLarge;
        }
        let expected = declared.and_then(|declared| usize::try_from(declared).ok()).unwrap_or(limit);
        let Some(memory) = self.admit(expected) else { return Answer::Overloaded };
        let body = match tokio::time::timeout(self.settings.request_within, read_body(body, expected, limit)).await {
            Ok(Ok(body)) => body,
            Ok(Err(answer)) => return answer,
            Err(_) => return Answer::Slow,
        };
        let partition = door.partition;
        let received = Received { door, received_at, headers: headers(&head.headers), body };
        let answered = tokio::time::timeout(self.settings.answer_within, self.keep(received, memory)).await;
        answered.unwrap_or_else(|_| {
            self.outages.failed(partition, &"no answer in time");
            Answer::Silent
        })
    }

    fn admit(&self, body_bytes: usize) -> Option<OwnedSemaphorePermit> {
        let units = (body_bytes + DELIVERY_BYTES).div_ceil(MEMORY_UNIT);
        self.memory.clone().try_acquire_many_owned(u32::try_from(units).ok()?).ok()
    }

    /// Returns once the delivery is durable, or it is known that it won't be.
    async fn keep(&self, received: Received, memory: OwnedSemaphorePermit) -> Answer {
        match self.read(received, memory, None).await {
            Step::Answered(answer) => answer,
            Step::Fetch(received, memory, request) => {
                let Some(fetch) = &self.world.fetch else {
                    return self.read(received, memory, Some(Hint::NobodyAsks)).await.answer();
                };
                let Door { tenant, connection, vendor, account, .. } = &*received.door;
                let (tenant, connection) = (tenant.clone(), connection.clone());
                let (vendor, account) = (vendor.clone(), account.clone());
                match fetch(FetchCall { tenant, connection, vendor, account, request }).await {
                    // Its own trouble, or ours with it, and it may pass: the delivery will come again.
                    Ok(FetchAnswer { status: 429 | 500.., .. }) => Answer::Unfetched,
                    Ok(answer) => self.read(received, memory, Some(Hint::Answered(answer))).await.answer(),
                    Err(reason) => {
                        let connection = &received.door.connection;
                        tracing::warn!(tenant = %received.door.tenant, %connection, reason, "could not fetch");
                        Answer::Unfetched
                    }
                }
            }
        }
    }

    /// Reads the delivery and hands it on: where it came in, or on a thread that may block.
    async fn read(&self, received: Received, memory: OwnedSemaphorePermit, hint: Option<Hint>) -> Step {
        if let Some(read) = self.read_at_once(&received, hint.as_ref()) {
            return self.hand_on(received, memory, read).await;
        }
        let vault = self.world.vault.clone();
        let waiting = tokio::task::spawn_blocking(move || {
            let read = read_with(&received, hint.as_ref(), &|tenant, owner| vault.key_of(tenant, owner));
            (received, memory, read)
        });
        match waiting.await {
            Ok((received, memory, read)) => self.hand_on(received, memory, read).await,
            Err(_) => Step::Answered(Answer::Failed),
        }
    }

    /// `None` for a delivery that takes its time: a large one, one whose key has to be fetched or made, and one that
    /// makes our code panic, which a thread that may block survives as well.
    fn read_at_once(&self, received: &Received, hint: Option<&Hint>) -> Option<Read> {
        let answer = if let Some(Hint::Answered(answer)) = hint { answer.body.len() } else { 0 };
        if received.body.len().max(answer) > AT_ONCE_BYTES {
            return None;
        }
        let none = || VaultError::Unavailable { reason: "the key is not at hand".into() };
        let keys = |tenant: &Tenant, owner: &Digest| self.world.vault.at_hand(tenant, owner).ok_or_else(none);
        let read = catch_unwind(AssertUnwindSafe(|| read_with(received, hint, &keys))).ok()?;
        if let Read::Vault(_) = read { None } else { Some(read) }
    }

    async fn hand_on(&self, received: Received, memory: OwnedSemaphorePermit, read: Read) -> Step {
        let Received { door, .. } = &received;
        let (tenant, connection) = (&door.tenant, &door.connection);
        match read {
            Read::Kept(kept) => {
                if let Kept::DeadLetter(letter) = &kept {
                    tracing::warn!(%tenant, %connection, reason = %letter.reason, expected = %letter.expected, "dead letter");
                }
                let (reply, answer) = oneshot::channel();
                let (door, queued) = (door.clone(), self.counted.queued());
                self.appenders.append(Job { door, kept, reply, _memory: memory, _queued: queued });
                Step::Answered(answer.await.unwrap_or(Answer::Failed))
            }
            Read::Refused(refusal) => {
                tracing::info!(%tenant, %connection, %refusal, "delivery refused");
                Step::Answered(Answer::Refused(refusal))
            }
            Read::Vault(error) => {
                tracing::debug!(%tenant, %connection, %error, "no key to seal with");
                self.outages.failed(door.partition, &error);
                Step::Answered(Answer::Unavailable)
            }
            Read::Fetch(request) => Step::Fetch(received, memory, request),
        }
    }
}

fn read_with(received: &Received, hint: Option<&Hint>, keys: Keys<'_>) -> Read {
    match hint {
        None => received.read(keys, None),
        Some(Hint::Answered(answer)) => received.read(keys, Some(answer)),
        Some(Hint::NobodyAsks) => {
            let unasked = misunderstood("not_fetched", "a connector that may ask the vendor for more");
            Read::kept(received.lay_aside(keys, unasked))
        }
    }
}

/// What reading a delivery led to.
enum Step {
    Answered(Answer),
    Fetch(Received, OwnedSemaphorePermit, tradewind_vendors::Request),
}

impl Step {
    /// Of a delivery that has been asked for already.
    fn answer(self) -> Answer {
        match self {
            Step::Answered(answer) => answer,
            Step::Fetch(..) => Answer::Failed,
        }
    }
}

/// What is known of a delivery that only hinted at something.
enum Hint {
    Answered(FetchAnswer),
    NobodyAsks,
}

/// The body, or why there is none; not a byte beyond the limit is kept.
async fn read_body(body: Body, expected: usize, limit: usize) -> Result<Vec<u8>, Answer> {
    let mut body = pin!(body);
    let mut bytes = Vec::with_capacity(expected.min(limit));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Answer::Interrupted)?;
        if let Ok(chunk) = frame.into_data() {
            if chunk.len() > limit - bytes.len() {
                return Err(Answer::TooLarge);
            }
            bytes.extend_from_slice(&chunk);
        }
    }
    Ok(bytes)
}

/// As vendors' `verify` reads them: names in lower case, in the order they came.
fn headers(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect()
}
