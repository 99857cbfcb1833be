//! Many threads at the same counters.

use crate::scene::{Scene, agent, level, rate, take};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use tollgate_limits::settings::{CountedPer, LevelSettings, RateSettings};
use tollgate_limits::{Actual, Limits};

const THREADS: usize = 8;

#[test]
fn threads_at_one_counter_never_take_more_than_there_is() {
    let scene = Scene::of([
        LevelSettings { requests: Some(rate(5_000, 60_000)), ..level("total", &[]) },
        LevelSettings {
            tokens: Some(RateSettings { debt: 0, ..rate(40_000, 60_000) }),
            ..level("agent", &[CountedPer::Agent])
        },
        LevelSettings { concurrent: Some(3), ..level("tool", &[CountedPer::Item]) },
    ]);
    let (passed, under_way, most) = (AtomicU64::new(0), AtomicU32::new(0), AtomicU32::new(0));
    let tokens = [const { AtomicU64::new(0) }; 2];
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (scene, passed, under_way, most) = (&scene, &passed, &under_way, &most);
            let used = &tokens[thread % 2];
            scope.spawn(move || {
                let caller = agent(["a", "b"][thread % 2]).tool("search", "query").tokens(10, 6);
                for round in 0..4_000_u64 {
                    // The clock stands still: nothing is paid.
                    let Ok(receipt) = take(&scene.limits, scene.now(), &caller) else { continue };
                    passed.fetch_add(1, Ordering::Relaxed);
                    most.fetch_max(under_way.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    under_way.fetch_sub(1, Ordering::SeqCst);
                    let tokens_out = round % 7;
                    used.fetch_add(10 + tokens_out, Ordering::Relaxed);
                    receipt
                        .settle(scene.now(), Actual { tokens_in: 10, tokens_out, cost_micros: 0 });
                }
            });
        }
    });
    let passed = passed.into_inner();
    assert!(passed <= 5_000, "{passed}");
    for used in tokens.map(AtomicU64::into_inner) {
        assert!(used <= 40_000, "{used}");
    }
    // All of one of them is used up: threads did not keep one another from what there was.
    assert!(passed > 3_000, "{passed}");
    assert!(most.into_inner() <= 3);
    assert!(scene.limits.levels().iter().all(|level| level.under_way == 0));
}

#[test]
fn configurations_in_another_order_share_counters_without_standing_still() {
    let one = LevelSettings { requests: Some(rate(1_000_000, 1_000)), ..level("one", &[]) };
    let other = LevelSettings { requests: Some(rate(1_000_000, 1_000)), ..level("other", &[]) };
    let scene = Scene::of([one.clone(), other.clone()]);
    let turned = Scene::settings([other, one]);
    let turned = Limits::compile(&turned, Some(&scene.limits)).expect("limits");
    let (now, both) = (scene.now(), [Arc::new(scene.limits), Arc::new(turned)]);
    let (done, ended) = std::sync::mpsc::channel();
    for thread in 0..THREADS {
        let (limits, done) = (Arc::clone(&both[thread % 2]), done.clone());
        std::thread::spawn(move || {
            for _ in 0..5_000 {
                drop(take(&limits, now, &agent("ci")).expect("there is room"));
            }
            done.send(()).expect("somebody waits");
        });
    }
    for _ in 0..THREADS {
        ended.recv_timeout(Duration::from_secs(60)).expect("nobody waits for ever");
    }
}
