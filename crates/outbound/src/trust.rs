//! Whose certificates are believed.
//!
//! Files are read once, when a fetcher is made. Verification cannot be turned off, and nothing is
//! presented: the other side knows the gate by what it is told, not by a certificate.
//!
//! Next: `fetch.rs`, which shakes hands.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Which CAs are trusted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Trust {
    /// Those of the system.
    System,
    /// Only those in this PEM file.
    File(PathBuf),
}

/// Why a [`Trust`] cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustFault {
    /// The file cannot be read.
    #[error("cannot read `{}`: {why}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// The file holds no usable certificate.
    #[error("`{}` is not usable: {why}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The cryptographic library offers no protocol version we want.
    #[error("cannot set up TLS: {0}")]
    Provider(String),
}

impl Trust {
    /// The TLS configuration of it; `None` where the system trusts nobody, which matters only once
    /// something is fetched by `https`.
    pub(crate) fn config(&self) -> Result<Option<Arc<ClientConfig>>, TrustFault> {
        let mut roots = RootCertStore::empty();
        match self {
            Self::System => {
                let found = rustls_native_certs::load_native_certs();
                roots.add_parsable_certificates(found.certs);
            }
            Self::File(path) => {
                for certificate in certificates(path)? {
                    roots.add(certificate).map_err(|why| pem(path, &why))?;
                }
            }
        }
        if roots.is_empty() {
            return Ok(None);
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|why| TrustFault::Provider(why.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Some(Arc::new(config)))
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TrustFault> {
    let bytes = std::fs::read(path)
        .map_err(|why| TrustFault::Read { path: path.into(), why: why.to_string() })?;
    match CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>() {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(pem(path, &"no certificate in it")),
        Err(why) => Err(pem(path, &why)),
    }
}

fn pem(path: &Path, why: &dyn std::fmt::Display) -> TrustFault {
    TrustFault::Pem { path: path.into(), why: why.to_string() }
}
