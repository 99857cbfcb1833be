//! A private key and what is signed with it.
//!
//! Keys are made for ES256 and EdDSA; others are taken if the operator has them. They never show,
//! and are checked when they are taken, not when the first token is due.

use super::jwk::Public;
use super::{Alg, Key};
use crate::base64url;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256,
    RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use std::fmt;
use tollgate_core::bounds::identity::{
    KEY_ID_BYTES_MAX, RSA_BITS_MAX, RSA_BITS_MIN, TOKEN_BYTES_MAX,
};
use tollgate_core::ids::Secret;

/// Why there is no key, or no signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningFault {
    /// Such keys are not made here.
    #[error("keys are made for ES256 and EdDSA only, not for {}", .0.name())]
    NotMade(Alg),
    /// There is no PKCS#8 key in the PEM text.
    #[error(
        "there is no `BEGIN PRIVATE KEY` (PKCS#8) in the PEM text; \
         `openssl pkcs8 -topk8 -nocrypt` makes one of another format"
    )]
    NotPem,
    /// It is no PKCS#8 key of the kind the algorithm needs.
    #[error(
        "it is no PKCS#8 private key that {} may be used with (RSA: {RSA_BITS_MIN} to \
         {RSA_BITS_MAX} bits; ES256: P-256; ES384: P-384; EdDSA: Ed25519)",
        .0.name()
    )]
    NotAKey(Alg),
    /// The key id cannot be used.
    #[error("the key id must have 1 to {KEY_ID_BYTES_MAX} characters")]
    KeyId,
    /// What was to be signed would be no token.
    #[error("claims must be a JSON object that fits into a token of {TOKEN_BYTES_MAX} bytes")]
    Claims,
    /// The cryptographic library did not do it.
    #[error("the key did not sign")]
    Failed,
}

/// A private key.
pub struct SigningKey {
    alg: Alg,
    kid: String,
    pkcs8: Secret<Vec<u8>>,
    pair: Pair,
    public: Key,
}

enum Pair {
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl SigningKey {
    /// Makes a key; its id is its thumbprint.
    ///
    /// # Errors
    /// If keys of this algorithm are not made here, or there is no randomness.
    pub fn generate(alg: Alg) -> Result<Self, SigningFault> {
        let random = SystemRandom::new();
        let pkcs8 = match alg {
            Alg::Es256 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random),
            Alg::EdDsa => Ed25519KeyPair::generate_pkcs8(&random),
            _ => return Err(SigningFault::NotMade(alg)),
        };
        let pkcs8 = pkcs8.map_err(|_| SigningFault::Failed)?;
        Self::read(None, alg, pkcs8.as_ref())
    }

    /// Takes a key in PKCS#8 DER.
    ///
    /// # Errors
    /// If it is no key for this algorithm.
    pub fn from_pkcs8(kid: &str, alg: Alg, der: &[u8]) -> Result<Self, SigningFault> {
        Self::read(Some(kid), alg, der)
    }

    /// Takes a key in PKCS#8 PEM. Without an id it gets its thumbprint.
    ///
    /// # Errors
    /// If it is no key for this algorithm.
    pub fn from_pem(kid: Option<&str>, alg: Alg, pem: &str) -> Result<Self, SigningFault> {
        let der =
            PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| SigningFault::NotPem)?;
        Self::read(kid, alg, der.secret_pkcs8_der())
    }

    fn read(kid: Option<&str>, alg: Alg, der: &[u8]) -> Result<Self, SigningFault> {
        let no_key = SigningFault::NotAKey(alg);
        let pair = Pair::read(alg, der).ok_or(no_key)?;
        let public = pair.public().ok_or(no_key)?;
        let kid = kid.map_or_else(|| public.thumbprint(), str::to_owned);
        if kid.is_empty() || kid.len() > KEY_ID_BYTES_MAX {
            return Err(SigningFault::KeyId);
        }
        let public = Key::new(Some(&kid), Some(alg), public).ok_or(no_key)?;
        Ok(Self { alg, kid, pkcs8: Secret::new(der.to_vec()), pair, public })
    }

    /// The key in PKCS#8 DER: to be sealed and stored, never to be shown.
    #[must_use]
    pub fn pkcs8(&self) -> &[u8] {
        self.pkcs8.expose()
    }

    /// Its id.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// What it signs with.
    #[must_use]
    pub const fn alg(&self) -> Alg {
        self.alg
    }

    /// Its public half as a JWK.
    #[must_use]
    pub fn public_jwk(&self) -> Value {
        self.public.to_json()
    }

    pub(crate) const fn public(&self) -> &Key {
        &self.public
    }

    /// Signs claims: a token of this `typ` (RFC 8725 section 3.11: kinds of tokens differ in it).
    ///
    /// # Errors
    /// If the claims are no object or too long, or the key does not sign.
    pub fn sign(&self, typ: &str, claims: &Value) -> Result<String, SigningFault> {
        if !claims.is_object() {
            return Err(SigningFault::Claims);
        }
        let header = json!({ "alg": self.alg.name(), "typ": typ, "kid": self.kid });
        let mut token = base64url::encode(header.to_string().as_bytes());
        token.push('.');
        token.push_str(&base64url::encode(claims.to_string().as_bytes()));
        let signature = self.pair.sign(token.as_bytes()).ok_or(SigningFault::Failed)?;
        token.push('.');
        token.push_str(&base64url::encode(&signature));
        if token.len() > TOKEN_BYTES_MAX { Err(SigningFault::Claims) } else { Ok(token) }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("SigningKey");
        shown.field("kid", &self.kid).field("alg", &self.alg).finish_non_exhaustive()
    }
}

impl Pair {
    fn read(alg: Alg, der: &[u8]) -> Option<Self> {
        let rsa = |encoding: &'static dyn RsaEncoding| {
            RsaKeyPair::from_pkcs8(der).ok().map(|pair| Self::Rsa(pair, encoding))
        };
        match alg {
            Alg::Rs256 => rsa(&RSA_PKCS1_SHA256),
            Alg::Rs384 => rsa(&RSA_PKCS1_SHA384),
            Alg::Rs512 => rsa(&RSA_PKCS1_SHA512),
            Alg::Ps256 => rsa(&RSA_PSS_SHA256),
            Alg::Ps384 => rsa(&RSA_PSS_SHA384),
            Alg::Ps512 => rsa(&RSA_PSS_SHA512),
            Alg::Es256 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).ok().map(Self::Ec)
            }
            Alg::Es384 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, der).ok().map(Self::Ec)
            }
            // Files of OpenSSL carry no public key (RFC 5958 version 1).
            Alg::EdDsa => Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok().map(Self::Ed),
        }
    }

    fn public(&self) -> Option<Public> {
        match self {
            Self::Rsa(pair, _) => {
                let key = pair.public_key();
                let (n, e) = (key.modulus(), key.exponent());
                Some(Public::Rsa {
                    n: n.big_endian_without_leading_zero().to_vec(),
                    e: e.big_endian_without_leading_zero().to_vec(),
                })
            }
            // SPEC: SEC 1 section 2.3.3: 4, then both coordinates.
            Self::Ec(pair) => match pair.public_key().as_ref().split_first()? {
                (4, point) if point.len() == 64 => {
                    Some(Public::P256 { x: point[..32].to_vec(), y: point[32..].to_vec() })
                }
                (4, point) if point.len() == 96 => {
                    Some(Public::P384 { x: point[..48].to_vec(), y: point[48..].to_vec() })
                }
                _ => None,
            },
            Self::Ed(pair) => Some(Public::Ed25519 { x: pair.public_key().as_ref().to_vec() }),
        }
    }

    fn sign(&self, text: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &random, text, &mut signature).ok()?;
                Some(signature)
            }
            Self::Ec(pair) => pair.sign(&random, text).ok().map(|it| it.as_ref().to_vec()),
            Self::Ed(pair) => Some(pair.sign(text).as_ref().to_vec()),
        }
    }
}
