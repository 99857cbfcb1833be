//! What holds for accounts.

use super::texts;
use tollgate_core::stores::{Stores, Taken, UserRecord};

fn user(id: &str, name: &str) -> UserRecord {
    UserRecord {
        id: id.to_owned(),
        name: name.to_owned(),
        password: "$argon2id$…".to_owned(),
        groups: texts(&["staff"]),
        created: 1,
        password_set: 2,
        locked: None,
    }
}

async fn add(stores: &Stores, user: UserRecord) {
    stores.users.add(user).await.expect("an answer").expect("a free name");
}

pub(crate) async fn an_account_is_found_by_name_and_by_id(stores: &Stores) {
    assert!(stores.users.by_name("ada").await.expect("an answer").is_none());
    assert!(stores.users.by_id("user:1").await.expect("an answer").is_none());
    add(stores, user("user:1", "ada")).await;
    let ada = Some(user("user:1", "ada"));
    assert_eq!(stores.users.by_name("ada").await.expect("an answer"), ada);
    assert_eq!(stores.users.by_id("user:1").await.expect("an answer"), ada);
    for other in ["Ada", "ada ", "user:1", ""] {
        assert!(stores.users.by_name(other).await.expect("an answer").is_none(), "{other:?}");
    }
}

pub(crate) async fn a_name_and_an_id_are_taken_once(stores: &Stores) {
    add(stores, user("user:1", "ada")).await;
    for taken in [user("user:2", "ada"), user("user:1", "bob")] {
        assert_eq!(stores.users.add(taken).await.expect("an answer"), Err(Taken));
    }
    assert_eq!(stores.users.list().await.expect("an answer"), [user("user:1", "ada")]);
}

pub(crate) async fn an_account_is_replaced_by_id(stores: &Stores) {
    assert!(!stores.users.replace(user("user:1", "ada")).await.expect("an answer"));
    assert!(stores.users.list().await.expect("an answer").is_empty());
    add(stores, user("user:1", "ada")).await;
    let new = UserRecord { locked: Some(9), ..user("user:1", "lovelace") };
    assert!(stores.users.replace(new.clone()).await.expect("an answer"));
    assert!(stores.users.by_name("ada").await.expect("an answer").is_none());
    assert_eq!(stores.users.by_name("lovelace").await.expect("an answer"), Some(new));
}

pub(crate) async fn a_name_of_another_account_cannot_be_taken_by_replacing(stores: &Stores) {
    add(stores, user("user:1", "ada")).await;
    add(stores, user("user:2", "bob")).await;
    assert!(!stores.users.replace(user("user:2", "ada")).await.expect("an answer"));
    let found = stores.users.by_name("ada").await.expect("an answer");
    assert_eq!(found, Some(user("user:1", "ada")));
}

pub(crate) async fn a_removed_account_is_gone(stores: &Stores) {
    add(stores, user("user:1", "ada")).await;
    assert!(stores.users.remove("ada").await.expect("an answer"));
    assert!(!stores.users.remove("ada").await.expect("an answer"));
    assert!(stores.users.by_id("user:1").await.expect("an answer").is_none());
    add(stores, user("user:2", "ada")).await;
}

pub(crate) async fn accounts_are_listed_by_name(stores: &Stores) {
    for (id, name) in [("1", "b"), ("2", "C"), ("3", "a"), ("4", "é")] {
        add(stores, user(id, name)).await;
    }
    let listed = stores.users.list().await.expect("an answer");
    let names: Vec<_> = listed.iter().map(|user| user.name.as_str()).collect();
    assert_eq!(names, ["C", "a", "b", "é"]);
}
