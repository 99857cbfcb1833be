//! Many at once, on two handles of one file: as if two processes served from it.

use crate::scene::{LATER, NOW, digest, open, token};
use crate::{child, text};
use std::future::poll_fn;
use std::process::Stdio;
use std::task::Poll;
use std::time::{Duration, Instant};
use tollgate_backends::embedded::Embedded;
use tollgate_core::stores::{CodeRecord, GrantId, Rotated, Spent, Stores};

const TASKS: u64 = 50;

/// How many rounds: `TOLLGATE_RACES`, or few enough for every day.
fn rounds() -> u64 {
    let wanted = std::env::var("TOLLGATE_RACES").ok();
    wanted.map_or(200, |text| text.parse().expect("a number"))
}

fn code(number: u64, grant: &GrantId) -> CodeRecord {
    let of = token(number, &grant.0);
    CodeRecord {
        digest: of.digest,
        grant: grant.clone(),
        client: of.client,
        redirect_uri: "http://127.0.0.1/cb".to_owned(),
        challenge: "c".to_owned(),
        subject: of.subject,
        user_name: of.user_name,
        groups: of.groups,
        resource: of.resource,
        scopes: of.scopes,
        expires: NOW + 60,
    }
}

/// What each of many tasks got, half of them on either handle.
async fn many<T, F>(handles: &[Stores; 2], work: impl Fn(Stores, u64) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let tasks: Vec<_> = (0..TASKS)
        .map(|number| tokio::spawn(work(handles[usize::from(number % 2 == 1)].clone(), number)))
        .collect();
    let mut outcomes = Vec::new();
    for task in tasks {
        outcomes.push(task.await.expect("no panic"));
    }
    outcomes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_code_is_spent_by_one_of_many_and_the_grant_ends() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("store.db");
    let handles = [open(&path).await, open(&path).await];
    for round in 0..rounds() {
        let grant = GrantId(format!("g{round}"));
        handles[0].grants.keep_code(code(round, &grant)).await.expect("room");
        let outcomes = many(&handles, |stores, _| async move {
            stores.grants.spend_code(digest(round), NOW).await.expect("an answer")
        })
        .await;
        let mut first = 0;
        for outcome in outcomes {
            match outcome {
                Spent::Now(_) => first += 1,
                Spent::Before(of) => assert_eq!(of, grant),
                Spent::Unknown => panic!("round {round}: it was known"),
            }
        }
        assert_eq!(first, 1, "round {round}");
        let late = handles[1].grants.keep_refresh(token(round, &grant.0)).await;
        assert!(!late.expect("an answer"), "round {round}: the grant has ended");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_refresh_token_is_rotated_by_one_of_many_and_the_grant_ends() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("store.db");
    let handles = [open(&path).await, open(&path).await];
    for round in 0..rounds() {
        let (first, grant) = (round * 100, GrantId(format!("g{round}")));
        assert!(handles[0].grants.keep_refresh(token(first, &grant.0)).await.expect("room"));
        let name = grant.0.clone();
        let outcomes = many(&handles, move |stores, number| {
            let next = token(first + 1 + number, &name);
            async move { stores.grants.rotate(digest(first), next, NOW).await.expect("an answer") }
        })
        .await;
        let mut done = 0;
        for outcome in outcomes {
            match outcome {
                Rotated::Now => done += 1,
                Rotated::Before(of) => assert_eq!(of, grant),
                Rotated::Unknown => panic!("round {round}: it was known"),
            }
        }
        assert_eq!(done, 1, "round {round}");
        for number in first..=first + TASKS {
            let live = handles[1].grants.find_refresh(digest(number), NOW).await;
            assert!(live.expect("an answer").is_none(), "round {round}: the grant has ended");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_new_file_may_be_opened_by_many_at_once() {
    for _ in 0..10 {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("store.db");
        let mut others: Vec<_> =
            (0..3).map(|_| child(&["revoke", text(&path)]).spawn().expect("a process")).collect();
        let opens: Vec<_> = (0..4)
            .map(|_| {
                let path = path.clone();
                tokio::spawn(async move { Embedded::open(&path).await.map(|file| file.stores()) })
            })
            .collect();
        for open in opens {
            let stores = open.await.expect("no panic").expect("a store");
            stores.users.list().await.expect("an answer");
        }
        for other in &mut others {
            assert!(other.wait().expect("its end").success());
        }
        let kept = open(&path).await.revocations.all(NOW).await.expect("an answer");
        assert_eq!(kept.len(), 1);
    }
}

#[tokio::test]
async fn a_change_by_another_process_is_seen_at_the_next_look() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("store.db");
    let stores = open(&path).await;
    let before = stores.revocations.version().await.expect("an answer");
    assert_eq!(stores.revocations.version().await.expect("an answer"), before);
    let other = child(&["revoke", text(&path)]).stdin(Stdio::null()).status();
    assert!(other.expect("a process").success());
    let after = stores.revocations.version().await.expect("an answer");
    assert_ne!(after, before);
    assert_eq!(stores.revocations.all(NOW).await.expect("an answer").len(), 1);
    assert_eq!(stores.revocations.version().await.expect("an answer"), after);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_goes_away_leaves_a_rotation_whole() {
    let dir = tempfile::tempdir().expect("a directory");
    let stores = open(&dir.path().join("store.db")).await;
    assert!(stores.grants.keep_refresh(token(0, "g")).await.expect("room"));
    let (mut live, mut went) = (0, 0);
    for attempt in 0..300 {
        let mut rotation = stores.grants.rotate(digest(live), token(live + 1, "g"), NOW);
        let mut is_pending = async || {
            poll_fn(|context| Poll::Ready(rotation.as_mut().poll(context).is_pending())).await
        };
        // From before anything has happened to after everything has; finer than timers are.
        let (begun, patience) = (Instant::now(), Duration::from_micros(attempt % 60 * 50));
        while is_pending().await {
            if begun.elapsed() >= patience {
                went += 1;
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(rotation);
        // Another write comes after whatever became of that one.
        stores.grants.spend_once(digest(1_000_000 + attempt), LATER).await.expect("room");
        let find = async |number| {
            let found = stores.grants.find_refresh(digest(number), NOW).await;
            found.expect("an answer").is_some()
        };
        match (find(live).await, find(live + 1).await) {
            (true, false) => {}
            (false, true) => live += 1,
            other => panic!("attempt {attempt}: {other:?}"),
        }
    }
    assert!(went > 0 && live > 0, "{went} went away, {live} rotations happened");
}
