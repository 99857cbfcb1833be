//! What a call costs, against arithmetic that cannot overflow, and the order of the book.

#![expect(clippy::expect_used, reason = "a scene that cannot be set fails its test")]

use proptest::prelude::*;
use tollgate_core::bounds::usage::FIGURE_MAX;
use tollgate_core::ids::UpstreamName;
use tollgate_core::party::{Item, ItemKind};
use tollgate_rules::items::ItemGlob;
use tollgate_usage::days;
use tollgate_usage::prices::{PriceBook, PricedBy, Quantities};
use tollgate_usage::settings::{PriceEntry, PriceSettings};

fn entry(name: &str, glob: &str, amounts: [i64; 5]) -> PriceEntry {
    let [per_call, per_1k_in, per_1k_out, per_mb, per_second] = amounts;
    PriceEntry {
        name: name.into(),
        items: vec![(None, ItemGlob::parse(glob).expect("a pattern"))],
        from_day: None,
        until_day: None,
        per_call,
        per_1k_in,
        per_1k_out,
        per_mb,
        per_second,
    }
}

fn book(entries: Vec<PriceEntry>) -> PriceBook {
    PriceBook::new(&PriceSettings { currency: "EUR".into(), entries })
}

fn cost(book: &PriceBook, took: &Quantities) -> u64 {
    let upstream = UpstreamName::from("github");
    let item = Item { kind: ItemKind::Tool, upstream: &upstream, name: "search" };
    book.price(&item, 0).expect("a price").cost(took)
}

/// Which entry prices a tool on a day.
fn priced(book: &PriceBook, (upstream, name): (&str, &str), day: &str) -> Option<String> {
    let upstream = UpstreamName::from(upstream);
    let item = Item { kind: ItemKind::Tool, upstream: &upstream, name };
    let at = days::millis(days::parse(day).expect("a day"));
    book.price(&item, at).map(|price| price.name().to_owned())
}

#[test]
fn halves_of_a_millionth_go_to_the_even_one() {
    let of = |tokens_out| {
        let book = book(vec![entry("a", "*", [0, 0, 500, 0, 0])]);
        cost(&book, &Quantities { tokens_out, ..Quantities::default() })
    };
    // 0.5, 1.5, 2.5 and 3.5 millionths.
    assert_eq!([of(1), of(3), of(5), of(7)], [0, 2, 2, 4]);
    assert_eq!([of(2), of(0)], [1, 0]);
}

#[test]
fn parts_are_summed_before_they_are_rounded() {
    let book = book(vec![entry("a", "*", [0, 400, 400, 0, 0])]);
    let took = Quantities { tokens_in: 1, tokens_out: 1, ..Quantities::default() };
    assert_eq!(cost(&book, &took), 1);
}

#[test]
fn the_first_entry_that_fits_on_the_day_counts() {
    let day = |text: &str| days::parse(text);
    let old = PriceEntry { until_day: day("2026-07-01"), ..entry("old", "github__*", [1; 5]) };
    let new = PriceEntry { from_day: day("2026-07-01"), ..entry("new", "github__*", [2; 5]) };
    let prompts = PriceEntry {
        items: vec![(Some(ItemKind::Prompt), ItemGlob::parse("*").expect("a pattern"))],
        ..entry("prompts", "*", [3; 5])
    };
    let book = book(vec![old, new, prompts, entry("files", "files__read_*", [4; 5])]);
    assert_eq!(priced(&book, ("github", "x"), "2026-06-30").as_deref(), Some("old"));
    assert_eq!(priced(&book, ("github", "x"), "2026-07-01").as_deref(), Some("new"));
    assert_eq!(priced(&book, ("files", "read_a"), "2026-07-01").as_deref(), Some("files"));
    assert_eq!(priced(&book, ("files", "write"), "2026-07-01"), None);
}

#[test]
fn another_price_is_another_version_also_under_the_same_name_and_day() {
    let versions = [1, 2].map(|per_call| {
        let dated = PriceEntry { from_day: Some(0), ..entry("a", "*", [per_call, 0, 0, 0, 0]) };
        let book = book(vec![dated]);
        let upstream = UpstreamName::from("github");
        let item = Item { kind: ItemKind::Tool, upstream: &upstream, name: "x" };
        let version = book.price(&item, 0).expect("a price").version().clone();
        assert!(book.version(&version).is_some() && book.version("a").is_none());
        version
    });
    assert!(versions.iter().all(|version| version.starts_with("a@1970-01-01#")), "{versions:?}");
    assert_ne!(versions[0], versions[1]);
}

#[test]
fn figures_beyond_all_reason_saturate() {
    let book = book(vec![entry("a", "*", [i64::MAX; 5])]);
    let most = u64::MAX;
    let took =
        Quantities { calls: most, tokens_in: most, tokens_out: most, bytes: most, millis: most };
    assert_eq!(cost(&book, &took), FIGURE_MAX.unsigned_abs());
}

proptest! {
    #[test]
    fn a_cost_is_the_exact_sum_rounded_once(
        amounts in prop::array::uniform5(0..10_000_000_000_i64),
        figures in prop::array::uniform5(0..100_000_u64),
    ) {
        let book = book(vec![entry("a", "*", amounts)]);
        let [calls, tokens_in, tokens_out, bytes, millis] = figures;
        let took = Quantities { calls, tokens_in, tokens_out, bytes, millis };
        let units = [1, 1_000, 1_000, 1_000_000, 1_000_i128];
        // In millionths of millionths, which all of these are whole numbers of.
        let exact: i128 = amounts.iter().zip(figures).zip(units)
            .map(|((price, figure), unit)| i128::from(*price) * i128::from(figure) * (1_000_000 / unit))
            .sum();
        let said = i128::from(cost(&book, &took)) * 1_000_000;
        if exact <= i128::from(FIGURE_MAX) * 1_000_000 {
            prop_assert!((said - exact).abs() <= 500_000, "{said} {exact}");
        }
    }

    #[test]
    fn more_never_costs_less(amounts in prop::array::uniform5(0..1_000_000_i64), one in any::<u32>(), more in any::<u32>()) {
        let book = book(vec![entry("a", "*", amounts)]);
        let took = |tokens: u64| Quantities { calls: 1, tokens_out: tokens, bytes: tokens, ..Quantities::default() };
        let (less, most) = (u64::from(one), u64::from(one) + u64::from(more));
        prop_assert!(cost(&book, &took(less)) <= cost(&book, &took(most)));
    }

    #[test]
    fn parts_are_the_whole_but_for_their_rounding(amounts in prop::array::uniform5(0..1_000_000_i64), figures in prop::array::uniform5(0..1_000_000_u64)) {
        let book = book(vec![entry("a", "*", amounts)]);
        let [calls, tokens_in, tokens_out, bytes, millis] = figures;
        let took = Quantities { calls, tokens_in, tokens_out, bytes, millis };
        let upstream = UpstreamName::from("github");
        let item = Item { kind: ItemKind::Tool, upstream: &upstream, name: "x" };
        let price = book.price(&item, 0).expect("a price");
        let parts: u64 = PricedBy::ALL.iter().map(|by| price.part(*by, &took)).sum();
        prop_assert!(parts.abs_diff(cost(&book, &took)) <= 3);
    }
}
