//! Approving what was looked at, and forgetting what nobody wants to hold anything to any more.

use super::look::{Look, digest_of_all, hex, look, short, visible};
use super::{NAME_CHARS_MAX, PinsError, known, no_tool};
use crate::cli::ApproveArgs;
use crate::records::{Records, Told, table};
use crate::screen::on_one_line;
use serde_json::json;
use std::fmt::Write as _;
use tollgate_core::stores::{Digest, FIRST_USE};

/// Fewest digits of a digest that are taken for it.
const DIGITS_MIN: usize = 12;

/// Longest name of an operator that is kept.
const OPERATOR_CHARS_MAX: usize = 64;

/// Approves tools as they are seen.
pub(super) async fn approve(records: &Records, what: &ApproveArgs) -> Result<Told, PinsError> {
    let upstream = &what.upstream;
    known(records, upstream).await?;
    let mut looks = look(records, Some(upstream)).await?;
    if what.all {
        looks.retain(Look::waits);
    } else if what.tools.is_empty() {
        return Err(PinsError::NoneNamed(upstream.clone()));
    } else {
        let has = |tool: &String| looks.iter().any(|look| look.pin.tool == *tool);
        if let Some(missing) = what.tools.iter().find(|tool| !has(tool)) {
            return Err(no_tool(upstream, missing));
        }
        looks.retain(|look| what.tools.contains(&look.pin.tool));
    }
    if let Some(digest) = &what.digest {
        let is = match looks.as_slice() {
            _ if what.all => digest_of_all(looks.iter()),
            [look] => look.pin.seen,
            _ => return Err(PinsError::ManyDigests),
        };
        // What was the digest of all is, where one waits, printed as that of the one.
        let is_only =
            what.all && matches!(looks.as_slice(), [look] if matches(digest, look.pin.seen)?);
        if !is_only && !matches(digest, is)? {
            return Err(PinsError::Changed(upstream.clone()));
        }
    }
    let tools = looks.iter().map(|look| (look.pin.tool.clone(), look.pin.seen)).collect();
    let how = (operator(), records.now);
    let done = records.pins.approve(upstream.clone(), tools, how).await?;
    if done.len() < looks.len() {
        return Err(PinsError::Changed(upstream.clone()));
    }
    Ok(told(upstream, &looks))
}

fn told(upstream: &str, looks: &[Look]) -> Told {
    let mut rows = Vec::new();
    let mut findings = String::new();
    for look in looks {
        let name = on_one_line(&look.pin.tool, NAME_CHARS_MAX);
        for finding in &look.findings {
            let finding = visible(&finding.to_string()).join(" ");
            // Writing to a string cannot fail.
            let _ = writeln!(findings, "approved with it: {name}: {finding}");
        }
        rows.push(vec!["approved".to_owned(), name, short(look.pin.seen)]);
    }
    let text = if rows.is_empty() {
        format!("nothing waits: every tool of `{upstream}` that was seen is as it was approved\n")
    } else {
        format!(
            "{}{findings}\nNext: nothing to do; a running gate notices within a second, and tells agents.\n",
            table(&rows)
        )
    };
    let value = |look: &Look| json!({ "tool": look.pin.tool, "digest": hex(look.pin.seen) });
    let approved: Vec<_> = looks.iter().map(value).collect();
    Told { text, value: json!({ "upstream": upstream, "approved": approved }) }
}

/// Whether these digits, as somebody typed them, are the beginning of a digest.
fn matches(typed: &str, digest: Digest) -> Result<bool, PinsError> {
    let digits = typed.strip_prefix("sha256:").unwrap_or(typed).to_ascii_lowercase();
    let is_digest = (DIGITS_MIN..=64).contains(&digits.len())
        && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if !is_digest {
        return Err(PinsError::NoDigest(on_one_line(typed, NAME_CHARS_MAX)));
    }
    Ok(hex(digest).starts_with(&digits))
}

/// Who is said to have approved: a note for others, and no proof.
fn operator() -> String {
    let named = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(|name| {
        std::env::var(name).ok().filter(|name| !name.is_empty() && name != FIRST_USE)
    });
    named.map_or_else(|| "operator".to_owned(), |name| on_one_line(&name, OPERATOR_CHARS_MAX))
}

/// Forgets tools, or all of an upstream.
pub(super) async fn forget(
    records: &Records,
    upstream: &str,
    tools: &[String],
    all: bool,
) -> Result<Told, PinsError> {
    known(records, upstream).await?;
    if !all && tools.is_empty() {
        return Err(PinsError::NoneNamed(upstream.to_owned()));
    }
    let pins = &records.pins;
    let mut count = 0;
    if all {
        count = pins.forget(upstream.to_owned(), None).await?;
    }
    for tool in tools {
        match pins.forget(upstream.to_owned(), Some(tool.clone())).await? {
            0 if !all => return Err(no_tool(upstream, tool)),
            gone => count += gone,
        }
    }
    let next = if all {
        "with `trust: first-use`, the next list that a gate reads is approved as a whole, and a running gate reads one within seconds"
    } else {
        "it is new when it is seen again"
    };
    Ok(Told {
        text: format!("{count} pins of `{upstream}` forgotten: {next}\n"),
        value: json!({ "upstream": upstream, "forgotten": count }),
    })
}

#[cfg(test)]
mod tests {
    use super::matches;
    use tollgate_core::stores::Digest;

    #[test]
    fn a_digest_may_be_cut_and_nothing_else() {
        let digest = Digest([0xab; 32]);
        assert!(matches("abababababab", digest).expect("a digest"));
        assert!(matches(&format!("sha256:{}", "AB".repeat(32)), digest).expect("a digest"));
        assert!(!matches("abababababac", digest).expect("a digest"));
        for no in ["", "ababababa", "abababababxx", &"ab".repeat(33)] {
            assert!(matches(no, digest).is_err(), "{no}");
        }
    }
}
