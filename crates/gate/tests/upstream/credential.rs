//! Tokens of the gate's own: who is asked for them, how often, and what upstreams get to see.

use crate::stage::{PATIENT, Scene};
use crate::stage::{Stage, build, call, closed_port, ok, post, send, settings, text, until};
use base64::Engine as _;
use http::StatusCode;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tollgate_core::ids::Secret;
use tollgate_core::principal::{Credential, Names, Principal, Proof};
use tollgate_gate::settings::{
    AssertionKey, AssertionSettings, CredentialSettings, ExchangeSettings, Isolation,
    ProcessLimits, StdioSettings, TokenEndpoint, TokenRequest, TokenServer, Transport,
    UpstreamSettings,
};
use tollgate_gate::upstream::{
    Cause, CredentialFault, Endpoint, OnBehalf, SendError, SseLines, UpstreamError, Upstreams,
    duplex::Carrier as _,
};
use tollgate_identity::settings::{ClientCredential, ClientProof};
use tollgate_oauth::jwt::{Claims, Jwt};
use tollgate_oauth::keys::{Alg, KeySet, SigningKey};

/// A JSON answer of a token server.
fn json(status: u16, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// A token server whose tokens are `t1`, `t2` and so on, and last so long.
async fn tokens(secs: u64) -> Stage {
    let count = Arc::new(AtomicUsize::new(0));
    Stage::play(move |mut scene: Scene| {
        let count = count.clone();
        async move {
            while scene.request().await.is_some() {
                let number = count.fetch_add(1, Ordering::SeqCst) + 1;
                let body = format!(
                    r#"{{"access_token":"t{number}","token_type":"Bearer","expires_in":{secs}}}"#
                );
                scene.write(json(200, &body).as_bytes()).await;
            }
        }
    })
    .await
}

fn client(proof: ClientProof) -> ClientCredential {
    ClientCredential { id: String::from("gate 1"), proof }
}

fn basic() -> ClientCredential {
    client(ClientProof::SecretBasic(Secret::new(String::from("se:cret"))))
}

fn request(address: SocketAddr) -> TokenRequest {
    let url = format!("http://{address}/token").parse().unwrap();
    TokenRequest {
        server: TokenServer { at: TokenEndpoint::Url(url), ca: None },
        client: basic(),
        scopes: vec![],
        resources: vec![],
        audience: None,
    }
}

fn own(stage: &Stage, request: TokenRequest) -> UpstreamSettings {
    let mut settings = settings(&[stage.url()]);
    settings.credential = CredentialSettings::ClientCredentials(Box::new(request));
    settings
}

fn pem(key: &SigningKey) -> Secret<String> {
    let body = base64::engine::general_purpose::STANDARD.encode(key.pkcs8());
    Secret::new(format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n"))
}

fn exchange(stage: &Stage, request: TokenRequest, key: &SigningKey) -> UpstreamSettings {
    let mut settings = settings(&[stage.url()]);
    let assertion = AssertionSettings {
        issuer: String::from("https://gate.example"),
        audience: None,
        of_issuers: vec![String::from("https://idp.example")],
        key: AssertionKey {
            pem: pem(key),
            algorithm: Alg::Es256,
            kid: Some(String::from("gate-key")),
        },
    };
    let exchange = ExchangeSettings { request, assertion };
    settings.credential = CredentialSettings::Exchange(Box::new(exchange));
    settings
}

fn es256() -> SigningKey {
    SigningKey::generate(Alg::Es256).unwrap()
}

/// The only endpoint.
fn endpoint(settings: UpstreamSettings) -> Arc<Endpoint> {
    build(settings).pick().unwrap()
}

fn principal(issuer: &str, subject: &str, client: &str) -> Principal {
    let mut digest = [0; 16];
    let names = [issuer, subject, client].join("\n");
    for (at, byte) in names.bytes().enumerate() {
        digest[at % 16] ^= byte.wrapping_mul(31).wrapping_add(u8::try_from(at % 251).unwrap());
    }
    let names = Names {
        issuer: issuer.into(),
        subject: subject.into(),
        client: client.into(),
        caller_digest: digest,
        agent_digest: digest,
    };
    let mut proof = Proof::new(names, Credential::Jwt, 1);
    proof.user = (subject != client).then(|| subject.into());
    Principal::Proven(Arc::new(proof))
}

fn of_idp(subject: &str) -> Principal {
    principal("https://idp.example", subject, "agent")
}

/// Calls on behalf of a principal.
async fn call_for(endpoint: &Arc<Endpoint>, principal: &Principal) -> Result<String, SendError> {
    let caller = match principal {
        Principal::Proven(proof) => proof.caller(),
        Principal::Anonymous => {
            tollgate_core::principal::CallerKey::of_address([127, 0, 0, 1].into())
        }
    };
    let mut outgoing = post("{}");
    outgoing.on_behalf_of = Some(OnBehalf::principal(caller, principal));
    text(endpoint.send(outgoing, PATIENT).await?).await
}

/// The tokens an upstream was shown, in order.
fn shown(stage: &Stage) -> Vec<String> {
    let of = |request: &String| {
        let lines = request.lines().filter(|line| line.starts_with("authorization: "));
        let lines: Vec<_> = lines.map(|line| line["authorization: ".len()..].to_owned()).collect();
        assert!(lines.len() < 2, "two credentials: {request}");
        lines.into_iter().next().unwrap_or_default()
    };
    stage.requests().iter().map(of).collect()
}

/// The form of a request to a token server.
fn form(request: &str) -> Vec<(String, String)> {
    let body = request.split_once("\r\n\r\n").unwrap().1;
    url::form_urlencoded::parse(body.as_bytes()).into_owned().collect()
}

fn field<'a>(form: &'a [(String, String)], name: &str) -> &'a str {
    let mut found = form.iter().filter(|(known, _)| known == name);
    let value = found.next().map_or("", |(_, value)| value.as_str());
    assert!(found.next().is_none(), "`{name}` is there twice");
    value
}

fn fault(error: SendError) -> CredentialFault {
    match error {
        SendError::NotSent(Cause::Credential(fault)) => fault,
        other => panic!("no fault of the credential: {other}"),
    }
}

#[tokio::test]
async fn one_token_serves_all_calls_and_is_asked_for_once() {
    let (upstream, server) = (Stage::answering(ok("{}")).await, tokens(3600).await);
    let mut request = request(server.address);
    request.scopes = vec![String::from("a"), String::from("b:c")];
    request.resources = vec![String::from("https://up.example"), String::from("urn:x")];
    request.audience = Some(String::from("up"));
    let endpoint = endpoint(own(&upstream, request));
    let first = (0..50).map(|_| call(&endpoint, "{}"));
    for answer in futures_util::future::join_all(first).await {
        assert_eq!(answer.unwrap(), "{}");
    }
    for _ in 0..50 {
        call(&endpoint, "{}").await.unwrap();
    }
    assert_eq!(shown(&upstream), vec!["Bearer t1"; 100]);
    let asked = server.requests();
    assert_eq!(asked.len(), 1);
    assert!(asked[0].starts_with("POST /token HTTP/1.1\r\n"), "{}", asked[0]);
    // SPEC: RFC 6749 section 2.3.1: encoded as in a form, then joined.
    let basic = base64::engine::general_purpose::STANDARD.encode("gate+1:se%3Acret");
    assert!(asked[0].contains(&format!("\r\nauthorization: Basic {basic}\r\n")), "{}", asked[0]);
    let form = form(&asked[0]);
    let expected = [
        ("grant_type", "client_credentials"),
        ("scope", "a b:c"),
        ("resource", "https://up.example"),
        ("resource", "urn:x"),
        ("audience", "up"),
    ];
    assert_eq!(form, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[tokio::test]
async fn a_secret_may_be_posted_and_then_no_header_carries_it() {
    let (upstream, server) = (Stage::answering(ok("{}")).await, tokens(3600).await);
    let mut request = request(server.address);
    request.client = client(ClientProof::SecretPost(Secret::new(String::from("s&1"))));
    call(&endpoint(own(&upstream, request)), "{}").await.unwrap();
    let asked = &server.requests()[0];
    assert!(!asked.contains("authorization"), "{asked}");
    let form = form(asked);
    assert_eq!((field(&form, "client_id"), field(&form, "client_secret")), ("gate 1", "s&1"));
}

#[tokio::test]
async fn a_private_key_proves_the_gate_anew_each_time() {
    let (upstream, server) = (Stage::answering(ok("{}")).await, tokens(0).await);
    let key = es256();
    let mut request = request(server.address);
    request.client = client(ClientProof::PrivateKey {
        pem: pem(&key),
        algorithm: Alg::Es256,
        kid: Some(String::from("k1")),
    });
    let endpoint = endpoint(own(&upstream, request));
    call(&endpoint, "{}").await.unwrap();
    call(&endpoint, "{}").await.unwrap();
    let asked = server.requests();
    assert_eq!(asked.len(), 2, "a token without a life is used once");
    let mut seen = BTreeSet::new();
    for request in &asked {
        let form = form(request);
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        assert_eq!(field(&form, "client_assertion_type"), kind);
        assert_eq!(field(&form, "client_id"), "gate 1");
        assert_eq!(field(&form, "client_secret"), "");
        let jwt = Jwt::read(field(&form, "client_assertion")).unwrap();
        let public = SigningKey::from_pkcs8("k1", Alg::Es256, key.pkcs8()).unwrap();
        jwt.verify(&KeySet::from_signing(&[&public]), &[Alg::Es256]).unwrap();
        let claims = jwt.claims();
        let text = |name| claims.text(name).unwrap().unwrap_or_default().to_owned();
        assert_eq!((text("iss"), text("sub")), (String::from("gate 1"), String::from("gate 1")));
        assert_eq!(text("aud"), format!("http://{}/token", server.address));
        let times = ["iat", "exp"].map(|name| claims.time(name).unwrap().unwrap());
        assert_eq!(times[1] - times[0], 60);
        seen.insert(text("jti"));
    }
    assert_eq!(seen.len(), 2);
}

#[tokio::test]
async fn the_endpoint_is_where_the_issuer_says_and_only_that_issuer_may_say() {
    for (named, is_taken) in [("", true), ("/", false), ("x", false)] {
        let upstream = Stage::answering(ok("{}")).await;
        let server = Stage::play(move |mut scene: Scene| async move {
            let host = scene.stream.local_addr().unwrap();
            while let Some(request) = scene.request().await {
                let path = request.split(' ').nth(1).unwrap().to_owned();
                let answer = match path.as_str() {
                    "/t/.well-known/openid-configuration" => json(
                        200,
                        &format!(
                            r#"{{"issuer":"http://{host}/t{named}","token_endpoint":"http://{host}/t/token"}}"#
                        ),
                    ),
                    "/t/token" => json(200, r#"{"access_token":"t","token_type":"bearer"}"#),
                    _ => json(404, "{}"),
                };
                scene.write(answer.as_bytes()).await;
            }
        })
        .await;
        let mut request = request(server.address);
        request.server.at = TokenEndpoint::Issuer(format!("http://{}/t", server.address));
        let endpoint = endpoint(own(&upstream, request));
        let answer = call(&endpoint, "{}").await;
        let paths: Vec<_> = server
            .requests()
            .iter()
            .map(|request| request.split(' ').nth(1).unwrap().to_owned())
            .collect();
        let mut looked = vec![
            "/.well-known/oauth-authorization-server/t",
            "/.well-known/openid-configuration/t",
            "/t/.well-known/openid-configuration",
        ];
        if is_taken {
            looked.push("/t/token");
            assert_eq!(answer.unwrap(), "{}");
            assert_eq!(shown(&upstream), ["Bearer t"]);
        } else {
            assert!(matches!(fault(answer.unwrap_err()), CredentialFault::Unusable(_)));
            assert_eq!(upstream.accepts(), 0);
        }
        assert_eq!(paths, looked);
    }
}

#[tokio::test]
async fn a_token_is_renewed_ahead_of_its_end_while_calls_go_on_with_the_old_one() {
    let upstream = Stage::answering(ok("{}")).await;
    let count = Arc::new(AtomicUsize::new(0));
    // The second token takes long to come: nobody must wait for it.
    let server = Stage::play(move |mut scene: Scene| {
        let count = count.clone();
        async move {
            while scene.request().await.is_some() {
                let number = count.fetch_add(1, Ordering::SeqCst) + 1;
                if number == 2 {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                }
                let secs = if number == 1 { 5 } else { 3600 };
                let body = format!(
                    r#"{{"access_token":"t{number}","token_type":"Bearer","expires_in":{secs}}}"#
                );
                scene.write(json(200, &body).as_bytes()).await;
            }
        }
    })
    .await;
    let endpoint = endpoint(own(&upstream, request(server.address)));
    call(&endpoint, "{}").await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut slowest = Duration::ZERO;
    while shown(&upstream).last().unwrap() != "Bearer t2" {
        assert!(Instant::now() < deadline, "never renewed");
        let begun = Instant::now();
        call(&endpoint, "{}").await.unwrap();
        slowest = slowest.max(begun.elapsed());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(slowest < Duration::from_millis(250), "a call waited for {slowest:?}");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn a_token_the_upstream_refuses_is_dropped_and_the_call_is_not_repeated() {
    let server = tokens(3600).await;
    let upstream = Stage::play(|mut scene: Scene| async move {
        while let Some(request) = scene.request().await {
            let is_old = request.contains("authorization: Bearer t1\r\n");
            let refusal =
                "HTTP/1.1 401 No\r\nwww-authenticate: Bearer\r\ncontent-length: 0\r\n\r\n";
            let answer = if is_old { refusal.to_owned() } else { ok("{}") };
            scene.write(answer.as_bytes()).await;
        }
    })
    .await;
    let endpoint = endpoint(own(&upstream, request(server.address)));
    assert_eq!(send(&endpoint, "{}").await.unwrap().status, StatusCode::UNAUTHORIZED);
    assert_eq!(upstream.requests().len(), 1);
    assert_eq!(send(&endpoint, "{}").await.unwrap().status, StatusCode::OK);
    assert_eq!(shown(&upstream), ["Bearer t1", "Bearer t2"]);
}

#[tokio::test]
async fn an_upstream_that_refuses_every_token_does_not_have_the_server_asked_each_time() {
    let server = tokens(3600).await;
    let upstream = Stage::answering("HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n").await;
    let endpoint = endpoint(own(&upstream, request(server.address)));
    for _ in 0..50 {
        assert_eq!(send(&endpoint, "{}").await.unwrap().status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(upstream.requests().len(), 50);
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn without_a_token_nothing_is_sent_and_the_server_is_left_in_peace() {
    let big = format!(r#"{{"access_token":"{}","token_type":"Bearer"}}"#, "x".repeat(600_000));
    let long = format!(r#"{{"access_token":"{}","token_type":"Bearer"}}"#, "x".repeat(20_000));
    let answers = [
        (json(400, r#"{"error":"invalid_client","error_description":"no\u0007"}"#), "refused"),
        (json(401, r#"{"error":"Bearer <b>evil</b>"}"#), "refused"),
        (json(403, "no"), "refused"),
        (json(500, r#"{"error":"invalid_client"}"#), "unavailable"),
        (json(429, "{}"), "unavailable"),
        (String::from("HTTP/1.1 302 X\r\nlocation: http://127.0.0.1:1/\r\n\r\n"), "unavailable"),
        (json(200, &big), "unavailable"),
        (String::from("SSH-2.0\r\n"), "unavailable"),
        (json(200, "[]"), "unusable"),
        (json(200, "{}"), "unusable"),
        (json(200, r#"{"access_token":"t"}"#), "unusable"),
        (json(200, r#"{"access_token":"t","token_type":"mac"}"#), "unusable"),
        (json(200, r#"{"access_token":"t","token_type":"DPoP"}"#), "unusable"),
        (json(200, r#"{"access_token":"","token_type":"Bearer"}"#), "unusable"),
        (json(200, r#"{"access_token":7,"token_type":"Bearer"}"#), "unusable"),
        (json(200, r#"{"access_token":"a b","token_type":"Bearer"}"#), "unusable"),
        (json(200, r#"{"access_token":"a\r\nx: y","token_type":"Bearer"}"#), "unusable"),
        (json(200, r#"{"access_token":"é","token_type":"Bearer"}"#), "unusable"),
        (json(200, r#"{"access_token":"t","access_token":"u","token_type":"Bearer"}"#), "unusable"),
        (json(200, r#"{"access_token":"t","token_type":"Bearer","expires_in":-1}"#), "unusable"),
        (json(200, r#"{"access_token":"t","token_type":"Bearer","expires_in":[]}"#), "unusable"),
        (json(200, &long), "unusable"),
    ];
    for (answer, expected) in answers {
        let upstream = Stage::answering(ok("{}")).await;
        let server = Stage::answering(answer.clone()).await;
        let mut settings = own(&upstream, request(server.address));
        settings.ejection.after = 1;
        let endpoint = endpoint(settings);
        for _ in 0..20 {
            let fault = fault(call(&endpoint, "{}").await.unwrap_err());
            let kind = match &fault {
                CredentialFault::Refused(said) => {
                    assert!(!said.contains('<'), "{said}");
                    "refused"
                }
                CredentialFault::Unavailable(_) => "unavailable",
                CredentialFault::Unusable(_) => "unusable",
                CredentialFault::Anonymous | CredentialFault::Stranger => "else",
            };
            assert_eq!(kind, expected, "{answer:.80}: {fault}");
        }
        assert_eq!(server.requests().len(), 1, "{answer:.80}");
        assert_eq!(upstream.accepts(), 0, "{answer:.80}");
        assert!(endpoint.is_usable(), "it is none of the endpoint's fault");
    }
}

#[tokio::test]
async fn a_token_server_that_is_down_or_hangs_is_no_reason_to_wait_for_long() {
    let upstream = Stage::answering(ok("{}")).await;
    let endpoint_of = |address| endpoint(own(&upstream, request(address)));
    let fault_of = |answer: Result<String, SendError>| fault(answer.unwrap_err());
    let down = endpoint_of(closed_port().await);
    assert!(matches!(fault_of(call(&down, "{}").await), CredentialFault::Unavailable(_)));
    let hanging = Stage::play(|mut scene: Scene| async move {
        scene.request().await;
        scene.await_close().await;
    })
    .await;
    let hung = endpoint_of(hanging.address);
    let begun = Instant::now();
    let calls = futures_util::future::join_all((0..20).map(|_| call(&hung, "{}"))).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    for answer in calls {
        assert!(matches!(fault_of(answer), CredentialFault::Unavailable(_)));
    }
    assert_eq!((hanging.requests().len(), upstream.accepts()), (1, 0));
}

#[tokio::test]
async fn each_principal_gets_a_token_for_what_the_gate_says_about_it() {
    let (upstream, server) = (Stage::answering(ok("{}")).await, tokens(3600).await);
    let key = es256();
    let mut request = request(server.address);
    request.resources = vec![upstream.url()];
    let endpoint = endpoint(exchange(&upstream, request, &key));
    let (ann, ben, machine) = (of_idp("ann"), of_idp("ben"), of_idp("agent"));
    for principal in [&ann, &ben, &ann, &machine, &ben, &ann] {
        call_for(&endpoint, principal).await.unwrap();
    }
    let expected = ["t1", "t2", "t1", "t3", "t2", "t1"].map(|token| format!("Bearer {token}"));
    assert_eq!(shown(&upstream), expected);
    let asked = server.requests();
    assert_eq!(asked.len(), 3);
    for (request, subject) in asked.iter().zip(["ann", "ben", "agent"]) {
        let form = form(request);
        assert_eq!(field(&form, "grant_type"), "urn:ietf:params:oauth:grant-type:token-exchange");
        assert_eq!(field(&form, "subject_token_type"), "urn:ietf:params:oauth:token-type:jwt");
        assert_eq!(field(&form, "resource"), upstream.url());
        let jwt = Jwt::read(field(&form, "subject_token")).unwrap();
        assert_eq!(jwt.header().kid.as_deref(), Some("gate-key"));
        let public = SigningKey::from_pkcs8("gate-key", Alg::Es256, key.pkcs8()).unwrap();
        jwt.verify(&KeySet::from_signing(&[&public]), &[Alg::Es256]).unwrap();
        judge_claims(jwt.claims(), subject, server.address);
    }
}

fn judge_claims(claims: &Claims, subject: &str, server: SocketAddr) {
    let text = |name| claims.text(name).unwrap().unwrap_or_default().to_owned();
    assert_eq!(text("iss"), "https://gate.example");
    assert_eq!(text("sub"), subject);
    assert_eq!(text("client_id"), "agent");
    assert_eq!(text("aud"), format!("http://{server}/token"));
    assert_eq!(claims.path("sub_id.iss").unwrap(), "https://idp.example");
    assert_eq!(claims.path("act.sub").is_some(), subject != "agent");
    let times = ["iat", "exp"].map(|name| claims.time(name).unwrap().unwrap());
    assert_eq!(times[1] - times[0], 60);
    assert!(!text("jti").is_empty());
}

#[tokio::test]
async fn who_proved_nothing_or_is_of_another_issuer_gets_no_token_and_reaches_nothing() {
    let (upstream, server) = (Stage::answering(ok("{}")).await, tokens(3600).await);
    let endpoint = endpoint(exchange(&upstream, request(server.address), &es256()));
    let nobody = fault(call_for(&endpoint, &Principal::Anonymous).await.unwrap_err());
    assert_eq!(nobody, CredentialFault::Anonymous);
    let unsaid = fault(call(&endpoint, "{}").await.unwrap_err());
    assert_eq!(unsaid, CredentialFault::Anonymous);
    for issuer in ["https://other.example", "https://idp.example/", "urn:tollgate:api-key", ""] {
        let stranger = principal(issuer, "ann", "agent");
        let fault = fault(call_for(&endpoint, &stranger).await.unwrap_err());
        assert_eq!(fault, CredentialFault::Stranger, "{issuer}");
    }
    assert_eq!((server.accepts(), upstream.accepts()), (0, 0));
}

#[tokio::test]
async fn a_refused_principal_does_not_keep_others_from_their_tokens() {
    let upstream = Stage::answering(ok("{}")).await;
    let server = Stage::play(|mut scene: Scene| async move {
        while let Some(request) = scene.request().await {
            let form = form(&request);
            let jwt = Jwt::read(field(&form, "subject_token")).unwrap();
            let answer = match jwt.claims().text("sub").unwrap().unwrap() {
                "mallory" => json(400, r#"{"error":"invalid_grant"}"#),
                who => {
                    let body = format!(r#"{{"access_token":"{who}","token_type":"Bearer"}}"#);
                    json(200, &body)
                }
            };
            scene.write(answer.as_bytes()).await;
        }
    })
    .await;
    let endpoint = endpoint(exchange(&upstream, request(server.address), &es256()));
    for _ in 0..10 {
        let refused = fault(call_for(&endpoint, &of_idp("mallory")).await.unwrap_err());
        assert_eq!(refused, CredentialFault::Refused(String::from("invalid_grant")));
        call_for(&endpoint, &of_idp("ann")).await.unwrap();
    }
    assert_eq!(shown(&upstream), vec!["Bearer ann"; 10]);
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn principals_meet_no_token_of_another_however_many_call_at_once() {
    let upstream = Stage::answering(ok("{}")).await;
    let server = Stage::play(|mut scene: Scene| async move {
        while let Some(request) = scene.request().await {
            let form = form(&request);
            let jwt = Jwt::read(field(&form, "subject_token")).unwrap();
            let who = jwt.claims().text("sub").unwrap().unwrap();
            let body = format!(r#"{{"access_token":"{who}","token_type":"Bearer"}}"#);
            scene.write(json(200, &body).as_bytes()).await;
        }
    })
    .await;
    let endpoint = endpoint(exchange(&upstream, request(server.address), &es256()));
    let calls = (0..400).map(|n| {
        let endpoint = endpoint.clone();
        async move {
            let who = of_idp(&format!("user-{}", n % 40));
            let mut outgoing = post(&format!(r#"{{"who":"user-{}"}}"#, n % 40));
            let caller = who.proof().unwrap().caller();
            outgoing.on_behalf_of = Some(OnBehalf::principal(caller, &who));
            text(endpoint.send(outgoing, PATIENT).await.unwrap()).await.unwrap()
        }
    });
    futures_util::future::join_all(calls).await;
    let requests = upstream.requests();
    assert_eq!(requests.len(), 400);
    for request in &requests {
        let body = request.split_once("\r\n\r\n").unwrap().1;
        let who = body.trim_start_matches(r#"{"who":""#).trim_end_matches(r#""}"#);
        assert!(request.contains(&format!("\r\nauthorization: Bearer {who}\r\n")), "{request}");
    }
    assert_eq!(server.requests().len(), 40);
}

#[tokio::test]
async fn the_event_stream_of_an_old_server_carries_the_token_too() {
    let server = tokens(3600).await;
    let upstream = Stage::play(|mut scene: Scene| async move {
        while let Some(request) = scene.request().await {
            if request.starts_with("POST ") {
                scene.write(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n").await;
                continue;
            }
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
            scene.write(head.as_bytes()).await;
            scene.write(b"event: endpoint\ndata: /messages\n\n").await;
            return scene.await_close().await;
        }
    })
    .await;
    let line = SseLines::new(build(own(&upstream, request(server.address)))).open();
    line.outgoing.send("{}".into()).await.unwrap();
    until("both requests", || upstream.requests().len() == 2).await;
    assert_eq!(shown(&upstream), ["Bearer t1", "Bearer t1"]);
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn tokens_outlive_a_change_of_other_settings() {
    let (upstream, server) = (Stage::answering(ok("{}")).await, tokens(3600).await);
    let first = own(&upstream, request(server.address));
    let old = Upstreams::build(std::slice::from_ref(&first), None).unwrap();
    let pick = |built: &Upstreams| built.iter().next().unwrap().pick().unwrap();
    call(&pick(&old), "{}").await.unwrap();
    let mut second = first.clone();
    second.timeouts.pause = Duration::from_secs(9);
    let new = Upstreams::build(std::slice::from_ref(&second), Some(&old)).unwrap();
    call(&pick(&new), "{}").await.unwrap();
    let mut third = second.clone();
    if let CredentialSettings::ClientCredentials(request) = &mut third.credential {
        request.scopes.push(String::from("more"));
    }
    let newest = Upstreams::build(&[third], Some(&new)).unwrap();
    call(&pick(&newest), "{}").await.unwrap();
    assert_eq!(shown(&upstream), ["Bearer t1", "Bearer t1", "Bearer t2"]);
}

#[tokio::test]
async fn what_could_not_work_stops_the_start() {
    let stage = Stage::answering(ok("{}")).await;
    let fine = || own(&stage, request(stage.address));
    let mut cases = Vec::new();
    let mut stdio = fine();
    stdio.transport = Transport::Stdio(Box::new(StdioSettings {
        command: String::from("true"),
        args: vec![],
        env: vec![],
        cwd: None,
        isolation: Isolation::Shared,
        processes_max: 1,
        idle: Duration::from_secs(1),
        start: Duration::from_secs(1),
        stop: Duration::from_secs(1),
        backoff: (Duration::from_secs(1), Duration::from_secs(1)),
        resources: ProcessLimits::default(),
        guard: "guard".into(),
    }));
    cases.push(("has no headers", stdio));
    let mut twice = fine();
    twice.headers = vec![(String::from("Authorization"), Secret::new(String::from("x")))];
    cases.push(("also configured", twice));
    let mut sse = exchange(&stage, request(stage.address), &es256());
    sse.transport = Transport::Sse;
    cases.push(("share its event stream", sse));
    let mut nobody = exchange(&stage, request(stage.address), &es256());
    let mut junk = nobody.clone();
    if let CredentialSettings::Exchange(exchange) = &mut nobody.credential {
        exchange.assertion.of_issuers.clear();
    }
    cases.push(("vouches for nobody", nobody));
    if let CredentialSettings::Exchange(exchange) = &mut junk.credential {
        exchange.assertion.key.pem = Secret::new(String::from("hunter2"));
    }
    cases.push(("private key cannot be used", junk));
    for url in ["ftp://a/t", "http://u@a/t", "http://u:p@a/t", "http://a/t#f"] {
        let mut request = request(stage.address);
        request.server.at = TokenEndpoint::Url(url.parse().unwrap());
        cases.push(("URL is not usable", own(&stage, request)));
    }
    let mut untrusted = request(stage.address);
    untrusted.server.ca = Some("/does/not/exist.pem".into());
    cases.push(("cannot be trusted", own(&stage, untrusted)));
    for (expected, settings) in cases {
        let error = Upstreams::build(&[settings], None).unwrap_err();
        assert!(matches!(error, UpstreamError::Credential { .. }), "{error}");
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(expected) && !shown.contains("hunter2"), "{shown}");
    }
    assert!(Upstreams::build(&[fine()], None).is_ok());
}

#[tokio::test]
async fn nothing_that_is_shown_of_settings_or_endpoints_holds_a_secret() {
    let (upstream, server) = (Stage::answering(ok("{}")).await, tokens(3600).await);
    let built = build(own(&upstream, request(server.address)));
    let endpoint = built.pick().unwrap();
    let exchange = endpoint.send(post("{}"), PATIENT);
    let before = format!("{exchange:?}");
    drop(exchange);
    call(&endpoint, "{}").await.unwrap();
    let after = format!("{built:?} {:?} {before}", endpoint.send(post("{}"), PATIENT));
    for secret in ["se:cret", "se%3Acret", "t1\"", "Bearer t1"] {
        assert!(!after.contains(secret), "{secret}");
    }
}
