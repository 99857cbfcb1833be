//! What a new version of the configuration keeps of the one before.

use crate::house::{House, door, is_invalid, jwt, key, opaque, token};
use crate::server::Server;
use serde_json::json;
use std::time::Duration;
use tollgate_identity::DoorId;
use tollgate_oauth::keys::Alg;

#[tokio::test]
async fn what_did_not_change_is_still_known() {
    let (signer, asked, good) =
        (Server::start().await, Server::start().await, key("k", Alg::Es256));
    signer.publish(&[&good]);
    let mut house = House::with(vec![jwt("signer", &signer), opaque("asked", &asked)]);
    let mut said = house.claims(&asked.url);
    said["active"] = json!(true);
    asked.says_of("t", &said);
    let signed = token(&good, &house.claims(&signer.url));
    house.proof(&signed).await;
    house.proof("t").await;

    house.doors.insert(0, door("/new"));
    house.rebuild().expect("settings");
    let (new, old) = (DoorId(0), DoorId(1));
    for token in [&*signed, "t"] {
        assert!(house.verifier.remembered(old, token).is_some());
        assert!(house.verifier.remembered(new, token).is_none());
        assert!(is_invalid(&house.verifier.verify(new, token).await), "it is for the other door");
    }
    let another = token(&good, &house.claims_but(&signer.url, &json!({ "jti": "2" })));
    assert!(house.verifier.verify(old, &another).await.is_ok());
    assert_eq!(signer.count("/jwks"), 1, "keys are taken over");
}

#[tokio::test]
async fn what_is_judged_otherwise_is_judged_again() {
    let (server, good) = (Server::start().await, key("k", Alg::Es256));
    server.publish(&[&good]);
    let changes: [&dyn Fn(&mut House); 6] = [
        &|house| house.settings.believed = Duration::from_secs(30),
        &|house| house.settings.leeway = Duration::ZERO,
        &|house| house.settings.issuers[0].audiences = vec![String::from("x")],
        &|house| house.settings.issuers[0].claims.agent = vec![String::from("azp")],
        &|house| house.doors[0].scopes = vec![String::from("admin")],
        &|house| house.doors[0].resource = String::from("https://gw.example.com/other"),
    ];
    for change in changes {
        let mut house = House::with(vec![jwt("as", &server)]);
        let token = token(&good, &house.claims(&server.url));
        house.proof(&token).await;
        house.rebuild().expect("settings");
        assert!(house.remembers(&token));
        change(&mut house);
        house.rebuild().expect("settings");
        assert!(!house.remembers(&token));
    }
}

#[tokio::test]
async fn an_issuer_that_was_taken_out_speaks_for_nobody() {
    let (server, good) = (Server::start().await, key("k", Alg::Es256));
    server.publish(&[&good]);
    let mut house = House::with(vec![jwt("as", &server)]);
    let token = token(&good, &house.claims(&server.url));
    house.proof(&token).await;
    house.settings.issuers.clear();
    house.rebuild().expect("settings");
    assert!(!house.remembers(&token));
    assert!(is_invalid(&house.verify(&token).await));
}
