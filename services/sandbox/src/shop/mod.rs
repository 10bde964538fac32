//! The shop: Shopify as seen from its webhooks.

mod payload;
mod sign;

pub(crate) use payload::{Topic, body};
pub(crate) use sign::{Signer, headers};
