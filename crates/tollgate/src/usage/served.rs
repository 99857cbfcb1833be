//! The same questions over the operator's listener: `GET /usage?by=agent,tool&since=7d`.

use super::asked::Asked;
use super::{UsageError, answer};
use crate::cli::UsageFormat;
use tollgate_console::UsageAnswer;
use tollgate_core::bounds::usage::GROUPS_SHOWN_MAX;
use tollgate_core::stores::UsageLedger;
use tollgate_usage::settings::UsageSettings;

/// Answers a query at this time (Unix seconds).
pub(crate) async fn served(
    query: &str,
    now: u64,
    ledger: &dyn UsageLedger,
    settings: &UsageSettings,
) -> UsageAnswer {
    let asked = match Asked::of_query(query, now) {
        Ok(asked) => asked,
        Err(error) => return UsageAnswer::Refused(error.to_string()),
    };
    match answer(&asked, ledger, settings, GROUPS_SHOWN_MAX).await {
        Ok(text) => UsageAnswer::Text {
            media_type: match asked.format {
                UsageFormat::Json => "application/json",
                UsageFormat::Table => "text/plain; charset=utf-8",
                UsageFormat::Csv | UsageFormat::Focus => "text/csv; charset=utf-8",
            },
            text,
        },
        Err(error @ UsageError::TooMany(_)) => UsageAnswer::Refused(error.to_string()),
        Err(error) => UsageAnswer::Unavailable(error.to_string()),
    }
}
