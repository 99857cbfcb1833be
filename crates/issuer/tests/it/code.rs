//! Codes: good once, for the client, redirect, challenge and resource they were made for.

use crate::house::{
    BEGIN, House, ISSUER, OTHER_RESOURCE, REDIRECT, RESOURCE, VERIFIER, app, changed, redemption,
    refusal,
};
use tollgate_core::stores::{AgentRecord, GrantType, Origin};

#[tokio::test]
async fn a_code_becomes_an_access_token_that_says_who_for_whom_where_and_what() {
    let house = House::new().await;
    house.app("app").await;
    let reply = house.redeem("app", &house.code("app").await).await;
    let claims = house.read(&reply.text("access_token")).expect("a token of ours");
    assert_eq!((claims.issuer.as_str(), claims.subject.as_str()), (ISSUER, "user:ada"));
    assert_eq!((claims.client.as_str(), claims.audience), ("app", vec![RESOURCE.to_owned()]));
    assert_eq!(
        (claims.scopes.join(" "), claims.groups.join(" ")),
        ("read write".into(), "staff".into())
    );
    assert_eq!((claims.issued, claims.expires), (BEGIN, BEGIN + 600));
    assert_eq!(claims.user_name.as_deref(), Some("ada"));
    assert!(claims.grant.is_some() && claims.id.len() == 32);
    let body = reply.json();
    assert_eq!((&body["token_type"], &body["expires_in"]), (&"Bearer".into(), &600.into()));
    assert_eq!(body["scope"], "read write");
    assert!(reply.text("refresh_token").starts_with("tgr_"));
}

#[tokio::test]
async fn answers_with_tokens_and_refusals_are_never_cached() {
    let house = House::new().await;
    house.app("app").await;
    let good = house.redeem("app", &house.code("app").await).await;
    let bad = house.redeem("app", "tgc_nothing").await;
    for reply in [good, bad] {
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{reply:?}");
        assert_eq!(reply.header("pragma"), Some("no-cache"));
    }
}

#[tokio::test]
async fn a_client_without_the_refresh_grant_gets_no_refresh_token() {
    let house = House::new().await;
    house.add(AgentRecord { grants: vec![GrantType::AuthorizationCode], ..app("app") }).await;
    let reply = house.redeem("app", &house.code("app").await).await;
    assert_eq!(reply.json().get("refresh_token"), None);
    assert!(house.read(&reply.text("access_token")).is_some());
}

#[tokio::test]
async fn a_code_used_twice_is_refused_and_ends_all_tokens_of_it() {
    let house = House::new().await;
    house.app("app").await;
    let code = house.code("app").await;
    let first = house.redeem("app", &code).await;
    let (access, renewal) = (first.text("access_token"), first.text("refresh_token"));
    assert!(house.is_active(&access).await);
    assert_eq!(house.redeem("app", &code).await.refusal(), refusal(400, "invalid_grant"));
    assert!(!house.is_active(&access).await);
    let again = house.refresh("app", &renewal, &[]).await;
    assert_eq!(again.refusal(), refusal(400, "invalid_grant"));
}

#[tokio::test]
async fn a_code_used_twice_ends_also_the_tokens_its_refresh_token_became() {
    let house = House::new().await;
    house.app("app").await;
    let code = house.code("app").await;
    let first = house.redeem("app", &code).await.text("refresh_token");
    let renewed = house.refresh("app", &first, &[]).await;
    house.redeem("app", &code).await;
    assert!(!house.is_active(&renewed.text("access_token")).await);
    let next = house.refresh("app", &renewed.text("refresh_token"), &[]).await;
    assert_eq!(next.refusal(), refusal(400, "invalid_grant"));
}

#[tokio::test]
async fn a_code_of_another_client_is_refused_and_serves_nobody_any_more() {
    let house = House::new().await;
    house.app("app").await;
    house.app("thief").await;
    let code = house.code("app").await;
    assert_eq!(house.redeem("thief", &code).await.refusal(), refusal(400, "invalid_grant"));
    assert_eq!(house.redeem("app", &code).await.refusal(), refusal(400, "invalid_grant"));
}

#[tokio::test]
async fn a_code_ends_with_its_lifetime() {
    let house = House::new().await;
    house.app("app").await;
    let (in_time, too_late) = (house.code("app").await, house.code("app").await);
    house.pass(59);
    assert_eq!(house.redeem("app", &in_time).await.status, 200);
    house.pass(1);
    assert_eq!(house.redeem("app", &too_late).await.refusal(), refusal(400, "invalid_grant"));
}

#[tokio::test]
async fn a_code_needs_the_redirect_it_was_sent_to_exactly() {
    let house = House::new().await;
    house.app("app").await;
    for wrong in ["http://127.0.0.1:7777/callback/", "http://127.0.0.1:7778/callback", RESOURCE] {
        let code = house.code("app").await;
        let form = changed(redemption("app", &code), "redirect_uri", Some(wrong));
        assert_eq!(house.token(&form).await.refusal(), refusal(400, "invalid_grant"), "{wrong}");
        // And it is used up by that.
        assert_eq!(house.redeem("app", &code).await.refusal(), refusal(400, "invalid_grant"));
    }
}

#[tokio::test]
async fn a_code_needs_the_verifier_of_its_challenge() {
    let house = House::new().await;
    house.app("app").await;
    let challenge = tollgate_oauth::pkce::challenge(VERIFIER);
    let other = "b".repeat(43);
    // `plain` would take the challenge itself.
    for wrong in [challenge.as_str(), &other, "short", &VERIFIER[1..]] {
        let code = house.code("app").await;
        let form = changed(redemption("app", &code), "code_verifier", Some(wrong));
        assert_eq!(house.token(&form).await.refusal(), refusal(400, "invalid_grant"), "{wrong}");
    }
}

#[tokio::test]
async fn a_code_without_challenge_is_good_for_nothing() {
    let house = House::new().await;
    house.app("app").await;
    let code = house.code_with("app", |record| record.challenge.clear()).await;
    assert_eq!(house.redeem("app", &code).await.refusal(), refusal(400, "invalid_grant"));
}

#[tokio::test]
async fn missing_parameters_are_named_and_leave_the_code_alone() {
    let house = House::new().await;
    house.app("app").await;
    let code = house.code("app").await;
    for name in ["code", "redirect_uri", "code_verifier"] {
        for value in [None, Some("")] {
            let reply = house.token(&changed(redemption("app", &code), name, value)).await;
            assert_eq!(reply.refusal(), refusal(400, "invalid_request"), "{name}");
            assert!(reply.json()["error_description"].to_string().contains(name));
        }
    }
    assert_eq!(house.redeem("app", &code).await.status, 200);
}

#[tokio::test]
async fn the_resource_may_be_left_out_but_not_differ() {
    let house = House::new().await;
    house.app("app").await;
    let code = house.code("app").await;
    let reply = house.token(&changed(redemption("app", &code), "resource", None)).await;
    let claims = house.read(&reply.text("access_token")).expect("a token of ours");
    assert_eq!(claims.audience, [RESOURCE]);
    let code = house.code("app").await;
    let form = changed(redemption("app", &code), "resource", Some(OTHER_RESOURCE));
    assert_eq!(house.token(&form).await.refusal(), refusal(400, "invalid_target"));
    assert_eq!(house.redeem("app", &code).await.refusal(), refusal(400, "invalid_grant"));
}

#[tokio::test]
async fn two_resources_are_refused_and_leave_the_code_alone() {
    let house = House::new().await;
    house.app("app").await;
    let code = house.code("app").await;
    let mut form = redemption("app", &code);
    form.push(("resource", RESOURCE));
    assert_eq!(house.token(&form).await.refusal(), refusal(400, "invalid_target"));
    assert_eq!(house.redeem("app", &code).await.status, 200);
}

#[tokio::test]
async fn an_agent_that_lost_a_route_gets_no_token_for_it() {
    let house = House::new().await;
    house.add(AgentRecord { routes: vec!["/hub".to_owned()], ..app("app") }).await;
    let reply = house.redeem("app", &house.code("app").await).await;
    assert_eq!(reply.refusal(), refusal(400, "invalid_target"));
}

#[tokio::test]
async fn a_grant_type_the_client_has_not_is_unauthorized() {
    let house = House::new().await;
    house.add(AgentRecord { grants: vec![GrantType::RefreshToken], ..app("app") }).await;
    let code = house.code("app").await;
    let reply = house.redeem("app", &code).await;
    assert_eq!(reply.refusal(), refusal(400, "unauthorized_client"));
}

#[tokio::test]
async fn the_first_token_keeps_an_agent_that_registered_itself() {
    let house = House::new().await;
    let token = tollgate_oauth::secret::digest("registration");
    let origin = Origin::Registered { by: "192.0.2.1".to_owned(), token };
    house.add(AgentRecord { origin, expires: Some(BEGIN + 86_400), ..app("app") }).await;
    assert_eq!(house.redeem("app", &house.code("app").await).await.status, 200);
    let agent = house.stores.agents.find("app").await.expect("a store").expect("it is there");
    assert_eq!((agent.used, agent.expires), (Some(BEGIN), None));
    assert_eq!(agent.redirect_uris, [REDIRECT]);
}

#[tokio::test]
async fn the_end_an_operator_set_stays_when_the_agent_is_used() {
    let house = House::new().await;
    house.add(AgentRecord { expires: Some(BEGIN + 86_400), ..app("app") }).await;
    assert_eq!(house.redeem("app", &house.code("app").await).await.status, 200);
    let agent = house.stores.agents.find("app").await.expect("a store").expect("it is there");
    assert_eq!((agent.used, agent.expires), (Some(BEGIN), Some(BEGIN + 86_400)));
}
