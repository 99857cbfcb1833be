//! Who asks at the token endpoint, and how: forms, duplicates, methods of proof.

use crate::house::{Ask, House, RESOURCE, SECRET, changed, machine, redemption, refusal};
use http::Method;

#[tokio::test]
async fn unknown_grant_types_are_refused_by_name() {
    let house = House::new().await;
    house.app("app").await;
    for grant in ["password", "implicit", "device_code", "Authorization_Code", "refresh_token "] {
        let form = [("grant_type", grant), ("client_id", "app"), ("username", "a")];
        let reply = house.token(&form).await;
        assert_eq!(reply.refusal(), refusal(400, "unsupported_grant_type"), "{grant}");
    }
    let reply = house.token(&[("client_id", "app")]).await;
    assert_eq!(reply.refusal(), refusal(400, "invalid_request"));
}

#[tokio::test]
async fn a_parameter_that_repeats_is_refused_and_leaves_the_code_alone() {
    let house = House::new().await;
    house.app("app").await;
    let code = house.code("app").await;
    for name in ["grant_type", "client_id", "code", "redirect_uri", "code_verifier", "unknown"] {
        let mut form = redemption("app", &code);
        let value = form.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| *value);
        form.extend([(name, value), ("unknown", value)]);
        let reply = house.token(&form).await;
        assert_eq!(reply.refusal(), refusal(400, "invalid_request"), "{name}");
    }
    assert_eq!(house.redeem("app", &code).await.status, 200);
}

#[tokio::test]
async fn only_forms_in_the_body_are_taken() {
    let house = House::new().await;
    house.add(machine("bot")).await;
    let form = [("grant_type", "client_credentials"), ("resource", RESOURCE)];
    let types = ["application/json", "text/plain", "multipart/form-data", "application/x-www-form"];
    for media_type in types {
        let ask = Ask::post("/oauth/token", &form).header("content-type", media_type);
        let reply = house.send(ask).await;
        assert_eq!(reply.refusal(), refusal(400, "invalid_request"), "{media_type}");
    }
    let twice = Ask::post("/oauth/token", &form)
        .another("content-type", "application/x-www-form-urlencoded");
    assert_eq!(house.send(twice).await.refusal(), refusal(400, "invalid_request"));
}

#[tokio::test]
async fn a_media_type_may_have_parameters_and_any_case() {
    let house = House::new().await;
    house.app("app").await;
    let code = house.code("app").await;
    let ask = Ask::post("/oauth/token", &redemption("app", &code))
        .header("content-type", "Application/X-WWW-Form-Urlencoded; charset=UTF-8");
    assert_eq!(house.send(ask).await.status, 200);
}

#[tokio::test]
async fn nothing_is_taken_from_the_url() {
    let house = House::new().await;
    house.app("app").await;
    let code = house.code("app").await;
    let ask = Ask::post(
        "/oauth/token?client_secret=x",
        &changed(redemption("app", &code), "client_id", Some("app")),
    );
    assert_eq!(house.send(ask).await.refusal(), refusal(400, "invalid_request"));
    assert_eq!(house.redeem("app", &code).await.status, 200);
}

#[tokio::test]
async fn bodies_are_bounded() {
    let house = House::new().await;
    let form = "application/x-www-form-urlencoded";
    let long = Ask::new(Method::POST, "/oauth/token").body(vec![b'a'; 64 * 1024 + 1]);
    let reply = house.send(long.header("content-type", form)).await;
    assert_eq!(reply.refusal(), refusal(413, "invalid_request"));
}

#[tokio::test]
async fn a_wrong_secret_is_401_with_a_challenge_only_where_the_header_was_tried() {
    let house = House::new().await;
    house.add(machine("bot")).await;
    let form = [("grant_type", "client_credentials"), ("resource", RESOURCE)];
    let header = Ask::post("/oauth/token", &form).header("authorization", "Basic Ym90Ondyb25n");
    let tried = house.send(header).await;
    assert_eq!(tried.refusal(), refusal(401, "invalid_client"));
    assert!(tried.header("www-authenticate").is_some_and(|scheme| scheme.starts_with("Basic ")));
    let mut body = form.to_vec();
    body.extend([("client_id", "bot"), ("client_secret", "wrong")]);
    let tried = house.token(&body).await;
    assert_eq!(tried.refusal(), refusal(401, "invalid_client"));
    assert_eq!(tried.header("www-authenticate"), None);
}

#[tokio::test]
async fn no_refusal_repeats_a_secret() {
    let house = House::new().await;
    house.add(machine("bot")).await;
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "nobody"),
        ("client_secret", SECRET),
        ("scope", "\u{7}"),
    ];
    let reply = house.token(&form).await;
    assert!(!String::from_utf8_lossy(&reply.body).contains(SECRET));
    assert!(reply.status.is_client_error());
}
