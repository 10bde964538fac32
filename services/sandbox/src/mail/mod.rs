//! The mailing service: Klaviyo as seen from `POST` and `GET /api/events`.

mod api;
mod events;
mod faults;
mod windows;

pub(crate) use api::router;
pub(crate) use events::Mail;
pub use events::{Effect, MailCounts};
pub(crate) use faults::total as faults_total;
