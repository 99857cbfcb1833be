//! `tollgate connect`: what to paste into each client so that it uses a route of the gate.
//!
//! Reads the configuration and prints; connects nowhere and writes no client's file. With one client
//! named, standard output is exactly that file's content, and everything else goes to standard error.
//!
//! Next: `connect/clients.rs` for the clients and their documentation.

mod clients;

use crate::cli::{ConnectArgs, ConnectClient};
use crate::config::{self, Checked};
use crate::{check, front};
use clap::ValueEnum as _;
use clients::{Offer, Paste};
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;
use tollgate_gate::settings::{ClientCertificates, Settings};

/// Runs the command.
///
/// # Errors
/// There is no such route, or no URL for it.
pub(crate) fn run(args: &ConnectArgs) -> anyhow::Result<ExitCode> {
    let checked = match config::look_at(&args.config) {
        Ok(checked) => checked,
        Err(report) => return Ok(check::refuse(&report)?),
    };
    let path = front::path(&checked, args.route.as_deref())?;
    let offer = offer(&checked, &path)?;
    let mut diagnostics = String::new();
    for warning in warnings(&checked.settings) {
        // Writing to a string cannot fail.
        let _ = writeln!(diagnostics, "note: {warning}");
    }
    let text = match args.client {
        ConnectClient::All => all(&offer),
        client => {
            let paste = clients::paste(client, &offer);
            diagnostics.push_str(&hints(&paste));
            paste.content
        }
    };
    std::io::stderr().lock().write_all(diagnostics.as_bytes())?;
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn offer(checked: &Checked, path: &str) -> anyhow::Result<Offer> {
    let url = front::url(&checked.settings, path)?;
    let route = checked.settings.routes.iter().find(|route| route.path.as_str() == path);
    // The paths of the old transport are those of the route, with a word more.
    let base = url.as_str().trim_end_matches('/').to_owned();
    let sse = route.filter(|route| route.sse).map(|_| format!("{base}/sse"));
    let name = path.trim_matches('/').replace(['/', '.', '~'], "-");
    let name = match name.as_str() {
        "" | "mcp" => "tollgate".to_owned(),
        other => format!("tollgate-{}", other.strip_prefix("mcp-").unwrap_or(other)),
    };
    Ok(Offer { name, url, sse })
}

fn all(offer: &Offer) -> String {
    let mut text = format!("{}\n", offer.url);
    if let Some(sse) = &offer.sse {
        let _ = writeln!(text, "{sse}  (HTTP+SSE, for clients that know nothing newer)");
    }
    for client in ConnectClient::value_variants() {
        if *client == ConnectClient::All {
            continue;
        }
        let paste = clients::paste(*client, offer);
        let _ = writeln!(text, "\n{}", paste.client);
        for line in hints(&paste).lines() {
            let _ = writeln!(text, "  {line}");
        }
        for line in paste.content.lines() {
            let _ = writeln!(text, "    {line}");
        }
    }
    text
}

/// Where the content belongs, and what else there is to know.
fn hints(paste: &Paste) -> String {
    let mut text = String::new();
    for (place, file) in &paste.files {
        let _ = writeln!(text, "{place}: {file}");
    }
    for note in &paste.notes {
        let _ = writeln!(text, "{note}");
    }
    text
}

/// What keeps clients from getting in.
fn warnings(settings: &Settings) -> Vec<String> {
    let mut warnings = Vec::new();
    if settings.public_url.is_none() && settings.listen.ip().is_loopback() {
        warnings.push(
            "the gate listens on this machine only; `gate.public_url` is the URL for others"
                .to_owned(),
        );
    }
    if settings.public_url.is_none() && settings.listen.ip().is_unspecified() {
        warnings.push(
            "for clients on other machines, set `gate.public_url` to the URL they use".to_owned(),
        );
    }
    if let Some(tls) = &settings.tls
        && matches!(tls.client, ClientCertificates::Required(_))
    {
        warnings.push(
            "the gate requires client certificates, which most of these clients cannot present"
                .to_owned(),
        );
    }
    warnings
}
