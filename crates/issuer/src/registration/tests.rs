//! Registering, and managing what was registered.

use super::{manage, register};
use crate::clients::find;
use crate::clients::trial::{BEGIN, Trial, head, request};
use crate::error::OAuthError;
use crate::reply::Response;
use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tollgate_core::stores::{GrantType, Revocable};
use tollgate_oauth::secret;

const PEER: &str = "192.0.2.1";

async fn read(answer: Result<Response, OAuthError>) -> (StatusCode, Value) {
    let response = answer.unwrap_or_else(|error| error.response());
    let status = response.status();
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

async fn registered(trial: &Trial, peer: &str, metadata: &Value) -> (StatusCode, Value) {
    let head = head("/oauth/register", &[("content-type", "application/json")]);
    read(register(&trial.desk, &request(head, &metadata.to_string(), peer)).await).await
}

fn least() -> Value {
    json!({ "redirect_uris": ["http://127.0.0.1/cb"], "token_endpoint_auth_method": "none" })
}

async fn managed(
    trial: &Trial,
    method: Method,
    (id, token): (&str, &str),
    body: &Value,
) -> (StatusCode, Value) {
    let authorization = format!("Bearer {token}");
    let headers = [("content-type", "application/json"), ("authorization", &*authorization)];
    let mut head = head(&format!("/oauth/register/{id}"), &headers);
    head.method = method;
    read(manage(&trial.desk, &request(head, &body.to_string(), PEER)).await).await
}

fn text<'a>(answer: &'a Value, name: &str) -> &'a str {
    answer[name].as_str().expect(name)
}

#[tokio::test]
async fn the_answer_holds_everything_registered_and_the_secrets_once() {
    let trial = Trial::new(|_| {});
    let metadata = json!({
        "client_name": "App", "client_uri": "https://app.example",
        "redirect_uris": ["http://127.0.0.1/cb"],
        "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
        "scope": "admin read tool:github__get_issue tool:* tool: offline_access",
    });
    let (status, answer) = registered(&trial, PEER, &metadata).await;
    assert_eq!(status, StatusCode::CREATED);
    let id = text(&answer, "client_id");
    let (token, key) = (text(&answer, "registration_access_token"), text(&answer, "client_secret"));
    assert!(id.starts_with("reg_") && token.starts_with("tgt_") && key.starts_with("tgs_"));
    let expected = json!({
        "client_uri": "https://app.example",
        "scope": "read tool:github__get_issue",
        "client_id": id,
        "client_id_issued_at": BEGIN,
        "client_secret": key,
        "client_secret_expires_at": 0,
        "registration_access_token": token,
        "registration_client_uri": format!("https://gw.example/oauth/register/{id}"),
        "client_name": "App",
        "redirect_uris": ["http://127.0.0.1/cb"],
        "token_endpoint_auth_method": "client_secret_basic",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
    });
    assert_eq!(answer, expected);

    let stored = trial.desk.stores.agents.find(id).await.expect("a store").expect("an agent");
    assert_eq!(stored.secrets[0].digest, secret::digest(key));
    let kept = format!("{stored:?}");
    assert!(!kept.contains(key) && !kept.contains(token), "{kept}");
}

#[tokio::test]
async fn a_public_agent_gets_no_secret_and_no_rights_of_its_own() {
    let trial = Trial::new(|_| {});
    let (status, answer) = registered(&trial, PEER, &least()).await;
    assert_eq!(status, StatusCode::CREATED);
    assert!(answer.get("client_secret").is_none() && answer.get("scope").is_none());
    assert!(answer.get("client_secret_expires_at").is_none());
    let client = find(&trial.desk, text(&answer, "client_id")).await.expect("a client");
    assert!(client.is_public() && !client.is_vouched());
    assert!(client.may(GrantType::AuthorizationCode) && !client.may(GrantType::RefreshToken));
    assert!(!client.may(GrantType::ClientCredentials) && !client.may(GrantType::JwtBearer));
    for scope in ["admin", "tool:x", "read"] {
        assert!(!client.allows_scope(scope, GrantType::ClientCredentials));
    }
}

#[tokio::test]
async fn what_is_not_taken_is_told_by_its_code() {
    let trial = Trial::new(|settings| settings.hosts = vec![String::from("app.example")]);
    for (more, code) in [
        (json!({ "redirect_uris": ["http://evil.example/"] }), "invalid_redirect_uri"),
        (json!({ "redirect_uris": ["https://evil.example/"] }), "invalid_redirect_uri"),
        (json!({ "redirect_uris": ["com.example.app:/cb"] }), "invalid_redirect_uri"),
        (json!({ "redirect_uris": [] }), "invalid_redirect_uri"),
        (json!({ "logo_uri": "javascript:alert(1)" }), "invalid_client_metadata"),
        (json!({ "grant_types": ["client_credentials"] }), "invalid_client_metadata"),
    ] {
        let mut metadata = least();
        if let (Some(all), Some(more)) = (metadata.as_object_mut(), more.as_object()) {
            all.extend(more.clone());
        }
        let (status, answer) = registered(&trial, PEER, &metadata).await;
        assert_eq!((status, text(&answer, "error")), (StatusCode::BAD_REQUEST, code), "{more}");
    }
    let wrong_type = head("/oauth/register", &[("content-type", "text/plain")]);
    let answer = register(&trial.desk, &request(wrong_type, &least().to_string(), PEER)).await;
    assert_eq!(read(answer).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(trial.desk.stores.agents.list("", 10).await.expect("a store"), []);
}

#[tokio::test]
async fn one_address_and_all_together_can_register_only_so_many() {
    let trial = Trial::new(|_| {});
    let mut answers = Vec::new();
    for peer in [
        "192.0.2.1",
        "::ffff:192.0.2.1",
        "192.0.2.1",
        "192.0.2.1",
        "2001:db8::1",
        "2001:db8::2:1",
        "2001:db8:1::1",
    ] {
        let (status, answer) = registered(&trial, peer, &least()).await;
        answers.push(status.as_u16());
        if status != StatusCode::CREATED {
            assert_eq!(text(&answer, "error"), "temporarily_unavailable");
        }
    }
    assert_eq!(answers, [201, 201, 201, 429, 201, 201, 429]);
    let head = head("/oauth/register", &[("content-type", "application/json")]);
    let full = register(&trial.desk, &request(head, &least().to_string(), "198.51.100.1")).await;
    let response = full.expect_err("full").response();
    assert!(response.headers().contains_key("retry-after"));
}

#[tokio::test]
async fn one_ipv6_network_is_one_address() {
    let trial = Trial::new(|_| {});
    let mut answers = Vec::new();
    for peer in ["2001:db8::1", "2001:db8::2", "2001:db8::ffff:3", "2001:db8::4", "2001:db8:0:1::"]
    {
        answers.push(registered(&trial, peer, &least()).await.0.as_u16());
    }
    assert_eq!(answers, [201, 201, 201, 429, 201]);
}

#[tokio::test]
async fn what_nobody_used_ends_and_makes_room() {
    let trial = Trial::new(|_| {});
    let mut ids = Vec::new();
    for _ in 0..3 {
        let (_, answer) = registered(&trial, PEER, &least()).await;
        ids.push(String::from(text(&answer, "client_id")));
    }
    assert_eq!(registered(&trial, PEER, &least()).await.0, StatusCode::TOO_MANY_REQUESTS);
    trial.pass(3_601);
    assert!(find(&trial.desk, &ids[0]).await.is_err());
    assert_eq!(registered(&trial, PEER, &least()).await.0, StatusCode::CREATED);
}

#[tokio::test]
async fn who_has_the_token_reads_replaces_and_removes_the_registration() {
    let trial = Trial::new(|_| {});
    let (_, answer) = registered(&trial, PEER, &least()).await;
    let id = text(&answer, "client_id");
    let who = (id, text(&answer, "registration_access_token"));

    let (status, shown) = managed(&trial, Method::GET, who, &json!({})).await;
    assert_eq!((status, &shown), (StatusCode::OK, &answer));

    let update = json!({
        "client_id": id, "client_name": "New", "redirect_uris": ["https://app.example/cb"],
        "token_endpoint_auth_method": "client_secret_post",
    });
    let (status, shown) = managed(&trial, Method::PUT, who, &update).await;
    assert_eq!(status, StatusCode::OK);
    let key = text(&shown, "client_secret");
    assert_eq!(shown["redirect_uris"], json!(["https://app.example/cb"]));
    let client = find(&trial.desk, id).await.expect("a client");
    assert!(!client.redirect_ok("http://127.0.0.1/cb") && client.name() == "New");

    // The secret it has may be named, and is not shown again; nor is another one taken.
    let mut again = update.clone();
    again["client_secret"] = key.into();
    let (status, shown) = managed(&trial, Method::PUT, who, &again).await;
    assert!(status == StatusCode::OK && shown.get("client_secret").is_none());
    again["client_secret"] = "chosen".into();
    assert_eq!(managed(&trial, Method::PUT, who, &again).await.0, StatusCode::BAD_REQUEST);
    again["client_secret"] = key.into();
    again["client_id"] = "reg_other".into();
    assert_eq!(managed(&trial, Method::PUT, who, &again).await.0, StatusCode::BAD_REQUEST);

    let (status, _) = managed(&trial, Method::DELETE, who, &json!({})).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert!(find(&trial.desk, id).await.is_err());
    let (status, _) = managed(&trial, Method::GET, who, &json!({})).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let revoked = trial.desk.stores.revocations.all(BEGIN).await.expect("a store");
    assert_eq!(revoked[0].what, Revocable::Agent(String::from(id)));
    assert!(revoked[0].before >= BEGIN && revoked[0].until >= BEGIN + 3_600);
}

#[tokio::test]
async fn without_its_token_nothing_is_learnt_of_a_registration() {
    let trial = Trial::new(|_| {});
    trial.add(crate::clients::trial::agent("ci", tollgate_core::stores::AuthMethod::None)).await;
    let (_, one) = registered(&trial, PEER, &least()).await;
    let (_, other) = registered(&trial, PEER, &least()).await;
    let (id, token) = (text(&one, "client_id"), text(&one, "registration_access_token"));
    let strange = text(&other, "registration_access_token");
    let mut answers = Vec::new();
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        for who in [
            (id, strange),
            (id, ""),
            (id, "tgt_"),
            ("reg_ghost", token),
            ("ci", token),
            ("", token),
            ("../register", token),
            (&id[..id.len() - 1], token),
        ] {
            answers.push(managed(&trial, method.clone(), who, &least()).await);
        }
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(answers[0].0, StatusCode::UNAUTHORIZED);
    assert!(find(&trial.desk, id).await.is_ok());

    let bearer = format!("Bearer {token}");
    let basic = format!("Basic {token}");
    let path = format!("/oauth/register/{id}");
    for headers in [
        vec![],
        vec![("authorization", &*basic)],
        vec![("authorization", &*bearer), ("authorization", &*bearer)],
        vec![("authorization", token)],
    ] {
        let mut head = head(&path, &headers);
        head.method = Method::GET;
        let response = manage(&trial.desk, &request(head, "", PEER)).await.expect("an answer");
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        let challenge = response.headers().get("www-authenticate").expect("a challenge");
        assert_eq!(challenge, "Bearer error=\"invalid_token\"");
    }
}

#[tokio::test]
async fn an_agent_that_was_cut_off_cannot_manage_itself() {
    let trial = Trial::new(|_| {});
    let (_, answer) = registered(&trial, PEER, &least()).await;
    let id = text(&answer, "client_id");
    let old = trial.desk.stores.agents.find(id).await.expect("a store").expect("an agent");
    let mut cut = old.clone();
    cut.revoked = Some(BEGIN);
    assert!(trial.desk.stores.agents.replace(old, cut).await.expect("a store"));
    let who = (id, text(&answer, "registration_access_token"));
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        assert_eq!(managed(&trial, method, who, &least()).await.0, StatusCode::UNAUTHORIZED);
    }
}
