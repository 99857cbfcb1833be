//! Refresh tokens: good once each, for what was granted and no more, until the grant ends.

use crate::house::{BEGIN, House, OTHER_RESOURCE, RESOURCE, refusal};

const DAY: u64 = 86_400;

#[tokio::test]
async fn a_refresh_token_becomes_a_new_access_token_and_the_next_refresh_token() {
    let house = House::new().await;
    house.app("app").await;
    let (access, first) = house.tokens("app").await;
    house.pass(100);
    let reply = house.refresh("app", &first, &[]).await;
    let second = reply.text("refresh_token");
    assert_ne!(first, second);
    let (before, after) = (house.read(&access), house.read(&reply.text("access_token")));
    let (before, after) = (before.expect("a token"), after.expect("a token"));
    assert_eq!((&before.subject, &before.client), (&after.subject, &after.client));
    assert_eq!((&before.grant, &before.scopes), (&after.grant, &after.scopes));
    assert_eq!((after.audience.join(""), after.issued), (RESOURCE.to_owned(), BEGIN + 100));
    assert_eq!(house.refresh("app", &second, &[]).await.status, 200);
}

#[tokio::test]
async fn a_refresh_token_used_twice_ends_its_whole_grant() {
    let house = House::new().await;
    house.app("app").await;
    let (access, first) = house.tokens("app").await;
    let reply = house.refresh("app", &first, &[]).await;
    let (renewed, second) = (reply.text("access_token"), reply.text("refresh_token"));
    let reused = house.refresh("app", &first, &[]).await;
    assert_eq!(reused.refusal(), refusal(400, "invalid_grant"));
    assert!(!house.is_active(&access).await && !house.is_active(&renewed).await);
    let last = house.refresh("app", &second, &[]).await;
    assert_eq!(last.refusal(), refusal(400, "invalid_grant"));
}

#[tokio::test]
async fn a_used_refresh_token_in_the_hands_of_another_client_ends_the_grant_too() {
    let house = House::new().await;
    house.app("app").await;
    house.app("thief").await;
    let (_, first) = house.tokens("app").await;
    let second = house.refresh("app", &first, &[]).await.text("refresh_token");
    let stolen = house.refresh("thief", &first, &[]).await;
    assert_eq!(stolen.refusal(), refusal(400, "invalid_grant"));
    let last = house.refresh("app", &second, &[]).await;
    assert_eq!(last.refusal(), refusal(400, "invalid_grant"));
}

#[tokio::test]
async fn a_refresh_token_of_another_client_is_refused_and_serves_nobody_any_more() {
    let house = House::new().await;
    house.app("app").await;
    house.app("thief").await;
    let (access, token) = house.tokens("app").await;
    let stolen = house.refresh("thief", &token, &[]).await;
    assert_eq!(stolen.refusal(), refusal(400, "invalid_grant"));
    assert!(!house.is_active(&access).await);
    assert_eq!(house.refresh("app", &token, &[]).await.refusal(), refusal(400, "invalid_grant"));
}

#[tokio::test]
async fn a_scope_may_narrow_for_one_token_and_comes_back() {
    let house = House::new().await;
    house.app("app").await;
    let (_, first) = house.tokens("app").await;
    let narrow = house.refresh("app", &first, &[("scope", "read")]).await;
    assert_eq!(narrow.json()["scope"], "read");
    let claims = house.read(&narrow.text("access_token")).expect("a token");
    assert_eq!(claims.scopes, ["read"]);
    let wide = house.refresh("app", &narrow.text("refresh_token"), &[]).await;
    assert_eq!(wide.json()["scope"], "read write");
}

#[tokio::test]
async fn a_scope_never_widens_and_the_attempt_uses_up_nothing() {
    let house = House::new().await;
    house.app("app").await;
    let (_, token) = house.tokens("app").await;
    let attempts =
        ["read admin", "admin", "read  write", " read", "READ", "read\u{a0}", "*", "read\twrite"];
    for scope in attempts {
        let reply = house.refresh("app", &token, &[("scope", scope)]).await;
        assert_eq!(reply.status, 400, "{scope:?}");
        let code = reply.refusal().1;
        // A tab is no part of any parameter.
        let expected = if scope.contains('\t') { "invalid_request" } else { "invalid_scope" };
        assert_eq!(code, expected, "{scope:?}");
    }
    assert_eq!(house.refresh("app", &token, &[]).await.status, 200);
}

#[tokio::test]
async fn a_scope_the_operator_took_from_the_agent_is_not_granted_again() {
    let house = House::new().await;
    house.app("app").await;
    let (_, token) = house.tokens("app").await;
    let old = house.stores.agents.find("app").await.expect("a store").expect("it is there");
    let mut less = old.clone();
    less.scopes = vec!["read".to_owned()];
    assert!(house.stores.agents.replace(old, less).await.expect("a store"));
    let asked = house.refresh("app", &token, &[("scope", "write")]).await;
    assert_eq!(asked.refusal(), refusal(400, "invalid_scope"));
    let reply = house.refresh("app", &token, &[]).await;
    assert_eq!(reply.json()["scope"], "read");
}

#[tokio::test]
async fn the_resource_stays_the_same() {
    let house = House::new().await;
    house.app("app").await;
    let (_, token) = house.tokens("app").await;
    let other = house.refresh("app", &token, &[("resource", OTHER_RESOURCE)]).await;
    assert_eq!(other.refusal(), refusal(400, "invalid_target"));
    let same = house.refresh("app", &token, &[("resource", "HTTPS://Gate.Example:443/mcp")]).await;
    assert_eq!(same.status, 200);
}

#[tokio::test]
async fn a_refresh_token_nobody_uses_ends() {
    let house = House::new().await;
    house.app("app").await;
    let (_, token) = house.tokens("app").await;
    house.pass(30 * DAY);
    assert_eq!(house.refresh("app", &token, &[]).await.refusal(), refusal(400, "invalid_grant"));
}

#[tokio::test]
async fn a_grant_ends_however_often_it_is_used() {
    let house = House::new().await;
    house.app("app").await;
    let (_, mut token) = house.tokens("app").await;
    for _ in 0..4 {
        house.pass(20 * DAY);
        token = house.refresh("app", &token, &[]).await.text("refresh_token");
    }
    house.pass(10 * DAY);
    assert_eq!(house.refresh("app", &token, &[]).await.refusal(), refusal(400, "invalid_grant"));
}

#[tokio::test]
async fn a_locked_account_is_refreshed_no_more_and_its_grant_ends() {
    let house = House::new().await;
    house.app("app").await;
    let (access, token) = house.tokens("app").await;
    let mut user =
        house.stores.users.by_id("user:ada").await.expect("a store").expect("an account");
    user.locked = Some(BEGIN);
    assert!(house.stores.users.replace(user.clone()).await.expect("a store"));
    assert_eq!(house.refresh("app", &token, &[]).await.refusal(), refusal(400, "invalid_grant"));
    assert!(!house.is_active(&access).await);
    user.locked = None;
    assert!(house.stores.users.replace(user).await.expect("a store"));
    assert_eq!(house.refresh("app", &token, &[]).await.refusal(), refusal(400, "invalid_grant"));
}

#[tokio::test]
async fn groups_of_an_account_are_those_of_now() {
    let house = House::new().await;
    house.app("app").await;
    let (_, token) = house.tokens("app").await;
    let mut user =
        house.stores.users.by_id("user:ada").await.expect("a store").expect("an account");
    user.groups = vec!["guests".to_owned()];
    assert!(house.stores.users.replace(user).await.expect("a store"));
    let reply = house.refresh("app", &token, &[]).await;
    let claims = house.read(&reply.text("access_token")).expect("a token");
    assert_eq!(claims.groups, ["guests"]);
}

#[tokio::test]
async fn a_code_or_an_access_token_is_no_refresh_token() {
    let house = House::new().await;
    house.app("app").await;
    let (access, _) = house.tokens("app").await;
    let code = house.code("app").await;
    for wrong in [access.as_str(), &code, "tgr_", "x"] {
        let reply = house.refresh("app", wrong, &[]).await;
        assert_eq!(reply.refusal(), refusal(400, "invalid_grant"));
    }
    assert_eq!(house.redeem("app", &code).await.status, 200);
}
