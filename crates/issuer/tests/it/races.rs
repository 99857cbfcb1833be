//! Fifty at once with one code, and fifty at once with one refresh token: at most one gets tokens,
//! and what it got is void when all have been answered.
//!
//! `TOLLGATE_RACES` says how many rounds; the usual number keeps the suite short.

#![expect(clippy::expect_used, reason = "in a test, what is missing is a failure")]

use crate::detour::Detour;
use crate::house::{BEGIN, House, Reply, refusal, settings};
use std::sync::Arc;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tollgate_backends::embedded::Embedded;
use tollgate_core::clock::ManualClock;

const AT_ONCE: usize = 50;

fn rounds(usual: usize) -> usize {
    std::env::var("TOLLGATE_RACES").ok().and_then(|count| count.parse().ok()).unwrap_or(usual)
}

/// Does the same thing fifty times at once, over two processes.
async fn race<F>(houses: &[Arc<House>; 2], act: impl Fn(Arc<House>) -> F) -> Vec<Reply>
where
    F: Future<Output = Reply> + Send + 'static,
{
    let gate = Arc::new(Barrier::new(AT_ONCE));
    let mut racers = JoinSet::new();
    for index in 0..AT_ONCE {
        let (gate, acting) = (Arc::clone(&gate), act(Arc::clone(&houses[index % 2])));
        racers.spawn(async move {
            gate.wait().await;
            acting.await
        });
    }
    racers.join_all().await
}

/// Says the tokens of the only winner, if there is one, after checking that all others lost.
///
/// SQLite gives up on those that waited too long for their turn, which is no verdict on their code.
fn winner(replies: &[Reply]) -> Option<(String, String)> {
    let (won, lost): (Vec<&Reply>, Vec<&Reply>) =
        replies.iter().partition(|reply| reply.status == 200);
    for reply in &lost {
        let verdict = reply.refusal();
        assert!(verdict == refusal(400, "invalid_grant") || is_busy(reply), "{verdict:?}");
    }
    assert!(won.len() <= 1, "{} of {AT_ONCE} got tokens", won.len());
    won.first().map(|reply| (reply.text("access_token"), reply.text("refresh_token")))
}

fn is_busy(reply: &Reply) -> bool {
    reply.refusal() == refusal(503, "temporarily_unavailable")
}

async fn nothing_is_left(house: &House, tokens: Option<(String, String)>) {
    let Some((access, renewal)) = tokens else { return };
    assert!(!house.is_active(&access).await, "the access token of a raced grant is still good");
    let again = house.refresh("app", &renewal, &[]).await;
    assert_eq!(again.refusal(), refusal(400, "invalid_grant"));
}

/// Two processes on one memory whose answers take a while, so that racers overtake one another
/// between any two questions.
async fn near() -> [Arc<House>; 2] {
    let near = House::new().await;
    let mut stores = near.stores.clone();
    stores.grants = Detour::to(stores.grants);
    let house = House::over(near.settings.clone(), stores, Arc::clone(&near.clock)).await;
    house.app("app").await;
    let sibling = house.sibling().await;
    [Arc::new(house), Arc::new(sibling)]
}

/// Two processes on one file.
async fn filed(folder: &tempfile::TempDir) -> [Arc<House>; 2] {
    let clock = Arc::new(ManualClock::default());
    clock.advance(BEGIN * 1_000);
    let path = folder.path().join("store.db");
    let open = async || {
        let file = Embedded::open(&path).await.expect("a file");
        Arc::new(House::over(settings(), file.stores(), Arc::clone(&clock)).await)
    };
    let houses = [open().await, open().await];
    houses[0].app("app").await;
    houses
}

async fn redeem_at_once(houses: &[Arc<House>; 2], rounds: usize) {
    for _ in 0..rounds {
        let code: Arc<str> = houses[0].code("app").await.into();
        let replies = race(houses, |house| {
            let code = Arc::clone(&code);
            async move { house.redeem("app", &code).await }
        });
        let tokens = winner(&replies.await);
        while is_busy(&houses[0].redeem("app", &code).await) {}
        nothing_is_left(&houses[0], tokens).await;
        forget(&houses[0]).await;
    }
}

async fn refresh_at_once(houses: &[Arc<House>; 2], rounds: usize) {
    for _ in 0..rounds {
        let (access, token) = houses[0].tokens("app").await;
        let token: Arc<str> = token.into();
        let replies = race(houses, |house| {
            let token = Arc::clone(&token);
            async move { house.refresh("app", &token, &[]).await }
        });
        let replies = replies.await;
        let tokens = winner(&replies);
        let is_clear = !replies.iter().any(is_busy);
        assert!(tokens.is_some() || !is_clear, "whoever was first had a good token");
        while is_busy(&houses[0].refresh("app", &token, &[]).await) {}
        nothing_is_left(&houses[0], tokens).await;
        assert!(!houses[0].is_active(&access).await, "the first access token is still good");
        forget(&houses[0]).await;
    }
}

/// Empties the stores of what rounds before have left.
async fn forget(house: &House) {
    house.stores.grants.sweep(u64::MAX).await.expect("a store");
    house.stores.revocations.sweep(u64::MAX).await.expect("a store");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_fifty_that_redeem_one_code_at_most_one_gets_tokens_and_they_are_void_after() {
    redeem_at_once(&near().await, rounds(200)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_fifty_that_use_one_refresh_token_one_gets_tokens_and_they_are_void_after() {
    refresh_at_once(&near().await, rounds(200)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_fifty_that_redeem_one_code_at_two_processes_at_most_one_gets_tokens() {
    let folder = tempfile::tempdir().expect("a folder");
    redeem_at_once(&filed(&folder).await, rounds(10)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_fifty_that_use_one_refresh_token_at_two_processes_one_gets_tokens() {
    let folder = tempfile::tempdir().expect("a folder");
    refresh_at_once(&filed(&folder).await, rounds(10)).await;
}
