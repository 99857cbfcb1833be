//! What is shown once of a new agent, and how it is used: lines that work when they are pasted.

use crate::records::Records;
use serde_json::Value;
use std::fmt::Write as _;
use tollgate_core::stores::AgentRecord;
use tollgate_identity::settings::Door;

/// What an agent proves itself by; what is in here is stored nowhere.
pub(super) enum Proof {
    /// A client secret.
    Secret(String),
    /// An API key.
    ApiKey(String),
    /// A key of its own.
    PrivateKey,
    /// A token of somebody else.
    Workload,
    /// Whoever signs in.
    Person,
}

/// Adds what is shown once to what machines read.
pub(super) fn reveal(value: &mut Value, proof: &Proof) {
    match proof {
        Proof::Secret(secret) => value["client_secret"] = secret.as_str().into(),
        Proof::ApiKey(key) => value["api_key"] = key.as_str().into(),
        Proof::PrivateKey | Proof::Workload | Proof::Person => {}
    }
}

/// How an agent gets in.
pub(super) fn text(records: &Records, agent: &AgentRecord, proof: &Proof) -> String {
    let id = &agent.id;
    let door = door(records, agent);
    let resource = door.map_or("URL", |door| door.resource.as_str());
    let token = token_endpoint(records);
    let call =
        format!("  tollgate tools --url {resource} -H \"Authorization: Bearer $TOKEN\" list\n");
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = match proof {
        Proof::Secret(secret) => write!(
            text,
            "client_id      {id}\nclient_secret  {secret}\n\
             Shown this once: put it where the agent runs. Agents that know MCP authorization need these two and the \
             URL {resource}\n\n\
             A token, and a call with it:\n\
             \x20 TOKEN=$(curl -sS -u '{id}:{secret}' -d grant_type=client_credentials{scope} \
             --data-urlencode 'resource={resource}' {token} | {ACCESS_TOKEN})\n{call}",
            scope = scope(agent),
        ),
        Proof::ApiKey(key) => write!(
            text,
            "api_key  {key}\n\
             Shown this once: put it where the agent runs. It is sent with every request, as `Authorization: Bearer \
             {key}`\n\n\
             A call with it:\n\
             \x20 TOKEN={key}\n{call}"
        ),
        Proof::PrivateKey => writeln!(
            text,
            "It gets tokens at {token} for the resource {resource}, with an assertion (RFC 7523) that its private \
             key signs: `iss` and `sub` are `{id}`, `aud` is {audience}.",
            audience = records.issuer_name().unwrap_or_default(),
        ),
        Proof::Workload => write!(text, "{}", workload(records, agent, (&token, resource))),
        Proof::Person => writeln!(
            text,
            "People sign in for it: its `client_id` is `{id}`, without a secret, and the URL is {resource}"
        ),
    };
    text
}

fn workload(records: &Records, agent: &AgentRecord, (token, resource): (&str, &str)) -> String {
    let id = &agent.id;
    let issuers = records.issuer().map(|issuer| issuer.workloads.as_slice()).unwrap_or_default();
    let maps = issuers.iter().find(|each| each.subjects.iter().any(|(_, agent)| agent == id));
    let Some(issuer) = maps else {
        return format!(
            "Next: say whose workload it is, in the configuration:\n\
             \x20 issuer: {{ workloads: [{{ url: \"https://ISSUER\", subjects: {{ \"SUB\": {id} }} }}] }}\n"
        );
    };
    format!(
        "It trades a token of {} for one of the gate:\n\
         \x20 TOKEN=$(curl -sS --data-urlencode grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer \
         --data-urlencode \"assertion=$WORKLOAD_TOKEN\" --data-urlencode 'resource={resource}' {token} | \
         {ACCESS_TOKEN})\n",
        issuer.url
    )
}

/// Takes the token out of the answer, with what every machine has.
pub(crate) const ACCESS_TOKEN: &str = r#"sed -n 's/.*"access_token" *: *"\([^"]*\)".*/\1/p'"#;

/// The scopes to ask for. Without any, an agent gets all it may have, unless those are patterns.
fn scope(agent: &AgentRecord) -> String {
    let is_pattern = |scope: &String| scope.ends_with('*');
    match agent.scopes.first() {
        Some(first) if agent.scopes.iter().all(is_pattern) => {
            format!(" --data-urlencode 'scope={}NAME'", first.trim_end_matches('*'))
        }
        Some(_) | None => String::new(),
    }
}

/// The first route the agent may use.
fn door<'r>(records: &'r Records, agent: &AgentRecord) -> Option<&'r Door> {
    let may = |door: &&Door| agent.routes.is_empty() || agent.routes.contains(&door.path);
    records.access()?.doors.iter().find(may)
}

fn token_endpoint(records: &Records) -> String {
    format!("{}/oauth/token", records.issuer_name().unwrap_or_default())
}
