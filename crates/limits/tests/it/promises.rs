//! What limits promise, for any calls in any order: the bound, the wait, all or nothing.

use crate::scene::{Caller, Scene, agent, level, rate};
use proptest::prelude::*;
use std::collections::HashMap;
use tollgate_limits::settings::{CountedPer, LevelSettings, RateSettings};
use tollgate_limits::{Actual, Receipt};

#[derive(Clone, Debug)]
enum Step {
    Advance(u64),
    Take(u64, u64),
    Flow(usize, u64),
    Settle(usize, u64, u64),
    Drop(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let tokens = || prop_oneof![0..40_u64, 0..1_500_u64];
    let step = prop_oneof![
        3 => prop_oneof![0..100_u64, 0..40_000_u64].prop_map(Step::Advance),
        6 => (0..1_000_u64, tokens()).prop_map(|(tokens_in, out)| Step::Take(tokens_in, out)),
        2 => (any::<usize>(), tokens()).prop_map(|(which, out)| Step::Flow(which, out)),
        4 => (any::<usize>(), 0..1_000_u64, tokens()).prop_map(|(which, tokens_in, out)| Step::Settle(which, tokens_in, out)),
        1 => any::<usize>().prop_map(Step::Drop),
    ];
    proptest::collection::vec(step, 1..60)
}

/// A call, and what it was charged when; what is given back is taken off the last first.
struct Call {
    receipt: Option<Receipt>,
    tokens_in: u64,
    flowed: u64,
    charged: Vec<(u64, u64)>,
}

impl Call {
    fn charge_to(&mut self, at: u64, tokens: u64) {
        let so_far: u64 = self.charged.iter().map(|(_, tokens)| tokens).sum();
        if tokens > so_far {
            self.charged.push((at, tokens - so_far));
        }
        let mut over = so_far.saturating_sub(tokens);
        while over > 0 {
            let (_, last) = self.charged.last_mut().expect("more was charged");
            let part = over.min(*last);
            *last -= part;
            over -= part;
            if *last == 0 {
                self.charged.pop();
            }
        }
    }
}

const BURST: u64 = 1_000;
/// A thousand a minute.
const MILLIS_PER_TOKEN: u64 = 60;

fn play(steps: &[Step], debt: u64) -> (Vec<(u64, u64)>, u64) {
    let settings = RateSettings { amount: 1_000, window_millis: 60_000, burst: BURST, debt };
    let mut scene = Scene::of([LevelSettings { tokens: Some(settings), ..level("t", &[]) }]);
    let caller = agent("ci").tool("search", "query");
    let mut calls: Vec<Call> = Vec::new();
    for step in steps {
        let (now, at) = (scene.now(), scene.millis);
        let open: Vec<usize> = (0..calls.len()).filter(|at| calls[*at].receipt.is_some()).collect();
        let pick = |which: usize| (!open.is_empty()).then(|| open[which % open.len()]);
        match *step {
            Step::Advance(millis) => scene.advance(millis),
            Step::Take(tokens_in, out) => {
                let Ok(receipt) = scene.take(&caller.tokens(tokens_in, out)) else { continue };
                let reserved = (tokens_in + out).clamp(1, BURST);
                let charged = vec![(at, reserved)];
                calls.push(Call { receipt: Some(receipt), tokens_in, flowed: 0, charged });
            }
            Step::Flow(which, out) => {
                let Some(call) = pick(which).map(|at| &mut calls[at]) else { continue };
                call.receipt.as_mut().expect("open").flow(now, out);
                call.flowed = call.flowed.max(out);
                let held: u64 = call.charged.iter().map(|(_, tokens)| tokens).sum();
                call.charge_to(at, held.max(call.tokens_in + call.flowed));
            }
            Step::Settle(which, tokens_in, tokens_out) => {
                let Some(call) = pick(which).map(|at| &mut calls[at]) else { continue };
                let receipt = call.receipt.take().expect("open");
                receipt.settle(now, Actual { tokens_in, tokens_out, cost_micros: 0 });
                call.charge_to(at, tokens_in + tokens_out);
            }
            Step::Drop(which) => {
                let Some(call) = pick(which).map(|at| &mut calls[at]) else { continue };
                drop(call.receipt.take());
                let held: u64 = call.charged.iter().map(|(_, tokens)| tokens).sum();
                call.charge_to(at, held.min(call.tokens_in + call.flowed));
            }
        }
    }
    let forgiven = scene.limits.levels()[0].tokens_forgiven;
    let mut charged: Vec<_> = calls.into_iter().flat_map(|call| call.charged).collect();
    charged.sort_unstable();
    (charged, forgiven)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    /// In every window: no more than burst + rate x time + debt, and what was forgiven.
    #[test]
    fn no_window_sees_more_than_burst_and_rate_and_debt(
        steps in steps(),
        debt in prop_oneof![Just(0), Just(BURST), Just(1_000_000)],
    ) {
        // Where the debt is far away, only reservations are bounded by the burst: what calls take
        // beyond them is what the debt is for.
        let (charged, forgiven) = play(&steps, debt);
        for (first, (since, _)) in charged.iter().enumerate() {
            let mut sum = 0;
            for (at, tokens) in &charged[first..] {
                sum += tokens;
                let paid = (at - since) / MILLIS_PER_TOKEN;
                prop_assert!(
                    sum <= BURST + paid + debt + forgiven + 1,
                    "{sum} from {since} to {at}, forgiven {forgiven}, of {charged:?}"
                );
            }
        }
    }

    /// Where no call takes more than it reserved, the burst alone is the bound, whatever is given back.
    #[test]
    fn what_is_given_back_grants_no_second_burst(steps in steps()) {
        let modest: Vec<Step> = steps.into_iter().map(|step| match step {
            Step::Take(tokens_in, out) => Step::Take(tokens_in, out.min(BURST - tokens_in)),
            Step::Flow(which, _) => Step::Flow(which, 0),
            Step::Settle(which, _, _) => Step::Settle(which, 0, 0),
            other => other,
        }).collect();
        let (charged, forgiven) = play(&modest, BURST);
        prop_assert_eq!(forgiven, 0);
        for (first, (since, _)) in charged.iter().enumerate() {
            let mut sum = 0;
            for (at, tokens) in &charged[first..] {
                sum += tokens;
                prop_assert!(sum <= BURST + (at - since) / MILLIS_PER_TOKEN, "{charged:?}");
            }
        }
    }

    /// Waiting as long as told succeeds, and a millisecond less does not.
    #[test]
    fn waits_are_exact(steps in steps(), asked in 1..BURST, amount in 1..5_000_u64) {
        let settings = RateSettings { burst: BURST, debt: BURST, ..rate(amount, 60_000) };
        let mut scene = Scene::of([LevelSettings { tokens: Some(settings), ..level("t", &[]) }]);
        let caller = agent("ci").tool("search", "query");
        for step in steps {
            match step {
                Step::Advance(millis) => scene.advance(millis),
                Step::Take(tokens_in, out) => {
                    let Ok(receipt) = scene.take(&caller.tokens(tokens_in, out)) else { continue };
                    let actual = Actual { tokens_in, tokens_out: out * 2, cost_micros: 0 };
                    receipt.settle(scene.now(), actual);
                }
                Step::Flow(..) | Step::Settle(..) | Step::Drop(..) => {}
            }
        }
        if let Err(short) = scene.take(&caller.tokens(asked, 0)) {
            let wait = short.facts.retry_after_millis.expect("it fits");
            scene.advance(wait - 1);
            prop_assert!(scene.take(&caller.tokens(asked, 0)).is_err());
            scene.advance(1);
            prop_assert!(scene.take(&caller.tokens(asked, 0)).is_ok());
        }
    }

    /// Several limits at once decide as naive counters do, each on its own: if all have room, all are
    /// charged, and otherwise none.
    #[test]
    fn it_is_all_or_nothing(
        calls in proptest::collection::vec((0..3_usize, 0..3_usize, 0..4_000_u64), 1..80),
        amounts in [1..6_u64, 1..6_u64, 1..12_u64],
    ) {
        let pers: [&[CountedPer]; 3] = [&[CountedPer::Agent], &[CountedPer::Item], &[]];
        let names = ["agent", "tool", "total"];
        let levels = [0, 1, 2].map(|at| LevelSettings {
            requests: Some(rate(amounts[at], 6_000)),
            ..level(names[at], pers[at])
        });
        let mut scene = Scene::of(levels);
        let mut naive: HashMap<(usize, usize), u128> = HashMap::new();
        for (who, what, pause) in calls {
            let caller: Caller = agent(["a", "b", "c"][who]).tool("s", ["x", "y", "z"][what]);
            let now = u128::from(scene.millis) * 1_000_000;
            let keys = [(0, who), (1, what), (2, 0)];
            let after = keys.map(|key| {
                let unit = 6_000_000_000_u128.div_ceil(amounts[key.0].into());
                let tat = naive.get(&key).copied().unwrap_or(0).max(now) + unit;
                let over = (tat - now).saturating_sub(unit * u128::from(amounts[key.0]));
                (key, tat, over)
            });
            let wait = after.iter().map(|(_, _, over)| over.div_ceil(1_000_000)).max();
            match scene.take(&caller) {
                Ok(_) => {
                    prop_assert_eq!(wait, Some(0));
                    naive.extend(after.map(|(key, tat, _)| (key, tat)));
                }
                Err(short) => {
                    prop_assert_eq!(wait, short.facts.retry_after_millis.map(u128::from));
                }
            }
            scene.advance(pause);
        }
    }
}

#[test]
fn ten_thousand_calls_a_second_are_counted_within_a_hundredth() {
    let settings = LevelSettings {
        requests: Some(RateSettings { burst: 100, ..rate(10_000, 1_000) }),
        tokens: Some(RateSettings { burst: 50_000, debt: 50_000, ..rate(20_000_000, 60_000) }),
        ..level("r", &[CountedPer::Agent])
    };
    let mut requests = Scene::of([LevelSettings { tokens: None, ..settings.clone() }]);
    let mut tokens = Scene::of([LevelSettings { requests: None, ..settings }]);
    let (mut passed, mut used) = (0_u64, 0_u64);
    let caller = agent("ci").tool("search", "query");
    for milli in 0..60_000_u64 {
        // Eleven are offered where ten may pass.
        passed += (0..11).filter(|_| requests.take(&caller).is_ok()).count() as u64;
        for call in 0..10 {
            let Ok(receipt) = tokens.take(&caller.tokens(20, 25)) else { continue };
            // Half of them take less than was estimated, half take more.
            let tokens_out = if (milli + call) % 2 == 0 { 5 } else { 40 };
            receipt.settle(tokens.now(), Actual { tokens_in: 20, tokens_out, cost_micros: 0 });
            used += 20 + tokens_out;
        }
        requests.advance(1);
        tokens.advance(1);
    }
    assert!(passed.abs_diff(600_000) <= 6_000, "{passed}");
    assert!(used.abs_diff(20_000_000) <= 200_000, "{used}");
}
