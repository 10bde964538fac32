//! The helpdesk: Gorgias as seen from its HTTP integrations and its ticket API.

mod api;
mod payload;

pub(crate) use api::{Desk, router};
pub(crate) use payload::{Trigger, delivery};
