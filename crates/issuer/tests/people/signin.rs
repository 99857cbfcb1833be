//! Signing in with a local account: what is told, what is counted, and what ends a session.

use crate::house::{House, PASSWORD, Page, WEB, asking, changed};
use http::StatusCode;
use std::net::{IpAddr, Ipv4Addr};

const SESSION: &str = "__Host-tollgate-session";

/// The text a person reads, without what differs from page to page.
fn told(page: &Page) -> String {
    let (_, after) = page.body.split_once("role=\"alert\"").expect("an alert");
    after.split("</p>").next().expect("a text").to_owned()
}

#[tokio::test]
async fn an_unknown_name_a_wrong_password_and_a_locked_account_are_told_alike() {
    let house = House::new().await;
    house.add_user("bob").await;
    let mut bob = house.stores.users.by_name("bob").await.expect("a store").expect("bob");
    bob.locked = Some(1);
    house.stores.users.replace(bob).await.expect("a store");
    let mut browser = house.browser();
    let page = browser.authorize(&asking("web", WEB)).await;
    let page = browser.follow(page).await;
    let wrong = browser.sign_in(&page, "ada", "wrong").await;
    let unknown = browser.sign_in(&page, "nobody", PASSWORD).await;
    let locked = browser.sign_in(&page, "bob", PASSWORD).await;
    for page in [&unknown, &locked] {
        assert_eq!((page.status, told(page)), (wrong.status, told(&wrong)));
    }
    assert_eq!(wrong.status, StatusCode::FORBIDDEN);
    assert!(!browser.cookies.contains_key(SESSION));
}

#[tokio::test]
async fn guessing_at_one_name_from_everywhere_has_to_wait() {
    let house = House::new().await;
    let mut browser = house.browser();
    let page = browser.authorize(&asking("web", WEB)).await;
    let page = browser.follow(page).await;
    for host in 0..5 {
        browser.address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, host));
        assert_eq!(browser.sign_in(&page, "ada", "wrong").await.status, StatusCode::FORBIDDEN);
    }
    browser.address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 99));
    let refused = browser.sign_in(&page, "ada", PASSWORD).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.header("retry-after"), "5");
    assert!(told(&refused).contains("Try again in 5 seconds"));
    house.clock.advance(5_000);
    assert_eq!(browser.sign_in(&page, "ada", PASSWORD).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_megabyte_of_password_is_refused_before_it_is_read() {
    let house = House::new().await;
    let mut browser = house.browser();
    let page = browser.authorize(&asking("web", WEB)).await;
    let page = browser.follow(page).await;
    let refused = browser.sign_in(&page, "ada", &"x".repeat(1 << 20)).await;
    assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    let refused = browser.sign_in(&page, "ada", &"x".repeat(2_000)).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_form_from_elsewhere_signs_nobody_in() {
    let house = House::new().await;
    let mut browser = house.browser();
    let page = browser.authorize(&asking("web", WEB)).await;
    let page = browser.follow(page).await;
    let transaction = page.field("transaction");
    for token in ["", "x", &transaction] {
        let fields = [
            ("transaction", &*transaction),
            ("token", token),
            ("name", "ada"),
            ("password", PASSWORD),
        ];
        assert_eq!(browser.post("/oauth/signin", &fields).await.status, StatusCode::FORBIDDEN);
    }
    // The attacker's own page, carried into this browser: login CSRF.
    let mut attacker = house.browser();
    let theirs = attacker.authorize(&asking("web", WEB)).await;
    let theirs = attacker.follow(theirs).await;
    assert_eq!(browser.sign_in(&theirs, "ada", PASSWORD).await.status, StatusCode::BAD_REQUEST);
    assert!(!browser.cookies.contains_key(SESSION));
}

#[tokio::test]
async fn every_sign_in_has_a_new_session_and_ends_the_one_before() {
    let house = House::new().await;
    let mut browser = house.browser();
    browser.asked(&asking("web", WEB)).await;
    let before = browser.clone();
    let again = changed(asking("web", WEB), "prompt", Some("login"));
    browser.asked(&again).await;
    assert_ne!(before.cookies[SESSION], browser.cookies[SESSION]);
    let mut kept = before;
    assert!(kept.get("/oauth/signin").await.body.contains("Signed out"));
    assert!(browser.get("/oauth/signin").await.body.contains("Signed in"));
}

#[tokio::test]
async fn a_session_is_worth_nothing_in_another_browser() {
    let house = House::new().await;
    let mut browser = house.browser();
    browser.asked(&asking("web", WEB)).await;
    let mut thief = house.browser();
    thief.get("/oauth/signin").await;
    thief.cookies.insert(SESSION.into(), browser.cookies[SESSION].clone());
    assert!(thief.get("/oauth/signin").await.body.contains("Signed out"));
}

#[tokio::test]
async fn signing_out_ends_the_session_also_for_who_kept_the_cookie() {
    let house = House::new().await;
    let mut browser = house.browser();
    browser.asked(&asking("web", WEB)).await;
    let mut kept = browser.clone();
    let page = browser.get("/oauth/signin").await;
    assert!(page.body.contains("signed in here as <strong class=\"name\">ada</strong>"));
    let forged = browser.post("/oauth/signin", &[("answer", "sign-out")]).await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN);
    let token = page.field("token");
    let page = browser.post("/oauth/signin", &[("token", &token), ("answer", "sign-out")]).await;
    assert_eq!((page.status, page.location()), (StatusCode::SEE_OTHER, Some("/oauth/signin")));
    assert!(!browser.cookies.contains_key(SESSION));
    assert!(kept.get("/oauth/signin").await.body.contains("Signed out"));
}

#[tokio::test]
async fn locking_an_account_or_changing_its_password_ends_its_sessions() {
    let house = House::new().await;
    let mut browser = house.browser();
    browser.asked(&asking("web", WEB)).await;
    let ada = house.stores.users.by_name("ada").await.expect("a store").expect("ada");
    let mut locked = ada.clone();
    locked.locked = Some(1);
    house.stores.users.replace(locked).await.expect("a store");
    assert!(browser.get("/oauth/signin").await.body.contains("Signed out"));
    house.stores.users.replace(ada.clone()).await.expect("a store");
    assert!(browser.get("/oauth/signin").await.body.contains("Signed in"));
    // Within the same second, so that only what is stored can tell.
    let mut other = ada;
    other.password = other.password.replace("$m=8,", "$m=16,");
    house.stores.users.replace(other).await.expect("a store");
    assert!(browser.get("/oauth/signin").await.body.contains("Signed out"));
}

#[tokio::test]
async fn a_session_ends_by_itself() {
    let house = House::new().await;
    let mut browser = house.browser();
    browser.asked(&asking("web", WEB)).await;
    house.clock.advance(8 * 3_600_000 - 1_000);
    assert!(browser.get("/oauth/signin").await.body.contains("Signed in"));
    house.clock.advance(1_000);
    assert!(browser.get("/oauth/signin").await.body.contains("Signed out"));
}

#[tokio::test]
async fn who_does_not_want_to_sign_in_goes_back_with_access_denied() {
    let house = House::new().await;
    let mut browser = house.browser();
    let page = browser.authorize(&asking("web", WEB)).await;
    let page = browser.follow(page).await;
    let place = format!("/oauth/signin?transaction={}&answer=cancel", page.field("transaction"));
    let page = browser.get(&place).await;
    assert_eq!(page.query("error").as_deref(), Some("access_denied"));
}

#[tokio::test]
async fn where_a_password_is_typed_forms_lead_only_to_us() {
    let house = House::new().await;
    let mut browser = house.browser();
    let page = browser.asked(&asking("web", WEB)).await;
    browser.answer(&page, "allow").await;
    let again = changed(asking("web", WEB), "prompt", Some("login"));
    let page = browser.authorize(&again).await;
    let page = browser.follow(page).await;
    let policy = page.header("content-security-policy");
    assert!(policy.ends_with("form-action 'self'"), "{policy}");
    // Also not by a redirect, though there is a consent.
    let page = browser.sign_in(&page, "ada", PASSWORD).await;
    let page = browser.follow(page).await;
    assert!(page.status == StatusCode::OK && page.body.contains("Allow"), "{}", page.body);
}
