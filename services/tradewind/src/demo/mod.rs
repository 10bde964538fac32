//! A merchant and vendors to try the product with: they are played by the sandbox.

pub(crate) mod merchant;
mod vendors;

pub(crate) use vendors::{Played, play};
