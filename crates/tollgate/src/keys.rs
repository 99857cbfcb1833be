//! `tollgate keys`: the signing keys of the gate's own issuer, and rotating them before it is time.
//!
//! Shows no private key. Next: `tollgate_issuer::keys` for the schedule.

use crate::cli::{KeysAction, KeysArgs};
use crate::dates::spell_minute;
use crate::records::{self, Records, Told, table};
use serde_json::{Value, json};
use std::process::ExitCode;
use tollgate_core::stores::{SigningKeyRecord, StoreError};
use tollgate_issuer::keys::SigningError;
use tollgate_issuer::settings::IssuerSettings;

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeysError {
    #[error(
        "the gate has no issuer of its own, so it signs nothing: add a section `issuer` to the configuration"
    )]
    NoIssuer,
    #[error(transparent)]
    Signing(#[from] SigningError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Runs the command.
///
/// # Errors
/// What keeps it from being carried out.
pub(crate) fn run(args: &KeysArgs) -> anyhow::Result<ExitCode> {
    records::with(&args.records, async |records| {
        let issuer = records.issuer().ok_or(KeysError::NoIssuer)?;
        match args.action {
            KeysAction::List => list(records).await,
            KeysAction::Rotate { now } => rotate(records, issuer, now).await,
        }
    })
}

async fn list(records: &Records) -> Result<Told, KeysError> {
    let keys = records.stores.keys.all().await?;
    let mut rows = vec![
        ["KEY ID", "ALGORITHM", "STATE", "SIGNS FROM", "PUBLISHED UNTIL"]
            .map(String::from)
            .to_vec(),
    ];
    for key in &keys {
        rows.push(vec![
            key.kid.clone(),
            key.algorithm.clone(),
            state(key, &keys, records.now).to_owned(),
            spell_minute(key.activates),
            key.retires.map_or_else(|| "-".to_owned(), spell_minute),
        ]);
    }
    let text = match keys.len() {
        0 => "no keys yet: the gate makes the first when it starts\n".to_owned(),
        _ => table(&rows),
    };
    let value = keys.iter().map(|key| value(key, &keys, records.now)).collect();
    Ok(Told { text, value })
}

/// Of those whose time has come, the one made last signs.
fn state(key: &SigningKeyRecord, all: &[SigningKeyRecord], now: u64) -> &'static str {
    let is_there = |key: &&SigningKeyRecord| key.retires.is_none_or(|retires| retires > now);
    let signs = all.iter().filter(is_there).rfind(|key| key.activates <= now);
    match (signs, key.retires) {
        (Some(signs), _) if signs.kid == key.kid => "signs",
        (_, Some(retires)) if retires <= now => "ended",
        (_, _) if key.activates > now => "next",
        (_, _) => "verifies only",
    }
}

fn value(key: &SigningKeyRecord, all: &[SigningKeyRecord], now: u64) -> Value {
    json!({
        "kid": key.kid,
        "algorithm": key.algorithm,
        "state": state(key, all, now),
        "created": key.created,
        "activates": key.activates,
        "retires": key.retires,
    })
}

async fn rotate(records: &Records, issuer: &IssuerSettings, now: bool) -> Result<Told, KeysError> {
    let kid = tollgate_issuer::keys::rotate(issuer, &records.stores, &records.clock, now).await?;
    let keys = records.stores.keys.all().await?;
    let activates = keys.iter().find(|key| key.kid == kid).map_or(records.now, |key| key.activates);
    let text = format!(
        "key `{kid}` made: published at once, signs from {}\n\nNext: nothing to do. Tokens signed before stay good \
         until they end.\n",
        spell_minute(activates)
    );
    Ok(Told { text, value: json!({ "kid": kid, "activates": activates }) })
}
