//! What ends the console by itself.

use std::sync::atomic::Ordering;

use tradewind_console::ServeError;

use crate::client::bounded;
use crate::shop::{Shop, settings};

#[tokio::test]
async fn a_thread_that_no_longer_follows_the_log_ends_the_console() {
    let shop = Shop::with(settings(), false).await;
    shop.is_broken.store(true, Ordering::SeqCst);
    let served = bounded(shop.served).await.unwrap();
    assert!(matches!(served, Err(ServeError::Tail)), "got {served:?}");
}
