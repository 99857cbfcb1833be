//! An issuer for tests, and the verbs its tests are written in.

#![expect(clippy::expect_used, reason = "a broken harness ends the test")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;
use tollgate_backends::memory::MemoryIdentity;
use tollgate_core::clock::{Clock as _, Entropy, ManualClock};
use tollgate_core::stores::{
    AgentRecord, AuthMethod, ClientKeys, CodeRecord, GrantId, GrantType, Origin, Quota, SecretHash,
    Stores,
};
use tollgate_issuer::settings::{
    IssuerSettings, Lifetimes, RegistrationSettings, ResourceSettings, SignIn,
};
use tollgate_issuer::{Issuer, IssuerSources};
use tollgate_oauth::access_token::AccessClaims;
use tollgate_oauth::jwt::Jwt;
use tollgate_oauth::keys::{Alg, KeySet, SharedKeys};
use tollgate_oauth::{pkce, secret};
use url::Url;

pub(crate) const ISSUER: &str = "https://gate.example";
pub(crate) const RESOURCE: &str = "https://gate.example/mcp";
pub(crate) const OTHER_RESOURCE: &str = "https://gate.example/hub";
pub(crate) const REDIRECT: &str = "http://127.0.0.1:7777/callback";
pub(crate) const VERIFIER: &str = "a-verifier-of-at-least-forty-three-characters";
pub(crate) const SECRET: &str = "tgs_the-secret-of-every-agent-in-these-tests-00000";
/// The time at which all tests begin.
pub(crate) const BEGIN: u64 = 1_800_000_000;

/// Real randomness: ids must differ.
#[derive(Debug)]
pub(crate) struct Random;

impl Entropy for Random {
    fn fill(&self, bytes: &mut [u8]) {
        aws_lc_rs::rand::fill(bytes).expect("randomness");
    }
}

pub(crate) fn settings() -> IssuerSettings {
    let resource = |path: &str, scopes: &[&str]| ResourceSettings {
        path: path.to_owned(),
        identifier: format!("{ISSUER}{path}"),
        scopes: scopes.iter().map(ToString::to_string).collect(),
    };
    IssuerSettings {
        url: Url::parse(ISSUER).expect("a URL"),
        resources: vec![resource("/mcp", &["read", "write"]), resource("/hub", &["read"])],
        registration: RegistrationSettings {
            dynamic: true,
            documents: true,
            hosts: Vec::new(),
            total_max: 100,
            per_address_max: 10,
            unused: Duration::from_secs(86_400),
            private_addresses: false,
        },
        sign_in: SignIn::Accounts,
        workloads: Vec::new(),
        life: Lifetimes {
            code: Duration::from_secs(60),
            access_token: Duration::from_secs(600),
            refresh_token: Duration::from_secs(30 * 86_400),
            grant: Duration::from_secs(90 * 86_400),
            signing_key: Duration::from_secs(30 * 86_400),
            signing_key_ahead: Duration::from_secs(86_400),
        },
        algorithm: Alg::Es256,
    }
}

pub(crate) struct House {
    pub(crate) issuer: Arc<Issuer>,
    pub(crate) stores: Stores,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) keys: SharedKeys,
    pub(crate) settings: IssuerSettings,
}

impl House {
    pub(crate) async fn new() -> Self {
        Self::with(settings()).await
    }

    pub(crate) async fn with(settings: IssuerSettings) -> Self {
        let clock = Arc::new(ManualClock::default());
        clock.advance(BEGIN * 1_000);
        Self::over(settings, MemoryIdentity::stores(), clock).await
    }

    pub(crate) async fn over(
        settings: IssuerSettings,
        stores: Stores,
        clock: Arc<ManualClock>,
    ) -> Self {
        let keys = SharedKeys::new(KeySet::empty());
        let sources = IssuerSources {
            stores: stores.clone(),
            clock: clock.clone(),
            entropy: Arc::new(Random),
            keys: keys.clone(),
            seal: [7; 32],
        };
        let issuer = Issuer::build(settings.clone(), sources).expect("settings that can be used");
        issuer.start().await.expect("stores that answer");
        Self { issuer, stores, clock, keys, settings }
    }

    /// The same issuer over these stores, before it is started.
    pub(crate) fn build_over(&self, stores: Stores) -> Arc<Issuer> {
        let sources = IssuerSources {
            stores,
            clock: self.clock.clone(),
            entropy: Arc::new(Random),
            keys: self.keys.clone(),
            seal: [7; 32],
        };
        Issuer::build(self.settings.clone(), sources).expect("settings that can be used")
    }

    /// Another process on the same stores.
    pub(crate) async fn sibling(&self) -> Self {
        Self::over(self.settings.clone(), self.stores.clone(), Arc::clone(&self.clock)).await
    }

    pub(crate) fn pass(&self, secs: u64) {
        self.clock.advance(secs * 1_000);
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.unix_secs()
    }

    pub(crate) async fn add(&self, agent: AgentRecord) {
        let quota = Quota { total: 100, by_one: 100 };
        self.stores.agents.add(agent, quota).await.expect("a store").expect("a new name");
    }

    /// A public agent people use.
    pub(crate) async fn app(&self, id: &str) {
        self.account().await;
        self.add(app(id)).await;
    }

    /// The account of the person in these tests.
    async fn account(&self) {
        let user = tollgate_core::stores::UserRecord {
            id: "user:ada".to_owned(),
            name: "ada".to_owned(),
            password: "unused".to_owned(),
            groups: vec!["staff".to_owned()],
            created: BEGIN,
            password_set: BEGIN,
            locked: None,
        };
        // Another agent of the same test may have added her.
        let _is_new = self.stores.users.add(user).await.expect("a store");
    }

    /// Puts a code of `client` into the store, as a consent would, and says it.
    pub(crate) async fn code(&self, client: &str) -> String {
        self.code_with(client, |_| {}).await
    }

    pub(crate) async fn code_with(
        &self,
        client: &str,
        change: impl FnOnce(&mut CodeRecord),
    ) -> String {
        let code = secret::mint(secret::CODE, &Random);
        let mut record = CodeRecord {
            digest: secret::digest(&code),
            grant: GrantId(secret::mint("", &Random)),
            client: client.to_owned(),
            redirect_uri: REDIRECT.to_owned(),
            challenge: pkce::challenge(VERIFIER),
            subject: "user:ada".to_owned(),
            user_name: "ada".to_owned(),
            groups: vec!["staff".to_owned()],
            resource: RESOURCE.to_owned(),
            scopes: vec!["read".to_owned(), "write".to_owned()],
            expires: self.now() + 60,
        };
        change(&mut record);
        self.stores.grants.keep_code(record).await.expect("a store");
        code
    }

    /// Redeems a code the way it should be done.
    pub(crate) async fn redeem(&self, client: &str, code: &str) -> Reply {
        self.token(&redemption(client, code)).await
    }

    /// An access token and a refresh token of `client`.
    pub(crate) async fn tokens(&self, client: &str) -> (String, String) {
        let reply = self.redeem(client, &self.code(client).await).await;
        (reply.text("access_token"), reply.text("refresh_token"))
    }

    pub(crate) async fn refresh(&self, client: &str, token: &str, more: &[(&str, &str)]) -> Reply {
        let mut form =
            vec![("grant_type", "refresh_token"), ("client_id", client), ("refresh_token", token)];
        form.extend(more);
        self.token(&form).await
    }

    pub(crate) async fn token(&self, form: &[(&str, &str)]) -> Reply {
        self.post("/oauth/token", form).await
    }

    /// Asks for a token as an agent with a secret.
    pub(crate) async fn credentials(&self, id: &str, more: &[(&str, &str)]) -> Reply {
        let mut form = vec![("grant_type", "client_credentials")];
        form.extend(more);
        self.post_as(id, "/oauth/token", &form).await
    }

    pub(crate) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Reply {
        self.send(Ask::post(path, form)).await
    }

    /// Posts as an agent that proves itself by `client_secret_basic`.
    pub(crate) async fn post_as(&self, id: &str, path: &str, form: &[(&str, &str)]) -> Reply {
        let basic = format!("Basic {}", STANDARD.encode(format!("{id}:{SECRET}")));
        self.send(Ask::post(path, form).header("authorization", &basic)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(Ask::new(Method::GET, path)).await
    }

    pub(crate) async fn send(&self, ask: Ask) -> Reply {
        let response =
            self.issuer.serve(ask.0, IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), true).await;
        let (head, body) = response.into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        Reply { status: head.status, headers: head.headers, body }
    }

    /// What an access token says, if it is signed with a key that is published now.
    pub(crate) fn read(&self, token: &str) -> Option<AccessClaims> {
        let jwt = Jwt::read(token).expect("a JWT");
        jwt.verify(&self.keys.load(), &[self.settings.algorithm]).ok()?;
        assert!(jwt.header().is_type("at+jwt"));
        Some(AccessClaims::read(jwt.claims()).expect("claims of ours"))
    }

    /// Whether a resource server that asks is told that a token is good.
    pub(crate) async fn is_active(&self, token: &str) -> bool {
        let watcher = "watcher-of-all";
        if self.stores.agents.find(watcher).await.expect("a store").is_none() {
            let scopes = vec!["introspect".to_owned()];
            self.add(AgentRecord { scopes, ..machine(watcher) }).await;
        }
        let reply = self.post_as(watcher, "/oauth/introspect", &[("token", token)]).await;
        assert_eq!(reply.status, StatusCode::OK, "{reply:?}");
        reply.json()["active"].as_bool().expect("a boolean")
    }
}

/// The form that redeems a code.
pub(crate) fn redemption<'a>(client: &'a str, code: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("grant_type", "authorization_code"),
        ("client_id", client),
        ("code", code),
        ("redirect_uri", REDIRECT),
        ("code_verifier", VERIFIER),
        ("resource", RESOURCE),
    ]
}

/// The same with another value for one parameter, or without it.
pub(crate) fn changed<'a>(
    mut form: Vec<(&'a str, &'a str)>,
    name: &'a str,
    value: Option<&'a str>,
) -> Vec<(&'a str, &'a str)> {
    form.retain(|(known, _)| *known != name);
    form.extend(value.map(|value| (name, value)));
    form
}

/// A public agent.
pub(crate) fn app(id: &str) -> AgentRecord {
    AgentRecord {
        id: id.to_owned(),
        origin: Origin::Operator,
        name: id.to_owned(),
        auth: AuthMethod::None,
        secrets: Vec::new(),
        keys: ClientKeys::None,
        redirect_uris: vec![REDIRECT.to_owned()],
        grants: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
        scopes: Vec::new(),
        routes: Vec::new(),
        groups: Vec::new(),
        metadata: "{}".to_owned(),
        created: BEGIN,
        expires: None,
        used: None,
        revoked: None,
    }
}

/// An agent with a secret that acts for itself.
pub(crate) fn machine(id: &str) -> AgentRecord {
    AgentRecord {
        auth: AuthMethod::ClientSecretBasic,
        secrets: vec![SecretHash { digest: secret::digest(SECRET), created: BEGIN, expires: None }],
        redirect_uris: Vec::new(),
        grants: vec![GrantType::ClientCredentials],
        scopes: ["read", "tool:github__*"].map(String::from).into(),
        groups: vec!["robots".to_owned()],
        ..app(id)
    }
}

/// A request to be sent.
#[derive(Debug)]
pub(crate) struct Ask(http::Request<Full<Bytes>>);

impl Ask {
    pub(crate) fn new(method: Method, path: &str) -> Self {
        let mut request = http::Request::new(Full::default());
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().expect("a path");
        Self(request)
    }

    pub(crate) fn post(path: &str, form: &[(&str, &str)]) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let ask = Self::new(Method::POST, path).body(body);
        ask.header("content-type", "application/x-www-form-urlencoded")
    }

    pub(crate) fn body(mut self, body: impl Into<Bytes>) -> Self {
        *self.0.body_mut() = Full::new(body.into());
        self
    }

    /// Sets a header.
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.0.headers_mut().insert(name, value.parse().expect("a header value"));
        self
    }

    /// Adds a header to those of the same name.
    pub(crate) fn another(mut self, name: &'static str, value: &str) -> Self {
        self.0.headers_mut().append(name, value.parse().expect("a header value"));
        self
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("text"))
    }

    /// A member that must be there in a good answer.
    pub(crate) fn text(&self, name: &str) -> String {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        self.json()[name].as_str().expect("a text").to_owned()
    }

    /// Status and code of a refusal.
    pub(crate) fn refusal(&self) -> (u16, String) {
        let code = self.json()["error"].as_str().map(str::to_owned);
        (self.status.as_u16(), code.unwrap_or_else(|| format!("no error in {self:?}")))
    }
}

/// A refusal as tests expect it.
pub(crate) fn refusal(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}
