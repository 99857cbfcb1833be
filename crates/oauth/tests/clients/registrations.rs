//! What clients say of themselves: registrations, updates and documents.

use serde_json::{Value, json};
use tollgate_core::stores::{AuthMethod, ClientKeys, GrantType};
use tollgate_oauth::error::Code;
use tollgate_oauth::keys::{Alg, SigningKey};
use tollgate_oauth::registration::{
    ClientMetadata, RegistrationFault, from_document, from_registration, from_update, is_plain,
};
use url::Url;

const HERE: &str = "https://app.example/client.json";

fn with(base: Value, more: &Value) -> Value {
    let mut document = base;
    let (Some(members), Some(more)) = (document.as_object_mut(), more.as_object()) else {
        return document;
    };
    members.extend(more.clone());
    document
}

fn registration(more: &Value) -> Result<ClientMetadata, RegistrationFault> {
    let base = json!({ "redirect_uris": ["http://127.0.0.1/cb"] });
    from_registration(with(base, more).to_string().as_bytes())
}

fn document(more: &Value) -> Result<ClientMetadata, RegistrationFault> {
    let base = json!({
        "client_id": HERE, "client_name": "App", "redirect_uris": ["http://127.0.0.1/cb"],
    });
    let url = Url::parse(HERE).expect("a URL");
    from_document(&url, with(base, more).to_string().as_bytes())
}

fn key_set() -> Value {
    let key = SigningKey::generate(Alg::Es256).expect("a key");
    json!({ "keys": [key.public_jwk()] })
}

#[test]
fn the_least_that_can_be_registered_has_the_defaults_of_the_rfc() {
    let metadata = registration(&json!({})).expect("a registration");
    assert_eq!(metadata.auth, AuthMethod::ClientSecretBasic);
    assert_eq!(metadata.grants, [GrantType::AuthorizationCode]);
    assert_eq!(metadata.redirect_uris, ["http://127.0.0.1/cb"]);
    assert_eq!((metadata.name.as_str(), metadata.keys), ("", ClientKeys::None));
}

#[test]
fn what_mcp_clients_commonly_send_is_taken() {
    let metadata = registration(&json!({
        "client_name": "Visual Studio Code",
        "client_uri": "https://code.visualstudio.com",
        "grant_types": [
            "authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code",
        ],
        "response_types": ["code"],
        "redirect_uris": [
            "https://insiders.vscode.dev/redirect", "https://vscode.dev/redirect",
            "http://localhost/", "http://127.0.0.1/", "http://localhost:33418/",
            "http://127.0.0.1:33418/",
        ],
        "token_endpoint_auth_method": "none",
        "application_type": "native",
        "scope": "mcp tool:x",
        "logo_uri": "",
        "software_statement": "ey.ey.x",
        "something_else": { "deep": [1, 2, 3] },
    }))
    .expect("a registration");
    assert_eq!(metadata.auth, AuthMethod::None);
    assert_eq!(metadata.grants, [GrantType::AuthorizationCode, GrantType::RefreshToken]);
    assert_eq!(metadata.redirect_uris.len(), 6);
    assert_eq!(metadata.scopes, ["mcp", "tool:x"]);
    let rest = json!({
        "client_uri": "https://code.visualstudio.com", "application_type": "native",
    });
    assert_eq!(Value::Object(metadata.rest), rest);
}

#[test]
fn every_bad_member_of_a_registration_is_refused() {
    let redirect = Code::InvalidRedirectUri;
    let metadata = Code::InvalidClientMetadata;
    let many: Vec<String> = (0..21).map(|n| format!("https://app.example/{n}")).collect();
    for (more, code) in [
        (json!({ "redirect_uris": null }), redirect),
        (json!({ "redirect_uris": [] }), redirect),
        (json!({ "redirect_uris": ["https://app.example/#x"] }), redirect),
        (json!({ "redirect_uris": ["https://app.example/", "javascript:alert(1)"] }), redirect),
        (json!({ "redirect_uris": "https://app.example/" }), metadata),
        (json!({ "redirect_uris": [1] }), metadata),
        (json!({ "redirect_uris": [null] }), metadata),
        (json!({ "redirect_uris": many }), metadata),
        (json!({ "client_name": 1 }), metadata),
        (json!({ "client_name": ["a"] }), metadata),
        (json!({ "client_name": "a".repeat(129) }), metadata),
        (json!({ "client_name": "a\u{202e}b" }), metadata),
        (json!({ "client_name": "a\u{200b}b" }), metadata),
        (json!({ "client_name": "a\u{e0041}b" }), metadata),
        (json!({ "client_name": "a\nb" }), metadata),
        (json!({ "client_name": "a\u{0}" }), metadata),
        (json!({ "token_endpoint_auth_method": "client_secret_jwt" }), metadata),
        (json!({ "token_endpoint_auth_method": "tls_client_auth" }), metadata),
        (json!({ "token_endpoint_auth_method": "None" }), metadata),
        (json!({ "token_endpoint_auth_method": "" }), metadata),
        (json!({ "token_endpoint_auth_method": ["none"] }), metadata),
        (json!({ "token_endpoint_auth_method": "private_key_jwt" }), metadata),
        (json!({ "token_endpoint_auth_signing_alg": "HS256" }), metadata),
        (json!({ "token_endpoint_auth_signing_alg": "none" }), metadata),
        (json!({ "grant_types": ["client_credentials"] }), metadata),
        (json!({ "grant_types": ["refresh_token"] }), metadata),
        (json!({ "grant_types": ["urn:ietf:params:oauth:grant-type:jwt-bearer"] }), metadata),
        (json!({ "grant_types": ["implicit", "password"] }), metadata),
        (json!({ "grant_types": [] }), metadata),
        (json!({ "grant_types": "authorization_code" }), metadata),
        (json!({ "response_types": ["token"] }), metadata),
        (json!({ "response_types": ["code token"] }), metadata),
        (json!({ "response_types": [] }), metadata),
        (json!({ "application_type": "desktop" }), metadata),
        (json!({ "scope": "a  b" }), metadata),
        (json!({ "scope": ["a"] }), metadata),
        (json!({ "logo_uri": "javascript:alert(1)" }), metadata),
        (json!({ "logo_uri": "http://app.example/l.png" }), metadata),
        (json!({ "logo_uri": "data:image/svg+xml,<svg/>" }), metadata),
        (json!({ "client_uri": "//app.example" }), metadata),
        (json!({ "policy_uri": "ftp://app.example" }), metadata),
        (json!({ "tos_uri": "https://app.example/\u{202e}" }), metadata),
        (json!({ "tos_uri": format!("https://app.example/{}", "a".repeat(2_048)) }), metadata),
        (json!({ "contacts": "a@app.example" }), metadata),
        (json!({ "contacts": ["a\u{202e}b"] }), metadata),
        (json!({ "contacts": vec!["a"; 21] }), metadata),
        (json!({ "software_id": "a\u{7}" }), metadata),
        (json!({ "software_version": 2 }), metadata),
    ] {
        let refused = registration(&more).map_err(|fault| fault.code);
        assert_eq!(refused, Err(code), "{more}");
    }
}

#[test]
fn keys_that_are_not_public_usable_and_in_one_place_are_refused() {
    let set = key_set();
    let more = |name: &str, value: &str| {
        let mut set = set.clone();
        set["keys"][0][name] = value.into();
        set
    };
    let mut mixed = set.clone();
    if let Some(keys) = mixed["keys"].as_array_mut() {
        keys.push(json!({ "kty": "oct", "k": "AAAA" }));
    }
    for bad in [
        json!({ "jwks_uri": "http://app.example/keys" }),
        json!({ "jwks_uri": "ftp://app.example/keys" }),
        json!({ "jwks_uri": "https://x@app.example/keys" }),
        json!({ "jwks_uri": "https://127.1/keys" }),
        json!({ "jwks_uri": "https://app.example/keys", "jwks": set }),
        json!({ "jwks": "x" }),
        json!({ "jwks": {} }),
        json!({ "jwks": { "keys": [] } }),
        json!({ "jwks": { "keys": [{ "kty": "oct", "k": "AAAA" }] } }),
        json!({ "jwks": { "keys": [{ "kty": "EC", "crv": "P-256", "x": "a", "y": "b" }] } }),
        json!({ "jwks": { "keys": vec![json!({}); 101] } }),
        json!({ "jwks": more("d", "AAAA") }),
        json!({ "jwks": more("k", "AAAA") }),
        json!({ "jwks": more("use", "enc") }),
        json!({ "jwks": mixed }),
    ] {
        let refused = registration(&bad).map_err(|fault| fault.code);
        assert_eq!(refused, Err(Code::InvalidClientMetadata), "{bad}");
    }
}

#[test]
fn what_is_no_json_object_with_unique_members_is_refused() {
    for bad in [
        "",
        "{",
        "[]",
        "null",
        "\"x\"",
        "{} {}",
        "\u{feff}{}",
        r#"{"redirect_uris":["http://127.0.0.1/cb"],"redirect_uris":["https://evil.example/"]}"#,
        r#"{"redirect_uris":["http://127.0.0.1/cb"],"jwks":{"keys":[],"keys":[]}}"#,
    ] {
        let refused = from_registration(bad.as_bytes()).map_err(|fault| fault.code);
        assert_eq!(refused, Err(Code::InvalidClientMetadata), "{bad}");
    }
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(from_registration(deep.as_bytes()).is_err());
    assert!(from_registration(b"{\"client_name\":\"\xff\"}").is_err());
}

#[test]
fn keys_can_be_registered_in_either_place() {
    let set = key_set();
    let inline = json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks": set });
    let metadata = registration(&inline).expect("a registration");
    assert_eq!(metadata.keys, ClientKeys::Inline(set.to_string()));
    let url = "https://app.example/keys";
    let at = json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": url });
    let metadata = registration(&at).expect("a registration");
    assert_eq!(metadata.keys, ClientKeys::Url(String::from(url)));
}

#[test]
fn an_update_names_whom_it_is_of() {
    let update = |more: &Value| {
        let base = json!({ "redirect_uris": ["http://127.0.0.1/cb"] });
        from_update(with(base, more).to_string().as_bytes())
    };
    let good = update(&json!({ "client_id": "reg_1", "client_secret": "s" })).expect("an update");
    assert_eq!(good.client_id, "reg_1");
    assert_eq!(good.client_secret.map(|secret| secret.expose().clone()).as_deref(), Some("s"));
    assert!(update(&json!({})).is_err());
    assert!(update(&json!({ "client_id": 1 })).is_err());
    assert!(from_update(br#"{"client_id":"reg_1"}"#).is_err(), "nothing is kept of what was");
}

#[test]
fn a_document_is_public_unless_it_brings_keys() {
    let plain = document(&json!({})).expect("a document");
    assert_eq!((plain.auth, plain.name.as_str()), (AuthMethod::None, "App"));
    let keyed = json!({
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks_uri": "https://app.example/keys",
    });
    assert_eq!(document(&keyed).expect("a document").auth, AuthMethod::PrivateKeyJwt);
}

#[test]
fn a_document_of_somebody_else_or_with_a_secret_is_refused() {
    for more in [
        json!({ "client_id": null }),
        json!({ "client_id": 1 }),
        json!({ "client_id": "https://app.example/client.json/" }),
        json!({ "client_id": "https://app.example/client.json?" }),
        json!({ "client_id": "https://app.example:443/client.json" }),
        json!({ "client_id": "HTTPS://app.example/client.json" }),
        json!({ "client_id": "https://APP.example/client.json" }),
        json!({ "client_id": "https://evil.example/client.json" }),
        json!({ "client_id": [HERE] }),
        json!({ "client_secret": "s" }),
        json!({ "client_secret": null }),
        json!({ "client_secret_expires_at": 0 }),
        json!({ "token_endpoint_auth_method": "client_secret_basic" }),
        json!({ "token_endpoint_auth_method": "client_secret_post" }),
        json!({ "token_endpoint_auth_method": "client_secret_jwt" }),
        json!({ "client_name": null }),
        json!({ "client_name": " " }),
        json!({ "redirect_uris": null }),
        json!({ "redirect_uris": ["http://evil.example/"] }),
        json!({ "jwks_uri": "http://169.254.169.254/latest" }),
    ] {
        assert!(document(&more).is_err(), "{more}");
    }
}

#[test]
fn a_fault_never_repeats_what_could_do_harm() {
    let bad = json!({ "redirect_uris": [format!("javascript:`\u{202e}\"{}", "x".repeat(1_000))] });
    let text = registration(&bad).expect_err("a fault").text;
    assert!(text.is_ascii() && text.len() < 400 && text.matches('`').count() >= 2, "{text}");
}

#[test]
fn what_people_read_is_what_is_there() {
    for good in ["", "Claude", "Bücher & Söhne", "日本語 エージェント", "عامل", "agent 🤖"]
    {
        assert!(is_plain(good), "{good}");
    }
    for bad in [
        '\0',
        '\t',
        '\n',
        '\r',
        '\u{1b}',
        '\u{7f}',
        '\u{85}',
        '\u{ad}',
        '\u{61c}',
        '\u{180e}',
        '\u{200b}',
        '\u{200d}',
        '\u{200e}',
        '\u{2028}',
        '\u{202a}',
        '\u{202e}',
        '\u{2060}',
        '\u{2066}',
        '\u{2069}',
        '\u{3164}',
        '\u{feff}',
        '\u{ffa0}',
        '\u{fff9}',
        '\u{e0001}',
        '\u{e0041}',
        '\u{e007f}',
        '\u{e0100}',
        '\u{e000}',
        '\u{10fffd}',
    ] {
        assert!(!is_plain(&format!("a{bad}b")), "{bad:?}");
    }
}
