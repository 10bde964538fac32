//! The vendors over sockets: what goes out, what is answered, what breaks.

#![forbid(unsafe_code)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{Receiver, Response, STARTED_AT_MS, request};
use serde_json::json;
use tokio::net::TcpSocket;
use tradewind_sandbox::{
    Answer, DeliveryState, DeskSettings, MailFaults, MailSettings, Sandbox, SandboxError, SandboxSettings, Sender,
    ShopSettings,
};

fn settings() -> SandboxSettings {
    SandboxSettings::new(7, STARTED_AT_MS, "pk_sandbox".into())
}

/// The fastest there is: four hours pass in 144 ms.
fn shop_at(address: &str, visits: u64) -> SandboxSettings {
    let shop = ShopSettings::new(address, "demo.myshopify.com", "shopify-test-secret".into());
    SandboxSettings { speed: 100_000, visits_max: Some(visits), shop: Some(shop), ..settings() }
}

async fn mail_with(faults: MailFaults) -> Sandbox {
    let mail = MailSettings { faults, slow_ms: 1, held_ms: 1, ..MailSettings::new("pk_sandbox".into()) };
    Sandbox::start(SandboxSettings { mail, ..settings() }).await.expect("started")
}

async fn send(sandbox: &Sandbox, unique_id: &str) -> Option<Response> {
    let event = json!({ "data": { "type": "event", "attributes": {
        "unique_id": unique_id,
        "time": "2026-11-23T10:00:00Z",
        "metric": { "data": { "type": "metric", "attributes": { "name": "Cart left behind" } } },
        "profile": { "data": { "type": "profile", "attributes": { "email": "ada@example.com" } } },
        "properties": {},
    } } });
    let headers = [
        ("authorization", "Klaviyo-API-Key pk_sandbox"),
        ("revision", "2026-07-15"),
        ("content-type", "application/vnd.api+json"),
    ];
    request(sandbox.addresses().mail, "POST", "/api/events", &headers, event.to_string().as_bytes()).await
}

#[tokio::test]
async fn an_event_is_accepted_once_and_its_effects_can_be_looked_up() {
    let mut sandbox = mail_with(MailFaults::default()).await;
    for _ in 0..3 {
        let response = send(&sandbox, "c-1").await.expect("answered");
        assert_eq!((response.status, response.body.as_str()), (202, ""));
        assert_eq!(response.header("ratelimit-limit"), Some("3500"));
        assert!(response.header("ratelimit-remaining").is_some() && response.header("retry-after").is_none());
    }
    assert_eq!((sandbox.effects_of("c-1"), sandbox.effects_of("c-2")), (1, 0));
    let addresses = sandbox.addresses();
    for address in [addresses.mail, addresses.status] {
        let effects = request(address, "GET", "/sandbox/effects", &[], b"").await.expect("answered").json();
        assert_eq!((&effects["total"], &effects["effects"][0]["count"]), (&json!(1), &json!(1)));
        assert_eq!(effects["effects"][0]["received"], 3);
        let one = request(address, "GET", "/sandbox/effects/c-1", &[], b"").await.expect("answered");
        assert_eq!(one.json()["count"], 1);
        assert!(!one.body.contains("example.com"), "personal data: {}", one.body);
        let none = request(address, "GET", "/sandbox/effects/c-2", &[], b"").await.expect("answered");
        assert_eq!(none.json()["count"], 0);
    }
    let status = request(addresses.status, "GET", "/sandbox/status", &[], b"").await.expect("answered").json();
    assert_eq!(status["mail"]["answers"], json!({ "202": 3 }));
    assert_eq!((&status["mail"]["effects"], &status["mail"]["duplicates"]), (&json!(1), &json!(2)));
    sandbox.stop().await;
}

#[tokio::test]
async fn each_fault_is_seen_from_outside() {
    let all = 1_000;
    for (faults, status, effects) in [
        (MailFaults { throttled: all, ..MailFaults::default() }, Some(429), 0),
        (MailFaults { unavailable: all, ..MailFaults::default() }, Some(500), 0),
        (MailFaults { unavailable_applied: all, ..MailFaults::default() }, Some(500), 1),
        (MailFaults { slow: all, ..MailFaults::default() }, Some(202), 1),
        (MailFaults { timed_out: all, ..MailFaults::default() }, None, 0),
        (MailFaults { timed_out_applied: all, ..MailFaults::default() }, None, 1),
        (MailFaults { cut: all, ..MailFaults::default() }, None, 0),
        (MailFaults { cut_applied: all, ..MailFaults::default() }, None, 1),
    ] {
        let mut sandbox = mail_with(faults).await;
        let response = send(&sandbox, "c-1").await;
        assert_eq!(response.as_ref().map(|response| response.status), status, "{faults:?}");
        assert_eq!(sandbox.effects_of("c-1"), effects, "{faults:?}");
        if let Some(response) = response.filter(|response| response.status == 429) {
            assert!(matches!(response.header("retry-after"), Some("1" | "7")));
            assert_eq!(response.header("ratelimit-limit"), None);
            assert_eq!(response.json()["errors"][0]["code"], "throttled");
        }
        assert_eq!(sandbox.status().mail.faults.values().sum::<u64>(), 1);
        sandbox.stop().await;
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let mut sandbox = mail_with(MailFaults::default()).await;
    let body = vec![b' '; 5_000_001];
    let response = request(sandbox.addresses().mail, "POST", "/api/events", &[], &body).await;
    assert!(response.is_none_or(|response| response.status == 413));
    assert!(sandbox.effects().is_empty());
    sandbox.stop().await;
}

#[tokio::test]
async fn what_the_ledger_calls_accepted_was_accepted() {
    let receiver = Receiver::start(|n| [200, 503, 401, 204, 302][n % 5]).await;
    let mut sandbox = Sandbox::start(shop_at(&receiver.address, 60)).await.expect("started");
    sandbox.finished().await;
    let received = receiver.received();
    let mut bodies: BTreeMap<&str, BTreeSet<&[u8]>> = BTreeMap::new();
    let mut accepted = BTreeSet::new();
    for received in &received {
        let id = received.header("x-shopify-webhook-id").expect("an id");
        bodies.entry(id).or_default().insert(&received.body);
        if (200..300).contains(&received.answered) {
            accepted.insert(id.to_owned());
        }
    }
    assert!(bodies.values().all(|bodies| bodies.len() == 1), "a retry repeats the bytes");
    let ledger = sandbox.deliveries();
    let is_accepted = |state| state == DeliveryState::Accepted;
    let told = ledger.iter().filter(|delivery| is_accepted(delivery.state));
    assert_eq!(told.map(|delivery| delivery.webhook_id.clone()).collect::<BTreeSet<_>>(), accepted);
    assert_eq!(ledger.iter().map(|delivery| delivery.attempts.len()).sum::<usize>(), received.len());
    let counts = sandbox.status().shop;
    assert_eq!(counts.attempts, received.len() as u64);
    assert_eq!(counts.answers.values().sum::<u64>(), counts.attempts);
    assert_eq!(counts.accepted + counts.gave_up + counts.line_closed, counts.deliveries);
    sandbox.stop().await;
}

#[tokio::test]
async fn a_shop_that_reaches_nobody_gives_up_and_its_subscriptions_go() {
    // A port that is taken, and where nobody listens.
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    let address = format!("http://{}/", socket.local_addr().expect("a bound address"));
    let mut sandbox = Sandbox::start(shop_at(&address, 5)).await.expect("started");
    sandbox.finished().await;
    let cart = sandbox.deliveries().into_iter().find(|delivery| delivery.line == "carts/create").expect("a cart");
    assert_eq!((cart.state, cart.attempts.len()), (DeliveryState::GaveUp, 9));
    assert!(cart.attempts.iter().all(|attempt| attempt.answer == Answer::Unreachable));
    let is_open = |sandbox: &Sandbox| {
        sandbox.status().lines.iter().find(|line| line.line == "carts/create").is_some_and(|line| line.is_open)
    };
    assert!(!is_open(&sandbox));
    sandbox.reopen_lines();
    assert!(is_open(&sandbox));
    sandbox.stop().await;
}

#[tokio::test]
async fn a_ticket_can_be_fetched_by_who_may() {
    let receiver = Receiver::start(|_| 200).await;
    let login = "agent@example.com:key";
    let desk =
        DeskSettings { tickets: 1_000, ..DeskSettings::new(&receiver.address, "demo", "t".into(), login.into()) };
    let settings = SandboxSettings { speed: 100_000, visits_max: Some(1), desk: Some(desk), ..settings() };
    let mut sandbox = Sandbox::start(settings).await.expect("started");
    sandbox.finished().await;
    let address = sandbox.addresses().desk.expect("a helpdesk");
    let path = format!("/api/tickets/{}", sandbox.deliveries()[0].object);
    let login = Some(("authorization", "Basic YWdlbnRAZXhhbXBsZS5jb206a2V5"));
    let get = |path: String, login: Option<(&'static str, &'static str)>| async move {
        request(address, "GET", &path, login.as_slice(), b"").await.expect("answered")
    };
    let ticket = get(path.clone(), login).await;
    assert_eq!((ticket.status, &ticket.json()["status"]), (200, &json!("closed")));
    assert!(ticket.header("x-gorgias-account-api-call-limit").is_some());
    assert_eq!(get(path, None).await.status, 401);
    assert_eq!(get("/api/tickets/1".to_owned(), login).await.status, 404);
    let lines = sandbox.deliveries().into_iter().map(|delivery| (delivery.sender, delivery.line));
    assert_eq!(
        lines.collect::<Vec<_>>(),
        [
            (Sender::Desk, "ticket-created"),
            (Sender::Desk, "ticket-message-created"),
            (Sender::Desk, "ticket-status-updated")
        ]
    );
    let tokens: BTreeSet<Option<String>> =
        receiver.received().iter().map(|received| received.header("x-tradewind-token").map(str::to_owned)).collect();
    assert_eq!(tokens, BTreeSet::from([Some("t".to_owned())]));
    sandbox.stop().await;
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_with_what_was_expected() {
    let refused = |settings| async {
        match Sandbox::start(settings).await {
            Err(error @ SandboxError::Settings(_)) => error.to_string(),
            other => panic!("expected a refusal, got {other:?}"),
        }
    };
    let said = refused(SandboxSettings { speed: 0, ..settings() }).await;
    assert_eq!(said, "start the sandbox: expected speed from 1 to 100000, got 0");
    let said = refused(shop_at("https://example.com/", 1)).await;
    assert!(said.contains("http://"), "{said}");
    let mail = MailSettings {
        faults: MailFaults { cut: 600, slow: 600, ..MailFaults::default() },
        ..MailSettings::new("k".into())
    };
    assert!(refused(SandboxSettings { mail, ..settings() }).await.contains("mail.faults"));
    let shop = ShopSettings::new("http://127.0.0.1:1/", "demo\r\nx: y", "s".into());
    assert!(refused(SandboxSettings { shop: Some(shop), ..settings() }).await.contains("shop.domain"));
    assert!(!format!("{:?}", settings()).contains("pk_sandbox"), "a secret is printed");
}
