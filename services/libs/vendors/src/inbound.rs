//! The way in: a delivery, whether it is genuine, and what it says.

use std::fmt;

use tradewind_domain::{Name, Timestamp};

use crate::draft::Draft;
use crate::outbound::Request;

/// One request as it came in.
#[derive(Clone, Copy)]
pub struct Delivery<'a> {
    /// By the connector's clock; it dates a fact only where the vendor gives no time.
    pub received_at: Timestamp,
    /// Names in lower case, in the order they came.
    pub headers: &'a [(String, String)],
    /// The bytes as they came: they are what is signed.
    pub body: &'a [u8],
}

impl<'a> Delivery<'a> {
    /// The first header of that name, without surrounding white space.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.trim())
    }
}

impl fmt::Debug for Delivery<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Delivery({} headers, {} bytes)", self.headers.len(), self.body.len())
    }
}

/// What a vendor proves itself with: signing secrets or static tokens, the newest
/// first; several while one replaces another. Never empty, and none of them is.
#[derive(Clone)]
pub struct Secrets(Vec<Vec<u8>>);

impl Secrets {
    /// `None` if there is no secret, or an empty one: anybody could sign with it.
    #[must_use]
    pub fn new(newest_first: Vec<Vec<u8>>) -> Option<Secrets> {
        let is_usable = !newest_first.is_empty() && newest_first.iter().all(|secret| !secret.is_empty());
        is_usable.then_some(Secrets(newest_first))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(Vec::as_slice)
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Secrets({})", self.0.len())
    }
}

/// A delivery that proved where it comes from. Only a vendor's `verify` makes one.
#[derive(Clone, Copy, Debug)]
pub struct Verified<'a> {
    delivery: Delivery<'a>,
}

impl<'a> Verified<'a> {
    pub(crate) fn new(delivery: Delivery<'a>) -> Verified<'a> {
        Verified { delivery }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        self.delivery.header(name)
    }

    pub(crate) fn body(&self) -> &'a [u8] {
        self.delivery.body
    }

    pub(crate) fn received_at(&self) -> Timestamp {
        self.delivery.received_at
    }
}

/// Why a delivery is turned away. For our own metrics: the caller learns nothing
/// of it but that he was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    Unsigned,
    WrongSignature,
    EmptyBody,
    /// Genuine, and it says it is about another account than its address.
    OtherAccount,
}

impl Refusal {
    /// The word in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Refusal::Unsigned => "unsigned",
            Refusal::WrongSignature => "wrong_signature",
            Refusal::EmptyBody => "empty_body",
            Refusal::OtherAccount => "other_account",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl std::error::Error for Refusal {}

/// A genuine delivery that we can't read: it goes to the dead letters with this.
/// Neither part repeats anything the delivery holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misunderstood {
    /// `not_json`, `missing`, `malformed`, `unrendered`, `another_shape` …
    pub reason: Name,
    /// Where, and what was expected there.
    pub expected: Box<str>,
}

impl Misunderstood {
    pub(crate) fn new(reason: &'static str, expected: impl Into<Box<str>>) -> Misunderstood {
        Misunderstood { reason: Name::fixed(reason), expected: expected.into() }
    }
}

impl fmt::Display for Misunderstood {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "understand the delivery ({}): expected {}", self.reason, self.expected)
    }
}

impl std::error::Error for Misunderstood {}

/// What a genuine delivery says.
#[derive(Clone, Debug, PartialEq)]
pub enum Translation {
    Facts(Vec<Draft>),
    /// The delivery is a hint; the answer to this goes to `translate_fetched`.
    Fetch(Request),
    /// Nothing in the catalogue is what this topic means; it is never bent into a near one.
    NotInCatalogue {
        topic: Name,
    },
}

impl Translation {
    pub(crate) fn not_in_catalogue(topic: &str) -> Translation {
        Translation::NotInCatalogue { topic: Name::new(topic).unwrap_or_else(|_| Name::fixed("unreadable")) }
    }
}

/// The answer to a fetch.
#[derive(Clone, Copy)]
pub struct Fetched<'a> {
    pub status: u16,
    pub body: &'a [u8],
}

impl fmt::Debug for Fetched<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Fetched({}, {} bytes)", self.status, self.body.len())
    }
}
