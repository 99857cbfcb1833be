//! Real OAuth clients walk from a bare URL to a call, and past the end of their access token: at the
//! gate's own issuer, at somebody else's, and at its own as the facade of somebody else's.
//!
//! The person's part of a walk is `peers/clients/oauth_browser.mjs`; what a walk is, and what it
//! reports, `peers/clients/oauth_walk.mjs`. Tokens are only ever seen here as digests.
//!
//! Next: `oauth/places.rs` (the gates and issuers), `conformance/authorization.rs` (the official suite).

pub(crate) mod places;

use crate::clients::{Stage, last_lines};
use crate::processes::captured;
use anyhow::{Context, bail};
use places::{Place, Places};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Time for one walk; the clients give up by themselves after 90 s.
const WALK: Duration = Duration::from_secs(120);
/// Access tokens of the walks last this long, in seconds.
const TOKEN_SECS: u64 = 3;
/// What a client waits between its calls: the token has ended, with the leeway of a second.
const PAUSE_MILLIS: u64 = 5_500;
/// What the tool that is called answers.
const ANSWER: &str = "This is a simple text response for testing.";

/// Who walks, and how it gets its tokens.
struct Walk {
    client: &'static str,
    flow: &'static str,
}

const fn walk(client: &'static str, flow: &'static str) -> Walk {
    Walk { client, flow }
}

/// At the gate's own issuer.
const OWN: [Walk; 15] = [
    walk("py-mcp", "person"),
    walk("js-v2", "person"),
    walk("js-v1", "person"),
    walk("rmcp", "person"),
    walk("openid", "person"),
    walk("py-mcp", "document"),
    walk("js-v2", "document"),
    walk("rmcp", "document"),
    walk("py-mcp", "secret"),
    walk("js-v2", "secret"),
    walk("rmcp", "secret"),
    walk("openid", "secret"),
    walk("py-mcp", "key"),
    walk("js-v2", "key"),
    walk("openid", "key"),
];

/// At somebody else's issuer of JWTs. Not rmcp: it asks for more scopes with a refresh token than
/// that was given for, which this issuer refuses.
const JWT: [Walk; 4] = [
    walk("py-mcp", "person"),
    walk("js-v2", "person"),
    walk("js-v1", "person"),
    walk("js-v2", "secret"),
];

/// At somebody else's issuer of opaque tokens.
const OPAQUE: [Walk; 3] =
    [walk("py-mcp", "person"), walk("js-v2", "person"), walk("js-v1", "person")];

/// At the gate's own issuer, where people sign in at somebody else's.
const FACADE: [Walk; 3] =
    [walk("py-mcp", "person"), walk("js-v2", "person"), walk("js-v2", "refused")];

/// Walks all; says what is wrong.
pub(super) fn walked(stage: &Stage<'_>, logs: &Path) -> anyhow::Result<Vec<String>> {
    let places = Places::started(stage, logs)?;
    println!("{:<10}{:<10}{:<10}{:>8}  result", "issuer", "client", "flow", "time");
    // The walks mostly wait for tokens to end.
    let mut complaints = std::thread::scope(|scope| {
        let lanes = [
            scope.spawn(|| walked_at(stage, &places.own, &OWN)),
            scope.spawn(|| {
                [(&places.jwt, &JWT[..]), (&places.opaque, &OPAQUE), (&places.facade, &FACADE)]
                    .into_iter()
                    .flat_map(|(place, walks)| walked_at(stage, place, walks))
                    .collect()
            }),
        ];
        let mut complaints = Vec::new();
        for lane in lanes {
            complaints.extend(lane.join().map_err(|_| anyhow::anyhow!("a lane panicked"))?);
        }
        anyhow::Ok(complaints)
    })?;
    if places.refused_document_was_fetched()? {
        complaints.push("a document at an address that is not public was fetched".to_owned());
    }
    // The last, since it ends the issuers.
    if stage.legs.wants("openid") {
        let judge = |report: &Value| {
            let calls = report["calls"].as_u64().unwrap_or(0);
            if calls > 8 { None } else { Some(format!("only {calls} calls")) }
        };
        complaints.extend(row("foreign", &walk("openid", "rotation"), || {
            reported(places.client(stage, "openid-foreign"), &places.foreign).map(|it| judge(&it))
        }));
    }
    Ok(complaints)
}

fn walked_at(stage: &Stage<'_>, place: &Place, walks: &[Walk]) -> Vec<String> {
    let walks = walks.iter().filter(|walk| stage.legs.wants(walk.client));
    walks
        .filter_map(|walk| {
            row(place.name, walk, || {
                let report = reported(place.client(stage, walk.client), &place.told(walk.flow))?;
                Ok(wrong(walk, &report, place))
            })
        })
        .collect()
}

/// Prints one row of the table, and says what is wrong with it.
fn row(
    place: &str,
    walk: &Walk,
    walked: impl FnOnce() -> anyhow::Result<Option<String>>,
) -> Option<String> {
    let name = format!("{place:<10}{:<10}{:<10}", walk.client, walk.flow);
    let began = Instant::now();
    let found = walked().unwrap_or_else(|error| Some(format!("{error:#}")));
    let verdict = if found.is_none() { "ok" } else { "fails" };
    println!("{name}{:>6.1} s  {verdict}", began.elapsed().as_secs_f32());
    found.map(|found| format!("{name}{found}"))
}

fn reported(mut command: Command, told: &Value) -> anyhow::Result<Value> {
    command.arg(told.to_string());
    let ended = captured(command, WALK)?;
    if !ended.status.success() {
        bail!("the client failed:\n{}", last_lines(&ended.errors));
    }
    let line = ended.output.lines().last().context("the client printed nothing")?;
    serde_json::from_str(line).context("the client printed no JSON")
}

/// What is wrong with a walk, by what its client reports.
fn wrong(walk: &Walk, report: &Value, place: &Place) -> Option<String> {
    if walk.flow == "refused" {
        let status = &report["refused"];
        return (status != 400).then(|| format!("was not refused: {report}"));
    }
    let is_person = matches!(walk.flow, "person" | "document");
    if report["tools"].as_u64().unwrap_or(0) == 0 {
        return Some("saw no tools".to_owned());
    }
    if report["calls"] != json!([ANSWER, ANSWER]) {
        return Some(format!("the calls answered {}", report["calls"]));
    }
    if report["asked"] != u8::from(is_person) {
        return Some(format!("the person was asked {} times", report["asked"]));
    }
    if walk.flow == "document" && report["client"] != place.told(walk.flow)["document"] {
        return Some(format!("its id is {}", report["client"]));
    }
    tokens_wrong(&report["tokens"], is_person)
}

/// Access tokens must have been renewed; refresh tokens too, where there are any.
fn tokens_wrong(tokens: &Value, is_person: bool) -> Option<String> {
    let tokens = tokens.as_array()?;
    let (first, last) = (tokens.first()?, tokens.last()?);
    if tokens.len() < 2 || first[0] == last[0] {
        return Some("the access token was not renewed".to_owned());
    }
    if is_person && (first[1].is_null() || first[1] == last[1]) {
        return Some("the refresh token was not rotated".to_owned());
    }
    (!is_person && !last[1].is_null()).then(|| "a machine got a refresh token".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_is_not_renewed_or_rotated_is_wrong() {
        assert_eq!(tokens_wrong(&json!([["a", "r"], ["b", "s"]]), true), None);
        for tokens in [json!([["a", "r"]]), json!([["a", "r"], ["a", "s"]])] {
            assert!(tokens_wrong(&tokens, true).is_some());
        }
        assert!(tokens_wrong(&json!([["a", "r"], ["b", "r"]]), true).is_some());
        assert!(tokens_wrong(&json!([["a", null], ["b", "s"]]), false).is_some());
    }
}
