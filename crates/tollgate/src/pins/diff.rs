//! What changed since a tool was approved, for a person who is to decide.

use super::look::{Look, digest_of_all, hex, look, short, visible};
use super::{NAME_CHARS_MAX, PinsError, known, no_tool};
use crate::dates::spell_minute;
use crate::records::{Records, Told};
use crate::screen::on_one_line;
use serde_json::{Value, json};
use std::fmt::Write as _;
use tollgate_mcp::hub::definition::{CHANGES_MAX, Change, Definition};

/// Shows one tool, or all that differ from what was approved.
pub(super) async fn diff(
    records: &Records,
    upstream: &str,
    tool: Option<&str>,
) -> Result<Told, PinsError> {
    known(records, upstream).await?;
    let mut looks = look(records, Some(upstream)).await?;
    match tool {
        Some(tool) => looks.retain(|look| look.pin.tool == tool),
        None => looks.retain(Look::waits),
    }
    if let (Some(tool), []) = (tool, looks.as_slice()) {
        return Err(no_tool(upstream, tool));
    }
    let mut text = String::new();
    let mut values = Vec::new();
    for look in &looks {
        let changes = changes(look);
        write(look, changes.as_deref(), &mut text);
        values.push(value(look, changes));
    }
    let whole = digest_of_all(looks.iter());
    // Writing to a string cannot fail.
    let _ = match (tool, looks.as_slice()) {
        (_, []) => writeln!(text, "every tool of `{upstream}` that was seen is as it was approved"),
        (_, [look]) => {
            let name = on_one_line(&look.pin.tool, NAME_CHARS_MAX);
            let digest = short(look.pin.seen);
            writeln!(
                text,
                "Next: `tollgate pins approve {upstream} {name} --digest {digest}` approves exactly this."
            )
        }
        (_, looks) => writeln!(
            text,
            "Next: `tollgate pins approve {upstream} --all --digest {}` approves exactly these {}.",
            short(whole),
            looks.len()
        ),
    };
    let value = json!({ "upstream": upstream, "digest": hex(whole), "tools": values });
    Ok(Told { text, value })
}

/// What was changed; `None` if nothing was approved, or the text cannot be read.
fn changes(look: &Look) -> Option<Vec<Change>> {
    let approved = Definition::of_tool(look.texts.approved.as_ref()?.as_bytes())?;
    let seen = Definition::of_tool(look.texts.seen.as_bytes())?;
    Some(approved.changes_to(&seen))
}

fn write(look: &Look, changes: Option<&[Change]>, text: &mut String) {
    let Look { pin, texts, .. } = look;
    let name = on_one_line(&pin.tool, NAME_CHARS_MAX);
    // Writing to a string cannot fail, here and below.
    let _ = writeln!(text, "{}__{name}: {}", pin.upstream, look.state());
    let _ =
        writeln!(text, "  seen since {}, sha256 {}", spell_minute(pin.seen_at), short(pin.seen));
    if let Some(one) = &pin.approved {
        let (by, at) = (on_one_line(&one.by, NAME_CHARS_MAX), spell_minute(one.at));
        let _ = writeln!(text, "  approved by {by} {at}, sha256 {}", short(one.digest));
    }
    for finding in &look.findings {
        let finding = visible(&finding.to_string()).join(" ");
        let _ = writeln!(text, "  suspicious: {finding}");
    }
    match changes {
        Some(changes) => {
            for change in changes {
                write_change(change, text);
            }
            if changes.len() >= CHANGES_MAX {
                let _ = writeln!(text, "  … and more: the first {CHANGES_MAX} changes are shown");
            }
        }
        None => write_lines("  ", "  ", &pretty(&texts.seen), text),
    }
    text.push('\n');
}

fn write_change(change: &Change, text: &mut String) {
    let words = visible(&change.words()).join(" ");
    let pointer = visible(&change.pointer).join(" ");
    // Writing to a string cannot fail.
    let _ = writeln!(text, "  {words} ({pointer})");
    if let Some(was) = &change.was {
        write_lines("    - ", "    - ", was, text);
    }
    if let Some(is) = &change.is {
        write_lines("    + ", "    + ", is, text);
    }
}

fn write_lines(first: &str, more: &str, content: &str, text: &mut String) {
    for (at, line) in visible(content).iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}{line}", if at == 0 { first } else { more });
    }
}

/// A definition nobody approved yet, to be read whole. Its numbers may be written differently here.
fn pretty(canonical: &str) -> String {
    let value: Result<Value, _> = serde_json::from_str(canonical);
    value.map_or_else(|_| canonical.to_owned(), |value| format!("{value:#}"))
}

fn value(look: &Look, changes: Option<Vec<Change>>) -> Value {
    let change = |change: Change| json!({ "pointer": change.pointer, "words": change.words(), "was": change.was, "is": change.is });
    let mut value = look.value();
    value["changes"] = changes.unwrap_or_default().into_iter().map(change).collect();
    value["definition"] = look.texts.seen.clone().into();
    value["approved_definition"] = look.texts.approved.clone().into();
    value
}
