//! Agreeing: what is asked, what counts as an answer, and what is remembered.

use crate::house::{
    Browser, House, LOOPBACK, PASSWORD, RESOURCE, STATE, WEB, agent, asking, changed,
};
use http::StatusCode;
use tollgate_core::stores::{Digest, Origin, Revocable, Revocation};

/// Whether a request of somebody who is signed in is answered without asking.
async fn is_remembered(browser: &mut Browser<'_>, fields: &[(&str, &str)]) -> bool {
    let page = browser.authorize(fields).await;
    page.query("code").is_some()
}

#[tokio::test]
async fn the_page_names_client_person_resource_scopes_and_where_it_leads() {
    let house = House::new().await;
    let fields = changed(asking("web", WEB), "scope", Some("files:read tool:github__get_issue"));
    let page = house.browser().asked(&fields).await;
    for wanted in [
        "The web agent",
        "<dd>ada</dd>",
        RESOURCE,
        "atlas.example",
        "call the tool <span class=\"exact\">github__get_issue</span>",
        "use <span class=\"exact\">files:read</span>",
        "gate.example",
    ] {
        assert!(page.body.contains(wanted), "{wanted}: {}", page.body);
    }
}

#[tokio::test]
async fn no_page_can_be_framed_cached_or_run_a_script() {
    let house = House::new().await;
    let mut browser = house.browser();
    let first = browser.authorize(&asking("web", WEB)).await;
    let sign_in = browser.follow(first.clone()).await;
    let consent = browser.asked(&asking("web", WEB)).await;
    let problem = browser.authorize(&asking("nobody", WEB)).await;
    let status = browser.get("/oauth/signin").await;
    let last = browser.answer(&consent, "allow").await;
    for page in [first, sign_in, consent, problem, status, last] {
        assert_eq!(page.header("x-frame-options"), "DENY");
        assert_eq!(page.header("referrer-policy"), "no-referrer");
        assert_eq!(page.header("cache-control"), "no-store");
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        assert!(!page.headers.contains_key("access-control-allow-origin"));
        let policy = page.header("content-security-policy");
        for part in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("script-src") && !policy.contains("unsafe"), "{policy}");
        assert!(!page.body.contains("<script") && !page.body.contains(" style="));
    }
}

#[tokio::test]
async fn a_name_full_of_markup_and_direction_marks_is_only_text() {
    let house = House::new().await;
    let mut nasty = agent("nasty", WEB);
    nasty.name = "\u{202e}<img src=x onerror=alert(1)>\u{200b}</h1><script>".into();
    nasty.origin = Origin::Registered { by: "192.0.2.1".into(), token: Digest([0; 32]) };
    house.add_client(nasty).await;
    let page = house.browser().asked(&asking("nasty", WEB)).await;
    assert!(!page.body.contains("<img") && !page.body.contains("<script"));
    assert!(!page.body.contains('\u{202e}') && !page.body.contains('\u{200b}'));
    assert!(page.body.contains("&#60;img src=x onerror=alert(1)&#62;&#60;/h1&#62;"));
    assert!(page.body.contains("Nobody has checked who it is"));
}

#[tokio::test]
async fn an_answer_without_the_token_of_this_page_and_session_is_none() {
    let house = House::new().await;
    let mut browser = house.browser();
    let page = browser.asked(&asking("web", WEB)).await;
    let transaction = page.field("transaction");
    // Of another transaction, and of another step.
    let other = browser.authorize(&asking("terminal", LOOPBACK)).await;
    let other = browser.follow(other).await.field("token");
    let status = browser.get("/oauth/signin").await.field("token");
    for token in ["", "x", &other, &status] {
        let fields = [("transaction", &*transaction), ("token", token), ("answer", "allow")];
        let refused = browser.post("/oauth/consent", &fields).await;
        assert_eq!((refused.status, refused.location()), (StatusCode::FORBIDDEN, None));
    }
    // Of another session in the same browser.
    let again = changed(asking("web", WEB), "prompt", Some("login"));
    browser.asked(&again).await;
    assert_eq!(browser.answer(&page, "allow").await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn what_one_browser_began_another_cannot_finish() {
    let house = House::new().await;
    let mut attacker = house.browser();
    let mut victim = house.browser();
    victim.asked(&asking("terminal", LOOPBACK)).await;
    let began = attacker.authorize(&asking("web", WEB)).await;
    let place = began.location().expect("a place").replace("/signin?", "/consent?");
    let page = victim.get(&place).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(page.body.contains("This page has expired"));
}

#[tokio::test]
async fn an_answer_counts_once() {
    let house = House::new().await;
    let mut browser = house.browser();
    let page = browser.asked(&asking("terminal", LOOPBACK)).await;
    assert!(browser.answer(&page, "allow").await.query("code").is_some());
    for answer in ["allow", "deny"] {
        let again = browser.answer(&page, answer).await;
        assert_eq!((again.status, again.location()), (StatusCode::BAD_REQUEST, None));
    }
}

#[tokio::test]
async fn of_many_answers_at_once_one_counts() {
    let house = House::new().await;
    let mut browser = house.browser();
    let page = browser.asked(&asking("terminal", LOOPBACK)).await;
    let mut codes = 0;
    let mut running = Vec::new();
    for _ in 0..50 {
        let mut browser = browser.clone();
        let page = page.clone();
        running.push(async move { browser.answer(&page, "allow").await });
    }
    for page in futures_util::future::join_all(running).await {
        codes += usize::from(page.query("code").is_some());
    }
    assert_eq!(codes, 1);
}

#[tokio::test]
async fn after_ten_minutes_an_answer_is_none() {
    let house = House::new().await;
    let mut browser = house.browser();
    let page = browser.asked(&asking("web", WEB)).await;
    house.clock.advance(600_000);
    let late = browser.answer(&page, "allow").await;
    assert_eq!((late.status, late.location()), (StatusCode::BAD_REQUEST, None));
}

#[tokio::test]
async fn who_denies_goes_back_with_access_denied() {
    let house = House::new().await;
    let mut browser = house.browser();
    let page = browser.asked(&asking("web", WEB)).await;
    let page = browser.answer(&page, "deny").await;
    assert_eq!(page.query("error").as_deref(), Some("access_denied"));
    assert_eq!(page.query("state").as_deref(), Some(STATE));
    assert_eq!(page.query("code"), None);
}

#[tokio::test]
async fn what_is_left_out_is_not_granted_and_not_remembered() {
    let house = House::new().await;
    let mut browser = house.browser();
    let page = browser.asked(&asking("web", WEB)).await;
    let (transaction, token) = (page.field("transaction"), page.field("token"));
    let mut fields = vec![("transaction", &*transaction), ("token", &*token), ("answer", "allow")];
    let nothing = browser.post("/oauth/consent", &fields).await;
    assert_eq!((nothing.status, nothing.location()), (StatusCode::BAD_REQUEST, None));
    fields.push(("scope-1", "yes"));
    let page = browser.post("/oauth/consent", &fields).await;
    let code = house.spend(&page.query("code").expect("a code")).await;
    assert_eq!(code.scopes, ["files:write"]);
    let only = |scope| changed(asking("web", WEB), "scope", Some(scope));
    assert!(is_remembered(&mut browser, &only("files:write")).await);
    assert!(!is_remembered(&mut browser, &only("files:read")).await);
}

#[tokio::test]
async fn consent_is_for_this_person_client_place_resource_and_these_scopes() {
    let house = House::new().await;
    let mut other = agent("other", WEB);
    other.redirect_uris.push("https://elsewhere.example/callback".into());
    house.add_client(other).await;
    house.add_user("bob").await;
    let mut browser = house.browser();
    let read = changed(asking("web", WEB), "scope", Some("files:read"));
    let page = browser.asked(&read).await;
    browser.answer(&page, "allow").await;
    assert!(is_remembered(&mut browser, &read).await);
    let more = changed(read.clone(), "scope", Some("files:read files:write"));
    assert!(!is_remembered(&mut browser, &more).await, "more scopes");
    let resource = changed(read.clone(), "resource", Some("https://gate.example/other"));
    assert!(!is_remembered(&mut browser, &resource).await, "another resource");
    let client = changed(read.clone(), "client_id", Some("other"));
    assert!(!is_remembered(&mut browser, &client).await, "another client");
    let page = browser.authorize(&client).await;
    let page = browser.follow(page).await;
    browser.answer(&page, "allow").await;
    assert!(is_remembered(&mut browser, &client).await);
    let place = changed(client, "redirect_uri", Some("https://elsewhere.example/callback"));
    assert!(!is_remembered(&mut browser, &place).await, "another place");
    let asked = changed(read.clone(), "prompt", Some("consent"));
    assert!(!is_remembered(&mut browser, &asked).await, "the client wants it asked");
    let mut bobs = house.browser();
    let page = bobs.authorize(&read).await;
    let page = bobs.follow(page).await;
    bobs.sign_in(&page, "bob", PASSWORD).await;
    assert!(!is_remembered(&mut bobs, &read).await, "another person");
}

#[tokio::test]
async fn a_public_client_on_this_machine_or_device_is_asked_about_every_time() {
    let house = House::new().await;
    house.add_client(agent("app", "com.example.app:/callback")).await;
    for (client, place) in [("terminal", LOOPBACK), ("app", "com.example.app:/callback")] {
        let mut browser = house.browser();
        let page = browser.asked(&asking(client, place)).await;
        assert!(browser.answer(&page, "allow").await.query("code").is_some());
        assert!(!is_remembered(&mut browser, &asking(client, place)).await, "{client}");
    }
}

#[tokio::test]
async fn a_client_that_is_cut_off_meanwhile_gets_nothing() {
    let house = House::new().await;
    let mut browser = house.browser();
    let page = browser.asked(&asking("web", WEB)).await;
    let old = house.stores.agents.find("web").await.expect("a store").expect("the client");
    let mut cut_off = old.clone();
    cut_off.revoked = Some(1);
    assert!(house.stores.agents.replace(old, cut_off).await.expect("a store"));
    let refused = browser.answer(&page, "allow").await;
    assert_eq!((refused.status, refused.location()), (StatusCode::BAD_REQUEST, None));
}

#[tokio::test]
async fn a_person_who_is_cut_off_is_not_signed_in_any_more() {
    let house = House::new().await;
    let mut browser = house.browser();
    let page = browser.asked(&asking("terminal", LOOPBACK)).await;
    let ada = house.stores.users.by_name("ada").await.expect("a store").expect("ada");
    let what = Revocable::Subject("https://gate.example".into(), ada.id);
    let revocation = Revocation { what, before: u64::MAX, until: u64::MAX };
    house.stores.revocations.revoke(revocation).await.expect("a store");
    let page = browser.answer(&page, "allow").await;
    assert_eq!(page.query("code"), None);
}

#[tokio::test]
async fn somebody_else_can_sign_in_and_is_asked_anew() {
    let house = House::new().await;
    house.add_user("bob").await;
    let mut browser = house.browser();
    let page = browser.asked(&asking("terminal", LOOPBACK)).await;
    let page = browser.answer(&page, "other").await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    let page = browser.follow(page).await;
    let page = browser.sign_in(&page, "bob", PASSWORD).await;
    let page = browser.follow(page).await;
    assert!(page.body.contains("<dd>bob</dd>"), "{}", page.body);
    let page = browser.answer(&page, "allow").await;
    assert_eq!(house.spend(&page.query("code").expect("a code")).await.user_name, "bob");
}
