//! `tollgate agents revoke` and `restore`.
//!
//! Revoking names the agent and nothing else, so it works for agents of any issuer: whatever names it
//! is refused from then on. Grants that were ended and API keys that were revoked stay so.

use crate::agents::{AgentsError, change};
use crate::records::{Records, Told};
use crate::screen::on_one_line;
use serde_json::json;
use tollgate_core::stores::Revocable;

/// Longest `client_id` that can be revoked. Those of other issuers may be URLs.
const ID_BYTES_MAX: usize = 2_048;

pub(super) async fn revoke(records: &Records, name: &str) -> Result<Told, AgentsError> {
    if name.is_empty() || name.len() > ID_BYTES_MAX || name.chars().any(char::is_control) {
        return Err(AgentsError::Name(on_one_line(name, 80)));
    }
    // First what ends calls; the rest only keeps new tokens from being given.
    records.shut_out(Revocable::Agent(name.to_owned())).await?;
    let agents = &records.stores.agents;
    let is_known = agents.find(name).await?.is_some();
    if is_known {
        change(records, name, |agent| agent.revoked = agent.revoked.or(Some(records.now))).await?;
    }
    let keys = agents.revoke_keys(name, None, records.now).await?.len();
    let grants = records.end_grants(Some(name), None).await?.len();
    let shown = on_one_line(name, 80);
    let ended = format!("API keys revoked: {keys}, people's grants ended: {grants}");
    let unknown = if is_known {
        ""
    } else {
        "\nNo agent of this name is stored here: tokens of other issuers that name it are refused."
    };
    let text = format!(
        "agent `{shown}` revoked: a running gate cuts it off within a second, tokens, sessions and open streams \
         included\n{ended}{unknown}\n\nNext: `tollgate agents restore {shown}` lets it in again.\n"
    );
    let value = json!({
        "id": name,
        "state": "revoked",
        "known": is_known,
        "api_keys_revoked": keys,
        "grants_ended": grants,
    });
    Ok(Told { text, value })
}

pub(super) async fn restore(records: &Records, name: &str) -> Result<Told, AgentsError> {
    let agents = &records.stores.agents;
    let was_known = agents.find(name).await?.is_some();
    if was_known {
        change(records, name, |agent| agent.revoked = None).await?;
    }
    let was_revoked = records.stores.revocations.restore(Revocable::Agent(name.to_owned())).await?;
    let shown = on_one_line(name, 80);
    if !was_known && !was_revoked {
        return Err(AgentsError::Unknown(shown));
    }
    let text = if was_revoked {
        format!(
            "agent `{shown}` restored: tokens that have not ended are good again\n\nNext: API keys that were \
             revoked stay so, `tollgate agents rotate {shown}` makes a new one; people are asked for their \
             consent again.\n"
        )
    } else {
        format!("agent `{shown}` was not revoked; nothing has changed\n")
    };
    Ok(Told { text, value: json!({ "id": name, "state": "active", "was_revoked": was_revoked }) })
}
