//! Stores that do not answer, and clients that do not wait for the answer.

use crate::detour::Detour;
use crate::house::{House, machine};
use std::sync::atomic::Ordering;

#[tokio::test]
async fn while_the_store_is_down_the_answer_is_503_and_nothing_is_lost() {
    let whole = House::new().await;
    let cut = Detour::to(whole.stores.grants.clone());
    let mut stores = whole.stores.clone();
    stores.grants = cut.clone();
    let house = House::over(whole.settings.clone(), stores, whole.clock.clone()).await;
    house.app("app").await;
    house.add(machine("bot")).await;
    let code = house.code("app").await;
    let (_, token) = house.tokens("app").await;
    cut.is_down.store(true, Ordering::SeqCst);
    let refused = [
        house.redeem("app", &code).await,
        house.refresh("app", &token, &[]).await,
        house.post("/oauth/revoke", &[("client_id", "app"), ("token", &token)]).await,
        house.post_as("bot", "/oauth/introspect", &[("token", &token)]).await,
    ];
    for reply in refused {
        assert_eq!(reply.refusal(), (503, "temporarily_unavailable".to_owned()));
        let wait: u64 = reply.header("retry-after").expect("a wait").parse().expect("seconds");
        assert!((1..=60).contains(&wait));
        assert!(!String::from_utf8_lossy(&reply.body).contains("cut off"), "causes stay inside");
    }
    cut.is_down.store(false, Ordering::SeqCst);
    assert_eq!(house.redeem("app", &code).await.status, 200);
    assert_eq!(house.refresh("app", &token, &[]).await.status, 200);
}

#[tokio::test]
async fn who_uses_a_code_twice_and_hangs_up_ends_its_tokens_all_the_same() {
    let near = House::new().await;
    let mut stores = near.stores.clone();
    stores.grants = Detour::to(stores.grants);
    let house = House::over(near.settings.clone(), stores, near.clock.clone()).await;
    house.app("app").await;
    // Gone at each moment of the way, until one is late enough to have had the answer.
    for patience in 0..100 {
        let code = house.code("app").await;
        let access = house.redeem("app", &code).await.text("access_token");
        let mut waited = 0;
        let answered = tokio::select! {
            biased;
            _ = house.redeem("app", &code) => true,
            () = async {
                while waited < patience {
                    waited += 1;
                    tokio::task::yield_now().await;
                }
            } => false,
        };
        let mut looks = 0;
        while house.is_active(&access).await {
            looks += 1;
            assert!(looks < 1_000, "still good after hanging up at {patience}");
        }
        if answered {
            return;
        }
    }
    unreachable!("an answer takes fewer than a hundred steps");
}
