//! Certificate files: their dates, whether the key belongs to them, and whether they are for the names
//! that agents use.
//!
//! Looks at what operators have to renew, the gate's own certificate and those it presents to upstreams.
//! Whether a chain is trusted is the other side's to say.

use crate::dates;
use crate::doctor::finding::Finding;
use crate::doctor::machine;
use rustls::client::verify_server_name;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use std::path::Path;
use tollgate_core::bounds::CERTIFICATE_FILE_BYTES_MAX;
use tollgate_gate::settings::Settings;

/// A certificate is to be renewed this many days before its end.
const RENEW_DAYS: u64 = 14;
const DAY_SECS: u64 = 86_400;

/// Looks at every certificate that the configuration names.
pub(super) fn examine(settings: &Settings) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(tls) = &settings.tls {
        findings.push(pair("gate.tls", &tls.cert, &tls.key, &names(settings)));
    }
    for upstream in &settings.upstreams {
        if let Some((cert, key)) = &upstream.tls.client {
            let subject = format!("client certificate for {}", upstream.name);
            findings.push(pair(&subject, cert, key, &[]));
        }
    }
    findings
}

/// The names that agents use, as far as certificates can be for them.
fn names(settings: &Settings) -> Vec<String> {
    let public = settings.public_url.as_ref().and_then(|url| url.host_str().map(str::to_owned));
    if let Some(public) = public {
        return vec![public];
    }
    let local = ["localhost", "127.0.0.1", "[::1]", "*"];
    let hosts = settings.names.hosts.iter().filter(|host| !local.contains(&host.as_str()));
    hosts
        .map(|host| host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name).to_owned())
        .collect()
}

fn pair(subject: &str, cert: &Path, key: &Path, names: &[String]) -> Finding {
    let file = cert.display();
    let chain = match certificates(cert) {
        Ok(chain) => chain,
        Err(why) => return Finding::fail(subject, &format!("{file}: {why}")),
    };
    let Some(own) = chain.first().cloned() else {
        return Finding::fail(subject, &format!("{file} holds no certificate"));
    };
    if let Err(why) = belongs(chain, key) {
        return Finding::fail(subject, &format!("{}: {why}", key.display()))
            .advise("the key must be the one that the first certificate was issued for");
    }
    let Some(finding) = validity(&own).map(|dates| judge(subject, &file.to_string(), dates)) else {
        return Finding::warn(subject, &format!("the dates of {file} cannot be read"));
    };
    let is_for = |name: &&String| !matches(&own, name);
    match names.iter().find(is_for) {
        Some(name) => {
            Finding::fail(subject, &format!("{file} is not for `{name}`, which agents use")).advise(
                "have one issued for that name, or correct `gate.public_url` or `gate.hosts`",
            )
        }
        None => finding,
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let content = read(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content).collect();
    chain.map_err(|error| error.to_string())
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > CERTIFICATE_FILE_BYTES_MAX {
        return Err("it is too large for a certificate".to_owned());
    }
    std::fs::read(path).map_err(|error| error.to_string())
}

fn belongs(chain: Vec<CertificateDer<'static>>, key: &Path) -> Result<(), String> {
    let content = read(key)?;
    let key = PrivateKeyDer::from_pem_slice(&content).map_err(|error| error.to_string())?;
    let key = any_supported_type(&key).map_err(|error| error.to_string())?;
    match CertifiedKey::new(chain, key).keys_match() {
        // Some kinds of keys cannot say.
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(()),
        Err(_) => Err("it does not belong to the certificate".to_owned()),
    }
}

fn matches(certificate: &CertificateDer<'_>, name: &str) -> bool {
    let bare = name.trim_start_matches('[').trim_end_matches(']').to_owned();
    let Ok(name) = ServerName::try_from(bare) else { return false };
    ParsedCertificate::try_from(certificate)
        .is_ok_and(|parsed| verify_server_name(&parsed, &name).is_ok())
}

/// What a certificate's dates come to today.
pub(super) fn judge(subject: &str, what: &str, (from, until): (u64, u64)) -> Finding {
    judge_at(subject, what, (from, until), machine::now())
}

fn judge_at(subject: &str, what: &str, (from, until): (u64, u64), now: u64) -> Finding {
    let day = dates::spell(until);
    if now < from {
        let text = format!("{what} is valid from {} on only", dates::spell(from));
        return Finding::fail(subject, &text).advise("check this machine's clock");
    }
    if now > until {
        return Finding::fail(subject, &format!("{what} expired on {day}")).advise("renew it");
    }
    if until - now < RENEW_DAYS * DAY_SECS {
        let days = (until - now) / DAY_SECS;
        let text = format!("{what} expires on {day}, in {days} days");
        return Finding::warn(subject, &text).advise("renew it");
    }
    Finding::ok(subject, &format!("{what} is valid until {day}"))
}

/// From when until when a certificate is valid, in seconds since 1970.
///
/// SPEC: RFC 5280 4.1: version, serial number, signature and issuer come before the validity.
pub(super) fn validity(certificate: &[u8]) -> Option<(u64, u64)> {
    const SEQUENCE: u8 = 0x30;
    let (tag, certificate, _) = element(certificate)?;
    let (inner, body, _) = element(certificate)?;
    if (tag, inner) != (SEQUENCE, SEQUENCE) {
        return None;
    }
    let mut rest = body;
    if rest.first() == Some(&0xa0) {
        rest = element(rest)?.2;
    }
    for _ in ["serial number", "signature", "issuer"] {
        rest = element(rest)?.2;
    }
    let (tag, dates, _) = element(rest)?;
    let (from_tag, from, rest) = element(dates)?;
    let (until_tag, until, _) = element(rest)?;
    let date = |tag: u8, text: &[u8]| match tag {
        0x17 => dates::of_certificate(text, false),
        0x18 => dates::of_certificate(text, true),
        _ => None,
    };
    (tag == SEQUENCE).then_some((date(from_tag, from)?, date(until_tag, until)?))
}

/// One element of DER: its tag, its content, and what follows it.
fn element(input: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = input.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let bytes = usize::from(first & 0x7f);
        if !(1..=4).contains(&bytes) {
            return None;
        }
        let (digits, rest) = rest.split_at_checked(bytes)?;
        (digits.iter().fold(0_usize, |length, digit| length << 8 | usize::from(*digit)), rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::{judge_at, matches, pair, validity};
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    const NOW: u64 = 1_795_000_000;

    #[test]
    fn validity_is_read_from_a_certificate() {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec!["mcp.example.com".to_owned()]).expect("names");
        params.not_before = date_time_ymd(2000, 2, 29);
        params.not_after = date_time_ymd(2049, 12, 31);
        let certificate = params.self_signed(&key).expect("a certificate");
        assert_eq!(validity(certificate.der()), Some((951_782_400, 2_524_521_600)));
        assert!(matches(certificate.der(), "mcp.example.com"));
        assert!(!matches(certificate.der(), "other.example.com"));
        let der = certificate.der();
        for cut in 0..der.len().min(200) {
            assert_eq!(validity(&der[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn dates_are_judged() {
        let line = |from: u64, until: u64| judge_at("x", "a.crt", (from, until), NOW).to_string();
        assert!(line(0, NOW + 90 * 86_400).starts_with("ok    x: a.crt is valid until 2027-"));
        assert!(line(0, NOW + 3 * 86_400).starts_with("warn  x: a.crt expires on 2026-"));
        assert!(line(0, NOW - 1).contains("FAIL  x: a.crt expired on "));
        assert!(line(NOW + 1, NOW + 2).contains("is valid from "));
    }

    #[test]
    fn a_key_of_another_certificate_is_a_failure() {
        let folder = tempfile::tempdir().expect("a folder");
        let (cert, key) = (folder.path().join("a.crt"), folder.path().join("a.key"));
        let own = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["a.example".to_owned()]).expect("names");
        std::fs::write(&cert, params.self_signed(&own).expect("a certificate").pem())
            .expect("written");
        std::fs::write(&key, KeyPair::generate().expect("a key").serialize_pem()).expect("written");
        let line = pair("gate.tls", &cert, &key, &[]).to_string();
        assert!(line.contains("it does not belong to the certificate"), "{line}");
        std::fs::write(&key, own.serialize_pem()).expect("written");
        let line = pair("gate.tls", &cert, &key, &["b.example".to_owned()]).to_string();
        assert!(line.contains("is not for `b.example`"), "{line}");
    }
}
