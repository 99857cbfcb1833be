//! What holds for agents and API keys.

use super::{digest, texts};
use tollgate_core::stores::{
    AgentRecord, ApiKeyRecord, AuthMethod, ClientKeys, GrantType, Origin, Quota, SecretHash,
    StoreError, Stores, Taken,
};

const AMPLE: Quota = Quota { total: 1_000, by_one: 1_000 };

fn agent(id: &str) -> AgentRecord {
    AgentRecord {
        id: id.to_owned(),
        origin: Origin::Operator,
        name: format!("The agent \"{id}\" – ünïcode\u{0}"),
        auth: AuthMethod::ClientSecretBasic,
        secrets: vec![SecretHash { digest: digest(1), created: 5, expires: Some(u64::MAX) }],
        keys: ClientKeys::Inline("{\"keys\":[]}".to_owned()),
        redirect_uris: texts(&["http://127.0.0.1/cb", "https://a.example/cb"]),
        grants: vec![GrantType::AuthorizationCode, GrantType::JwtBearer],
        scopes: texts(&["tool:*"]),
        routes: texts(&["/mcp"]),
        groups: texts(&["ops"]),
        metadata: "{\"contacts\":[]}".to_owned(),
        created: 5,
        expires: None,
        used: Some(6),
        revoked: None,
    }
}

fn registered(id: &str, by: &str, expires: Option<u64>) -> AgentRecord {
    let origin = Origin::Registered { by: by.to_owned(), token: digest(9) };
    AgentRecord { origin, expires, ..agent(id) }
}

fn key(number: u64, agent: &str, label: &str, created: u64) -> ApiKeyRecord {
    ApiKeyRecord {
        digest: digest(number),
        label: label.to_owned(),
        agent: agent.to_owned(),
        scopes: texts(&["a"]),
        groups: Vec::new(),
        routes: Vec::new(),
        created,
        expires: Some(100),
        revoked: None,
    }
}

fn ids(agents: &[AgentRecord]) -> Vec<&str> {
    agents.iter().map(|agent| agent.id.as_str()).collect()
}

async fn add(stores: &Stores, agent: AgentRecord) {
    stores.agents.add(agent, AMPLE).await.expect("an answer").expect("a free id");
}

pub(crate) async fn an_agent_is_found_as_it_was_added(stores: &Stores) {
    assert!(stores.agents.find("a").await.expect("an answer").is_none());
    let documents = AgentRecord { origin: Origin::Document, ..agent("https://c.example/c.json") };
    for one in [agent("a"), registered("b", "2001:db8::", Some(50)), documents] {
        add(stores, one.clone()).await;
        assert_eq!(stores.agents.find(&one.id).await.expect("an answer"), Some(one));
    }
    assert!(stores.agents.find("A").await.expect("an answer").is_none());
}

pub(crate) async fn an_id_is_taken_once(stores: &Stores) {
    add(stores, agent("a")).await;
    let other = AgentRecord { name: "other".to_owned(), ..registered("a", "x", None) };
    let none = Quota { total: 0, by_one: 0 };
    assert_eq!(stores.agents.add(other, none).await.expect("an answer"), Err(Taken));
    assert_eq!(stores.agents.find("a").await.expect("an answer"), Some(agent("a")));
}

pub(crate) async fn quotas_hold_for_registered_agents_alone(stores: &Stores) {
    let quota = Quota { total: 3, by_one: 2 };
    let mut outcomes = Vec::new();
    for (id, by) in [("1", "x"), ("2", "x"), ("3", "x"), ("4", "y"), ("5", "z")] {
        outcomes.push(stores.agents.add(registered(id, by, None), quota).await);
    }
    let is_full = |at: usize| matches!(&outcomes[at], Err(StoreError::Full(_)));
    assert_eq!([0, 1, 2, 3, 4].map(is_full), [false, false, true, false, true]);
    // The operator's do not count, and are not counted.
    stores.agents.add(agent("own"), quota).await.expect("room").expect("a free id");
    let listed = stores.agents.list("", 10).await.expect("an answer");
    assert_eq!(ids(&listed), ["1", "2", "4", "own"]);
}

pub(crate) async fn an_agent_is_replaced_only_in_the_place_of_what_was_read(stores: &Stores) {
    let new = AgentRecord { used: Some(70), ..agent("a") };
    assert!(!stores.agents.replace(agent("a"), new.clone()).await.expect("an answer"));
    assert!(stores.agents.find("a").await.expect("an answer").is_none(), "replacing adds nothing");
    add(stores, agent("a")).await;
    let stale = AgentRecord { revoked: Some(1), ..agent("a") };
    assert!(!stores.agents.replace(stale, new.clone()).await.expect("an answer"));
    assert!(stores.agents.replace(agent("a"), new.clone()).await.expect("an answer"));
    assert!(!stores.agents.replace(agent("a"), agent("a")).await.expect("an answer"));
    assert_eq!(stores.agents.find("a").await.expect("an answer"), Some(new));
}

pub(crate) async fn of_many_who_replace_at_once_one_succeeds(stores: &Stores) {
    add(stores, agent("a")).await;
    let tries = (0..50).map(|number| {
        let new = AgentRecord { used: Some(1_000 + number), ..agent("a") };
        let stores = stores.clone();
        tokio::spawn(async move { stores.agents.replace(agent("a"), new).await })
    });
    let mut done = 0;
    for one in tries.collect::<Vec<_>>() {
        done += usize::from(one.await.expect("no panic").expect("an answer"));
    }
    assert_eq!(done, 1);
}

pub(crate) async fn of_many_who_register_at_once_no_more_than_the_quota_succeed(stores: &Stores) {
    let quota = Quota { total: 100, by_one: 5 };
    let tries = (0..30).map(|number| {
        let stores = stores.clone();
        let agent = registered(&format!("r{number}"), "one", None);
        tokio::spawn(async move { stores.agents.add(agent, quota).await })
    });
    let mut done = 0;
    for one in tries.collect::<Vec<_>>() {
        match one.await.expect("no panic") {
            Ok(added) => {
                added.expect("a free id");
                done += 1;
            }
            Err(StoreError::Full(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(done, 5);
    assert_eq!(stores.agents.list("", 100).await.expect("an answer").len(), 5);
}

pub(crate) async fn agents_are_listed_by_id_in_pages(stores: &Stores) {
    for id in ["b", "a", "é", "B", "aa", "10", "9"] {
        add(stores, agent(id)).await;
    }
    let mut seen = Vec::new();
    let mut after = String::new();
    loop {
        let page = stores.agents.list(&after, 3).await.expect("an answer");
        assert!(page.len() <= 3);
        let Some(last) = page.last() else { break };
        after.clone_from(&last.id);
        seen.extend(page.into_iter().map(|agent| agent.id));
    }
    assert_eq!(seen, ["10", "9", "B", "a", "aa", "b", "é"]);
    assert!(stores.agents.list("", 0).await.expect("an answer").is_empty());
    assert_eq!(stores.agents.list("", usize::MAX).await.expect("an answer").len(), 7);
}

pub(crate) async fn a_sweep_takes_registered_agents_that_expired(stores: &Stores) {
    add(stores, AgentRecord { expires: Some(1), ..agent("operator") }).await;
    for (id, expires) in [("old", Some(9)), ("now", Some(10)), ("new", Some(11)), ("used", None)] {
        add(stores, registered(id, "x", expires)).await;
    }
    assert_eq!(stores.agents.sweep(10).await.expect("an answer"), 1);
    let listed = stores.agents.list("", 10).await.expect("an answer");
    assert_eq!(ids(&listed), ["new", "now", "operator", "used"]);
    assert_eq!(stores.agents.sweep(10).await.expect("an answer"), 0);
    // One that got a token has no end any more, whatever it was registered with.
    let kept = AgentRecord { expires: None, ..registered("new", "x", None) };
    assert!(stores.agents.replace(registered("new", "x", Some(11)), kept).await.expect("done"));
    assert_eq!(stores.agents.sweep(1_000).await.expect("an answer"), 1);
}

pub(crate) async fn a_removed_agent_is_gone_and_makes_room(stores: &Stores) {
    let quota = Quota { total: 1, by_one: 1 };
    stores.agents.add(registered("a", "x", None), quota).await.expect("room").expect("free");
    assert!(stores.agents.add(registered("b", "y", None), quota).await.is_err());
    assert!(stores.agents.remove("a").await.expect("an answer"));
    assert!(!stores.agents.remove("a").await.expect("an answer"));
    assert!(stores.agents.find("a").await.expect("an answer").is_none());
    stores.agents.add(registered("b", "y", None), quota).await.expect("room").expect("free");
}

pub(crate) async fn an_api_key_is_found_by_its_digest(stores: &Stores) {
    assert!(stores.agents.find_key(digest(1)).await.expect("an answer").is_none());
    stores.agents.add_key(key(1, "a", "tgk_1", 1)).await.expect("room");
    let found = stores.agents.find_key(digest(1)).await.expect("an answer");
    assert_eq!(found, Some(key(1, "a", "tgk_1", 1)));
    assert!(stores.agents.find_key(digest(2)).await.expect("an answer").is_none());
}

pub(crate) async fn api_keys_are_listed_by_agent_and_age(stores: &Stores) {
    for (number, agent, created) in [(1, "b", 5), (2, "a", 7), (3, "b", 3), (4, "a", 6)] {
        stores.agents.add_key(key(number, agent, "l", created)).await.expect("room");
    }
    let all = stores.agents.keys_of(None).await.expect("an answer");
    assert_eq!(all.iter().map(|key| key.created).collect::<Vec<_>>(), [6, 7, 3, 5]);
    let of_b = stores.agents.keys_of(Some("b")).await.expect("an answer");
    assert_eq!(of_b.iter().map(|key| key.created).collect::<Vec<_>>(), [3, 5]);
    assert!(stores.agents.keys_of(Some("c")).await.expect("an answer").is_empty());
}

pub(crate) async fn a_revoked_api_key_stays_and_cannot_be_added_anew(stores: &Stores) {
    stores.agents.add_key(key(1, "a", "l", 1)).await.expect("room");
    stores.agents.revoke_keys("a", None, 50).await.expect("an answer");
    stores.agents.add_key(key(1, "a", "l", 1)).await.expect("an answer");
    let found = stores.agents.find_key(digest(1)).await.expect("an answer").expect("the key");
    assert_eq!(found.revoked, Some(50));
}

pub(crate) async fn an_api_key_ends_at_the_first_of_its_ends(stores: &Stores) {
    stores.agents.add_key(key(1, "a", "l", 1)).await.expect("room");
    for (at, ends) in [(50, 50), (60, 50), (40, 40)] {
        assert!(stores.agents.end_key(digest(1), at).await.expect("an answer"));
        let found = stores.agents.find_key(digest(1)).await.expect("an answer").expect("the key");
        assert_eq!(found, ApiKeyRecord { expires: Some(ends), ..key(1, "a", "l", 1) });
    }
    assert!(!stores.agents.end_key(digest(2), 50).await.expect("an answer"));
}

pub(crate) async fn api_keys_are_revoked_one_by_one_or_all(stores: &Stores) {
    for (number, agent, label) in [(1, "a", "x"), (2, "a", "y"), (3, "a", "z"), (4, "b", "x")] {
        stores.agents.add_key(key(number, agent, label, number)).await.expect("room");
    }
    let one = stores.agents.revoke_keys("a", Some("x"), 50).await.expect("an answer");
    assert_eq!(one, [ApiKeyRecord { revoked: Some(50), ..key(1, "a", "x", 1) }]);
    assert!(stores.agents.revoke_keys("a", Some("none"), 51).await.expect("answer").is_empty());
    let rest = stores.agents.revoke_keys("a", None, 60).await.expect("an answer");
    let rest: Vec<_> = rest.iter().map(|key| (key.label.as_str(), key.revoked)).collect();
    assert_eq!(rest, [("y", Some(60)), ("z", Some(60))]);
    let first = stores.agents.find_key(digest(1)).await.expect("an answer").expect("the key");
    assert_eq!(first.revoked, Some(50), "the time of the first revocation stays");
    let other = stores.agents.find_key(digest(4)).await.expect("an answer").expect("the key");
    assert_eq!(other.revoked, None);
}
