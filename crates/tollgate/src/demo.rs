//! `tollgate demo`.

use crate::cli::{DemoArgs, LogArgs};

/// Runs the demo.
///
/// # Errors
/// Always: it is not built yet.
pub(crate) fn run(_: &DemoArgs, _: &LogArgs) -> anyhow::Result<std::process::ExitCode> {
    anyhow::bail!("not built yet")
}
