//! Proofs of clients: the good ones, and every way to have none.

use super::authenticate;
use crate::clients::trial::{BEGIN, ISSUER, Trial, Web, agent, form, head, ok};
use crate::error::{ErrorCode, OAuthError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tollgate_core::stores::{AgentRecord, AuthMethod, ClientKeys, Origin, SecretHash};
use tollgate_oauth::keys::{Alg, KeySet, SigningKey};
use tollgate_oauth::secret;

const URL: &str = "https://gw.example/oauth/token";

async fn tried(trial: &Trial, header: Option<&str>, body: &str) -> Result<String, OAuthError> {
    let headers: Vec<_> = header.map(|value| ("authorization", value)).into_iter().collect();
    let client = authenticate(&trial.desk, &head(URL, &headers), &form(body)).await?;
    Ok(String::from(client.id()))
}

fn basic(text: &str) -> String {
    format!("Basic {}", STANDARD.encode(text))
}

/// One that said itself how it proves who it is.
fn registered(id: &str, auth: AuthMethod) -> AgentRecord {
    let origin = Origin::Registered { by: String::from("192.0.2.1"), token: secret::digest("t") };
    AgentRecord { origin, ..agent(id, auth) }
}

async fn trial() -> Trial {
    let trial = Trial::new(|_| {});
    trial.add(registered("basic", AuthMethod::ClientSecretBasic)).await;
    trial.add(registered("post", AuthMethod::ClientSecretPost)).await;
    let mut public = agent("public", AuthMethod::None);
    public.secrets.clear();
    trial.add(public).await;
    trial.add(agent("odd:id+%", AuthMethod::ClientSecretBasic)).await;
    trial
}

#[tokio::test]
async fn each_client_proves_itself_in_its_own_way() {
    let trial = trial().await;
    let good = basic("basic:s3cret");
    assert_eq!(tried(&trial, Some(&good), "").await.as_deref(), Ok("basic"));
    assert_eq!(tried(&trial, Some(&good), "client_id=basic").await.as_deref(), Ok("basic"));
    let lower = good.replacen("Basic", "bAsIc", 1);
    assert_eq!(tried(&trial, Some(&lower), "").await.as_deref(), Ok("basic"));
    let escaped = basic("odd%3Aid%2B%25:s%33cret");
    assert_eq!(tried(&trial, Some(&escaped), "").await.as_deref(), Ok("odd:id+%"));
    let post = "client_id=post&client_secret=s3cret";
    assert_eq!(tried(&trial, None, post).await.as_deref(), Ok("post"));
    assert_eq!(tried(&trial, None, "client_id=public").await.as_deref(), Ok("public"));
}

#[tokio::test]
async fn a_secret_the_operator_gave_out_may_be_sent_either_way() {
    let trial = trial().await;
    trial.add(agent("robot", AuthMethod::ClientSecretBasic)).await;
    trial.add(agent("public-robot", AuthMethod::None)).await;
    assert_eq!(tried(&trial, Some(&basic("robot:s3cret")), "").await.as_deref(), Ok("robot"));
    let post = "client_id=robot&client_secret=s3cret";
    assert_eq!(tried(&trial, None, post).await.as_deref(), Ok("robot"));
    for body in [
        "client_id=robot&client_secret=wrong",
        "client_id=robot",
        "client_id=public-robot&client_secret=s3cret",
    ] {
        let error = tried(&trial, None, body).await.expect_err(body);
        assert_eq!(error.code, ErrorCode::InvalidClient, "{body}");
    }
    let error = tried(&trial, Some(&basic("public-robot:s3cret")), "").await.expect_err("public");
    assert_eq!(error.code, ErrorCode::InvalidClient);
}

#[tokio::test]
async fn every_bad_proof_is_an_invalid_client() {
    let trial = trial().await;
    let headers: [&str; 24] = [
        "basic:wrong",
        "basic:S3CRET",
        "basic:s3cret ",
        "basic: s3cret",
        "basic:",
        ":s3cret",
        ":",
        "basic",
        "",
        "ghost:s3cret",
        "post:s3cret",
        "public:",
        "public:s3cret",
        "BASIC:s3cret",
        "basic:s3cret%",
        "basic:s3cret%0",
        "basic:s3cret%zz",
        "bas%ic:s3cret",
        "basic:s3cret%00",
        "basic:s3cret%ff",
        "basic:s3cre%74%0a",
        "basic:s3+cret",
        "user:1:s3cret",
        "https%3A//app.example:s3cret",
    ];
    for text in headers {
        let error = tried(&trial, Some(&basic(text)), "").await.expect_err(text);
        assert_eq!(error.code, ErrorCode::InvalidClient, "{text}");
    }
    for header in [
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic YmFzaWM6czNjcmV0=",
        "Basic YmFzaWM6czNjcmV0 x",
        "Basic\tYmFzaWM6czNjcmV0",
        "Bearer YmFzaWM6czNjcmV0",
        "YmFzaWM6czNjcmV0",
        "Basic /w==",
        "Digest username=\"basic\"",
        "",
    ] {
        let error = tried(&trial, Some(header), "").await.expect_err(header);
        assert_eq!(error.code, ErrorCode::InvalidClient, "{header}");
    }
    for body in [
        "client_id=post&client_secret=wrong",
        "client_id=post&client_secret=",
        "client_id=post&client_secret",
        "client_id=post",
        "client_id=basic",
        "client_id=basic&client_secret=s3cret",
        "client_id=public&client_secret=",
        "client_id=public&client_secret=s3cret",
        "client_id=ghost",
        "client_id=ghost&client_secret=s3cret",
        "client_id=ghost&client_secret=",
        "client_id=user%3A1",
    ] {
        let error = tried(&trial, None, body).await.expect_err(body);
        assert_eq!(error.code, ErrorCode::InvalidClient, "{body}");
    }
}

#[tokio::test]
async fn a_request_that_tries_more_than_one_way_is_invalid() {
    let trial = trial().await;
    let good = basic("basic:s3cret");
    for body in [
        "client_id=basic&client_secret=s3cret",
        "client_secret=s3cret",
        "client_secret=",
        "client_assertion=x",
        "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer",
        "client_id=post",
    ] {
        let error = tried(&trial, Some(&good), body).await.expect_err(body);
        assert_eq!(error.code, ErrorCode::InvalidRequest, "{body}");
    }
    for body in [
        "",
        "client_id=",
        "client_secret=s3cret",
        "client_id=post&client_secret=s3cret&client_assertion=x",
        "client_id=post&client_assertion=x",
        "client_id=post&client_assertion=x&client_assertion_type=x",
        "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer",
    ] {
        let error = tried(&trial, None, body).await.expect_err(body);
        assert_eq!(error.code, ErrorCode::InvalidRequest, "{body}");
    }
    let twice = head(URL, &[("authorization", &good), ("authorization", &good)]);
    let error = authenticate(&trial.desk, &twice, &form("")).await.expect_err("two headers");
    assert_eq!(error.code, ErrorCode::InvalidRequest);
}

#[tokio::test]
async fn a_secret_in_the_url_is_refused_even_if_it_is_right() {
    let trial = trial().await;
    for query in ["client_id=post&client_secret=s3cret", "client_secret=", "client_assertion=x"] {
        let head = head(&format!("{URL}?{query}"), &[]);
        let body = form("client_id=post&client_secret=s3cret");
        let error = authenticate(&trial.desk, &head, &body).await.expect_err(query);
        assert_eq!(error.code, ErrorCode::InvalidRequest);
    }
}

#[tokio::test]
async fn nobody_learns_which_clients_there_are() {
    let trial = trial().await;
    let mut answers = Vec::new();
    for text in ["basic:wrong", "ghost:wrong", "post:s3cret", "public:x", "basic:"] {
        answers.push(tried(&trial, Some(&basic(text)), "").await.expect_err(text));
    }
    for body in ["client_id=ghost", "client_id=basic", "client_id=post&client_secret=x"] {
        answers.push(tried(&trial, None, body).await.expect_err(body));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

#[tokio::test]
async fn of_two_secrets_each_is_good_until_it_ends() {
    let trial = Trial::new(|_| {});
    let mut record = agent("ci", AuthMethod::ClientSecretBasic);
    let old = SecretHash { digest: secret::digest("old"), created: 1, expires: Some(BEGIN + 60) };
    record.secrets.push(old);
    trial.add(record).await;
    let (old, new) = (basic("ci:old"), basic("ci:s3cret"));
    assert!(tried(&trial, Some(&old), "").await.is_ok());
    assert!(tried(&trial, Some(&new), "").await.is_ok());
    trial.pass(60);
    assert!(tried(&trial, Some(&old), "").await.is_err());
    assert!(tried(&trial, Some(&new), "").await.is_ok());
}

#[tokio::test]
async fn a_client_that_was_cut_off_proves_nothing() {
    let trial = Trial::new(|_| {});
    let mut record = agent("ci", AuthMethod::ClientSecretBasic);
    record.revoked = Some(BEGIN);
    trial.add(record).await;
    let error = tried(&trial, Some(&basic("ci:s3cret")), "").await.expect_err("cut off");
    assert_eq!(error.code, ErrorCode::InvalidClient);
}

fn claims(more: &Value) -> Value {
    let mut claims = json!({
        "iss": "signer", "sub": "signer", "aud": ISSUER, "exp": BEGIN + 60, "iat": BEGIN,
        "jti": "j1",
    });
    let (Some(all), Some(more)) = (claims.as_object_mut(), more.as_object()) else { return claims };
    for (name, value) in more {
        match value {
            Value::Null => all.shift_remove(name),
            value => all.insert(name.clone(), value.clone()),
        };
    }
    claims
}

async fn signer(trial: &Trial, key: &SigningKey, change: impl FnOnce(&mut Value)) {
    let mut record = agent("signer", AuthMethod::PrivateKeyJwt);
    record.keys = ClientKeys::Inline(KeySet::from_signing(&[key]).to_json().to_string());
    let mut metadata = json!({});
    change(&mut metadata);
    record.metadata = metadata.to_string();
    trial.add(record).await;
}

fn asserting(assertion: &str) -> String {
    format!(
        "client_assertion={assertion}&client_assertion_type=\
         urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"
    )
}

#[tokio::test]
async fn an_assertion_is_good_once() {
    let trial = Trial::new(|_| {});
    let key = SigningKey::generate(Alg::Es256).expect("a key");
    signer(&trial, &key, |_| {}).await;
    for typ in ["JWT", "client-authentication+jwt", "jwt"] {
        let assertion = key.sign(typ, &claims(&json!({ "jti": typ }))).expect("a token");
        let body = asserting(&assertion);
        assert_eq!(tried(&trial, None, &body).await.as_deref(), Ok("signer"), "{typ}");
        for again in [body.clone(), format!("client_id=signer&{body}")] {
            let error = tried(&trial, None, &again).await.expect_err("used before");
            assert_eq!(error.code, ErrorCode::InvalidClient);
        }
    }
    // Until no clock takes it any more.
    let assertion = key.sign("JWT", &claims(&json!({ "exp": BEGIN + 1 }))).expect("a token");
    assert!(tried(&trial, None, &asserting(&assertion)).await.is_ok());
    trial.pass(30);
    trial.desk.stores.grants.sweep(trial.desk.now()).await.expect("a store");
    assert!(tried(&trial, None, &asserting(&assertion)).await.is_err());
}

#[tokio::test]
async fn every_bad_assertion_is_an_invalid_client_and_spends_nothing() {
    let trial = Trial::new(|_| {});
    let key = SigningKey::generate(Alg::Es256).expect("a key");
    signer(&trial, &key, |_| {}).await;
    trial.add(agent("basic", AuthMethod::ClientSecretBasic)).await;
    for more in [
        json!({ "aud": format!("{ISSUER}/") }),
        json!({ "aud": format!("{ISSUER}/oauth/token") }),
        json!({ "aud": [ISSUER] }),
        json!({ "aud": [ISSUER, "https://other.example"] }),
        json!({ "aud": "https://other.example" }),
        json!({ "aud": null }),
        json!({ "aud": "https://GW.example" }),
        json!({ "iss": "other" }),
        json!({ "iss": null }),
        json!({ "iss": "basic", "sub": "basic" }),
        json!({ "sub": "ghost", "iss": "ghost" }),
        json!({ "sub": "other" }),
        json!({ "sub": null }),
        json!({ "sub": 1 }),
        json!({ "jti": null }),
        json!({ "jti": "" }),
        json!({ "jti": 1 }),
        json!({ "exp": null }),
        json!({ "exp": BEGIN - 30 }),
        json!({ "exp": BEGIN + 631 }),
        json!({ "exp": BEGIN + 365 * 24 * 3_600 }),
        json!({ "exp": "9999999999" }),
        json!({ "exp": -1 }),
        json!({ "nbf": BEGIN + 31 }),
        json!({ "nbf": "9" }),
        json!({ "iat": BEGIN + 31 }),
    ] {
        let assertion = key.sign("JWT", &claims(&more)).expect("a token");
        let error = tried(&trial, None, &asserting(&assertion)).await.expect_err("refused");
        assert_eq!(error.code, ErrorCode::InvalidClient, "{more}");
    }
    for typ in ["at+jwt", "dpop+jwt", "oauth-id-jag+jwt", "", "logout+jwt"] {
        let assertion = key.sign(typ, &claims(&json!({}))).expect("a token");
        assert!(tried(&trial, None, &asserting(&assertion)).await.is_err(), "{typ}");
    }
    let stranger = SigningKey::generate(Alg::Es256).expect("a key");
    let forged = stranger.sign("JWT", &claims(&json!({}))).expect("a token");
    for bad in [&*forged, "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30."] {
        assert!(tried(&trial, None, &asserting(bad)).await.is_err(), "{bad}");
    }
    let good = key.sign("JWT", &claims(&json!({}))).expect("a token");
    assert!(tried(&trial, None, &asserting(&good)).await.is_ok(), "its id was spent by another");
}

#[tokio::test]
async fn an_assertion_is_for_the_client_it_names() {
    let trial = Trial::new(|_| {});
    let key = SigningKey::generate(Alg::Es256).expect("a key");
    signer(&trial, &key, |_| {}).await;
    let assertion = key.sign("JWT", &claims(&json!({}))).expect("a token");
    let body = format!("client_id=other&{}", asserting(&assertion));
    let error = tried(&trial, None, &body).await.expect_err("two clients");
    assert_eq!(error.code, ErrorCode::InvalidRequest);
}

#[tokio::test]
async fn a_registered_algorithm_is_the_only_one() {
    let trial = Trial::new(|_| {});
    let key = SigningKey::generate(Alg::Es256).expect("a key");
    let name = tollgate_oauth::registration::ASSERTION_ALG;
    signer(&trial, &key, |metadata| metadata[name] = "EdDSA".into()).await;
    let assertion = key.sign("JWT", &claims(&json!({}))).expect("a token");
    assert!(tried(&trial, None, &asserting(&assertion)).await.is_err());
}

#[tokio::test]
async fn of_many_uses_of_one_assertion_at_once_one_is_good() {
    let trial = std::sync::Arc::new(Trial::new(|_| {}));
    let key = SigningKey::generate(Alg::Es256).expect("a key");
    signer(&trial, &key, |_| {}).await;
    let body = asserting(&key.sign("JWT", &claims(&json!({}))).expect("a token"));
    let trying: Vec<_> = (0..20)
        .map(|_| {
            let (trial, body) = (std::sync::Arc::clone(&trial), body.clone());
            tokio::spawn(async move { tried(&trial, None, &body).await.is_ok() })
        })
        .collect();
    let mut good = 0;
    for one in trying {
        good += usize::from(one.await.expect("an answer"));
    }
    assert_eq!(good, 1);
}

#[tokio::test]
async fn a_document_client_proves_itself_with_the_keys_it_publishes() {
    let key = SigningKey::generate(Alg::EdDsa).expect("a key");
    let set = KeySet::from_signing(&[&key]).to_json().to_string();
    let web = Web::serve(move |url| match url.strip_suffix("/c") {
        Some(base) => ok(&json!({
            "client_id": url, "client_name": "App", "redirect_uris": ["http://127.0.0.1/cb"],
            "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": format!("{base}/keys"),
        })
        .to_string()),
        None => ok(&set),
    })
    .await;
    let trial = Trial::private();
    let id = web.url("/c");
    let public = tried(&trial, None, &format!("client_id={id}")).await;
    assert!(public.is_err() && web.hits() == ["/c"], "keys are fetched only when they are needed");
    let assertion = key.sign("JWT", &claims(&json!({ "iss": id, "sub": id }))).expect("a token");
    assert_eq!(tried(&trial, None, &asserting(&assertion)).await, Ok(id));
    assert_eq!(web.hits(), ["/c", "/keys"]);
}
