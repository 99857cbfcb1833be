//! The upstreams: whether each answers, which era it speaks, and what to do about one that does not.
//!
//! Asked as the gate would ask, with its credentials and certificates: `server/discover`, or `initialize`
//! and the end of that session. A program is started for as long as that takes.

use crate::agent::{Agent, AgentError, Greeting};
use crate::doctor::finding::Finding;
use crate::doctor::look::{self, Look};
use crate::doctor::{certificates, machine};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tollgate_core::bounds::DOCTOR_CHECKS_MAX;
use tollgate_gate::settings::{Settings, StdioSettings, Transport, UpstreamSettings};
use tollgate_gate::upstream::{Cause, SendError};
use url::Url;

/// Time for one upstream to answer. A program has its own.
const ANSWER_SECS: u64 = 10;
/// Clocks that differ by more than this are told, in seconds.
const SKEW_SECS: u64 = 60;

/// Asks all of them, a few at a time. The order is that of the file.
pub(super) async fn examine(settings: &Settings) -> Vec<Finding> {
    let places = Arc::new(Semaphore::new(DOCTOR_CHECKS_MAX));
    let mut checks = JoinSet::new();
    let each = settings.upstreams.iter().flat_map(endpoints);
    for (index, (subject, upstream)) in each.enumerate() {
        let places = Arc::clone(&places);
        checks.spawn(async move {
            // The semaphore is never closed.
            let _place = places.acquire().await;
            (index, one(&subject, upstream).await)
        });
    }
    let mut found: Vec<(usize, Vec<Finding>)> = Vec::new();
    while let Some(check) = checks.join_next().await {
        // A check that panicked has found nothing; the panic itself was printed.
        found.extend(check.ok());
    }
    found.sort_by_key(|(index, _)| *index);
    found.into_iter().flat_map(|(_, findings)| findings).collect()
}

/// An upstream once for each of its endpoints, with what to call it.
fn endpoints(upstream: &UpstreamSettings) -> Vec<(String, UpstreamSettings)> {
    let name = &upstream.name;
    if upstream.endpoints.len() < 2 {
        return vec![(format!("upstream {name}"), upstream.clone())];
    }
    let one = |(at, url): (usize, &Url)| {
        let only = UpstreamSettings { endpoints: vec![url.clone()], ..upstream.clone() };
        (format!("upstream {name} ({} of {})", at + 1, upstream.endpoints.len()), only)
    };
    upstream.endpoints.iter().enumerate().map(one).collect()
}

async fn one(subject: &str, upstream: UpstreamSettings) -> Vec<Finding> {
    match (&upstream.transport, upstream.endpoints.first().cloned()) {
        (Transport::Stdio(program), _) => {
            let program = program.clone();
            vec![started(subject, upstream, &program).await]
        }
        (Transport::Http | Transport::Sse, Some(url)) => {
            let ca = upstream.tls.ca.clone();
            let name = upstream.tls.server_name.clone();
            let (answer, look) =
                tokio::join!(answered(subject, upstream), look::at(&url, ca, name));
            let mut findings = vec![answer];
            findings.extend(look.map(|look| looked(subject, &look)).unwrap_or_default());
            findings
        }
        (Transport::Http | Transport::Sse, None) => Vec::new(),
    }
}

async fn answered(subject: &str, upstream: UpstreamSettings) -> Finding {
    // The origin only: paths and queries of some servers hold their key.
    let origin = upstream.endpoints.first().map(|url| url.origin().ascii_serialization());
    let origin = origin.unwrap_or_default();
    let has_credential = !upstream.headers.is_empty();
    let limit = Duration::from_secs(ANSWER_SECS);
    match greet(upstream, limit).await {
        Some(Ok((greeting, took))) => {
            Finding::ok(subject, &format!("{origin}: {}", told(&greeting, took)))
        }
        Some(Err(error)) => Finding::fail(subject, &format!("{origin}: {error}"))
            .advise(advice(&error, has_credential)),
        None => Finding::fail(subject, &format!("{origin}: no answer within {ANSWER_SECS} s"))
            .advise("is it overloaded, or does it wait for something itself?"),
    }
}

async fn started(subject: &str, upstream: UpstreamSettings, program: &StdioSettings) -> Finding {
    let command = &program.command;
    if !is_found(program) {
        return Finding::fail(subject, &format!("`{command}` is not there, or cannot be run"))
            .advise(
                "install it, or write its whole path in `command`; `env` may set another `PATH`",
            );
    }
    let limit = program.start;
    match greet(upstream, limit).await {
        Some(Ok((greeting, took))) => {
            Finding::ok(subject, &format!("`{command}` starts: {}", told(&greeting, took)))
        }
        Some(Err(error)) => Finding::fail(subject, &format!("`{command}` does not serve: {error}"))
            .advise("run it by hand with the same arguments and variables; `tollgate --log warn doctor` shows its errors"),
        None => Finding::fail(subject, &format!("`{command}` did not answer within {} s", limit.as_secs()))
            .advise("its first start may download it: run it once by hand, or raise `stdio.start`"),
    }
}

/// Greets, says goodbye, and tells how long the greeting took; `None` where the time was over.
async fn greet(
    upstream: UpstreamSettings,
    limit: Duration,
) -> Option<Result<(Greeting, Duration), AgentError>> {
    let began = Instant::now();
    // Each of the few requests has the limit for itself; what is too slow then ends in good order.
    match timeout(limit * 2, Agent::connect(upstream, limit)).await {
        Ok(Ok((agent, greeting))) => {
            let took = began.elapsed();
            // Ending has its own time; a process that does not end is killed by its guard.
            drop(timeout(Duration::from_secs(ANSWER_SECS), agent.end()).await);
            Some(Ok((greeting, took)))
        }
        Ok(Err(AgentError::Send(SendError::Timeout(_)))) | Err(_) => None,
        Ok(Err(error)) => Some(Err(error)),
    }
}

fn told(greeting: &Greeting, took: Duration) -> String {
    let server =
        if greeting.server.is_empty() { "a server without a name" } else { &greeting.server };
    format!("{server} speaks {}, answered in {} ms", greeting.version, took.as_millis())
}

/// What to do about an error.
fn advice(error: &AgentError, has_credential: bool) -> &'static str {
    match error {
        AgentError::Send(SendError::NotSent(Cause::Refused)) => {
            "start it, or correct its address in the configuration"
        }
        AgentError::Send(SendError::NotSent(Cause::Tls(_))) => {
            "see `tls` of the upstream: `ca` for a private authority, `server_name` for another name"
        }
        AgentError::Send(_) => "is it up, and does a firewall or proxy stand in between?",
        AgentError::Unresolved(_) => "correct the host name in its URL, or DNS on this machine",
        AgentError::Status { status, .. } | AgentError::Refused { status, .. } => {
            match status.as_u16() {
                401 | 403 if has_credential => {
                    "the `credential` is not accepted: is its variable the right one, and not expired?"
                }
                401 | 403 => {
                    "give it a `credential: { header: { Authorization: \"Bearer ${env:NAME}\" } }`"
                }
                404 | 405 => "correct the path of its URL; many servers use `/mcp`",
                _ => "its own log says more",
            }
        }
        AgentError::NoAnswer | AgentError::NotJson | AgentError::Stream(_) => {
            "is this the URL of its MCP endpoint? an old server may need `sse` instead of `http`"
        }
        AgentError::Setup(_)
        | AgentError::Nowhere
        | AgentError::Version(_)
        | AgentError::TooLarge
        | AgentError::Asked(_)
        | AgentError::TooManyRounds
        | AgentError::NoList(_)
        | AgentError::TooManyPages => "its own log says more",
    }
}

/// Whether the program is where the child would look for it.
fn is_found(program: &StdioSettings) -> bool {
    let can_run = |path: &Path| {
        std::fs::metadata(path)
            .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    if program.command.contains('/') {
        return can_run(Path::new(&program.command));
    }
    let path = program.env.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.expose());
    let path = path.map_or("/usr/local/bin:/usr/bin:/bin", String::as_str);
    std::env::split_paths(path).any(|folder| can_run(&folder.join(&program.command)))
}

/// What was seen besides the answer: the certificate's end, and the other clock.
fn looked(subject: &str, look: &Look) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(dates) = look.certificate.as_deref().and_then(certificates::validity) {
        let finding = certificates::judge(subject, "its certificate", dates);
        if !finding.is_good() {
            findings.push(finding);
        }
    }
    findings.extend(look.date.and_then(|there| skew(subject, there, machine::now())));
    findings
}

fn skew(subject: &str, there: u64, here: u64) -> Option<Finding> {
    let seconds = there.abs_diff(here);
    let direction = if there > here { "ahead of" } else { "behind" };
    let text = format!("its clock is {seconds} s {direction} this machine's");
    let advice = "start a time service on the machine that is wrong: sessions and certificates are judged by clocks";
    (seconds > SKEW_SECS).then(|| Finding::warn(subject, &text).advise(advice))
}

#[cfg(test)]
mod tests {
    use super::skew;

    #[test]
    fn clocks_that_differ_are_told_with_the_direction() {
        assert_eq!(skew("x", 1_000, 1_060), None);
        let line = skew("x", 1_000, 1_061).map(|finding| finding.to_string());
        assert!(line.is_some_and(|line| line.contains("61 s behind this machine's")));
        let line = skew("x", 2_000, 1_000).map(|finding| finding.to_string());
        assert!(line.is_some_and(|line| line.contains("1000 s ahead of")));
    }
}
