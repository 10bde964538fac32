//! Asked to stop, it finishes what it took. It ends by itself, with an error, once it can take nothing more.

use std::time::Duration;

use tokio::net::TcpStream;
use tradewind_connector::{ServeError, Settings};

use crate::log::Gate;
use crate::shop::{Setting, Shop, bounded, order, until};

#[tokio::test]
async fn what_was_taken_is_finished_and_acknowledged() {
    let patient = Duration::from_secs(600);
    let settings = Settings { stop_within: patient, request_within: patient, ..crate::shop::settings() };
    let shop = Shop::with(Setting { settings, ..Setting::default() }).await;
    shop.log.set(Gate::Shut);
    let address = shop.address;
    let delivered = tokio::spawn(async move { order().post(address).await });
    until(|| !shop.log.appends().is_empty()).await;
    // Somebody who is connected and says nothing is not waited for.
    let idle = TcpStream::connect(address).await.unwrap();
    shop.shutdown.request();
    until(|| !shop.health.is_ready()).await;
    let is_closed = async { while TcpStream::connect(address).await.is_ok() {} };
    bounded(is_closed).await;
    assert!(!shop.served.is_finished() && !delivered.is_finished());
    shop.log.set(Gate::Open);
    assert_eq!(delivered.await.unwrap().status, 200);
    bounded(shop.served).await.unwrap().unwrap();
    drop(idle);
}

#[tokio::test]
async fn it_takes_deliveries_until_the_load_balancer_knows() {
    let settings = Settings { stop_delay: Duration::from_secs(600), ..crate::shop::settings() };
    let shop = Shop::with(Setting { settings, ..Setting::default() }).await;
    shop.shutdown.request();
    until(|| !shop.health.is_ready()).await;
    assert_eq!(order().post(shop.address).await.status, 200);
    shop.served.abort();
}

#[tokio::test]
async fn a_log_that_never_answers_does_not_keep_it_from_stopping() {
    let settings = Settings {
        answer_within: Duration::from_millis(50),
        stop_within: Duration::from_millis(100),
        ..crate::shop::settings()
    };
    let shop = Shop::with(Setting { settings, ..Setting::default() }).await;
    shop.log.set(Gate::Shut);
    assert_eq!(order().post(shop.address).await.status, 503);
    shop.shutdown.request();
    shop.served.await.unwrap().unwrap();
    shop.log.set(Gate::Open);
}

#[tokio::test]
async fn an_appender_that_ends_by_itself_ends_the_connector() {
    let shop = Shop::open().await;
    shop.log.set(Gate::Panics);
    // Nobody knows whether it is durable.
    assert_eq!(order().post(shop.address).await.status, 503);
    let served = bounded(shop.served).await.unwrap();
    assert!(matches!(served, Err(ServeError::Appender)), "got {served:?}");
    assert!(!shop.health.is_ready());
}
