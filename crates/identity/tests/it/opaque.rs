//! Opaque tokens: what an issuer says of them, and what happens while it says nothing.

use crate::house::{
    House, RESOURCE, introspection, is_invalid, is_unavailable, issuer, jwt, key, opaque, token,
    until,
};
use crate::server::{Reply, Server};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tollgate_core::ids::Secret;
use tollgate_core::principal::Credential;
use tollgate_core::stores::{Revocable, Revocation};
use tollgate_identity::Denied;
use tollgate_identity::settings::{ClientProof, TokenSettings};
use tollgate_oauth::jwt::Jwt;
use tollgate_oauth::keys::{Alg, KeySet, SigningKey};

async fn trusted() -> (Server, House) {
    let server = Server::start().await;
    let house = House::with(vec![opaque("as", &server)]);
    (server, house)
}

/// What is said of a token that is good.
fn active(house: &House, changes: &Value) -> Value {
    let mut claims = house.claims_but("", changes);
    let members = claims.as_object_mut().expect("claims");
    if changes.get("iss").is_none() {
        members.remove("iss");
    }
    members.entry("active").or_insert(json!(true));
    claims
}

#[tokio::test]
async fn an_active_token_is_a_principal() {
    let (server, house) = trusted().await;
    server.says_of("t", &active(&house, &json!({ "token_type": "Bearer", "iss": server.url })));
    let proof = house.proof("t").await;
    assert_eq!((&*proof.issuer, &*proof.subject, &*proof.client), (&*server.url, "alice", "agent"));
    assert_eq!((proof.user.as_deref(), proof.credential), (Some("alice"), Credential::Opaque));
    assert_eq!(proof.scopes.iter().map(|s| &**s).collect::<Vec<_>>(), ["read", "write"]);
    assert!(
        proof.claims.as_deref().is_some_and(|claims| claims.contains("\"token_type\":\"Bearer\""))
    );
    let asked = &server.asked("/introspect")[0];
    assert_eq!(asked.body, "token=t&token_type_hint=access_token");
}

#[tokio::test]
async fn only_a_boolean_true_is_active() {
    let (server, house) = trusted().await;
    for (number, said) in [
        json!({ "active": "true" }),
        json!({ "active": 1 }),
        json!({ "active": {} }),
        json!({ "active": [true] }),
        json!({ "active": "false" }),
    ]
    .into_iter()
    .enumerate()
    {
        server.says_of(&number.to_string(), &active(&house, &said));
        assert!(is_unavailable(&house.verify(&number.to_string()).await), "{said}");
    }
    server.says_of("inactive", &active(&house, &json!({ "active": false })));
    assert!(is_invalid(&house.verify("inactive").await));
    assert!(is_invalid(&house.verify("unknown").await));
}

#[tokio::test]
async fn what_is_said_of_an_active_token_must_fit_too() {
    let (server, house) = trusted().await;
    let now = house.now();
    for (number, bad) in [
        json!({ "aud": null }),
        json!({ "aud": "https://gw.example.com.evil/mcp" }),
        json!({ "aud": "https://gw.example.com/mcp/" }),
        json!({ "aud": ["https://other.example"] }),
        json!({ "aud": { "x": RESOURCE } }),
        json!({ "exp": now - 30 }),
        json!({ "exp": "9999999999" }),
        json!({ "exp": -1 }),
        json!({ "nbf": now + 31 }),
        json!({ "iat": now + 31 }),
        json!({ "iss": "https://evil.example" }),
        json!({ "iss": 1 }),
        json!({ "client_id": null }),
        json!({ "client_id": 1 }),
        json!({ "sub": 1 }),
        json!({ "scope": "read\u{a0}write" }),
        json!({ "typ": "Refresh" }),
        json!({ "typ": "ID" }),
        json!({ "token_use": "refresh_token" }),
        json!({ "token_type": "refresh_token" }),
    ]
    .into_iter()
    .enumerate()
    {
        server.says_of(&number.to_string(), &active(&house, &bad));
        assert!(is_invalid(&house.verify(&number.to_string()).await), "{bad}");
    }
}

#[tokio::test]
async fn a_token_without_a_subject_is_the_agents_own() {
    let (server, house) = trusted().await;
    server.says_of("t", &active(&house, &json!({ "sub": null, "exp": null })));
    let proof = house.proof("t").await;
    assert_eq!((&*proof.subject, &proof.user, proof.expires), ("agent", &None, None));
}

#[tokio::test]
async fn an_answer_is_believed_for_its_time_and_not_beyond_the_tokens_end() {
    let (server, house) = trusted().await;
    server.says_of("long", &active(&house, &json!({})));
    server.says_of("short", &active(&house, &json!({ "exp": house.now() + 10 })));
    server.says_of("endless", &active(&house, &json!({ "exp": null })));
    for token in ["long", "short", "endless"] {
        house.proof(token).await;
    }
    house.advance_secs(9);
    assert!(["long", "short", "endless"].iter().all(|token| house.remembers(token)));
    house.advance_secs(1);
    assert!(!house.remembers("short"));
    house.advance_secs(19);
    assert!(house.remembers("long"));
    assert_eq!(server.count("/introspect"), 3);
    house.advance_secs(1);
    assert!(!house.remembers("long") && !house.remembers("endless"));
    server.says_of("long", &json!({ "active": false }));
    assert!(is_invalid(&house.verify("long").await));
    assert_eq!(server.count("/introspect"), 4);
}

#[tokio::test]
async fn a_flood_of_one_bad_token_is_asked_about_every_few_seconds() {
    let (server, house) = trusted().await;
    for second in 0..10 {
        for _ in 0..100 {
            assert!(is_invalid(&house.verify("bad").await));
        }
        assert_eq!(server.count("/introspect"), 1 + second / 5);
        house.advance_secs(1);
    }
}

#[tokio::test]
async fn two_hundred_at_once_with_one_token_are_one_question() {
    let (server, house) = trusted().await;
    let answer = Reply::json(&active(&house, &json!({}))).after(Duration::from_millis(50));
    server.answer("/introspect", answer);
    let house = Arc::new(house);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let house = Arc::clone(&house);
        calls.spawn(async move { house.verify("t").await.is_ok() });
    }
    assert!(calls.join_all().await.into_iter().all(|is_ok| is_ok));
    assert_eq!(server.count("/introspect"), 1);
}

#[tokio::test]
async fn more_questions_than_allowed_at_once_are_not_asked() {
    let server = Server::start().await;
    let mut settings = opaque("as", &server);
    if let TokenSettings::Opaque(introspection) = &mut settings.tokens {
        introspection.at_once = 4;
    }
    let house = Arc::new(House::with(vec![settings]));
    let answer = Reply::json(&active(&house, &json!({}))).after(Duration::from_millis(300));
    server.answer("/introspect", answer);
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..40 {
        let house = Arc::clone(&house);
        calls.spawn(async move { house.verify(&format!("t{number}")).await });
    }
    let outcomes = calls.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 4);
    assert_eq!(outcomes.iter().filter(|outcome| is_unavailable(outcome)).count(), 36);
    assert_eq!(server.count("/introspect"), 4);
    house.proof("another").await;
}

#[tokio::test]
async fn no_answer_is_not_known_just_now_and_what_was_known_holds() {
    let (mut server, house) = trusted().await;
    server.says_of("t", &active(&house, &json!({})));
    house.proof("t").await;
    for (what, reply) in [
        ("error", Reply::status(500)),
        ("refusal", Reply::status(401)),
        ("redirect", Reply::status(302)),
        ("HTML", Reply::text("<html>")),
        ("nothing", Reply::text("")),
        ("a list", Reply::text("[]")),
        ("cut", Reply::text(r#"{"active":tr"#).cut()),
        ("10 MB", Reply::text(&"x".repeat(10 * 1024 * 1024))),
        ("said twice", Reply::text(r#"{"active":false,"active":true}"#)),
    ] {
        server.answer("/introspect", reply);
        assert!(is_unavailable(&house.verify(&format!("new {what}")).await), "{what}");
        assert!(house.verify("t").await.is_ok(), "{what}");
    }
    server.stop().await;
    assert!(is_unavailable(&house.verify("down").await));
    assert!(house.verify("t").await.is_ok());
    house.advance_secs(31);
    assert!(is_unavailable(&house.verify("t").await), "a good token is not called bad");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_given_up() {
    let (server, house) = trusted().await;
    let answer = Reply::json(&active(&house, &json!({}))).after(Duration::from_secs(30));
    server.answer("/introspect", answer);
    let begun = tokio::time::Instant::now();
    assert!(is_unavailable(&house.verify("t").await));
    assert!(begun.elapsed() < Duration::from_secs(8));
}

#[tokio::test]
async fn the_gate_proves_itself_as_the_operator_says() {
    let secret = || Secret::new(String::from("a:b c%/ü"));
    let signing = key("gate-key", Alg::Es256);
    let pem = pem(&signing);
    for (what, proof) in [
        ("basic", ClientProof::SecretBasic(secret())),
        ("post", ClientProof::SecretPost(secret())),
        (
            "key",
            ClientProof::PrivateKey {
                pem: Secret::new(pem),
                algorithm: Alg::Es256,
                kid: Some(String::from("gate-key")),
            },
        ),
    ] {
        let server = Server::start().await;
        let tokens = TokenSettings::Opaque(introspection(proof));
        let house = House::with(vec![issuer("as", &server.url, tokens)]);
        for token in ["one", "two"] {
            server.says_of(token, &active(&house, &json!({})));
            house.proof(token).await;
        }
        let asked = server.asked("/introspect");
        let form = |body: &str| -> std::collections::HashMap<String, String> {
            url::form_urlencoded::parse(body.as_bytes()).into_owned().collect()
        };
        let (one, two) = (form(&asked[0].body), form(&asked[1].body));
        match what {
            "basic" => {
                let expected = STANDARD.encode("gate:a%3Ab+c%25%2F%C3%BC");
                assert!(asked[0].head.contains(&format!("Basic {expected}")), "{}", asked[0].head);
                assert!(!one.contains_key("client_secret"));
            }
            "post" => {
                assert_eq!((&*one["client_id"], &*one["client_secret"]), ("gate", "a:b c%/ü"))
            }
            _ => {
                let keys = KeySet::from_signing(&[&signing]);
                let jwt = Jwt::read(&one["client_assertion"]).expect("a JWT");
                jwt.verify(&keys, &[Alg::Es256]).expect("signed by the gate");
                let text = |name| jwt.claims().text(name).expect("text").expect("is there");
                assert_eq!((text("iss"), text("sub"), text("aud")), ("gate", "gate", &*server.url));
                let ends = jwt.claims().time("exp").expect("a time").expect("is there");
                assert_eq!(ends, house.now() + 60);
                let other = Jwt::read(&two["client_assertion"]).expect("a JWT");
                assert_ne!(other.claims().text("jti"), jwt.claims().text("jti"));
                assert!(!asked[0].head.to_ascii_lowercase().contains("authorization:"));
            }
        }
        let shown = format!("{house:?}");
        assert!(!shown.contains("a:b") && !shown.contains("PRIVATE"), "{what}");
    }
}

fn pem(key: &SigningKey) -> String {
    let body = STANDARD.encode(key.pkcs8());
    format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
}

#[tokio::test]
async fn of_several_issuers_the_first_that_knows_a_token_decides() {
    let (one, two) = (Server::start().await, Server::start().await);
    let house = House::with(vec![opaque("one", &one), opaque("two", &two)]);
    two.says_of("t", &active(&house, &json!({})));
    assert_eq!(*house.proof("t").await.issuer, *two.url);
    assert_eq!((one.count("/introspect"), two.count("/introspect")), (1, 1));
    assert!(is_invalid(&house.verify("nobody's").await));
    one.answer("/introspect", Reply::status(500));
    two.says_of("u", &active(&house, &json!({})));
    house.proof("u").await;
    assert!(is_unavailable(&house.verify("perhaps of the first").await));
}

#[tokio::test]
async fn a_signed_token_of_somebody_else_is_shown_to_nobody() {
    let (asked, signer, other) =
        (Server::start().await, Server::start().await, key("k", Alg::Es256));
    signer.publish(&[&other]);
    let house = House::with(vec![opaque("asked", &asked), jwt("signer", &signer)]);
    let claims = |issuer: &str| house.claims(issuer);
    assert!(is_invalid(&house.verify(&token(&other, &claims("https://elsewhere.example"))).await));
    let forged = token(&key("k", Alg::Es256), &claims(&signer.url));
    assert!(is_invalid(&house.verify(&forged).await));
    assert!(house.verify(&token(&other, &claims(&signer.url))).await.is_ok());
    assert_eq!(asked.count("/introspect"), 0);

    // One that names the issuer that is asked goes there, and what is in it counts for nothing.
    let own = token(&other, &claims(&asked.url));
    assert!(is_invalid(&house.verify(&own).await));
    assert_eq!(asked.count("/introspect"), 1);
}

#[tokio::test]
async fn a_flood_of_one_token_that_is_good_and_not_let_in_is_asked_about_once() {
    let (server, mut house) = trusted().await;
    house.doors[0].scopes = vec![String::from("admin")];
    house.rebuild().expect("settings");
    server.says_of("short", &active(&house, &json!({})));
    server.says_of("revoked", &active(&house, &json!({ "sub": "mallory", "scope": "admin" })));
    let what = Revocable::Subject(server.url.clone(), String::from("mallory"));
    let revocation = Revocation { what: what.clone(), before: u64::MAX, until: u64::MAX };
    house.sources.stores.revocations.revoke(revocation).await.expect("revoked");
    for _ in 0..100 {
        assert!(matches!(house.verify("short").await, Err(Denied::Insufficient { .. })));
        assert!(is_invalid(&house.verify("revoked").await));
    }
    assert_eq!(server.count("/introspect"), 2);

    house.verifier.start_background();
    house.sources.stores.revocations.restore(what).await.expect("restored");
    let is_good = || async { house.verify("revoked").await.is_ok() };
    until("what is taken back counts, although it was refused", is_good).await;
}
