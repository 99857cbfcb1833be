//! TLS towards upstreams: own CAs, names, client certificates, and no way around any of them.

use crate::stage::{PATIENT, Stage, build, ok, post, settings, text};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;
use tollgate_gate::settings::UpstreamTls;
use tollgate_gate::upstream::{Cause, SendError, TlsError, UpstreamError, Upstreams};

/// A CA with what it signed, as files.
struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca"), params.self_signed(&key).unwrap().pem()).unwrap();
        Self { folder, issuer: Issuer::new(params, key) }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Signs a certificate for `name`; files of its chain and key.
    fn sign(&self, name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let (cert_file, key_file) =
            (self.file(&format!("{name}.crt")), self.file(&format!("{name}.key")));
        std::fs::write(&cert_file, params.signed_by(&key, &self.issuer).unwrap().pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        (cert_file, key_file)
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.file("ca")).unwrap()).unwrap();
        Arc::new(roots)
    }
}

/// An upstream over TLS that answers "pong" and counts what it was asked.
struct Vault {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    _task: AbortOnDropHandle<()>,
}

impl Vault {
    /// Proves to be `name`; wants client certificates of `clients`.
    async fn open(authority: &Authority, name: &str, clients: Option<&Authority>) -> Self {
        let (cert, key) = authority.sign(name);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let verifier = clients.map(|clients| {
            WebPkiClientVerifier::builder_with_provider(clients.roots(), provider).build().unwrap()
        });
        let builder = match verifier {
            Some(verifier) => builder.with_client_cert_verifier(verifier),
            None => builder.with_no_client_auth(),
        };
        let chain = vec![CertificateDer::from_pem_file(cert).unwrap()];
        let config =
            builder.with_single_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap()).unwrap();
        Self::serve(TlsAcceptor::from(Arc::new(config))).await
    }

    async fn serve(acceptor: TlsAcceptor) -> Self {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let (address, asked) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (acceptor, counted) = (acceptor.clone(), Arc::clone(&counted));
                tokio::spawn(async move {
                    let Ok(mut tls) = acceptor.accept(tcp).await else { return };
                    let mut piece = [0; 4096];
                    while matches!(tls.read(&mut piece).await, Ok(read) if read > 0) {
                        counted.fetch_add(1, Ordering::SeqCst);
                        tls.write_all(ok("pong").as_bytes()).await.ok();
                    }
                });
            }
        });
        Self { address, asked, _task: AbortOnDropHandle::new(task) }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn trusting(authority: &Authority) -> UpstreamTls {
    UpstreamTls { ca: Some(authority.file("ca")), client: None, server_name: None }
}

/// Two calls over TLS to `address`; what the second one said.
async fn ask(address: SocketAddr, tls: UpstreamTls) -> Result<String, SendError> {
    let mut settings = settings(&[format!("https://{address}/mcp")]);
    settings.tls = tls;
    let endpoint = build(settings).pick().unwrap();
    text(endpoint.send(post("ping"), PATIENT).await?).await?;
    text(endpoint.send(post("ping"), PATIENT).await?).await
}

fn tls_fault(outcome: Result<String, SendError>) -> String {
    match outcome {
        Err(SendError::NotSent(Cause::Tls(why))) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn upstream_of_a_trusted_authority_is_called() {
    let authority = Authority::new();
    let vault = Vault::open(&authority, "127.0.0.1", None).await;
    assert_eq!(ask(vault.address, trusting(&authority)).await.unwrap(), "pong");
}

#[tokio::test]
async fn name_of_the_settings_is_the_one_verified() {
    let authority = Authority::new();
    let vault = Vault::open(&authority, "vault.internal", None).await;
    let why = tls_fault(ask(vault.address, trusting(&authority)).await);
    assert!(why.contains("tls.server_name"), "{why}");
    let named = UpstreamTls { server_name: Some("vault.internal".into()), ..trusting(&authority) };
    assert_eq!(ask(vault.address, named).await.unwrap(), "pong");
    assert_eq!(vault.asked(), 2);
}

#[tokio::test]
async fn upstream_of_a_foreign_authority_gets_nothing() {
    let vault = Vault::open(&Authority::new(), "127.0.0.1", None).await;
    let why = tls_fault(ask(vault.address, trusting(&Authority::new())).await);
    assert!(why.contains("tls.ca"), "{why}");
    assert_eq!(vault.asked(), 0);
}

#[tokio::test]
async fn client_certificate_opens_the_door_and_its_absence_means_not_sent() {
    let (authority, staff) = (Authority::new(), Authority::new());
    let vault = Vault::open(&authority, "127.0.0.1", Some(&staff)).await;
    let why = tls_fault(ask(vault.address, trusting(&authority)).await);
    assert!(why.contains("tls.client"), "{why}");
    assert_eq!(vault.asked(), 0);
    let with = UpstreamTls { client: Some(staff.sign("gate")), ..trusting(&authority) };
    assert_eq!(ask(vault.address, with).await.unwrap(), "pong");
}

#[tokio::test]
async fn clear_text_upstream_is_never_spoken_to_in_clear_text() {
    let stage = Stage::play(|mut scene| async move {
        let mut hello = [0; 4096];
        let read = scene.stream.read(&mut hello).await.unwrap_or(0);
        assert!(!hello[..read].starts_with(b"POST"));
        scene.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n").await;
    })
    .await;
    let why = tls_fault(ask(stage.address, trusting(&Authority::new())).await);
    assert!(why.contains("is the URL `http`?"), "{why}");
    assert_eq!(stage.accepts(), 1);
}

#[test]
fn unusable_files_stop_the_start() {
    let authority = Authority::new();
    std::fs::write(authority.file("empty"), "").unwrap();
    let broken = |tls| {
        let mut settings = settings(&["https://host/mcp"]);
        settings.tls = tls;
        match Upstreams::build(&[settings], None).unwrap_err() {
            UpstreamError::Tls { source, .. } => source,
            other => panic!("{other:?}"),
        }
    };
    let ca = |name| UpstreamTls { ca: Some(authority.file(name)), ..UpstreamTls::default() };
    assert!(matches!(broken(ca("absent")), TlsError::Read { .. }));
    assert!(matches!(broken(ca("empty")), TlsError::Pem { .. }));
    let client = Some((authority.file("ca"), authority.file("ca")));
    assert!(matches!(broken(UpstreamTls { client, ..ca("ca") }), TlsError::Pem { .. }));
    let server_name = Some("not a name".to_owned());
    assert!(matches!(broken(UpstreamTls { server_name, ..ca("ca") }), TlsError::Name(_)));
}

#[test]
fn renewed_files_make_a_new_upstream() {
    let authority = Authority::new();
    let mut settings = settings(&["https://host/mcp"]);
    settings.tls = trusting(&authority);
    let old = Upstreams::build(std::slice::from_ref(&settings), None).unwrap();
    std::fs::copy(Authority::new().file("ca"), authority.file("ca")).unwrap();
    let new = Upstreams::build(std::slice::from_ref(&settings), Some(&old)).unwrap();
    assert!(!Arc::ptr_eq(old.get(&settings.name).unwrap(), new.get(&settings.name).unwrap()));
}
