//! `tollgate pins`: tools as they were approved, and what became of them since.
//!
//! What is approved is what was looked at: each approval names a digest, and a definition that changed
//! between the look and the approval is not approved. Text of upstreams is never printed as it is.
//!
//! Next: `pins/look.rs` (what is known of each tool), `pins/list.rs`, `pins/diff.rs`, `pins/approve.rs`.

mod approve;
mod diff;
mod list;
mod look;

use crate::cli::{PinsAction, PinsArgs};
use crate::config::Checked;
use crate::records::{self, Records, RecordsError};
use crate::screen::on_one_line;
use std::process::ExitCode;
use tollgate_core::ids::UpstreamName;
use tollgate_core::stores::StoreError;

/// Longest name of a tool that is printed whole.
const NAME_CHARS_MAX: usize = 80;

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PinsError {
    #[error("there is no upstream `{asked}`; the upstreams are: {known}")]
    NoUpstream { asked: String, known: String },
    #[error(
        "upstream `{upstream}` has shown no tool `{tool}`; `tollgate pins list --upstream {upstream}` shows all"
    )]
    NoTool { upstream: String, tool: String },
    #[error(
        "nothing says which tools of `{0}`: name them, or write `--all`; `tollgate pins diff {0}` shows what waits"
    )]
    NoneNamed(String),
    #[error("`--digest` is that of one tool, or of `--all`: leave it out, or name one tool")]
    ManyDigests,
    #[error(
        "`{0}` is no digest: write the 12 to 64 hexadecimal digits that `tollgate pins diff` prints"
    )]
    NoDigest(String),
    #[error(
        "what upstream `{0}` shows is not what you looked at: nothing was approved; look again with `tollgate pins diff {0}`"
    )]
    Changed(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Runs the command.
///
/// # Errors
/// What keeps it from being carried out.
pub(crate) fn run(args: &PinsArgs) -> anyhow::Result<ExitCode> {
    // What was once pinned can be looked at wherever there is a store.
    let is_kept = |checked: &Checked| checked.store.is_some();
    records::with_kept(&args.records, (is_kept, RecordsError::NoPins), async |records| match &args
        .action
    {
        PinsAction::List { upstream } => list::list(records, upstream.as_deref()).await,
        PinsAction::Diff { upstream, tool } => diff::diff(records, upstream, tool.as_deref()).await,
        PinsAction::Approve(what) => approve::approve(records, what).await,
        PinsAction::Forget { upstream, tools, all } => {
            approve::forget(records, upstream, tools, *all).await
        }
    })
}

/// Passes for an upstream of the configuration, and for one that has pins from another time.
async fn known(records: &Records, upstream: &str) -> Result<(), PinsError> {
    let configured = || records.checked.settings.upstreams.iter().map(|one| &one.name);
    if configured().any(|name| name.as_str() == upstream) {
        return Ok(());
    }
    if !records.pins.all(Some(upstream.to_owned())).await?.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = configured().map(UpstreamName::as_str).collect();
    let asked = on_one_line(upstream, NAME_CHARS_MAX);
    Err(PinsError::NoUpstream { asked, known: names.join(", ") })
}

fn no_tool(upstream: &str, tool: &str) -> PinsError {
    let tool = on_one_line(tool, NAME_CHARS_MAX);
    PinsError::NoTool { upstream: upstream.to_owned(), tool }
}
