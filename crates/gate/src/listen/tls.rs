//! TLS towards clients: the certificate files, loaded, checked and loaded again when they change.
//!
//! What is served is replaced whole or not at all: a pair that cannot be read, parsed or matched is
//! reported and the old one stays. Open connections keep what they began with. Files are compared
//! by content, since mounted secrets change by symbolic link and time stamps lie. Names no default
//! provider: the cryptographic library is passed explicitly.
//!
//! Next: `connection.rs`, which shakes hands with the current configuration.

use crate::drain::Drain;
use crate::settings::{ClientCertificates, TlsSettings};
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tollgate_core::bounds::{CERTIFICATE_CHECK_SECS, CERTIFICATE_FILE_BYTES_MAX};

/// Why certificate files cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read `{}`: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// A file is far larger than any certificate chain.
    #[error("`{}` is larger than {CERTIFICATE_FILE_BYTES_MAX} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A file does not hold what it should, in PEM.
    #[error("`{}` holds no usable PEM {what}: {cause}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
        /// Why it was not found.
        cause: rustls::pki_types::pem::Error,
    },
    /// The key is unusable, or is not the certificate's.
    #[error("certificate `{}` and key `{}` cannot be served: {cause}", cert.display(), key.display())]
    Pair {
        /// The certificate file.
        cert: PathBuf,
        /// The key file.
        key: PathBuf,
        /// Why.
        cause: rustls::Error,
    },
    /// A CA certificate is unusable.
    #[error("CA file `{}` is unusable: {cause}", path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: rustls::Error,
    },
    /// The CA file as a whole makes no verifier.
    #[error("CA file `{}` is unusable: {cause}", path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: VerifierBuilderError,
    },
    /// The cryptographic library offers none of our protocol versions.
    #[error("no usable TLS version: {0}")]
    Versions(rustls::Error),
}

/// Holds what is served now.
#[derive(Debug)]
pub struct TlsKeeper {
    settings: TlsSettings,
    current: ArcSwap<ServerConfig>,
    /// What the files held when last looked at, good or bad, so that one fault is reported once.
    /// A mutex, held across no wait: reloads are rare and must not overlap.
    seen: Mutex<Option<Files>>,
}

/// The files' contents. Hashed, so that the key is not kept a second time.
type Files = [Option<[u8; 32]>; 3];

impl TlsKeeper {
    /// Loads the files; fails rather than serve anything else.
    ///
    /// # Errors
    /// Any file that cannot be read, parsed or matched.
    pub fn load(settings: TlsSettings) -> Result<Self, TlsError> {
        let seen = Some(look(&settings));
        let current = ArcSwap::from_pointee(build(&settings)?);
        Ok(Self { settings, current, seen: Mutex::new(seen) })
    }

    /// What new connections are served with.
    #[must_use]
    pub fn current(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }

    /// Reads the files again and serves them from now on. Reads files: not for the event loop.
    ///
    /// # Errors
    /// As [`TlsKeeper::load`]; then what was served before is served on.
    pub fn reload(&self) -> Result<(), TlsError> {
        let mut seen = self.seen.lock();
        *seen = Some(look(&self.settings));
        self.current.store(Arc::new(build(&self.settings)?));
        Ok(())
    }

    /// Reloads if the files changed since they were last looked at; says whether they had.
    ///
    /// # Errors
    /// As [`TlsKeeper::reload`]; once per change.
    pub fn reload_if_changed(&self) -> Result<bool, TlsError> {
        if *self.seen.lock() == Some(look(&self.settings)) {
            return Ok(false);
        }
        self.reload().map(|()| true)
    }

    /// Looks at the files every `CERTIFICATE_CHECK_SECS` until the drain begins.
    pub async fn watch(self: Arc<Self>, drain: Drain) {
        let mut ticks = tokio::time::interval(Duration::from_secs(CERTIFICATE_CHECK_SECS));
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            // The loser is dropped without harm: neither holds anything.
            tokio::select! {
                () = drain.begun() => return,
                _ = ticks.tick() => {}
            }
            let keeper = Arc::clone(&self);
            match tokio::task::spawn_blocking(move || keeper.reload_if_changed()).await {
                Ok(Ok(false)) => {}
                Ok(Ok(true)) => {
                    tracing::info!(cert = %self.settings.cert.display(), "certificate reloaded");
                }
                Ok(Err(error)) => {
                    tracing::error!(%error, "certificate not reloaded, the old one is served on");
                }
                Err(error) => tracing::error!(%error, "certificate check failed"),
            }
        }
    }
}

fn look(settings: &TlsSettings) -> Files {
    let hash = |path: &Path| {
        let bytes = read(path).ok()?;
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes);
        digest.as_ref().try_into().ok()
    };
    let authority = match &settings.client {
        ClientCertificates::Off => None,
        ClientCertificates::Optional(ca) | ClientCertificates::Required(ca) => hash(ca),
    };
    [hash(&settings.cert), hash(&settings.key), authority]
}

fn build(settings: &TlsSettings) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain = certificates(&settings.cert)?;
    let key = PrivateKeyDer::from_pem_slice(&read(&settings.key)?).map_err(|cause| {
        TlsError::Pem { path: settings.key.clone(), what: "private key", cause }
    })?;
    let versions = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(TlsError::Versions)?;
    let verified = match &settings.client {
        ClientCertificates::Off => versions.with_no_client_auth(),
        ClientCertificates::Optional(ca) | ClientCertificates::Required(ca) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(roots(ca)?, provider);
            let verifier = match &settings.client {
                ClientCertificates::Optional(_) => verifier.allow_unauthenticated(),
                ClientCertificates::Off | ClientCertificates::Required(_) => verifier,
            };
            let verifier = verifier
                .build()
                .map_err(|cause| TlsError::Authorities { path: ca.clone(), cause })?;
            versions.with_client_cert_verifier(verifier)
        }
    };
    let mut config = verified.with_single_cert(chain, key).map_err(|cause| TlsError::Pair {
        cert: settings.cert.clone(),
        key: settings.key.clone(),
        cause,
    })?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn roots(path: &Path) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots
            .add(certificate)
            .map_err(|cause| TlsError::Authority { path: path.to_owned(), cause })?;
    }
    Ok(Arc::new(roots))
}

/// At least one certificate.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = |cause| TlsError::Pem { path: path.to_owned(), what: "certificate", cause };
    let found =
        CertificateDer::pem_slice_iter(&read(path)?).collect::<Result<Vec<_>, _>>().map_err(pem)?;
    match found.is_empty() {
        true => Err(pem(rustls::pki_types::pem::Error::NoItemsFound)),
        false => Ok(found),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let unreadable = |cause| TlsError::Unreadable { path: path.to_owned(), cause };
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .map_err(unreadable)?
        .take(CERTIFICATE_FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > CERTIFICATE_FILE_BYTES_MAX {
        return Err(TlsError::TooLarge { path: path.to_owned() });
    }
    Ok(bytes)
}
