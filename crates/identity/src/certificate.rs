//! Client certificates: which agent one names.
//!
//! That the certificate leads to a trusted CA and that its holder has the key was checked in the TLS
//! handshake; here its time is looked at again, since connections outlive certificates. Subjects
//! (`CN=`) name nobody: only the SAN does (RFC 9525 section 2).

use crate::denied::Denied;
use crate::names;
use crate::settings::CertificateName;
use std::borrow::Cow;
use std::sync::Arc;
use tollgate_core::principal::{Credential, Proof};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// What the certificate proves, and until when.
pub(crate) fn prove(
    der: &[u8],
    name: CertificateName,
    issuer: &Arc<str>,
    now: u64,
) -> Result<(Proof, u64), Denied> {
    let unreadable = || Denied::invalid("the client certificate cannot be read");
    let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| unreadable())?;
    if !rest.is_empty() {
        return Err(unreadable());
    }
    let seconds = |time: i64| u64::try_from(time).unwrap_or(0);
    let begins = seconds(certificate.validity().not_before.timestamp());
    let ends = seconds(certificate.validity().not_after.timestamp());
    if now < begins || now > ends {
        return Err(Denied::invalid("the client certificate has expired, or is not valid yet"));
    }
    let san = certificate.subject_alternative_name().map_err(|_| unreadable())?;
    let names = san.as_ref().map_or(&[][..], |san| &san.value.general_names);
    let agent = agent(names, name)?;
    let mut proof = names::proof(issuer, &agent, &agent, Credential::Certificate, begins);
    proof.expires = Some(ends);
    Ok((proof, ends))
}

fn agent<'a>(names: &[GeneralName<'a>], name: CertificateName) -> Result<Cow<'a, str>, Denied> {
    match name {
        CertificateName::Dns => names
            .iter()
            .find_map(|name| match name {
                GeneralName::DNSName(dns) => Some(*dns),
                _ => None,
            })
            .filter(|dns| is_host(dns))
            .map(|dns| Cow::Owned(dns.to_ascii_lowercase()))
            .ok_or_else(|| Denied::invalid("the client certificate names no DNS name in its SAN")),
        CertificateName::Email => names
            .iter()
            .find_map(|name| match name {
                GeneralName::RFC822Name(email) => Some(*email),
                _ => None,
            })
            .filter(|email| email.contains('@') && email.bytes().all(|b| b.is_ascii_graphic()))
            .map(Cow::Borrowed)
            .ok_or_else(|| Denied::invalid("the client certificate names no e-mail in its SAN")),
        CertificateName::Spiffe => {
            let mut uris = names.iter().filter_map(|name| match name {
                GeneralName::URI(uri) => Some(*uri),
                _ => None,
            });
            // SPEC: X.509-SVID section 2: exactly one URI SAN.
            match (uris.next(), uris.next()) {
                (Some(uri), None) if is_spiffe_id(uri) => Ok(Cow::Borrowed(uri)),
                _ => {
                    let why = "the client certificate must have exactly one URI in its SAN, a \
                               SPIFFE id of a workload";
                    Err(Denied::invalid(why))
                }
            }
        }
    }
}

// No wildcards: they name many.
fn is_host(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    !name.is_empty() && name.len() <= 253 && name.bytes().all(is_plain)
}

/// SPEC: SPIFFE-ID sections 2.1 to 2.3, X.509-SVID section 5.2: a leaf's path is not empty.
fn is_spiffe_id(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("spiffe://") else { return false };
    let Some((domain, path)) = rest.split_once('/') else { return false };
    let in_domain =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'_');
    let in_path = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    text.len() <= 2_048
        && (1..=255).contains(&domain.len())
        && domain.bytes().all(in_domain)
        && path
            .split('/')
            .all(|segment| !matches!(segment, "" | "." | "..") && segment.bytes().all(in_path))
}

#[cfg(test)]
mod tests {
    use super::is_spiffe_id;

    #[test]
    fn a_spiffe_id_names_one_workload() {
        for good in ["spiffe://example.org/agent", "spiffe://a.b-c_1/ns/Prod/sa/x.y"] {
            assert!(is_spiffe_id(good), "{good}");
        }
        for bad in [
            "spiffe://example.org",
            "spiffe://example.org/",
            "spiffe://Example.org/a",
            "SPIFFE://example.org/a",
            "spiffe://example.org/a/",
            "spiffe://example.org//a",
            "spiffe://example.org/../a",
            "spiffe://example.org/a?b",
            "spiffe://example.org/a#b",
            "spiffe://example.org:80/a",
            "spiffe://user@example.org/a",
            "spiffe://example.org/%61",
            "spiffe:///a",
            "https://example.org/a",
        ] {
            assert!(!is_spiffe_id(bad), "{bad}");
        }
    }
}
