//! Checks of those who vouch for callers: issuers of tokens, their keys, and how the gate asks them.
//!
//! What is given out is never shown: secrets and private keys stay in `Secret`.

use crate::config::checking::identity::{BELIEVED_SECS_MAX, OWN};
use crate::config::checking::tokens::{Proofs, proof};
use crate::config::checking::{Pem, in_range, pem_file, span_in};
use crate::config::collections::{List, Sections, WordOr};
use crate::config::decode::{At, Key};
use crate::config::issuers::{Discovered, NamedBy, Signature};
use crate::config::raw::{Introspection, Issuer, KeysPlace};
use crate::config::reading::Reading;
use crate::config::report::Pos;
use crate::config::scalars::Text;
use crate::config::values::FilePath;
use std::collections::HashSet;
use std::path::PathBuf;
use tollgate_identity::settings::{
    self as identity, CertificateName, ClaimNames, ClientCredential, IssuerSettings, KeysAt,
    TokenSettings,
};
use tollgate_oauth::keys::Alg;
use url::Url;

/// Most issuers, and most issuers of workload tokens.
pub(super) const ISSUERS_MAX: usize = 32;

pub(super) fn issuers(list: &Sections<Issuer>, reading: &mut Reading<'_>) -> Vec<IssuerSettings> {
    if let Some(over) = list.0.get(ISSUERS_MAX) {
        let help = format!("at most {ISSUERS_MAX} fit one gate");
        reading.wrong(&over.at, "there are too many issuers", help);
    }
    let mut urls = HashSet::new();
    let mut names = HashSet::new();
    let mut issuers = Vec::new();
    for At { value: raw, at } in &list.0 {
        let Some(url) = raw.url.given() else { continue };
        let name =
            raw.name.given().map_or_else(|| host(&url.value.url), |name| name.value.value.clone());
        let name_at = raw.name.given().map_or(at, |name| &name.at);
        if name == OWN {
            let help = "choose another: routes call the gate's own issuer by this name";
            reading.wrong(name_at, format!("an issuer cannot be called `{OWN}`"), help);
        } else if !names.insert(name.clone()) {
            let help = "give each a `name` of its own: routes choose issuers by it";
            reading.wrong(name_at, format!("two issuers are called `{name}`"), help);
        }
        if !urls.insert(url.value.text.clone()) {
            let help = "keep one: whose token it is, is decided by `iss` alone";
            reading.wrong(&url.at, "this issuer is there twice", help);
        }
        issuers.extend(issuer(raw, name, url.value.text.clone(), reading));
    }
    issuers
}

/// The host of a URL, with its port where that is not the usual one.
pub(super) fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn issuer(
    raw: &Issuer,
    name: String,
    url: String,
    reading: &mut Reading<'_>,
) -> Option<IssuerSettings> {
    let tokens = tokens(raw, &name, reading)?;
    let audiences = raw.audience.given().map(|given| given.value.0.as_slice()).unwrap_or_default();
    let claims = &raw.claims.value;
    Some(IssuerSettings {
        name,
        url,
        audiences: audiences.iter().map(|audience| audience.value.value.clone()).collect(),
        tokens,
        claims: ClaimNames {
            agent: texts(&claims.agent.value),
            groups: Some(claims.groups.value.value.clone()),
            scopes: texts(&claims.scopes.value),
        },
        ca: pem_file(raw.ca.given(), Pem::Certificates, reading),
    })
}

fn texts(list: &List<Text>) -> Vec<String> {
    list.0.iter().map(|text| text.value.value.clone()).collect()
}

fn tokens(raw: &Issuer, name: &str, reading: &mut Reading<'_>) -> Option<TokenSettings> {
    let asked = match &raw.introspection {
        Key::Wrong => return None,
        Key::Absent => None,
        Key::Given(asked) => Some(asked),
    };
    let keys_at = raw.keys.given().map(|keys| &keys.at);
    let written = [
        ("keys", keys_at),
        ("algorithms", raw.algorithms.at.as_ref()),
        ("strict_type", raw.strict_type.at.as_ref()),
    ];
    if let Some(asked) = asked {
        for (key, at) in written.into_iter().filter_map(|(key, at)| Some((key, at?))) {
            let message = format!(
                "issuer `{name}` has `introspection`, so its tokens are opaque and `{key}` means nothing"
            );
            reading.wrong(at, message, "remove one of the two");
        }
        return introspection(&asked.value, &asked.at, name, reading).map(TokenSettings::Opaque);
    }
    Some(TokenSettings::Jwt {
        keys: keys(&raw.keys, name, reading)?,
        algorithms: algorithms(&raw.algorithms.value, raw.algorithms.at.as_ref(), reading),
        strict_type: raw.strict_type.value.0,
    })
}

/// Algorithms, each once.
pub(super) fn algorithms(
    list: &List<Signature>,
    at: Option<&Pos>,
    reading: &mut Reading<'_>,
) -> Vec<Alg> {
    if let Some(at) = at.filter(|_| list.0.is_empty()) {
        let help = "name one, or remove the key for the usual ones";
        reading.wrong(at, "no algorithm is accepted, so no token would be good", help);
    }
    let mut algorithms = Vec::new();
    for algorithm in list.0.iter().map(|algorithm| algorithm.value.alg()) {
        if !algorithms.contains(&algorithm) {
            algorithms.push(algorithm);
        }
    }
    algorithms
}

fn keys(
    raw: &Key<WordOr<Discovered, KeysPlace>>,
    name: &str,
    reading: &mut Reading<'_>,
) -> Option<KeysAt> {
    let given = match raw {
        Key::Absent => return Some(KeysAt::Discovery),
        Key::Wrong => return None,
        Key::Given(given) => given,
    };
    let place = match &given.value {
        WordOr::Word(_) => return Some(KeysAt::Discovery),
        WordOr::Keys(place) => place,
    };
    match (&place.url, &place.file) {
        (Key::Given(url), Key::Absent) => Some(KeysAt::Url(url.value.0.clone())),
        (Key::Absent, Key::Given(file)) => jwk_set(file, reading).map(KeysAt::File),
        (Key::Wrong, _) | (_, Key::Wrong) => None,
        (Key::Absent, Key::Absent) | (Key::Given(_), Key::Given(_)) => {
            let message =
                format!("`keys` of issuer `{name}` takes exactly one of `url` and `file`");
            let help = "write `keys: { url: \"https://...\" }`, or remove it: `discovery` finds them by the issuer's metadata";
            reading.wrong(&given.at, message, help);
            None
        }
    }
}

/// A file with public keys. Those that cannot be used are skipped where they are used; here it is
/// looked at whether the file is one at all.
fn jwk_set(file: &At<FilePath>, reading: &mut Reading<'_>) -> Option<PathBuf> {
    let FilePath { value, typed } = &file.value;
    let (path, content) = reading.file(value, typed, &file.at)?;
    let set: Option<serde_json::Value> = serde_json::from_slice(&content).ok();
    if set.as_ref().and_then(|set| set["keys"].as_array()).is_none_or(Vec::is_empty) {
        let message = format!("`{typed}` is not a JWK set");
        let help = "the file must be JSON like `{ \"keys\": [{ \"kty\": \"EC\", ... }] }`, as issuers publish it";
        reading.wrong(&file.at, message, help);
    }
    Some(path)
}

fn introspection(
    raw: &Introspection,
    at: &Pos,
    name: &str,
    reading: &mut Reading<'_>,
) -> Option<identity::Introspection> {
    let key = format!("introspection.believed` of issuer `{name}");
    span_in(&raw.believed, &key, BELIEVED_SECS_MAX, reading);
    in_range(&raw.at_once, "introspection.at_once", 1..=10_000, reading);
    let proofs = Proofs {
        secret: &raw.client_secret,
        secret_in: raw.secret_in.value,
        private_key: &raw.private_key,
    };
    let proof = proof(&proofs, &format!("`introspection` of issuer `{name}`"), at, reading);
    Some(identity::Introspection {
        url: raw.url.given().map(|url| url.value.0.clone()),
        client: ClientCredential { id: raw.client_id.given()?.value.value.clone(), proof: proof? },
        believed: raw.believed.value.0,
        at_once: raw.at_once.value.0,
    })
}

pub(super) const fn certificate(named: NamedBy) -> CertificateName {
    match named {
        NamedBy::Dns => CertificateName::Dns,
        NamedBy::Spiffe => CertificateName::Spiffe,
        NamedBy::Email => CertificateName::Email,
    }
}
