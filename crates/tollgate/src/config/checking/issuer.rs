//! Checks of the gate's own authorization server.

use crate::config::checking::vouching::{ISSUERS_MAX, algorithms, host};
use crate::config::checking::{Pem, at_most, in_range, pem_file, span_in};
use crate::config::collections::WordOr;
use crate::config::cover::shown_name;
use crate::config::decode::At;
use crate::config::issuers::{OwnSignature, SignInWord};
use crate::config::raw::{Life, OwnIssuer, Provider, Registration, Root, Workload};
use crate::config::reading::Reading;
use std::collections::HashSet;
use tollgate_gate::settings::NamePolicy;
use tollgate_issuer::settings::{
    IssuerSettings, Lifetimes, ProviderSettings, RegistrationSettings, ResourceSettings, SignIn,
    WorkloadIssuer,
};
use tollgate_oauth::keys::Alg;
use url::Url;

/// Longest life of an authorization code, in seconds (RFC 6749 section 4.1.2).
const CODE_SECS_MAX: u64 = 600;
/// Longest life of an access token, in seconds.
const ACCESS_TOKEN_SECS_MAX: u64 = 24 * 3_600;
/// Most agents that may register themselves.
const REGISTERED_MAX: usize = 1_000_000;

/// The issuer identifier: what is written, or the origin of the URL agents use.
pub(super) fn url(
    own: &At<OwnIssuer>,
    base: &Url,
    names: &NamePolicy,
    reading: &mut Reading<'_>,
) -> Url {
    let mut url = own.value.url.given().map_or_else(|| base.clone(), |url| url.value.url.clone());
    if let Some(given) = own.value.url.given() {
        if url.path() != "/" {
            let help = format!("write `{}`", url.origin().ascii_serialization());
            reading.wrong(&given.at, "`issuer.url` has a path", help);
        }
        let name = url.host_str().unwrap_or_default();
        let with_port = host(&url);
        let answers = |known: &String| known == "*" || known == name || *known == with_port;
        if !names.hosts.iter().any(answers) {
            let message =
                format!("`issuer.url` is at `{with_port}`, which the gate does not answer to");
            let help =
                "name the host in `gate.hosts`, or remove `url`: `gate.public_url` says it already";
            reading.wrong(&given.at, message, help);
        }
    }
    url.set_path("");
    url
}

pub(super) fn issuer(
    raw: &OwnIssuer,
    url: Url,
    resources: Vec<ResourceSettings>,
    reading: &mut Reading<'_>,
) -> IssuerSettings {
    IssuerSettings {
        url,
        resources,
        registration: registration(&raw.registration.value, reading),
        sign_in: sign_in(raw, reading),
        workloads: workloads(raw, reading),
        life: life(&raw.lifetimes.value, reading),
        algorithm: match raw.algorithm.value {
            OwnSignature::Es256 => Alg::Es256,
            OwnSignature::EdDsa => Alg::EdDsa,
        },
    }
}

/// Routes must leave the issuer its paths.
pub(super) fn paths(raw: &Root, reading: &mut Reading<'_>) {
    let taken = |path: &str| path == "/oauth" || path.starts_with("/oauth/");
    let rows = raw.routes.given().map(|routes| routes.value.0.as_slice()).unwrap_or_default();
    for row in rows.iter().filter(|row| taken(&row.name)) {
        let message =
            format!("with `issuer`, `{}` belongs to the gate itself", shown_name(&row.name));
        reading.wrong(&row.at, message, "give the route a path that is not below `/oauth`");
    }
}

fn registration(raw: &Registration, reading: &mut Reading<'_>) -> RegistrationSettings {
    in_range(&raw.total, "issuer.registration.total", 1..=REGISTERED_MAX, reading);
    in_range(&raw.per_address, "issuer.registration.per_address", 1..=REGISTERED_MAX, reading);
    let (total, per_address) = (raw.total.value.0, raw.per_address.value.0);
    if let Some(at) = raw.per_address.at.as_ref().filter(|_| per_address > total) {
        let message = format!(
            "`issuer.registration.per_address` ({per_address}) is more than `total` ({total})"
        );
        reading.wrong(at, message, format!("write at most {total}, or raise `total`"));
    }
    if let Some(at) = raw.private_addresses.at.as_ref().filter(|_| raw.private_addresses.value.0) {
        reading.warn(at, "whoever may connect can make the gate fetch from addresses of this network: only for closed networks");
    }
    RegistrationSettings {
        dynamic: raw.dynamic.value.0,
        documents: raw.documents.value.0,
        hosts: raw.hosts.value.0.iter().map(|host| host.value.0.clone()).collect(),
        total_max: total,
        per_address_max: per_address.min(total),
        unused: raw.unused.value.0,
        private_addresses: raw.private_addresses.value.0,
    }
}

fn sign_in(raw: &OwnIssuer, reading: &mut Reading<'_>) -> SignIn {
    match &raw.sign_in.value {
        WordOr::Word(SignInWord::Accounts) => SignIn::Accounts,
        WordOr::Word(SignInWord::Nobody) => SignIn::Nobody,
        WordOr::Keys(keys) => keys
            .provider
            .given()
            .and_then(|given| provider(&given.value, reading))
            // Where the provider is wrong, nothing is served.
            .map_or(SignIn::Nobody, |provider| SignIn::Provider(Box::new(provider))),
    }
}

fn provider(raw: &Provider, reading: &mut Reading<'_>) -> Option<ProviderSettings> {
    let ca = pem_file(raw.ca.given(), Pem::Certificates, reading);
    let url = &raw.url.given()?.value;
    let named = raw.name.given().map(|name| name.value.value.clone());
    Some(ProviderSettings {
        name: named.unwrap_or_else(|| host(&url.url)),
        url: url.text.clone(),
        client_id: raw.client_id.given()?.value.value.clone(),
        client_secret: raw.client_secret.given()?.value.0.clone(),
        scopes: raw.scopes.value.0.iter().map(|scope| scope.value.0.clone()).collect(),
        groups_claim: Some(raw.groups_claim.value.value.clone()),
        name_claim: raw.name_claim.value.value.clone(),
        ca,
    })
}

fn workloads(raw: &OwnIssuer, reading: &mut Reading<'_>) -> Vec<WorkloadIssuer> {
    let list = &raw.workloads.value.0;
    if let Some(over) = list.get(ISSUERS_MAX) {
        let help = format!("at most {ISSUERS_MAX} fit one gate");
        reading.wrong(&over.at, "there are too many issuers of workload tokens", help);
    }
    let mut urls = HashSet::new();
    for url in list.iter().filter_map(|item| item.value.url.given()) {
        if !urls.insert(&url.value.text) {
            let help = "keep one, with the `subjects` of both";
            reading.wrong(&url.at, "this issuer of workload tokens is there twice", help);
        }
    }
    list.iter().filter_map(|item| workload(&item.value, reading)).collect()
}

fn workload(raw: &Workload, reading: &mut Reading<'_>) -> Option<WorkloadIssuer> {
    let ca = pem_file(raw.ca.given(), Pem::Certificates, reading);
    let algorithms = algorithms(&raw.algorithms.value, raw.algorithms.at.as_ref(), reading);
    let rows = &raw.subjects.given()?.value.0;
    let agents =
        rows.iter().filter_map(|row| Some((row.name.clone(), row.value.as_ref()?.0.clone())));
    Some(WorkloadIssuer {
        url: raw.url.given()?.value.text.clone(),
        keys: raw.keys.given().map(|keys| keys.value.0.clone()),
        algorithms,
        subjects: agents.collect(),
        ca,
    })
}

fn life(raw: &Life, reading: &mut Reading<'_>) -> Lifetimes {
    span_in(&raw.code, "issuer.lifetimes.code", CODE_SECS_MAX, reading);
    span_in(&raw.access_token, "issuer.lifetimes.access_token", ACCESS_TOKEN_SECS_MAX, reading);
    let keys = ["issuer.lifetimes.refresh_token", "issuer.lifetimes.grant"];
    at_most(&raw.refresh_token, &raw.grant, keys, reading);
    let keys = ["issuer.lifetimes.signing_key_ahead", "issuer.lifetimes.signing_key"];
    at_most(&raw.signing_key_ahead, &raw.signing_key, keys, reading);
    Lifetimes {
        code: raw.code.value.0,
        access_token: raw.access_token.value.0,
        refresh_token: raw.refresh_token.value.min(raw.grant.value).0,
        grant: raw.grant.value.0,
        signing_key: raw.signing_key.value.0,
        signing_key_ahead: raw.signing_key_ahead.value.min(raw.signing_key.value).0,
    }
}
