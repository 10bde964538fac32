//! Requests with a deadline and a bound, and what is known when they end.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;

use crate::address::{Checked, Reach, Refused};
use crate::permit::{Departure, Permitted, Withheld};

/// How long the kernel may go on sending what was written before a request was
/// given up. The last byte of a request has left, or never will, this long after
/// it ended.
pub const LINGER: Duration = Duration::from_secs(5);

/// Longest wait for a connection, within the request's own deadline.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection that was idle for longer is likely closed on the other side.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);

/// Idle connections kept for one host.
const IDLE_PER_HOST: usize = 16;

#[derive(Clone, Debug)]
pub struct Settings {
    pub reach: Reach,
    /// Who calls, with a way to learn more about it.
    pub user_agent: String,
    /// Bytes of an answer's body that are read at most.
    pub answer_bytes_max: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
}

/// What the request is sent over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// One that is open already, where there is one.
    Kept,
    /// Its own. A kept connection may be closed by the server in the moment it
    /// is used, and whether the request arrived is then unknown.
    Fresh,
}

/// One request. It prints neither its headers nor its body.
#[derive(Clone)]
pub struct Request {
    pub method: Method,
    /// Scheme, host and port.
    pub origin: String,
    /// With the query, beginning with a slash.
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// From now to the last byte of the answer.
    pub deadline: Duration,
    pub connection: Connection,
}

impl fmt::Debug for Request {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Request { method, origin, path, body, .. } = self;
        write!(formatter, "Request({method:?} {origin}{path}, {} bytes)", body.len())
    }
}

/// How a request ended.
#[derive(Clone, PartialEq, Eq)]
pub enum Answer {
    Received {
        status: u16,
        /// Names in lower case.
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    /// No byte has left: it did not happen.
    Unsent(Unsent),
    /// A byte may have left, and no whole answer came: it may have happened, and
    /// its last byte may leave up to [`LINGER`] from now.
    Lost(Loss),
}

impl fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Received { status, body, .. } => write!(formatter, "Received({status}, {} bytes)", body.len()),
            Answer::Unsent(unsent) => write!(formatter, "Unsent({unsent:?})"),
            Answer::Lost(loss) => write!(formatter, "Lost({loss:?})"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unsent {
    /// The address is one we don't call, or the request is none.
    Refused { reason: String },
    /// No connection came about.
    Unreachable { reason: String },
    /// The permit was refused.
    Withheld,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loss {
    Deadline,
    /// The connection broke.
    Broken {
        reason: String,
    },
    /// The answer is larger than what is read of one.
    TooLarge,
}

#[derive(Debug)]
pub struct BuildError(reqwest::Error);

impl fmt::Display for BuildError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "build the HTTP client: {}", reason(&self.0))
    }
}

impl Error for BuildError {}

/// Cheap to clone. It calls from the tokio runtime it is used on.
#[derive(Clone, Debug)]
pub struct Client {
    kept: reqwest::Client,
    fresh: reqwest::Client,
    settings: Arc<Settings>,
}

impl Client {
    /// # Errors
    ///
    /// The user agent is none, or TLS can't be set up.
    pub fn new(settings: Settings) -> Result<Client, BuildError> {
        let build = |idle| {
            reqwest::Client::builder()
                .user_agent(&settings.user_agent)
                .dns_resolver(Arc::new(Checked))
                .redirect(Policy::none())
                .retry(reqwest::retry::never())
                .no_proxy()
                .referer(false)
                .connect_timeout(CONNECT_TIMEOUT)
                .pool_max_idle_per_host(idle)
                .pool_idle_timeout(IDLE_TIMEOUT)
                .tcp_nodelay(true)
                // Bounds what the kernel sends for a request that was given up.
                .tcp_user_timeout(LINGER)
                .build()
                .map_err(BuildError)
        };
        Ok(Client { kept: build(IDLE_PER_HOST)?, fresh: build(0)?, settings: Arc::new(settings) })
    }

    /// Sends a request and waits for the whole answer. `permit` is asked at most
    /// once, immediately before the first byte leaves.
    pub async fn send(&self, request: Request, permit: impl FnOnce() -> bool + Send + Sync + 'static) -> Answer {
        let departure = Departure::default();
        let deadline = request.deadline;
        let sent = self.exchange(request, permit, departure.clone());
        let ended = match tokio::time::timeout(deadline, sent).await {
            Ok(ended) => ended,
            Err(_) => Err(Failure::Deadline),
        };
        match ended {
            Ok(answer) => answer,
            Err(failure) if departure.may_have_left() => Answer::Lost(failure.into_loss()),
            Err(failure) => Answer::Unsent(failure.into_unsent()),
        }
    }

    async fn exchange(
        &self,
        request: Request,
        permit: impl FnOnce() -> bool + Send + Sync + 'static,
        departure: Departure,
    ) -> Result<Answer, Failure> {
        let url = self.settings.reach.url(&request.origin, &request.path).map_err(Failure::Refused)?;
        let headers = header_map(&request.headers)?;
        let client = match request.connection {
            Connection::Kept => &self.kept,
            Connection::Fresh => &self.fresh,
        };
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
        };
        let mut builder = client.request(method, url).headers(headers);
        if request.body.is_empty() {
            // Nothing would ask for an empty body, so this is as late as it gets.
            if !permit() {
                return Err(Failure::Withheld);
            }
            departure.mark();
        } else {
            let body = Permitted::new(Bytes::from(request.body), Box::new(permit), departure);
            builder = builder.body(reqwest::Body::wrap(body));
        }
        let mut response = builder.send().await.map_err(Failure::of)?;
        let status = response.status().as_u16();
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(Failure::of)? {
            if body.len() + chunk.len() > self.settings.answer_bytes_max {
                return Err(Failure::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer::Received { status, headers, body })
    }
}

/// What ended a request, before it is known whether it had left.
#[derive(Debug)]
enum Failure {
    Refused(Refused),
    Withheld,
    Deadline,
    TooLarge,
    Broken(String),
}

impl Failure {
    fn of(error: reqwest::Error) -> Failure {
        if let Some(refused) = source::<Refused>(&error) {
            return Failure::Refused(refused.clone());
        }
        if source::<Withheld>(&error).is_some() {
            return Failure::Withheld;
        }
        Failure::Broken(reason(&error))
    }

    fn into_unsent(self) -> Unsent {
        match self {
            Failure::Refused(Refused(reason)) => Unsent::Refused { reason: format!("call {reason}") },
            Failure::Withheld => Unsent::Withheld,
            Failure::Deadline => Unsent::Unreachable { reason: "its deadline passed".into() },
            Failure::TooLarge => Unsent::Unreachable { reason: "it answered before it was asked".into() },
            Failure::Broken(reason) => Unsent::Unreachable { reason },
        }
    }

    fn into_loss(self) -> Loss {
        match self {
            Failure::Deadline => Loss::Deadline,
            Failure::TooLarge => Loss::TooLarge,
            Failure::Broken(reason) => Loss::Broken { reason },
            Failure::Refused(Refused(reason)) => Loss::Broken { reason },
            Failure::Withheld => Loss::Broken { reason: Withheld.to_string() },
        }
    }
}

fn header_map(headers: &[(String, String)]) -> Result<HeaderMap, Failure> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let refused = || Failure::Refused(Refused(format!("a server with a header {name:?} that is none")));
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?;
        let mut value = HeaderValue::from_str(value).map_err(|_| refused())?;
        value.set_sensitive(true);
        map.append(name, value);
    }
    Ok(map)
}

type AnyError = dyn Error + 'static;

/// An error and what it was caused by, the innermost last.
fn causes(error: &AnyError) -> impl Iterator<Item = &AnyError> {
    std::iter::successors(Some(error), |&error| error.source())
}

fn source<E: Error + 'static>(error: &AnyError) -> Option<&E> {
    causes(error).find_map(|error| error.downcast_ref())
}

/// The innermost cause: the outer ones repeat the address.
fn reason(error: &AnyError) -> String {
    causes(error).last().map_or_else(String::new, ToString::to_string)
}
