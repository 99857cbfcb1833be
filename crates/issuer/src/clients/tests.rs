//! Which clients are known, and what they may.

use super::trial::{Trial, agent};
use super::{Client, ClientFault, find};
use tollgate_core::stores::{AgentRecord, AuthMethod, Digest, GrantType, Origin};

fn client(change: impl FnOnce(&mut AgentRecord)) -> Client {
    let mut record = agent("ci", AuthMethod::ClientSecretBasic);
    change(&mut record);
    Client { record }
}

fn registered() -> Origin {
    Origin::Registered { by: String::from("192.0.2.1"), token: Digest([1; 32]) }
}

#[tokio::test]
async fn an_agent_is_found_until_it_ends_or_is_cut_off() {
    let trial = Trial::new(|_| {});
    let mut record = agent("ci", AuthMethod::None);
    record.expires = Some(super::trial::BEGIN + 10);
    trial.add(record.clone()).await;
    assert_eq!(find(&trial.desk, "ci").await.expect("a client").record(), &record);
    trial.pass(10);
    assert!(matches!(find(&trial.desk, "ci").await, Err(ClientFault::Unknown)));

    let mut record = agent("cut", AuthMethod::None);
    record.revoked = Some(1);
    trial.add(record).await;
    assert!(matches!(find(&trial.desk, "cut").await, Err(ClientFault::Unknown)));
}

#[tokio::test]
async fn ids_nobody_has_are_unknown_and_ask_nobody() {
    let trial = Trial::new(|_| {});
    for id in ["", "ghost", "user:1", "reg_", &"a".repeat(1_025)] {
        assert!(matches!(find(&trial.desk, id).await, Err(ClientFault::Unknown)), "{id}");
    }
    assert!(trial.net.looked_up.lock().is_empty() && trial.net.opened.lock().is_empty());
}

#[tokio::test]
async fn what_is_kept_of_a_document_is_no_client_by_another_id() {
    let trial = Trial::new(|_| {});
    let mut record = agent("plain", AuthMethod::None);
    record.origin = Origin::Document;
    trial.add(record).await;
    assert!(matches!(find(&trial.desk, "plain").await, Err(ClientFault::Unknown)));
}

#[tokio::test]
async fn a_host_taken_off_the_list_is_no_redirect_any_more() {
    let trial = Trial::new(|settings| settings.hosts = vec![String::from("app.example")]);
    let mut record = agent("reg_1", AuthMethod::None);
    record.origin = registered();
    record.redirect_uris =
        ["https://app.example/cb", "https://old.example/cb", "http://127.0.0.1/cb"]
            .map(String::from)
            .into();
    trial.add(record).await;
    let client = find(&trial.desk, "reg_1").await.expect("a client");
    assert!(client.redirect_ok("https://app.example/cb"));
    assert!(client.redirect_ok("http://127.0.0.1:4711/cb"));
    assert!(!client.redirect_ok("https://old.example/cb"));
}

#[test]
fn only_an_agent_with_an_operator_and_a_proof_acts_for_itself() {
    let acts = |client: &Client| client.may(GrantType::ClientCredentials);
    assert!(acts(&client(|_| {})));
    assert!(!acts(&client(|record| record.grants.clear())));
    assert!(!acts(&client(|record| record.auth = AuthMethod::None)));
    assert!(!acts(&client(|record| record.origin = registered())));
    assert!(!acts(&client(|record| record.origin = Origin::Document)));
    let workload = |client: &Client| client.may(GrantType::JwtBearer);
    assert!(!workload(&client(|_| {})));
    assert!(workload(&client(|record| record.grants = vec![GrantType::JwtBearer])));
    assert!(!workload(&client(|record| {
        record.grants = vec![GrantType::JwtBearer];
        record.origin = registered();
    })));
}

#[test]
fn an_empty_list_of_scopes_leaves_it_to_people() {
    let open = client(|_| {});
    assert!(open.allows_scope("read", GrantType::AuthorizationCode));
    assert!(!open.allows_scope("read", GrantType::ClientCredentials));
    let listed = client(|record| record.scopes = vec![String::from("tool:a__*")]);
    assert!(listed.allows_scope("tool:a__x", GrantType::ClientCredentials));
    assert!(!listed.allows_scope("tool:b__x", GrantType::ClientCredentials));
    assert!(!listed.allows_scope("read", GrantType::AuthorizationCode));
}

#[test]
fn routes_are_all_or_the_listed_ones_exactly() {
    assert!(client(|_| {}).allows_route("/mcp"));
    let listed = client(|record| record.routes = vec![String::from("/mcp")]);
    assert!(listed.allows_route("/mcp"));
    for other in ["/", "/mcp/", "/mcp2", "/MCP", ""] {
        assert!(!listed.allows_route(other), "{other}");
    }
}

#[test]
fn a_redirect_need_not_be_named_only_where_there_is_one() {
    assert_eq!(client(|_| {}).only_redirect(), Some("https://app.example/cb"));
    assert_eq!(client(|record| record.redirect_uris.clear()).only_redirect(), None);
    let two = client(|record| record.redirect_uris.push(String::from("http://127.0.0.1/cb")));
    assert_eq!(two.only_redirect(), None);
    assert!(!two.is_loopback_only());
    let local = client(|record| record.redirect_uris = vec![String::from("http://localhost/cb")]);
    assert!(local.is_loopback_only());
}
