//! What is genuine and what is not, by vectors: our own, computed with openssl,
//! and the published ones of the folder beside the checkout.

mod common;

use common::{read_json, shared};
use tradewind_domain::{Account, Timestamp};
use tradewind_vendors::{Delivery, Refusal, Secrets, gorgias, shopify};

const ACCOUNT: &str = "demo.myshopify.com";

fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn secrets(newest_first: &[&str]) -> Secrets {
    Secrets::new(newest_first.iter().map(|secret| secret.as_bytes().to_vec()).collect()).unwrap()
}

fn delivery<'a>(headers: &'a [(String, String)], body: &'a [u8]) -> Delivery<'a> {
    Delivery { received_at: Timestamp::from_millis(0), headers, body }
}

fn shopify(pairs: &[(&str, &str)], body: &[u8], newest_first: &[&str]) -> Result<(), Refusal> {
    let account = Account::new(ACCOUNT).unwrap();
    shopify::verify(delivery(&headers(pairs), body), &account, &secrets(newest_first)).map(drop)
}

/// `printf '%s' '{"id":820982911946154508}' | openssl dgst -sha256 -hmac <secret> -binary | base64`
const BODY: &[u8] = br#"{"id":820982911946154508}"#;
const BY_ONE: &str = "dgJHFeELZbsMW+/J+X0UiHXQDWQyU+YY334DHKVytyw=";
const BY_TWO: &str = "Y+iCiC69xBw2P7J5nU+5RzXpQGKVXRJzu6sNYj6suqI=";

#[test]
fn a_shopify_signature_covers_the_bytes_as_they_came() {
    let one = ["shop-secret-one"];
    assert_eq!(shopify(&[("x-shopify-hmac-sha256", BY_ONE)], BODY, &one), Ok(()));
    assert_eq!(
        shopify(&[("x-shopify-hmac-sha256", BY_ONE)], br#"{"id": 820982911946154508}"#, &one),
        Err(Refusal::WrongSignature)
    );
    let escaped = "{\"title\":\"caf\u{e9} \\/ \u{1f600}\"}".as_bytes();
    let signature = "DfEy8taqfF0HmtQFxeSKeX8pd3MFteZ1EWCHGlXcv04=";
    assert_eq!(shopify(&[("x-shopify-hmac-sha256", signature)], escaped, &one), Ok(()));
}

#[test]
fn while_a_secret_is_replaced_both_are_good_and_no_third() {
    let both = ["shop-secret-two", "shop-secret-one"];
    for signature in [BY_ONE, BY_TWO] {
        assert_eq!(shopify(&[("x-shopify-hmac-sha256", signature)], BODY, &both), Ok(()));
    }
    assert_eq!(shopify(&[("x-shopify-hmac-sha256", BY_ONE)], BODY, &["shop-secret-two"]), Err(Refusal::WrongSignature));
}

#[test]
fn both_families_of_headers_count_and_the_newer_first() {
    let one = ["shop-secret-one"];
    assert_eq!(shopify(&[("shopify-hmac-sha256", BY_ONE)], BODY, &one), Ok(()));
    assert_eq!(
        shopify(&[("x-shopify-hmac-sha256", BY_ONE), ("shopify-hmac-sha256", BY_TWO)], BODY, &one),
        Err(Refusal::WrongSignature)
    );
    let newline = format!("{BY_ONE}\n");
    assert_eq!(shopify(&[("x-shopify-hmac-sha256", &newline)], BODY, &one), Ok(()));
    assert_eq!(shopify(&[("hmac", BY_ONE)], BODY, &one), Err(Refusal::Unsigned));
}

#[test]
fn what_is_not_a_whole_signature_is_none() {
    for signature in ["", "=", "dgJHFeELZbsMW+/J+X0UiA==", &BY_ONE[..43], &format!("{BY_ONE}{BY_ONE}"), "ключ"] {
        let refused = shopify(&[("x-shopify-hmac-sha256", signature)], BODY, &["shop-secret-one"]);
        assert_eq!(refused, Err(Refusal::WrongSignature), "{signature:?}");
    }
}

#[test]
fn a_genuine_delivery_may_name_no_other_shop_in_either_family() {
    let one = ["shop-secret-one"];
    let signed = ("x-shopify-hmac-sha256", BY_ONE);
    assert_eq!(shopify(&[signed, ("x-shopify-shop-domain", "Demo.MyShopify.com")], BODY, &one), Ok(()));
    for name in ["x-shopify-shop-domain", "shopify-shop-domain"] {
        let pairs = [signed, ("x-shopify-shop-domain", ACCOUNT), (name, "other.myshopify.com")];
        assert_eq!(shopify(&pairs, BODY, &one), Err(Refusal::OtherAccount), "{name}");
    }
}

#[test]
fn published_shopify_vectors_hold() {
    let Some(shared) = shared() else { return };
    let folder = shared.join("fixtures/shopify");
    let vectors = read_json(&folder.join("signature_vectors.json"));
    let vectors = vectors["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 15);
    for vector in vectors {
        let body = match vector["body_file"].as_str() {
            Some(file) => std::fs::read(folder.join(file)).unwrap(),
            None => vector["body"].as_str().unwrap().as_bytes().to_vec(),
        };
        let signature = vector["expected"].as_str().unwrap();
        let secret = vector["secret"].as_str().unwrap();
        let got = shopify(&[("x-shopify-hmac-sha256", signature)], &body, &[secret]);
        let expected = match vector["valid"].as_bool().unwrap() {
            // Right, and refused all the same: it proves nothing but that the secret is known.
            true if body.is_empty() => Err(Refusal::EmptyBody),
            true => Ok(()),
            false => Err(Refusal::WrongSignature),
        };
        assert_eq!(got, expected, "{}", vector["name"]);
    }
}

#[test]
fn a_gorgias_token_comes_in_either_header() {
    let account = Account::new("demo").unwrap();
    let verify = |pairs: &[(&str, &str)]| {
        gorgias::verify(delivery(&headers(pairs), b"{}"), &account, &secrets(&["newer-token", "older-token"])).map(drop)
    };
    for token in ["newer-token", "older-token"] {
        assert_eq!(verify(&[("x-tradewind-token", token)]), Ok(()));
        assert_eq!(verify(&[("authorization", &format!("bearer {token}"))]), Ok(()));
    }
    for token in ["", "newer-toke", "newer-token2", "NEWER-TOKEN", "newer-token,older-token"] {
        assert_eq!(verify(&[("x-tradewind-token", token)]), Err(Refusal::WrongSignature), "{token:?}");
    }
    for authorization in ["newer-token", "Basic newer-token", "Bearer"] {
        assert_eq!(verify(&[("authorization", authorization)]), Err(Refusal::Unsigned), "{authorization:?}");
    }
    assert_eq!(verify(&[]), Err(Refusal::Unsigned));
}

#[test]
fn without_a_secret_nobody_is_genuine() {
    assert!(Secrets::new(vec![]).is_none());
    assert!(Secrets::new(vec![b"good".to_vec(), vec![]]).is_none());
    assert!(!format!("{:?}", secrets(&["shop-secret-one"])).contains("shop"));
}
