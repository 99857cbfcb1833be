//! `tollgate serve`.

use crate::cli::{LogArgs, ServeArgs};

/// Runs the gate.
///
/// # Errors
/// Always: it is not built yet.
pub(crate) fn run(_: &ServeArgs, _: &LogArgs) -> anyhow::Result<std::process::ExitCode> {
    anyhow::bail!("not built yet")
}
