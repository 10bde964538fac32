use tradewind_console::AccessKey;

use crate::client::{Follower, get, get_with};
use crate::shop::{EMAIL, FIRST_NAME, KEY, Shop, settings};

fn holds_personal_data(text: &str) -> bool {
    text.contains(EMAIL) || text.contains(FIRST_NAME)
}

async fn live(shop: &Shop, headers: &[(&str, &str)]) -> String {
    let mut follower = Follower::open(shop.address, headers).await;
    follower.until("event: update").await;
    follower.read
}

#[tokio::test]
async fn no_answer_holds_personal_data_unless_the_key_was_shown() {
    let shop = Shop::open().await;
    let mut paths = vec!["/".into(), "/console.js".into(), "/api/status".into(), shop.timeline()];
    paths.extend(shop.reading.commands.keys().map(|id| format!("/api/commands/{id}")));
    paths.extend(shop.reading.decisions.iter().map(|read| format!("/api/decisions/{}", read.value.id)));
    for path in paths {
        for accept in ["*/*", "text/plain"] {
            let answer = get_with(shop.address, &path, &[("accept", accept)]).await;
            assert_eq!(answer.status, 200, "{path}");
            assert!(!holds_personal_data(&answer.body) && !holds_personal_data(&answer.head), "{path}");
        }
    }
    assert!(!holds_personal_data(&live(&shop, &[]).await));
}

#[tokio::test]
async fn the_key_opens_chains_and_timelines_and_then_a_cookie_does() {
    let shop = Shop::open().await;
    let command = format!("/api/commands/{}", shop.command());
    for path in [&command, &format!("/api/decisions/{}", shop.decision()), &shop.timeline()] {
        assert!(get(shop.address, &format!("{path}?key={KEY}")).await.body.contains(EMAIL), "{path}");
        assert!(!get(shop.address, path).await.body.contains(EMAIL), "{path}");
    }
    let entered = get(shop.address, &format!("/?key={KEY}")).await;
    assert_eq!((entered.status, entered.header("location")), (303, Some("/")));
    let cookie = entered.header("set-cookie").unwrap();
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict") && !cookie.contains(KEY), "{cookie}");
    let session = ("cookie", cookie.split(';').next().unwrap());
    let opened = get_with(shop.address, &command, &[session]).await;
    assert!(opened.body.contains(EMAIL) && opened.body.contains(FIRST_NAME));
    assert_eq!(opened.header("cache-control"), Some("no-store"));
    assert_eq!(get_with(shop.address, "/api/status", &[session]).await.json()["personal"], "opened");
    assert!(!holds_personal_data(&live(&shop, &[session]).await), "the stream never holds any");
}

#[tokio::test]
async fn a_wrong_key_or_cookie_opens_nothing() {
    let shop = Shop::open().await;
    let command = format!("/api/commands/{}", shop.command());
    for key in ["", "a-key-nobody-guesse", "a-key-nobody-guesses2", "%61"] {
        let answer = get(shop.address, &format!("{command}?key={key}")).await;
        assert_eq!((answer.status, answer.header("set-cookie")), (403, None), "{key}");
    }
    for cookie in ["tradewind_console=", "tradewind_console=00", &format!("tradewind_console={KEY}")] {
        let answer = get_with(shop.address, &command, &[("cookie", cookie)]).await;
        assert_eq!(answer.status, 200);
        assert!(!holds_personal_data(&answer.body), "{cookie}");
    }
}

#[tokio::test]
async fn where_no_key_is_set_none_fits() {
    let shop = Shop::with(settings(), true).await;
    assert_eq!(get(shop.address, "/?key=").await.status, 403);
    assert_eq!(
        get_with(shop.address, "/api/status", &[("cookie", "tradewind_console=")]).await.json()["personal"],
        "never"
    );
    let answer = get_with(shop.address, &shop.timeline(), &[("cookie", "tradewind_console=")]).await;
    assert!(answer.status == 200 && !holds_personal_data(&answer.body));
}

#[tokio::test]
async fn without_a_vault_the_key_opens_nothing() {
    let with_key = tradewind_console::Settings { access_key: AccessKey::new(KEY), ..settings() };
    let shop = Shop::with(with_key, false).await;
    let answer = get(shop.address, &format!("{}?key={KEY}", shop.timeline())).await;
    assert!(answer.status == 200 && !holds_personal_data(&answer.body));
}
