//! What an authorization request must be, and where complaints about it go.

use crate::house::{
    House, ISSUER, LOOPBACK, RESOURCE, STATE, WEB, agent, asking, changed, encoded,
};
use http::StatusCode;
use tollgate_core::stores::GrantType;

/// The error a request with one changed parameter is sent back with.
async fn error_of(name: &str, value: Option<&str>) -> String {
    let house = House::new().await;
    let page = house.browser().authorize(&changed(asking("web", WEB), name, value)).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{name} {value:?} {}", page.body);
    let place = page.location().expect("a place");
    assert!(place.starts_with(&format!("{WEB}?")), "{place}");
    // RFC 9207: errors say who speaks, too.
    assert_eq!(page.query("iss").as_deref(), Some(ISSUER));
    if name != "state" {
        assert_eq!(page.query("state").as_deref(), Some(STATE));
    }
    assert_eq!(page.query("code"), None);
    page.query("error").expect("an error")
}

#[tokio::test]
async fn a_redirect_uri_that_is_not_exactly_the_clients_is_told_on_a_page_and_never_followed() {
    let house = House::new().await;
    for wrong in [
        "https://atlas.example/callback/",
        "https://atlas.example/callback?x=1",
        "https://atlas.example/callback#x",
        "https://atlas.example/callback/..;/callback",
        "https://atlas.example/../callback",
        "https://sub.atlas.example/callback",
        "https://atlas.example@evil.example/callback",
        "https://evil.example/callback",
        "http://atlas.example/callback",
        "HTTPS://atlas.example/callback",
        "https://ATLAS.example/callback",
        "https://atlas.example:443/callback",
        "JaVaScRiPt:alert(1)",
        "javascript://atlas.example/callback",
    ] {
        let page = house.browser().authorize(&asking("web", wrong)).await;
        assert_eq!((page.status, page.location()), (StatusCode::BAD_REQUEST, None), "{wrong}");
        assert!(page.header("content-type").starts_with("text/html"), "{wrong}");
    }
    let twice = format!("{}&redirect_uri=https%3A%2F%2Fevil.example", encoded(&asking("web", WEB)));
    let page = house.browser().get(&format!("/oauth/authorize?{twice}")).await;
    assert_eq!((page.status, page.location()), (StatusCode::BAD_REQUEST, None));
}

#[tokio::test]
async fn of_a_loopback_redirect_only_the_port_may_vary() {
    let house = House::new().await;
    let page = house.browser().authorize(&asking("terminal", LOOPBACK)).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    for wrong in [
        "http://127.0.0.1:4711/other",
        "http://127.0.0.2:4711/callback",
        "http://localhost:4711/callback",
        "https://127.0.0.1:4711/callback",
        "http://127.0.0.1.evil.example:4711/callback",
    ] {
        let page = house.browser().authorize(&asking("terminal", wrong)).await;
        assert_eq!((page.status, page.location()), (StatusCode::BAD_REQUEST, None), "{wrong}");
    }
}

#[tokio::test]
async fn an_unknown_client_and_one_that_was_cut_off_get_the_same_page() {
    let house = House::new().await;
    house
        .add_client({
            let mut client = agent("cut", WEB);
            client.revoked = Some(1);
            client
        })
        .await;
    let unknown = house.browser().authorize(&asking("nobody", WEB)).await;
    let cut_off = house.browser().authorize(&asking("cut", WEB)).await;
    assert_eq!((unknown.status, unknown.location()), (StatusCode::BAD_REQUEST, None));
    assert_eq!((unknown.status, unknown.body), (cut_off.status, cut_off.body));
}

#[tokio::test]
async fn pkce_is_required_and_only_s256_is_taken() {
    let good = asking("web", WEB);
    let house = House::new().await;
    let page = house.browser().authorize(&good).await;
    assert!(page.location().is_some_and(|place| place.starts_with("/oauth/signin?")));
    for (name, value) in [
        ("code_challenge", None),
        ("code_challenge", Some("short")),
        ("code_challenge", Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-c=")),
        ("code_challenge_method", None),
        ("code_challenge_method", Some("plain")),
        ("code_challenge_method", Some("s256")),
    ] {
        assert_eq!(error_of(name, value).await, "invalid_request", "{name} {value:?}");
    }
}

#[tokio::test]
async fn the_resource_is_there_once_known_and_absolute() {
    for value in [
        None,
        Some("/mcp"),
        Some("https://gate.example/mcp#x"),
        Some("https://gate.example/mcp/more"),
        Some("https://gate.example/mc"),
        Some("https://elsewhere.example/mcp"),
        Some("https://user@gate.example/mcp"),
    ] {
        assert_eq!(error_of("resource", value).await, "invalid_target", "{value:?}");
    }
    let house = House::new().await;
    let mut two = asking("web", WEB);
    two.push(("resource", "https://gate.example/other"));
    let page = house.browser().authorize(&two).await;
    assert_eq!(page.query("error").as_deref(), Some("invalid_target"));
    let same = changed(asking("web", WEB), "resource", Some("HTTPS://GATE.example:443/mcp"));
    let page = house.browser().authorize(&same).await;
    assert!(page.location().is_some_and(|place| place.starts_with("/oauth/signin?")));
}

#[tokio::test]
async fn a_client_for_one_route_gets_nothing_for_another() {
    let house = House::new().await;
    let mut client = agent("narrow", WEB);
    client.routes = vec!["/other".into()];
    house.add_client(client).await;
    let page = house.browser().authorize(&asking("narrow", WEB)).await;
    assert_eq!(page.query("error").as_deref(), Some("invalid_target"));
}

#[tokio::test]
async fn flows_other_than_the_code_in_the_query_are_refused() {
    for (name, value, error) in [
        ("response_type", Some("token"), "unsupported_response_type"),
        ("response_type", Some("code token"), "unsupported_response_type"),
        ("response_type", Some("id_token"), "unsupported_response_type"),
        ("response_type", None, "invalid_request"),
        ("response_mode", Some("fragment"), "invalid_request"),
        ("response_mode", Some("form_post"), "invalid_request"),
        ("request", Some("eyJhbGciOiJub25lIn0.e30."), "request_not_supported"),
        ("request_uri", Some("https://evil.example/r"), "request_uri_not_supported"),
        ("prompt", Some("none login"), "invalid_request"),
    ] {
        assert_eq!(error_of(name, value).await, error, "{name} {value:?}");
    }
}

#[tokio::test]
async fn unknown_scopes_are_refused_and_tools_may_always_be_named() {
    for value in ["admin", "files:read  files:write", "files:read\u{a0}", "tool:", "files:readX"] {
        assert_eq!(error_of("scope", Some(value)).await, "invalid_scope", "{value}");
    }
    let house = House::new().await;
    let tools = changed(asking("web", WEB), "scope", Some("tool:github__get_issue files:read"));
    let page = house.browser().authorize(&tools).await;
    assert!(page.location().is_some_and(|place| place.starts_with("/oauth/signin?")));
}

#[tokio::test]
async fn a_client_gets_no_scope_beyond_its_own_and_no_code_without_the_grant() {
    let house = House::new().await;
    let mut narrow = agent("narrow", WEB);
    narrow.scopes = vec!["files:read".into(), "tool:github__*".into()];
    house.add_client(narrow).await;
    let mut machine = agent("machine", WEB);
    machine.grants = vec![GrantType::ClientCredentials];
    house.add_client(machine).await;
    let error = async |client, scope| {
        let fields = changed(asking(client, WEB), "scope", Some(scope));
        house.browser().authorize(&fields).await.query("error")
    };
    assert_eq!(error("narrow", "files:read tool:github__get_issue").await, None);
    assert_eq!(error("narrow", "files:write").await.as_deref(), Some("invalid_scope"));
    assert_eq!(error("narrow", "tool:mail__send").await.as_deref(), Some("invalid_scope"));
    assert_eq!(error("machine", "files:read").await.as_deref(), Some("unauthorized_client"));
}

#[tokio::test]
async fn a_state_that_is_too_long_or_not_visible_is_refused_and_not_echoed() {
    for state in ["x".repeat(1_025), "é".into()] {
        assert_eq!(error_of("state", Some(&state)).await, "invalid_request");
        let house = House::new().await;
        let fields = changed(asking("web", WEB), "state", Some(&state));
        assert_eq!(house.browser().authorize(&fields).await.query("state"), None);
    }
}

#[tokio::test]
async fn a_request_beyond_the_bound_is_refused_unread() {
    let house = House::new().await;
    let long = "x".repeat(7_000);
    let page = house.browser().authorize(&changed(asking("web", WEB), "x", Some(&long))).await;
    assert_eq!((page.status, page.location()), (StatusCode::PAYLOAD_TOO_LARGE, None));
}

#[tokio::test]
async fn without_pages_nobody_is_asked_anything() {
    let house = House::new().await;
    let mut browser = house.browser();
    let silently = changed(asking("web", WEB), "prompt", Some("none"));
    let page = browser.authorize(&silently).await;
    assert_eq!(page.query("error").as_deref(), Some("login_required"));
    let page = browser.asked(&asking("web", WEB)).await;
    let denied = browser.authorize(&silently).await;
    assert_eq!(denied.query("error").as_deref(), Some("consent_required"));
    browser.answer(&page, "allow").await;
    assert!(browser.authorize(&silently).await.query("code").is_some());
}

#[tokio::test]
async fn a_form_is_answered_by_303_to_the_same_request_by_get() {
    let house = House::new().await;
    let fields = asking("web", WEB);
    let page = house.browser().post("/oauth/authorize", &fields).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    assert_eq!(page.location(), Some(&*format!("/oauth/authorize?{}", encoded(&fields))));
}

#[tokio::test]
async fn a_client_with_one_redirect_uri_may_leave_it_out() {
    let house = House::new().await;
    let mut browser = house.browser();
    let page = browser.asked(&changed(asking("web", WEB), "redirect_uri", None)).await;
    let page = browser.answer(&page, "allow").await;
    assert!(page.location().is_some_and(|place| place.starts_with(WEB)));
}

#[tokio::test]
async fn a_code_carries_exactly_what_was_asked_and_agreed() {
    let house = House::new().await;
    let mut browser = house.browser();
    let page = browser.asked(&changed(asking("web", WEB), "scope", Some("files:read"))).await;
    let page = browser.answer(&page, "allow").await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    assert_eq!(page.query("state").as_deref(), Some(STATE));
    assert_eq!(page.query("iss").as_deref(), Some(ISSUER));
    let code = house.spend(&page.query("code").expect("a code")).await;
    assert_eq!((&*code.client, &*code.redirect_uri, &*code.resource), ("web", WEB, RESOURCE));
    assert_eq!((&*code.user_name, &code.groups), ("ada", &vec![String::from("dev")]));
    assert_eq!(code.scopes, ["files:read"]);
    assert!(code.subject.starts_with("user:"));
    assert_eq!(code.expires, 1_800_000_060);
}
