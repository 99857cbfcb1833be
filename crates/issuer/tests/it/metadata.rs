//! What the issuer says of itself, and whom it lets ask: a reviewed golden file, methods and CORS.

use crate::house::{Ask, House, settings};
use http::Method;
use tollgate_issuer::settings::SignIn;

const METADATA: &str = "/.well-known/oauth-authorization-server";

#[tokio::test]
async fn the_metadata_is_as_reviewed() {
    let house = House::new().await;
    let shown = house.get(METADATA).await.json();
    let shown = serde_json::to_string_pretty(&shown).expect("JSON") + "\n";
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/metadata.json");
    if std::env::var_os("GOLDEN_REFRESH").is_some() {
        std::fs::write(golden, &shown).expect("a writable golden file");
    }
    let reviewed = std::fs::read_to_string(golden).expect("tests/it/metadata.json");
    assert_eq!(shown, reviewed, "GOLDEN_REFRESH=1 writes it anew");
}

#[tokio::test]
async fn openid_connect_names_the_same_document() {
    let house = House::new().await;
    let (one, other) =
        (house.get(METADATA).await, house.get("/.well-known/openid-configuration").await);
    assert_eq!((one.status.as_u16(), one.body), (200, other.body));
}

#[tokio::test]
async fn only_what_is_turned_on_is_named() {
    let mut machines_only = settings();
    machines_only.sign_in = SignIn::Nobody;
    machines_only.registration.dynamic = false;
    machines_only.registration.documents = false;
    let house = House::with(machines_only).await;
    let shown = house.get(METADATA).await.json();
    for name in ["authorization_endpoint", "registration_endpoint"] {
        assert_eq!(shown.get(name), None, "{name}");
    }
    assert_eq!(shown["grant_types_supported"], serde_json::json!(["client_credentials"]));
    assert_ne!(shown["client_id_metadata_document_supported"], true);
    let methods = shown["token_endpoint_auth_methods_supported"].to_string();
    assert!(!methods.contains("none"), "{methods}");
}

#[tokio::test]
async fn the_keys_are_those_tokens_are_signed_with_and_hold_nothing_private() {
    let house = House::new().await;
    house.app("app").await;
    let (token, _) = house.tokens("app").await;
    let reply = house.get("/oauth/jwks").await;
    let keys = tollgate_oauth::keys::KeySet::parse(&reply.body).expect("a key set");
    let jwt = tollgate_oauth::jwt::Jwt::read(&token).expect("a JWT");
    assert!(jwt.verify(&keys, &[house.settings.algorithm]).is_ok());
    for key in reply.json()["keys"].as_array().expect("keys") {
        for private in ["d", "p", "q", "k"] {
            assert_eq!(key.get(private), None);
        }
        assert_eq!(key["use"], "sig");
    }
}

#[tokio::test]
async fn documents_may_be_cached_briefly_and_tokens_never() {
    let house = House::new().await;
    for path in [METADATA, "/oauth/jwks"] {
        let reply = house.get(path).await;
        assert_eq!(reply.header("cache-control"), Some("public, max-age=300"), "{path}");
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
    }
}

#[tokio::test]
async fn methods_an_endpoint_does_not_take_are_405() {
    let house = House::new().await;
    let wrong = [
        (Method::POST, METADATA, "GET, HEAD"),
        (Method::DELETE, "/oauth/jwks", "GET, HEAD"),
        (Method::GET, "/oauth/token", "POST"),
        (Method::PUT, "/oauth/revoke", "POST"),
        (Method::GET, "/oauth/introspect", "POST"),
    ];
    for (method, path, allowed) in wrong {
        let reply = house.send(Ask::new(method, path)).await;
        assert_eq!((reply.status.as_u16(), reply.header("allow")), (405, Some(allowed)), "{path}");
    }
}

#[tokio::test]
async fn scripts_of_any_page_may_use_what_needs_no_cookie() {
    let house = House::new().await;
    for path in [METADATA, "/oauth/jwks", "/oauth/token", "/oauth/revoke"] {
        let preflight = house.send(Ask::new(Method::OPTIONS, path)).await;
        assert_eq!(preflight.status, 204, "{path}");
        assert_eq!(preflight.header("access-control-allow-origin"), Some("*"));
        assert!(preflight.header("access-control-allow-methods").is_some());
        assert_eq!(preflight.header("access-control-allow-credentials"), None);
    }
    // A refusal must be readable too, or the page cannot tell what was wrong.
    let reply = house.token(&[("grant_type", "password")]).await;
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    assert_eq!(reply.header("access-control-allow-credentials"), None);
}

#[tokio::test]
async fn scripts_may_not_use_what_is_for_servers_or_signs_people_in() {
    let house = House::new().await;
    for path in ["/oauth/introspect", "/oauth/authorize", "/oauth/signin", "/oauth/consent"] {
        let preflight = house.send(Ask::new(Method::OPTIONS, path)).await;
        assert_eq!(preflight.header("access-control-allow-origin"), None, "{path}");
        assert!(preflight.status.is_client_error(), "{path}");
    }
}

#[tokio::test]
async fn paths_that_are_not_the_issuers_are_not_served() {
    let house = House::new().await;
    for path in ["/", "/mcp", "/oauth", "/oauth/", "/oauth/tokens", "/oauth/token/", "/OAUTH/token"]
    {
        assert!(!house.issuer.serves(path), "{path}");
        assert_eq!(house.get(path).await.status, 404, "{path}");
    }
    for path in [METADATA, "/oauth/token", "/oauth/jwks", "/oauth/revoke", "/oauth/introspect"] {
        assert!(house.issuer.serves(path), "{path}");
    }
}
