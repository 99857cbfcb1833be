//! `tollgate agents`: who calls through the gate, and with what they prove it.
//!
//! A secret or an API key is shown once, by the command that made it; what is stored is its digest.
//!
//! Next: `agents/add.rs`, `agents/rotate.rs`, `agents/cut.rs` (revoke and restore), `agents/show.rs`.

mod add;

mod rotate;

mod cut;

mod show;

mod usage;

pub(crate) use add::add;
pub(crate) use usage::ACCESS_TOKEN;

use crate::cli::{AgentsAction, AgentsArgs};
use crate::records::{self, Records};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tollgate_core::bounds::outbound::FETCH_BYTES_MAX;
use tollgate_core::stores::{AgentRecord, ApiKeyRecord, StoreError};
use tollgate_oauth::keys::{KeySet, KeysFault};

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AgentsError {
    #[error(
        "`{0}` cannot be the name of an agent: write letters, digits, `.`, `_` and `-`, at most 64"
    )]
    Name(String),
    #[error(
        "there is an agent `{0}` already: `tollgate agents rotate {0}` gives it something new, or choose another name"
    )]
    Taken(String),
    #[error("there is no agent `{0}`; `tollgate agents list` shows all")]
    Unknown(String),
    #[error(
        "agents with {0} trade it for tokens at the gate's own issuer: add a section `issuer` to the configuration, or use `--api-key`"
    )]
    NoIssuer(&'static str),
    #[error("API keys are switched off: remove `api_keys: false` from `identity`")]
    NoApiKeys,
    #[error("there is no route `{asked}`; the routes are: {known}")]
    NoRoute { asked: String, known: String },
    #[error(
        "`{0}` is not a scope: write visible ASCII characters without spaces, `\"` and `\\`, as in `mcp` or `tool:github__*`"
    )]
    Scope(String),
    #[error("`{uri}` cannot be redirected to: {why}")]
    Redirect { uri: String, why: String },
    #[error("`{0}` is not a URL that keys can come from: write one with `https://`")]
    KeysUrl(String),
    #[error("{path}: {why}")]
    File { path: PathBuf, why: std::io::Error },
    #[error("{path}: {why}")]
    Keys { path: PathBuf, why: KeysFault },
    #[error(
        "{0}: no key in it can be used; it must be a JWK set with RSA keys of 2048 bits or more, P-256, P-384 or Ed25519"
    )]
    NoKeys(PathBuf),
    #[error(
        "{0}: a private key is in it; keep that where the agent runs, and give only the public part"
    )]
    PrivateKeys(PathBuf),
    #[error("agent `{0}` is revoked: `tollgate agents restore {0}` first")]
    Revoked(String),
    #[error("agent `{name}` {why}")]
    NothingToRotate { name: String, why: &'static str },
    #[error(
        "somebody changed agent `{0}` at the same time: look at it with `tollgate agents show {0}`, then try again"
    )]
    Contended(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Runs the command.
///
/// # Errors
/// What keeps it from being carried out.
pub(crate) fn run(args: &AgentsArgs) -> anyhow::Result<ExitCode> {
    records::with(&args.records, async |records| match &args.action {
        AgentsAction::Add(new) => add(records, new).await,
        AgentsAction::List => show::list(records).await,
        AgentsAction::Show(which) => show::show(records, &which.name).await,
        AgentsAction::Rotate(how) => rotate::rotate(records, how).await,
        AgentsAction::Revoke(which) => cut::revoke(records, &which.name).await,
        AgentsAction::Restore(which) => cut::restore(records, &which.name).await,
    })
}

/// A change of an agent is tried so often against others who change it.
const CHANGE_TRIES: usize = 5;

/// Changes what is stored of an agent; what it was before and what it is now.
async fn change(
    records: &Records,
    name: &str,
    how: impl Fn(&mut AgentRecord),
) -> Result<AgentRecord, AgentsError> {
    for _ in 0..CHANGE_TRIES {
        let agents = &records.stores.agents;
        let old = agents.find(name).await?.ok_or_else(|| AgentsError::Unknown(name.to_owned()))?;
        let mut agent = old.clone();
        how(&mut agent);
        if agents.replace(old, agent.clone()).await? {
            return Ok(agent);
        }
    }
    Err(AgentsError::Contended(name.to_owned()))
}

/// The API keys of an agent that are good at this time.
fn good_keys(keys: Vec<ApiKeyRecord>, now: u64) -> Vec<ApiKeyRecord> {
    let is_good = |key: &ApiKeyRecord| {
        key.revoked.is_none() && key.expires.is_none_or(|expires| expires > now)
    };
    keys.into_iter().filter(is_good).collect()
}

/// Reads the public keys of an agent.
fn public_keys(path: &Path) -> Result<String, AgentsError> {
    let file = |why| AgentsError::File { path: path.to_owned(), why };
    let too_long = || std::io::Error::other(format!("it is larger than {FETCH_BYTES_MAX} bytes"));
    let json = crate::config::read_bounded(path, FETCH_BYTES_MAX).map_err(file)?;
    let json = json.ok_or_else(|| file(too_long()))?;
    let keys =
        KeySet::parse(&json).map_err(|why| AgentsError::Keys { path: path.to_owned(), why })?;
    let raw: serde_json::Value = serde_json::from_slice(&json).unwrap_or_default();
    // SPEC: RFC 7517 section 4, RFC 7518 sections 6.2.2 and 6.3.2: what is private is in `d`.
    let is_private = |key: &serde_json::Value| key.get("d").is_some() || key.get("k").is_some();
    if raw["keys"].as_array().is_some_and(|keys| keys.iter().any(is_private)) {
        return Err(AgentsError::PrivateKeys(path.to_owned()));
    }
    if keys.is_empty() {
        return Err(AgentsError::NoKeys(path.to_owned()));
    }
    Ok(keys.to_json().to_string())
}
