//! From a command or a decision back to its facts, and on to what became of it.
//!
//! Only the log is read, through its port, so this works beside a running writer
//! and without an owner. Ids of decisions and commands begin with the log's time,
//! and decisions lie in its order, so one is found by a binary search. Everything
//! else is looked for in bounded stretches; what was not found there is said.
//!
//! Personal fields stay sealed: whoever may open them does so at the rim.

#![forbid(unsafe_code)]

mod chain;
mod command;
mod decision;
pub mod entity;
mod error;
mod explainer;
mod fact;
mod ledger;
mod log;
mod outcome;
mod personal;
mod place;
mod print;
mod text;
mod words;

pub use chain::{Chain, Stretch};
pub use command::{CommandSeen, LineSeen};
pub use decision::{AlternativeSeen, ChoiceSeen, DecisionSeen, DeferredSeen, FeatureSeen, SuppressedSeen};
pub use error::ExplainError;
pub use explainer::Explainer;
pub use fact::FactSeen;
pub use ledger::{LedgerSeen, LedgerStep};
pub use outcome::{Issued, OutcomeSeen};
pub use personal::{Personal, Shown};
pub use text::rfc3339;
