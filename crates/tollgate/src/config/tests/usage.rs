//! What `usage` and `prices` come to.

use super::{MINIMAL, checked, judged};
use tollgate_core::party::ItemKind;
use tollgate_usage::days;
use tollgate_usage::settings::{Estimator, OnFailure, Trust};

#[test]
fn without_a_section_nothing_is_metered_and_no_ledger_is_opened() {
    let checked = checked(MINIMAL);
    assert_eq!((checked.settings.usage, checked.ledger), (None, None));
}

#[test]
fn a_word_is_enough_to_keep_a_ledger() {
    let checked = checked(&format!("{MINIMAL}usage: {{ estimator: bytes }}\n"));
    let usage = checked.settings.usage.expect("metered");
    assert!(usage.has_ledger && usage.prices.entries.is_empty());
    assert_eq!((usage.on_failure, usage.retain_secs), (OnFailure::Open, None));
    assert!(checked.ledger.expect("a file").ends_with("tollgate-usage.db"));
}

#[test]
fn a_ledger_that_is_not_wanted_is_not_opened() {
    let checked = checked(&format!("{MINIMAL}usage: {{ ledger: false }}\n"));
    assert!(!checked.settings.usage.expect("counted").has_ledger);
    assert_eq!(checked.ledger, None);
}

#[test]
fn metering_is_what_is_written() {
    let text = "usage: { estimator: o200k, reported: { search: reported }, on_failure: closed, retain_days: 400 }";
    let checked = checked(&format!("{MINIMAL}{text}\n"));
    let usage = checked.settings.usage.expect("metered");
    assert_eq!((usage.estimator, usage.on_failure), (Estimator::O200k, OnFailure::Closed));
    assert_eq!(usage.reported, [("search".into(), Trust::Reported)]);
    assert_eq!(usage.retain_secs, Some(400 * 86_400));
}

#[test]
fn prices_are_exact() {
    let text = "prices:\n  currency: EUR\n  entries:\n    - { name: search, tools: [search__*], from: 2026-01-01, until: 2027-01-01, per_call: 0.0025, per_1k_tokens_in: 0.000001, per_1k_tokens_out: 0.1, per_mb: 1, per_second: \"0.30\" }\n    - { name: rest, per_call: 0 }";
    let usage = checked(&format!("{MINIMAL}{text}\n")).settings.usage.expect("metered");
    let [search, rest] = usage.prices.entries.as_slice() else { panic!("two entries") };
    assert_eq!((search.per_call, search.per_1k_in, search.per_1k_out), (2_500, 1, 100_000));
    assert_eq!((search.per_mb, search.per_second), (1_000_000, 300_000));
    assert_eq!(
        (search.from_day, search.until_day),
        (days::parse("2026-01-01"), days::parse("2027-01-01"))
    );
    assert_eq!(search.items[0].0, Some(ItemKind::Tool));
    assert!(rest.items[0].0.is_none() && rest.items[0].1.is_all());
    assert_eq!(&*usage.prices.currency, "EUR");
}

#[test]
fn an_entry_that_never_prices_anything_is_warned_of() {
    let text = "prices: { entries: [{ name: all, per_call: 1 }, { name: search, tools: [search__*], per_call: 2 }, { name: x, tools: [nobody__*], per_call: 3 }] }";
    let warnings = checked(&format!("{MINIMAL}{text}\n")).warnings.join("\n");
    assert!(warnings.contains("`search` prices nothing: `all` before it"), "{warnings}");
    assert!(warnings.contains("`nobody__*` fits no upstream"), "{warnings}");
    let dated = "prices: { entries: [{ name: a, until: 2026-01-01, per_call: 1 }, { name: a, from: 2026-01-01, per_call: 2 }] }";
    assert!(checked(&format!("{MINIMAL}{dated}\n")).warnings.is_empty());
}

#[test]
fn two_entries_share_no_name_from_the_same_day() {
    let text = "prices: { entries: [{ name: a, per_call: 1, tools: [search__x] }, { name: a, per_call: 2 }] }";
    let report = judged(&format!("{MINIMAL}{text}\n")).expect_err("a mistake").to_string();
    assert!(report.contains("two entries of `prices` are called `a`"), "{report}");
}
