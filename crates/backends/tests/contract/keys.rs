//! What holds for signing keys.

use tollgate_core::bounds::stores::SIGNING_KEYS_MAX;
use tollgate_core::ids::Secret;
use tollgate_core::stores::{SigningKeyRecord, StoreError, Stores};

fn key(kid: &str) -> SigningKeyRecord {
    SigningKeyRecord {
        kid: kid.to_owned(),
        algorithm: "ES256".to_owned(),
        pkcs8: Secret::new(vec![0, 1, 255, kid.len().try_into().unwrap_or(0)]),
        created: 10,
        activates: 20,
        retires: None,
    }
}

async fn add(stores: &Stores, kid: &str, newest: Option<&str>) -> bool {
    stores.keys.add(key(kid), newest, 99).await.expect("an answer")
}

async fn kids(stores: &Stores) -> Vec<(String, Option<u64>)> {
    let keys = stores.keys.all().await.expect("an answer");
    keys.into_iter().map(|key| (key.kid, key.retires)).collect()
}

pub(crate) async fn keys_are_listed_oldest_first_as_they_were_added(stores: &Stores) {
    assert!(stores.keys.all().await.expect("an answer").is_empty());
    assert!(add(stores, "z", None).await);
    assert!(add(stores, "a", Some("z")).await);
    assert!(add(stores, "m", Some("a")).await);
    let keys = stores.keys.all().await.expect("an answer");
    for (found, kid) in keys.iter().zip(["z", "a", "m"]) {
        let made = key(kid);
        assert_eq!((&found.kid, &found.algorithm), (&made.kid, &made.algorithm));
        assert_eq!(found.pkcs8, made.pkcs8);
        assert_eq!((found.created, found.activates), (10, 20));
    }
    assert_eq!(keys.len(), 3);
}

pub(crate) async fn a_key_is_added_only_after_the_newest(stores: &Stores) {
    assert!(!add(stores, "a", Some("x")).await, "there is none yet");
    assert!(add(stores, "a", None).await);
    assert!(!add(stores, "b", None).await, "there is one by now");
    assert!(add(stores, "b", Some("a")).await);
    assert!(!add(stores, "c", Some("a")).await, "a is not the newest any more");
    assert!(!add(stores, "a", Some("b")).await, "a is taken");
    assert_eq!(kids(stores).await, [("a".to_owned(), Some(99)), ("b".to_owned(), None)]);
}

pub(crate) async fn others_without_an_end_retire(stores: &Stores) {
    for (kid, newest, retires) in [("a", None, 50), ("b", Some("a"), 60), ("c", Some("b"), 70)] {
        assert!(stores.keys.add(key(kid), newest, retires).await.expect("an answer"));
    }
    let ends: Vec<_> = kids(stores).await.into_iter().map(|(_, retires)| retires).collect();
    assert_eq!(ends, [Some(60), Some(70), None]);
}

pub(crate) async fn of_many_who_rotate_keys_one_succeeds(stores: &Stores) {
    assert!(add(stores, "first", None).await);
    let tries = (0..20).map(|number| {
        let stores = stores.clone();
        tokio::spawn(async move { add(&stores, &format!("k{number}"), Some("first")).await })
    });
    let mut done = 0;
    for one in tries.collect::<Vec<_>>() {
        done += usize::from(one.await.expect("no panic"));
    }
    assert_eq!((done, kids(stores).await.len()), (1, 2));
}

pub(crate) async fn a_removed_key_is_gone(stores: &Stores) {
    assert!(add(stores, "a", None).await);
    assert!(add(stores, "b", Some("a")).await);
    assert!(stores.keys.remove("b").await.expect("an answer"));
    assert!(!stores.keys.remove("b").await.expect("an answer"));
    assert_eq!(kids(stores).await, [("a".to_owned(), Some(99))]);
    assert!(add(stores, "c", Some("a")).await);
}

pub(crate) async fn no_more_keys_than_the_bound(stores: &Stores) {
    let mut newest: Option<String> = None;
    for number in 0..SIGNING_KEYS_MAX {
        let kid = format!("k{number}");
        assert!(add(stores, &kid, newest.as_deref()).await);
        newest = Some(kid);
    }
    let over = stores.keys.add(key("over"), newest.as_deref(), 99).await;
    assert!(matches!(over, Err(StoreError::Full(_))), "{over:?}");
    let keys = kids(stores).await;
    assert_eq!(keys.len(), SIGNING_KEYS_MAX);
    assert_eq!(keys.last(), Some(&(newest.expect("a key"), None)), "nothing was retired");
}
