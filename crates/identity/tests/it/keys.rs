//! Key sets: fetched, rotated, and kept while their issuer is away or talks rubbish.

use crate::house::{ALGORITHMS, House, is_invalid, is_unavailable, issuer, jwt, key, token, until};
use crate::server::{Reply, Server};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tollgate_identity::settings::{KeysAt, TokenSettings};
use tollgate_oauth::keys::{Alg, KeySet};

#[tokio::test]
async fn a_thousand_unknown_keys_cost_one_fetch_and_good_tokens_pass() {
    for alg in [Alg::Es256, Alg::EdDsa] {
        let (server, good) = (Server::start().await, key("k", alg));
        server.publish(&[&good]);
        let house = House::with(vec![jwt("as", &server)]);
        let claims = house.claims(&server.url);
        house.proof(&token(&good, &claims)).await;
        assert_eq!(server.count("/jwks"), 1);
        for round in 1..=2 {
            for number in 0..1_000 {
                let strange = token(&key(&format!("{round}-{number}"), alg), &claims);
                assert!(is_invalid(&house.verify(&strange).await));
                if number % 100 == 0 {
                    let fresh = json!({ "jti": format!("{round}-{number}") });
                    let fresh = token(&good, &house.claims_but(&server.url, &fresh));
                    assert!(house.verify(&fresh).await.is_ok());
                }
            }
            assert_eq!(server.count("/jwks"), 1 + round, "one more for each cooldown");
            house.advance_secs(31);
        }
    }
}

#[tokio::test]
async fn failed_and_empty_fetches_count_for_the_cooldown() {
    let (server, good) = (Server::start().await, key("k", Alg::Es256));
    server.publish(&[&good]);
    let house = House::with(vec![jwt("as", &server)]);
    let claims = house.claims(&server.url);
    house.proof(&token(&good, &claims)).await;
    for reply in [Reply::status(500), Reply::text(r#"{"keys":[]}"#)] {
        server.answer("/jwks", reply);
        let before = server.count("/jwks");
        for number in 0..100 {
            let strange = token(&key(&format!("x{number}"), Alg::Es256), &claims);
            assert!(is_invalid(&house.verify(&strange).await));
        }
        assert_eq!(server.count("/jwks"), before + 1);
        house.advance_secs(31);
    }
}

#[tokio::test]
async fn a_rotation_takes_one_fetch_and_ends_the_old_key() {
    for alg in ALGORITHMS {
        let (server, old, new) = (Server::start().await, key("old", alg), key("new", alg));
        server.publish(&[&old]);
        let house = House::with(vec![jwt("as", &server)]);
        let claims = house.claims(&server.url);
        let (first, second) = (token(&old, &claims), token(&new, &claims));
        house.proof(&first).await;

        server.publish(&[&old, &new]);
        house.proof(&second).await;
        assert_eq!(server.count("/jwks"), 2);
        house.proof(&first).await;

        server.publish(&[&new]);
        house.advance_secs(31);
        let third = token(&key("third", alg), &house.claims(&server.url));
        assert!(is_invalid(&house.verify(&third).await));
        assert_eq!(server.count("/jwks"), 3);
        assert!(!house.remembers(&first), "{alg:?}");
        assert!(is_invalid(&house.verify(&first).await));
        house.proof(&second).await;
    }
}

#[tokio::test]
async fn a_token_refused_for_its_unknown_key_is_good_once_the_key_is_known() {
    let (server, old, new) =
        (Server::start().await, key("old", Alg::Es256), key("new", Alg::Es256));
    server.publish(&[&old]);
    let house = House::with(vec![jwt("as", &server)]);
    let claims = house.claims(&server.url);
    let early = token(&new, &claims);
    house.proof(&token(&old, &claims)).await;
    assert!(is_invalid(&house.verify(&early).await));
    assert!(is_invalid(&house.verify(&early).await), "the cooldown holds");

    server.publish(&[&old, &new]);
    house.verifier.start_background();
    house.advance_secs(15 * 60);
    // The renewal is the background's; not a second passes on the clock in which what is known to
    // be bad would be forgotten by itself.
    let early = token(&new, &house.claims(&server.url));
    let _refused_or_not = house.verify(&early).await;
    let is_good = || async { house.verify(&early).await.is_ok() };
    until("the renewed keys count at once", is_good).await;
}

#[tokio::test]
async fn keys_are_renewed_in_the_background() {
    let (server, old, new) =
        (Server::start().await, key("old", Alg::EdDsa), key("new", Alg::EdDsa));
    server.publish(&[&old]);
    let house = House::with(vec![jwt("as", &server)]);
    house.verifier.start_background();
    until("keys are there before the first token", || async { server.count("/jwks") == 1 }).await;
    let first = token(&old, &house.claims(&server.url));
    house.proof(&first).await;
    server.publish(&[&new]);
    house.advance_secs(14 * 60);
    house.proof(&token(&old, &house.claims(&server.url))).await;
    assert_eq!(server.count("/jwks"), 1);
    house.advance_secs(60);
    until("the set is fetched again for its age", || async { server.count("/jwks") == 2 }).await;
    let late = token(&old, &house.claims(&server.url));
    let is_refused = || async { is_invalid(&house.verify(&late).await) };
    until("the removed key is refused", is_refused).await;
}

#[tokio::test]
async fn rubbish_instead_of_keys_changes_nothing() {
    let (server, good) = (Server::start().await, key("k", Alg::Es256));
    server.publish(&[&good]);
    let house = House::with(vec![jwt("as", &server)]);
    house.proof(&token(&good, &house.claims(&server.url))).await;
    let set = KeySet::from_signing(&[&good]).to_json().to_string();
    let padded = format!(r#"{{"keys":[],"x":"{}"}}"#, "x".repeat(10 * 1024 * 1024));
    for (what, rubbish) in [
        ("empty set", Reply::text(r#"{"keys":[]}"#)),
        ("no keys", Reply::text("{}")),
        ("nothing", Reply::text("")),
        ("HTML", Reply::text("<!doctype html><title>Login</title>")),
        ("10 MB", Reply::text(&padded)),
        ("cut short", Reply::text(&set[..set.len() / 2]).cut()),
        ("half of it", Reply::text(&set[..set.len() / 2])),
        (
            "an error with keys",
            Reply { status: 500, ..Reply::text(&set.replace("\"k\"", "\"x\"")) },
        ),
        ("a redirect", Reply::status(302)),
        ("keys for encryption", Reply::text(&set.replace("\"sig\"", "\"enc\""))),
        ("symmetric keys", Reply::text(r#"{"keys":[{"kty":"oct","kid":"k","k":"AAAA"}]}"#)),
        ("keys that are no keys", Reply::text(r#"{"keys":[null,1,{"kty":"EC"}]}"#)),
    ] {
        server.answer("/jwks", rubbish);
        house.advance_secs(31);
        let before = server.count("/jwks");
        let strange = token(&key("x", Alg::Es256), &house.claims(&server.url));
        assert!(is_invalid(&house.verify(&strange).await), "{what}");
        assert_eq!(server.count("/jwks"), before + 1, "{what}");
        let fresh = token(&good, &house.claims_but(&server.url, &json!({ "jti": what })));
        assert!(house.verify(&fresh).await.is_ok(), "{what}");
    }
}

#[tokio::test]
async fn keys_outlive_their_issuer_for_a_day_and_no_longer() {
    let (mut server, good) = (Server::start().await, key("k", Alg::Es256));
    server.publish(&[&good]);
    let house = House::with(vec![jwt("as", &server)]);
    house.proof(&token(&good, &house.claims(&server.url))).await;
    server.stop().await;
    house.advance_secs(24 * 3_600 - 1);
    let strange = token(&key("x", Alg::Es256), &house.claims(&server.url));
    assert!(is_invalid(&house.verify(&strange).await), "an unknown key is a 401, not a 500 or 503");
    house.proof(&token(&good, &house.claims(&server.url))).await;
    house.advance_secs(2);
    let late = token(&good, &house.claims_but(&server.url, &json!({ "jti": "late" })));
    assert!(is_unavailable(&house.verify(&late).await));
}

#[tokio::test]
async fn an_issuer_without_keys_is_not_known_just_now_and_the_others_are() {
    let (down, up, good) = (Server::start().await, Server::start().await, key("k", Alg::Es256));
    down.answer("/jwks", Reply::status(503));
    up.publish(&[&good]);
    let house = House::with(vec![jwt("down", &down), jwt("up", &up)]);
    let waiting = token(&good, &house.claims(&down.url));
    assert!(is_unavailable(&house.verify(&waiting).await));
    house.proof(&token(&good, &house.claims(&up.url))).await;
    down.publish(&[&good]);
    assert!(is_unavailable(&house.verify(&waiting).await), "the cooldown holds");
    assert_eq!(down.count("/jwks"), 1);
    house.advance_secs(31);
    house.proof(&waiting).await;
}

#[tokio::test]
async fn an_issuer_that_comes_up_after_the_gate_is_found_by_the_background() {
    let (server, good) = (Server::start().await, key("k", Alg::Es256));
    server.answer("/jwks", Reply::status(503));
    let house = House::with(vec![jwt("as", &server)]);
    house.verifier.start_background();
    until("it is asked at once", || async { server.count("/jwks") == 1 }).await;
    server.publish(&[&good]);
    let waiting = token(&good, &house.claims(&server.url));
    assert!(is_unavailable(&house.verify(&waiting).await));
    let is_good = || async {
        house.clock.advance(100);
        house.verify(&waiting).await.is_ok()
    };
    until("it is asked again soon", is_good).await;
}

#[tokio::test]
async fn many_first_tokens_at_once_cost_one_fetch() {
    let (server, good) = (Server::start().await, key("k", Alg::Es256));
    let set = KeySet::from_signing(&[&good]).to_json();
    server.answer("/jwks", Reply::json(&set).after(Duration::from_millis(50)));
    let house = Arc::new(House::with(vec![jwt("as", &server)]));
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..200 {
        let changes = json!({ "jti": number.to_string() });
        let token = token(&good, &house.claims_but(&server.url, &changes));
        let house = Arc::clone(&house);
        calls.spawn(async move { house.verify(&token).await.is_ok() });
    }
    assert!(calls.join_all().await.into_iter().all(|is_ok| is_ok));
    assert_eq!((server.count("/jwks"), server.paths().len()), (1, 2));
}

#[tokio::test]
async fn a_caller_who_goes_away_does_not_use_the_fetch_up() {
    let (server, good) = (Server::start().await, key("k", Alg::Es256));
    let set = KeySet::from_signing(&[&good]).to_json();
    server.answer("/jwks", Reply::json(&set).after(Duration::from_millis(100)));
    let house = House::with(vec![jwt("as", &server)]);
    let good = token(&good, &house.claims(&server.url));
    let hasty = tokio::time::timeout(Duration::from_millis(20), house.verify(&good)).await;
    assert!(hasty.is_err());
    house.proof(&good).await;
    assert_eq!(server.count("/jwks"), 1);
}

#[tokio::test]
async fn a_key_without_a_name_can_be_replaced_by_another() {
    let (server, old, new) = (Server::start().await, key("a", Alg::Es256), key("b", Alg::Es256));
    let nameless = |key: &tollgate_oauth::keys::SigningKey| {
        let mut jwk = key.public_jwk();
        jwk.as_object_mut().expect("a key").remove("kid");
        Reply::json(&json!({ "keys": [jwk] }))
    };
    server.answer("/jwks", nameless(&old));
    let house = House::with(vec![jwt("as", &server)]);
    let claims = house.claims(&server.url);
    house.proof(&without_kid(&old, &claims)).await;
    server.answer("/jwks", nameless(&new));
    house.proof(&without_kid(&new, &claims)).await;
    assert!(is_invalid(&house.verify(&without_kid(&old, &claims)).await));
    assert_eq!(server.count("/jwks"), 2);
}

fn without_kid(key: &tollgate_oauth::keys::SigningKey, claims: &serde_json::Value) -> String {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let header = json!({ "alg": key.alg().name(), "typ": "at+jwt" }).to_string();
    let claims = claims.to_string();
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.pkcs8());
    let random = aws_lc_rs::rand::SystemRandom::new();
    let signature = pair.expect("a key").sign(&random, signed.as_bytes()).expect("signs");
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
}

#[tokio::test]
async fn an_algorithm_the_operator_did_not_allow_is_refused_without_asking_for_keys() {
    let (server, good) = (Server::start().await, key("k", Alg::Es256));
    server.publish(&[&good]);
    let tokens = TokenSettings::Jwt {
        keys: KeysAt::Discovery,
        algorithms: vec![Alg::Rs256],
        strict_type: true,
    };
    let house = House::with(vec![issuer("as", &server.url, tokens)]);
    assert!(is_invalid(&house.verify(&token(&good, &house.claims(&server.url))).await));
    assert_eq!(server.paths().len(), 0);
}

#[tokio::test]
async fn keys_in_a_file_are_read_with_each_version_of_the_configuration() {
    let (old, new) = (key("old", Alg::Es256), key("new", Alg::Es256));
    let file = tempfile::NamedTempFile::new().expect("a file");
    let write = |text: &str| std::fs::write(file.path(), text).expect("written");
    let set = |key| KeySet::from_signing(&[key]).to_json().to_string();
    write(&set(&old));
    let tokens = TokenSettings::Jwt {
        keys: KeysAt::File(file.path().to_owned()),
        algorithms: ALGORITHMS.into(),
        strict_type: true,
    };
    let mut house = House::with(vec![issuer("as", "https://as.example", tokens)]);
    let claims = house.claims("https://as.example");
    let (first, second) = (token(&old, &claims), token(&new, &claims));
    house.proof(&first).await;
    write(&set(&new));
    assert!(is_invalid(&house.verify(&second).await));
    house.rebuild().expect("settings");
    assert!(!house.remembers(&first));
    assert!(is_invalid(&house.verify(&first).await));
    house.proof(&second).await;
    for bad in ["", "{}", r#"{"keys":[]}"#, "[]"] {
        write(bad);
        assert!(house.rebuild().is_err(), "{bad}");
    }
    house.proof(&second).await;

    // A version that is refused for something else changes nothing either.
    write(&set(&old));
    house.doors[0].resource = String::from("nowhere");
    assert!(house.rebuild().is_err());
    assert!(house.remembers(&second));
    let another = token(&new, &house.claims_but("https://as.example", &json!({ "jti": "2" })));
    house.proof(&another).await;
}
