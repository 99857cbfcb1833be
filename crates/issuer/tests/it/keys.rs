//! Signing keys over time: published before they sign, and until their last token has ended.

#![expect(clippy::expect_used, reason = "in a test, what is missing is a failure")]

use crate::house::{House, RESOURCE, machine};
use tollgate_core::clock::Clock as _;
use tollgate_core::stores::SigningKeyRecord;
use tollgate_issuer::keys;
use tollgate_oauth::jwt::Jwt;

const DAY: u64 = 86_400;

async fn stored(house: &House) -> Vec<SigningKeyRecord> {
    house.stores.keys.all().await.expect("a store")
}

fn published(house: &House) -> Vec<String> {
    let keys = house.keys.load().to_json();
    let keys = keys["keys"].as_array().expect("keys").clone();
    keys.iter().map(|key| key["kid"].as_str().expect("a key id").to_owned()).collect()
}

/// Reads the keys again, as the background does every few seconds.
async fn look(house: &House) {
    house.issuer.start().await.expect("a store");
}

async fn token(house: &House) -> String {
    let form = [("resource", RESOURCE), ("scope", "read")];
    house.credentials("bot", &form).await.text("access_token")
}

fn kid(token: &str) -> String {
    Jwt::read(token).expect("a JWT").header().kid.clone().expect("a key id")
}

async fn house() -> House {
    let house = House::new().await;
    house.add(machine("bot")).await;
    house
}

#[tokio::test]
async fn the_first_key_signs_at_once() {
    let house = house().await;
    let token = token(&house).await;
    assert_eq!(published(&house), [kid(&token)]);
    assert!(house.read(&token).is_some());
}

#[tokio::test]
async fn processes_that_start_together_agree_on_one_key() {
    let house = house().await;
    let (one, other) = (house.sibling().await, house.sibling().await);
    assert_eq!(stored(&house).await.len(), 1);
    assert_eq!(published(&one), published(&other));
    assert!(one.read(&token(&other).await).is_some());
}

#[tokio::test]
async fn the_next_key_is_published_a_day_before_it_signs() {
    let house = house().await;
    let first = kid(&token(&house).await);
    house.pass(29 * DAY - 1);
    look(&house).await;
    assert_eq!(published(&house), std::slice::from_ref(&first));
    house.pass(1);
    look(&house).await;
    let both = published(&house);
    assert_eq!((both.len(), &both[0]), (2, &first));
    house.pass(DAY - 1);
    assert_eq!(kid(&token(&house).await), first);
    house.pass(1);
    assert_eq!(kid(&token(&house).await), both[1]);
}

#[tokio::test]
async fn a_key_is_published_until_the_last_token_it_signed_has_ended() {
    let house = house().await;
    house.pass(29 * DAY);
    look(&house).await;
    house.pass(DAY - 1);
    let last = token(&house).await;
    let first = kid(&last);
    house.pass(599);
    look(&house).await;
    assert!(house.read(&last).is_some(), "unpublished while a token of it is good");
    house.pass(600);
    look(&house).await;
    assert!(!published(&house).contains(&first), "published for ever");
}

#[tokio::test]
async fn of_many_processes_one_makes_the_next_key() {
    let house = house().await;
    let siblings = [house.sibling().await, house.sibling().await, house.sibling().await];
    house.pass(29 * DAY);
    for sibling in &siblings {
        look(sibling).await;
    }
    assert_eq!(stored(&house).await.len(), 2);
    assert_eq!(published(&siblings[0]), published(&siblings[2]));
}

#[tokio::test]
async fn a_year_of_looking_leaves_few_keys_and_no_gap() {
    let house = house().await;
    for _ in 0..366 {
        house.pass(DAY);
        look(&house).await;
        assert!(house.read(&token(&house).await).is_some());
        assert!((1..=2).contains(&published(&house).len()));
    }
    // What is long over is removed by the sweep; twelve rotations were due.
    assert!(stored(&house).await.len() <= 14);
}

#[tokio::test]
async fn a_rotation_on_demand_waits_until_all_processes_know_the_key() {
    let house = house().await;
    let sibling = house.sibling().await;
    let first = kid(&token(&house).await);
    let next = keys::rotate(&house.settings, &house.stores, &*house.clock, true).await;
    let next = next.expect("a key");
    look(&house).await;
    assert_eq!(kid(&token(&house).await), first, "the others do not know the new key yet");
    house.pass(10);
    let signed = token(&house).await;
    assert_eq!(kid(&signed), next);
    look(&sibling).await;
    assert!(sibling.read(&signed).is_some());
}

#[tokio::test]
async fn a_rotation_that_can_wait_takes_the_usual_time() {
    let house = house().await;
    let first = kid(&token(&house).await);
    let next = keys::rotate(&house.settings, &house.stores, &*house.clock, false).await;
    let next = next.expect("a key");
    look(&house).await;
    assert_eq!(published(&house), [first.clone(), next.clone()]);
    house.pass(DAY - 1);
    assert_eq!(kid(&token(&house).await), first);
    house.pass(1);
    assert_eq!(kid(&token(&house).await), next);
}

#[tokio::test]
async fn a_key_made_while_another_waits_for_its_turn_takes_that_turn() {
    let house = house().await;
    house.pass(29 * DAY);
    look(&house).await;
    let waiting = published(&house)[1].clone();
    let next = keys::rotate(&house.settings, &house.stores, &*house.clock, true).await;
    let next = next.expect("a key");
    look(&house).await;
    house.pass(2 * DAY);
    look(&house).await;
    assert_eq!(kid(&token(&house).await), next);
    assert_ne!(waiting, next);
}

#[tokio::test]
async fn a_removed_key_verifies_nothing_and_another_signs() {
    let house = house().await;
    let stolen = token(&house).await;
    assert!(house.stores.keys.remove(&kid(&stolen)).await.expect("a store"));
    look(&house).await;
    assert!(house.read(&stolen).is_none());
    assert!(house.read(&token(&house).await).is_some());
}

#[tokio::test]
async fn when_the_newest_key_is_removed_the_next_one_comes_at_once() {
    let house = house().await;
    let next = keys::rotate(&house.settings, &house.stores, &*house.clock, true).await;
    let next = next.expect("a key");
    house.pass(10);
    look(&house).await;
    assert_eq!(kid(&token(&house).await), next);
    assert!(house.stores.keys.remove(&next).await.expect("a store"));
    look(&house).await;
    // The one before has a few minutes left; a whole token of it would outlive its publication.
    let bridge = token(&house).await;
    let claims = house.read(&bridge).expect("a token");
    let retires = stored(&house).await[0].retires.expect("an end");
    assert!(claims.expires < retires);
    house.pass(10);
    let signed = token(&house).await;
    assert_eq!(house.read(&signed).expect("a token").expires, house.now() + 600);
    assert_ne!(kid(&signed), kid(&bridge));
}

#[tokio::test]
async fn keys_of_which_none_can_be_used_keep_the_issuer_from_starting() {
    let house = house().await;
    let stores = tollgate_backends::memory::MemoryIdentity::stores();
    let mut damaged = stored(&house).await.remove(0);
    damaged.pkcs8 = tollgate_core::ids::Secret::new(b"damaged".to_vec());
    assert!(stores.keys.add(damaged, None, 0).await.expect("a store"));
    let issuer = house.build_over(stores);
    let refused = issuer.start().await.expect_err("a damaged key").to_string();
    assert!(refused.contains("tollgate keys rotate --now"), "{refused}");
}

#[tokio::test]
async fn an_issuer_that_was_not_started_yet_reads_the_keys_when_it_must_sign() {
    let mut house = house().await;
    let first = kid(&token(&house).await);
    house.issuer = house.build_over(house.stores.clone());
    assert_eq!(kid(&token(&house).await), first);
}

#[tokio::test]
async fn a_clock_that_went_back_still_has_a_key_that_is_published() {
    let house = house().await;
    let first = kid(&token(&house).await);
    let clock = std::sync::Arc::new(tollgate_core::clock::ManualClock::default());
    clock.advance((house.clock.unix_secs() - 400 * DAY) * 1_000);
    let earlier = House::over(house.settings.clone(), house.stores.clone(), clock).await;
    let signed = token(&earlier).await;
    assert!(earlier.read(&signed).is_some());
    assert!(house.keys.load().knows(&first));
}

#[tokio::test]
async fn a_clock_that_was_far_ahead_does_not_stop_rotations() {
    let house = house().await;
    let clock = std::sync::Arc::new(tollgate_core::clock::ManualClock::default());
    clock.advance((house.clock.unix_secs() + 4_000 * DAY) * 1_000);
    // It rotates for its own time: the key it makes is to sign in eleven years.
    let _ahead = House::over(house.settings.clone(), house.stores.clone(), clock).await;
    look(&house).await;
    house.pass(2 * DAY);
    look(&house).await;
    let records = stored(&house).await;
    let signing = kid(&token(&house).await);
    let record = records.iter().find(|record| record.kid == signing).expect("a stored key");
    assert!(record.activates <= house.now() && house.now() - record.activates < 30 * DAY);
}

#[tokio::test]
async fn keys_are_of_the_configured_algorithm_and_old_ones_stay_good() {
    let house = house().await;
    let old = token(&house).await;
    let mut settings = house.settings.clone();
    settings.algorithm = tollgate_oauth::keys::Alg::EdDsa;
    let other = House::over(settings, house.stores.clone(), house.clock.clone()).await;
    keys::rotate(&other.settings, &house.stores, &*house.clock, true).await.expect("a key");
    look(&other).await;
    house.pass(10);
    assert!(other.read(&token(&other).await).is_some());
    let jwt = Jwt::read(&old).expect("a JWT");
    let both = [tollgate_oauth::keys::Alg::Es256, tollgate_oauth::keys::Alg::EdDsa];
    assert!(jwt.verify(&other.keys.load(), &both).is_ok());
}
