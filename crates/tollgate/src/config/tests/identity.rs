//! What the sections `identity` and `issuer` come to.

use crate::config::Checked;
use crate::config::tests::{MINIMAL, judged, judged_in};
use std::path::Path;
use std::time::Duration;
use tollgate_core::bounds;
use tollgate_gate::settings::{Access, CredentialSettings, IdentitySettings, TokenEndpoint};
use tollgate_identity::settings::{
    CertificateName, ClaimNames, ClientProof, Introspection, KeysAt, TokenSettings,
};
use tollgate_issuer::settings::SignIn;
use tollgate_oauth::keys::Alg;

fn checked(source: &str) -> Checked {
    judged(source).unwrap_or_else(|report| panic!("{report}"))
}

/// The minimal file below these lines.
fn with(lines: &str) -> Checked {
    checked(&format!("{lines}\n{MINIMAL}"))
}

fn access(checked: &Checked) -> &Access {
    match &checked.settings.identity {
        IdentitySettings::Required(access) => access,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_issuer_of_jwts_has_the_defaults_of_the_bounds() {
    let checked = with("identity:\n  issuers: [{ url: \"https://login.example.com:8443/a/\" }]");
    let Access { identity, doors } = access(&checked);
    let [issuer] = identity.issuers.as_slice() else { panic!("{identity:?}") };
    // The slash at the end is part of the name.
    assert_eq!(issuer.url, "https://login.example.com:8443/a/");
    assert_eq!(issuer.name, "login.example.com:8443");
    assert_eq!((issuer.audiences.len(), issuer.claims.clone()), (0, ClaimNames::default()));
    let algorithms = vec![Alg::Rs256, Alg::Ps256, Alg::Es256, Alg::EdDsa];
    let jwt = TokenSettings::Jwt { keys: KeysAt::Discovery, algorithms, strict_type: false };
    assert_eq!(issuer.tokens, jwt);
    assert!(identity.api_keys && identity.certificates.is_none());
    assert_eq!(identity.leeway, Duration::from_secs(bounds::identity::LEEWAY_SECS));
    assert_eq!(identity.believed, Duration::from_secs(bounds::identity::TOKEN_BELIEVED_SECS));
    assert_eq!(doors[0].resource, "http://127.0.0.1:8080/mcp");
    assert_eq!(checked.store.as_deref(), Some(Path::new("/nowhere/tollgate.db")));
    assert_eq!(checked.issuer, None);
}

#[test]
fn every_key_of_an_issuer_arrives() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("keys.json"), "{ \"keys\": [{}] }").unwrap();
    std::fs::write(folder.path().join("gate.pem"), "-----BEGIN PRIVATE KEY-----\n").unwrap();
    let source = format!(
        "identity:
  issuers:
    - {{ name: a, url: \"https://a\", audience: gate, keys: {{ file: keys.json }}, algorithms: [ES384, ES384], strict_type: true, claims: {{ agent: [app], groups: realm.roles, scopes: [perm] }} }}
    - {{ name: b, url: \"https://b\", audience: [x, y], introspection: {{ url: \"https://b/i\", client_id: gate, client_secret: \"${{env:TOKEN}}\", secret_in: post, believed: 5s, at_once: 3 }} }}
    - {{ name: c, url: \"http://localhost:1\", introspection: {{ client_id: gate, private_key: {{ file: gate.pem, algorithm: PS256, kid: k }} }} }}
  api_keys: false
stores: {{ embedded: data/gate.db }}
{MINIMAL}"
    );
    let checked = judged_in(folder.path(), &source).unwrap_or_else(|report| panic!("{report}"));
    let issuers = &access(&checked).identity.issuers;
    let [a, b, c] = issuers.as_slice() else { panic!("{issuers:?}") };
    assert_eq!(a.audiences, ["gate"]);
    let file = KeysAt::File(folder.path().join("keys.json"));
    let jwt = TokenSettings::Jwt { keys: file, algorithms: vec![Alg::Es384], strict_type: true };
    assert_eq!(a.tokens, jwt);
    assert_eq!(a.claims.agent, ["app"]);
    assert_eq!(a.claims.groups.as_deref(), Some("realm.roles"));
    assert_eq!(b.audiences, ["x", "y"]);
    let TokenSettings::Opaque(Introspection { url, client, believed, at_once }) = &b.tokens else {
        panic!("{:?}", b.tokens)
    };
    assert_eq!(url.as_ref().map(url::Url::as_str), Some("https://b/i"));
    assert!(
        matches!(&client.proof, ClientProof::SecretPost(s) if s.expose().starts_with("s3cret"))
    );
    assert_eq!((*believed, *at_once), (Duration::from_secs(5), 3));
    let TokenSettings::Opaque(Introspection { client, .. }) = &c.tokens else {
        panic!("{:?}", c.tokens)
    };
    let ClientProof::PrivateKey { pem, algorithm, kid } = &client.proof else {
        panic!("{client:?}")
    };
    assert!(pem.expose().starts_with("-----BEGIN"));
    assert_eq!((*algorithm, kid.as_deref()), (Alg::Ps256, Some("k")));
    assert!(checked.watched.contains(&folder.path().join("gate.pem")));
    assert_eq!(checked.store, Some(folder.path().join("data/gate.db")));
    assert!(!format!("{checked:?}").contains("s3cret"));
}

#[test]
fn the_gates_own_issuer_is_one_that_routes_accept() {
    let checked = with("gate: { public_url: \"https://mcp.example.com/\" }\nissuer: {}");
    let Access { identity, doors } = access(&checked);
    let [own] = identity.issuers.as_slice() else { panic!("{identity:?}") };
    assert_eq!((own.name.as_str(), own.url.as_str()), ("own", "https://mcp.example.com"));
    assert_eq!(own.tokens, TokenSettings::Own);
    assert_eq!(doors[0].resource, "https://mcp.example.com/mcp");
    let issuer = checked.issuer.unwrap();
    assert_eq!(issuer.url.as_str(), "https://mcp.example.com/");
    assert_eq!(issuer.resources[0].identifier, "https://mcp.example.com/mcp");
    assert_eq!((issuer.sign_in, issuer.algorithm), (SignIn::Accounts, Alg::Es256));
    assert!(issuer.registration.dynamic && issuer.registration.documents);
    assert!(!issuer.registration.private_addresses);
    assert_eq!(issuer.life.code, Duration::from_secs(bounds::issuer::CODE_SECS));
}

#[test]
fn the_gate_is_at_its_address_where_nothing_else_is_said() {
    let tls = "gate: { listen: \"[::1]:8443\" }\nissuer: { sign_in: nobody }";
    let checked = with(tls);
    assert_eq!(access(&checked).doors[0].resource, "http://[::1]:8443/mcp");
    assert_eq!(checked.issuer.unwrap().sign_in, SignIn::Nobody);
}

#[test]
fn a_public_url_with_a_path_is_part_of_what_tokens_are_for() {
    let checked = with("gate: { public_url: \"https://example.com/gate/\" }\nissuer: {}");
    assert_eq!(access(&checked).doors[0].resource, "https://example.com/gate/mcp");
    assert_eq!(checked.issuer.unwrap().url.as_str(), "https://example.com/");
    assert!(checked.warnings[0].contains("/.well-known/"), "{:?}", checked.warnings);
}

#[test]
fn routes_choose_their_issuers_and_scopes() {
    let source = "identity: { issuers: [{ name: corp, url: \"https://corp\" }] }
issuer: {}
upstreams:
  search: { http: { url: \"http://127.0.0.1:9001/mcp\" } }
routes:
  /a: { upstreams: [search], identity: { issuers: [corp], scopes: [b, a, b] } }
  /b: { upstreams: [search], identity: { issuers: [own], scopes: [mcp], offered: [\"tool:*\", mcp] } }
  /: { upstreams: [search] }
";
    let checked = checked(source);
    let [a, b, all] = access(&checked).doors.as_slice() else { panic!() };
    assert_eq!(
        (a.issuers.clone(), a.scopes.clone()),
        (vec!["corp".into()], vec!["a".into(), "b".into()])
    );
    assert_eq!((b.path.as_str(), b.offered.join(" ")), ("/b", "mcp tool:*".to_owned()));
    assert_eq!((all.issuers.len(), all.resource.as_str()), (0, "http://127.0.0.1:8080"));
    let issuer = checked.issuer.unwrap();
    let resources: Vec<_> =
        issuer.resources.iter().map(|r| (r.path.as_str(), r.scopes.join(" "))).collect();
    assert_eq!(resources, [("/b", "mcp tool:*".to_owned()), ("/", String::new())]);
}

#[test]
fn certificates_name_agents_where_they_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("c"), "-----BEGIN CERTIFICATE-----\n").unwrap();
    std::fs::write(folder.path().join("k"), "-----BEGIN PRIVATE KEY-----\n").unwrap();
    let source = format!(
        "gate: {{ tls: {{ cert: c, key: k, client_ca: c }} }}\nidentity: {{ certificates: spiffe, api_keys: false }}\n{MINIMAL}"
    );
    let checked = judged_in(folder.path(), &source).unwrap_or_else(|report| panic!("{report}"));
    let Access { identity, doors } = access(&checked);
    assert_eq!((identity.certificates, identity.api_keys), (Some(CertificateName::Spiffe), false));
    assert_eq!(doors[0].resource, "https://127.0.0.1:8080/mcp");
}

#[test]
fn every_key_of_the_gates_own_issuer_arrives() {
    let checked = with(
        "gate: { hosts: [login.example.com, localhost], public_url: \"https://mcp.example.com\" }
issuer:
  url: \"https://login.example.com\"
  registration: { dynamic: false, documents: false, hosts: [\"*.Example.com\"], total: 5, per_address: 2, unused: 1h, private_addresses: true }
  sign_in: { provider: { url: \"https://idp/\", client_id: gate, client_secret: \"${env:TOKEN}\" } }
  workloads: [{ url: \"https://ci\", keys: \"https://ci/keys\", algorithms: [RS256], subjects: { \"repo:a/b:ref\": nightly } }]
  lifetimes: { code: 10s, access_token: 1m, grant: 1d, signing_key: 2h }
  algorithm: EdDSA",
    );
    let issuer = checked.issuer.clone().unwrap();
    assert_eq!(issuer.url.as_str(), "https://login.example.com/");
    assert_eq!(access(&checked).identity.issuers[0].url, "https://login.example.com");
    let registration = issuer.registration;
    assert!(!registration.dynamic && !registration.documents && registration.private_addresses);
    assert_eq!((registration.hosts, registration.total_max), (vec!["*.example.com".into()], 5));
    let SignIn::Provider(provider) = issuer.sign_in else { panic!("{:?}", issuer.sign_in) };
    assert_eq!((provider.name.as_str(), provider.url.as_str()), ("idp", "https://idp/"));
    assert_eq!(issuer.workloads[0].subjects, [("repo:a/b:ref".to_owned(), "nightly".to_owned())]);
    let day = Duration::from_secs(86_400);
    // Defaults give way to a shorter whole.
    assert_eq!((issuer.life.refresh_token, issuer.life.grant), (day, day));
    assert_eq!(issuer.life.signing_key_ahead, issuer.life.signing_key);
    assert_eq!(issuer.algorithm, Alg::EdDsa);
}

#[test]
fn an_upstream_is_shown_a_token_of_the_gate_or_one_for_each_principal() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("gate.pem"), "-----BEGIN PRIVATE KEY-----\n").unwrap();
    let source = "identity: { issuers: [{ name: corp, url: \"https://corp/\" }] }
upstreams:
  a:
    http: { url: \"https://a/mcp\" }
    credential:
      header: { X-Tenant: t }
      client_credentials: { issuer: \"https://as/\", client_id: gate, client_secret: \"${env:TOKEN}\", scopes: [x], resources: [\"https://a/mcp\"], audience: a }
  b:
    http: { url: \"https://b/mcp\" }
    credential:
      exchange:
        request: { token_url: \"https://as/token\", client_id: gate, private_key: { file: gate.pem, algorithm: ES256 } }
        assertion: { issuer: \"https://gate\", audience: as, issuers: [corp], private_key: { file: gate.pem, algorithm: EdDSA, kid: k } }
routes:
  /mcp: { upstreams: [a, b] }
";
    let checked = judged_in(folder.path(), source).unwrap_or_else(|report| panic!("{report}"));
    let [a, b] = checked.settings.upstreams.as_slice() else { panic!() };
    assert_eq!(a.headers[0].0, "x-tenant");
    let CredentialSettings::ClientCredentials(request) = &a.credential else {
        panic!("{:?}", a.credential)
    };
    assert_eq!(request.server.at, TokenEndpoint::Issuer("https://as/".to_owned()));
    assert_eq!((request.client.id.as_str(), request.scopes.join(" ")), ("gate", "x".to_owned()));
    assert!(matches!(&request.client.proof, ClientProof::SecretBasic(_)));
    assert_eq!(
        (request.resources.clone(), request.audience.as_deref()),
        (vec!["https://a/mcp".to_owned()], Some("a"))
    );
    let CredentialSettings::Exchange(exchange) = &b.credential else {
        panic!("{:?}", b.credential)
    };
    assert!(
        matches!(&exchange.request.server.at, TokenEndpoint::Url(url) if url.path() == "/token")
    );
    // By the name the issuer has in tokens, not by the one it has in the file.
    assert_eq!(exchange.assertion.of_issuers, ["https://corp/"]);
    assert_eq!(
        (exchange.assertion.audience.as_deref(), exchange.assertion.key.algorithm),
        (Some("as"), Alg::EdDsa)
    );
}
