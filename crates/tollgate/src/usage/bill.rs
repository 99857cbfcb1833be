//! Sums as a table for people, and as CSV and JSON for machines.
//!
//! What is estimated is called so in each of them. Next: `csv.rs`.

use super::asked::{Asked, word};
use super::csv::{Cell, line};
use crate::dates::spell;
use crate::records::table;
use crate::screen::on_one_line;
use serde_json::{Map, Value, json};
use tollgate_core::stores::{UsageBy, UsageSums};
use tollgate_usage::money;

/// What an answer consists of.
#[derive(Debug)]
pub(super) struct Bill<'a> {
    pub(super) asked: &'a Asked,
    pub(super) groups: Vec<UsageSums>,
    /// The same rows by who counted.
    pub(super) counted: Vec<UsageSums>,
    pub(super) currency: &'a str,
}

/// What is shown of usage that belongs to no team.
pub(super) const UNALLOCATED: &str = "unallocated";
/// Of usage that has no price.
const UNPRICED: &str = "unpriced";
/// Of usage without a user, or of methods that act on nothing.
const NONE: &str = "none";

/// Longest name in a table; machines get all of it.
const NAME_CHARS_MAX: usize = 80;

/// What tells apart rows that correct from calls.
const CALLS: &str = "calls";

fn shown(by: UsageBy, name: Option<&str>) -> String {
    match (by, name) {
        (_, Some(name)) => name.to_owned(),
        (UsageBy::Correction, None) => CALLS.to_owned(),
        (UsageBy::Price, None) => UNPRICED.to_owned(),
        (UsageBy::Team, None) => UNALLOCATED.to_owned(),
        (_, None) => NONE.to_owned(),
    }
}

/// Seconds with their thousandths.
fn seconds(millis: i64) -> String {
    format!("{}.{:03}", millis / 1_000, (millis % 1_000).abs())
}

impl Bill<'_> {
    fn names(&self, sums: &UsageSums) -> Vec<String> {
        let names = self.asked.by.iter().zip(&sums.group);
        names.map(|(by, name)| shown(*by, name.as_deref())).collect()
    }

    fn total(&self) -> UsageSums {
        let mut total = UsageSums::default();
        for sums in &self.groups {
            total.calls = total.calls.saturating_add(sums.calls);
            total.tokens_in = total.tokens_in.saturating_add(sums.tokens_in);
            total.tokens_out = total.tokens_out.saturating_add(sums.tokens_out);
            total.bytes = total.bytes.saturating_add(sums.bytes);
            total.millis = total.millis.saturating_add(sums.millis);
            total.errors = total.errors.saturating_add(sums.errors);
            total.cost_micros = total.cost_micros.saturating_add(sums.cost_micros);
        }
        total
    }

    /// For people.
    pub(super) fn table(&self) -> String {
        let since = spell(self.asked.filter.since_millis / 1_000);
        let until = self.asked.filter.until_millis.map(|millis| spell(millis / 1_000));
        let span = match until {
            Some(until) => format!("{since} until before {until}"),
            None => format!("since {since}"),
        };
        if self.groups.is_empty() {
            return format!("nothing was used {span} (UTC)\n");
        }
        let mut rows = vec![self.heads()];
        for sums in &self.groups {
            let names = self.names(sums).into_iter().map(|name| on_one_line(&name, NAME_CHARS_MAX));
            rows.push(names.chain(figures(sums)).collect());
        }
        let mut total = vec![String::new(); self.asked.by.len()];
        if let Some(first) = total.first_mut() {
            "total".clone_into(first);
        }
        total.extend(figures(&self.total()));
        rows.push(total);
        let currency = self.currency;
        format!(
            "{}\n{span} (UTC). Cost in {currency}: declared prices times measured use. {}\n",
            table(&rows),
            self.note()
        )
    }

    fn heads(&self) -> Vec<String> {
        let names = self.asked.by.iter().map(|by| word(*by).to_uppercase());
        let figures = ["CALLS", "ERRORS", "TOKENS IN", "TOKENS OUT", "BYTES", "SECONDS", "COST"];
        names.chain(figures.map(str::to_owned)).collect()
    }

    /// Who counted the tokens.
    fn note(&self) -> String {
        let all: i64 = self.counted.iter().map(|sums| sums.calls).sum();
        let parts = self.counted.iter().filter(|sums| sums.calls > 0).map(|sums| {
            let how = match counted_by(sums) {
                "reported" => "reported by upstreams",
                "tokenizer" => "estimated by a tokenizer",
                _ => "estimated from bytes",
            };
            format!("{how} in {} of {all} calls", sums.calls)
        });
        let parts = parts.collect::<Vec<_>>().join(", ");
        if parts.is_empty() { String::new() } else { format!("Tokens are {parts}.") }
    }

    /// For spreadsheets.
    pub(super) fn csv(&self) -> String {
        let names = self.asked.by.iter().map(|by| Cell::text(word(*by).replace('-', "_")));
        let figures = [
            "calls",
            "errors",
            "tokens_in_estimated",
            "tokens_out_estimated",
            "bytes",
            "seconds",
            "cost_estimated",
            "currency",
        ];
        let mut text = line(&names.chain(figures.map(Cell::text)).collect::<Vec<_>>());
        for sums in &self.groups {
            let names = self.names(sums).into_iter().map(Cell::Text);
            let figures = figures_of(sums).into_iter().map(Cell::Number);
            let currency = [Cell::text(self.currency)];
            text += &line(&names.chain(figures).chain(currency).collect::<Vec<_>>());
        }
        text
    }

    /// For programs. Money is text, so that no reader makes a floating number of it.
    pub(super) fn json(&self) -> Value {
        let object = |sums: &UsageSums| {
            json!({
                "calls": sums.calls,
                "errors": sums.errors,
                "tokens_in": sums.tokens_in,
                "tokens_out": sums.tokens_out,
                "bytes": sums.bytes,
                "millis": sums.millis,
                "cost": money::text(sums.cost_micros),
            })
        };
        let group = |sums: &UsageSums| {
            let mut group = Map::new();
            for (by, name) in self.asked.by.iter().zip(&sums.group) {
                group.insert(word(*by).replace('-', "_"), json!(name));
            }
            if let Value::Object(figures) = object(sums) {
                group.extend(figures);
            }
            Value::Object(group)
        };
        let counted: Map<String, Value> =
            self.counted.iter().map(|s| (counted_by(s).to_owned(), json!(s.calls))).collect();
        json!({
            "since": spell(self.asked.filter.since_millis / 1_000),
            "until": self.asked.filter.until_millis.map(|millis| spell(millis / 1_000)),
            "currency": self.currency,
            "estimated": {
                "cost": "declared prices times measured use",
                "calls_with_tokens_counted_by": counted,
            },
            "groups": self.groups.iter().map(group).collect::<Vec<_>>(),
            "total": object(&self.total()),
        })
    }
}

fn counted_by(sums: &UsageSums) -> &str {
    sums.group.first().and_then(|by| by.as_deref()).unwrap_or("bytes")
}

fn figures_of(sums: &UsageSums) -> [String; 7] {
    [
        sums.calls.to_string(),
        sums.errors.to_string(),
        sums.tokens_in.to_string(),
        sums.tokens_out.to_string(),
        sums.bytes.to_string(),
        seconds(sums.millis),
        money::text(sums.cost_micros),
    ]
}

fn figures(sums: &UsageSums) -> impl Iterator<Item = String> + use<> {
    figures_of(sums).into_iter()
}

#[cfg(test)]
mod tests {
    use super::Bill;
    use crate::usage::asked::Asked;
    use tollgate_core::stores::UsageSums;

    fn sums(group: &[Option<&str>], calls: i64, cost_micros: i64) -> UsageSums {
        let group = group.iter().map(|name| name.map(str::to_owned)).collect();
        let (tokens_out, errors) = (calls * 100, calls / 10);
        UsageSums { group, calls, tokens_out, errors, cost_micros, ..UsageSums::default() }
    }

    fn with_bill<T>(look: impl FnOnce(&Bill<'_>) -> T) -> T {
        let asked = Asked::of_query("by=team,agent&since=2026-11-01", 1_795_000_000);
        let groups = vec![
            sums(&[None, Some("=cmd()")], 20, 1_500_000),
            sums(&[Some("platform"), Some("ci\u{1b}[31m")], 10, 2_500),
        ];
        let counted = vec![sums(&[Some("bytes")], 25, 0), sums(&[Some("reported")], 5, 0)];
        let asked = asked.expect("a question");
        look(&Bill { asked: &asked, groups, counted, currency: "EUR" })
    }

    #[test]
    fn a_table_shows_everything_and_says_what_is_estimated() {
        let text = with_bill(|bill| bill.table());
        for part in [
            "TEAM",
            "unallocated  =cmd()",
            "1.50",
            "0.0025",
            "1.5025",
            "since 2026-11-01",
            "Cost in EUR: declared prices",
            "estimated from bytes in 25 of 30 calls, reported by upstreams in 5 of 30",
        ] {
            assert!(text.contains(part), "`{part}` is missing in\n{text}");
        }
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }

    #[test]
    fn csv_has_no_formulas() {
        let text = with_bill(|bill| bill.csv());
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("team,agent,calls,errors,tokens_in_estimated,"));
        assert_eq!(lines[1], "unallocated,\"'=cmd()\",20,2,0,2000,0,0.000,1.50,EUR");
        assert_eq!(lines.len(), 3);
    }

    #[test]
    fn json_keeps_what_is_absent_apart_from_every_name() {
        let value = with_bill(|bill| bill.json());
        assert!(value["groups"][0]["team"].is_null());
        assert_eq!(value["groups"][1]["cost"], "0.0025");
        assert_eq!(value["total"]["calls"], 30);
        assert_eq!(value["estimated"]["calls_with_tokens_counted_by"]["reported"], 5);
    }
}
