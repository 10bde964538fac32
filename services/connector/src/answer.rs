//! What a vendor is answered, and what we count it as. A client learns the status
//! alone: why a signature is wrong is nobody's business but ours.

use axum::http::header::{CONNECTION, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use tradewind_vendors::Refusal;

/// In seconds. Vendors retry at a pace of their own; whoever reads it should not hurry.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("2");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Its facts are durable.
    Accepted,
    /// Kept; nothing in our catalogue is what it says.
    NotInCatalogue,
    /// Kept; genuine and not understood.
    DeadLettered,
    UnknownToken,
    Refused(Refusal),
    TooLarge,
    /// The log can't store it, whenever it comes.
    Unstorable,
    /// The client did not send its body in time.
    Slow,
    /// The client went away.
    Interrupted,
    /// The directory was not read yet.
    Starting,
    /// The connection lacks something of ours, such as its secret.
    Unusable,
    Overloaded,
    /// The log or the vault did not answer in time.
    Silent,
    /// The log or the vault answered that it can't now.
    Unavailable,
    /// The vendor could not be asked for what its delivery hinted at.
    Unfetched,
    /// Our own code failed.
    Failed,
}

impl Answer {
    /// The word in metrics.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Answer::Accepted => "accepted",
            Answer::NotInCatalogue => "not_in_catalogue",
            Answer::DeadLettered => "dead_lettered",
            Answer::UnknownToken => "unknown_token",
            Answer::Refused(refusal) => refusal.as_str(),
            Answer::TooLarge => "too_large",
            Answer::Unstorable => "unstorable",
            Answer::Slow => "slow",
            Answer::Interrupted => "interrupted",
            Answer::Starting => "starting",
            Answer::Unusable => "unusable",
            Answer::Overloaded => "overloaded",
            Answer::Silent => "silent",
            Answer::Unavailable => "unavailable",
            Answer::Unfetched => "unfetched",
            Answer::Failed => "failed",
        }
    }

    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Answer::Accepted | Answer::NotInCatalogue | Answer::DeadLettered => StatusCode::OK,
            Answer::UnknownToken => StatusCode::NOT_FOUND,
            Answer::Refused(_) => StatusCode::UNAUTHORIZED,
            Answer::TooLarge | Answer::Unstorable => StatusCode::PAYLOAD_TOO_LARGE,
            Answer::Slow => StatusCode::REQUEST_TIMEOUT,
            Answer::Interrupted => StatusCode::BAD_REQUEST,
            // Never a 4xx for what is our own trouble: some vendors stop sending then.
            Answer::Starting
            | Answer::Unusable
            | Answer::Overloaded
            | Answer::Silent
            | Answer::Unavailable
            | Answer::Unfetched
            | Answer::Failed => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut response = status.into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
        }
        if matches!(self, Answer::TooLarge | Answer::Slow) {
            // The rest of the body is not read, so nothing can follow it.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
