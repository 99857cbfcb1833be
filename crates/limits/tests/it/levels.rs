//! Limits as the gate uses them: taken before a call, settled after it.

use crate::scene::{Scene, agent, anonymous, level, rate};
use tollgate_core::bounds::limits::LIMIT_KEYS_MAX;
use tollgate_core::party::ItemKind;
use tollgate_core::refusal::{LimitUnit, Reason};
use tollgate_limits::settings::{CountedPer, LevelSettings};
use tollgate_limits::{Actual, Limits};
use tollgate_rules::items::ItemGlob;

#[test]
fn a_burst_passes_and_one_more_waits_exactly_as_long_as_it_is_told() {
    for (amount, window_millis) in [(600, 60_000), (7, 1_000), (10, 1_000), (3, 86_400_000)] {
        let mut scene = Scene::of([LevelSettings {
            requests: Some(rate(amount, window_millis)),
            ..level("r", &[CountedPer::Agent])
        }]);
        for _ in 0..amount {
            drop(scene.take(&agent("ci")).expect("within the burst"));
        }
        let short = scene.take(&agent("ci")).expect_err("one too many");
        assert_eq!(short.reason, Reason::LimitReached);
        assert_eq!((short.facts.quota, short.facts.remaining), (amount, 0));
        let wait = short.facts.retry_after_millis.expect("a wait");
        scene.advance(wait - 1);
        scene.take(&agent("ci")).expect_err("a millisecond too early");
        scene.advance(1);
        drop(scene.take(&agent("ci")).expect("exactly then"));
        drop(scene.take(&agent("other")).expect("another agent is another counter"));
    }
}

#[test]
fn all_levels_must_have_room_and_a_refused_call_costs_none_of_them() {
    let mut scene = Scene::of([
        LevelSettings { requests: Some(rate(5, 60_000)), ..level("agent", &[CountedPer::Agent]) },
        LevelSettings { requests: Some(rate(1, 60_000)), ..level("tool", &[CountedPer::Item]) },
    ]);
    drop(scene.take(&agent("ci").tool("search", "query")).expect("the first"));
    for _ in 0..20 {
        let short =
            scene.take(&agent("ci").tool("search", "query")).expect_err("the tool is used up");
        assert_eq!((&*short.facts.name, &*short.facts.scope), ("tool", "tool"));
    }
    for tool in ["a", "b", "c", "d"] {
        drop(scene.take(&agent("ci").tool("search", tool)).expect("the agent still has four"));
    }
    let short = scene.take(&agent("ci").tool("search", "e")).expect_err("five were taken");
    assert_eq!(short.facts.name, "agent");
}

#[test]
fn of_several_that_lack_room_the_longest_wait_is_told() {
    let mut scene = Scene::of([
        LevelSettings { requests: Some(rate(1, 1_000)), ..level("fast", &[]) },
        LevelSettings { requests: Some(rate(1, 60_000)), ..level("slow", &[]) },
    ]);
    drop(scene.take(&agent("ci")).expect("the first"));
    let short = scene.take(&agent("ci")).expect_err("both are used up");
    assert_eq!(short.facts.retry_after_millis, Some(60_000));
    assert_eq!(
        short.sentence(),
        "wait 60 s: everybody together has used 1 request per minute (limit `slow`)"
    );
    scene.advance(60_000);
    drop(scene.take(&agent("ci")).expect("both have room"));
}

#[test]
fn calls_at_once_are_free_again_when_they_end_however_they_end() {
    let mut scene =
        Scene::of([LevelSettings { concurrent: Some(2), ..level("c", &[CountedPer::Agent]) }]);
    let mut first = scene.take(&agent("ci")).expect("one");
    let second = scene.take(&agent("ci")).expect("two");
    let short = scene.take(&agent("ci")).expect_err("three");
    assert_eq!((short.facts.unit, short.facts.retry_after_millis), (LimitUnit::Concurrent, None));
    first.finish();
    let third = scene.take(&agent("ci")).expect("one has ended");
    first.settle(scene.now(), Actual::default());
    scene.take(&agent("ci")).expect_err("an end counts once");
    drop(second);
    drop(third);
    let _both = [(); 2].map(|()| scene.take(&agent("ci")).expect("all have ended"));
}

#[test]
fn tokens_are_reserved_by_estimate_and_settled_by_measurement() {
    let mut scene = Scene::of([LevelSettings {
        tokens: Some(rate(1_000, 60_000)),
        ..level("t", &[CountedPer::Agent])
    }]);
    let caller = agent("ci").tool("search", "query");
    let receipt = scene.take(&caller.tokens(100, 700)).expect("an estimate of 800");
    scene.take(&caller.tokens(100, 200)).expect_err("only 200 are left");
    receipt.settle(scene.now(), Actual { tokens_in: 100, tokens_out: 50, cost_micros: 0 });
    let receipt = scene.take(&caller.tokens(100, 750)).expect("850 are left");
    let after = Actual { tokens_in: 100, tokens_out: 1_250, cost_micros: 0 };
    receipt.settle(scene.now(), after);
    // 1,500 of 1,000: 500 of debt, and 10 tokens more, at 1,000 a minute.
    let short = scene.take(&caller.tokens(10, 0)).expect_err("a debt");
    assert_eq!(short.facts.retry_after_millis, Some(510 * 60));
    scene.advance(510 * 60);
    drop(scene.take(&caller.tokens(10, 0)).expect("it is paid"));
}

#[test]
fn a_debt_is_bounded_and_what_is_beyond_is_forgiven_and_counted() {
    let mut scene = Scene::of([LevelSettings {
        tokens: Some(rate(1_000, 60_000)),
        ..level("t", &[CountedPer::Agent])
    }]);
    let caller = agent("ci").tool("search", "query");
    let mut receipt = scene.take(&caller.tokens(1, 1)).expect("a small estimate");
    receipt.flow(scene.now(), 1_500);
    receipt.flow(scene.now(), 1_400);
    receipt.settle(scene.now(), Actual { tokens_in: 1, tokens_out: 999_999, cost_micros: 0 });
    let short = scene.take(&caller.tokens(1, 0)).expect_err("a debt of a whole minute");
    assert_eq!(short.facts.retry_after_millis, Some(60_060));
    assert_eq!(scene.limits.levels()[0].tokens_forgiven, 998_000);
}

#[test]
fn what_can_never_fit_says_so_and_what_only_may_not_fit_passes() {
    let mut scene = Scene::of([LevelSettings {
        tokens: Some(rate(1_000, 60_000)),
        ..level("t", &[CountedPer::Agent])
    }]);
    let caller = agent("ci").tool("search", "query");
    let short = scene.take(&caller.tokens(1_001, 0)).expect_err("more than a burst");
    assert_eq!((short.reason, short.facts.retry_after_millis), (Reason::NeverFits, None));
    assert_eq!(
        short.sentence(),
        "this call needs 1,001 tokens, and agent `ci` may use at most 1,000 at once (limit `t`): make \
         it smaller"
    );
    drop(scene.take(&caller.tokens(10, 1_000_000)).expect("an estimate is no certainty"));
}

#[test]
fn a_call_that_was_given_up_pays_for_what_flowed_and_no_more() {
    let mut scene = Scene::of([LevelSettings {
        tokens: Some(rate(1_000, 60_000)),
        ..level("t", &[CountedPer::Agent])
    }]);
    let caller = agent("ci").tool("search", "query");
    let mut receipt = scene.take(&caller.tokens(100, 900)).expect("all of it");
    receipt.flow(scene.now(), 300);
    drop(receipt);
    scene.take(&caller.tokens(601, 0)).expect_err("400 were used");
    drop(scene.take(&caller.tokens(600, 0)).expect("600 are left"));
}

#[test]
fn a_debt_is_no_way_around_for_calls_that_seem_to_take_nothing() {
    let mut scene = Scene::of([LevelSettings {
        tokens: Some(rate(1_000, 60_000)),
        ..level("t", &[CountedPer::Agent])
    }]);
    let caller = agent("ci").tool("search", "query");
    let receipt = scene.take(&caller.tokens(0, 0)).expect("nothing is used");
    receipt.settle(scene.now(), Actual { tokens_in: 0, tokens_out: 1_500, cost_micros: 0 });
    scene.take(&caller.tokens(0, 0)).expect_err("a debt");
    drop(scene.take(&agent("ci")).expect("what acts on nothing uses no tokens"));
}

#[test]
fn new_names_of_one_caller_are_no_way_around() {
    let mut scene = Scene::of([LevelSettings {
        requests: Some(rate(2, 60_000)),
        ..level("r", &[CountedPer::Agent])
    }]);
    for host in ["[2001:db8::1]", "[2001:db8::ffff:2]"] {
        drop(scene.take(&anonymous(host)).expect("two of one network"));
    }
    scene.take(&anonymous("[2001:db8::3]")).expect_err("an address more");
    drop(scene.take(&anonymous("[2001:db8:0:1::1]")).expect("another network"));
    // Another user of the same agent is the same agent.
    drop(scene.take(&agent("ci").user("ann")).expect("one"));
    drop(scene.take(&agent("ci").user("bob")).expect("two"));
    scene.take(&agent("ci").user("eve")).expect_err("three");
}

#[test]
fn a_call_counts_towards_every_group_that_is_meant() {
    let mut meant = level("g", &[CountedPer::Group]);
    meant.who.groups = vec!["ops".into(), "dev".into()];
    let mut scene = Scene::of([LevelSettings { requests: Some(rate(2, 60_000)), ..meant }]);
    drop(scene.take(&agent("a").groups(&["ops", "dev", "all"])).expect("one each"));
    drop(scene.take(&agent("b").groups(&["ops", "all"])).expect("two of ops"));
    scene.take(&agent("a").groups(&["dev", "ops"])).expect_err("ops is used up");
    drop(scene.take(&agent("c").groups(&["dev"])).expect("dev was not charged for it"));
    for _ in 0..10 {
        drop(scene.take(&agent("d").groups(&["all"])).expect("a group that is not meant"));
    }
}

#[test]
fn a_limit_is_about_its_items_alone() {
    let glob = ItemGlob::parse("search__*").expect("a pattern");
    let meant = LevelSettings {
        items: vec![(Some(ItemKind::Tool), glob)],
        requests: Some(rate(1, 60_000)),
        ..level("r", &[])
    };
    let mut scene = Scene::of([meant]);
    drop(scene.take(&agent("ci").tool("search", "query")).expect("one"));
    scene.take(&agent("ci").tool("search", "other")).expect_err("they count together");
    drop(scene.take(&agent("ci").tool("files", "read")).expect("another upstream"));
    drop(scene.take(&agent("ci")).expect("no item"));
}

#[test]
fn a_clock_that_goes_back_grants_nothing() {
    let mut scene =
        Scene::of([LevelSettings { requests: Some(rate(3, 60_000)), ..level("r", &[]) }]);
    scene.advance(100_000);
    for _ in 0..3 {
        drop(scene.take(&agent("ci")).expect("a burst"));
    }
    scene.millis -= 50_000;
    scene.take(&agent("ci")).expect_err("used up");
    scene.advance(70_000);
    drop(scene.take(&agent("ci")).expect("time has passed"));
}

#[test]
fn a_new_configuration_keeps_the_counters_of_what_it_leaves_as_it_was() {
    let kept = LevelSettings { requests: Some(rate(1, 60_000)), ..level("kept", &[]) };
    let changed = LevelSettings { requests: Some(rate(1, 60_000)), ..level("changed", &[]) };
    let mut scene = Scene::of([kept.clone(), changed.clone()]);
    drop(scene.take(&agent("ci")).expect("one"));
    let faster = LevelSettings { requests: Some(rate(2, 60_000)), ..changed };
    let again = Scene::settings([faster, kept]);
    scene.limits = Limits::compile(&again, Some(&scene.limits)).expect("limits");
    let short = scene.take(&agent("ci")).expect_err("used up before");
    assert_eq!(short.facts.name, "kept");
    let without = Scene::settings([again.levels[0].clone()]);
    scene.limits = Limits::compile(&without, Some(&scene.limits)).expect("limits");
    for _ in 0..2 {
        drop(scene.take(&agent("ci")).expect("the changed limit began anew"));
    }
    scene.take(&agent("ci")).expect_err("two were taken");
}

#[test]
fn a_flood_of_names_shares_one_counter_and_takes_it_from_nobody_who_was_there() {
    let day = rate(2, 86_400_000);
    let mut scene =
        Scene::of([LevelSettings { requests: Some(day), ..level("r", &[CountedPer::Address]) }]);
    let known = anonymous("[2001:db8:ffff::1]");
    drop(scene.take(&known).expect("one of two"));
    let mut passed = 0;
    for number in 0..100_000_u32 {
        let [a, b, c, d] = number.to_be_bytes();
        let address = format!("[2001:db8:{a:x}{b:02x}:{c:x}{d:02x}::1]");
        passed += u32::from(scene.take(&anonymous(&address)).is_ok());
    }
    let status = &scene.limits.levels()[0];
    assert!(status.counters <= LIMIT_KEYS_MAX, "{status:?}");
    assert!(status.crowded > 30_000, "{status:?}");
    assert!(passed as usize <= status.counters + 2, "{passed} of {status:?}");
    drop(scene.take(&known).expect("the other one"));
    scene.take(&known).expect_err("two were taken");
}

#[test]
fn a_long_name_is_shown_in_part() {
    let mut scene = Scene::of([LevelSettings {
        requests: Some(rate(1, 60_000)),
        ..level("r", &[CountedPer::Item])
    }]);
    let caller = agent("ci").tool("search", &"long\n".repeat(100_000));
    drop(scene.take(&caller).expect("one"));
    let sentence = scene.take(&caller).expect_err("two").sentence();
    assert!(sentence.len() < 300 && !sentence.contains('\n'), "{sentence}");
}
