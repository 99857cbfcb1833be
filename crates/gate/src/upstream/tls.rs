//! TLS towards upstreams: whom we trust, what we present, which name we expect.
//!
//! The files are read when the configuration is taken, not per connection; what cannot be read or
//! parsed stops the start. Verification cannot be turned off, and a failed handshake is never
//! followed by an attempt in clear text.
//!
//! Next: `wire.rs`, which shakes hands on a fresh TCP connection.

use crate::settings::UpstreamTls;
use crate::upstream::fault::Cause;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Why TLS towards an upstream cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file of the configuration cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file holds no usable certificate or key.
    #[error("`{}` is not usable: {why}", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The system has no CA certificates.
    #[error("the system has no trusted CA certificates; name a PEM file in `tls.ca`")]
    NoRoots,
    /// Certificate and key do not work together.
    #[error("the client certificate cannot be used: {0}")]
    Client(rustls::Error),
    /// The name to verify is not a DNS name or an address.
    #[error("`{0}` is not a name that a certificate can carry")]
    Name(String),
    /// The cryptographic library offers no protocol version we want.
    #[error("cannot set up TLS: {0}")]
    Provider(rustls::Error),
}

/// The contents of the files named in the settings. Equal material makes equal connections, so a
/// reload can tell whether open ones may stay.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Material {
    ca: Option<File>,
    client: Option<(File, File)>,
}

type File = (PathBuf, Vec<u8>);

impl std::fmt::Debug for Material {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Material(…)")
    }
}

impl Material {
    /// Reads the files named in `settings`.
    pub(crate) fn read(settings: &UpstreamTls) -> Result<Self, TlsError> {
        let read = |path: &PathBuf| match std::fs::read(path) {
            Ok(bytes) => Ok((path.clone(), bytes)),
            Err(source) => Err(TlsError::Read { path: path.clone(), source }),
        };
        let client = match &settings.client {
            Some((chain, key)) => Some((read(chain)?, read(key)?)),
            None => None,
        };
        Ok(Self { ca: settings.ca.as_ref().map(read).transpose()?, client })
    }

    /// The configuration that all connections of one upstream share.
    pub(crate) fn config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Provider)?
            .with_root_certificates(self.roots()?);
        let mut config = match &self.client {
            None => builder.with_no_client_auth(),
            Some(((chain_path, chain), (key_path, key))) => {
                let key = PrivateKeyDer::from_pem_slice(key).map_err(|e| pem(key_path, &e))?;
                builder
                    .with_client_auth_cert(certificates(chain_path, chain)?, key)
                    .map_err(TlsError::Client)?
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    fn roots(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        match &self.ca {
            Some((path, bytes)) => {
                for certificate in certificates(path, bytes)? {
                    roots.add(certificate).map_err(|e| pem(path, &e))?;
                }
            }
            None => {
                let found = rustls_native_certs::load_native_certs();
                roots.add_parsable_certificates(found.certs);
            }
        }
        if roots.is_empty() { Err(TlsError::NoRoots) } else { Ok(roots) }
    }
}

fn certificates(path: &Path, bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = CertificateDer::pem_slice_iter(bytes).collect::<Result<Vec<_>, _>>();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(pem(path, &"no certificate in it")),
        Err(error) => Err(pem(path, &error)),
    }
}

fn pem(path: &Path, why: &dyn std::fmt::Display) -> TlsError {
    TlsError::Pem { path: path.to_path_buf(), why: why.to_string() }
}

/// What a handshake with one endpoint URL needs.
#[derive(Clone)]
pub(crate) struct Dial {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl std::fmt::Debug for Dial {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dial").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Dial {
    /// Handshakes by `config` with a peer that must prove to be `name`.
    pub(crate) fn new(config: Arc<ClientConfig>, name: &str) -> Result<Self, TlsError> {
        let parsed =
            ServerName::try_from(name.to_owned()).map_err(|_| TlsError::Name(name.to_owned()))?;
        Ok(Self { connector: TlsConnector::from(config), name: parsed })
    }

    /// Shakes hands.
    pub(crate) async fn shake(&self, tcp: TcpStream) -> Result<TlsStream<TcpStream>, Cause> {
        let shaken = self.connector.connect(self.name.clone(), tcp).await;
        shaken.map_err(|error| match fault(&error) {
            Some(why) => Cause::Tls(why),
            None => Cause::Tls(format!("the handshake failed: {error}")),
        })
    }
}

/// The TLS fault inside an I/O error, with the likely remedy.
fn fault(error: &io::Error) -> Option<String> {
    let tls = rustls_error(error)?;
    let remedy = match tls {
        rustls::Error::InvalidCertificate(wrong) => match wrong {
            // A bad signature: a CA of the same name, but with another key, as after a rotation.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "name the CA that signed the upstream's certificate in `tls.ca`"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "renew the upstream's certificate, and check this machine's clock"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "set `tls.server_name` to a name in the certificate, or use that name in the URL"
            }
            _ => "check the upstream's certificate",
        },
        rustls::Error::AlertReceived(_) => {
            "the upstream refused the handshake: check `tls.client` and its CA there"
        }
        rustls::Error::InvalidMessage(_) => {
            "the upstream does not seem to speak TLS on this port: is the URL `http`?"
        }
        _ => "check the upstream's TLS settings",
    };
    Some(format!("{tls}; {remedy}"))
}

/// The fault, if `error` is the upstream's refusal of our handshake.
///
/// In TLS 1.3 the upstream judges our certificate after we may already send, so the refusal
/// arrives on the first read. These alerts are only sent instead of completing a handshake: the
/// request was not looked at.
pub(crate) fn late_refusal(error: &io::Error) -> Option<String> {
    use AlertDescription as Alert;
    let rustls::Error::AlertReceived(alert) = rustls_error(error)? else { return None };
    let refused = matches!(
        alert,
        Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::HandshakeFailure
            | Alert::DecryptError
    );
    refused.then(|| fault(error)).flatten()
}

fn rustls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref::<rustls::Error>()
}
