//! Documents and keys that somebody else's URLs lead to: what is fetched, and above all what is not.

use super::DocumentFault;
use crate::clients::trial::{Trial, Web, agent, document, ok};
use crate::clients::{ClientFault, find};
use crate::error::OAuthError;
use serde_json::json;
use std::sync::Arc;
use tollgate_core::stores::{AuthMethod, ClientKeys, Origin};
use tollgate_oauth::keys::{Alg, KeySet, SigningKey};

async fn fault(trial: &Trial, id: &str) -> Option<DocumentFault> {
    match find(&trial.desk, id).await {
        Err(ClientFault::Document(fault)) => Some(fault),
        _ => None,
    }
}

#[tokio::test]
async fn a_document_is_fetched_once_and_again_when_it_is_old() {
    let web = Web::serve(|url| ok(&document(url))).await;
    let trial = Trial::private();
    let id = web.url("/c");
    for _ in 0..5 {
        let client = find(&trial.desk, &id).await.expect("a client");
        assert_eq!((client.id(), client.name()), (&*id, "App"));
        assert!(client.is_public() && !client.is_vouched());
        assert!(client.redirect_ok("http://127.0.0.1:4711/cb"));
    }
    assert_eq!(web.hits(), ["/c"]);
    trial.pass(600);
    find(&trial.desk, &id).await.expect("a client");
    assert_eq!(web.hits().len(), 2);
}

#[tokio::test]
async fn a_document_that_cannot_be_had_is_not_asked_for_again_for_a_while() {
    let web = Web::serve(|_| String::from("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n")).await;
    let trial = Trial::private();
    let id = web.url("/c");
    for _ in 0..5 {
        assert_eq!(fault(&trial, &id).await, Some(DocumentFault::Fetch));
    }
    assert_eq!(web.hits().len(), 1);
    trial.pass(29);
    assert_eq!(fault(&trial, &id).await, Some(DocumentFault::Fetch));
    assert_eq!(web.hits().len(), 1);
    trial.pass(1);
    assert_eq!(fault(&trial, &id).await, Some(DocumentFault::Fetch));
    assert_eq!(web.hits().len(), 2);
}

#[tokio::test]
async fn many_who_ask_at_once_share_one_fetch() {
    let web = Web::serve(|url| ok(&document(url))).await;
    let trial = Arc::new(Trial::private());
    let id = web.url("/c");
    let asking: Vec<_> = (0..20)
        .map(|_| {
            let (trial, id) = (Arc::clone(&trial), id.clone());
            tokio::spawn(async move { find(&trial.desk, &id).await.is_ok() })
        })
        .collect();
    for one in asking {
        assert!(one.await.expect("an answer"));
    }
    assert_eq!(web.hits().len(), 1);
}

#[tokio::test]
async fn who_goes_away_does_not_leave_the_others_waiting() {
    let web = Web::serve(|url| ok(&document(url))).await;
    let trial = Trial::private();
    let id = web.url("/c");
    {
        let asking = find(&trial.desk, &id);
        tokio::pin!(asking);
        // Polled once: it has begun, and is given up.
        let _ = futures_poll(asking.as_mut()).await;
    }
    assert!(find(&trial.desk, &id).await.is_ok());
}

async fn futures_poll<F: Future + Unpin>(future: F) -> bool {
    tokio::select! {
        biased;
        _ = future => true,
        () = std::future::ready(()) => false,
    }
}

#[tokio::test]
async fn answers_that_are_no_good_document_are_refused() {
    let other = Web::serve(|url| ok(&document(url))).await;
    let elsewhere = other.url("/c");
    let web = Web::serve(move |url| {
        let good = document(url);
        let path = url.rsplit('/').next().unwrap_or_default();
        match path {
            "redirect" => {
                format!("HTTP/1.1 302 Found\r\nlocation: {elsewhere}\r\ncontent-length: 0\r\n\r\n")
            }
            "created" => ok(&good).replacen("200 OK", "201 Created", 1),
            "missing" => ok(&good).replacen("200 OK", "404 Not Found", 1),
            "html" => ok(&good).replacen("application/json", "text/html", 1),
            "plain" => ok(&good).replacen("application/json", "text/plain", 1),
            "gzip" => {
                ok(&good).replacen("content-type", "content-encoding: gzip\r\ncontent-type", 1)
            }
            "long" => ok(&good.replacen('{', &format!("{{\"x\":\"{}\",", "a".repeat(5_120)), 1)),
            "endless" => format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{}",
                " ".repeat(1_000_000)
            ),
            "short" => ok(&good).replacen("content-length: ", "content-length: 9", 1),
            "nojson" => ok("<html>"),
            "other" => ok(&document("https://evil.example/c")),
            "slash" => ok(&document(&format!("{url}/"))),
            "secret" => ok(&good.replacen('{', "{\"client_secret\":\"s\",", 1)),
            "basic" => {
                let method = "{\"token_endpoint_auth_method\":\"client_secret_basic\",";
                ok(&good.replacen('{', method, 1))
            }
            "twice" => ok(&good.replacen('{', "{\"client_name\":\"Other\",", 1)),
            _ => ok(&good),
        }
    })
    .await;
    let trial = Trial::private();
    assert!(find(&trial.desk, &web.url("/good")).await.is_ok());
    for path in [
        "/redirect",
        "/created",
        "/missing",
        "/html",
        "/plain",
        "/gzip",
        "/long",
        "/endless",
        "/short",
    ] {
        assert_eq!(fault(&trial, &web.url(path)).await, Some(DocumentFault::Fetch), "{path}");
    }
    for path in ["/nojson", "/other", "/slash", "/secret", "/basic", "/twice"] {
        let fault = fault(&trial, &web.url(path)).await;
        assert!(matches!(fault, Some(DocumentFault::Content(_))), "{path}: {fault:?}");
    }
    assert!(other.hits().is_empty(), "a redirect was followed");
}

#[tokio::test]
async fn no_other_url_of_a_document_is_fetched() {
    let web = Web::serve(|url| {
        let inner = "https://127.0.0.1/x";
        ok(&json!({
            "client_id": url, "client_name": "App", "redirect_uris": ["http://127.0.0.1/cb"],
            "logo_uri": inner, "client_uri": inner, "policy_uri": inner, "tos_uri": inner,
            "sector_identifier_uri": inner, "jwks_uri": inner, "request_uris": [inner],
            "backchannel_logout_uri": inner, "initiate_login_uri": inner,
        })
        .to_string())
    })
    .await;
    let trial = Trial::private();
    assert!(find(&trial.desk, &web.url("/c")).await.is_ok());
    assert_eq!(*trial.net.opened.lock(), [web.address]);
}

#[tokio::test]
async fn spellings_of_inner_addresses_are_refused_before_anything_is_asked() {
    let trial = Trial::new(|_| {});
    for host in [
        "127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "0",
        "0.0.0.0",
        "2130706433",
        "0x7f.1",
        "0x7f000001",
        "0177.0.0.1",
        "127.1",
        "localhost",
        "localhost.",
        "LOCALHOST",
        "a.localhost",
        "169.254.169.254",
        "10.0.0.1",
        "100.64.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "[64:ff9b::7f00:1]",
        "metadata",
        "metadata.google.internal",
        "router.local",
        "8.8.8.8",
        "user@app.example",
        "app.example:22",
        "app.example:8443",
        "app.example.",
        "app.example\\@127.0.0.1",
    ] {
        let id = format!("https://{host}/c");
        let found = find(&trial.desk, &id).await;
        assert!(matches!(found, Err(ClientFault::Document(DocumentFault::Id(_)))), "{id}");
    }
    for id in [
        "http://app.example/c",
        "https://app.example",
        "https://app.example/",
        "https://app.example/a/../c",
        "https://app.example/./c",
        "https://app.example/c#f",
        "https://app.example/%2e%2e/c",
        "ftp://app.example/c",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_",
    ] {
        let found = find(&trial.desk, id).await;
        assert!(matches!(found, Err(ClientFault::Document(DocumentFault::Id(_)))), "{id}");
    }
    assert!(trial.net.looked_up.lock().is_empty() && trial.net.opened.lock().is_empty());
}

#[tokio::test]
async fn a_public_name_with_an_inner_address_is_never_connected_to() {
    let trial = Trial::new(|_| {});
    let addresses = [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "::1",
        "fd00::1",
        "::ffff:127.0.0.1",
        "fe80::1",
        "64:ff9b::7f00:1",
    ];
    for (n, address) in addresses.into_iter().enumerate() {
        let name = format!("n{n}.example");
        trial.net.names.lock().push((name.clone(), address.parse().expect("an address")));
        // One good address does not make the other good.
        trial.net.names.lock().push((name.clone(), "93.184.215.14".parse().expect("an address")));
        let id = format!("https://{name}/c");
        assert_eq!(fault(&trial, &id).await, Some(DocumentFault::Fetch), "{address}");
    }
    assert_eq!(trial.net.looked_up.lock().len(), addresses.len());
    assert!(trial.net.opened.lock().is_empty());
}

#[tokio::test]
async fn what_the_network_answered_is_not_told() {
    let web = Web::serve(|_| String::from("SSH-2.0-OpenSSH_9.9\r\n")).await;
    let trial = Trial::private();
    let mut answers = Vec::new();
    for id in [web.url("/c"), String::from("http://127.0.0.1:1/c"), web.url("/d")] {
        let error = OAuthError::from(find(&trial.desk, &id).await.expect_err("no client"));
        answers.push(error.shown());
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[tokio::test]
async fn documents_turned_off_cut_off_or_off_the_list_are_not_fetched() {
    let web = Web::serve(|url| ok(&document(url))).await;
    let id = web.url("/c");

    let off = Trial::new(|settings| {
        settings.private_addresses = true;
        settings.documents = false;
    });
    assert!(matches!(find(&off.desk, &id).await, Err(ClientFault::Unknown)));

    let listed = Trial::new(|settings| {
        settings.private_addresses = true;
        settings.hosts = vec![String::from("app.example")];
    });
    assert_eq!(fault(&listed, &id).await, Some(DocumentFault::Host));

    let cut = Trial::private();
    let mut record = agent(&id, AuthMethod::None);
    record.origin = Origin::Document;
    record.revoked = Some(1);
    cut.add(record).await;
    assert!(matches!(find(&cut.desk, &id).await, Err(ClientFault::Unknown)));
    assert!(web.hits().is_empty());
}

#[tokio::test]
async fn a_document_may_send_people_only_to_hosts_on_the_list() {
    let web = Web::serve(|url| {
        ok(&document(url).replace("http://127.0.0.1/cb", "https://evil.example/cb"))
    })
    .await;
    let trial = Trial::new(|settings| {
        settings.private_addresses = true;
        settings.hosts = vec![String::from("127.0.0.1")];
    });
    assert_eq!(fault(&trial, &web.url("/c")).await, Some(DocumentFault::RedirectHost));
}

#[tokio::test]
async fn random_key_ids_do_not_make_the_gate_fetch_more_than_once_per_cooldown() {
    let key = SigningKey::generate(Alg::Es256).expect("a key");
    let kid = String::from(key.kid());
    let set = KeySet::from_signing(&[&key]).to_json().to_string();
    let web = Web::serve(move |_| ok(&set)).await;
    let trial = Trial::private();
    let mut client = agent("reg_1", AuthMethod::PrivateKeyJwt);
    client.origin = Origin::Document;
    let url = web.url("/keys");
    let keys =
        async |kid: &str| trial.desk.documents.keys(&trial.desk, &client, &url, Some(kid)).await;
    for n in 0..100 {
        let keys = keys(&n.to_string()).await.expect("keys");
        assert!(keys.knows(&kid));
    }
    assert_eq!(web.hits().len(), 1);
    trial.pass(30);
    assert!(keys(&kid).await.is_ok());
    assert_eq!(web.hits().len(), 1);
    assert!(keys("another").await.is_ok());
    assert_eq!(web.hits().len(), 2);
    trial.pass(900);
    assert!(keys(&kid).await.is_ok());
    assert_eq!(web.hits().len(), 3);
}

#[tokio::test]
async fn keys_stay_good_while_their_url_is_down_and_failures_cool_down_too() {
    let web = Web::serve(|_| String::from("HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n")).await;
    let trial = Trial::private();
    let mut client = agent("reg_1", AuthMethod::PrivateKeyJwt);
    client.origin = Origin::Document;
    let url = web.url("/keys");
    for _ in 0..50 {
        let keys = trial.desk.documents.keys(&trial.desk, &client, &url, Some("a")).await;
        assert_eq!(keys.err(), Some(DocumentFault::Fetch));
    }
    assert_eq!(web.hits().len(), 1);
}

#[tokio::test]
async fn keys_at_inner_addresses_are_for_agents_of_the_operator_only() {
    let set = KeySet::empty().to_json().to_string();
    let web = Web::serve(move |_| ok(&set)).await;
    let trial = Trial::new(|_| {});
    let url = web.url("/keys");
    let mut client = agent("ci", AuthMethod::PrivateKeyJwt);
    client.keys = ClientKeys::Url(url.clone());
    assert!(trial.desk.documents.keys(&trial.desk, &client, &url, None).await.is_ok());
    assert_eq!(web.hits().len(), 1);
    client.origin = Origin::Document;
    for url in [&*url, "https://127.0.0.1/keys", "https://169.254.169.254/keys"] {
        let keys = trial.desk.documents.keys(&trial.desk, &client, url, None).await;
        assert!(matches!(keys, Err(DocumentFault::Id(_))), "{url}");
    }
    assert_eq!(web.hits().len(), 1);
}
