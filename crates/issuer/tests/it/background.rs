//! What goes on by itself: keys are made and learnt, what has ended is removed, and all of it stops
//! with the issuer.

use crate::house::{BEGIN, House, app};
use std::sync::Arc;
use std::time::Duration;
use tollgate_core::stores::{AgentRecord, Origin};
use tollgate_oauth::secret;

/// Lets the background do what it does within a minute.
async fn minute() {
    tokio::time::sleep(Duration::from_secs(61)).await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_registered_itself_and_got_no_token_is_removed() {
    let house = House::new().await;
    let token = secret::digest("registration");
    let origin = Origin::Registered { by: "192.0.2.1".to_owned(), token };
    let registered = AgentRecord { origin, expires: Some(BEGIN + 86_400), ..app("new") };
    house.add(registered).await;
    house.add(AgentRecord { expires: Some(BEGIN + 1), ..app("of-the-operator") }).await;
    house.issuer.start_background();
    minute().await;
    let agents = &house.stores.agents;
    assert!(agents.find("new").await.expect("a store").is_some());
    house.pass(86_401);
    minute().await;
    assert!(agents.find("new").await.expect("a store").is_none());
    assert!(agents.find("of-the-operator").await.expect("a store").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_key_another_process_made_is_published_within_seconds() {
    let house = House::new().await;
    house.issuer.start_background();
    let next = tollgate_issuer::keys::rotate(&house.settings, &house.stores, &*house.clock, true);
    let next = next.await.expect("a key");
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert!(house.keys.load().knows(&next));
}

#[tokio::test(start_paused = true)]
async fn the_background_ends_with_the_issuer() {
    let House { issuer, stores, .. } = House::new().await;
    issuer.start_background();
    minute().await;
    drop(issuer);
    minute().await;
    assert_eq!(Arc::strong_count(&stores.grants), 1, "somebody still holds the stores");
}
