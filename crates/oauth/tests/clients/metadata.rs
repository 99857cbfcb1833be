//! The documents clients find their way with.

use serde_json::json;
use tollgate_core::stores::{AuthMethod, GrantType};
use tollgate_oauth::metadata::{ServerParts, protected_resource, server};

fn parts() -> ServerParts<'static> {
    ServerParts {
        issuer: "https://gw.example",
        authorization: true,
        registration: true,
        documents: true,
        scopes: &[],
        grants: &[GrantType::AuthorizationCode, GrantType::RefreshToken],
        methods: &[AuthMethod::None, AuthMethod::PrivateKeyJwt],
        assertion_algorithms: &["ES256"],
        token_algorithm: "ES256",
    }
}

#[test]
fn a_server_names_what_mcp_clients_insist_on() {
    let document = server(&parts());
    for (name, value) in [
        ("issuer", json!("https://gw.example")),
        ("authorization_endpoint", json!("https://gw.example/oauth/authorize")),
        ("token_endpoint", json!("https://gw.example/oauth/token")),
        ("registration_endpoint", json!("https://gw.example/oauth/register")),
        ("jwks_uri", json!("https://gw.example/oauth/jwks")),
        ("response_types_supported", json!(["code"])),
        ("code_challenge_methods_supported", json!(["S256"])),
        ("grant_types_supported", json!(["authorization_code", "refresh_token"])),
        ("token_endpoint_auth_methods_supported", json!(["none", "private_key_jwt"])),
        ("introspection_endpoint_auth_methods_supported", json!(["private_key_jwt"])),
        ("authorization_response_iss_parameter_supported", json!(true)),
        ("client_id_metadata_document_supported", json!(true)),
    ] {
        assert_eq!(document[name], value, "{name}");
    }
}

#[test]
fn what_is_off_is_not_named() {
    let off =
        ServerParts { authorization: false, registration: false, documents: false, ..parts() };
    let document = server(&off);
    assert!(document.get("authorization_endpoint").is_none());
    assert!(document.get("registration_endpoint").is_none());
    assert_eq!(document["response_types_supported"], json!([]));
    assert_eq!(document["client_id_metadata_document_supported"], json!(false));
}

#[test]
fn a_resource_names_its_issuers_and_never_offline_access() {
    let issuers = [String::from("https://gw.example")];
    let scopes = ["offline_access", "a"].map(String::from);
    assert_eq!(
        protected_resource("https://gw.example/mcp", &issuers, &scopes, Some("tools")),
        json!({
            "resource": "https://gw.example/mcp",
            "authorization_servers": ["https://gw.example"],
            "scopes_supported": ["a"],
            "bearer_methods_supported": ["header"],
            "resource_name": "tools",
        })
    );
    let bare = protected_resource("https://gw.example/mcp", &issuers, &scopes[..1], None);
    assert!(bare.get("scopes_supported").is_none() && bare.get("resource_name").is_none());
}
