//! `tollgate agents rotate`: something new to prove itself by, beside the old for a while.

use crate::agents::add::{api_key, secret_hash};
use crate::agents::usage::{self, Proof};
use crate::agents::{AgentsError, change, good_keys, public_keys, show};
use crate::cli::RotateArgs;
use crate::dates::spell_minute;
use crate::records::{Records, Told};
use std::time::Duration;
use tollgate_core::stores::{AgentRecord, AuthMethod, ClientKeys, Revocable, SecretHash};
use tollgate_oauth::secret;

pub(super) async fn rotate(records: &Records, how: &RotateArgs) -> Result<Told, AgentsError> {
    let name = &how.name;
    let agents = &records.stores.agents;
    let agent = agents.find(name).await?.ok_or_else(|| AgentsError::Unknown(name.clone()))?;
    if agent.revoked.is_some() {
        return Err(AgentsError::Revoked(name.clone()));
    }
    let refuse = |why| Err(AgentsError::NothingToRotate { name: name.clone(), why });
    match (&agent.keys, agent.auth, &how.jwks) {
        (ClientKeys::Inline(_), AuthMethod::PrivateKeyJwt, Some(path)) => {
            let keys = public_keys(path)?;
            let agent = change(records, name, |agent| {
                agent.keys = ClientKeys::Inline(keys.clone());
            });
            let agent = agent.await?;
            let text = format!(
                "agent `{name}` has the keys of {}; those it had before are not good any more\n",
                path.display()
            );
            Ok(Told { text, value: show::value(&agent, &[], records.now) })
        }
        (_, _, Some(_)) => refuse("does not prove itself by a key set that is stored here"),
        (ClientKeys::Inline(_), AuthMethod::PrivateKeyJwt, None) => refuse(
            "proves itself by a key of its own: put the new public key beside the old one and give the file with \
             `--jwks FILE`, later the file without the old one",
        ),
        (_, AuthMethod::PrivateKeyJwt, None) => {
            refuse("proves itself by keys at a URL: publish the new one there")
        }
        (_, AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost, None) => {
            new_secret(records, name, how.overlap).await
        }
        (_, AuthMethod::None, None) => new_key(records, &agent, how.overlap).await,
    }
}

async fn new_secret(records: &Records, name: &str, overlap: Duration) -> Result<Told, AgentsError> {
    let text = secret::mint(secret::CLIENT_SECRET, &records.entropy);
    let new = secret_hash(&text, records.now);
    let ends = records.now.saturating_add(overlap.as_secs());
    let agent = change(records, name, |agent| {
        agent.secrets = beside(&agent.secrets, &new, ends, records.now);
    });
    let agent = agent.await?;
    Ok(told(records, &agent, Proof::Secret(text), ends))
}

/// The new secret, beside the youngest of the old ones until that ends.
fn beside(old: &[SecretHash], new: &SecretHash, ends: u64, now: u64) -> Vec<SecretHash> {
    let mut kept: Vec<SecretHash> = old
        .iter()
        .map(|old| SecretHash {
            expires: Some(old.expires.map_or(ends, |expires| expires.min(ends))),
            ..old.clone()
        })
        .filter(|old| old.expires.is_none_or(|expires| expires > now))
        .collect();
    kept.sort_by_key(|old| old.created);
    let kept = kept.pop();
    kept.into_iter().chain([new.clone()]).collect()
}

async fn new_key(
    records: &Records,
    agent: &AgentRecord,
    overlap: Duration,
) -> Result<Told, AgentsError> {
    let agents = &records.stores.agents;
    let known = agents.keys_of(Some(&agent.id)).await?;
    if known.is_empty() {
        let why = "has no secret and no API key: people or workloads prove who they are";
        return Err(AgentsError::NothingToRotate { name: agent.id.clone(), why });
    }
    let text = secret::mint(secret::API_KEY, &records.entropy);
    let new = api_key(records, agent, &text);
    agents.add_key(new).await?;
    let ends = records.now.saturating_add(overlap.as_secs());
    for old in good_keys(known, records.now) {
        if overlap.is_zero() {
            agents.revoke_keys(&agent.id, Some(&old.label), records.now).await?;
            records.shut_out(Revocable::api_key(&old.digest)).await?;
        } else {
            agents.end_key(old.digest, ends).await?;
        }
    }
    Ok(told(records, agent, Proof::ApiKey(text), ends))
}

fn told(records: &Records, agent: &AgentRecord, proof: Proof, ends: u64) -> Told {
    let (what, old) = match &proof {
        Proof::ApiKey(_) => ("API key", "the old one"),
        _ => ("secret", "the old one"),
    };
    let until = if ends > records.now {
        format!("{old} stays good until {}", spell_minute(ends))
    } else {
        format!("{old} is not good any more")
    };
    let mut value = show::value(agent, &[], records.now);
    usage::reveal(&mut value, &proof);
    value["old_ends"] = ends.into();
    let text = format!(
        "agent `{}` has a new {what}; {until}\n\n{}",
        agent.id,
        usage::text(records, agent, &proof)
    );
    Told { text, value }
}

#[cfg(test)]
mod tests {
    use super::beside;
    use tollgate_core::stores::{Digest, SecretHash};

    fn secret(id: u8, created: u64, expires: Option<u64>) -> SecretHash {
        SecretHash { digest: Digest([id; 32]), created, expires }
    }

    #[test]
    fn the_youngest_old_secret_is_good_for_a_while() {
        let new = secret(9, 100, None);
        let old = [secret(1, 10, Some(120)), secret(2, 20, None)];
        assert_eq!(beside(&old, &new, 150, 100), [secret(2, 20, Some(150)), new.clone()]);
        // One that ends sooner still does, and one that has ended is gone.
        assert_eq!(beside(&old[..1], &new, 150, 100), [secret(1, 10, Some(120)), new.clone()]);
        assert_eq!(beside(&old, &new, 100, 100), [new]);
    }
}
