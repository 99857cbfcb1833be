//! `tollgate usage`: what was used and what it costs, from the ledger of a configuration.
//!
//! Reads the file a running gate writes; only `reprice` adds to it. The operator's listener answers the
//! same questions (`GET /usage`) by the same files. Next: `usage/asked.rs`, `bill.rs`, `focus.rs`.

mod asked;
mod bill;
mod csv;
mod focus;
mod served;

pub(crate) use served::served;

use crate::cli::{LedgerArgs, RepriceArgs, UsageAction, UsageArgs};
use crate::config::{self, Checked};
use crate::{check, serve};
use asked::{Asked, AskedError};
use std::io::Write as _;
use std::process::ExitCode;
use tollgate_backends::embedded::{EmbeddedUsage, OpenError};
use tollgate_core::clock::Clock as _;
use tollgate_core::stores::{StoreError, UsageFilter, UsageLedger, UsageSums};
use tollgate_gate::system::SystemClock;
use tollgate_usage::money;
use tollgate_usage::prices::PriceBook;
use tollgate_usage::reprice::reprice;
use tollgate_usage::settings::UsageSettings;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UsageError {
    #[error(
        "`{0}` keeps no ledger: add a section `usage` (or `prices`) to it, and restart the gate"
    )]
    NoLedger(String),
    #[error(transparent)]
    Asked(#[from] AskedError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("there are more than {0} groups: ask for a shorter time, or for fewer things at once")]
    TooMany(usize),
}

/// Runs the command.
///
/// # Errors
/// What keeps it from being carried out.
pub(crate) fn run(args: &UsageArgs) -> anyhow::Result<ExitCode> {
    match &args.action {
        None => with(&args.file, async |ledger, settings| {
            let asked = Asked::of_args(args, SystemClock::default().unix_secs())?;
            answer(&asked, ledger, settings, tollgate_core::bounds::usage::GROUPS_MAX).await
        }),
        Some(UsageAction::Reprice(args)) => {
            with(&args.file, async |ledger, settings| corrected(args, ledger, settings).await)
        }
    }
}

/// Opens the ledger, works, and prints what came of it.
fn with(
    args: &LedgerArgs,
    work: impl AsyncFnOnce(&dyn UsageLedger, &UsageSettings) -> Result<String, UsageError>,
) -> anyhow::Result<ExitCode> {
    let checked = match config::look_at(&args.config) {
        Ok(checked) => checked,
        Err(report) => return Ok(check::refuse(&report)?),
    };
    let Checked { ledger: Some(file), settings, .. } = checked else {
        return Err(UsageError::NoLedger(args.config.display().to_string()).into());
    };
    let Some(usage) = settings.usage else {
        return Err(UsageError::NoLedger(args.config.display().to_string()).into());
    };
    let text = serve::runtime()?.block_on(async {
        let ledger = EmbeddedUsage::open(&file).await.map_err(UsageError::Open)?;
        anyhow::Ok(work(&ledger, &usage).await?)
    })?;
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// The answer to what is asked, as text of the format asked for.
async fn answer(
    asked: &Asked,
    ledger: &dyn UsageLedger,
    settings: &UsageSettings,
    groups_max: usize,
) -> Result<String, UsageError> {
    let book = PriceBook::new(&settings.prices);
    if asked.format == crate::cli::UsageFormat::Focus {
        let groups = sums(ledger, &asked.filter, focus::BY.to_vec(), groups_max).await?;
        return Ok(focus::text(&groups, &book));
    }
    let groups = sums(ledger, &asked.filter, asked.by.clone(), groups_max).await?;
    let counted = vec![tollgate_core::stores::UsageBy::CountedBy];
    let counted = sums(ledger, &asked.filter, counted, groups_max).await?;
    let bill = bill::Bill { asked, groups, counted, currency: book.currency() };
    Ok(match asked.format {
        crate::cli::UsageFormat::Csv => bill.csv(),
        crate::cli::UsageFormat::Json => format!("{:#}\n", bill.json()),
        crate::cli::UsageFormat::Table | crate::cli::UsageFormat::Focus => bill.table(),
    })
}

async fn sums(
    ledger: &dyn UsageLedger,
    filter: &UsageFilter,
    by: Vec<tollgate_core::stores::UsageBy>,
    max: usize,
) -> Result<Vec<UsageSums>, UsageError> {
    let groups = ledger.sums(filter.clone(), by, max + 1).await?;
    if groups.len() > max { Err(UsageError::TooMany(max)) } else { Ok(groups) }
}

async fn corrected(
    args: &RepriceArgs,
    ledger: &dyn UsageLedger,
    settings: &UsageSettings,
) -> Result<String, UsageError> {
    let filter = asked::filter(&args.span, SystemClock::default().unix_secs())?;
    let book = PriceBook::new(&settings.prices);
    let done = reprice(ledger, &book, filter, !args.dry_run).await?;
    let (calls, corrected) = (done.calls, done.corrected);
    let difference = format!("{} {}", money::text(done.difference_micros), book.currency());
    Ok(if corrected == 0 {
        format!("{calls} calls cost what the price book says; nothing to correct\n")
    } else if args.dry_run {
        format!("{corrected} of {calls} calls would be corrected, by {difference} in all\n")
    } else {
        format!("{corrected} of {calls} calls are corrected, by {difference} in all\n")
    })
}
