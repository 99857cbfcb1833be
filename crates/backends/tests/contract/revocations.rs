//! What holds for revocations.

use super::digest;
use tollgate_core::ids::Secret;
use tollgate_core::stores::{GrantId, Revocable, Revocation, SigningKeyRecord, Stores, UserRecord};

fn of(what: Revocable, before: u64, until: u64) -> Revocation {
    Revocation { what, before, until }
}

fn agent(name: &str) -> Revocable {
    Revocable::Agent(name.to_owned())
}

async fn revoke(stores: &Stores, revocation: Revocation) {
    stores.revocations.revoke(revocation).await.expect("room");
}

pub(crate) async fn every_kind_of_revocation_is_kept(stores: &Stores) {
    let text = |text: &str| text.to_owned();
    let mut all = vec![
        of(agent("a"), u64::MAX, u64::MAX),
        of(Revocable::Grant(text("a")), 1, 100),
        of(Revocable::Token(text("https://i"), text("j")), 2, 100),
        of(Revocable::Subject(text("https://i"), text("j")), 3, 100),
        of(Revocable::api_key(&digest(3)), 4, 100),
    ];
    for one in &all {
        revoke(stores, one.clone()).await;
    }
    all.sort_by(|one, other| one.what.cmp(&other.what));
    assert_eq!(stores.revocations.all(10).await.expect("an answer"), all);
}

pub(crate) async fn a_revocation_is_extended_and_never_shortened(stores: &Stores) {
    for (before, until) in [(5, 50), (3, 60), (7, 40)] {
        revoke(stores, of(agent("a"), before, until)).await;
    }
    assert_eq!(stores.revocations.all(0).await.expect("an answer"), [of(agent("a"), 7, 60)]);
}

pub(crate) async fn a_revocation_is_over_at_its_end(stores: &Stores) {
    revoke(stores, of(agent("a"), 5, 50)).await;
    assert_eq!(stores.revocations.all(49).await.expect("an answer").len(), 1);
    assert!(stores.revocations.all(50).await.expect("an answer").is_empty());
}

pub(crate) async fn a_revocation_is_taken_back(stores: &Stores) {
    revoke(stores, of(agent("a"), u64::MAX, u64::MAX)).await;
    assert!(!stores.revocations.restore(agent("b")).await.expect("an answer"));
    assert!(stores.revocations.restore(agent("a")).await.expect("an answer"));
    assert!(!stores.revocations.restore(agent("a")).await.expect("an answer"));
    assert!(stores.revocations.all(0).await.expect("an answer").is_empty());
}

pub(crate) async fn a_sweep_takes_revocations_that_are_over(stores: &Stores) {
    for (name, until) in [("a", 9), ("b", 10), ("c", 11), ("d", u64::MAX)] {
        revoke(stores, of(agent(name), 1, until)).await;
    }
    assert_eq!(stores.revocations.sweep(10).await.expect("an answer"), 2);
    assert_eq!(stores.revocations.sweep(10).await.expect("an answer"), 0);
    assert_eq!(stores.revocations.all(0).await.expect("an answer").len(), 2);
}

pub(crate) async fn any_change_in_any_store_changes_the_version(stores: &Stores) {
    let mut seen = vec![stores.revocations.version().await.expect("an answer")];
    let mut look = async || {
        let version = stores.revocations.version().await.expect("an answer");
        assert!(!seen.contains(&version), "{version} again after {seen:?}");
        seen.push(version);
    };
    revoke(stores, of(agent("a"), 1, 10)).await;
    look().await;
    stores.revocations.restore(agent("a")).await.expect("an answer");
    look().await;
    stores.grants.end(GrantId("g".to_owned()), 10).await.expect("an answer");
    look().await;
    stores.grants.spend_once(digest(1), 10).await.expect("an answer");
    look().await;
    let user = UserRecord {
        id: "1".to_owned(),
        name: "ada".to_owned(),
        password: String::new(),
        groups: Vec::new(),
        created: 0,
        password_set: 0,
        locked: None,
    };
    stores.users.add(user).await.expect("an answer").expect("a free name");
    look().await;
    let key = SigningKeyRecord {
        kid: "k".to_owned(),
        algorithm: "EdDSA".to_owned(),
        pkcs8: Secret::new(Vec::new()),
        created: 0,
        activates: 0,
        retires: None,
    };
    stores.keys.add(key, None, 0).await.expect("an answer");
    look().await;
}

pub(crate) async fn reading_changes_no_version(stores: &Stores) {
    revoke(stores, of(agent("a"), 1, 10)).await;
    let version = stores.revocations.version().await.expect("an answer");
    stores.revocations.all(0).await.expect("an answer");
    stores.agents.find("a").await.expect("an answer");
    stores.agents.list("", 10).await.expect("an answer");
    stores.agents.keys_of(None).await.expect("an answer");
    stores.users.list().await.expect("an answer");
    stores.keys.all().await.expect("an answer");
    stores.grants.find_refresh(digest(1), 0).await.expect("an answer");
    stores.grants.consent("s", "c", "r", "u").await.expect("an answer");
    assert_eq!(stores.revocations.version().await.expect("an answer"), version);
}
