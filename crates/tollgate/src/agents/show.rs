//! `tollgate agents list` and `show`: what is known of agents, and never what they prove it by.
//!
//! Names of agents that registered themselves come from anywhere, so they are printed without their
//! control characters.

use crate::agents::AgentsError;
use crate::dates::spell_minute;
use crate::records::{Records, Told, table};
use crate::screen::{self, on_one_line};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use tollgate_core::stores::{
    AgentRecord, ApiKeyRecord, AuthMethod, ClientKeys, GrantType, Origin, Revocable,
};

/// Agents read at a time.
const PAGE: usize = 500;
/// Longest name that is shown, in characters.
const NAME_CHARS: usize = 80;

pub(super) async fn list(records: &Records) -> Result<Told, AgentsError> {
    let agents = &records.stores.agents;
    let keys = agents.keys_of(None).await?;
    let mut rows =
        vec![["NAME", "PROOF", "STATE", "LAST TOKEN", "SCOPES"].map(String::from).to_vec()];
    let mut values = Vec::new();
    let mut known = BTreeSet::new();
    let mut after = String::new();
    loop {
        let page = agents.list(&after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.id.clone();
        for agent in &page {
            let own: Vec<ApiKeyRecord> =
                keys.iter().filter(|key| key.agent == agent.id).cloned().collect();
            rows.push(vec![
                on_one_line(&agent.id, NAME_CHARS),
                kind(agent, &own).to_owned(),
                state(agent, records.now).to_owned(),
                agent.used.map_or_else(|| "-".to_owned(), spell_minute),
                on_one_line(&words(&agent.scopes, "-"), NAME_CHARS),
            ]);
            values.push(value(agent, &own, records.now));
            known.insert(agent.id.clone());
        }
    }
    // Agents of other issuers that were cut off: nothing else is known of them.
    for revocation in records.stores.revocations.all(records.now).await? {
        let Revocable::Agent(id) = revocation.what else { continue };
        if !known.contains(&id) {
            let shown = on_one_line(&id, NAME_CHARS);
            rows.push(vec![shown, "other issuer".into(), "revoked".into(), "-".into(), "-".into()]);
            values.push(json!({ "id": id, "proof": "other issuer", "state": "revoked" }));
        }
    }
    let text = match rows.len() {
        1 => "no agents yet: `tollgate agents add NAME` adds one\n".to_owned(),
        _ => table(&rows),
    };
    Ok(Told { text, value: values.into() })
}

pub(super) async fn show(records: &Records, name: &str) -> Result<Told, AgentsError> {
    let agents = &records.stores.agents;
    let unknown = || AgentsError::Unknown(on_one_line(name, NAME_CHARS));
    let agent = agents.find(name).await?.ok_or_else(unknown)?;
    let keys = agents.keys_of(Some(name)).await?;
    let text = facts(&agent, &keys, records.now);
    Ok(Told { text, value: value(&agent, &keys, records.now) })
}

/// What there is to know of an agent, a line each.
pub(super) fn facts(agent: &AgentRecord, keys: &[ApiKeyRecord], now: u64) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<10} {}", screen::on_one_line(value, 400));
    };
    line("name", &agent.id);
    if agent.name != agent.id {
        line("title", &agent.name);
    }
    line("proof", kind(agent, keys));
    line("state", state(agent, now));
    line("added", &format!("{}, {}", spell_minute(agent.created), origin(agent)));
    if let Some(expires) = agent.expires {
        line("ends", &spell_minute(expires));
    }
    line("last token", &agent.used.map_or_else(|| "never".to_owned(), spell_minute));
    line("scopes", &words(&agent.scopes, "none of its own"));
    line("routes", &words(&agent.routes, "all"));
    line("groups", &words(&agent.groups, "none"));
    for uri in &agent.redirect_uris {
        line("redirect", uri);
    }
    if let ClientKeys::Url(url) = &agent.keys {
        line("keys at", url);
    }
    for secret in &agent.secrets {
        line("secret", &life(secret.created, secret.expires, None));
    }
    for key in keys {
        line(
            "API key",
            &format!("{}…, {}", key.label, life(key.created, key.expires, key.revoked)),
        );
    }
    text
}

fn life(created: u64, expires: Option<u64>, revoked: Option<u64>) -> String {
    let ends = match (revoked, expires) {
        (Some(revoked), _) => format!(", revoked {}", spell_minute(revoked)),
        (None, Some(expires)) => format!(", ends {}", spell_minute(expires)),
        (None, None) => String::new(),
    };
    format!("made {}{ends}", spell_minute(created))
}

fn words(words: &[String], none: &str) -> String {
    if words.is_empty() { none.to_owned() } else { words.join(" ") }
}

fn kind(agent: &AgentRecord, keys: &[ApiKeyRecord]) -> &'static str {
    match agent.auth {
        AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost => "secret",
        AuthMethod::PrivateKeyJwt => "private key",
        AuthMethod::None if agent.grants.contains(&GrantType::JwtBearer) => "workload token",
        AuthMethod::None if !keys.is_empty() => "API key",
        AuthMethod::None => "people sign in",
    }
}

fn state(agent: &AgentRecord, now: u64) -> &'static str {
    match (agent.revoked, agent.expires) {
        (Some(_), _) => "revoked",
        (None, Some(expires)) if expires <= now => "expired",
        (None, _) => "active",
    }
}

fn origin(agent: &AgentRecord) -> &'static str {
    match agent.origin {
        Origin::Operator => "by the operator",
        Origin::Registered { .. } => "registered itself",
        Origin::Document => "by its document",
    }
}

/// An agent for machines. Digests are nobody's business.
pub(super) fn value(agent: &AgentRecord, keys: &[ApiKeyRecord], now: u64) -> Value {
    let secret = |secret: &tollgate_core::stores::SecretHash| json!({ "created": secret.created, "expires": secret.expires });
    let key = |key: &ApiKeyRecord| {
        json!({
            "label": key.label,
            "created": key.created,
            "expires": key.expires,
            "revoked": key.revoked,
        })
    };
    let keys_url = match &agent.keys {
        ClientKeys::Url(url) => Some(url),
        ClientKeys::None | ClientKeys::Inline(_) => None,
    };
    json!({
        "id": agent.id,
        "title": agent.name,
        "proof": kind(agent, keys),
        "state": state(agent, now),
        "origin": origin(agent),
        "scopes": agent.scopes,
        "routes": agent.routes,
        "groups": agent.groups,
        "redirect_uris": agent.redirect_uris,
        "grants": agent.grants,
        "created": agent.created,
        "expires": agent.expires,
        "used": agent.used,
        "revoked": agent.revoked,
        "jwks_uri": keys_url,
        "secrets": agent.secrets.iter().map(secret).collect::<Vec<_>>(),
        "api_keys": keys.iter().map(key).collect::<Vec<_>>(),
    })
}
