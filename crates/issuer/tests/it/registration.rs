//! Agents that register themselves, from the first request to the last.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use crate::house::{Ask, House, REDIRECT, redemption, refusal, settings};
use http::{Method, StatusCode};
use serde_json::{Value, json};

fn registering(body: impl Into<String>) -> Ask {
    let ask = Ask::new(Method::POST, "/oauth/register").body(body.into());
    ask.header("content-type", "application/json")
}

async fn registered(house: &House, metadata: &Value) -> Value {
    let reply = house.send(registering(metadata.to_string())).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{reply:?}");
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    reply.json()
}

fn app() -> Value {
    json!({
        "client_name": "App", "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
    })
}

fn managing(method: Method, answer: &Value) -> Ask {
    let id = answer["client_id"].as_str().expect("an id");
    let token = answer["registration_access_token"].as_str().expect("a token");
    let ask = Ask::new(method, &format!("/oauth/register/{id}"));
    ask.header("authorization", &format!("Bearer {token}"))
}

#[tokio::test]
async fn an_agent_that_gets_a_token_stays_and_one_that_does_not_ends() {
    let house = House::new().await;
    house.app("other").await;
    let (used, unused) = (registered(&house, &app()).await, registered(&house, &app()).await);
    let id = used["client_id"].as_str().expect("an id");
    let code = house.code(id).await;
    let refresh = house.redeem(id, &code).await.text("refresh_token");
    house.pass(86_401);
    house.stores.agents.sweep(house.now()).await.expect("a store");
    assert_eq!(house.refresh(id, &refresh, &[]).await.status, 200);
    assert_eq!(house.send(managing(Method::GET, &used)).await.status, 200);
    assert_eq!(house.send(managing(Method::GET, &unused)).await.refusal().0, 401);
}

#[tokio::test]
async fn all_an_agent_had_ends_with_its_registration() {
    let house = House::new().await;
    house.app("other").await;
    let answer = registered(&house, &app()).await;
    let id = answer["client_id"].as_str().expect("an id");
    let (access, refresh) = house.tokens(id).await;
    let late = house.code(id).await;
    assert!(house.is_active(&access).await);

    let gone = house.send(managing(Method::DELETE, &answer)).await;
    assert!(gone.status == StatusCode::NO_CONTENT && gone.body.is_empty());
    assert!(!house.is_active(&access).await);
    assert_eq!(house.refresh(id, &refresh, &[]).await.refusal(), refusal(401, "invalid_client"));
    let form = redemption(id, &late);
    assert_eq!(house.token(&form).await.refusal(), refusal(401, "invalid_client"));
    assert_eq!(house.send(managing(Method::DELETE, &answer)).await.refusal().0, 401);
}

#[tokio::test]
async fn a_registered_secret_is_good_where_it_was_registered_for() {
    let house = House::new().await;
    house.app("other").await;
    let mut metadata = app();
    metadata["token_endpoint_auth_method"] = "client_secret_post".into();
    let answer = registered(&house, &metadata).await;
    let id = answer["client_id"].as_str().expect("an id");
    let secret = answer["client_secret"].as_str().expect("a secret");
    let code = house.code(id).await;
    let form = redemption(id, &code);
    assert_eq!(house.token(&form).await.refusal(), refusal(401, "invalid_client"));
    let with = |secret| [&form[..], &[("client_secret", secret)]].concat();
    assert_eq!(house.token(&with("")).await.refusal(), refusal(401, "invalid_client"));
    assert_eq!(house.token(&with(secret)).await.status, 200);
    // Nor does it ever act for itself.
    let own = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
    assert_eq!(house.token(&own).await.refusal(), refusal(400, "unauthorized_client"));
}

#[tokio::test]
async fn what_is_too_long_is_refused_unread() {
    let house = House::new().await;
    let mut metadata = app();
    metadata["x"] = "a".repeat(65 * 1_024).into();
    let reply = house.send(registering(metadata.to_string())).await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    let reply = house.send(registering(deep)).await;
    assert_eq!(reply.refusal(), refusal(400, "invalid_client_metadata"));
}

#[tokio::test]
async fn a_gate_where_agents_cannot_register_has_no_such_place() {
    let mut settings = settings();
    settings.registration.dynamic = false;
    let house = House::with(settings).await;
    assert!(!house.issuer.serves("/oauth/register"));
    assert!(!house.issuer.serves("/oauth/register/reg_x"));
    assert_eq!(house.send(registering(app().to_string())).await.status, StatusCode::NOT_FOUND);
    let metadata = house.get("/.well-known/oauth-authorization-server").await.json();
    assert!(metadata.get("registration_endpoint").is_none());
}

#[tokio::test]
async fn scripts_of_any_page_may_register_and_other_methods_are_refused() {
    let house = House::new().await;
    let preflight =
        Ask::new(Method::OPTIONS, "/oauth/register").header("origin", "https://a.example");
    let reply = house.send(preflight).await;
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    assert_eq!(reply.header("access-control-allow-methods"), Some("POST"));
    assert!(reply.header("access-control-allow-credentials").is_none());
    let reply = house.get("/oauth/register").await;
    assert_eq!((reply.status.as_u16(), reply.header("allow")), (405, Some("POST")));
    let reply = house.send(Ask::new(Method::PATCH, "/oauth/register/reg_x")).await;
    assert_eq!((reply.status.as_u16(), reply.header("allow")), (405, Some("GET, PUT, DELETE")));
}

#[tokio::test]
async fn a_wrong_registration_token_is_challenged_as_a_bearer_token() {
    let house = House::new().await;
    let answer = registered(&house, &app()).await;
    let wrong = managing(Method::GET, &answer).header("authorization", "Bearer tgt_wrong");
    let reply = house.send(wrong).await;
    assert_eq!(reply.refusal(), refusal(401, "invalid_token"));
    assert_eq!(reply.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
}

#[tokio::test]
async fn a_bad_proof_in_the_header_is_challenged_as_basic() {
    let house = House::new().await;
    let form = [("grant_type", "client_credentials")];
    let reply = house.post_as("ghost", "/oauth/token", &form).await;
    assert_eq!(reply.refusal(), refusal(401, "invalid_client"));
    let challenge = reply.header("www-authenticate").expect("a challenge");
    assert!(challenge.starts_with("Basic "), "{challenge}");
}

#[tokio::test]
async fn processes_that_share_stores_share_registrations() {
    let house = House::new().await;
    let sibling = house.sibling().await;
    let answer = registered(&house, &app()).await;
    assert_eq!(sibling.send(managing(Method::GET, &answer)).await.json(), answer);
    assert_eq!(sibling.send(managing(Method::DELETE, &answer)).await.status, 204);
    assert_eq!(house.send(managing(Method::GET, &answer)).await.status, 401);
}
