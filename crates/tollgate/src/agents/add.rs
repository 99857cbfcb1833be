//! `tollgate agents add`: a new agent, with what it proves itself by.

use crate::agents::usage::{self, Proof};
use crate::agents::{AgentsError, public_keys, show};
use crate::cli::{AddAgentArgs, ProofArgs};
use crate::config;
use crate::records::{Records, Told};
use serde_json::json;
use tollgate_core::bounds::stores::AGENTS_MAX;
use tollgate_core::stores::{
    AgentRecord, ApiKeyRecord, AuthMethod, ClientKeys, GrantType, Origin, Quota, SecretHash, Taken,
};
use tollgate_oauth::{redirect, scope, secret};
use url::Url;

/// Characters of an API key that name it in lists.
const LABEL_CHARS: usize = 12;

/// Adds an agent.
///
/// # Errors
/// It does not fit the configuration, or the name is taken.
pub(crate) async fn add(records: &Records, new: &AddAgentArgs) -> Result<Told, AgentsError> {
    check(records, new)?;
    let (mut agent, proof) = agent(records, new)?;
    let expires = new.expires.map(|life| records.now.saturating_add(life.as_secs()));
    agent.expires = expires;
    let quota = Quota { total: AGENTS_MAX, by_one: AGENTS_MAX };
    let agents = &records.stores.agents;
    if agents.add(agent.clone(), quota).await? == Err(Taken) {
        return Err(AgentsError::Taken(new.name.clone()));
    }
    let mut keys = Vec::new();
    if let Proof::ApiKey(key) = &proof {
        let key = api_key(records, &agent, key);
        if let Err(error) = agents.add_key(key.clone()).await {
            // What was added half is not there: the name would be taken, and nothing good for it.
            agents.remove(&agent.id).await?;
            return Err(error.into());
        }
        keys.push(key);
    }
    let mut value = show::value(&agent, &keys, records.now);
    usage::reveal(&mut value, &proof);
    let text = format!(
        "agent `{}` added\n\n{}\n{}",
        agent.id,
        show::facts(&agent, &keys, records.now),
        usage::text(records, &agent, &proof)
    );
    Ok(Told { text, value })
}

/// Whether what is asked for fits the configuration.
fn check(records: &Records, new: &AddAgentArgs) -> Result<(), AgentsError> {
    if !config::is_agent(&new.name) {
        return Err(AgentsError::Name(new.name.clone()));
    }
    let way = match &new.proof {
        ProofArgs { api_key: true, .. } => {
            let on = records.access().is_some_and(|access| access.identity.api_keys);
            return if on { check_words(records, new) } else { Err(AgentsError::NoApiKeys) };
        }
        ProofArgs { workload: true, .. } => "a workload token",
        ProofArgs { public: true, .. } => "a person",
        ProofArgs { jwks: None, jwks_url: None, .. } => "a secret",
        ProofArgs { .. } => "a private key",
    };
    if records.issuer().is_none() {
        return Err(AgentsError::NoIssuer(way));
    }
    check_words(records, new)
}

fn check_words(records: &Records, new: &AddAgentArgs) -> Result<(), AgentsError> {
    if let Some(bad) = new.scopes.iter().find(|scope| scope::check(scope).is_err()) {
        return Err(AgentsError::Scope(bad.clone()));
    }
    let routes = &records.checked.settings.routes;
    let is_known = |path: &&String| routes.iter().any(|route| route.path.as_str() == path.as_str());
    if let Some(unknown) = new.routes.iter().find(|path| !is_known(path)) {
        let known: Vec<&str> = routes.iter().map(|route| route.path.as_str()).collect();
        return Err(AgentsError::NoRoute { asked: unknown.clone(), known: known.join(", ") });
    }
    for uri in &new.redirect_uris {
        redirect::register(uri)
            .map_err(|why| AgentsError::Redirect { uri: uri.clone(), why: why.to_string() })?;
    }
    Ok(())
}

/// The record of the agent, and what is shown once.
fn agent(records: &Records, new: &AddAgentArgs) -> Result<(AgentRecord, Proof), AgentsError> {
    let (auth, keys, own, proof) = match &new.proof {
        ProofArgs { api_key: true, .. } => {
            let key = secret::mint(secret::API_KEY, &records.entropy);
            (AuthMethod::None, ClientKeys::None, None, Proof::ApiKey(key))
        }
        ProofArgs { workload: true, .. } => {
            (AuthMethod::None, ClientKeys::None, Some(GrantType::JwtBearer), Proof::Workload)
        }
        ProofArgs { public: true, .. } => (AuthMethod::None, ClientKeys::None, None, Proof::Person),
        ProofArgs { jwks: Some(path), .. } => {
            let keys = ClientKeys::Inline(public_keys(path)?);
            let own = Some(GrantType::ClientCredentials);
            (AuthMethod::PrivateKeyJwt, keys, own, Proof::PrivateKey)
        }
        ProofArgs { jwks_url: Some(url), .. } => {
            let keys = ClientKeys::Url(keys_url(url)?);
            let own = Some(GrantType::ClientCredentials);
            (AuthMethod::PrivateKeyJwt, keys, own, Proof::PrivateKey)
        }
        ProofArgs { .. } => {
            let text = secret::mint(secret::CLIENT_SECRET, &records.entropy);
            let own = Some(GrantType::ClientCredentials);
            (AuthMethod::ClientSecretBasic, ClientKeys::None, own, Proof::Secret(text))
        }
    };
    let for_people = [GrantType::AuthorizationCode, GrantType::RefreshToken];
    let people = for_people.into_iter().filter(|_| !new.redirect_uris.is_empty());
    let secrets = match &proof {
        Proof::Secret(text) => vec![secret_hash(text, records.now)],
        _ => Vec::new(),
    };
    let record = AgentRecord {
        id: new.name.clone(),
        origin: Origin::Operator,
        name: new.title.clone().unwrap_or_else(|| new.name.clone()),
        auth,
        secrets,
        keys,
        redirect_uris: new.redirect_uris.clone(),
        grants: own.into_iter().chain(people).collect(),
        scopes: sorted(&new.scopes),
        routes: sorted(&new.routes),
        groups: sorted(&new.groups),
        metadata: json!({}).to_string(),
        created: records.now,
        expires: None,
        used: None,
        revoked: None,
    };
    Ok((record, proof))
}

fn sorted(words: &[String]) -> Vec<String> {
    let mut words = words.to_vec();
    words.sort_unstable();
    words.dedup();
    words
}

/// A URL that public keys come from: nobody in between may change them.
fn keys_url(text: &str) -> Result<String, AgentsError> {
    let wrong = || AgentsError::KeysUrl(text.to_owned());
    let url = Url::parse(text).map_err(|_bad| wrong())?;
    let is_safe = url.scheme() == "https" || (url.scheme() == "http" && config::is_loopback(&url));
    let is_bare = url.username().is_empty() && url.password().is_none();
    if is_safe && is_bare && url.fragment().is_none() { Ok(url.into()) } else { Err(wrong()) }
}

/// What is stored of a secret.
pub(super) fn secret_hash(text: &str, now: u64) -> SecretHash {
    SecretHash { digest: secret::digest(text), created: now, expires: None }
}

/// What is stored of an API key.
pub(super) fn api_key(records: &Records, agent: &AgentRecord, key: &str) -> ApiKeyRecord {
    ApiKeyRecord {
        digest: secret::digest(key),
        label: key.chars().take(LABEL_CHARS).collect(),
        agent: agent.id.clone(),
        scopes: agent.scopes.clone(),
        groups: agent.groups.clone(),
        routes: agent.routes.clone(),
        created: records.now,
        expires: agent.expires,
        revoked: None,
    }
}
