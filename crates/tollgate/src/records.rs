//! The store of a configuration, for the commands that look after what is in it.
//!
//! Opens the same file as a running gate, which notices what changes. What a command did is said once,
//! for people or as JSON, after it is stored. Next: `agents.rs`, `users.rs`, `keys.rs`, `pins.rs`.

use crate::cli::RecordsArgs;
use crate::config::{self, Checked};
use crate::{check, screen, serve};
use serde_json::Value;
use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tollgate_backends::embedded::{Embedded, OpenError};
use tollgate_core::clock::Clock as _;
use tollgate_core::stores::{GrantId, Pins, Revocable, Revocation, StoreError, Stores};
use tollgate_gate::settings::{Access, IdentitySettings};
use tollgate_gate::system::{SystemClock, SystemEntropy};
use tollgate_issuer::settings::IssuerSettings;

/// An open store, and the configuration it belongs to.
pub(crate) struct Records {
    pub(crate) checked: Checked,
    pub(crate) stores: Stores,
    pub(crate) pins: Arc<dyn Pins>,
    pub(crate) clock: SystemClock,
    pub(crate) entropy: SystemEntropy,
    /// Unix seconds.
    pub(crate) now: u64,
}

/// What a command has done, for people and for machines.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) text: String,
    pub(crate) value: Value,
}

/// Why nothing can be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordsError {
    #[error(
        "`{0}` lets callers in without proof, so nothing is stored: add a section `issuer` (the gate's own \
         authorization server) or `identity` (those you have)"
    )]
    NoStore(String),
    #[error(
        "`{0}` pins no tools: add `pins: {{ trust: first-use }}` below an upstream, and start the gate"
    )]
    NoPins(String),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Opens the store of who calls, works, and says what was done.
///
/// # Errors
/// Callers prove nothing, the store cannot be opened, or the work fails.
pub(crate) fn with<E>(
    args: &RecordsArgs,
    work: impl AsyncFnOnce(&Records) -> Result<Told, E>,
) -> anyhow::Result<ExitCode>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let is_kept =
        |checked: &Checked| matches!(checked.settings.identity, IdentitySettings::Required(_));
    with_kept(args, (is_kept, RecordsError::NoStore), work)
}

/// The same where these things are kept, else with this complaint about the file.
///
/// # Errors
/// There is no store, it cannot be opened, or the work fails.
pub(crate) fn with_kept<E>(
    args: &RecordsArgs,
    (is_kept, complaint): (impl Fn(&Checked) -> bool, impl Fn(String) -> RecordsError),
    work: impl AsyncFnOnce(&Records) -> Result<Told, E>,
) -> anyhow::Result<ExitCode>
where
    E: std::error::Error + Send + Sync + 'static,
{
    // What of it is used here holds no secret: a variable that is set for the gate only is no reason
    // to refuse.
    let checked = match config::look_at(&args.config) {
        Ok(checked) => checked,
        Err(report) => return Ok(check::refuse(&report)?),
    };
    let Some(file) = checked.store.clone().filter(|_| is_kept(&checked)) else {
        return Err(complaint(args.config.display().to_string()).into());
    };
    let told = serve::runtime()?.block_on(async {
        let store = Embedded::open(&file).await.map_err(RecordsError::Open)?;
        let clock = SystemClock::default();
        let now = clock.unix_secs();
        let (stores, pins) = (store.stores(), store.pins());
        let records = Records { checked, stores, pins, clock, entropy: SystemEntropy, now };
        anyhow::Ok(work(&records).await?)
    })?;
    let text = if args.json { format!("{}\n", screen::json(&told.value)) } else { told.text };
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

impl Records {
    /// The gate's own issuer.
    pub(crate) fn issuer(&self) -> Option<&IssuerSettings> {
        self.checked.issuer.as_ref()
    }

    /// How callers prove who they are. There is a store only where they must.
    pub(crate) fn access(&self) -> Option<&Access> {
        match &self.checked.settings.identity {
            IdentitySettings::Required(access) => Some(access),
            IdentitySettings::Off | IdentitySettings::LoopbackOnly => None,
        }
    }

    /// The name of the gate's own issuer, as in `iss`.
    pub(crate) fn issuer_name(&self) -> Option<String> {
        self.issuer().map(|issuer| issuer.url.origin().ascii_serialization())
    }

    /// When the last access token that exists now has surely ended.
    pub(crate) fn tokens_end(&self) -> u64 {
        let longest = Duration::from_secs(24 * 3_600);
        let life = self.issuer().map_or(longest, |issuer| issuer.life.access_token.max(longest));
        self.now.saturating_add(life.as_secs())
    }

    /// Keeps everything of somebody out, from now on and until it is taken back.
    pub(crate) async fn shut_out(&self, what: Revocable) -> Result<(), StoreError> {
        self.shut_out_until(what, u64::MAX).await
    }

    /// The same for somebody who never comes back: forgotten when nothing of theirs is left.
    pub(crate) async fn shut_out_until(
        &self,
        what: Revocable,
        until: u64,
    ) -> Result<(), StoreError> {
        let revocation = Revocation { what, before: u64::MAX, until };
        self.stores.revocations.revoke(revocation).await
    }

    /// Ends the grants of an agent, or of a person.
    pub(crate) async fn end_grants(
        &self,
        agent: Option<&str>,
        subject: Option<&str>,
    ) -> Result<Vec<GrantId>, StoreError> {
        self.stores.grants.end_all(agent, subject, self.tokens_end()).await
    }
}

/// The lines of a table, its columns as wide as they must be.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["a".to_owned(), "é".to_owned(), String::new()], vec!["long".to_owned()]];
        assert_eq!(table(&rows), "a     é\nlong\n");
    }
}
