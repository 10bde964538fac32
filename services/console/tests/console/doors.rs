use tradewind_console::Settings;

use crate::client::{bounded, get, get_with, send};
use crate::shop::{KEY, Shop, settings};

#[tokio::test]
async fn the_page_and_its_files_are_served_under_a_strict_policy() {
    let shop = Shop::open().await;
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/console.js", "text/javascript; charset=utf-8"),
        ("/console.css", "text/css; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
        ("/api/status", "application/json"),
    ] {
        let answer = get(shop.address, path).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(kind)), "{path}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    }
}

/// The policy would stop it; the page should not need to be stopped.
#[tokio::test]
async fn the_page_has_no_script_or_style_within_it_and_nothing_from_elsewhere() {
    let shop = Shop::open().await;
    let page = get(shop.address, "/").await.body;
    assert!(!page.contains("<style") && !page.contains(" style=") && !page.contains(" onclick="));
    for script in page.split("<script").skip(1) {
        assert!(script.starts_with(" src=\"/console.js\" defer></script>"), "{script}");
    }
    for path in ["/", "/console.js", "/console.css"] {
        let text = get(shop.address, path).await.body;
        assert!(!text.contains("http://") && !text.contains("https://") && !text.contains("innerHTML"), "{path}");
    }
}

#[tokio::test]
async fn another_hosts_name_is_refused() {
    let shop = Shop::with(Settings { hosts: vec!["Console.example.com".into()], ..settings() }, false).await;
    let port = shop.address.port();
    for (host, status) in [
        (format!("127.0.0.1:{port}"), 200),
        (format!("localhost:{port}"), 200),
        ("localhost".into(), 200),
        ("[::1]:80".into(), 200),
        ("console.example.com".into(), 200),
        ("attacker.example.com".into(), 421),
        (format!("127.0.0.1.attacker.example.com:{port}"), 421),
        ("192.0.2.1".into(), 421),
        (String::new(), 421),
    ] {
        assert_eq!(get_with(shop.address, "/api/status", &[("host", &host)]).await.status, status, "{host}");
    }
    assert_eq!(send(shop.address, "GET / HTTP/1.0\r\n\r\n").await.status, 421);
}

#[tokio::test]
async fn a_page_of_another_site_may_link_here_and_read_nothing() {
    let shop = Shop::open().await;
    let cross_site = ("sec-fetch-site", "cross-site");
    assert_eq!(get_with(shop.address, "/api/live", &[cross_site, ("sec-fetch-mode", "cors")]).await.status, 403);
    assert_eq!(get_with(shop.address, "/", &[cross_site, ("sec-fetch-mode", "navigate")]).await.status, 200);
    assert_eq!(get(shop.address, "/").await.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn nothing_but_reading_is_possible() {
    let shop = Shop::open().await;
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let request =
            format!("{method} /api/status?key={KEY} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        assert_eq!(send(shop.address, &request).await.status, 405, "{method}");
    }
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let shop = Shop::open().await;
    let request = format!("GET / HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "y".repeat(40 << 10));
    assert_eq!(bounded(send(shop.address, &request)).await.status, 431);
}
