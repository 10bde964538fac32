//! The core: `fold` changes projections and decides nothing, `decide` changes
//! nothing and returns a decision, `apply` makes the decision's transitions.
//!
//! There is no world in it: no IO but through the store it is handed, no clock
//! but the log's, no chance but from a seed. The same records and the same
//! recorded decisions give the same bytes of state, on any machine.

#![forbid(unsafe_code)]

mod apply;
mod builtin;
mod clock;
mod due;
mod fold;
mod key;
pub mod leaf;
mod partition;
mod rules;
mod sources;
mod state;
mod step;
mod view;
mod workflow;

pub use builtin::cart_recovery;
pub use clock::LogClock;
pub use fold::Folding;
pub use key::LeafKey;
pub use leaf::Leaf;
pub use partition::{Drained, Partition};
pub use rules::{FOLD_VERSION, FoldAbout, Rules};
pub use sources::Sources;
pub use state::Budget;
pub use step::Stepped;
pub use view::{CustomerView, View};
pub use workflow::{Cause, Considered, Situation, Workflow};
