//! `tollgate check`: a summary of a configuration that may be served, or the report on one that may not.
//!
//! Reads what `serve` reads and touches nothing else: no port is opened, no upstream is called.

use crate::cli::CheckArgs;
use crate::config::{self, Checked, Report};
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use tollgate_core::ids::UpstreamName;
use tollgate_gate::settings::{
    ClientCertificates, IdentitySettings, Isolation, Settings, Transport, UpstreamSettings,
};
use tollgate_identity::settings::{CertificateName, TokenSettings};
use tollgate_issuer::settings::{IssuerSettings, SignIn};
use tollgate_policy::settings::{Mode, PolicySettings};

/// Capabilities that a later section of the file will switch on, for the list of what is off.
const ABSENT: [&str; 2] = ["audit", "telemetry"];

/// Runs the command.
///
/// # Errors
/// Standard output or standard error is closed.
pub(crate) fn run(args: &CheckArgs) -> io::Result<ExitCode> {
    match config::load(&args.config) {
        Ok(checked) => {
            let mut diagnostics = io::stderr().lock();
            for warning in &checked.warnings {
                writeln!(diagnostics, "warning: {warning}")?;
            }
            io::stdout().lock().write_all(summary(&args.config, &checked).as_bytes())?;
            Ok(ExitCode::SUCCESS)
        }
        Err(report) => refuse(&report),
    }
}

/// Writes a report to standard error and gives the exit code for it.
///
/// # Errors
/// Standard error is closed.
pub(crate) fn refuse(report: &Report) -> io::Result<ExitCode> {
    writeln!(io::stderr().lock(), "{report}")?;
    Ok(ExitCode::from(crate::cli::EXIT_REFUSED))
}

fn summary(path: &Path, checked: &Checked) -> String {
    let settings = &checked.settings;
    let mut text = format!("ok: {} (version {})\n", path.display(), settings.version);
    let mut line = |name: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "  {name:<9} {value}");
    };
    line("gate", gate(settings));
    line("admin", format!("http://{}", checked.admin));
    for upstream in &settings.upstreams {
        line("upstream", format!("{}: {}", upstream.name, reached(upstream)));
    }
    for route in &settings.routes {
        let names: Vec<&str> = route.upstreams.iter().map(UpstreamName::as_str).collect();
        let old = if route.sse { " (HTTP+SSE too)" } else { "" };
        line("route", format!("{}{old} -> {}", route.path, names.join(", ")));
    }
    identity(&mut line, checked);
    if let (Some(usage), Some(file)) = (&settings.usage, &checked.ledger) {
        let prices = counts(&[(usage.prices.entries.len(), "price")]);
        let currency = &usage.prices.currency;
        line("usage", format!("{prices} in {currency}; rows in {}", file.display()));
    }
    if settings.sessions.keys.is_empty() {
        line("sessions", "sealed with a random key: they do not outlive the process".to_owned());
    }
    let mut off = Vec::new();
    match &settings.policy {
        Some(policy) => line("policy", self::policy(policy)),
        None => off.push("policy"),
    }
    match &settings.quotas {
        Some(limits) => line(
            "limits",
            counts(&[(limits.levels.len(), "limit"), (limits.budgets.len(), "budget")]),
        ),
        None => off.push("limits"),
    }
    off.extend(ABSENT);
    line("off", off.join(", "));
    text
}

fn policy(policy: &PolicySettings) -> String {
    let mode = match policy.mode {
        Mode::Enforce => "enforced",
        Mode::Shadow => "in shadow: decided and recorded, nothing refused",
    };
    let counts = counts(&[
        (policy.roles.len(), "role"),
        (policy.bindings.len(), "binding"),
        (policy.scopes.len(), "scope"),
    ]);
    format!("{counts} ({mode})")
}

/// How many there are of each.
fn counts(counted: &[(usize, &str)]) -> String {
    let each = counted.iter().map(|(count, word)| match count {
        1 => format!("1 {word}"),
        count => format!("{count} {word}s"),
    });
    each.collect::<Vec<_>>().join(", ")
}

/// Who may call, and what that takes.
fn identity(line: &mut impl FnMut(&str, String), checked: &Checked) {
    let access = match &checked.settings.identity {
        IdentitySettings::Off => {
            return line("identity", "off, as written: anonymous callers from anywhere".to_owned());
        }
        IdentitySettings::LoopbackOnly => {
            return line("identity", "none: callers on this machine only".to_owned());
        }
        IdentitySettings::Required(access) => access,
    };
    for issuer in &access.identity.issuers {
        let how = match &issuer.tokens {
            TokenSettings::Jwt { .. } => "its JWTs",
            TokenSettings::Opaque(_) => "its tokens, asked about",
            TokenSettings::Own => "the gate's own, its JWTs",
        };
        line("identity", format!("{}: {} ({how})", issuer.name, issuer.url));
    }
    if access.identity.api_keys {
        line("identity", "API keys".to_owned());
    }
    if let Some(named) = access.identity.certificates {
        let named = match named {
            CertificateName::Dns => "DNS name",
            CertificateName::Spiffe => "SPIFFE id",
            CertificateName::Email => "e-mail address",
        };
        line("identity", format!("client certificates, by {named}"));
    }
    for door in &access.doors {
        let by = match door.issuers.as_slice() {
            [] => String::new(),
            names => format!(" of {}", names.join(", ")),
        };
        let carrying = match door.scopes.as_slice() {
            [] => String::new(),
            scopes => format!(" with {}", scopes.join(" ")),
        };
        line("tokens", format!("for {}{by}{carrying}", door.resource));
    }
    if let Some(issuer) = &checked.issuer {
        line("sign-in", sign_in(issuer));
    }
    if let Some(store) = &checked.store {
        line("store", store.display().to_string());
    }
}

fn sign_in(issuer: &IssuerSettings) -> String {
    let people = match &issuer.sign_in {
        SignIn::Nobody => "nobody: machines only".to_owned(),
        SignIn::Accounts => "local accounts (`tollgate users add`)".to_owned(),
        SignIn::Provider(provider) => format!("at {} ({})", provider.name, provider.url),
    };
    let registration = match (issuer.registration.dynamic, issuer.registration.documents) {
        (true, true) => "agents register themselves, or are documents",
        (true, false) => "agents register themselves",
        (false, true) => "agents are documents",
        (false, false) => "agents are added by `tollgate agents add` only",
    };
    format!("{people}; {registration}")
}

fn reached(upstream: &UpstreamSettings) -> String {
    let stdio = match &upstream.transport {
        Transport::Stdio(stdio) => stdio,
        transport @ (Transport::Http | Transport::Sse) => {
            let old = if *transport == Transport::Sse { " (HTTP+SSE)" } else { "" };
            return match upstream.endpoints.as_slice() {
                // The origin only: paths and queries of some servers hold their key.
                [one] => format!("{}{old}", one.origin().ascii_serialization()),
                many => format!("{} endpoints", many.len()),
            };
        }
    };
    // Arguments only by their number: some servers take their key there.
    let arguments = match stdio.args.len() {
        0 => "no arguments".to_owned(),
        1 => "1 argument".to_owned(),
        count => format!("{count} arguments"),
    };
    let shared = match stdio.isolation {
        Isolation::Session => "a process for each session",
        Isolation::Agent => "a process for each agent",
        Isolation::Shared => "one process for all",
    };
    format!("{} with {arguments} (stdio, {shared})", stdio.command)
}

fn gate(settings: &Settings) -> String {
    let scheme = if settings.tls.is_some() { "https" } else { "http" };
    let certificates = match settings.tls.as_ref().map(|tls| &tls.client) {
        Some(ClientCertificates::Required(_)) => ", client certificates required",
        Some(ClientCertificates::Optional(_)) => ", client certificates optional",
        Some(ClientCertificates::Off) | None => "",
    };
    let public = settings.public_url.as_ref().map(|url| format!(", known as {url}"));
    format!("{scheme}://{}{}{certificates}", settings.listen, public.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use crate::check::summary;
    use crate::config::from_text;
    use std::path::Path;

    const FILE: &str = "upstreams:
  files: { stdio: { command: /opt/bin/server, args: [--key, hunter2], env: { KEY: hunter2 }, isolation: agent } }
  old: { sse: { url: \"http://old:1/hunter2/sse?key=hunter2\" } }
  both: { http: { endpoints: [\"http://a/\", \"http://b/\"] } }
routes:
  /mcp: { upstreams: [files, old], sse: true }
  /both: { upstreams: [both] }
";

    #[test]
    fn a_summary_says_how_upstreams_are_reached_and_no_secret() {
        let checked = from_text("tollgate.yaml", Path::new(""), FILE)
            .unwrap_or_else(|report| panic!("{report}"));
        let text = summary(Path::new("tollgate.yaml"), &checked);
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("  upstream") || line.starts_with("  route"))
            .map(|line| line.trim_start_matches("  upstream").trim_start_matches("  route").trim())
            .collect();
        let expected = [
            "files: /opt/bin/server with 2 arguments (stdio, a process for each agent)",
            "old: http://old:1 (HTTP+SSE)",
            "both: 2 endpoints",
            "/mcp (HTTP+SSE too) -> files, old",
            "/both -> both",
        ];
        assert_eq!(lines, expected);
        assert!(!text.contains("hunter2") && !checked.warnings.concat().contains("hunter2"));
    }
}
