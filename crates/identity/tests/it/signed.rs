//! JWT access tokens: which are let in, and that none of the known attacks is.

use crate::house::{ALGORITHMS, FRONT, House, RESOURCE, is_invalid, issuer, jwt, key, token};
use crate::server::Server;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tollgate_core::stores::Revocable;
use tollgate_identity::settings::{IssuerSettings, KeysAt, TokenSettings};
use tollgate_identity::{Denied, Sources, Verifier};
use tollgate_oauth::keys::{Alg, KeySet, SharedKeys, SigningKey};

/// A server that publishes a key, and a house that trusts it.
async fn trusted(alg: Alg) -> (Server, SigningKey, House) {
    let (server, key) = (Server::start().await, key("k", alg));
    server.publish(&[&key]);
    let house = House::with(vec![jwt("as", &server)]);
    (server, key, house)
}

/// The same where `typ` may be `JWT` or absent.
async fn lenient(alg: Alg) -> (Server, SigningKey, House) {
    let (server, key, _) = trusted(alg).await;
    let house = House::with(vec![IssuerSettings {
        tokens: TokenSettings::Jwt {
            keys: KeysAt::Discovery,
            algorithms: ALGORITHMS.into(),
            strict_type: false,
        },
        ..jwt("as", &server)
    }]);
    (server, key, house)
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

#[tokio::test]
async fn a_good_token_of_every_algorithm_is_a_principal() {
    for alg in ALGORITHMS {
        let (server, key, house) = trusted(alg).await;
        let token = token(&key, &house.claims(&server.url));
        assert!(!house.remembers(&token));
        let proof = house.proof(&token).await;
        assert_eq!(
            (&*proof.issuer, &*proof.subject, &*proof.client),
            (&*server.url, "alice", "agent")
        );
        assert_eq!(proof.user.as_deref(), Some("alice"));
        assert_eq!(proof.scopes.iter().map(|s| &**s).collect::<Vec<_>>(), ["read", "write"]);
        assert_eq!(proof.groups.iter().map(|s| &**s).collect::<Vec<_>>(), ["staff"]);
        assert_eq!(proof.expires, Some(house.now() + 600));
        assert!(proof.revocable.contains(&Revocable::Token(server.url.clone(), "1".into())));
        assert!(house.remembers(&token), "{alg:?}");
    }
}

#[tokio::test]
async fn a_token_without_a_signature_is_refused() {
    let (server, key, house) = trusted(Alg::Rs256).await;
    let good = token(&key, &house.claims(&server.url));
    house.proof(&good).await;
    let claims = part(&house.claims(&server.url));
    for alg in ["none", "None", "nOnE", "NONE", "", "RS256"] {
        let header = part(&json!({ "alg": alg, "typ": "at+jwt", "kid": "k" }));
        let own = good.rsplit('.').next().expect("a signature");
        for signature in ["", "AA", own] {
            let forged = format!("{header}.{claims}.{signature}");
            // With its own signature and its own algorithm it is another spelling of a good token
            // only if the signed bytes are the same.
            if forged != good {
                assert!(is_invalid(&house.verify(&forged).await), "{alg} {signature}");
            }
        }
        assert!(is_invalid(&house.verify(&format!("{header}.{claims}")).await));
    }
    assert!(house.remembers(&good));
}

#[tokio::test]
async fn a_public_key_is_no_shared_secret() {
    use aws_lc_rs::hmac;
    for alg in ALGORITHMS {
        let (server, key, house) = trusted(alg).await;
        let jwk = key.public_jwk();
        let set = KeySet::from_signing(&[&key]).to_json();
        let number = jwk.get("n").or_else(|| jwk.get("x")).and_then(Value::as_str);
        let raw = URL_SAFE_NO_PAD.decode(number.expect("a key")).expect("base64url");
        for secret in [jwk.to_string().into_bytes(), set.to_string().into_bytes(), raw, vec![]] {
            let header = part(&json!({ "alg": "HS256", "typ": "at+jwt", "kid": "k" }));
            let signed = format!("{header}.{}", part(&house.claims(&server.url)));
            let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), signed.as_bytes());
            let forged = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.as_ref()));
            assert!(is_invalid(&house.verify(&forged).await), "{alg:?}");
        }
    }
}

#[tokio::test]
async fn a_key_that_a_token_brings_along_is_not_used_nor_fetched() {
    for alg in ALGORITHMS {
        let (server, good, house) = trusted(alg).await;
        house.proof(&token(&good, &house.claims(&server.url))).await;
        let evil = key("evil", alg);
        server
            .answer("/evil", crate::server::Reply::json(&KeySet::from_signing(&[&evil]).to_json()));
        let there = format!("{}/evil", server.url);
        for brought in [
            json!({ "jwk": evil.public_jwk() }),
            json!({ "jku": there }),
            json!({ "x5u": there }),
            json!({ "x5c": ["MIIB"] }),
            json!({ "jwk": evil.public_jwk(), "kid": "k" }),
            json!({ "jku": there, "kid": "k" }),
        ] {
            let forged = resigned(&evil, &house.claims(&server.url), &brought);
            assert!(is_invalid(&house.verify(&forged).await), "{alg:?} {brought}");
        }
        assert_eq!(server.count("/evil"), 0);
    }
}

/// A token whose header has more in it: signed for that very header only where the algorithm is
/// ES256, whose key can be used here directly; else with the signature of another header.
fn resigned(key: &SigningKey, claims: &Value, more: &Value) -> String {
    let mut header = json!({ "alg": key.alg().name(), "typ": "at+jwt", "kid": key.kid() });
    for (name, value) in more.as_object().expect("members") {
        header[name] = value.clone();
    }
    let signed = format!("{}.{}", part(&header), part(claims));
    let random = aws_lc_rs::rand::SystemRandom::new();
    let signature = match key.alg() {
        Alg::Es256 => {
            use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.pkcs8());
            pair.expect("a key").sign(&random, signed.as_bytes()).expect("signs").as_ref().to_vec()
        }
        Alg::EdDsa => {
            use aws_lc_rs::signature::Ed25519KeyPair;
            let pair = Ed25519KeyPair::from_pkcs8(key.pkcs8()).expect("a key");
            pair.sign(signed.as_bytes()).as_ref().to_vec()
        }
        _ => {
            use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
            let pair = RsaKeyPair::from_pkcs8(key.pkcs8()).expect("a key");
            let mut signature = vec![0; pair.public_modulus_len()];
            let signed = pair.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature);
            signed.expect("signs");
            signature
        }
    };
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[tokio::test]
async fn a_header_that_asks_for_what_is_not_done_is_refused() {
    for alg in ALGORITHMS {
        let (server, key, house) = trusted(alg).await;
        let claims = house.claims(&server.url);
        assert!(house.verify(&resigned(&key, &claims, &json!({}))).await.is_ok());
        for more in [
            json!({ "crit": ["exp"] }),
            json!({ "crit": [] }),
            json!({ "b64": false, "crit": ["b64"] }),
            json!({ "zip": "DEF" }),
            json!({ "enc": "A256GCM" }),
            json!({ "cty": "JWT" }),
            json!({ "kid": "../../dev/null" }),
            json!({ "kid": "' OR 1=1 --" }),
            json!({ "kid": "http://127.0.0.1/keys" }),
            json!({ "kid": "k".repeat(10_000) }),
            json!({ "kid": 1 }),
            json!({ "kid": ["k"] }),
            json!({ "alg": "ES384" }),
            json!({ "alg": ["ES256"] }),
            json!({ "typ": 1 }),
        ] {
            assert!(is_invalid(&house.verify(&resigned(&key, &claims, &more)).await), "{more}");
        }
    }
}

#[tokio::test]
async fn a_token_out_of_its_time_or_without_an_end_is_refused() {
    for alg in ALGORITHMS {
        let (server, key, house) = trusted(alg).await;
        let now = house.now();
        for good in [
            json!({ "exp": now - 29 }),
            json!({ "nbf": now + 30 }),
            json!({ "iat": now + 30 }),
            json!({ "iat": null }),
            json!({ "exp": now as f64 + 0.5 }),
        ] {
            let token = token(&key, &house.claims_but(&server.url, &good));
            assert!(house.verify(&token).await.is_ok(), "{good}");
        }
        for bad in [
            json!({ "exp": now - 31 }),
            json!({ "exp": now - 30 }),
            json!({ "nbf": now + 31 }),
            json!({ "iat": now + 31 }),
            json!({ "exp": null }),
            json!({ "exp": "9999999999" }),
            json!({ "exp": -1 }),
            json!({ "exp": true }),
            json!({ "exp": [now + 600] }),
            json!({ "exp": 1e300 }),
            json!({ "nbf": "9" }),
            json!({ "nbf": {} }),
            json!({ "iat": "now" }),
        ] {
            let token = token(&key, &house.claims_but(&server.url, &bad));
            assert!(is_invalid(&house.verify(&token).await), "{alg:?} {bad}");
        }
        for raw in ["1e400", "null", "-1", "\"9999999999\"", "01"] {
            let claims = house.claims_but(&server.url, &json!({ "exp": "RAW" }));
            let raw = claims.to_string().replace("\"RAW\"", raw);
            let signed =
                format!("{}.{}", part(&json!({ "alg": "ES256" })), URL_SAFE_NO_PAD.encode(raw));
            assert!(is_invalid(&house.verify(&format!("{signed}.AA")).await));
        }
    }
}

#[tokio::test]
async fn a_token_that_is_remembered_ends_when_it_expires() {
    let (server, key, house) = trusted(Alg::Es256).await;
    let token = token(&key, &house.claims_but(&server.url, &json!({ "exp": house.now() + 20 })));
    house.proof(&token).await;
    house.advance_secs(19);
    assert!(house.remembers(&token));
    house.advance_secs(1);
    assert!(!house.remembers(&token));
    house.advance_secs(30);
    assert!(is_invalid(&house.verify(&token).await));
}

#[tokio::test]
async fn a_token_for_anything_but_exactly_this_resource_is_refused() {
    for alg in ALGORITHMS {
        let (server, key, house) = trusted(alg).await;
        for good in [
            json!(RESOURCE),
            json!([RESOURCE]),
            json!(["https://other.example", RESOURCE]),
            json!("https://GW.example.com/mcp"),
            json!("HTTPS://gw.example.com:443/mcp"),
        ] {
            let token = token(&key, &house.claims_but(&server.url, &json!({ "aud": good })));
            assert!(house.verify(&token).await.is_ok(), "{good}");
        }
        for bad in [
            json!(null),
            json!([]),
            json!("https://other.example/mcp"),
            json!("https://gw.example.com.evil/mcp"),
            json!("https://gw.example.com"),
            json!("https://gw.example.com/"),
            json!("https://gw.example.com/mcp/"),
            json!("https://gw.example.com/mcp2"),
            json!("https://gw.example.com/mcp?x"),
            json!("https://gw.example.com/MCP"),
            json!("https://gw.example.com/%6dcp"),
            json!("https://gw.example.com/other/../mcp"),
            json!("http://gw.example.com/mcp"),
            json!("https://gw.example.com:8443/mcp"),
            json!("https://user@gw.example.com/mcp"),
            json!("https://gw.example.com/mcp#f"),
            json!(" https://gw.example.com/mcp"),
            json!("https://gw.example.com/mcp\u{0}"),
            json!("gw.example.com/mcp"),
            json!(["https://gw.example.com", "/mcp"]),
            json!([RESOURCE, 1]),
            json!({ "aud": RESOURCE }),
            json!(1),
        ] {
            let token = token(&key, &house.claims_but(&server.url, &json!({ "aud": bad })));
            assert!(is_invalid(&house.verify(&token).await), "{alg:?} {bad}");
        }
    }
}

#[tokio::test]
async fn audiences_the_operator_named_count_byte_for_byte() {
    let (server, key, _) = trusted(Alg::Es256).await;
    let audiences = vec![String::from("api://gate")];
    let house = House::with(vec![IssuerSettings { audiences, ..jwt("as", &server) }]);
    let with = |aud: &str| token(&key, &house.claims_but(&server.url, &json!({ "aud": aud })));
    assert!(house.verify(&with("api://gate")).await.is_ok());
    for other in ["api://gate/", "API://gate", "api://gate2", "api://gat", "*", ""] {
        assert!(is_invalid(&house.verify(&with(other)).await), "{other}");
    }
}

#[tokio::test]
async fn a_key_speaks_for_its_own_issuer_only() {
    for alg in ALGORITHMS {
        let (one, two) = (Server::start().await, Server::start().await);
        // The same key id at both.
        let (key_of_one, key_of_two) = (key("k", alg), key("k", alg));
        one.publish(&[&key_of_one]);
        two.publish(&[&key_of_two]);
        let house = House::with(vec![jwt("one", &one), jwt("two", &two)]);
        for (issuer, own, others) in
            [(&one, &key_of_one, &key_of_two), (&two, &key_of_two, &key_of_one)]
        {
            let claims = house.claims(&issuer.url);
            assert!(house.verify(&token(own, &claims)).await.is_ok());
            assert!(is_invalid(&house.verify(&token(others, &claims)).await));
        }
    }
}

#[tokio::test]
async fn an_issuer_is_known_by_its_exact_name() {
    let (server, key, house) = trusted(Alg::EdDsa).await;
    for iss in [
        json!(format!("{}/", server.url)),
        json!(server.url.to_uppercase()),
        json!(server.url.replace("127.0.0.1", "localhost")),
        json!([server.url]),
        json!(1),
        json!(null),
        json!(""),
    ] {
        let token = token(&key, &house.claims_but(&server.url, &json!({ "iss": iss })));
        assert!(is_invalid(&house.verify(&token).await), "{iss}");
    }
    assert_eq!(server.paths(), Vec::<String>::new(), "nobody asked for keys for these");
}

#[tokio::test]
async fn a_door_takes_tokens_of_its_own_issuers_only() {
    let (server, key, _) = trusted(Alg::Es256).await;
    let other = Server::start().await;
    let mut house = House::with(vec![jwt("as", &server), jwt("other", &other)]);
    house.doors[0].issuers = vec![String::from("other")];
    house.rebuild().expect("settings");
    assert!(is_invalid(&house.verify(&token(&key, &house.claims(&server.url))).await));
}

#[tokio::test]
async fn only_access_tokens_give_access() {
    for alg in ALGORITHMS {
        let (server, key, house) = trusted(alg).await;
        let claims = house.claims(&server.url);
        for typ in ["at+jwt", "AT+JWT", "application/at+jwt"] {
            assert!(house.verify(&key.sign(typ, &claims).expect("a token")).await.is_ok(), "{typ}");
        }
        for typ in [
            "JWT",
            "",
            "jwt",
            "at+jwt2",
            "xat+jwt",
            "logout+jwt",
            "oauth-id-jag+jwt",
            "session+jwt",
            "client-authentication+jwt",
            "rt+jwt",
            "token-introspection+jwt",
            "dpop+jwt",
        ] {
            let token = key.sign(typ, &claims).expect("a token");
            assert!(is_invalid(&house.verify(&token).await), "{alg:?} {typ}");
        }
    }
}

#[tokio::test]
async fn where_the_type_is_not_told_id_tokens_and_the_like_are_still_refused() {
    for alg in ALGORITHMS {
        let (server, key, house) = lenient(alg).await;
        let jwt = |changes: Value| {
            key.sign("JWT", &house.claims_but(&server.url, &changes)).expect("a token")
        };
        for good in [
            json!({}),
            json!({ "typ": "Bearer" }),
            json!({ "typ": "Bearer", "nonce": "n" }),
            json!({ "token_use": "access" }),
        ] {
            assert!(house.verify(&jwt(good.clone())).await.is_ok(), "{good}");
        }
        for bad in [
            json!({ "nonce": "n" }),
            json!({ "at_hash": "h" }),
            json!({ "c_hash": "h", "typ": "Bearer" }),
            json!({ "events": { "http://schemas.openid.net/event/backchannel-logout": {} } }),
            json!({ "typ": "ID" }),
            json!({ "typ": "Refresh" }),
            json!({ "typ": 1 }),
            json!({ "token_use": "id" }),
            json!({ "token_use": ["access"] }),
        ] {
            assert!(is_invalid(&house.verify(&jwt(bad.clone())).await), "{alg:?} {bad}");
        }
        for typ in ["logout+jwt", "oauth-id-jag+jwt", "dpop+jwt", "rt+jwt"] {
            let token = key.sign(typ, &house.claims(&server.url)).expect("a token");
            assert!(is_invalid(&house.verify(&token).await), "{typ}");
        }
    }
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    let (server, key, house) = trusted(Alg::Es256).await;
    let good = token(&key, &house.claims(&server.url));
    let (header, rest) = good.split_once('.').expect("parts");
    let (claims, signature) = rest.split_once('.').expect("parts");
    let twice = |raw: &str| {
        let claims = house.claims(&server.url).to_string();
        let claims = format!("{{{raw},{}", &claims[1..]);
        format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(claims))
    };
    for bad in [
        String::from("."),
        String::from(".."),
        String::from("x"),
        String::from("тoken"),
        format!("{good}."),
        format!("{good}.a.b"),
        format!("{good}="),
        format!(" {good}"),
        format!("{good}\n"),
        format!("{header}.{claims}.{signature}A"),
        format!("{header}.{claims}.{}", &signature[1..]),
        format!("{header}..{signature}"),
        twice(r#""sub":"root""#),
        twice(r#""aud":"https://gw.example.com/mcp""#),
        "a".repeat(64 * 1024),
        format!("{header}.{}.{signature}", "a".repeat(64 * 1024)),
        format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode("[".repeat(9_000))),
    ] {
        assert!(is_invalid(&house.verify(&bad).await), "{:.60}", bad);
    }
    assert!(matches!(house.verify("").await, Err(Denied::Malformed { .. })));
    assert!(house.verify(&good).await.is_ok());
}

#[tokio::test]
async fn scopes_are_split_at_single_spaces_and_nothing_else() {
    for alg in ALGORITHMS {
        let (server, key, mut house) = trusted(alg).await;
        house.doors[0].scopes = vec![String::from("admin"), String::from("read")];
        house.rebuild().expect("settings");
        for good in [json!("admin read"), json!(["read", "admin"]), json!("read x admin")] {
            let token = token(&key, &house.claims_but(&server.url, &json!({ "scope": good })));
            assert!(house.verify(&token).await.is_ok(), "{good}");
        }
        let needed = Denied::Insufficient { scopes: house.doors[0].scopes.clone() };
        for short in
            [json!("read"), json!("admin:x read"), json!("ADMIN read"), json!(""), json!([])]
        {
            let token = token(&key, &house.claims_but(&server.url, &json!({ "scope": short })));
            assert_eq!(house.verify(&token).await, Err(needed.clone()), "{short}");
        }
        for bad in [
            json!("read\u{a0}admin"),
            json!("read\tadmin"),
            json!("admin\nread"),
            json!(["admin read"]),
            json!(["admin", 1]),
            json!({ "admin": true }),
            json!("\"admin\" read"),
        ] {
            let token = token(&key, &house.claims_but(&server.url, &json!({ "scope": bad })));
            assert!(is_invalid(&house.verify(&token).await), "{bad}");
        }
    }
}

#[tokio::test]
async fn an_agent_for_itself_never_is_a_person_of_the_same_name() {
    let (server, key, house) = trusted(Alg::EdDsa).await;
    let user = async |changes: Value| {
        let proof = house.proof(&token(&key, &house.claims_but(&server.url, &changes))).await;
        (proof.user.as_deref().map(str::to_owned), proof.client.to_string())
    };
    let of = |user: Option<&str>, client: &str| (user.map(str::to_owned), client.to_owned());
    assert_eq!(user(json!({ "sub": "alice", "client_id": "alice" })).await, of(None, "alice"));
    assert_eq!(user(json!({ "sub": "agent@clients" })).await, of(None, "agent"));
    assert_eq!(user(json!({ "idtyp": "app" })).await, of(None, "agent"));
    assert_eq!(user(json!({ "gty": "client-credentials" })).await, of(None, "agent"));
    assert_eq!(user(json!({ "sub": "other@clients" })).await, of(Some("other@clients"), "agent"));
    assert_eq!(user(json!({ "client_id": null, "azp": "app" })).await, of(Some("alice"), "app"));
    for nameless in
        [json!({ "client_id": null }), json!({ "client_id": "" }), json!({ "sub": null })]
    {
        let token = token(&key, &house.claims_but(&server.url, &nameless));
        assert!(is_invalid(&house.verify(&token).await), "{nameless}");
    }
}

#[tokio::test]
async fn a_chain_of_delegation_is_read_and_bounded() {
    let (server, key, house) = trusted(Alg::Es256).await;
    let act = json!({ "act": { "sub": "second", "act": { "sub": "first" } } });
    let proof = house.proof(&token(&key, &house.claims_but(&server.url, &act))).await;
    assert_eq!(proof.actors.iter().map(|a| &**a).collect::<Vec<_>>(), ["second", "first"]);
    let long = (0..9).fold(json!({ "sub": "a" }), |act, _| json!({ "sub": "a", "act": act }));
    for bad in [long, json!("second"), json!({ "act": {} })] {
        let token = token(&key, &house.claims_but(&server.url, &json!({ "act": bad })));
        assert!(is_invalid(&house.verify(&token).await), "{bad}");
    }
}

#[tokio::test]
async fn groups_are_found_where_the_operator_says() {
    let (server, key, _) = trusted(Alg::Es256).await;
    let mut settings = jwt("as", &server);
    settings.claims.groups = Some(String::from("realm_access.roles"));
    let house = House::with(vec![settings]);
    let roles = json!({ "realm_access": { "roles": ["b", "a", "b"] } });
    let proof = house.proof(&token(&key, &house.claims_but(&server.url, &roles))).await;
    assert_eq!(proof.groups.iter().map(|g| &**g).collect::<Vec<_>>(), ["a", "b"]);
    let many: Vec<String> = (0..1_025).map(|number| number.to_string()).collect();
    for bad in [json!({ "roles": many }), json!({ "roles": [1] }), json!({ "roles": {} })] {
        let token = token(&key, &house.claims_but(&server.url, &json!({ "realm_access": bad })));
        assert!(is_invalid(&house.verify(&token).await));
    }
}

#[tokio::test]
async fn a_proof_has_all_claims_as_they_were_verified_unless_they_are_too_large() {
    let (server, key, house) = trusted(Alg::Es256).await;
    let more = json!({ "tier": "gold", "quota": { "seats": [1, 2.5, null] } });
    let claims = house.claims_but(&server.url, &more);
    let proof = house.proof(&token(&key, &claims)).await;
    let kept: Value = serde_json::from_str(proof.claims.as_deref().expect("claims")).expect("JSON");
    assert_eq!(kept, claims);
    let long = json!({ "tier": "x".repeat(8 * 1024) });
    let proof = house.proof(&token(&key, &house.claims_but(&server.url, &long))).await;
    assert_eq!(proof.claims, None);
}

#[tokio::test]
async fn who_forges_does_not_learn_which_keys_there_are() {
    let (server, key, house) = trusted(Alg::Es256).await;
    let claims = house.claims(&server.url);
    house.proof(&token(&key, &claims)).await;
    let (known, unknown) = (crate::house::key("k", Alg::Es256), crate::house::key("x", Alg::Es256));
    let told = house.verify(&token(&known, &claims)).await;
    assert!(is_invalid(&told));
    assert_eq!(told, house.verify(&token(&unknown, &claims)).await);
}

#[tokio::test]
async fn the_gates_own_tokens_are_verified_with_its_own_keys() {
    let (old, new) = (key("old", Alg::Es256), key("new", Alg::EdDsa));
    let shared = SharedKeys::new(KeySet::from_signing(&[&old]));
    let url = String::from("https://gw.example.com");
    let mut house = House::with(vec![]);
    house.settings.issuers = vec![issuer("own", &url, TokenSettings::Own)];
    house.sources = Sources { own: Some((url.clone(), shared.clone())), ..house.sources.clone() };
    house.rebuild().expect("settings");
    house.verifier.start_background();
    let claims = house.claims_but(&url, &json!({ "grant": "g1" }));
    let first = token(&old, &claims);
    let proof = house.proof(&first).await;
    assert!(proof.revocable.contains(&Revocable::Grant(String::from("g1"))));
    assert!(is_invalid(&house.verify(&old.sign("JWT", &claims).expect("a token")).await));
    let second = token(&new, &claims);
    assert!(is_invalid(&house.verify(&second).await));

    shared.store(KeySet::from_signing(&[&new]));
    let seen = || async { house.verify(&second).await.is_ok() };
    crate::house::until("the new key counts although its token was refused before", seen).await;
    assert!(!house.remembers(&first));
    assert!(is_invalid(&house.verify(&first).await));
}

#[tokio::test]
async fn a_door_says_what_it_is() {
    let (server, _, mut house) = trusted(Alg::Es256).await;
    house.doors[0].scopes = vec![String::from("read")];
    house.doors[0].offered = vec!["write".into(), "read".into(), "offline_access".into()];
    house.rebuild().expect("settings");
    let facts = house.verifier.door(FRONT);
    let metadata: Value = serde_json::from_slice(&facts.metadata).expect("JSON");
    let expected = json!({
        "resource": RESOURCE,
        "authorization_servers": [server.url],
        "scopes_supported": ["read", "write"],
        "bearer_methods_supported": ["header"],
    });
    assert_eq!(metadata, expected);
    assert_eq!(facts.metadata_path, "/.well-known/oauth-protected-resource/mcp");
    let url = "https://gw.example.com/.well-known/oauth-protected-resource/mcp";
    assert_eq!(facts.metadata_url, url);
}

#[tokio::test]
async fn settings_that_contradict_themselves_do_not_start() {
    let server = Server::start().await;
    let build = |issuers: Vec<IssuerSettings>, change: &dyn Fn(&mut House)| {
        let mut house = House::with(vec![]);
        house.settings.issuers = issuers;
        change(&mut house);
        Verifier::build(&house.settings, &house.doors, &house.sources, None).map(drop)
    };
    assert_eq!(build(vec![jwt("as", &server)], &|_| ()), Ok(()));
    assert!(build(vec![jwt("as", &server), jwt("same", &server)], &|_| ()).is_err());
    assert!(build(vec![issuer("own", "https://gw", TokenSettings::Own)], &|_| ()).is_err());
    let lost = |house: &mut House| house.doors[0].issuers = vec![String::from("nobody")];
    assert!(build(vec![jwt("as", &server)], &lost).is_err());
    let bad = |house: &mut House| house.doors[0].resource = String::from("gw.example.com/mcp");
    assert!(build(vec![jwt("as", &server)], &bad).is_err());
    let nowhere = IssuerSettings { url: String::from("as.example"), ..jwt("as", &server) };
    assert!(build(vec![nowhere], &|_| ()).is_err());
    let no_ca = IssuerSettings { ca: Some("/nonexistent.pem".into()), ..jwt("as", &server) };
    assert!(build(vec![no_ca], &|_| ()).is_err());
}
