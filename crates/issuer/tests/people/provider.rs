//! Signing in at an OpenID provider: one on loopback that says what a test wants it to say.

use crate::house::{Browser, House, Page, WEB, asking};
use bytes::Bytes;
use http::StatusCode;
use http::header::AUTHORIZATION;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tollgate_core::ids::Secret;
use tollgate_issuer::settings::{ProviderSettings, SignIn};
use tollgate_oauth::keys::{Alg, KeySet, SigningKey};
use tollgate_oauth::pkce;
use url::Url;
use url::form_urlencoded;

/// What the provider does, and what reached it.
struct Provider {
    url: String,
    key: SigningKey,
    /// Changes the claims of the next ID token.
    change: Mutex<fn(&mut Value)>,
    /// What is signed with, unless it is `key`.
    other_key: Mutex<Option<SigningKey>>,
    names_issuer: bool,
    /// The question of who was sent there last.
    question: Mutex<Vec<(String, String)>>,
    /// Forms that reached the token endpoint.
    redeemed: Mutex<Vec<Vec<(String, String)>>>,
}

impl Provider {
    async fn start(names_issuer: bool) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let provider = Arc::new(Self {
            url: format!("http://{}", listener.local_addr().expect("an address")),
            key: SigningKey::generate(Alg::Es256).expect("a key"),
            change: Mutex::new(|_| {}),
            other_key: Mutex::new(None),
            names_issuer,
            question: Mutex::default(),
            redeemed: Mutex::default(),
        });
        let served = Arc::clone(&provider);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let provider = Arc::clone(&served);
                let service = service_fn(move |request| {
                    let provider = Arc::clone(&provider);
                    async move { Ok::<_, Infallible>(provider.answer(request).await) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        provider
    }

    fn settings(&self) -> SignIn {
        SignIn::Provider(Box::new(ProviderSettings {
            name: "Example Identity".into(),
            url: self.url.clone(),
            client_id: "gate".into(),
            client_secret: Secret::new("hunter2".into()),
            scopes: vec!["email".into()],
            groups_claim: Some("groups".into()),
            name_claim: "email".into(),
            ca: None,
        }))
    }

    async fn answer(&self, request: http::Request<Incoming>) -> http::Response<Full<Bytes>> {
        let json = match request.uri().path() {
            "/.well-known/openid-configuration" => json!({
                "issuer": self.url,
                "authorization_endpoint": format!("{}/auth", self.url),
                "token_endpoint": format!("{}/token", self.url),
                "jwks_uri": format!("{}/keys", self.url),
                "authorization_response_iss_parameter_supported": self.names_issuer,
            }),
            "/keys" => KeySet::from_signing(&[&self.key]).to_json(),
            _ => return self.token(request).await,
        };
        http::Response::new(Full::new(Bytes::from(json.to_string())))
    }

    async fn token(&self, request: http::Request<Incoming>) -> http::Response<Full<Bytes>> {
        let is_gate =
            request.headers().get(AUTHORIZATION).is_some_and(|it| it == "Basic Z2F0ZTpodW50ZXIy");
        let body = request.into_body().collect().await.expect("a form").to_bytes();
        let form: Vec<_> = form_urlencoded::parse(&body).into_owned().collect();
        let value = |name: &str| {
            form.iter()
                .find(|(key, _)| key == name)
                .map(|(_, value)| value.clone())
                .unwrap_or_default()
        };
        let is_good = is_gate
            && value("code") == "c0de"
            && Some(pkce::challenge(&value("code_verifier"))) == self.asked("code_challenge");
        self.redeemed.lock().expect("unbroken").push(form);
        if !is_good {
            let mut refused = http::Response::new(Full::from(r#"{"error":"invalid_grant"}"#));
            *refused.status_mut() = StatusCode::BAD_REQUEST;
            return refused;
        }
        let mut claims = json!({
            "iss": self.url, "sub": "248289761001", "aud": "gate", "nonce": self.asked("nonce"),
            "exp": 1_800_000_300_u64, "iat": 1_800_000_000_u64, "email": "ada@example.com",
            "groups": ["dev"],
        });
        (self.change.lock().expect("unbroken"))(&mut claims);
        let other = self.other_key.lock().expect("unbroken");
        let token = other.as_ref().unwrap_or(&self.key).sign("JWT", &claims).expect("signed");
        let tokens = json!({ "access_token": "a", "token_type": "Bearer", "id_token": token });
        http::Response::new(Full::new(Bytes::from(tokens.to_string())))
    }

    /// A parameter of the question of who was sent there last.
    fn asked(&self, name: &str) -> Option<String> {
        let question = self.question.lock().expect("unbroken");
        question.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
    }

    /// Takes whoever is sent there, and notes what for.
    fn take(&self, page: &Page) {
        let place = Url::parse(page.location().expect("a place")).expect("a URL");
        assert!(place.as_str().starts_with(&format!("{}/auth?", self.url)), "{place}");
        *self.question.lock().expect("unbroken") = place.query_pairs().into_owned().collect();
    }

    /// Sends a browser to the provider.
    async fn visited(&self, browser: &mut Browser<'_>) {
        let page = browser.authorize(&asking("web", WEB)).await;
        let page = browser.follow(page).await;
        self.take(&page);
    }

    /// Sends it back with these parameters.
    async fn back(&self, browser: &mut Browser<'_>, fields: &[(&str, &str)]) -> Page {
        let state = self.asked("state").expect("a state");
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("state", &state).extend_pairs(fields);
        browser.get(&format!("/oauth/callback?{}", query.finish())).await
    }

    fn redemptions(&self) -> usize {
        self.redeemed.lock().expect("unbroken").len()
    }
}

/// What comes of a sign-in whose ID token is changed.
async fn outcome(change: fn(&mut Value)) -> Page {
    let provider = Provider::start(false).await;
    *provider.change.lock().expect("unbroken") = change;
    let house = House::with(provider.settings()).await;
    let mut browser = house.browser();
    provider.visited(&mut browser).await;
    provider.back(&mut browser, &[("code", "c0de")]).await
}

#[tokio::test]
async fn who_signs_in_at_the_provider_is_asked_and_goes_back_with_a_code() {
    let provider = Provider::start(true).await;
    let house = House::with(provider.settings()).await;
    let mut browser = house.browser();
    provider.visited(&mut browser).await;
    let wanted = [
        ("response_type", "code"),
        ("client_id", "gate"),
        ("redirect_uri", "https://gate.example/oauth/callback"),
        ("scope", "openid email"),
        ("code_challenge_method", "S256"),
    ];
    for (name, value) in wanted {
        assert_eq!(provider.asked(name).as_deref(), Some(value));
    }
    let page = provider.back(&mut browser, &[("code", "c0de"), ("iss", &provider.url)]).await;
    let page = browser.follow(page).await;
    assert!(page.body.contains("<dd>ada@example.com</dd>"), "{}", page.body);
    let page = browser.answer(&page, "allow").await;
    let code = house.spend(&page.query("code").expect("a code")).await;
    assert_eq!((&*code.user_name, &code.groups), ("ada@example.com", &vec![String::from("dev")]));
    assert!(code.subject.starts_with("user:") && !code.subject.contains("248289761001"));
}

#[tokio::test]
async fn consent_is_asked_for_although_the_provider_asks_nothing() {
    let provider = Provider::start(false).await;
    let house = House::with(provider.settings()).await;
    let mut browser = house.browser();
    provider.visited(&mut browser).await;
    let page = provider.back(&mut browser, &[("code", "c0de")]).await;
    assert_eq!(page.query("code"), None);
    assert!(page.location().is_some_and(|place| place.starts_with("/oauth/consent?")));
}

#[tokio::test]
async fn a_token_that_is_not_for_this_sign_in_signs_nobody_in() {
    let wrong: [fn(&mut Value); 6] = [
        |claims| claims["nonce"] = json!("another"),
        |claims| claims["aud"] = json!("another"),
        |claims| claims["iss"] = json!("https://evil.example"),
        |claims| claims["exp"] = json!(1_799_999_000_u64),
        |claims| claims["azp"] = json!("another"),
        |claims| claims["sub"] = Value::Null,
    ];
    assert_eq!(outcome(|_| {}).await.status, StatusCode::SEE_OTHER);
    for change in wrong {
        let page = outcome(change).await;
        assert_eq!(
            (page.status, page.location()),
            (StatusCode::BAD_GATEWAY, None),
            "{}",
            page.body
        );
        assert!(!page.headers.contains_key("set-cookie"));
    }
}

#[tokio::test]
async fn a_token_of_another_key_signs_nobody_in() {
    let provider = Provider::start(false).await;
    *provider.other_key.lock().expect("unbroken") =
        Some(SigningKey::generate(Alg::Es256).expect("a key"));
    let house = House::with(provider.settings()).await;
    let mut browser = house.browser();
    provider.visited(&mut browser).await;
    let page = provider.back(&mut browser, &[("code", "c0de")]).await;
    assert_eq!(page.status, StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn an_answer_of_another_issuer_is_not_redeemed() {
    let provider = Provider::start(true).await;
    let house = House::with(provider.settings()).await;
    for fields in [&[("code", "c0de"), ("iss", "https://evil.example")][..], &[("code", "c0de")]] {
        let mut browser = house.browser();
        provider.visited(&mut browser).await;
        let page = provider.back(&mut browser, fields).await;
        assert_eq!(page.status, StatusCode::BAD_GATEWAY, "{fields:?}");
    }
    assert_eq!(provider.redemptions(), 0);
}

#[tokio::test]
async fn an_answer_in_another_browser_or_twice_is_not_redeemed() {
    let provider = Provider::start(false).await;
    let house = House::with(provider.settings()).await;
    let mut attacker = house.browser();
    let mut victim = house.browser();
    provider.visited(&mut victim).await;
    provider.visited(&mut attacker).await;
    // The attacker's code and state in the victim's browser.
    let page = provider.back(&mut victim, &[("code", "c0de")]).await;
    assert_eq!((page.status, provider.redemptions()), (StatusCode::BAD_REQUEST, 0));
    let mut copy = attacker.clone();
    let page = provider.back(&mut attacker, &[("code", "c0de")]).await;
    assert_eq!((page.status, provider.redemptions()), (StatusCode::SEE_OTHER, 1));
    let page = provider.back(&mut copy, &[("code", "c0de")]).await;
    assert_eq!((page.status, provider.redemptions()), (StatusCode::BAD_REQUEST, 1));
}

#[tokio::test]
async fn who_does_not_sign_in_there_goes_back_with_access_denied() {
    let provider = Provider::start(false).await;
    let house = House::with(provider.settings()).await;
    let mut browser = house.browser();
    provider.visited(&mut browser).await;
    let page = provider.back(&mut browser, &[("error", "access_denied")]).await;
    assert_eq!(page.query("error").as_deref(), Some("access_denied"));
    provider.visited(&mut browser).await;
    let page = provider.back(&mut browser, &[("error", "server_error")]).await;
    assert_eq!(page.status, StatusCode::BAD_GATEWAY);
    assert!(page.body.contains("server_error"));
}

#[tokio::test]
async fn while_the_provider_is_down_people_are_told_so_and_it_is_not_asked_by_each_of_them() {
    let provider = Provider::start(false).await;
    let SignIn::Provider(mut settings) = provider.settings() else { panic!("a provider") };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    settings.url = format!("http://{}", listener.local_addr().expect("an address"));
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            drop(stream);
        }
    });
    let house = House::with(SignIn::Provider(settings)).await;
    let mut browser = house.browser();
    for _ in 0..3 {
        let page = browser.authorize(&asking("web", WEB)).await;
        let page = browser.follow(page).await;
        assert_eq!(page.status, StatusCode::BAD_GATEWAY);
        assert!(page.body.contains("Example Identity") && !page.body.contains("hunter2"));
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn somebody_else_may_choose_there() {
    let provider = Provider::start(false).await;
    let house = House::with(provider.settings()).await;
    let mut browser = house.browser();
    provider.visited(&mut browser).await;
    assert_eq!(provider.asked("prompt"), None);
    let page = provider.back(&mut browser, &[("code", "c0de")]).await;
    let page = browser.follow(page).await;
    let page = browser.answer(&page, "other").await;
    let page = browser.follow(page).await;
    provider.take(&page);
    assert_eq!(provider.asked("prompt").as_deref(), Some("select_account"));
}
