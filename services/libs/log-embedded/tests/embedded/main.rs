//! What happens to the embedded log when processes end, the power fails, bytes
//! change, and several processes use it.

mod again;
mod beside;
mod child;
mod damage;
#[cfg(target_os = "linux")]
mod forgetful_disk;
mod kill;
mod model;
#[cfg(target_os = "linux")]
mod power_cut;
mod work;
