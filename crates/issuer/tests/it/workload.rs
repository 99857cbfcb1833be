//! Tokens of workloads: only of issuers and subjects the operator wrote, for us, in time, once.

#![expect(clippy::expect_used, reason = "in a test, what is missing is a failure")]

use crate::house::{BEGIN, House, ISSUER, RESOURCE, Reply, machine, refusal, settings};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tollgate_core::stores::{AgentRecord, GrantType};
use tollgate_issuer::settings::WorkloadIssuer;
use tollgate_oauth::keys::{Alg, KeySet, SigningKey};

const SUBJECT: &str = "system:serviceaccount:prod:bot";

/// An issuer of workload tokens: serves its metadata and keys, and counts who asks.
struct Cluster {
    url: String,
    key: SigningKey,
    asked: Arc<AtomicUsize>,
    is_down: Arc<AtomicBool>,
}

impl Cluster {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let key = SigningKey::generate(Alg::Es256).expect("a key");
        let keys = KeySet::from_signing(&[&key]).to_json().to_string();
        let metadata = json!({ "issuer": url, "jwks_uri": format!("{url}/keys") }).to_string();
        let (asked, is_down) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (counter, down) = (Arc::clone(&asked), Arc::clone(&is_down));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => break,
                    }
                }
                counter.fetch_add(1, Ordering::SeqCst);
                let head = String::from_utf8_lossy(&head).into_owned();
                let (status, body) = match head.split(' ').nth(1) {
                    _ if down.load(Ordering::SeqCst) => ("500 Down", "{}"),
                    Some("/keys") => ("200 OK", keys.as_str()),
                    Some("/.well-known/openid-configuration") => ("200 OK", metadata.as_str()),
                    _ => ("404 Not Found", "{}"),
                };
                let reply = format!(
                    "HTTP/1.1 {status}\r\nContent-Type: application/json\r\n\
                     Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
                // The other side may have gone away, which is its own test's matter.
                let _written = stream.write_all(reply.as_bytes()).await;
            }
        });
        Self { url, key, asked, is_down }
    }

    fn issuer(&self) -> WorkloadIssuer {
        WorkloadIssuer {
            url: self.url.clone(),
            keys: None,
            algorithms: vec![Alg::Es256],
            subjects: vec![(SUBJECT.to_owned(), "bot".to_owned())],
            ca: None,
        }
    }

    fn claims(&self) -> Value {
        json!({
            "iss": self.url,
            "sub": SUBJECT,
            "aud": [ISSUER],
            "iat": BEGIN,
            "nbf": BEGIN,
            "exp": BEGIN + 600,
        })
    }

    fn token(&self) -> String {
        self.signed(&self.claims())
    }

    /// A token with another value for one claim, or without it.
    fn with(&self, name: &str, value: Value) -> String {
        let mut claims = self.claims();
        match value {
            Value::Null => {
                claims.as_object_mut().expect("an object").remove(name);
            }
            value => claims[name] = value,
        }
        self.signed(&claims)
    }

    fn signed(&self, claims: &Value) -> String {
        self.key.sign("JWT", claims).expect("a signature")
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn house(cluster: &Cluster) -> House {
    house_with(cluster.issuer()).await
}

async fn house_with(issuer: WorkloadIssuer) -> House {
    let mut settings = settings();
    settings.workloads = vec![issuer];
    let house = House::with(settings).await;
    house.add(AgentRecord { grants: vec![GrantType::JwtBearer], ..machine("bot") }).await;
    house
}

async fn exchange(house: &House, assertion: &str, more: &[(&str, &str)]) -> Reply {
    let mut form = vec![
        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("assertion", assertion),
        ("resource", RESOURCE),
    ];
    form.extend(more);
    house.token(&form).await
}

#[tokio::test]
async fn a_workload_becomes_the_agent_the_operator_wrote() {
    let cluster = Cluster::new().await;
    let house = house(&cluster).await;
    let reply = exchange(&house, &cluster.token(), &[("scope", "tool:github__get_issue")]).await;
    let claims = house.read(&reply.text("access_token")).expect("a token");
    assert_eq!((claims.subject.as_str(), claims.client.as_str()), ("bot", "bot"));
    assert_eq!(
        (claims.scopes.join(" "), claims.issuer),
        ("tool:github__get_issue".into(), ISSUER.into())
    );
    assert_eq!(reply.json().get("refresh_token"), None);
}

#[tokio::test]
async fn claims_that_are_not_exactly_right_are_refused() {
    let cluster = Cluster::new().await;
    let house = house(&cluster).await;
    let wrong = [
        ("iss", json!("https://other.example")),
        ("iss", json!(format!("{}/", cluster.url))),
        ("iss", Value::Null),
        ("sub", json!("system:serviceaccount:prod:bot2")),
        ("sub", json!("bot")),
        ("sub", Value::Null),
        ("aud", json!("https://gate.example/oauth/token")),
        ("aud", json!([ISSUER, "https://other.example"])),
        ("aud", json!("https://gate.example/")),
        ("aud", Value::Null),
        ("exp", json!(BEGIN - 31)),
        ("exp", json!((BEGIN + 600).to_string())),
        ("exp", json!(BEGIN + 2 * 86_400)),
        ("exp", Value::Null),
        ("nbf", json!(BEGIN + 31)),
        ("iat", json!(BEGIN + 31)),
        ("jti", json!(7)),
    ];
    for (name, value) in wrong {
        let reply = exchange(&house, &cluster.with(name, value.clone()), &[]).await;
        assert_eq!(reply.refusal(), refusal(400, "invalid_grant"), "{name}: {value}");
    }
    assert_eq!(exchange(&house, &cluster.token(), &[]).await.status, 200);
}

#[tokio::test]
async fn a_token_signed_by_somebody_else_is_refused() {
    let cluster = Cluster::new().await;
    let house = house(&cluster).await;
    let stranger = SigningKey::generate(Alg::Es256).expect("a key");
    let forged = stranger.sign("JWT", &cluster.claims()).expect("a signature");
    let other = SigningKey::generate(Alg::EdDsa).expect("a key");
    let forged_otherwise = other.sign("JWT", &cluster.claims()).expect("a signature");
    let unsigned = "eyJhbGciOiJub25lIn0.e30.";
    for forged in [forged.as_str(), &forged_otherwise, unsigned, "x", "a.b.c"] {
        let reply = exchange(&house, forged, &[]).await;
        assert_eq!(reply.refusal(), refusal(400, "invalid_grant"));
    }
}

#[tokio::test]
async fn an_access_token_is_no_assertion_whoever_signed_it() {
    let cluster = Cluster::new().await;
    let house = house(&cluster).await;
    let token = cluster.key.sign("at+jwt", &cluster.claims()).expect("a signature");
    assert_eq!(exchange(&house, &token, &[]).await.refusal(), refusal(400, "invalid_grant"));
}

#[tokio::test]
async fn an_assertion_is_good_until_it_ends_whatever_its_id() {
    let cluster = Cluster::new().await;
    let house = house(&cluster).await;
    let token = cluster.with("jti", json!("one"));
    assert_eq!(exchange(&house, &token, &[]).await.status, 200);
    assert_eq!(exchange(&house, &token, &[]).await.status, 200);
    let elsewhere = house.sibling().await;
    assert_eq!(exchange(&elsewhere, &token, &[]).await.status, 200);
}

#[tokio::test]
async fn an_agent_that_is_gone_revoked_or_without_the_grant_gets_nothing() {
    let cluster = Cluster::new().await;
    let house = house(&cluster).await;
    let agents = &house.stores.agents;
    let good = agents.find("bot").await.expect("a store").expect("an agent");
    let revoked = AgentRecord { revoked: Some(BEGIN), ..good.clone() };
    let ended = AgentRecord { expires: Some(BEGIN), ..good.clone() };
    let other = AgentRecord { grants: vec![GrantType::ClientCredentials], ..good.clone() };
    let mut now = good;
    for (agent, code) in
        [(revoked, "invalid_grant"), (ended, "invalid_grant"), (other, "unauthorized_client")]
    {
        assert!(agents.replace(now, agent.clone()).await.expect("a store"));
        let reply = exchange(&house, &cluster.token(), &[]).await;
        assert_eq!(reply.refusal(), refusal(400, code));
        now = agent;
    }
    assert!(agents.remove("bot").await.expect("a store"));
    let reply = exchange(&house, &cluster.token(), &[]).await;
    assert_eq!(reply.refusal(), refusal(400, "invalid_grant"));
}

#[tokio::test]
async fn who_names_a_client_must_name_the_one_the_assertion_stands_for() {
    let cluster = Cluster::new().await;
    let house = house(&cluster).await;
    house.add(machine("other")).await;
    let token = cluster.token();
    let other = exchange(&house, &token, &[("client_id", "other")]).await;
    assert_eq!(other.refusal(), refusal(400, "invalid_grant"));
    let same = exchange(&house, &token, &[("client_id", "bot")]).await;
    assert_eq!(same.status, 200);
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("assertion", token.as_str()),
        ("resource", RESOURCE),
    ];
    let proven = house.post_as("bot", "/oauth/token", &form).await;
    assert_eq!(proven.status, 200);
    let proven = house.post_as("other", "/oauth/token", &form).await;
    assert_eq!(proven.refusal(), refusal(400, "invalid_grant"));
    let mut wrong = form.to_vec();
    wrong.extend([("client_id", "bot"), ("client_secret", "wrong")]);
    assert_eq!(house.token(&wrong).await.refusal(), refusal(401, "invalid_client"));
}

#[tokio::test]
async fn scopes_and_resources_are_judged_as_for_any_machine() {
    let cluster = Cluster::new().await;
    let house = house(&cluster).await;
    let reply = exchange(&house, &cluster.token(), &[("scope", "write")]).await;
    assert_eq!(reply.refusal(), refusal(400, "invalid_scope"));
    let reply = exchange(&house, &cluster.token(), &[("resource", RESOURCE)]).await;
    assert_eq!(reply.refusal(), refusal(400, "invalid_target"));
}

#[tokio::test]
async fn a_thousand_unknown_keys_fetch_no_more_than_one() {
    let cluster = Cluster::new().await;
    let house = house(&cluster).await;
    assert_eq!(exchange(&house, &cluster.token(), &[]).await.status, 200);
    let asked = cluster.asked();
    for _ in 0..1_000 {
        let stranger = SigningKey::generate(Alg::EdDsa).expect("a key");
        let forged = stranger.sign("JWT", &cluster.claims()).expect("a signature");
        assert_eq!(exchange(&house, &forged, &[]).await.status, 400);
    }
    assert_eq!(cluster.asked(), asked, "within the cooldown nothing is fetched");
    assert_eq!(exchange(&house, &cluster.token(), &[]).await.status, 200);
}

#[tokio::test]
async fn keys_are_fetched_by_one_while_others_wait() {
    let cluster = Cluster::new().await;
    let house = Arc::new(house(&cluster).await);
    let mut many = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let (house, token) = (Arc::clone(&house), cluster.token());
        many.spawn(async move { exchange(&house, &token, &[]).await.status });
    }
    assert!(many.join_all().await.iter().all(|status| *status == 200));
    assert_eq!(cluster.asked(), 2, "metadata and keys, once each");
}

#[tokio::test]
async fn known_keys_are_used_while_the_issuer_is_down_but_not_for_ever() {
    let cluster = Cluster::new().await;
    let house = house(&cluster).await;
    assert_eq!(exchange(&house, &cluster.token(), &[]).await.status, 200);
    cluster.is_down.store(true, Ordering::SeqCst);
    let token = |at: u64| cluster.with("exp", json!(at + 600));
    house.pass(3_600);
    assert_eq!(exchange(&house, &token(house.now()), &[]).await.status, 200);
    house.pass(86_400);
    let reply = exchange(&house, &token(house.now()), &[]).await;
    assert_eq!(reply.refusal(), refusal(503, "temporarily_unavailable"));
}

#[tokio::test]
async fn an_issuer_that_is_down_from_the_start_is_503_and_asked_again_after_the_cooldown() {
    let cluster = Cluster::new().await;
    cluster.is_down.store(true, Ordering::SeqCst);
    let house = house(&cluster).await;
    for _ in 0..5 {
        let reply = exchange(&house, &cluster.token(), &[]).await;
        assert_eq!(reply.refusal(), refusal(503, "temporarily_unavailable"));
    }
    assert_eq!(cluster.asked(), 1);
    cluster.is_down.store(false, Ordering::SeqCst);
    house.pass(30);
    assert_eq!(exchange(&house, &cluster.token(), &[]).await.status, 200);
}

#[tokio::test]
async fn metadata_of_another_issuer_is_not_believed() {
    let cluster = Cluster::new().await;
    let mut issuer = cluster.issuer();
    // The same server under another name: it says it is somebody else.
    issuer.url = cluster.url.replace("127.0.0.1", "localhost");
    let house = house_with(issuer.clone()).await;
    let token = cluster.with("iss", json!(issuer.url));
    let reply = exchange(&house, &token, &[]).await;
    assert_eq!(reply.refusal(), refusal(503, "temporarily_unavailable"));
}

#[tokio::test]
async fn keys_may_be_where_the_operator_says_without_metadata() {
    let cluster = Cluster::new().await;
    let mut issuer = cluster.issuer();
    issuer.keys = format!("{}/keys", cluster.url).parse().ok();
    let house = house_with(issuer).await;
    assert_eq!(exchange(&house, &cluster.token(), &[]).await.status, 200);
    assert_eq!(cluster.asked(), 1);
}
