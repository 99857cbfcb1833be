//! Signs whatever it is told to, as nobody should: headers and claims are texts, written as they are.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use std::sync::LazyLock;
use tollgate_oauth::base64url;
use tollgate_oauth::keys::{Alg, SigningKey};

/// RSA keys take long to make.
static RSA: LazyLock<Vec<u8>> = LazyLock::new(rsa);
static OTHER_RSA: LazyLock<Vec<u8>> = LazyLock::new(rsa);

fn rsa() -> Vec<u8> {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("an RSA key");
    pair.as_der().expect("a key in DER").as_ref().to_vec()
}

pub(crate) const ALGS: [Alg; 4] = [Alg::Rs256, Alg::Ps256, Alg::Es256, Alg::EdDsa];

pub(crate) struct Signer {
    pub(crate) alg: Alg,
    pub(crate) key: SigningKey,
}

impl Signer {
    pub(crate) fn new(alg: Alg, kid: &str) -> Self {
        Self::of(alg, kid, &RSA)
    }

    /// One whose key is another one.
    pub(crate) fn another(alg: Alg, kid: &str) -> Self {
        Self::of(alg, kid, &OTHER_RSA)
    }

    fn of(alg: Alg, kid: &str, rsa: &[u8]) -> Self {
        let key = match alg {
            Alg::Es256 | Alg::EdDsa => {
                let made = SigningKey::generate(alg).expect("a key");
                SigningKey::from_pkcs8(kid, alg, made.pkcs8())
            }
            _ => SigningKey::from_pkcs8(kid, alg, rsa),
        };
        Self { alg, key: key.expect("a key") }
    }

    /// `"alg":"RS256","kid":"key"`, to build headers with.
    pub(crate) fn naming(&self) -> String {
        format!(r#""alg":"{}","kid":"{}""#, self.alg.name(), self.key.kid())
    }

    pub(crate) fn token(&self, header: &str, claims: &str) -> String {
        self.token_of_bytes(header.as_bytes(), claims.as_bytes())
    }

    pub(crate) fn token_of_bytes(&self, header: &[u8], claims: &[u8]) -> String {
        self.signed(&format!("{}.{}", base64url::encode(header), base64url::encode(claims)))
    }

    /// The text and its signature.
    pub(crate) fn signed(&self, text: &str) -> String {
        format!("{text}.{}", base64url::encode(&self.signature(text.as_bytes())))
    }

    pub(crate) fn signature(&self, text: &[u8]) -> Vec<u8> {
        let (der, random) = (self.key.pkcs8(), SystemRandom::new());
        let rsa = |encoding: &'static dyn RsaEncoding| {
            let pair = RsaKeyPair::from_pkcs8(der).expect("an RSA key");
            let mut signature = vec![0; pair.public_modulus_len()];
            pair.sign(encoding, &random, text, &mut signature).expect("a signature");
            signature
        };
        match self.alg {
            Alg::Rs256 => rsa(&RSA_PKCS1_SHA256),
            Alg::Ps256 => rsa(&RSA_PSS_SHA256),
            Alg::Es256 => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der);
                let pair = pair.expect("a P-256 key");
                pair.sign(&random, text).expect("a signature").as_ref().to_vec()
            }
            Alg::EdDsa => {
                let pair = Ed25519KeyPair::from_pkcs8(der).expect("an Ed25519 key");
                pair.sign(text).as_ref().to_vec()
            }
            other => panic!("no test signs with {}", other.name()),
        }
    }
}
