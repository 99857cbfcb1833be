//! Checks of how the gate proves itself to token servers, and of what it asks them for.

use crate::config::checking::{Pem, pem_file};
use crate::config::decode::{At, Key, listed, nearest};
use crate::config::issuers::{SecretPlace, SharedSecret};
use crate::config::raw::{Credential, Exchange, PrivateKey, TokenRequest};
use crate::config::reading::Reading;
use crate::config::report::Pos;
use crate::config::values::FilePath;
use tollgate_core::ids::Secret;
use tollgate_gate::settings::{
    self, AssertionKey, AssertionSettings, CredentialSettings, ExchangeSettings, IdentitySettings,
    TokenEndpoint, TokenServer,
};
use tollgate_identity::settings::{ClientCredential, ClientProof};
use tollgate_oauth::resource::Resource;

/// What the gate proves itself by: exactly one of a secret and a private key.
pub(super) struct Proofs<'r> {
    pub(super) secret: &'r Key<SharedSecret>,
    pub(super) secret_in: SecretPlace,
    pub(super) private_key: &'r Key<PrivateKey>,
}

pub(super) fn proof(
    given: &Proofs<'_>,
    whose: &str,
    at: &Pos,
    reading: &mut Reading<'_>,
) -> Option<ClientProof> {
    match (given.secret, given.private_key) {
        (Key::Given(secret), Key::Absent) => {
            let secret = secret.value.0.clone();
            Some(match given.secret_in {
                SecretPlace::Basic => ClientProof::SecretBasic(secret),
                SecretPlace::Post => ClientProof::SecretPost(secret),
            })
        }
        (Key::Absent, Key::Given(key)) => {
            let AssertionKey { pem, algorithm, kid } = private_key(&key.value, reading)?;
            Some(ClientProof::PrivateKey { pem, algorithm, kid })
        }
        (Key::Wrong, _) | (_, Key::Wrong) => None,
        (Key::Absent, Key::Absent) | (Key::Given(_), Key::Given(_)) => {
            let message = format!("{whose} takes exactly one of `client_secret` and `private_key`");
            reading.wrong(at, message, "write `client_secret: \"${env:NAME}\"`, or `private_key: { file: gate.key, algorithm: ES256 }`");
            None
        }
    }
}

fn private_key(raw: &PrivateKey, reading: &mut Reading<'_>) -> Option<AssertionKey> {
    let file = raw.file.given()?;
    pem_file(Some(file), Pem::PrivateKey, reading)?;
    let FilePath { value, typed } = &file.value;
    let (_, content) = reading.file(value, typed, &file.at)?;
    Some(AssertionKey {
        pem: Secret::new(String::from_utf8_lossy(&content).into_owned()),
        algorithm: raw.algorithm.given()?.value.alg(),
        kid: raw.kid.given().map(|kid| kid.value.value.clone()),
    })
}

/// What goes into `Authorization` towards an upstream, besides headers that are always the same.
pub(super) fn credential(
    name: &str,
    given: &At<Credential>,
    identity: &IdentitySettings,
    reading: &mut Reading<'_>,
) -> CredentialSettings {
    let At { value: raw, at } = given;
    if raw.header.is_absent() && raw.client_credentials.is_absent() && raw.exchange.is_absent() {
        let message = format!("the `credential` of upstream `{name}` is empty");
        reading.wrong(at, message, "add `header`, `client_credentials` or `exchange`");
    }
    if !raw.client_credentials.is_absent() && !raw.exchange.is_absent() {
        let message = format!(
            "the `credential` of upstream `{name}` has both `client_credentials` and `exchange`"
        );
        reading.wrong(at, message, "keep one: there is one header `Authorization`");
    }
    let header = raw.header.given().map(|header| header.value.0.as_slice()).unwrap_or_default();
    let clash = header.iter().find(|row| row.name.eq_ignore_ascii_case("authorization"));
    let has_token = !raw.client_credentials.is_absent() || !raw.exchange.is_absent();
    if let Some(row) = clash.filter(|_| has_token) {
        let message = format!("upstream `{name}` gets a token, which goes into `Authorization`");
        reading.wrong(&row.at, message, "remove this header, or the token");
    }
    let settings = match (raw.client_credentials.given(), raw.exchange.given()) {
        (Some(request), _) => token_request(name, request, reading)
            .map(|request| CredentialSettings::ClientCredentials(Box::new(request))),
        (None, Some(raw)) => exchange(name, raw, identity, reading)
            .map(|exchange| CredentialSettings::Exchange(Box::new(exchange))),
        (None, None) => None,
    };
    settings.unwrap_or(CredentialSettings::None)
}

fn token_request(
    name: &str,
    given: &At<TokenRequest>,
    reading: &mut Reading<'_>,
) -> Option<settings::TokenRequest> {
    let At { value: raw, at } = given;
    let whose = format!("the token of upstream `{name}`");
    let endpoint = match (&raw.issuer, &raw.token_url) {
        (Key::Given(issuer), Key::Absent) => Some(TokenEndpoint::Issuer(issuer.value.text.clone())),
        (Key::Absent, Key::Given(url)) => Some(TokenEndpoint::Url(url.value.0.clone())),
        (Key::Wrong, _) | (_, Key::Wrong) => None,
        (Key::Absent, Key::Absent) | (Key::Given(_), Key::Given(_)) => {
            let message = format!("{whose} takes exactly one of `issuer` and `token_url`");
            let help = "write `issuer: \"https://login.example.com\"`, whose metadata says where tokens are, or the `token_url` itself";
            reading.wrong(at, message, help);
            None
        }
    };
    for At { value: resource, at } in &raw.resources.value.0 {
        if let Err(why) = Resource::parse(&resource.value) {
            let message = format!("`{}` cannot be a resource: {why}", resource.typed);
            reading.wrong(at, message, "write the URL of the upstream, as its server knows it");
        }
    }
    let proofs = Proofs {
        secret: &raw.client_secret,
        secret_in: raw.secret_in.value,
        private_key: &raw.private_key,
    };
    let proof = proof(&proofs, &whose, at, reading);
    let ca = pem_file(raw.ca.given(), Pem::Certificates, reading);
    Some(settings::TokenRequest {
        server: TokenServer { at: endpoint?, ca },
        client: ClientCredential { id: raw.client_id.given()?.value.value.clone(), proof: proof? },
        scopes: raw.scopes.value.0.iter().map(|scope| scope.value.0.clone()).collect(),
        resources: raw.resources.value.0.iter().map(|url| url.value.value.clone()).collect(),
        audience: raw.audience.given().map(|audience| audience.value.value.clone()),
    })
}

fn exchange(
    name: &str,
    given: &At<Exchange>,
    identity: &IdentitySettings,
    reading: &mut Reading<'_>,
) -> Option<ExchangeSettings> {
    let At { value: raw, at } = given;
    let request = raw.request.given().and_then(|request| token_request(name, request, reading));
    let IdentitySettings::Required(access) = identity else {
        let message =
            format!("upstream `{name}` gets a token for each principal, but callers prove nothing");
        reading.wrong(
            at,
            message,
            "add a section `identity` or `issuer` at the top level, or use `client_credentials`",
        );
        return None;
    };
    let assertion = &raw.assertion.given()?.value;
    let list = assertion.issuers.given()?;
    if list.value.0.is_empty() {
        let message = format!("upstream `{name}` gets tokens for nobody");
        reading.wrong(&list.at, message, "name the issuers whose principals are vouched for");
    }
    let issuers = &access.identity.issuers;
    let known: Vec<&str> = issuers.iter().map(|issuer| issuer.name.as_str()).collect();
    let mut of_issuers = Vec::new();
    for At { value: asked, at } in &list.value.0 {
        if let Some(issuer) = issuers.iter().find(|issuer| issuer.name == asked.value) {
            of_issuers.push(issuer.url.clone());
            continue;
        }
        let help = match nearest(&asked.value, &known) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("the issuers are: {}", listed(&known)),
        };
        let message = format!("there is no issuer `{}`", asked.typed);
        reading.wrong(at, message, help);
    }
    let key = assertion.private_key.given().and_then(|key| private_key(&key.value, reading));
    Some(ExchangeSettings {
        request: request?,
        assertion: AssertionSettings {
            issuer: assertion.issuer.given()?.value.value.clone(),
            audience: assertion.audience.given().map(|audience| audience.value.value.clone()),
            of_issuers,
            key: key?,
        },
    })
}
