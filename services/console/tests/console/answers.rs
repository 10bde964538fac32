use tradewind_console::Settings;
use tradewind_domain::{Body, Transition};
use tradewind_ports::Topic;
use tradewind_wire::record;

use crate::client::{get, get_with};
use crate::shop::{Shop, settings};

#[tokio::test]
async fn the_status_says_which_log_it_is_and_what_was_counted() {
    let shop = Shop::open().await;
    let status = get(shop.address, "/api/status").await.json();
    let events = shop.broker.records(&Topic::Events.partition(0));
    let bodies: Vec<Body> = events.iter().map(|stored| record::envelope(stored).unwrap().fact.body).collect();
    let is_beat = |body: &&Body| matches!(body, Body::IngestAlive(_) | Body::Tick);
    let beats = bodies.iter().filter(is_beat).count();
    let outcomes = bodies.iter().filter(|body| matches!(body, Body::Outcome(_))).count();
    let transitions = || {
        let choices = shop.reading.decisions.iter().flat_map(|read| &read.value.choices);
        choices.flat_map(|choice| &choice.transitions)
    };
    let suppressed = transitions().filter(|transition| matches!(transition, Transition::Suppressed { .. })).count();
    let deferred = transitions().filter(|transition| matches!(transition, Transition::Deferred { .. })).count();
    let withheld = transitions().filter(|transition| matches!(transition, Transition::Withheld { .. })).count();
    assert_eq!(
        status["status"]["counts"],
        serde_json::json!({
            "facts": bodies.len() - beats - outcomes, "beats": beats, "outcomes": outcomes,
            "decisions": shop.reading.decisions.len(), "commands": shop.reading.commands.len(),
            "withheld": withheld, "suppressed": suppressed, "deferred": deferred,
        })
    );
    assert_eq!(status["status"]["kind"], "dev");
    assert_eq!(status["status"]["lineage"], "05050505-0505-0505-0505-050505050505");
    assert_eq!(status["status"]["counted_from_start"], true);
    assert_eq!(status["now"], "2027-01-15T08:00:00.000Z");
    assert_eq!(status["personal"], "sealed");
    assert!(shop.counted("console_requests_total{route=\"status\",answer=\"answered\"} 1"));
}

#[tokio::test]
async fn a_console_that_begins_late_says_so() {
    let shop = Shop::with(Settings { look_back: 10, ..settings() }, false).await;
    let status = get(shop.address, "/api/status").await.json();
    assert_eq!(status["status"]["counted_from_start"], false);
    assert_eq!(status["status"]["kind"], "dev", "the lineage is read from the log's beginning all the same");
    assert_eq!(status["personal"], "never");
}

#[tokio::test]
async fn a_command_is_explained_as_json_and_as_text() {
    let shop = Shop::open().await;
    let path = format!("/api/commands/{}", shop.command());
    let answer = get(shop.address, &path).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let json = answer.json();
    assert_eq!(json["chain"]["command"], shop.command());
    assert_eq!(json["chain"]["decision"]["choices"][0]["chosen"], "remind");
    let text = get_with(shop.address, &path, &[("accept", "text/plain")]).await.body;
    assert_eq!(json["text"], text);
    assert!(text.starts_with(&format!("Command {}", shop.command())), "{text}");
}

#[tokio::test]
async fn a_decision_is_explained() {
    let shop = Shop::open().await;
    let json = get(shop.address, &format!("/api/decisions/{}", shop.decision())).await.json();
    assert_eq!(json["chain"]["decision"]["id"], shop.decision());
    assert_eq!(json["chain"]["command"], serde_json::Value::Null);
}

#[tokio::test]
async fn a_customers_timeline_is_in_order() {
    let shop = Shop::open().await;
    let timeline = get(shop.address, &shop.timeline()).await.json();
    let entries = timeline["entries"].as_array().unwrap();
    let lanes: Vec<&str> = entries.iter().map(|entry| entry["lane"].as_str().unwrap()).collect();
    let first =
        |lane: &str| lanes.iter().position(|known| *known == lane).unwrap_or_else(|| panic!("{lane}: {lanes:?}"));
    assert!(first("fact") < first("decision") && first("decision") < first("command"), "{lanes:?}");
    assert_eq!(lanes[first("command") - 1], "decision", "a command follows its decision");
    assert_eq!(entries[first("command")]["item"]["id"], shop.command());
    assert!(lanes[first("command")..].contains(&"outcome"), "{lanes:?}");
    let headlines: Vec<&str> = entries.iter().map(|entry| entry["item"]["headline"].as_str().unwrap()).collect();
    assert!(headlines.contains(&"cart: 2 × A shirt, 39.98 USD"), "{headlines:?}");
    assert_eq!(timeline["entities"].as_array().unwrap().len(), 3, "cart, checkout and address");
}

#[tokio::test]
async fn what_is_not_there_is_said_to_be_so() {
    let shop = Shop::open().await;
    for (path, status) in [
        ("/api/commands/018bcfe5-6800-8b34-ae25-5668756e68ed", 404),
        ("/api/commands/1234", 400),
        ("/api/decisions/018bcfe5-6800-8b34-ae25-5668756e68ed", 404),
        ("/api/decisions/..%2Fstatus", 400),
        ("/api/customers/nobody/email%2F00000000000000000000000000000000/timeline", 404),
        ("/api/customers/shop-0/pet%2F1/timeline", 400),
        ("/api", 404),
        ("/index.html", 404),
    ] {
        assert_eq!(get(shop.address, path).await.status, status, "{path}");
    }
}
