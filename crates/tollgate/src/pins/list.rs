//! All tools with their state.

use super::look::{Look, look, short};
use super::{NAME_CHARS_MAX, PinsError, known};
use crate::dates::spell_minute;
use crate::records::{Records, Told, table};
use crate::screen::on_one_line;
use std::fmt::Write as _;

/// Lists the tools of one upstream, or of all.
pub(super) async fn list(records: &Records, upstream: Option<&str>) -> Result<Told, PinsError> {
    if let Some(upstream) = upstream {
        known(records, upstream).await?;
    }
    let looks = look(records, upstream).await?;
    let head = ["UPSTREAM", "TOOL", "STATE", "OFFERED", "SEEN SINCE", "APPROVED BY", "DIGEST"];
    let mut rows = vec![head.map(String::from).to_vec()];
    rows.extend(looks.iter().map(row));
    let mut text = if looks.is_empty() { none(records).to_owned() } else { table(&rows) };
    let mut waiting: Vec<&str> =
        looks.iter().filter(|look| look.waits()).map(|look| look.pin.upstream.as_str()).collect();
    let count = waiting.len();
    waiting.dedup();
    if let Some(first) = waiting.first() {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "\n{count} of {} differ from what was approved\n\nNext: `tollgate pins diff {first}` shows how.",
            looks.len()
        );
    }
    Ok(Told { text, value: looks.iter().map(Look::value).collect() })
}

fn none(records: &Records) -> &'static str {
    if records.checked.settings.pins.is_empty() {
        "no upstream has `pins`: add `pins: { trust: first-use }` below one\n"
    } else {
        "no tools seen yet: a running gate reads them when an agent first asks for them\n"
    }
}

fn row(look: &Look) -> Vec<String> {
    let approved = look.pin.approved.as_ref();
    vec![
        look.pin.upstream.clone(),
        on_one_line(&look.pin.tool, NAME_CHARS_MAX),
        look.state(),
        look.offered().to_owned(),
        spell_minute(look.pin.seen_at),
        approved.map_or_else(|| "-".to_owned(), |one| on_one_line(&one.by, NAME_CHARS_MAX)),
        short(look.pin.seen),
    ]
}
