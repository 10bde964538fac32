//! What vendors tell us and what we tell them: pure functions, a folder a vendor (D8).
//!
//! Inbound: `verify` turns a delivery into a [`Verified`] or a [`Refusal`];
//! `translate` turns that into facts, a request to fetch more, or says that the
//! topic is not in the catalogue. Outbound: `next` looks at a command and the
//! answers so far and names the next request or the verdict.
//!
//! Nothing here opens a socket, reads a clock or keeps anything. Retries, pacing,
//! deadlines, sealing and the rules about addresses are the shells'. A translator
//! names the vendor's ids and hashed identifiers; it resolves no customer and no SKU.

#![forbid(unsafe_code)]

mod draft;
mod inbound;
mod instant;
mod json;
mod outbound;
mod roster;

pub mod gorgias;
pub mod klaviyo;
pub mod shopify;

pub use draft::{Connection, Draft, Personal};
pub use inbound::{Delivery, Fetched, Misunderstood, Refusal, Secrets, Translation, Verified};
pub use outbound::{Answer, Answered, Effect, Limit, Method, Next, OpenCommand, Operation, Request, Verdict};
pub use roster::{Access, Inbound, Integration, Outbound, ROSTER, Translate, TranslateFetched, Verify, find};
