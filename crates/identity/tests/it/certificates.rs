//! Client certificates: what one names, or that it names nobody.

use crate::house::{FRONT, House, is_invalid, until};
use rcgen::{CertificateParams, KeyPair, SanType, date_time_ymd};
use tollgate_core::principal::{CERTIFICATES, Credential};
use tollgate_core::stores::{Revocable, Revocation};
use tollgate_identity::Denied;
use tollgate_identity::settings::CertificateName;

fn house(name: Option<CertificateName>) -> House {
    let mut house = House::with(vec![]);
    house.settings.certificates = name;
    house.rebuild().expect("settings");
    house
}

fn san(names: Vec<SanType>) -> Vec<u8> {
    issued(names, (2020, 2050))
}

fn issued(names: Vec<SanType>, (from, to): (i32, i32)) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.subject_alt_names = names;
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(to, 1, 1);
    let key = KeyPair::generate().expect("a key");
    params.self_signed(&key).expect("a certificate").der().to_vec()
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().expect("a name"))
}

fn uri(name: &str) -> SanType {
    SanType::URI(name.try_into().expect("a name"))
}

fn email(name: &str) -> SanType {
    SanType::Rfc822Name(name.try_into().expect("a name"))
}

/// Whom a certificate names.
async fn agent(house: &House, der: &[u8]) -> Result<Option<String>, Denied> {
    let principal = house.verifier.certificate(FRONT, der).await?;
    Ok(principal.map(|principal| {
        let proof = principal.proof().expect("a proof");
        assert_eq!((&*proof.issuer, proof.credential), (CERTIFICATES, Credential::Certificate));
        assert_eq!((&proof.subject, &proof.user), (&proof.client, &None));
        proof.client.to_string()
    }))
}

#[tokio::test]
async fn a_certificate_names_an_agent_as_the_operator_says() {
    let der = san(vec![
        email("ci@example.org"),
        dns("CI.example.org"),
        dns("second.example.org"),
        uri("spiffe://example.org/ns/prod/ci"),
    ]);
    for (name, expected) in [
        (Some(CertificateName::Dns), Some("ci.example.org")),
        (Some(CertificateName::Email), Some("ci@example.org")),
        (Some(CertificateName::Spiffe), Some("spiffe://example.org/ns/prod/ci")),
        (None, None),
    ] {
        assert_eq!(agent(&house(name), &der).await, Ok(expected.map(str::to_owned)));
    }
}

#[tokio::test]
async fn a_certificate_that_names_nobody_is_refused() {
    let (dns_house, spiffe) =
        (house(Some(CertificateName::Dns)), house(Some(CertificateName::Spiffe)));
    for names in [vec![], vec![email("a@b")], vec![dns("*.example.org"), dns("a.example.org")]] {
        assert!(is_invalid(&agent(&dns_house, &san(names)).await));
    }
    for names in [
        vec![],
        vec![uri("https://example.org/ci")],
        vec![uri("spiffe://example.org/ci"), uri("spiffe://example.org/other")],
        vec![uri("spiffe://example.org/ci"), uri("https://example.org/ci")],
        vec![uri("spiffe://example.org")],
    ] {
        assert!(is_invalid(&agent(&spiffe, &san(names)).await));
    }
    let mut der = san(vec![dns("ci.example.org")]);
    assert!(agent(&dns_house, &der).await.is_ok());
    der.push(0);
    for rubbish in [&der[..], &der[..der.len() / 2], b"", b"\x30\x84\xff\xff\xff\xff"] {
        assert!(is_invalid(&agent(&dns_house, rubbish).await));
    }
}

#[tokio::test]
async fn a_certificate_out_of_its_time_is_refused() {
    let house = house(Some(CertificateName::Dns));
    for years in [(2000, 2010), (2040, 2050)] {
        let der = issued(vec![dns("ci.example.org")], years);
        assert!(is_invalid(&agent(&house, &der).await));
    }
}

#[tokio::test]
async fn a_certificate_has_no_scopes() {
    let mut house = house(Some(CertificateName::Dns));
    house.doors[0].scopes = vec![String::from("read")];
    house.rebuild().expect("settings");
    let outcome = agent(&house, &san(vec![dns("ci.example.org")])).await;
    assert_eq!(outcome, Err(Denied::Insufficient { scopes: vec![String::from("read")] }));
}

#[tokio::test]
async fn revoking_the_agent_ends_its_certificate() {
    let house = house(Some(CertificateName::Dns));
    let der = san(vec![dns("ci.example.org")]);
    assert!(agent(&house, &der).await.is_ok());
    house.verifier.start_background();
    let what = Revocable::Agent(String::from("ci.example.org"));
    let revocation = Revocation { what, before: house.now(), until: u64::MAX };
    house.sources.stores.revocations.revoke(revocation).await.expect("revoked");
    until("it is refused", || async { is_invalid(&agent(&house, &der).await) }).await;
}

#[tokio::test]
async fn the_first_certificate_after_the_start_is_judged_by_what_is_revoked() {
    let house = house(Some(CertificateName::Dns));
    let der = san(vec![dns("ci.example.org")]);
    let what = Revocable::Agent(String::from("ci.example.org"));
    let revocation = Revocation { what, before: house.now(), until: u64::MAX };
    house.sources.stores.revocations.revoke(revocation).await.expect("revoked");
    assert!(is_invalid(&agent(&house, &der).await));
    assert!(agent(&house, &san(vec![dns("other.example.org")])).await.is_ok());
}
