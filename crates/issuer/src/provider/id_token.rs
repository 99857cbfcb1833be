//! Whom an ID token is about, if it can be believed.
//!
//! SPEC: OpenID Connect Core 1.0 section 3.1.3.7, without the leave it gives to skip the signature.

use crate::browser::Person;
use crate::settings::ProviderSettings;
use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tollgate_core::bounds::identity::{GROUPS_MAX, LEEWAY_SECS};
use tollgate_core::bounds::people::TRANSACTION_SECS;
use tollgate_oauth::jwt::{Claims, Jwt, JwtFault};
use tollgate_oauth::keys::{Alg, KeySet};
use tollgate_oauth::secret;

/// What must be in it.
#[derive(Debug)]
pub(crate) struct Expected<'a> {
    pub(crate) issuer: &'a str,
    pub(crate) client_id: &'a str,
    pub(crate) nonce: &'a str,
    pub(crate) now: u64,
}

/// Longest `sub`. SPEC: OpenID Connect Core 1.0 section 2: 255 ASCII characters.
const SUBJECT_BYTES_MAX: usize = 255;
/// The person.
///
/// # Errors
/// It is not signed by the provider, not for us, not for this sign-in, or over.
pub(crate) fn person(
    token: &str,
    keys: &KeySet,
    expected: &Expected<'_>,
    settings: &ProviderSettings,
) -> Result<Person, JwtFault> {
    let jwt = Jwt::read(token)?;
    jwt.verify(keys, &Alg::ALL)?;
    let claims = jwt.claims();
    check(claims, expected)?;
    let sub = claims.text("sub")?.filter(|sub| (1..=SUBJECT_BYTES_MAX).contains(&sub.len()));
    let sub = sub.ok_or_else(|| JwtFault::claim("sub", "is missing, empty or too long"))?;
    let groups = match &settings.groups_claim {
        Some(claim) => claims.texts_at(claim)?.unwrap_or_default(),
        None => Vec::new(),
    };
    if groups.len() > GROUPS_MAX {
        return Err(JwtFault::claim("groups", "names too many groups"));
    }
    let name = claims.path(&settings.name_claim).and_then(|name| name.as_str());
    Ok(Person {
        subject: subject(expected.issuer, sub),
        account: None,
        name: name.filter(|name| !name.is_empty()).unwrap_or(sub).chars().take(200).collect(),
        groups: groups.into_iter().map(String::from).collect(),
    })
}

fn check(claims: &Claims, expected: &Expected<'_>) -> Result<(), JwtFault> {
    if claims.text("iss")? != Some(expected.issuer) {
        return Err(JwtFault::claim("iss", "is not the provider"));
    }
    let audiences = claims.texts("aud")?.unwrap_or_default();
    if !audiences.contains(&expected.client_id) {
        return Err(JwtFault::claim("aud", "is not this gate"));
    }
    let azp = claims.text("azp")?;
    if azp.is_some_and(|azp| azp != expected.client_id) || (azp.is_none() && audiences.len() > 1) {
        return Err(JwtFault::claim("azp", "is not this gate"));
    }
    let expires = claims.time("exp")?.ok_or_else(|| JwtFault::claim("exp", "is missing"))?;
    if expected.now >= expires.saturating_add(LEEWAY_SECS) {
        return Err(JwtFault::claim("exp", "is over"));
    }
    let issued = claims.time("iat")?.ok_or_else(|| JwtFault::claim("iat", "is missing"))?;
    if issued > expected.now + LEEWAY_SECS {
        return Err(JwtFault::claim("iat", "is in the future"));
    }
    // It was made for the code, and nobody leaves for longer than that.
    if issued + TRANSACTION_SECS + LEEWAY_SECS < expected.now {
        return Err(JwtFault::claim("iat", "is long ago"));
    }
    if claims.time("nbf")?.is_some_and(|begins| begins > expected.now + LEEWAY_SECS) {
        return Err(JwtFault::claim("nbf", "is in the future"));
    }
    let nonce = claims.text("nonce")?.map(secret::digest);
    if !nonce.is_some_and(|nonce| secret::same(&nonce, &secret::digest(expected.nonce))) {
        return Err(JwtFault::claim("nonce", "is not of this sign-in"));
    }
    Ok(())
}

/// What tokens name the person by: the same for ever, and nothing in it of what the provider knows.
fn subject(issuer: &str, sub: &str) -> String {
    let mut context = Context::new(&SHA256);
    for part in ["tollgate/person/1", issuer, sub] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    format!("user:{}", URL_SAFE_NO_PAD.encode(&context.finish().as_ref()[..24]))
}

#[cfg(test)]
mod tests {
    use super::{Expected, person, subject};
    use crate::settings::ProviderSettings;
    use serde_json::{Value, json};
    use tollgate_core::ids::Secret;
    use tollgate_oauth::keys::{Alg, KeySet, SigningKey};

    const NOW: u64 = 1_000_000;

    fn settings() -> ProviderSettings {
        ProviderSettings {
            name: "Example".into(),
            url: "https://idp.example".into(),
            client_id: "gate".into(),
            client_secret: Secret::new("s".into()),
            scopes: Vec::new(),
            groups_claim: Some("groups".into()),
            name_claim: "email".into(),
            ca: None,
        }
    }

    fn claims() -> Value {
        json!({
            "iss": "https://idp.example", "sub": "248289761001", "aud": "gate", "nonce": "n",
            "exp": NOW + 300, "iat": NOW - 1, "email": "ada@example.com", "groups": ["dev", "ops"],
        })
    }

    fn judged(signer: &SigningKey, keys: &KeySet, claims: &Value) -> Result<super::Person, String> {
        let token = signer.sign("JWT", claims).expect("signed");
        let expected =
            Expected { issuer: "https://idp.example", client_id: "gate", nonce: "n", now: NOW };
        person(&token, keys, &expected, &settings()).map_err(|fault| fault.to_string())
    }

    fn changed(change: impl FnOnce(&mut Value)) -> Result<super::Person, String> {
        let key = SigningKey::generate(Alg::Es256).expect("a key");
        let mut claims = claims();
        change(&mut claims);
        judged(&key, &KeySet::from_signing(&[&key]), &claims)
    }

    #[test]
    fn a_good_token_says_who_it_is() {
        let person = changed(|_| {}).expect("good");
        assert_eq!(person.name, "ada@example.com");
        assert_eq!(person.groups, ["dev", "ops"]);
        assert_eq!(person.account, None);
        assert_eq!(person.subject, subject("https://idp.example", "248289761001"));
    }

    #[test]
    fn every_claim_that_is_wrong_is_refused() {
        let wrong: [(&str, Value); 17] = [
            ("iss", json!("https://idp.example/")),
            ("iss", Value::Null),
            ("aud", json!("other")),
            ("aud", json!(["other"])),
            ("aud", json!(["gate", "other"])),
            ("azp", json!("other")),
            ("nonce", json!("m")),
            ("nonce", Value::Null),
            ("exp", json!(NOW - 31)),
            ("exp", json!("never")),
            ("exp", Value::Null),
            ("iat", json!(NOW + 31)),
            ("iat", json!(NOW - 100_000)),
            ("nbf", json!(NOW + 31)),
            ("sub", json!("")),
            ("sub", json!("x".repeat(256))),
            ("groups", json!([1])),
        ];
        for (name, value) in wrong {
            let found = changed(|claims| claims[name] = value.clone());
            assert!(found.is_err(), "{name} {value}");
        }
    }

    #[test]
    fn each_claim_that_must_be_there_must_be_there() {
        for name in ["iss", "aud", "nonce", "exp", "iat", "sub"] {
            let found = changed(|claims| {
                claims.as_object_mut().expect("an object").remove(name);
            });
            assert!(found.is_err(), "{name}");
        }
    }

    #[test]
    fn two_audiences_need_the_party_it_was_issued_to() {
        let with_party = changed(|claims| {
            claims["aud"] = json!(["gate", "other"]);
            claims["azp"] = json!("gate");
        });
        assert!(with_party.is_ok());
    }

    #[test]
    fn the_key_of_somebody_else_signs_nothing() {
        let [own, other] = [(); 2].map(|()| SigningKey::generate(Alg::Es256).expect("a key"));
        assert!(judged(&other, &KeySet::from_signing(&[&own]), &claims()).is_err());
    }

    #[test]
    fn people_of_two_providers_are_two_people() {
        assert_ne!(subject("https://a", "bc"), subject("https://ab", "c"));
        assert!(subject("https://a", "bc").starts_with("user:"));
    }
}
