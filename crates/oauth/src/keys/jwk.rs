//! One public key: what a JSON Web Key says, and what may be verified with it.
//!
//! Refuses what could be used but must not be: keys for something else, short and odd RSA keys,
//! points that are not on their curve, and keys whose private half is in the same document.
//! Certificates in a key (`x5c`, `x5u`) say nothing here.

use super::Alg;
use crate::base64url;
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value, json};
use tollgate_core::bounds::identity::{KEY_ID_BYTES_MAX, RSA_BITS_MAX, RSA_BITS_MIN};

/// A public key.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    kid: Option<Box<str>>,
    alg: Option<Alg>,
    public: Public,
    verifier: DecodingKey,
}

/// The public numbers of a key, by their kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Public {
    /// Modulus and exponent, without leading zeros.
    Rsa { n: Vec<u8>, e: Vec<u8> },
    /// A point on P-256.
    P256 { x: Vec<u8>, y: Vec<u8> },
    /// A point on P-384.
    P384 { x: Vec<u8>, y: Vec<u8> },
    /// A point on Edwards25519.
    Ed25519 { x: Vec<u8> },
}

impl Key {
    /// Reads a JWK; `None` if nothing may be verified with it.
    ///
    /// SPEC: RFC 7517 section 5: keys that are not understood, or lack what they need, are ignored.
    pub(crate) fn read(jwk: &Value) -> Option<Self> {
        let jwk = jwk.as_object()?;
        let kid = optional(jwk, "kid")?;
        if kid.is_some_and(|kid| kid.len() > KEY_ID_BYTES_MAX) || !is_for_verifying(jwk)? {
            return None;
        }
        // A key for an algorithm that we do not know is a key for something else.
        let alg = match optional(jwk, "alg")? {
            Some(name) => Some(Alg::parse(name)?),
            None => None,
        };
        // Whoever reads the set could sign: what such a key verifies, anyone may have written.
        if jwk.contains_key("d") {
            return None;
        }
        Self::new(kid, alg, Public::read(jwk)?)
    }

    /// A key of these numbers; `None` if they are no key, or the algorithm does not fit them.
    pub(crate) fn new(kid: Option<&str>, alg: Option<Alg>, public: Public) -> Option<Self> {
        let verifier = public.verifier()?;
        let key = Self { kid: kid.map(Box::from), alg, public, verifier };
        alg.is_none_or(|alg| key.public.fits(alg)).then_some(key)
    }

    pub(crate) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Whether a signature of this algorithm may be verified with it.
    ///
    /// SPEC: RFC 8725 section 3.1: a key is used with one algorithm; where it does not name one, its
    /// kind decides, and the caller's list of allowed ones.
    pub(crate) fn fits(&self, alg: Alg) -> bool {
        self.alg.is_none_or(|own| own == alg) && self.public.fits(alg)
    }

    /// Whether the signature is the key's, of this text. False where the algorithm does not fit.
    pub(crate) fn verifies(&self, alg: Alg, text: &str, signature: &Vec<u8>) -> bool {
        // Named here rather than taken from the process: that default depends on what features
        // other crates switch on, and is a panic where they switch on two.
        self.fits(alg)
            && (DEFAULT_PROVIDER.verifier_factory)(&of(alg), &self.verifier)
                .is_ok_and(|verifier| verifier.verify(text.as_bytes(), signature).is_ok())
    }

    /// The key as a JWK, with nothing that is private.
    pub(crate) fn to_json(&self) -> Value {
        let mut jwk = self.public.to_json();
        if let Some(kid) = &self.kid {
            jwk["kid"] = json!(kid);
        }
        if let Some(alg) = self.alg {
            jwk["alg"] = json!(alg.name());
        }
        jwk["use"] = json!("sig");
        jwk
    }

    /// Whether both are the same key, whatever they are called.
    pub(crate) fn is_same_key(&self, other: &Self) -> bool {
        self.public == other.public && self.alg == other.alg
    }
}

impl Public {
    fn read(jwk: &Map<String, Value>) -> Option<Self> {
        let bytes = |name| base64url::decode(jwk.get(name)?.as_str()?);
        let curve = || jwk.get("crv").and_then(Value::as_str);
        match jwk.get("kty")?.as_str()? {
            // SPEC: RFC 7518 section 2: no leading zeros; some write the sign byte of DER
            // nevertheless, which is no part of the number.
            "RSA" => Some(Self::Rsa { n: stripped(bytes("n")?), e: stripped(bytes("e")?) }),
            "EC" if curve() == Some("P-256") => Some(Self::P256 { x: bytes("x")?, y: bytes("y")? }),
            "EC" if curve() == Some("P-384") => Some(Self::P384 { x: bytes("x")?, y: bytes("y")? }),
            "OKP" if curve() == Some("Ed25519") => Some(Self::Ed25519 { x: bytes("x")? }),
            _ => None,
        }
    }

    /// What verifies with it; `None` if the numbers are no key.
    fn verifier(&self) -> Option<DecodingKey> {
        use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519};
        use aws_lc_rs::signature::{ParsedPublicKey, VerificationAlgorithm};
        let on_curve = |curve: &'static dyn VerificationAlgorithm, bytes: &[u8]| {
            ParsedPublicKey::new(curve, bytes).is_ok()
        };
        match self {
            Self::Rsa { n, e } => {
                is_sound_rsa(n, e).then(|| DecodingKey::from_rsa_raw_components(n, e))
            }
            // SPEC: RFC 7518 section 6.2.1.2: coordinates have the full length of the curve.
            Self::P256 { x, y } if (x.len(), y.len()) == (32, 32) => {
                let point = uncompressed(x, y);
                on_curve(&ECDSA_P256_SHA256_FIXED, &point).then(|| DecodingKey::from_ec_der(&point))
            }
            Self::P384 { x, y } if (x.len(), y.len()) == (48, 48) => {
                let point = uncompressed(x, y);
                on_curve(&ECDSA_P384_SHA384_FIXED, &point).then(|| DecodingKey::from_ec_der(&point))
            }
            Self::Ed25519 { x } if x.len() == 32 => {
                on_curve(&ED25519, x).then(|| DecodingKey::from_ed_der(x))
            }
            Self::P256 { .. } | Self::P384 { .. } | Self::Ed25519 { .. } => None,
        }
    }

    const fn fits(&self, alg: Alg) -> bool {
        match alg {
            Alg::Rs256 | Alg::Rs384 | Alg::Rs512 | Alg::Ps256 | Alg::Ps384 | Alg::Ps512 => {
                matches!(self, Self::Rsa { .. })
            }
            Alg::Es256 => matches!(self, Self::P256 { .. }),
            Alg::Es384 => matches!(self, Self::P384 { .. }),
            Alg::EdDsa => matches!(self, Self::Ed25519 { .. }),
        }
    }

    /// The required members of the JWK, in the order of RFC 7638.
    fn to_json(&self) -> Value {
        let text = |bytes: &[u8]| base64url::encode(bytes);
        match self {
            Self::Rsa { n, e } => json!({ "e": text(e), "kty": "RSA", "n": text(n) }),
            Self::P256 { x, y } => {
                json!({ "crv": "P-256", "kty": "EC", "x": text(x), "y": text(y) })
            }
            Self::P384 { x, y } => {
                json!({ "crv": "P-384", "kty": "EC", "x": text(x), "y": text(y) })
            }
            Self::Ed25519 { x } => json!({ "crv": "Ed25519", "kty": "OKP", "x": text(x) }),
        }
    }

    /// The key's fingerprint.
    ///
    /// SPEC: RFC 7638 section 3: SHA-256 over the required members, sorted, without white space.
    pub(crate) fn thumbprint(&self) -> String {
        let text = self.to_json().to_string();
        base64url::encode(
            aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()).as_ref(),
        )
    }
}

/// The text under this name, if it is there; `None` if something else is.
fn optional<'a>(jwk: &'a Map<String, Value>, name: &str) -> Option<Option<&'a str>> {
    match jwk.get(name) {
        None => Some(None),
        Some(value) => value.as_str().map(Some),
    }
}

/// SPEC: RFC 7517 sections 4.2 and 4.3.
fn is_for_verifying(jwk: &Map<String, Value>) -> Option<bool> {
    let by_use = optional(jwk, "use")?.is_none_or(|used| used == "sig");
    let by_operations = match jwk.get("key_ops") {
        None => true,
        Some(operations) => operations.as_array()?.iter().any(|one| one == "verify"),
    };
    Some(by_use && by_operations)
}

/// SPEC: RFC 7518 section 3.3: 2048 bits or more. An exponent of 1 would make every text its own
/// signature, and an even one is no exponent.
fn is_sound_rsa(n: &[u8], e: &[u8]) -> bool {
    let Some(first) = n.first() else { return false };
    let bits = n.len() * 8 - first.leading_zeros() as usize;
    let is_odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
    let is_size = (RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits);
    is_size && is_odd(n) && is_odd(e) && e != [1] && e.len() <= 4
}

fn stripped(number: Vec<u8>) -> Vec<u8> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number[zeros..].to_vec()
}

/// SPEC: SEC 1 section 2.3.3.
fn uncompressed(x: &[u8], y: &[u8]) -> Vec<u8> {
    [&[4], x, y].concat()
}

const fn of(alg: Alg) -> Algorithm {
    match alg {
        Alg::Rs256 => Algorithm::RS256,
        Alg::Rs384 => Algorithm::RS384,
        Alg::Rs512 => Algorithm::RS512,
        Alg::Ps256 => Algorithm::PS256,
        Alg::Ps384 => Algorithm::PS384,
        Alg::Ps512 => Algorithm::PS512,
        Alg::Es256 => Algorithm::ES256,
        Alg::Es384 => Algorithm::ES384,
        Alg::EdDsa => Algorithm::EdDSA,
    }
}

#[cfg(test)]
mod tests {
    use super::{Key, Public};
    use crate::base64url;
    use crate::keys::Alg;
    use serde_json::json;

    // RFC 8037 appendix A.
    const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    #[test]
    fn the_signature_of_rfc_8037_verifies() {
        let key = Key::read(&json!({ "kty": "OKP", "crv": "Ed25519", "x": X })).expect("a key");
        let text = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        let signature = base64url::decode(signature).expect("base64url");
        assert!(key.verifies(Alg::EdDsa, text, &signature));
        assert!(!key.verifies(Alg::EdDsa, &text[1..], &signature));
        assert!(!key.verifies(Alg::Es256, text, &signature));
    }

    #[test]
    fn thumbprints_are_those_of_the_rfcs() {
        let x = base64url::decode(X).expect("base64url");
        let thumbprint = Public::Ed25519 { x }.thumbprint();
        assert_eq!(thumbprint, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        // RFC 7638 section 3.1.
        let n = concat!(
            "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECP",
            "ebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY",
            "368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0f",
            "M4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        );
        let key = Key::read(&json!({
            "kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"
        }));
        let thumbprint = key.expect("a key").public.thumbprint();
        assert_eq!(thumbprint, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }
}
