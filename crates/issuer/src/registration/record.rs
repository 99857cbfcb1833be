//! A registration as it is kept, and as it is shown to whom it belongs.

use super::REGISTRATION;
use crate::desk::Desk;
use serde_json::{Map, Value, json};
use tollgate_core::clock::Entropy;
use tollgate_core::stores::{AgentRecord, AuthMethod, ClientKeys, Origin, SecretHash};
use tollgate_oauth::registration::{ClientMetadata, grant_name, method_name};
use tollgate_oauth::{scope, secret};

/// What is made for a new agent and shown once.
pub(super) struct Fresh {
    pub(super) id: String,
    pub(super) token: String,
    pub(super) secret: Option<String>,
}

impl Fresh {
    pub(super) fn mint(entropy: &dyn Entropy, auth: AuthMethod) -> Self {
        Self {
            id: secret::mint("reg_", entropy),
            token: secret::mint(secret::REGISTRATION_TOKEN, entropy),
            secret: has_secret(auth).then(|| secret::mint(secret::CLIENT_SECRET, entropy)),
        }
    }
}

const fn has_secret(auth: AuthMethod) -> bool {
    match auth {
        AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost => true,
        AuthMethod::None | AuthMethod::PrivateKeyJwt => false,
    }
}

/// A new agent as it is kept.
pub(super) fn of(
    desk: &Desk,
    metadata: &ClientMetadata,
    fresh: &Fresh,
    origin: Origin,
) -> AgentRecord {
    let now = desk.now();
    AgentRecord {
        id: fresh.id.clone(),
        origin,
        name: metadata.name.clone(),
        auth: metadata.auth,
        secrets: fresh.secret.iter().map(|text| hash(text, now)).collect(),
        keys: metadata.keys.clone(),
        redirect_uris: metadata.redirect_uris.clone(),
        grants: metadata.grants.clone(),
        // What it names is no limit, see `rest`: people decide, each time.
        scopes: Vec::new(),
        routes: Vec::new(),
        groups: Vec::new(),
        metadata: rest(desk, metadata).to_string(),
        created: now,
        expires: Some(now.saturating_add(desk.settings.registration.unused.as_secs())),
        used: None,
        revoked: None,
    }
}

/// An agent with everything it said of itself replaced; and its new secret, if it needs its first.
pub(super) fn replaced(
    desk: &Desk,
    old: &AgentRecord,
    metadata: &ClientMetadata,
) -> (AgentRecord, Option<String>) {
    let mut agent = old.clone();
    agent.name.clone_from(&metadata.name);
    agent.auth = metadata.auth;
    agent.keys.clone_from(&metadata.keys);
    agent.redirect_uris.clone_from(&metadata.redirect_uris);
    agent.grants.clone_from(&metadata.grants);
    agent.metadata = rest(desk, metadata).to_string();
    if !has_secret(agent.auth) {
        agent.secrets.clear();
        return (agent, None);
    }
    if !agent.secrets.is_empty() {
        return (agent, None);
    }
    let secret = secret::mint(secret::CLIENT_SECRET, &*desk.entropy);
    agent.secrets.push(hash(&secret, desk.now()));
    (agent, Some(secret))
}

fn hash(text: &str, now: u64) -> SecretHash {
    SecretHash { digest: secret::digest(text), created: now, expires: None }
}

/// What is kept besides the fields of the record.
///
/// Of the scopes it asks for, those people can be asked for are kept, and only shown: a client that
/// is later told to ask for more (RFC 9470, MCP step-up) keeps its registration.
///
/// SPEC: RFC 7591 sections 2 and 3.2.1: the server may replace what was asked for.
fn rest(desk: &Desk, metadata: &ClientMetadata) -> Value {
    let mut rest = metadata.rest.clone();
    let may_be_asked = |asked: &&String| {
        let offered = desk.settings.resources.iter().any(|route| route.scopes.contains(*asked));
        let is_tool = asked.strip_prefix("tool:").is_some_and(|tool| !tool.is_empty());
        (offered || is_tool) && !asked.ends_with('*')
    };
    let scopes: Vec<&String> = metadata.scopes.iter().filter(may_be_asked).collect();
    if !scopes.is_empty() {
        rest.insert(String::from("scope"), scope::join(&scopes).into());
    }
    Value::Object(rest)
}

/// What is shown besides what is kept.
#[derive(Clone, Copy)]
pub(super) struct Shown<'a> {
    pub(super) token: &'a str,
    pub(super) secret: Option<&'a str>,
}

/// Everything that is registered.
///
/// SPEC: RFC 7591 section 3.2.1, RFC 7592 section 3: the token is part of every answer. The secret
/// is only where it is new: nobody has it any more.
pub(super) fn shown(desk: &Desk, agent: &AgentRecord, shown: Shown<'_>) -> Value {
    let mut answer: Map<String, Value> = serde_json::from_str(&agent.metadata).unwrap_or_default();
    let mut say = |name: &str, value: Value| answer.insert(String::from(name), value);
    say("client_id", agent.id.as_str().into());
    say("client_id_issued_at", agent.created.into());
    if let Some(secret) = shown.secret {
        say("client_secret", secret.into());
    }
    if has_secret(agent.auth) {
        // SPEC: RFC 7591 section 3.2.1: 0 is never.
        say("client_secret_expires_at", 0.into());
    }
    say("registration_access_token", shown.token.into());
    say("registration_client_uri", desk.url(&format!("{REGISTRATION}{}", agent.id)).into());
    if !agent.name.is_empty() {
        say("client_name", agent.name.as_str().into());
    }
    say("redirect_uris", json!(agent.redirect_uris));
    say("token_endpoint_auth_method", method_name(agent.auth).into());
    let grants: Vec<&str> = agent.grants.iter().map(|grant| grant_name(*grant)).collect();
    say("grant_types", grants.into());
    say("response_types", json!(["code"]));
    match &agent.keys {
        ClientKeys::None => {}
        ClientKeys::Url(url) => {
            say("jwks_uri", url.as_str().into());
        }
        ClientKeys::Inline(set) => {
            say("jwks", serde_json::from_str(set).unwrap_or_default());
        }
    }
    Value::Object(answer)
}
