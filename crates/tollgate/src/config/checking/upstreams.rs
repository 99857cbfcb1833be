//! Checks of the upstreams: names, endpoints, deadlines, health.
//!
//! Exactly one way to reach each. Next: `stdio.rs` for those that are child processes, `credential.rs`
//! for what the gate says of itself to the others.

use crate::config::checking::credential::credential;
use crate::config::checking::stdio::stdio;
use crate::config::checking::tokens;
use crate::config::checking::{Pem, at_most, in_range, pem_file, within};
use crate::config::collections::{OffOr, Row};
use crate::config::cover::shown_name;
use crate::config::decode::{At, Key};
use crate::config::raw::{
    Ejection, Health, Http, Root, Sse, Upstream, UpstreamTimeoutsRaw, UpstreamTlsRaw,
};
use crate::config::reading::Reading;
use crate::config::report::Pos;
use crate::config::scalars::Scalar as _;
use crate::config::values::{Check, Era, HostName, Loss, Web};
use std::collections::HashSet;
use std::time::Duration;
use tollgate_core::bounds::{
    EJECTION_SECS, ENDPOINTS_MAX, HEALTH_TIMEOUT_SECS, HEALTHY_AFTER, RESOLVE_EVERY_SECS,
    UNHEALTHY_AFTER, UPSTREAMS_MAX,
};
use tollgate_core::ids::UpstreamName;
use tollgate_gate::settings::{
    CredentialSettings, EjectionSettings, HealthSettings, IdentitySettings, Probe, SessionLoss,
    Transport, UpstreamEra, UpstreamSettings, UpstreamTimeouts, UpstreamTls,
};
use url::Url;

/// Longest name of an upstream. It becomes a prefix of tool names, which clients cap at 64.
const NAME_MAX: usize = 32;

pub(super) fn upstreams(
    raw: &Root,
    identity: &IdentitySettings,
    reading: &mut Reading<'_>,
) -> Vec<UpstreamSettings> {
    let Some(table) = raw.upstreams.given() else { return Vec::new() };
    if table.value.0.len() > UPSTREAMS_MAX {
        reading.wrong(
            &table.at,
            "there are too many upstreams",
            format!("at most {UPSTREAMS_MAX} fit one gate"),
        );
        return Vec::new();
    }
    table.value.0.iter().filter_map(|row| upstream(row, identity, reading)).collect()
}

fn upstream(
    row: &Row<Upstream>,
    identity: &IdentitySettings,
    reading: &mut Reading<'_>,
) -> Option<UpstreamSettings> {
    let name = &row.name;
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if name.len() > NAME_MAX
        || name.starts_with('-')
        || name.is_empty()
        || !name.bytes().all(allowed)
    {
        let help = format!(
            "write lower-case letters, digits and `-`, starting with a letter or digit, at most {NAME_MAX} characters"
        );
        reading.wrong(
            &row.at,
            format!("`{}` cannot be the name of an upstream", shown_name(name)),
            help,
        );
    }
    let raw = row.value.as_ref()?;
    let headers = raw.credential.given().map(|c| credential(&c.value, reading)).unwrap_or_default();
    let shown = &shown_name(name);
    let credential = raw.credential.given().map_or(CredentialSettings::None, |given| {
        tokens::credential(shown, given, identity, reading)
    });
    let Reached { transport, endpoints, tls, timeouts, health, ejection, resolve_every } =
        reached(row, raw, reading)?;
    Some(UpstreamSettings {
        name: UpstreamName::from(name.as_str()),
        era: era(raw, &transport, reading),
        transport,
        endpoints,
        tls,
        headers,
        credential,
        sessions: match raw.sessions.value {
            Loss::Strict => SessionLoss::Strict,
            Loss::Recoverable => SessionLoss::Recoverable,
        },
        timeouts,
        health,
        ejection,
        resolve_every,
    })
}

/// How an upstream is reached, and what depends on it.
struct Reached {
    transport: Transport,
    endpoints: Vec<Url>,
    tls: UpstreamTls,
    timeouts: UpstreamTimeouts,
    health: HealthSettings,
    ejection: EjectionSettings,
    resolve_every: Duration,
}

fn reached(row: &Row<Upstream>, raw: &Upstream, reading: &mut Reading<'_>) -> Option<Reached> {
    let name = &shown_name(&row.name);
    let ways = [
        ("http", raw.http.is_absent()),
        ("sse", raw.sse.is_absent()),
        ("stdio", raw.stdio.is_absent()),
    ];
    let written: Vec<&str> =
        ways.into_iter().filter(|(_, absent)| !absent).map(|(way, _)| way).collect();
    match written.as_slice() {
        [_] => {}
        [] => {
            reading.wrong(
                &row.at,
                format!("nothing says how upstream `{name}` is reached"),
                "add `http: { url: \"http://10.0.0.1:9001/mcp\" }`, or `stdio: { command: npx, args: [...] }` for a program to start, or `sse: { url: ... }` for an old HTTP+SSE server",
            );
            return None;
        }
        [_, _, ..] => {
            reading.wrong(
                &row.at,
                format!(
                    "upstream `{name}` has `{}`: it is reached in one way only",
                    written.join("` and `")
                ),
                "keep one; two servers are two upstreams, and a route may offer both",
            );
            return None;
        }
    }
    if let Some(http) = raw.http.given() {
        return Some(over_http(name, http, reading));
    }
    let exchange = raw.credential.given().and_then(|given| given.value.exchange.given());
    if let Some(exchange) = exchange {
        reading.wrong(
            &exchange.at,
            format!(
                "upstream `{name}` is not reached over `http`, so all callers share what it is sent"
            ),
            "use `client_credentials`, a token of the gate itself",
        );
    }
    if let Some(sse) = raw.sse.given() {
        return Some(over_sse(name, &sse.value, reading));
    }
    if let Some(given) = raw.credential.given() {
        reading.wrong(
            &given.at,
            format!("upstream `{name}` has a `credential`, but a program is sent no headers"),
            "give the secret to the program: `env: { API_KEY: \"${env:API_KEY}\" }` below `stdio`",
        );
    }
    let (settings, timeouts) = stdio(name, &raw.stdio.given()?.value, reading)?;
    Some(unwatched(Transport::Stdio(Box::new(settings)), timeouts))
}

fn over_http(name: &str, given: &At<Http>, reading: &mut Reading<'_>) -> Reached {
    let At { value: http, at } = given;
    let endpoints = endpoints(name, http, at, reading);
    Reached {
        transport: Transport::Http,
        tls: tls(name, &http.tls, &endpoints, reading),
        endpoints,
        timeouts: timeouts(&http.timeouts.value, reading),
        health: health(&http.health.value, reading),
        ejection: ejection(&http.ejection.value, reading),
        resolve_every: http.resolve_every.value.0,
    }
}

fn over_sse(name: &str, sse: &Sse, reading: &mut Reading<'_>) -> Reached {
    let endpoints: Vec<Url> = sse.url.given().map(|url| url.value.0.clone()).into_iter().collect();
    let tls = tls(name, &sse.tls, &endpoints, reading);
    let timeouts = timeouts(&sse.timeouts.value, reading);
    Reached { endpoints, tls, ..unwatched(Transport::Sse, timeouts) }
}

/// Without health checks and ejection: there is no other endpoint to turn to.
fn unwatched(transport: Transport, timeouts: UpstreamTimeouts) -> Reached {
    Reached {
        transport,
        endpoints: Vec::new(),
        tls: UpstreamTls::default(),
        timeouts,
        health: HealthSettings {
            probe: Probe::Connect,
            every: Duration::ZERO,
            timeout: Duration::from_secs(HEALTH_TIMEOUT_SECS),
            unhealthy_after: narrow(UNHEALTHY_AFTER),
            healthy_after: narrow(HEALTHY_AFTER),
        },
        ejection: EjectionSettings { after: 0, span: Duration::from_secs(EJECTION_SECS) },
        resolve_every: Duration::from_secs(RESOLVE_EVERY_SECS),
    }
}

fn era(raw: &Upstream, transport: &Transport, reading: &mut Reading<'_>) -> UpstreamEra {
    let said = match raw.era.value {
        Era::Auto => UpstreamEra::Auto,
        Era::Legacy => UpstreamEra::Legacy,
        Era::Modern => UpstreamEra::Modern,
        Era::Both => UpstreamEra::Both,
    };
    match (transport, said) {
        (Transport::Http | Transport::Stdio(_), said) => return said,
        (Transport::Sse, UpstreamEra::Auto | UpstreamEra::Legacy) => {}
        (Transport::Sse, UpstreamEra::Modern | UpstreamEra::Both) => reading.wrong(
            raw.era.at.as_ref().unwrap_or(&Pos::default()),
            "HTTP+SSE is a transport of the legacy era only",
            "remove `era`, or give the upstream `http` if it speaks Streamable HTTP",
        ),
    }
    UpstreamEra::Legacy
}

fn endpoints(name: &str, http: &Http, at: &Pos, reading: &mut Reading<'_>) -> Vec<Url> {
    let given: Vec<At<Web>> = match (&http.url, &http.endpoints) {
        (Key::Absent, Key::Absent) => {
            reading.wrong(at, format!("upstream `{name}` has neither `url` nor `endpoints`"), "add `url: \"http://10.0.0.1:9001/mcp\"`, or `endpoints: [...]` where there are several instances");
            return Vec::new();
        }
        (Key::Given(_) | Key::Wrong, Key::Given(_) | Key::Wrong) => {
            reading.wrong(
                at,
                format!("upstream `{name}` has both `url` and `endpoints`"),
                "keep `endpoints` where there are several instances, `url` otherwise",
            );
            return Vec::new();
        }
        (Key::Given(url), Key::Absent) => vec![url.clone()],
        (Key::Absent, Key::Given(list)) => {
            if list.value.0.is_empty() || list.value.0.len() > ENDPOINTS_MAX {
                reading.wrong(
                    &list.at,
                    format!("`endpoints` of upstream `{name}` takes 1 to {ENDPOINTS_MAX} URLs"),
                    "add the URL of at least one instance",
                );
            }
            list.value.0.clone()
        }
        (Key::Wrong, Key::Absent) | (Key::Absent, Key::Wrong) => return Vec::new(),
    };
    let mut seen = HashSet::new();
    for url in &given {
        if !seen.insert(url.value.0.as_str()) {
            reading.wrong(
                &url.at,
                format!("this endpoint of upstream `{name}` is there twice"),
                "remove one: an endpoint gets its share of the calls by itself",
            );
        }
    }
    given.iter().map(|url| url.value.0.clone()).collect()
}

fn tls(
    name: &str,
    raw: &Key<UpstreamTlsRaw>,
    endpoints: &[Url],
    reading: &mut Reading<'_>,
) -> UpstreamTls {
    let Some(At { value, at }) = raw.given() else { return UpstreamTls::default() };
    let tls = upstream_tls(name, value, at, reading);
    if !endpoints.is_empty() && endpoints.iter().all(|url| url.scheme() == "http") {
        reading.wrong(
            at,
            format!("upstream `{name}` has `tls`, but its URLs are `http`"),
            "write `https://` in the URL, or remove `tls`",
        );
    }
    tls
}

fn upstream_tls(
    name: &str,
    raw: &UpstreamTlsRaw,
    at: &Pos,
    reading: &mut Reading<'_>,
) -> UpstreamTls {
    let ca = pem_file(raw.ca.given(), Pem::Certificates, reading);
    let cert = pem_file(raw.cert.given(), Pem::Certificates, reading);
    let key = pem_file(raw.key.given(), Pem::PrivateKey, reading);
    if raw.cert.is_absent() != raw.key.is_absent() {
        let missing = if raw.cert.is_absent() { "cert" } else { "key" };
        reading.wrong(
            at,
            format!("`tls` of upstream `{name}` has no `{missing}`"),
            "a client certificate takes both `cert` and `key`",
        );
    }
    if let Some(server_name) = raw.server_name.given() {
        let text = &server_name.value.value;
        if HostName::parse(text).is_err() || text.contains([':', '*', '[']) {
            reading.wrong(
                &server_name.at,
                format!(
                    "`{}` is not a name a certificate can be issued for",
                    server_name.value.typed
                ),
                "write a host name without port, as in `mcp.internal`",
            );
        }
    }
    UpstreamTls {
        ca,
        client: cert.zip(key),
        server_name: raw.server_name.given().map(|name| name.value.value.to_ascii_lowercase()),
    }
}

fn timeouts(raw: &UpstreamTimeoutsRaw, reading: &mut Reading<'_>) -> UpstreamTimeouts {
    for (key, part) in
        [("connect", &raw.connect), ("first_byte", &raw.first_byte), ("pause", &raw.pause)]
    {
        at_most(part, &raw.total, [&format!("timeouts.{key}"), "timeouts.total"], reading);
    }
    UpstreamTimeouts {
        connect: within(&raw.connect, &raw.total),
        first_byte: within(&raw.first_byte, &raw.total),
        pause: within(&raw.pause, &raw.total),
        total: raw.total.value.0,
    }
}

fn health(raw: &OffOr<Health>, reading: &mut Reading<'_>) -> HealthSettings {
    let (every, raw) = match raw {
        OffOr::Off => (Duration::ZERO, &Health::default()),
        OffOr::On(raw) => (raw.every.value.0, raw),
    };
    at_most(&raw.timeout, &raw.every, ["health.timeout", "health.every"], reading);
    in_range(&raw.unhealthy_after, "health.unhealthy_after", 1..=1_000, reading);
    in_range(&raw.healthy_after, "health.healthy_after", 1..=1_000, reading);
    HealthSettings {
        probe: match &raw.check.value {
            Check::Connect => Probe::Connect,
            Check::Get(path) => Probe::Http(path.clone()),
        },
        every,
        timeout: within(&raw.timeout, &raw.every),
        unhealthy_after: narrow(raw.unhealthy_after.value.0),
        healthy_after: narrow(raw.healthy_after.value.0),
    }
}

fn ejection(raw: &OffOr<Ejection>, reading: &mut Reading<'_>) -> EjectionSettings {
    let (on, raw) = match raw {
        OffOr::Off => (false, &Ejection::default()),
        OffOr::On(raw) => (true, raw),
    };
    in_range(&raw.failures, "ejection.failures", 1..=1_000, reading);
    let after = if on { narrow(raw.failures.value.0) } else { 0 };
    EjectionSettings { after, span: raw.r#for.value.0 }
}

/// A number that was checked to be small.
fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
