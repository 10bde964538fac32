//! Beats, as long as the world reaches us.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tradewind_connector::{Probe, Settings, loopback_probe};
use tradewind_domain::{Body, Vendor};
use tradewind_ports::Topic;
use tradewind_wire::record;

use crate::shop::{PARTITION, PARTITIONS, Setting, Shop, order, until, vendor};

const EVERY: Duration = Duration::from_millis(40);

fn beating(probe: Probe) -> Setting {
    let settings = Settings { beat_every: EVERY, ..crate::shop::settings() };
    Setting { settings, probe, ..Setting::default() }
}

fn beats(shop: &Shop) -> Vec<Vec<Vendor>> {
    let beat = |body| if let Body::IngestAlive(beat) = body { Some(beat.vendors) } else { None };
    shop.facts().into_iter().filter_map(|envelope| beat(envelope.fact.body)).collect()
}

#[tokio::test]
async fn a_silent_partition_hears_that_its_vendors_could_have_reached_us() {
    let shop = Shop::with(beating(Arc::new(|| Box::pin(async { true })))).await;
    until(|| beats(&shop).len() >= 3).await;
    assert_eq!(beats(&shop)[0], [vendor("gorgias"), vendor("shopify")]);
    let beat = &shop.facts()[0];
    assert!(beat.tenant.is_system() && beat.source.vendor == Vendor::ourselves());
    // Nobody sends to the other partitions.
    for partition in (0..PARTITIONS).filter(|partition| *partition != PARTITION) {
        assert_eq!(shop.broker.records(&Topic::Events.partition(partition)), []);
    }
    shop.stop().await.unwrap();
}

#[tokio::test]
async fn without_a_probe_that_came_back_there_is_no_beat() {
    let (reached, probes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let (is_reached, counted) = (reached.clone(), probes.clone());
    let shop = Shop::with(beating(Arc::new(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        let is_reached = is_reached.load(Ordering::SeqCst);
        Box::pin(async move { is_reached })
    })))
    .await;
    until(|| probes.load(Ordering::SeqCst) >= 12).await;
    assert_eq!(beats(&shop).len(), 0);
    assert!(shop.counted("connector_reached{} 0"));
    reached.store(true, Ordering::SeqCst);
    until(|| beats(&shop).len() >= 2).await;
    assert!(shop.counted("connector_reached{} 1"));
    reached.store(false, Ordering::SeqCst);
    let seen = probes.load(Ordering::SeqCst);
    until(|| probes.load(Ordering::SeqCst) >= seen + 3).await;
    let last = beats(&shop).len();
    until(|| probes.load(Ordering::SeqCst) >= seen + 12).await;
    assert_eq!(beats(&shop).len(), last);
    // Facts are taken all the same.
    assert_eq!(order().post(shop.address).await.status, 200);
    let last_fact = shop.records(Topic::Events).pop().unwrap();
    assert_eq!(record::envelope(&last_fact).unwrap().source.vendor, vendor("shopify"));
}

#[tokio::test]
async fn the_probe_of_dev_asks_the_connector_itself() {
    let shop = Shop::open().await;
    assert!(loopback_probe(shop.address)().await);
    let address = shop.address;
    shop.stop().await.unwrap();
    assert!(!loopback_probe(address)().await);
}
