//! Bad tokens, each bad in one way and otherwise as good as can be: signed with the right key where
//! the signature is not what is wrong. All are tried with keys of four algorithms.

use crate::signer::{ALGS, Signer};
use aws_lc_rs::hmac;
use serde_json::{Value, json};
use tollgate_oauth::base64url;
use tollgate_oauth::jwt::{Jwt, JwtFault};
use tollgate_oauth::keys::{Alg, KeySet};

const CLAIMS: &str = r#"{"iss":"https://as.example","sub":"user:1","aud":"https://gate.example/mcp","exp":2000,"iat":1000,"nbf":1000,"jti":"t1"}"#;

/// What must be said of a bad token.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bad {
    Malformed,
    Algorithm,
    KeyUnknown,
    Signature,
    Claim(&'static str),
}

struct Row {
    name: String,
    token: String,
    bad: Bad,
}

/// Rows for one key.
struct Table {
    signer: Signer,
    /// Has another key.
    stranger: Signer,
    rows: Vec<Row>,
}

impl Table {
    fn new(alg: Alg) -> Self {
        let (signer, stranger) = (Signer::new(alg, "key"), Signer::another(alg, "other"));
        Self { signer, stranger, rows: Vec::new() }
    }

    fn add(&mut self, name: impl Into<String>, bad: Bad, token: impl Into<String>) {
        self.rows.push(Row { name: name.into(), token: token.into(), bad });
    }

    fn good(&self) -> String {
        self.signer.token(&format!("{{{}}}", self.signer.naming()), CLAIMS)
    }

    /// A signed token with this in its header besides `alg` and `kid`.
    fn add_header(&mut self, bad: Bad, more: &str) {
        let header = format!("{{{},{more}}}", self.signer.naming());
        let token = self.signer.token(&header, CLAIMS);
        self.add(format!("header {more:.60}"), bad, token);
    }

    /// A signed token with this header.
    fn add_whole_header(&mut self, bad: Bad, header: &str) {
        let token = self.signer.token(header, CLAIMS);
        self.add(format!("whole header {header:.60}"), bad, token);
    }

    /// A signed token with these claims.
    fn add_payload(&mut self, bad: Bad, payload: &str) {
        let header = format!("{{{}}}", self.signer.naming());
        let token = self.signer.token(&header, payload);
        self.add(format!("payload {payload:.60}"), bad, token);
    }

    /// A signed token with one claim changed.
    fn add_claim(&mut self, name: &'static str, value: &str) {
        let claims: Value = serde_json::from_str(CLAIMS).expect("claims");
        let members = claims.as_object().expect("an object").iter();
        let members = members.filter(|(member, _)| *member != name);
        let members: Vec<String> =
            members.map(|(name, value)| format!("{name:?}:{value}")).collect();
        let payload = format!("{{{},{name:?}:{value}}}", members.join(","));
        // What is no number of JSON is no JSON.
        let bad = match value {
            "1e400" | "-1e400" | "NaN" | "Infinity" | "0x10" => Bad::Malformed,
            _ => Bad::Claim(name),
        };
        self.add_payload(bad, &payload);
    }

    fn keys(&self) -> KeySet {
        KeySet::from_signing(&[&self.signer.key])
    }
}

/// Everything this crate says about a token, in the order a verifier asks it.
fn judged(token: &str, keys: &KeySet, alg: Alg) -> Result<(), JwtFault> {
    let token = Jwt::read(token)?;
    token.verify(keys, &[alg])?;
    let claims = token.claims();
    for name in ["iss", "sub", "jti"] {
        claims.text(name)?.ok_or_else(|| JwtFault::claim(name, "is missing"))?;
    }
    claims.time("exp")?.ok_or_else(|| JwtFault::claim("exp", "is missing"))?;
    claims.time("nbf")?;
    claims.time("iat")?;
    claims.texts("aud")?.ok_or_else(|| JwtFault::claim("aud", "is missing"))?;
    Ok(())
}

fn refused_as(fault: &JwtFault) -> Bad {
    match fault {
        JwtFault::Malformed(_) => Bad::Malformed,
        JwtFault::Algorithm => Bad::Algorithm,
        JwtFault::KeyUnknown => Bad::KeyUnknown,
        JwtFault::Signature => Bad::Signature,
        JwtFault::Claim { name, .. } => {
            let known = ["iss", "sub", "jti", "exp", "nbf", "iat", "aud"];
            Bad::Claim(known.into_iter().find(|it| it == name).expect("a claim that was asked for"))
        }
    }
}

#[test]
fn every_bad_token_is_refused_for_what_is_bad_about_it() {
    for alg in ALGS {
        let mut table = Table::new(alg);
        shapes(&mut table);
        signatures(&mut table);
        algorithms(&mut table);
        shared_secrets(&mut table);
        headers(&mut table);
        keys_brought_along(&mut table);
        payloads(&mut table);
        claims(&mut table);
        let keys = table.keys();
        assert_eq!(judged(&table.good(), &keys, alg), Ok(()), "{alg:?}: the good one");
        assert!(table.rows.len() >= 300, "{} rows", table.rows.len());
        for Row { name, token, bad } in &table.rows {
            let judged = judged(token, &keys, alg);
            let fault = judged.expect_err(&format!("{alg:?}: {name} is taken"));
            assert_eq!(refused_as(&fault), *bad, "{alg:?}: {name}: {fault}");
            let shown = format!("{fault} {fault:?}");
            assert!(!shown.contains("user:1") && !shown.contains("eyJ"), "{name} shows {shown}");
        }
    }
}

/// What is not three parts of base64url.
fn shapes(table: &mut Table) {
    let good = table.good();
    let parts: Vec<&str> = good.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("three parts") };
    let long = "x".repeat(16 * 1024);
    let wide = format!(r#"{{"pad":"{long}"}}"#);
    let tokens = [
        ("nothing", String::new()),
        ("a dot", ".".to_owned()),
        ("two dots", "..".to_owned()),
        ("two parts", format!("{header}.{claims}")),
        ("one part", header.to_owned()),
        ("an empty signature", format!("{header}.{claims}.")),
        ("four parts", format!("{good}.{signature}")),
        ("an empty fourth part", format!("{good}.")),
        ("five parts, as a JWE", format!("{header}.{signature}.{signature}.{claims}.{signature}")),
        ("no header", format!(".{claims}.{signature}")),
        ("no claims", format!("{header}..{signature}")),
        ("a space before", format!(" {good}")),
        ("a space after", format!("{good} ")),
        ("a line end after", format!("{good}\n")),
        ("a NUL after", format!("{good}\0")),
        ("a scheme before", format!("Bearer {good}")),
        ("a comma between two", format!("{good},{good}")),
        ("padding after the header", format!("{header}=.{claims}.{signature}")),
        ("padding after the claims", format!("{header}.{claims}==.{signature}")),
        ("padding after the signature", format!("{good}==")),
        ("a line end within", format!("{header}.{}\n{}.{signature}", &claims[..8], &claims[8..])),
        ("the other alphabet", format!("{header}.{claims}.+/{}", &signature[2..])),
        ("an escaped dot", good.replacen('.', "%2E", 1)),
        ("a wide dot", good.replacen('.', "\u{ff0e}", 1)),
        ("a letter that is none of ASCII", good.replacen('e', "\u{435}", 1)),
        ("JSON serialisation", json!({ "payload": claims, "signature": signature }).to_string()),
        ("too long", table.signer.token(&format!("{{{}}}", table.signer.naming()), &wide)),
        ("much too long", "a.".repeat(1 << 20)),
    ];
    for (name, token) in tokens {
        table.add(name, Bad::Malformed, token);
    }
    table.add("loose bits at its end", Bad::Malformed, loosened(&good));
}

/// The same bytes in another text: the last character carries bits that say nothing.
fn loosened(token: &str) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (rest, last) = token.split_at(token.len() - 1);
    let at = LETTERS.iter().position(|letter| [*letter] == last.as_bytes()).expect("a letter");
    format!("{rest}{}", char::from(LETTERS[at + 1]))
}

/// Signatures that are not the key's.
fn signatures(table: &mut Table) {
    let good = table.good();
    let (text, encoded) = good.rsplit_once('.').expect("a signature");
    let signature = base64url::decode(encoded).expect("base64url");
    let half = signature.len() / 2;
    let with = |bytes: &[u8]| format!("{text}.{}", base64url::encode(bytes));
    let tokens = [
        ("of another key", table.stranger.signed(text)),
        ("of another text", with(&table.signer.signature(b"another text"))),
        ("of the claims alone", with(&table.signer.signature(CLAIMS.as_bytes()))),
        ("one byte short", with(&signature[1..])),
        ("one byte short at the end", with(&signature[..signature.len() - 1])),
        ("one byte long", with(&[&signature[..], &[0]].concat())),
        ("a zero before", with(&[&[0], &signature[..]].concat())),
        ("twice", with(&signature.repeat(2))),
        ("halves swapped", with(&[&signature[half..], &signature[..half]].concat())),
        ("zeros", with(&vec![0; signature.len()])),
        ("ones", with(&vec![0xff; signature.len()])),
        ("one", with(&[&vec![0; signature.len() - 1][..], &[1]].concat())),
        ("a byte", with(&[0])),
        ("the text itself", with(text.as_bytes())),
        (
            "DER",
            with(
                &[&[0x30, 0x44, 2, 0x20], &signature[..32], &[2, 0x20], &signature[32..64]]
                    .concat(),
            ),
        ),
        ("8 KiB", with(&vec![1; 8 * 1024])),
    ];
    for (name, token) in tokens {
        table.add(format!("signature: {name}"), Bad::Signature, token);
    }
    let (header, claims) = text.split_once('.').expect("two parts");
    let other = base64url::encode(CLAIMS.replace("user:1", "user:2").as_bytes());
    table.add("claims exchanged", Bad::Signature, format!("{header}.{other}.{encoded}"));
    let other =
        base64url::encode(format!("{{{},\"typ\":\"x\"}}", table.signer.naming()).as_bytes());
    table.add("header exchanged", Bad::Signature, format!("{other}.{claims}.{encoded}"));
}

/// Algorithms that may not be used.
fn algorithms(table: &mut Table) {
    let names = [
        "none", "None", "NONE", "nOnE", "none ", "", "HS256", "HS384", "HS512", "hs256", "ES256K",
        "ES512", "RS1", "dir", "A256KW", "RSA-OAEP", "Ed448", "rs256", "es256", "eddsa", "RS256 ",
        "\\u0000", "null",
    ];
    for name in names {
        let header = format!(r#"{{"alg":"{name}","kid":"key"}}"#);
        table.add_whole_header(Bad::Algorithm, &header);
        let unsigned = format!(
            "{}.{}.",
            base64url::encode(header.as_bytes()),
            base64url::encode(CLAIMS.as_bytes())
        );
        table.add(format!("algorithm {name:?} and no signature"), Bad::Algorithm, unsigned);
    }
    let own = table.signer.alg;
    for alg in Alg::ALL.into_iter().filter(|alg| *alg != own) {
        table.add_whole_header(
            Bad::Algorithm,
            &format!(r#"{{"alg":"{}","kid":"key"}}"#, alg.name()),
        );
    }
    for alg in ["null", "1", "true", "[]", r#"["RS256"]"#, "{}"] {
        table.add_whole_header(Bad::Malformed, &format!(r#"{{"alg":{alg},"kid":"key"}}"#));
    }
    table.add_whole_header(Bad::Malformed, r#"{"kid":"key"}"#);
    table.add_whole_header(Bad::Malformed, r#"{"Alg":"RS256","kid":"key"}"#);
}

/// The public key, in every form, as a shared secret.
fn shared_secrets(table: &mut Table) {
    let jwk = table.signer.key.public_jwk();
    let numbers = ["n", "e", "x", "y"].iter().filter_map(|name| jwk[name].as_str());
    let mut secrets: Vec<Vec<u8>> = numbers.clone().map(|text| text.as_bytes().to_vec()).collect();
    secrets.extend(numbers.filter_map(base64url::decode));
    let set = table.keys().to_json();
    secrets.extend([jwk.to_string().into_bytes(), set.to_string().into_bytes(), Vec::new()]);
    for (name, algorithm) in
        [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)]
    {
        for secret in &secrets {
            let header = format!(r#"{{"alg":"{name}","kid":"key"}}"#);
            let text = format!(
                "{}.{}",
                base64url::encode(header.as_bytes()),
                base64url::encode(CLAIMS.as_bytes())
            );
            let tag = hmac::sign(&hmac::Key::new(algorithm, secret), text.as_bytes());
            let token = format!("{text}.{}", base64url::encode(tag.as_ref()));
            table.add(
                format!("{name} with a secret of {} bytes", secret.len()),
                Bad::Algorithm,
                token,
            );
            // The same under the name of the key's own algorithm.
            let header = format!("{{{}}}", table.signer.naming());
            let text = format!(
                "{}.{}",
                base64url::encode(header.as_bytes()),
                base64url::encode(CLAIMS.as_bytes())
            );
            let tag = hmac::sign(&hmac::Key::new(algorithm, secret), text.as_bytes());
            let token = format!("{text}.{}", base64url::encode(tag.as_ref()));
            table.add(format!("{name} under another name"), Bad::Signature, token);
        }
    }
}

/// Headers that ask for something else, or cannot be read.
fn headers(table: &mut Table) {
    for more in [
        r#""crit":[]"#,
        r#""crit":["exp"]"#,
        r#""crit":["b64"],"b64":false"#,
        r#""crit":null"#,
        r#""b64":false"#,
        r#""b64":true"#,
        r#""zip":"DEF""#,
        r#""enc":"A256GCM""#,
        r#""cty":"JWT""#,
        r#""cty":"application/jwt""#,
        r#""cty":1"#,
        r#""typ":1"#,
        r#""typ":null"#,
        r#""typ":["at+jwt"]"#,
        r#""alg":"none""#,
        r#""kid":"key""#,
        r#""\u0061lg":"none""#,
        r#""x":{"a":1,"a":1}"#,
    ] {
        table.add_header(Bad::Malformed, more);
    }
    let (alg, deep) = (table.signer.alg.name(), "[".repeat(17) + &"]".repeat(17));
    table.add_header(Bad::Malformed, &format!(r#""x":{deep}"#));
    for kid in ["1", "null", "[]", "[\"key\"]", "{}", "true"] {
        table.add_whole_header(Bad::Malformed, &format!(r#"{{"alg":"{alg}","kid":{kid}}}"#));
    }
    let long = "k".repeat(513);
    table.add_whole_header(Bad::Malformed, &format!(r#"{{"alg":"{alg}","kid":"{long}"}}"#));
    for kid in [
        "",
        " ",
        "KEY",
        "key ",
        "other",
        "../../dev/null",
        "key' OR '1'='1",
        "https://evil.example/k",
        "key\\u0000",
        "file:///dev/null",
        "|id",
        "0",
    ] {
        table.add_whole_header(Bad::KeyUnknown, &format!(r#"{{"alg":"{alg}","kid":"{kid}"}}"#));
    }
    for header in ["", "[]", "null", "1", "\"x\"", "{", "{}}", "{} {}", "{,}", "alg=RS256"] {
        table.add_whole_header(Bad::Malformed, header);
    }
    let (naming, claims) = (table.signer.naming(), CLAIMS.as_bytes());
    for (name, header) in [
        ("a byte order mark", format!("\u{feff}{{{naming}}}").into_bytes()),
        ("what is not UTF-8", [&b"{\"x\":\"\xff\","[..], naming.as_bytes(), b"}"].concat()),
        ("UTF-16", format!("{{{naming}}}").encode_utf16().flat_map(u16::to_be_bytes).collect()),
    ] {
        let token = table.signer.token_of_bytes(&header, claims);
        table.add(format!("header: {name}"), Bad::Malformed, token);
    }
}

/// Headers that bring the stranger's key along, signed by the stranger.
fn keys_brought_along(table: &mut Table) {
    let (alg, jwk) = (table.signer.alg.name(), table.stranger.key.public_jwk());
    let url = "https://evil.example/jwks";
    for (kid, bad) in [("key", Bad::Signature), ("other", Bad::KeyUnknown)] {
        for more in [
            json!({ "jwk": jwk }),
            json!({ "jku": url }),
            json!({ "x5u": url }),
            json!({ "x5c": ["MIIB"], "x5t": "AAAA", "x5t#S256": "AAAA" }),
        ] {
            let mut header = json!({ "alg": alg, "kid": kid });
            header
                .as_object_mut()
                .expect("an object")
                .extend(more.as_object().expect("an object").clone());
            let token = table.stranger.token(&header.to_string(), CLAIMS);
            table.add(format!("a stranger's {header:.80}"), bad, token);
        }
    }
    // Without an id there is one key that fits, and it is not the one in the header.
    let header = json!({ "alg": alg, "jwk": jwk }).to_string();
    let token = table.stranger.token(&header, CLAIMS);
    table.add("a stranger's key and no id", Bad::Signature, token);
}

/// Payloads that are no claims.
fn payloads(table: &mut Table) {
    let inner = table.good();
    for payload in [
        "",
        "[]",
        "null",
        "\"x\"",
        "1",
        "{",
        "{} ,",
        "{}{}",
        "{'iss':'x'}",
        "{\"exp\":2000,}",
        &inner,
        &format!("\"{inner}\""),
        r#"{"iss":"a","exp":1,"exp":9999999999}"#,
        r#"{"aud":"a","aud":"https://gate.example/mcp"}"#,
        r#"{"sub":"user:1","\u0073ub":"user:2"}"#,
        r#"{"act":{"sub":"a","sub":"b"}}"#,
        r#"{"realm_access":{"roles":["a"],"roles":["admin"]}}"#,
        r#"{"list":[[{"a":1,"b":2,"a":1}]]}"#,
        "{\"sub\":\"\u{1}\"}",
        r#"{"sub":"\ud800"}"#,
        r#"{"exp":01}"#,
        r#"{"exp":+1}"#,
        r#"{"exp":.5}"#,
    ] {
        table.add_payload(Bad::Malformed, payload);
    }
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(2_000), "]".repeat(2_000));
    table.add_payload(Bad::Malformed, &deep);
}

/// Claims that are there and are not what they must be.
fn claims(table: &mut Table) {
    let no_times = [
        r#""9999999999""#,
        r#""""#,
        r#""2000-01-01T00:00:00Z""#,
        "null",
        "-1",
        "-0.5",
        "1e400",
        "-1e400",
        "1e300",
        "18446744073709551615",
        "18446744073709551616",
        "9007199254740992",
        "NaN",
        "Infinity",
        "0x10",
        "true",
        "false",
        "[]",
        "[2000]",
        "{}",
        r#"{"exp":2000}"#,
        r#"{"$date":2000}"#,
    ];
    for name in ["exp", "nbf", "iat"] {
        for value in no_times {
            table.add_claim(name, value);
        }
    }
    for name in ["iss", "sub", "jti"] {
        for value in ["null", "1", "true", "[]", r#"["user:1"]"#, "{}"] {
            table.add_claim(name, value);
        }
    }
    for value in [
        "null",
        "1",
        "true",
        "{}",
        "[1]",
        "[null]",
        r#"["a",1]"#,
        r#"[["https://gate.example/mcp"]]"#,
    ] {
        table.add_claim("aud", value);
    }
    let without = |name: &str| {
        let mut claims: Value = serde_json::from_str(CLAIMS).expect("claims");
        claims.as_object_mut().expect("an object").shift_remove(name);
        claims.to_string()
    };
    for name in ["iss", "sub", "jti", "exp", "aud"] {
        table.add_payload(Bad::Claim(name), &without(name));
    }
}
