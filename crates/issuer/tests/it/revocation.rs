//! Revocation and introspection: who may end a token, and who may ask about one.

use crate::house::{BEGIN, House, ISSUER, RESOURCE, machine, refusal};
use serde_json::json;
use tollgate_core::stores::{Revocable, Revocation};

async fn revoke(house: &House, client: &str, token: &str) -> u16 {
    let form = [("client_id", client), ("token", token)];
    house.post("/oauth/revoke", &form).await.status.as_u16()
}

#[tokio::test]
async fn a_revoked_refresh_token_takes_its_grant_with_it() {
    let house = House::new().await;
    house.app("app").await;
    let (access, token) = house.tokens("app").await;
    assert_eq!(revoke(&house, "app", &token).await, 200);
    assert!(!house.is_active(&access).await);
    assert_eq!(house.refresh("app", &token, &[]).await.refusal(), refusal(400, "invalid_grant"));
}

#[tokio::test]
async fn a_revoked_access_token_is_void_and_its_grant_goes_on() {
    let house = House::new().await;
    house.app("app").await;
    let (access, token) = house.tokens("app").await;
    assert_eq!(revoke(&house, "app", &access).await, 200);
    assert!(!house.is_active(&access).await);
    let renewed = house.refresh("app", &token, &[]).await.text("access_token");
    assert!(house.is_active(&renewed).await);
}

#[tokio::test]
async fn the_token_of_another_client_stays_and_the_answer_does_not_tell() {
    let house = House::new().await;
    house.app("app").await;
    house.app("other").await;
    let (access, token) = house.tokens("app").await;
    for token in [&access, &token] {
        assert_eq!(revoke(&house, "other", token).await, 200);
    }
    assert!(house.is_active(&access).await);
    assert_eq!(house.refresh("app", &token, &[]).await.status, 200);
}

#[tokio::test]
async fn revoking_garbage_is_fine() {
    let house = House::new().await;
    house.app("app").await;
    for garbage in ["x", "tgr_x", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "\u{1F600}"] {
        assert_eq!(revoke(&house, "app", garbage).await, 200, "{garbage}");
    }
    assert_eq!(revoke(&house, "app", "").await, 400);
}

#[tokio::test]
async fn who_revokes_must_be_a_client() {
    let house = House::new().await;
    house.app("app").await;
    let (access, _) = house.tokens("app").await;
    let reply = house.post("/oauth/revoke", &[("client_id", "nobody"), ("token", &access)]).await;
    assert_eq!(reply.refusal(), refusal(401, "invalid_client"));
    assert!(house.is_active(&access).await);
}

#[tokio::test]
async fn introspection_says_what_the_standard_names_and_nothing_besides() {
    let house = House::new().await;
    house.add(machine("bot")).await;
    let form = [("resource", RESOURCE), ("scope", "read")];
    let token = house.credentials("bot", &form).await.text("access_token");
    let reply = house.post_as("bot", "/oauth/introspect", &[("token", &token)]).await;
    let jti = house.read(&token).map(|claims| claims.id);
    let expected = json!({
        "active": true,
        "iss": ISSUER,
        "client_id": "bot",
        "sub": "bot",
        "scope": "read",
        "exp": BEGIN + 600,
        "token_type": "Bearer",
        "iat": BEGIN,
        "jti": jti,
        "aud": RESOURCE,
    });
    assert_eq!(reply.json(), expected);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn introspection_of_a_refresh_token_names_its_person_and_end() {
    let house = House::new().await;
    house.app("app").await;
    let (_, token) = house.tokens("app").await;
    assert!(house.is_active(&token).await);
    let form = [("token", token.as_str())];
    let reply = house.post_as("watcher-of-all", "/oauth/introspect", &form).await.json();
    assert_eq!((&reply["username"], &reply["sub"]), (&json!("ada"), &json!("user:ada")));
    assert_eq!((&reply["exp"], reply.get("groups")), (&json!(BEGIN + 30 * 86_400), None));
}

#[tokio::test]
async fn who_keeps_no_secret_may_not_ask() {
    let house = House::new().await;
    house.app("app").await;
    let (access, _) = house.tokens("app").await;
    let public = [("client_id", "app"), ("token", access.as_str())];
    let reply = house.post("/oauth/introspect", &public).await;
    assert_eq!(reply.refusal(), refusal(401, "invalid_client"));
    let nobody = house.post("/oauth/introspect", &[("token", &access)]).await;
    assert_eq!(nobody.status, 401);
}

#[tokio::test]
async fn an_agent_learns_nothing_about_tokens_of_others() {
    let house = House::new().await;
    house.app("app").await;
    house.add(machine("bot")).await;
    let (access, token) = house.tokens("app").await;
    for token in [access.as_str(), &token, "garbage"] {
        let reply = house.post_as("bot", "/oauth/introspect", &[("token", token)]).await;
        assert_eq!(reply.json(), json!({ "active": false }));
    }
}

#[tokio::test]
async fn an_ended_token_is_not_active() {
    let house = House::new().await;
    house.app("app").await;
    let (access, _) = house.tokens("app").await;
    house.pass(599);
    assert!(house.is_active(&access).await);
    house.pass(1);
    assert!(!house.is_active(&access).await);
}

#[tokio::test]
async fn what_the_operator_revoked_is_not_active() {
    let house = House::new().await;
    house.app("app").await;
    let revocable = [
        Revocable::Agent("app".to_owned()),
        Revocable::Subject(ISSUER.to_owned(), "user:ada".to_owned()),
    ];
    for what in revocable {
        let (access, _) = house.tokens("app").await;
        assert!(house.is_active(&access).await);
        let now = house.now();
        let revocation = Revocation { what: what.clone(), before: now, until: now + 1_000 };
        assert!(house.stores.revocations.revoke(revocation).await.is_ok());
        assert!(!house.is_active(&access).await, "{what:?}");
        house.pass(1);
        let (later, _) = house.tokens("app").await;
        assert!(house.is_active(&later).await, "{what:?}");
    }
}

#[tokio::test]
async fn a_token_of_another_issuer_with_the_same_keys_is_not_active() {
    let house = House::new().await;
    house.app("app").await;
    let mut elsewhere = house.settings.clone();
    let Ok(url) = "https://other.example".parse() else { unreachable!("a URL") };
    elsewhere.url = url;
    let other = House::over(elsewhere, house.stores.clone(), house.clock.clone()).await;
    let (access, _) = other.tokens("app").await;
    assert!(other.is_active(&access).await);
    assert!(!house.is_active(&access).await);
}

#[tokio::test]
async fn agents_that_revoke_their_tokens_leave_room_for_the_operator() {
    let house = House::new().await;
    house.app("app").await;
    let (access, token) = house.tokens("app").await;
    for index in 0..50_000 {
        let what = Revocable::Token(ISSUER.to_owned(), format!("{index}"));
        let revocation = Revocation { what, before: u64::MAX, until: BEGIN + 600 };
        assert!(house.stores.revocations.revoke(revocation).await.is_ok());
    }
    assert_eq!(revoke(&house, "app", &access).await, 503);
    // Whole grants still end: each took a person's consent.
    assert_eq!(revoke(&house, "app", &token).await, 200);
    assert!(!house.is_active(&access).await);
}
