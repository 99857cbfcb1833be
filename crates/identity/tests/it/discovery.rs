//! Where keys are looked for, and whose word counts.

use crate::house::{House, is_unavailable, jwt, key, token};
use crate::server::{Reply, Server};
use serde_json::json;
use tollgate_oauth::keys::Alg;

#[tokio::test]
async fn metadata_is_looked_for_at_every_known_place_in_order() {
    let (server, good) = (Server::start_at("/t").await, key("k", Alg::Es256));
    server.publish(&[&good]);
    let origin = server.url.trim_end_matches("/t").to_owned();
    let first = "/.well-known/oauth-authorization-server/t";
    let last = "/t/.well-known/openid-configuration";
    let keys = format!("{origin}/jwks");
    let metadata = json!({ "issuer": server.url, "jwks_uri": keys });
    server.answer(first, Reply::status(404));
    server.answer(last, Reply::json(&metadata));
    let house = House::with(vec![jwt("as", &server)]);
    house.proof(&token(&good, &house.claims(&server.url))).await;
    let expected = [first, "/.well-known/openid-configuration/t", last, "/jwks"];
    assert_eq!(server.paths(), expected);
}

#[tokio::test]
async fn metadata_that_names_another_issuer_is_not_used() {
    let (server, good) = (Server::start().await, key("k", Alg::Es256));
    server.publish(&[&good]);
    let keys = format!("{}/jwks", server.url);
    for other in ["https://evil.example".to_owned(), format!("{}/", server.url), String::new()] {
        let metadata = json!({ "issuer": other, "jwks_uri": keys });
        server.answer("/.well-known/oauth-authorization-server", Reply::json(&metadata));
        let house = House::with(vec![jwt("as", &server)]);
        assert!(is_unavailable(&house.verify(&token(&good, &house.claims(&server.url))).await));
    }
    assert_eq!(server.count("/jwks"), 0);
}
