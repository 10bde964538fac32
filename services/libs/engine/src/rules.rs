//! What the engine is told rather than knows: how to fold, and which workflows
//! there are. Tests put other ones in place.

use std::sync::Arc;

use crate::builtin::CartRecovery;
use crate::fold::{self, Folding};
use crate::leaf::EntityLeaf;
use crate::workflow::Workflow;

/// Changes whenever folding does: golden files hold it to that. A store written
/// by another version is rebuilt beside the old one.
pub const FOLD_VERSION: u32 = 3;

/// See `Rules::fold_about`.
pub type FoldAbout = fn(&mut EntityLeaf, &Folding<'_>) -> bool;

#[derive(Clone, Debug)]
pub struct Rules {
    pub fold_version: u32,
    /// Folds a fact into the leaf of what it is about. True if it said something new.
    pub fold_about: FoldAbout,
    pub workflows: Vec<Arc<dyn Workflow>>,
}

impl Rules {
    /// What a release ships.
    #[must_use]
    pub fn shipped() -> Rules {
        Rules { fold_version: FOLD_VERSION, fold_about: fold::about, workflows: vec![Arc::new(CartRecovery)] }
    }
}
