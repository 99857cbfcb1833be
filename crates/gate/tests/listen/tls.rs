//! TLS: both HTTP versions by ALPN, client certificates, and changed files.

use crate::house::{Gate, limits, read_to_close, until, within};
use bytes::Bytes;
use http::{Request, Version};
use http_body_util::Empty;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tollgate_gate::listen::tls::{TlsError, TlsKeeper};
use tollgate_gate::settings::{ClientCertificates, Limits, TlsSettings};

/// A CA and a folder with what it issued.
struct Office {
    folder: TempDir,
    ca: CertifiedIssuer<'static, KeyPair>,
}

impl Office {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let ca = CertifiedIssuer::self_signed(params, key).expect("a CA");
        let office = Self { folder: TempDir::new().expect("a folder"), ca };
        office.write("ca.pem", &office.ca.pem());
        office.issue_to_gate();
        office
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a written file");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn issue(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned()]).expect("parameters");
        (params.signed_by(&key, &self.ca).expect("a certificate"), key)
    }

    /// Writes a new pair for the gate; returns the certificate.
    fn issue_to_gate(&self) -> CertificateDer<'static> {
        let (certificate, key) = self.issue("localhost");
        self.write("cert.pem", &certificate.pem());
        self.write("key.pem", &key.serialize_pem());
        certificate.der().clone()
    }

    fn settings(&self, client: ClientCertificates) -> TlsSettings {
        TlsSettings { cert: self.path("cert.pem"), key: self.path("key.pem"), client }
    }

    fn keeper(&self, client: ClientCertificates) -> Arc<TlsKeeper> {
        Arc::new(TlsKeeper::load(self.settings(client)).expect("a good pair"))
    }

    fn required(&self) -> ClientCertificates {
        ClientCertificates::Required(self.path("ca.pem"))
    }

    fn optional(&self) -> ClientCertificates {
        ClientCertificates::Optional(self.path("ca.pem"))
    }

    async fn connect(&self, gate: &Gate, alpn: &str, id: Option<Id>) -> TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.der().clone()).expect("a CA");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        let mut config = match id {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                builder.with_client_auth_cert(vec![certificate], key).expect("a pair")
            }
        };
        config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        let name = ServerName::try_from("localhost").expect("a name");
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, gate.connect().await);
        within(connecting).await.expect("a TLS connection")
    }

    fn id(&self) -> Id {
        let (certificate, key) = self.issue("agent");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        (certificate.der().clone(), key)
    }
}

type Id = (CertificateDer<'static>, PrivateKeyDer<'static>);

const CALL: &[u8] = b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

async fn call(stream: &mut TlsStream<TcpStream>) -> String {
    // A gate that refused the certificate may have closed already.
    if stream.write_all(CALL).await.is_err() {
        return String::new();
    }
    within(read_to_close(stream)).await
}

/// The certificate the gate shows now.
async fn shown(office: &Office, gate: &Gate) -> CertificateDer<'static> {
    let stream = office.connect(gate, "http/1.1", None).await;
    let certificates = stream.get_ref().1.peer_certificates().expect("a certificate");
    certificates[0].clone().into_owned()
}

#[tokio::test]
async fn http1_is_served_by_alpn() {
    let office = Office::new();
    let gate = Gate::with_tls(limits(), Some(office.keeper(ClientCertificates::Off)));
    let mut stream = office.connect(&gate, "http/1.1", None).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert!(call(&mut stream).await.starts_with("HTTP/1.1 200"));
    let peer = gate.last_peer();
    assert!(peer.is_tls && peer.certificate.is_none());
}

#[tokio::test]
async fn http2_is_served_by_alpn() {
    let office = Office::new();
    let gate = Gate::with_tls(limits(), Some(office.keeper(ClientCertificates::Off)));
    let io = TokioIo::new(office.connect(&gate, "h2", None).await);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.expect("HTTP/2");
    tokio::spawn(connection);
    let request = Request::get("https://localhost/a").body(Empty::<Bytes>::new()).expect("one");
    let response = within(sender.send_request(request)).await.expect("a response");
    assert_eq!((response.version(), response.status().as_u16()), (Version::HTTP_2, 200));
}

#[tokio::test]
async fn framing_is_checked_behind_tls_too() {
    let office = Office::new();
    let gate = Gate::with_tls(limits(), Some(office.keeper(ClientCertificates::Off)));
    let mut stream = office.connect(&gate, "http/1.1", None).await;
    stream.write_all(b"GET /a HTTP/1.1\nHost: a\n\n").await.expect("sent");
    let reply = within(read_to_close(&mut stream)).await;
    assert!(reply.starts_with("HTTP/1.1 400"), "{reply:?}");
    assert_eq!(gate.seen(), []);
}

#[tokio::test]
async fn clear_text_on_the_tls_port_is_not_served() {
    let office = Office::new();
    let gate = Gate::with_tls(limits(), Some(office.keeper(ClientCertificates::Off)));
    gate.exchange(CALL, false).await;
    assert_eq!(gate.seen(), []);
}

#[tokio::test]
async fn a_slow_handshake_is_cut() {
    let office = Office::new();
    let limits = Limits { handshake: Duration::from_millis(200), ..limits() };
    let gate = Gate::with_tls(limits, Some(office.keeper(ClientCertificates::Off)));
    let mut stream = gate.connect().await;
    stream.write_all(&[22, 3, 1]).await.expect("sent");
    within(read_to_close(&mut stream)).await;
    until(|| gate.control.counters.open() == 0).await;
}

#[tokio::test]
async fn a_required_certificate_is_verified_and_told() {
    let office = Office::new();
    let gate = Gate::with_tls(limits(), Some(office.keeper(office.required())));
    let (certificate, key) = office.id();
    let mut stream = office.connect(&gate, "http/1.1", Some((certificate.clone(), key))).await;
    assert!(call(&mut stream).await.starts_with("HTTP/1.1 200"));
    assert_eq!(gate.last_peer().certificate, Some(certificate));
}

#[tokio::test]
async fn without_a_required_certificate_nothing_is_served() {
    let office = Office::new();
    let gate = Gate::with_tls(limits(), Some(office.keeper(office.required())));
    let mut stream = office.connect(&gate, "http/1.1", None).await;
    assert_eq!(call(&mut stream).await, "");
    let mut foreign = office.connect(&gate, "http/1.1", Some(Office::new().id())).await;
    assert_eq!(call(&mut foreign).await, "");
    assert_eq!(gate.seen(), []);
}

#[tokio::test]
async fn an_optional_certificate_may_be_absent_but_not_foreign() {
    let office = Office::new();
    let gate = Gate::with_tls(limits(), Some(office.keeper(office.optional())));
    let mut without = office.connect(&gate, "http/1.1", None).await;
    assert!(call(&mut without).await.starts_with("HTTP/1.1 200"));
    assert_eq!(gate.last_peer().certificate, None);
    let (certificate, key) = office.id();
    let mut with = office.connect(&gate, "http/1.1", Some((certificate.clone(), key))).await;
    assert!(call(&mut with).await.starts_with("HTTP/1.1 200"));
    assert_eq!(gate.last_peer().certificate, Some(certificate));
    let mut foreign = office.connect(&gate, "http/1.1", Some(Office::new().id())).await;
    assert_eq!(call(&mut foreign).await, "");
    assert_eq!(gate.seen().len(), 2);
}

#[tokio::test]
async fn changed_files_are_served_without_a_restart_and_old_connections_live() {
    let office = Office::new();
    let keeper = office.keeper(ClientCertificates::Off);
    let gate = Gate::with_tls(limits(), Some(Arc::clone(&keeper)));
    let old = shown(&office, &gate).await;
    let mut open = office.connect(&gate, "http/1.1", None).await;
    let new = office.issue_to_gate();
    within(async {
        while shown(&office, &gate).await != new {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    assert_ne!(old, new);
    assert!(call(&mut open).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_broken_new_pair_is_reported_once_and_kept_out() {
    let office = Office::new();
    let keeper = office.keeper(ClientCertificates::Off);
    let good = keeper.current();

    let stranger = KeyPair::generate().expect("a key");
    office.write("key.pem", &stranger.serialize_pem());
    let error = keeper.reload().expect_err("the key is another's");
    assert!(matches!(error, TlsError::Pair { .. }), "{error}");
    assert!(!keeper.reload_if_changed().expect("reported already"));

    office.write("cert.pem", "nonsense");
    let error = keeper.reload_if_changed().expect_err("not a certificate");
    assert!(matches!(error, TlsError::Pem { .. }), "{error}");

    std::fs::remove_file(office.path("cert.pem")).expect("removed");
    let error = keeper.reload_if_changed().expect_err("no file");
    assert!(matches!(error, TlsError::Unreadable { .. }), "{error}");
    assert!(Arc::ptr_eq(&keeper.current(), &good));
}

#[tokio::test]
async fn a_bad_pair_at_start_is_an_error() {
    let office = Office::new();
    office.write("key.pem", "nonsense");
    let error = TlsKeeper::load(office.settings(ClientCertificates::Off)).expect_err("no key");
    assert!(error.to_string().contains("key.pem"), "{error}");
}
