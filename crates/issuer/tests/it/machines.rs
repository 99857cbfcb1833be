//! Agents that act for themselves: what they are allowed, where they say, and nothing besides.

use crate::house::{BEGIN, House, OTHER_RESOURCE, RESOURCE, app, machine, refusal, settings};
use tollgate_core::stores::{AgentRecord, GrantType};

#[tokio::test]
async fn a_machine_gets_a_token_about_itself_and_no_refresh_token() {
    let house = House::new().await;
    house.add(machine("bot")).await;
    let reply = house.credentials("bot", &[("resource", RESOURCE), ("scope", "read")]).await;
    let claims = house.read(&reply.text("access_token")).expect("a token");
    assert_eq!((claims.subject.as_str(), claims.client.as_str()), ("bot", "bot"));
    assert_eq!(
        (claims.audience.join(""), claims.scopes.join(" ")),
        (RESOURCE.into(), "read".into())
    );
    assert_eq!(
        (claims.groups.join(""), claims.user_name, claims.grant),
        ("robots".into(), None, None)
    );
    assert_eq!(reply.json().get("refresh_token"), None);
}

#[tokio::test]
async fn a_pattern_allows_what_it_begins_and_nothing_else() {
    let house = House::new().await;
    house.add(machine("bot")).await;
    let ask = async |scope: &str| {
        house.credentials("bot", &[("resource", RESOURCE), ("scope", scope)]).await
    };
    assert_eq!(ask("tool:github__get_issue").await.json()["scope"], "tool:github__get_issue");
    assert_eq!(ask("tool:github__a read").await.json()["scope"], "read tool:github__a");
    let refused = ["tool:gitlab__x", "write", "read write", "tool:*", "*", "tool:github_", "READ"];
    for scope in refused {
        assert_eq!(ask(scope).await.refusal(), refusal(400, "invalid_scope"), "{scope}");
    }
}

#[tokio::test]
async fn who_asks_for_no_scope_gets_all_that_are_allowed_by_name() {
    let house = House::new().await;
    house.add(machine("bot")).await;
    let reply = house.credentials("bot", &[("resource", RESOURCE)]).await;
    assert_eq!(reply.json()["scope"], "read");
}

#[tokio::test]
async fn who_is_allowed_patterns_only_must_say_which_scopes_it_wants() {
    let house = House::new().await;
    house.add(AgentRecord { scopes: vec!["tool:*".to_owned()], ..machine("bot") }).await;
    let reply = house.credentials("bot", &[("resource", RESOURCE)]).await;
    assert_eq!(reply.refusal(), refusal(400, "invalid_scope"));
}

#[tokio::test]
async fn who_is_allowed_no_scope_gets_a_token_without_any() {
    let house = House::new().await;
    house.add(AgentRecord { scopes: Vec::new(), ..machine("bot") }).await;
    let reply = house.credentials("bot", &[("resource", RESOURCE)]).await;
    let claims = house.read(&reply.text("access_token")).expect("a token");
    assert!(claims.scopes.is_empty());
    let reply = house.credentials("bot", &[("resource", RESOURCE), ("scope", "read")]).await;
    assert_eq!(reply.refusal(), refusal(400, "invalid_scope"));
}

#[tokio::test]
async fn a_resource_must_be_named_once_and_be_one_of_ours() {
    let house = House::new().await;
    house.add(machine("bot")).await;
    let wrong: [&[&str]; 9] = [
        &[],
        &[RESOURCE, OTHER_RESOURCE],
        &[RESOURCE, RESOURCE],
        &["/mcp"],
        &["https://gate.example/mcp#part"],
        &["https://gate.example/mcp/"],
        &["https://gate.example.evil/mcp"],
        &["https://gate.example/MCP"],
        &["https://user@gate.example/mcp"],
    ];
    for resources in wrong {
        let form: Vec<_> = resources.iter().map(|resource| ("resource", *resource)).collect();
        let reply = house.credentials("bot", &form).await;
        assert_eq!(reply.refusal(), refusal(400, "invalid_target"), "{resources:?}");
    }
    let reply = house.credentials("bot", &[("resource", "HTTPS://GATE.example:443/mcp")]).await;
    let claims = house.read(&reply.text("access_token")).expect("a token");
    assert_eq!(claims.audience, [RESOURCE]);
}

#[tokio::test]
async fn the_only_resource_need_not_be_named() {
    let mut only = settings();
    only.resources.truncate(1);
    let house = House::with(only).await;
    house.add(machine("bot")).await;
    let reply = house.credentials("bot", &[]).await;
    let claims = house.read(&reply.text("access_token")).expect("a token");
    assert_eq!(claims.audience, [RESOURCE]);
}

#[tokio::test]
async fn an_agent_of_one_route_gets_no_token_for_another() {
    let house = House::new().await;
    house.add(AgentRecord { routes: vec!["/hub".to_owned()], ..machine("bot") }).await;
    let other = house.credentials("bot", &[("resource", RESOURCE)]).await;
    assert_eq!(other.refusal(), refusal(400, "invalid_target"));
    assert_eq!(house.credentials("bot", &[("resource", OTHER_RESOURCE)]).await.status, 200);
}

#[tokio::test]
async fn an_agent_without_the_grant_is_unauthorized() {
    let house = House::new().await;
    house.add(AgentRecord { grants: vec![GrantType::JwtBearer], ..machine("bot") }).await;
    let reply = house.credentials("bot", &[("resource", RESOURCE)]).await;
    assert_eq!(reply.refusal(), refusal(400, "unauthorized_client"));
}

#[tokio::test]
async fn a_public_agent_cannot_act_for_itself_even_if_it_has_the_grant() {
    let house = House::new().await;
    let grants = vec![GrantType::ClientCredentials];
    house.add(AgentRecord { grants, scopes: vec!["read".to_owned()], ..app("app") }).await;
    let form = [("grant_type", "client_credentials"), ("client_id", "app"), ("resource", RESOURCE)];
    assert_eq!(house.token(&form).await.refusal(), refusal(400, "unauthorized_client"));
}

#[tokio::test]
async fn the_use_of_an_agent_is_noted_once_a_day() {
    let house = House::new().await;
    house.add(machine("bot")).await;
    let used = async || {
        assert_eq!(house.credentials("bot", &[("resource", RESOURCE)]).await.status, 200);
        house.stores.agents.find("bot").await.expect("a store").expect("it is there").used
    };
    assert_eq!(used().await, Some(BEGIN));
    house.pass(86_399);
    assert_eq!(used().await, Some(BEGIN));
    house.pass(1);
    assert_eq!(used().await, Some(BEGIN + 86_400));
}

#[tokio::test]
async fn a_resource_is_known_however_the_operator_spells_it_and_named_as_the_operator_does() {
    let mut spelled = settings();
    spelled.resources[0].identifier = "https://Gate.example:443/".to_owned();
    let house = House::with(spelled).await;
    house.add(machine("bot")).await;
    for resource in ["https://gate.example", "https://gate.example/"] {
        let reply = house.credentials("bot", &[("resource", resource)]).await;
        let claims = house.read(&reply.text("access_token")).expect("a token");
        assert_eq!(claims.audience, ["https://Gate.example:443/"]);
    }
}
