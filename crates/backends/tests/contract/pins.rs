//! What holds for pins of tool definitions, in memory and in a file.

use super::digest;
use std::path::Path;
use std::sync::Arc;
use tollgate_backends::embedded::Embedded;
use tollgate_backends::memory::MemoryPins;
use tollgate_core::bounds::pins::{PIN_TEXT_BYTES_MAX, PINS_BYTES_MAX, PINS_PER_UPSTREAM_MAX};
use tollgate_core::stores::{FIRST_USE, PinRecord, PinTexts, Pins, Seen};

/// Each case once for each implementation.
macro_rules! contract_of_pins {
    ($($case:ident)+) => {
        mod memory {
            $(#[tokio::test]
            async fn $case() {
                super::$case(&super::MemoryPins::default()).await;
            })+
        }
        mod embedded {
            $(#[tokio::test]
            async fn $case() {
                let dir = tempfile::tempdir().expect("a directory");
                super::$case(&*super::in_a_file(dir.path()).await).await;
            })+
        }
    };
}

contract_of_pins! {
    the_first_list_of_an_upstream_is_approved_whole_where_that_is_trusted
    nothing_is_approved_by_being_seen_where_first_use_is_not_trusted
    what_is_new_or_changed_later_is_noted_and_not_approved
    approval_takes_the_digest_that_was_looked_at
    a_tool_that_is_as_it_was_again_is_seen_as_approved
    what_is_not_shown_now_stays
    both_texts_can_be_read
    pins_of_upstreams_are_apart_and_sorted
    what_is_forgotten_begins_anew
    any_change_changes_the_version_and_seeing_the_same_does_not
    what_was_never_approved_makes_room_and_what_was_does_not
    texts_have_a_bound_each_and_together
    of_two_who_see_first_at_once_one_is_first
}

async fn in_a_file(dir: &Path) -> Arc<dyn Pins> {
    Embedded::open(&dir.join("store.db")).await.expect("a new store").pins()
}

fn seen(tool: &str, version: u64) -> Seen {
    Seen { tool: tool.to_owned(), digest: digest(version), text: format!("{tool} {version}") }
}

async fn saw(pins: &dyn Pins, upstream: &str, seen: Vec<Seen>, now: u64) -> Vec<PinRecord> {
    pins.saw(upstream.to_owned(), seen, (true, now)).await.expect("an answer")
}

/// Each pin as `tool: approved by whom, approved version, seen version, since`.
fn told(records: &[PinRecord]) -> Vec<String> {
    let version = |of: tollgate_core::stores::Digest| (0..100).find(|n| digest(*n) == of);
    let each = records.iter().map(|pin| {
        let (seen, since) = (version(pin.seen).expect("a version"), pin.seen_at);
        match &pin.approved {
            None => format!("{}: not approved, {seen} since {since}", pin.tool),
            Some(one) => format!(
                "{}: {} by {} at {}, {seen} since {since}",
                pin.tool,
                version(one.digest).expect("a version"),
                one.by,
                one.at
            ),
        }
    });
    each.collect()
}

async fn all(pins: &dyn Pins) -> Vec<String> {
    told(&pins.all(None).await.expect("an answer"))
}

async fn approve(pins: &dyn Pins, tool: &str, version: u64) -> Vec<String> {
    let tools = vec![(tool.to_owned(), digest(version))];
    pins.approve("u".to_owned(), tools, ("ada".to_owned(), 50)).await.expect("an answer")
}

async fn the_first_list_of_an_upstream_is_approved_whole_where_that_is_trusted(pins: &dyn Pins) {
    let answer = saw(pins, "u", vec![seen("b", 2), seen("a", 1)], 10).await;
    assert_eq!(
        told(&answer),
        ["a: 1 by first-use at 10, 1 since 10", "b: 2 by first-use at 10, 2 since 10"]
    );
    assert_eq!(answer[0].approved.as_ref().expect("it is approved").by, FIRST_USE);
    assert_eq!(all(pins).await, told(&answer));
}

async fn nothing_is_approved_by_being_seen_where_first_use_is_not_trusted(pins: &dyn Pins) {
    let answer = pins.saw("u".to_owned(), vec![seen("a", 1)], (false, 10)).await;
    assert_eq!(told(&answer.expect("an answer")), ["a: not approved, 1 since 10"]);
    // Nor later, where it is trusted then: there is a first list already.
    saw(pins, "u", vec![seen("a", 1), seen("b", 2)], 11).await;
    assert_eq!(all(pins).await, ["a: not approved, 1 since 10", "b: not approved, 2 since 11"]);
}

async fn what_is_new_or_changed_later_is_noted_and_not_approved(pins: &dyn Pins) {
    saw(pins, "u", vec![seen("a", 1)], 10).await;
    saw(pins, "u", vec![seen("a", 3), seen("b", 2)], 20).await;
    let expected = ["a: 1 by first-use at 10, 3 since 20", "b: not approved, 2 since 20"];
    assert_eq!(all(pins).await, expected);
    // Seen again, it is no newer.
    saw(pins, "u", vec![seen("a", 3), seen("b", 2)], 30).await;
    assert_eq!(all(pins).await, expected);
}

async fn approval_takes_the_digest_that_was_looked_at(pins: &dyn Pins) {
    saw(pins, "u", vec![seen("a", 1)], 10).await;
    saw(pins, "u", vec![seen("a", 2)], 20).await;
    assert!(approve(pins, "a", 3).await.is_empty());
    assert!(approve(pins, "b", 2).await.is_empty());
    assert_eq!(all(pins).await, ["a: 1 by first-use at 10, 2 since 20"]);
    assert_eq!(approve(pins, "a", 2).await, ["a"]);
    assert_eq!(all(pins).await, ["a: 2 by ada at 50, 2 since 20"]);
}

async fn a_tool_that_is_as_it_was_again_is_seen_as_approved(pins: &dyn Pins) {
    for (version, now) in [(1, 10), (2, 20), (1, 30)] {
        saw(pins, "u", vec![seen("a", version)], now).await;
    }
    assert_eq!(all(pins).await, ["a: 1 by first-use at 10, 1 since 30"]);
    let texts = pins.texts("u".to_owned(), "a".to_owned()).await.expect("an answer");
    assert_eq!(texts, Some(PinTexts { approved: Some("a 1".to_owned()), seen: "a 1".to_owned() }));
}

async fn what_is_not_shown_now_stays(pins: &dyn Pins) {
    saw(pins, "u", vec![seen("a", 1), seen("b", 1)], 10).await;
    saw(pins, "u", vec![], 20).await;
    saw(pins, "u", vec![seen("b", 1)], 30).await;
    assert_eq!(all(pins).await.len(), 2);
}

async fn both_texts_can_be_read(pins: &dyn Pins) {
    let texts = async || pins.texts("u".to_owned(), "a".to_owned()).await.expect("an answer");
    let pair = |approved: Option<&str>, seen: &str| {
        Some(PinTexts { approved: approved.map(str::to_owned), seen: seen.to_owned() })
    };
    assert_eq!(texts().await, None);
    pins.saw("u".to_owned(), vec![seen("a", 1)], (false, 10)).await.expect("an answer");
    assert_eq!(texts().await, pair(None, "a 1"));
    approve(pins, "a", 1).await;
    assert_eq!(texts().await, pair(Some("a 1"), "a 1"));
    saw(pins, "u", vec![seen("a", 2)], 20).await;
    assert_eq!(texts().await, pair(Some("a 1"), "a 2"));
    saw(pins, "u", vec![seen("a", 3)], 30).await;
    assert_eq!(texts().await, pair(Some("a 1"), "a 3"));
    approve(pins, "a", 3).await;
    assert_eq!(texts().await, pair(Some("a 3"), "a 3"));
}

async fn pins_of_upstreams_are_apart_and_sorted(pins: &dyn Pins) {
    saw(pins, "v", vec![seen("a", 1)], 10).await;
    saw(pins, "u", vec![seen("z", 1)], 10).await;
    let of = async |upstream: Option<&str>| {
        let records = pins.all(upstream.map(str::to_owned)).await.expect("an answer");
        let names = records.into_iter().map(|pin| format!("{} {}", pin.upstream, pin.tool));
        names.collect::<Vec<_>>()
    };
    assert_eq!(of(None).await, ["u z", "v a"]);
    assert_eq!(of(Some("v")).await, ["v a"]);
    assert!(of(Some("w")).await.is_empty());
}

async fn what_is_forgotten_begins_anew(pins: &dyn Pins) {
    saw(pins, "u", vec![seen("a", 1), seen("b", 1)], 10).await;
    saw(pins, "v", vec![seen("a", 1)], 10).await;
    let forget = async |tool: Option<&str>| {
        pins.forget("u".to_owned(), tool.map(str::to_owned)).await.expect("an answer")
    };
    assert_eq!((forget(Some("c")).await, forget(Some("a")).await), (0, 1));
    saw(pins, "u", vec![seen("a", 2)], 20).await;
    assert_eq!(all(pins).await[0], "a: not approved, 2 since 20");
    assert_eq!(forget(None).await, 2);
    saw(pins, "u", vec![seen("a", 2)], 30).await;
    assert_eq!(
        all(pins).await,
        ["a: 2 by first-use at 30, 2 since 30", "a: 1 by first-use at 10, 1 since 10"]
    );
}

async fn any_change_changes_the_version_and_seeing_the_same_does_not(pins: &dyn Pins) {
    let version = async || pins.version().await.expect("an answer");
    let mut known = vec![version().await];
    let mut note = |version: u64| {
        assert!(!known.contains(&version), "{version} again after {known:?}");
        known.push(version);
    };
    saw(pins, "u", vec![seen("a", 1)], 10).await;
    note(version().await);
    saw(pins, "u", vec![seen("a", 2)], 20).await;
    note(version().await);
    approve(pins, "a", 2).await;
    note(version().await);
    let before = version().await;
    saw(pins, "u", vec![seen("a", 2)], 30).await;
    approve(pins, "a", 1).await;
    pins.forget("u".to_owned(), Some("b".to_owned())).await.expect("an answer");
    pins.all(None).await.expect("an answer");
    assert_eq!(version().await, before);
    pins.forget("u".to_owned(), None).await.expect("an answer");
    note(version().await);
}

async fn what_was_never_approved_makes_room_and_what_was_does_not(pins: &dyn Pins) {
    let many = |range: std::ops::Range<usize>| {
        range.map(|n| seen(&format!("t{n:05}"), 1)).collect::<Vec<_>>()
    };
    saw(pins, "u", vec![seen("approved", 1)], 10).await;
    saw(pins, "u", vec![seen("old", 1)], 11).await;
    let full = saw(pins, "u", many(0..PINS_PER_UPSTREAM_MAX - 2), 12).await;
    assert_eq!(full.len(), PINS_PER_UPSTREAM_MAX);
    let after = saw(pins, "u", vec![seen("new", 1), seen("approved", 1)], 13).await;
    assert_eq!(after.len(), PINS_PER_UPSTREAM_MAX);
    let has = |tool: &str| after.iter().any(|pin| pin.tool == tool);
    assert!(has("approved") && has("new") && !has("old"));
    // More at once than there is room for: the rest is nobody's to approve.
    let beyond = saw(pins, "u", many(0..PINS_PER_UPSTREAM_MAX + 10), 14).await;
    assert_eq!(beyond.len(), PINS_PER_UPSTREAM_MAX);
    assert!(beyond.iter().any(|pin| pin.tool == "approved"));
}

async fn texts_have_a_bound_each_and_together(pins: &dyn Pins) {
    let long =
        |tool: String, bytes: usize| Seen { tool, digest: digest(1), text: "x".repeat(bytes) };
    let fits = PINS_BYTES_MAX / PIN_TEXT_BYTES_MAX;
    let mut list = vec![long("too-long".to_owned(), PIN_TEXT_BYTES_MAX + 1)];
    list.extend((0..fits + 3).map(|n| long(format!("t{n:03}"), PIN_TEXT_BYTES_MAX)));
    let kept = saw(pins, "u", list, 10).await;
    assert_eq!(kept.len(), fits);
    assert_eq!(kept[0].tool, "t000");
}

async fn of_two_who_see_first_at_once_one_is_first(pins: &dyn Pins) {
    let (one, other) = tokio::join!(
        saw(pins, "u", vec![seen("a", 1)], 10),
        saw(pins, "u", vec![seen("a", 2), seen("b", 2)], 10)
    );
    drop((one, other));
    let all = all(pins).await;
    let by_one = ["a: 1 by first-use at 10, 2 since 10", "b: not approved, 2 since 10"];
    let by_other = ["a: 2 by first-use at 10, 1 since 10", "b: 2 by first-use at 10, 2 since 10"];
    assert!(all == by_one || all == by_other, "{all:?}");
}
