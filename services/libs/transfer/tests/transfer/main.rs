//! History from elsewhere, as an owner finds it.

#![forbid(unsafe_code)]

mod importing;
mod installation;
mod merchants;
mod moving;
