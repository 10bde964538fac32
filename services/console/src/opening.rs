//! Opening sealed fields for whoever showed the key. It happens here, at the rim,
//! and nothing opened is kept.

use tradewind_explain::{Personal, Shown};
use tradewind_ports::KeyVault;
use tradewind_wire::seal;

/// Most characters of a value that are shown; free text has no limit of its own.
const LONGEST: usize = 4_000;

/// A field that can't be opened now stays sealed.
pub(crate) fn open(vault: &dyn KeyVault, personal: &mut Personal) {
    let sealed = &personal.sealed;
    let key = match vault.key(sealed.key_id) {
        Ok(Some(key)) => key,
        Ok(None) => {
            personal.shown = Shown::Erased;
            return;
        }
        Err(error) => {
            tracing::warn!(key = %sealed.key_id, %error, "no key to open with");
            return;
        }
    };
    match seal::open(&key, sealed) {
        Ok(bytes) => {
            let text: String = String::from_utf8_lossy(&bytes).chars().take(LONGEST).collect();
            personal.shown = Shown::Opened(text);
        }
        Err(error) => tracing::warn!(fact = %sealed.origin, %error, "a sealed field can't be opened"),
    }
}
