//! Workflows built in, where the language of definitions is not there yet.

pub mod cart_recovery;

pub(crate) use cart_recovery::CartRecovery;
