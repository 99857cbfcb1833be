//! Rows 62 to 71, 73 and 75: tokens that are almost good, against the whole house. Each is refused
//! with a challenge, and the upstream never hears of it.

use crate::identity_house::{
    Bearer, DOOR, KID, Voucher, by, encoded, error_of, new_key, now, open, raw_token,
};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::hmac;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::sync::Arc;
use testkit::post::good_call;
use testkit::{House, Post, Recorder, Reply};
use tollgate_oauth::keys::{Alg, SigningKey};

/// Every post is refused with one of these statuses and nothing of it arrives.
async fn refused(house: &House, statuses: &[u16], posts: Vec<(String, Post)>) {
    let before = house.peer.bytes_seen();
    for (name, post) in posts {
        let answer = house.ask(&post).await;
        assert!(statuses.contains(&answer.status), "{name}: {} {}", answer.status, answer.text());
        if answer.status == 401 {
            let challenge = answer.header("www-authenticate").unwrap_or_default();
            assert!(challenge.starts_with("Bearer "), "{name}: {challenge}");
            assert!(challenge.contains("resource_metadata=\"https://gate.example/"), "{challenge}");
            assert_eq!(error_of(&answer).as_deref(), Some("invalid_token"), "{name}: {challenge}");
        }
        assert_eq!(house.peer.bytes_seen(), before, "{name} reached the upstream");
    }
}

/// The same for tokens, all of which are refused with 401.
async fn unauthorized(house: &House, tokens: Vec<(String, String)>) {
    let posts = tokens.into_iter().map(|(name, token)| (name, by(&token, good_call())));
    refused(house, &[401], posts.collect()).await;
}

async fn house() -> (House, Voucher) {
    let voucher = Voucher::start().await;
    let house = open(&[voucher.line("idp")]).await;
    (house, voucher)
}

async fn serves(house: &House, token: &str) {
    let answer = Bearer::of(house, token).ask(good_call()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

fn named(name: &str, token: String) -> (String, String) {
    (name.to_owned(), token)
}

#[tokio::test] // Row 62.
async fn tokens_that_nobody_signed_are_refused() {
    let (house, voucher) = house().await;
    let claims = encoded(voucher.claims("alice", "agent-a").to_string());
    let mut tokens = Vec::new();
    for alg in ["none", "None", "NONE", "nOnE", "", "HS256", "EdDSA"] {
        let header = encoded(format!(r#"{{"alg":"{alg}","typ":"at+jwt","kid":"{KID}"}}"#));
        tokens.push(named(alg, format!("{header}.{claims}.")));
        tokens.push(named(alg, format!("{header}.{claims}")));
        tokens.push(named(alg, format!("{header}.{claims}.{}", encoded([0; 64]))));
    }
    let good = voucher.token("alice", "agent-a");
    let (signed, signature) = good.rsplit_once('.').expect("a signature");
    tokens.push(named("cut", format!("{signed}.{}", &signature[..signature.len() - 4])));
    let other = voucher.token("mallory", "agent-a");
    let (_, other) = other.rsplit_once('.').expect("a signature");
    tokens.push(named("another's signature", format!("{signed}.{other}")));
    unauthorized(&house, tokens).await;
    serves(&house, &good).await;
}

#[tokio::test] // Row 63.
async fn a_public_key_is_no_shared_secret() {
    let voucher = Voucher::start().await;
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
    let pkcs8: Pkcs8V1Der<'_> = pair.as_der().expect("PKCS#8");
    let rsa = SigningKey::from_pkcs8("rsa", Alg::Rs256, pkcs8.as_ref()).expect("a key");
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().expect("a public key");
    let jwk = rsa.public_jwk();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        STANDARD.encode(public.as_ref())
    );
    let good = rsa.sign("at+jwt", &voucher.claims("alice", "agent-a")).expect("a token");
    voucher.publish(Arc::new(rsa));
    let house = open(&[voucher.line("idp")]).await;
    let claims = voucher.claims("alice", "agent-a").to_string();
    let secrets: [(&str, Vec<u8>); 5] = [
        ("PEM", pem.clone().into_bytes()),
        ("PEM without its last line end", pem.trim_end().as_bytes().to_vec()),
        ("DER", public.as_ref().to_vec()),
        ("JWK", jwk.to_string().into_bytes()),
        ("modulus", jwk["n"].as_str().expect("a modulus").as_bytes().to_vec()),
    ];
    let mut tokens = Vec::new();
    for (name, secret) in secrets {
        for alg in ["HS256", "RS256"] {
            let header = format!(r#"{{"alg":"{alg}","typ":"at+jwt","kid":"rsa"}}"#);
            let signed = format!("{}.{}", encoded(header), encoded(&claims));
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), signed.as_bytes());
            tokens.push(named(name, format!("{signed}.{}", encoded(tag))));
        }
    }
    unauthorized(&house, tokens).await;
    serves(&house, &good).await;
}

#[tokio::test] // Row 64.
async fn keys_come_from_the_issuer_and_from_nowhere_else() {
    let (house, voucher) = house().await;
    let canary = Recorder::scripted(|_| Reply::json(&json!({ "keys": [] }))).await;
    let url = format!("http://{}/keys", canary.address);
    let thief = new_key("thief");
    let claims = voucher.claims("alice", "agent-a").to_string();
    let mut tokens = Vec::new();
    let kids =
        ["../../dev/null", "' OR 1=1 --", url.as_str(), "", "K1", "k1 ", "k1\\u0000", "thief"];
    for kid in kids {
        let header = format!(r#"{{"alg":"EdDSA","typ":"at+jwt","kid":"{kid}"}}"#);
        tokens.push(named(kid, raw_token(&thief, &header, &claims)));
    }
    let jwk = thief.public_jwk();
    for more in [
        format!(r#""jwk":{jwk}"#),
        format!(r#""jku":"{url}""#),
        format!(r#""x5u":"{url}""#),
        r#""x5c":["AAAA"]"#.to_owned(),
    ] {
        for kid in [KID, "thief"] {
            let header = format!(r#"{{"alg":"EdDSA","typ":"at+jwt","kid":"{kid}",{more}}}"#);
            tokens.push(named(&more, raw_token(&thief, &header, &claims)));
        }
    }
    unauthorized(&house, tokens).await;
    let long = format!(r#"{{"alg":"EdDSA","kid":"{}"}}"#, "k".repeat(1024 * 1024));
    let long = by(&raw_token(&thief, &long, &claims), good_call());
    refused(&house, &[400, 401, 431], vec![("a long kid".to_owned(), long)]).await;
    assert_eq!(canary.connections(), 0, "the gate followed a URL in a token");
    // What a header says besides is not looked at, so it does no harm either.
    let header = format!(r#"{{"alg":"EdDSA","typ":"at+jwt","kid":"{KID}","jku":"{url}"}}"#);
    serves(&house, &raw_token(&voucher.key(), &header, &claims)).await;
    assert_eq!(canary.connections(), 0, "the gate followed a URL in a token");
}

#[tokio::test] // Row 66.
async fn tokens_out_of_their_time_or_without_one_are_refused() {
    let (house, voucher) = house().await;
    let changes = [
        ("exp", json!(now() - 3)),
        ("exp", json!(0)),
        ("exp", Value::Null),
        ("exp", json!("9999999999")),
        ("exp", json!(-1)),
        ("exp", json!(true)),
        ("exp", json!([now() + 600])),
        ("nbf", json!(now() + 60)),
        ("nbf", json!("9")),
        ("iat", json!(now() + 60)),
        ("iat", json!("1")),
        ("iat", json!({})),
    ];
    let change = |(claim, value): (&str, Value)| {
        named(&format!("{claim}: {value}"), voucher.token_but(claim, value))
    };
    let mut tokens: Vec<_> = changes.into_iter().map(change).collect();
    let whole = voucher.claims("alice", "agent-a");
    let header = format!(r#"{{"alg":"EdDSA","typ":"at+jwt","kid":"{KID}"}}"#);
    for odd in ["1e400", "null", "NaN", "Infinity", "-0.5", "99999999999999999999999999999x"] {
        let claims = whole.to_string().replace(&whole["exp"].to_string(), odd);
        tokens.push(named(odd, raw_token(&voucher.key(), &header, &claims)));
    }
    unauthorized(&house, tokens).await;
    serves(&house, &voucher.token_but("nbf", json!(now()))).await;
    serves(&house, &voucher.token_but("exp", json!(now() as f64 + 60.5))).await;
}

#[tokio::test] // Row 67.
async fn tokens_for_anything_but_this_route_are_refused() {
    let voucher = Voucher::start().await;
    let house = House::open_with(crate::GATE, |file| {
        let file = crate::identity_house::guarded(file, &[voucher.line("idp")]);
        file.route("/other", "peer")
    })
    .await;
    let others = [
        Value::Null,
        json!(""),
        json!([]),
        json!(7),
        json!({ "0": DOOR }),
        json!([DOOR, 7]),
        json!("https://gate.example"),
        json!("https://gate.example/"),
        json!("https://gate.example/mcp/"),
        json!("https://gate.example/other"),
        json!("https://gate.example/MCP"),
        json!("https://gate.example/mcp?x"),
        json!("https://gate.example/mcp#x"),
        json!("https://gate.example/mcp/sse"),
        json!("https://gate.example/%6dcp"),
        json!("https://gate.example.evil/mcp"),
        json!("https://gate.example:444/mcp"),
        json!("https://gate.example@evil.example/mcp"),
        json!("https://user@gate.example/mcp"),
        json!("http://gate.example/mcp"),
        json!("gate.example/mcp"),
        json!("/mcp"),
        json!("*"),
        json!(" https://gate.example/mcp"),
        json!(["https://evil.example/mcp", "https://gate.example/other"]),
    ];
    let tokens = others.into_iter().map(|aud| (aud.to_string(), voucher.token_but("aud", aud)));
    unauthorized(&house, tokens.collect()).await;
    let good = [
        json!(DOOR),
        json!("HTTPS://GATE.example:443/mcp"),
        json!(["https://elsewhere.example", DOOR]),
    ];
    for aud in good {
        let token = voucher.token_but("aud", aud);
        serves(&house, &token).await;
        let there = by(&token, good_call().to("/other"));
        refused(&house, &[401], vec![("the other route".to_owned(), there)]).await;
    }
}

#[tokio::test] // Row 68.
async fn one_trusted_issuer_cannot_speak_for_another() {
    let (one, two) = (Voucher::start().await, Voucher::start().await);
    let stranger = Voucher::start().await;
    let house = open(&[one.line("one"), two.line("two")]).await;
    serves(&house, &one.token("alice", "agent-a")).await;
    serves(&house, &two.token("alice", "agent-a")).await;
    let forged = |claims: Value| two.sign(&claims);
    let mut tokens = vec![
        named("one by two's key of the same id", forged(one.claims("alice", "agent-a"))),
        named("nobody's issuer", stranger.token("alice", "agent-a")),
        named("two by the stranger", stranger.sign(&two.claims("alice", "agent-a"))),
        named("no issuer", one.token_but("iss", Value::Null)),
    ];
    for iss in [format!("{}/", one.url), one.url.to_uppercase(), format!(" {}", one.url)] {
        tokens.push(named(&iss, one.token_but("iss", json!(iss))));
    }
    tokens.push(named("both", one.token_but("iss", json!([one.url, two.url]))));
    unauthorized(&house, tokens).await;
    assert_eq!(stranger.web.connections(), 0, "the gate asked an issuer nobody trusts");
}

#[tokio::test] // Row 69.
async fn tokens_for_other_uses_are_no_access_tokens() {
    let (house, voucher) = house().await;
    let claims = voucher.claims("alice", "agent-a");
    let mut tokens = Vec::new();
    for typ in ["logout+jwt", "secevent+jwt", "client-authentication+jwt", "oauth-authz-req+jwt"] {
        tokens.push(named(typ, voucher.key().sign(typ, &claims).expect("a token")));
    }
    for claim in ["nonce", "at_hash", "c_hash", "events"] {
        let mut claims = claims.clone();
        claims[claim] = json!("x");
        tokens.push(named(claim, voucher.key().sign("JWT", &claims).expect("a token")));
    }
    for (claim, value) in [("token_use", "id"), ("typ", "ID"), ("typ", "Refresh")] {
        tokens.push(named(value, voucher.token_but(claim, json!(value))));
    }
    for missing in ["sub", "client_id"] {
        tokens.push(named(missing, voucher.token_but(missing, Value::Null)));
        tokens.push(named(missing, voucher.token_but(missing, json!(7))));
    }
    unauthorized(&house, tokens).await;
    serves(&house, &voucher.key().sign("JWT", &claims).expect("a token")).await;
}

#[tokio::test] // Row 70.
async fn what_two_readers_could_read_differently_is_no_token() {
    let (house, voucher) = house().await;
    let key = voucher.key();
    let claims = voucher.claims("alice", "agent-a").to_string();
    let header = |more: &str| format!(r#"{{"alg":"EdDSA","typ":"at+jwt","kid":"{KID}"{more}}}"#);
    let mut tokens = Vec::new();
    for more in [
        r#","crit":["exp"]"#,
        r#","crit":[]"#,
        r#","b64":false,"crit":["b64"]"#,
        r#","zip":"DEF""#,
        r#","enc":"A256GCM""#,
        r#","cty":"JWT""#,
        r#","alg":"EdDSA""#,
        r#","kid":"k1""#,
    ] {
        tokens.push(named(more, raw_token(&key, &header(more), &claims)));
    }
    let twice = |member: &str| claims.replacen('{', &format!("{{{member},"), 1);
    for member in [r#""sub":"root""#, r#""exp":1"#, r#""aud":"x""#, r#""\u0073ub":"root""#] {
        tokens.push(named(member, raw_token(&key, &header(""), &twice(member))));
    }
    let deep = format!("{}1{}", "[".repeat(5_000), "]".repeat(5_000));
    tokens.push(named("deep", raw_token(&key, &header(""), &twice(&format!(r#""x":{deep}"#)))));
    tokens.push(named("an array", raw_token(&key, &header(""), &format!("[{claims}]"))));
    tokens.push(named("two objects", raw_token(&key, &header(""), &format!("{claims}{{}}"))));
    let good = voucher.token("alice", "agent-a");
    let parts: Vec<&str> = good.split('.').collect();
    tokens.push(named("five parts", format!("{good}.a.b")));
    tokens.push(named("four parts", format!("{good}.")));
    tokens.push(named("an empty part", format!("{}..{}", parts[0], parts[2])));
    tokens.push(named("padding", format!("{good}=")));
    tokens.push(named("other alphabet", format!("{}+/.{}.{}", parts[0], parts[1], parts[2])));
    unauthorized(&house, tokens).await;
    let big = twice(&format!(r#""x":"{}""#, "x".repeat(48 * 1024)));
    let big = by(&raw_token(&key, &header(""), &big), good_call());
    refused(&house, &[400, 401, 431], vec![("64 KiB".to_owned(), big)]).await;
    serves(&house, &good).await;
}

#[tokio::test] // Row 71.
async fn a_token_is_taken_from_one_bearer_header_only() {
    let (house, voucher) = house().await;
    let good = voucher.token("alice", "agent-a");
    let bearer = format!("Bearer {good}");
    let ask = async |post: Post| house.ask(&post).await;
    let before = house.peer.bytes_seen();
    let query = ask(good_call().to(&format!("/mcp?access_token={good}"))).await;
    assert!([400, 401].contains(&query.status), "{}", query.status);
    let form = Post::new(format!("access_token={good}"))
        .set("content-type", "application/x-www-form-urlencoded");
    assert_eq!(ask(form).await.status, 401);
    let twice = good_call().with("authorization", &bearer).with("authorization", &bearer);
    assert_eq!(ask(twice).await.status, 400);
    for (one, two) in [("Basic YTpi", bearer.as_str()), (bearer.as_str(), "Basic YTpi")] {
        let post = good_call().with("authorization", one).with("authorization", two);
        assert_eq!(ask(post).await.status, 400, "{one}");
    }
    for odd in [
        format!("Basic {good}"),
        format!("Token {good}"),
        format!("DPoP {good}"),
        good.clone(),
        "Bearer".to_owned(),
        format!("Bearer  {good}"),
        format!("Bearer\t{good}"),
        format!("Bearer {good}, Basic YTpi"),
        format!("Bearer {good} {good}"),
        format!("Bearer \"{good}\""),
    ] {
        let status = ask(good_call().with("authorization", &odd)).await.status;
        assert!([400, 401].contains(&status), "{odd}: {status}");
    }
    for (name, value) in [
        ("cookie", format!("access_token={good}")),
        ("x-api-key", good.clone()),
        ("proxy-authorization", bearer.clone()),
        ("x-forwarded-access-token", good.clone()),
    ] {
        assert_eq!(ask(good_call().with(name, &value)).await.status, 401, "{name}");
    }
    assert_eq!(house.peer.bytes_seen(), before, "a refused request reached the upstream");
    for scheme in ["bearer", "BEARER", "BeArEr"] {
        let post = good_call().with("authorization", &format!("{scheme} {good}"));
        assert_eq!(ask(post).await.status, 200, "{scheme}");
    }
}

#[tokio::test] // Row 73.
async fn only_a_clear_yes_makes_an_opaque_token_good() {
    let voucher = Voucher::start().await;
    let house = open(&[voucher.opaque_line("idp")]).await;
    let good = voucher.claims("alice", "agent-a");
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims["active"] = json!(true);
        claims[name] = value;
        claims
    };
    let answers = [
        ("text", with("active", json!("true")), &[401, 503][..]),
        ("number", with("active", json!(1)), &[401, 503]),
        ("nothing", good.clone(), &[401, 503]),
        ("no", with("active", json!(false)), &[401]),
        ("expired", with("exp", json!(now() - 5)), &[401]),
        ("another route", with("aud", json!("https://gate.example/other")), &[401]),
        ("another issuer", with("iss", json!("https://evil.example")), &[401]),
        ("no agent", with("client_id", Value::Null), &[401]),
        ("a refresh token", with("token_use", json!("refresh")), &[401]),
    ];
    for (name, answer, statuses) in answers {
        let token = format!("opaque.{}", name.replace(' ', "-"));
        voucher.says(&token, answer);
        refused(&house, statuses, vec![(name.to_owned(), by(&token, good_call()))]).await;
    }
    serves(&house, &voucher.opaque("alice", "agent-a")).await;
}
