//! What the stores hold at most. The file is filled beside the ports, where one by one takes minutes.

#![expect(clippy::expect_used, reason = "a scene that cannot be set fails its test")]

use sqlx::{ConnectOptions as _, Connection as _};
use std::path::Path;
use tollgate_backends::embedded::Embedded;
use tollgate_backends::memory::MemoryIdentity;
use tollgate_core::bounds::stores::{AGENTS_MAX, API_KEYS_MAX, LISTED_MAX, USERS_MAX};
use tollgate_core::stores::{
    AgentRecord, ApiKeyRecord, AuthMethod, ClientKeys, Consent, Digest, GrantId, Origin, Quota,
    RefreshRecord, Revocable, Revocation, Rotated, StoreError, Stores, Taken, UserRecord,
};

const NOW: u64 = 1_000;
const LATER: u64 = 100_000;
const QUOTA: Quota = Quota { total: 10, by_one: 10 };

fn digest(number: usize) -> Digest {
    let mut bytes = [5; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Digest(bytes)
}

fn agent(number: usize) -> AgentRecord {
    AgentRecord {
        id: format!("agent{number}"),
        origin: Origin::Operator,
        name: String::new(),
        auth: AuthMethod::None,
        secrets: Vec::new(),
        keys: ClientKeys::None,
        redirect_uris: Vec::new(),
        grants: Vec::new(),
        scopes: Vec::new(),
        routes: Vec::new(),
        groups: Vec::new(),
        metadata: String::new(),
        created: 0,
        expires: None,
        used: None,
        revoked: None,
    }
}

fn key(number: usize) -> ApiKeyRecord {
    ApiKeyRecord {
        digest: digest(number),
        label: String::new(),
        agent: "a".to_owned(),
        scopes: Vec::new(),
        groups: Vec::new(),
        routes: Vec::new(),
        created: 0,
        expires: None,
        revoked: None,
    }
}

fn user(number: usize) -> UserRecord {
    UserRecord {
        id: format!("id{number}"),
        name: format!("name{number}"),
        password: String::new(),
        groups: Vec::new(),
        created: 0,
        password_set: 0,
        locked: None,
    }
}

fn token(number: usize, grant: &str) -> RefreshRecord {
    RefreshRecord {
        digest: digest(number),
        grant: GrantId(grant.to_owned()),
        client: "c".to_owned(),
        subject: "s".to_owned(),
        user_name: String::new(),
        groups: Vec::new(),
        resource: String::new(),
        scopes: Vec::new(),
        expires: LATER,
        ends: LATER,
    }
}

async fn run(path: &Path, sql: &'static str) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path);
    let mut line = options.connect().await.expect("a connection");
    sqlx::raw_sql(sql).execute(&mut line).await.expect("it runs");
    line.close().await.expect("it closes");
}

/// One more of each is refused, what is there is not, and one less makes room.
async fn is_full(stores: &Stores) {
    let over = stores.agents.add(agent(0), QUOTA).await;
    assert!(matches!(over, Err(StoreError::Full("agents"))), "{over:?}");
    assert_eq!(stores.agents.add(agent(1), QUOTA).await.expect("an answer"), Err(Taken));
    let origin = Origin::Registered { by: "x".to_owned(), token: digest(0) };
    let registered = AgentRecord { origin, ..agent(0) };
    stores.agents.add(registered, QUOTA).await.expect("a quota of its own").expect("free");
    let over = stores.agents.add_key(key(0)).await;
    assert!(matches!(over, Err(StoreError::Full(_))), "{over:?}");
    let over = stores.users.add(user(0)).await;
    assert!(matches!(over, Err(StoreError::Full(_))), "{over:?}");
    assert_eq!(stores.users.add(user(1)).await.expect("an answer"), Err(Taken));
    assert!(stores.users.remove("name1").await.expect("an answer"));
    stores.users.add(user(0)).await.expect("room").expect("free");
}

#[tokio::test]
async fn the_memory_holds_no_more_than_the_bounds() {
    let stores = MemoryIdentity::stores();
    for number in 1..=AGENTS_MAX {
        stores.agents.add(agent(number), QUOTA).await.expect("room").expect("free");
    }
    for number in 1..=API_KEYS_MAX {
        stores.agents.add_key(key(number)).await.expect("room");
    }
    for number in 1..=USERS_MAX {
        stores.users.add(user(number)).await.expect("room").expect("free");
    }
    is_full(&stores).await;
    assert_eq!(stores.agents.keys_of(None).await.expect("an answer").len(), LISTED_MAX);
    assert_eq!(stores.agents.list("", usize::MAX).await.expect("an answer").len(), LISTED_MAX);
}

#[tokio::test]
async fn the_file_holds_no_more_than_the_bounds() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("store.db");
    let stores = Embedded::open(&path).await.expect("a new store").stores();
    assert_eq!((AGENTS_MAX, API_KEYS_MAX, USERS_MAX), (100_000, 100_000, 10_000));
    run(
        &path,
        "CREATE TEMP TABLE n AS WITH RECURSIVE n (i) AS \
             (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) SELECT i FROM n;
         BEGIN;
         INSERT INTO users SELECT 'id' || i, 'name' || i, '{}' FROM n WHERE i <= 10000;
         INSERT INTO api_keys SELECT randomblob(32), 'a', 0, '', '{}' FROM n;
         COMMIT",
    )
    .await;
    stores.agents.add(agent(1), QUOTA).await.expect("room").expect("free");
    run(
        &path,
        "INSERT INTO agents WITH RECURSIVE n (i) AS \
             (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) \
         SELECT 'agent' || i, NULL, NULL, '{}' FROM n",
    )
    .await;
    is_full(&stores).await;
}

#[tokio::test]
async fn what_grows_with_use_is_counted() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("store.db");
    let stores = Embedded::open(&path).await.expect("a new store").stores();
    assert!(stores.grants.keep_refresh(token(1, "g")).await.expect("room"));
    run(&path, "UPDATE held SET count = 2000000").await;
    let full = stores.grants.spend_once(digest(1), LATER).await;
    assert!(matches!(full, Err(StoreError::Full(_))), "{full:?}");
    let full = stores.grants.keep_refresh(token(2, "g")).await;
    assert!(matches!(full, Err(StoreError::Full(_))), "{full:?}");
    let texts = || "x".to_owned();
    let (subject, client, redirect, resource) = (texts(), texts(), texts(), texts());
    let consent = Consent { subject, client, redirect, resource, scopes: Vec::new(), given: 1 };
    let full = stores.grants.keep_consent(consent).await;
    assert!(matches!(full, Err(StoreError::Full(_))), "{full:?}");
    let what = Revocable::Agent(texts());
    let full = stores.revocations.revoke(Revocation { what, before: 1, until: LATER }).await;
    assert!(matches!(full, Err(StoreError::Full(_))), "{full:?}");
    run(&path, "UPDATE held SET count = 0").await;
    assert!(stores.grants.keep_refresh(token(2, "g")).await.expect("room"));
    assert!(stores.grants.spend_once(digest(1), LATER).await.expect("room"));
}

#[tokio::test]
async fn marks_of_what_is_over_make_room_for_others() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("store.db");
    let stores = Embedded::open(&path).await.expect("a new store").stores();
    let rotate = async |used, next, grant| {
        let next = token(next, grant);
        stores.grants.rotate(digest(used), next, NOW).await.expect("an answer")
    };
    for (first, grant) in [(10, "g"), (20, "h")] {
        assert!(stores.grants.keep_refresh(token(first, grant)).await.expect("room"));
    }
    assert_eq!(rotate(10, 11, "g").await, Rotated::Now);
    run(&path, "UPDATE held SET count = 2000000 WHERE what = 'used_tokens'").await;
    assert_eq!(rotate(20, 21, "h").await, Rotated::Now);
    assert_eq!(rotate(10, 12, "g").await, Rotated::Unknown, "the oldest mark made room");
    assert_eq!(rotate(20, 22, "h").await, Rotated::Before(GrantId("h".to_owned())));
    stores.grants.end(GrantId("first".to_owned()), NOW + 1).await.expect("an answer");
    run(&path, "UPDATE held SET count = 200000 WHERE what = 'ended_grants'").await;
    stores.grants.end(GrantId("next".to_owned()), LATER).await.expect("an answer");
    assert!(!stores.grants.keep_refresh(token(30, "next")).await.expect("an answer"));
    assert!(!stores.grants.keep_refresh(token(31, "h")).await.expect("an answer"));
    assert!(stores.grants.keep_refresh(token(32, "first")).await.expect("room"));
}
