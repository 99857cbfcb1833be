//! Whether the values of a file fit together, and what they come to: from `Raw` to the gate's settings.
//!
//! Every check records its mistake and goes on, so that one report holds them all. Settings are made in
//! any case and thrown away by the caller where a mistake was recorded.

mod gate;

mod identity;

mod vouching;

mod issuer;

mod callers;

mod limits;

mod budgets;

mod policy;

mod routes;

mod curation;

mod upstreams;

mod pins;

mod credential;

mod tokens;

mod stdio;

mod usage;

pub(crate) use credential::is_own_header;

use crate::config::checking::identity::Who;
use crate::config::decode::{At, Set};
use crate::config::raw::{Root, Sessions};
use crate::config::reading::Reading;
use crate::config::scalars::{Count, Size, Span};
use crate::config::values::FilePath;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;
use tollgate_core::bounds::SEAL_KEYS_MAX;
use tollgate_core::sessions::{Caps, Lifetimes};
use tollgate_gate::settings::{SessionSettings, Settings};
use tollgate_issuer::settings::IssuerSettings;

/// What a whole file comes to. The settings have no version yet.
pub(super) struct Judged {
    pub(super) settings: Settings,
    pub(super) admin: SocketAddr,
    pub(super) issuer: Option<IssuerSettings>,
    pub(super) store: Option<PathBuf>,
    pub(super) ledger: Option<PathBuf>,
}

/// Checks a whole file.
pub(super) fn check(raw: &Root, reading: &mut Reading<'_>) -> Option<Judged> {
    let front = &raw.gate.value;
    let names = gate::names(raw, reading);
    let Who { identity, issuer } = identity::who(raw, &names, reading);
    let store = store(raw, reading);
    let tls = front.tls.given().and_then(|tls| gate::tls(&tls.value, &tls.at, reading));
    gate::listeners(raw, reading);
    gate::public_url(raw, reading);
    let limits = gate::limits(front, reading);
    let sessions = sessions(&raw.sessions.value, reading);
    let upstreams = upstreams::upstreams(raw, &identity, reading);
    let pins = pins::pins(raw, reading);
    let routes = routes::routes(raw, reading);
    let paths = routes.iter().map(|route| route.path.to_string());
    let rule_names = callers::Names::new(&identity, paths);
    let teams = limits::teams(raw, &rule_names, reading);
    let has_prices = !raw.prices.is_absent();
    let quotas = limits::quotas(raw, &teams, &rule_names, has_prices, reading);
    let usage = usage::usage(raw, (quotas.as_ref(), &teams), reading);
    let ledger = usage::file(raw, usage.as_ref(), reading);
    let policy = policy::policy(raw, &identity, &upstreams, reading);
    let settings = Settings {
        version: String::new(),
        listen: front.listen.value.0,
        public_url: front.public_url.given().map(|url| url.value.0.clone()),
        tls,
        names,
        identity,
        policy,
        limits,
        quotas,
        usage,
        sessions,
        upstreams,
        pins,
        routes,
        drain: front.timeouts.value.drain.value.0,
    };
    Some(Judged { settings, admin: raw.admin.value.listen.value.0, issuer, store, ledger })
}

/// Whether anything is configured that must be kept.
fn is_stored(raw: &Root) -> bool {
    identity::is_required(raw) || pins::are_kept(raw)
}

/// The file of the store, where anything is kept.
fn store(raw: &Root, reading: &Reading<'_>) -> Option<PathBuf> {
    let embedded = &raw.stores.value.embedded.value.value;
    is_stored(raw).then(|| reading.whole_path(embedded))
}

fn sessions(raw: &Sessions, reading: &mut Reading<'_>) -> SessionSettings {
    at_most(&raw.idle, &raw.absolute, ["sessions.idle", "sessions.absolute"], reading);
    in_range(&raw.max, "sessions.max", 1..=10_000_000, reading);
    in_range(&raw.max_per_caller, "sessions.max_per_caller", 1..=10_000_000, reading);
    let (total, per_caller) = (raw.max.value.0, raw.max_per_caller.value.0);
    if let Some(at) = raw.max_per_caller.at.as_ref().filter(|_| per_caller > total) {
        let message = format!(
            "`sessions.max_per_caller` ({per_caller}) is more than `sessions.max` ({total})"
        );
        reading.wrong(at, message, format!("write at most {total}, or raise `sessions.max`"));
    }
    let mut keys: Vec<tollgate_core::ids::Secret<[u8; 32]>> = Vec::new();
    if let Some(list) = raw.keys.given() {
        if list.value.0.is_empty() || list.value.0.len() > SEAL_KEYS_MAX {
            let message = format!("`sessions.keys` takes 1 to {SEAL_KEYS_MAX} keys");
            reading.wrong(
                &list.at,
                message,
                "remove the key `keys` for a random one in each process",
            );
        }
        for key in &list.value.0 {
            if keys.contains(&key.value.0) {
                reading.wrong(
                    &key.at,
                    "this key is there twice",
                    "remove one; a new key goes first",
                );
            }
            keys.push(key.value.0.clone());
        }
    }
    let millis = |span: &Set<Span>| u64::try_from(span.value.0.as_millis()).unwrap_or(u64::MAX);
    SessionSettings {
        life: Lifetimes {
            idle_millis: millis(&raw.idle).min(millis(&raw.absolute)),
            absolute_millis: millis(&raw.absolute),
        },
        caps: Caps { total, per_caller: per_caller.min(total) },
        keys,
    }
}

/// Records a mistake where a number that was typed is out of range.
fn in_range(
    count: &Set<Count>,
    key: &str,
    range: RangeInclusive<usize>,
    reading: &mut Reading<'_>,
) {
    let Some(at) = count.at.as_ref().filter(|_| !range.contains(&count.value.0)) else { return };
    let message = format!("`{key}` is {}, which is out of range", count.value.0);
    reading.wrong(at, message, format!("write a number from {} to {}", range.start(), range.end()));
}

/// Records a mistake where a size that was typed is out of range.
fn size_in_range(
    size: &Set<Size>,
    key: &str,
    range: RangeInclusive<usize>,
    reading: &mut Reading<'_>,
) {
    let Some(at) = size.at.as_ref().filter(|_| !range.contains(&size.value.0)) else { return };
    let help = format!("write a size from `{}` to `{}`", Size(*range.start()), Size(*range.end()));
    reading.wrong(at, format!("`{key}` is {}, which is out of range", size.value), help);
}

/// Records a mistake where a duration that was typed is longer than the one that includes it.
fn at_most(part: &Set<Span>, whole: &Set<Span>, keys: [&str; 2], reading: &mut Reading<'_>) {
    let Some(at) = part.at.as_ref().filter(|_| part.value > whole.value) else { return };
    let [part_key, whole_key] = keys;
    let message =
        format!("`{part_key}` ({}) is longer than `{whole_key}` ({})", part.value, whole.value);
    reading.wrong(at, message, format!("write at most `{}`, or raise `{whole_key}`", whole.value));
}

/// Records a mistake where a duration that was typed is longer than may be.
fn span_in(span: &Set<Span>, key: &str, secs_max: u64, reading: &mut Reading<'_>) {
    let max = Span::secs(secs_max);
    let Some(at) = span.at.as_ref().filter(|_| span.value > max) else { return };
    let message = format!("`{key}` is {}, which is too long", span.value);
    reading.wrong(at, message, format!("write at most `{max}`"));
}

/// The shorter of the two: a default gives way to a shorter whole.
fn within(part: &Set<Span>, whole: &Set<Span>) -> Duration {
    part.value.min(whole.value).0
}

/// What a PEM file must hold.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pem {
    Certificates,
    PrivateKey,
}

/// Reads a PEM file, and looks whether it is one of the right kind. Certificates are parsed where they
/// are used: they are read again when they change.
fn pem_file(key: Option<&At<FilePath>>, kind: Pem, reading: &mut Reading<'_>) -> Option<PathBuf> {
    let At { value: FilePath { value, typed }, at } = key?;
    let (path, content) = reading.file(value, typed, at)?;
    let text = String::from_utf8_lossy(&content);
    let certificate = text.contains("-----BEGIN CERTIFICATE-----");
    let is_key = |line: &str| line.starts_with("-----BEGIN ") && line.contains("PRIVATE KEY-----");
    let key = text.lines().any(is_key);
    let (wanted, fits, other) = match kind {
        Pem::Certificates => ("certificate", certificate, key),
        Pem::PrivateKey => ("private key", key, certificate),
    };
    if !fits {
        let help = match (other, kind) {
            (true, Pem::Certificates) => "it holds a private key: are certificate and key swapped?",
            (true, Pem::PrivateKey) => "it holds a certificate: are certificate and key swapped?",
            (false, _) => "the file must be PEM: text with a line that starts with `-----BEGIN`",
        };
        reading.wrong(at, format!("`{typed}` holds no {wanted}"), help);
    }
    Some(path)
}
