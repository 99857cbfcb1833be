//! `tollgate doctor`: looks at everything a gate needs, and says what to do about what is wrong.
//!
//! Reads what `serve` reads, and asks every upstream who it is, as the gate would; leaves no session and
//! no process behind. Every check has its time, they run side by side, and their findings come in the
//! same order every time. Repairs nothing.
//!
//! Read in this order.

mod finding;

mod machine;

mod listeners;

mod certificates;

mod upstreams;

mod look;

use crate::cli::{DoctorArgs, EXIT_FAILED, LogArgs};
use crate::config::{self, Checked};
use crate::serve;
use finding::{Finding, Level};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

/// Runs the command.
///
/// # Errors
/// The operating system has no threads left, or standard output is closed.
pub(crate) fn run(args: &DoctorArgs, log: &LogArgs) -> anyhow::Result<ExitCode> {
    // What the checks find is said once, at its place.
    serve::start_log(&serve::quiet(log))?;
    let findings = serve::runtime()?.block_on(examine(&args.config));
    let mut text = String::new();
    for finding in &findings {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{finding}");
    }
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    let (failures, warnings) = (count(Level::Fail), count(Level::Warn));
    let _ = writeln!(text, "{failures} to repair, {warnings} to look at");
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(if failures > 0 { ExitCode::from(EXIT_FAILED) } else { ExitCode::SUCCESS })
}

async fn examine(path: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    let checked = match config::load(path) {
        Ok(checked) => {
            findings.push(good(path, &checked));
            let warning = |text: &String| Finding::warn("configuration", text);
            findings.extend(checked.warnings.iter().map(warning));
            Some(checked)
        }
        Err(report) => {
            findings.push(
                Finding::fail("configuration", "it cannot be served")
                    .advise("put right what follows"),
            );
            findings.extend(report.to_string().lines().map(Finding::detail));
            None
        }
    };
    // With a variable missing, there is still much to look at; but nobody is sent a made-up secret.
    let looked = checked.clone().or_else(|| config::look_at(path).ok());
    findings.extend(machine::clock());
    let connections = looked.as_ref().map(|looked| looked.settings.limits.connections_max);
    findings.push(machine::descriptors(connections));
    let Some(looked) = looked else { return findings };
    findings.extend(listeners::examine(&looked).await);
    findings.extend(certificates::examine(&looked.settings));
    match &checked {
        Some(checked) => findings.extend(upstreams::examine(&checked.settings).await),
        None => findings.push(
            Finding::warn("upstreams", "not asked")
                .advise("put the configuration right first: a wrong credential proves nothing"),
        ),
    }
    findings
}

fn good(path: &Path, checked: &Checked) -> Finding {
    let settings = &checked.settings;
    let text = format!(
        "{} (version {}): upstreams: {}, routes: {}",
        path.display(),
        settings.version,
        settings.upstreams.len(),
        settings.routes.len()
    );
    Finding::ok("configuration", &text)
}
