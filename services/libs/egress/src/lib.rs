//! The one HTTP client: whom we may call, for how long, how much we read, and
//! whether a byte of a request may have left.
//!
//! Invariants:
//! - The address that is connected to is one that was checked: names are
//!   resolved here and nowhere else, an address in a URL passes the same check,
//!   redirects and proxies are not followed.
//! - The permit of a request with a body is asked when its connection is open and
//!   its head is rendered, immediately before head and body are written. One
//!   without a body asks before its connection is opened, and counts from then on
//!   as one that may have left. A request whose permit was not asked, or was
//!   refused, has not left.
//! - Whatever a server does, a request ends at its deadline, and holds no more
//!   memory than its bound.

#![forbid(unsafe_code)]

mod address;
mod client;
mod permit;

pub use address::Reach;
pub use client::{Answer, BuildError, Client, Connection, LINGER, Loss, Method, Request, Settings, Unsent};
