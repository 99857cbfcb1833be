//! A look at an HTTP server from outside: its certificate, and the time it believes it is.
//!
//! One `HEAD /` without credentials. Whether the server is trusted and works is found out elsewhere, by
//! the gate's own client; what fails here is not told.

use crate::dates;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tollgate_core::bounds::HEAD_BYTES_MAX;
use url::Url;

/// Time for the whole look.
const LOOK_SECS: u64 = 5;

/// What was seen.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// The server's certificate, in DER.
    pub(super) certificate: Option<Vec<u8>>,
    /// Its clock, in seconds since 1970.
    pub(super) date: Option<u64>,
}

/// Looks; `None` where there is nothing to see.
pub(super) async fn at(url: &Url, ca: Option<PathBuf>, name: Option<String>) -> Option<Look> {
    let looking = look(url, ca, name);
    tokio::time::timeout(Duration::from_secs(LOOK_SECS), looking).await.ok()?
}

async fn look(url: &Url, ca: Option<PathBuf>, name: Option<String>) -> Option<Look> {
    let host = url.host_str()?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let port = url.port_or_known_default()?;
    let stream = TcpStream::connect((bare, port)).await.ok()?;
    let authority = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    if url.scheme() != "https" {
        return Some(Look { certificate: None, date: date(stream, &authority).await });
    }
    let name = ServerName::try_from(name.unwrap_or_else(|| bare.to_owned())).ok()?;
    let connector = TlsConnector::from(Arc::new(trusting(ca)?));
    let stream = connector.connect(name, stream).await.ok()?;
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let certificate = certificate.map(|certificate| certificate.to_vec());
    Some(Look { certificate, date: date(stream, &authority).await })
}

fn trusting(ca: Option<PathBuf>) -> Option<ClientConfig> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(path) => {
            for certificate in CertificateDer::pem_file_iter(path).ok()? {
                roots.add(certificate.ok()?).ok()?;
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().ok()?;
    Some(builder.with_root_certificates(roots).with_no_client_auth())
}

/// The `Date` of the answer to a `HEAD`.
async fn date<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, authority: &str) -> Option<u64> {
    let request = format!("HEAD / HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut head = Vec::new();
    while head.len() < HEAD_BYTES_MAX && !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await.ok()? == 0 {
            break;
        }
    }
    let head = String::from_utf8_lossy(&head);
    head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("date").then(|| dates::of_http(value))?
    })
}
