//! The columns of FOCUS, and that their costs are the bill.

use super::{COLUMNS, decimal, text};
use proptest::prelude::*;
use tollgate_core::ids::UpstreamName;
use tollgate_core::party::{Item, ItemKind};
use tollgate_core::stores::UsageSums;
use tollgate_rules::items::ItemGlob;
use tollgate_usage::money;
use tollgate_usage::prices::{PriceBook, Quantities};
use tollgate_usage::settings::{PriceEntry, PriceSettings};

fn book() -> PriceBook {
    let entry = PriceEntry {
        name: "search".into(),
        items: vec![(None, ItemGlob::parse("github__*").expect("a pattern"))],
        from_day: None,
        until_day: None,
        per_call: 2_500,
        per_1k_in: 333,
        per_1k_out: 1_001,
        per_mb: 7,
        per_second: 1,
    };
    PriceBook::new(&PriceSettings { currency: "EUR".into(), entries: vec![entry] })
}

fn version(book: &PriceBook) -> String {
    let upstream = UpstreamName::from("github");
    let item = Item { kind: ItemKind::Tool, upstream: &upstream, name: "search" };
    book.price(&item, 0).expect("a price").version().to_string()
}

fn sums(
    book: &PriceBook,
    took: Quantities,
    cost_micros: i64,
    tail: [Option<&str>; 2],
) -> UsageSums {
    let version = version(book);
    let names = [
        Some("2026-11-30"),
        Some("ci"),
        None,
        Some("github"),
        Some("github__search"),
        Some(version.as_str()),
    ];
    let figure = |number: u64| i64::try_from(number).expect("a figure");
    UsageSums {
        group: names.into_iter().chain(tail).map(|name| name.map(str::to_owned)).collect(),
        calls: figure(took.calls),
        tokens_in: figure(took.tokens_in),
        tokens_out: figure(took.tokens_out),
        bytes: figure(took.bytes),
        millis: figure(took.millis),
        errors: 1,
        cost_micros,
    }
}

/// Lines as cells. No cell of these tests but the tags holds a comma.
fn cell(line: &str, column: &str) -> String {
    let at = COLUMNS.iter().position(|name| *name == column).expect("a column");
    let mut cells = Vec::new();
    let (mut cell, mut is_quoted) = (String::new(), false);
    for one in line.chars() {
        match one {
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => cells.push(std::mem::take(&mut cell)),
            _ => cell.push(one),
        }
    }
    cells.push(cell);
    assert_eq!(cells.len(), COLUMNS.len(), "{line}");
    cells[at].clone()
}

const TOOK: Quantities =
    Quantities { calls: 10, tokens_in: 1_500, tokens_out: 0, bytes: 2_000_000, millis: 1_250 };

#[test]
fn each_meter_has_a_row_with_its_quantity_and_price() {
    let book = book();
    let text = text(&[sums(&book, TOOK, 25_514, [Some("bytes"), None])], &book);
    let rows: Vec<&str> = text.lines().skip(1).collect();
    let column = |name| rows.iter().map(|row| cell(row, name)).collect::<Vec<_>>();
    assert_eq!(column("SkuMeter"), ["calls", "input tokens", "bytes", "seconds"]);
    assert_eq!(column("ConsumedQuantity"), ["10", "1500", "2000000", "1.25"]);
    assert_eq!(column("PricingQuantity"), ["10", "1.5", "2", "1.25"]);
    assert_eq!(column("ListUnitPrice"), ["0.0025", "0.000333", "0.000007", "0.000001"]);
    assert_eq!(cell(rows[0], "BillingPeriodEnd"), "2026-12-01T00:00:00Z");
    assert_eq!(cell(rows[0], "ChargePeriodEnd"), "2026-12-01T00:00:00Z");
    assert_eq!(cell(rows[0], "ResourceName"), "search");
    assert_eq!(cell(rows[0], "SubAccountName"), "unallocated");
    assert_eq!(cell(rows[0], "ChargeClass"), "");
    assert_eq!(cell(rows[0], "SkuPriceId"), version(&book));
}

#[test]
fn a_correction_is_a_row_of_its_class_without_quantities() {
    let book = book();
    let nothing = Quantities::default();
    let text = text(&[sums(&book, nothing, -700, [Some("bytes"), Some("correction")])], &book);
    let rows: Vec<&str> = text.lines().skip(1).collect();
    assert_eq!(rows.len(), 1);
    assert_eq!(cell(rows[0], "ChargeClass"), "Correction");
    assert_eq!(cell(rows[0], "EffectiveCost"), "-0.0007");
    assert_eq!(cell(rows[0], "ConsumedQuantity"), "");
}

#[test]
fn numbers_are_divided_exactly() {
    assert_eq!(decimal(0, 3), "0");
    assert_eq!(decimal(5, 3), "0.005");
    assert_eq!(decimal(1_500, 3), "1.5");
    assert_eq!(decimal(12, 0), "12");
    assert_eq!(decimal(u64::MAX, 6), "18446744073709.551615");
}

proptest! {
    #[test]
    fn the_costs_of_all_rows_are_the_cost_of_the_bill(
        figures in prop::array::uniform4(0..1_000_000_000_u64), calls in 1..1_000_u64, off in -500..500_i64
    ) {
        let book = book();
        let [tokens_in, tokens_out, bytes, millis] = figures;
        let took = Quantities { calls, tokens_in, tokens_out, bytes, millis };
        let upstream = UpstreamName::from("github");
        let item = Item { kind: ItemKind::Tool, upstream: &upstream, name: "search" };
        // Each call was rounded by itself.
        let cost = i64::try_from(book.price(&item, 0).expect("a price").cost(&took)).expect("money");
        let cost = cost + off;
        let text = text(&[sums(&book, took, cost, [Some("bytes"), None])], &book);
        let all: i64 = text.lines().skip(1).map(|row| {
            let cell = cell(row, "BilledCost");
            let micros = money::parse(cell.trim_start_matches('-')).expect("money");
            if cell.starts_with('-') { -micros } else { micros }
        }).sum();
        prop_assert_eq!(all, cost);
    }
}
