//! TLS on both sides of the gate, from the binary's own configuration: versions of HTTP by ALPN,
//! client certificates, files that change, and upstreams with a CA of their own.

use crate::GATE;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use tempfile::TempDir;
use testkit::h2::{END_HEADERS, END_STREAM, block, frame, kind, opening, post_fields, take_frames};
use testkit::post::good_call;
use testkit::{Configuration, DEADLINE, GateProcess, House, Recorder};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

pub(crate) type Pair = (CertificateDer<'static>, PrivateKeyDer<'static>);

/// A CA, and a folder for what the gate reads.
pub(crate) struct Office {
    ca: CertifiedIssuer<'static, KeyPair>,
}

impl Office {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self { ca: CertifiedIssuer::self_signed(params, key).expect("a CA") }
    }

    /// A pair for `localhost`, made invalid by `change`.
    pub(crate) fn issue(
        &self,
        change: impl FnOnce(&mut CertificateParams),
    ) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(["localhost".to_owned()]).expect("parameters");
        change(&mut params);
        (params.signed_by(&key, &self.ca).expect("a certificate"), key)
    }

    fn pair(&self) -> Pair {
        let (certificate, key) = self.issue(|_| {});
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        (certificate.der().clone(), key)
    }

    /// Writes a new pair as `gate.crt` and `gate.key`; returns the certificate.
    pub(crate) fn write_pair(&self, folder: &Path) -> CertificateDer<'static> {
        let (certificate, key) = self.issue(|_| {});
        std::fs::write(folder.join("gate.key"), key.serialize_pem()).expect("a file");
        std::fs::write(folder.join("gate.crt"), certificate.pem()).expect("a file");
        certificate.der().clone()
    }

    pub(crate) fn write_ca(&self, file: &Path) {
        std::fs::write(file, self.ca.pem()).expect("a file");
    }

    /// Connects as a client that trusts this CA and speaks these versions of HTTP.
    pub(crate) async fn connect(
        &self,
        address: SocketAddr,
        alpn: &[&str],
        own: Option<Pair>,
    ) -> io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.der().clone()).expect("a CA");
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots);
        let mut config = match own {
            Some((certificate, key)) => {
                config.with_client_auth_cert(vec![certificate], key).expect("a pair")
            }
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let socket = TcpStream::connect(address).await?;
        let name = ServerName::try_from("localhost").expect("a name");
        TlsConnector::from(Arc::new(config)).connect(name, socket).await
    }

    /// The good call on a connection of its own; what is answered, if anything.
    async fn ask(&self, address: SocketAddr, own: Option<Pair>) -> io::Result<String> {
        let mut stream = self.connect(address, &["http/1.1"], own).await?;
        exchange(&mut stream).await
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

async fn exchange(stream: &mut TlsStream<TcpStream>) -> io::Result<String> {
    stream.write_all(&good_call().with("connection", "close").bytes()).await?;
    let mut answer = Vec::new();
    let reading = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer)).await;
    reading.expect("the end in time")?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn is_served(answer: &io::Result<String>) -> bool {
    answer.as_ref().is_ok_and(|text| text.starts_with("HTTP/1.1 200") && text.contains("good"))
}

/// A house that serves TLS with files of this folder; `more` is added to `tls`.
async fn house(folder: &TempDir, more: &str) -> House {
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (cert, key) = (path("gate.crt"), path("gate.key"));
    let tls = format!("tls: {{ cert: \"{cert}\", key: \"{key}\"{more} }}");
    House::open_with(GATE, |c| c.gate(&tls)).await
}

#[tokio::test]
async fn both_versions_of_http_are_served_by_alpn() {
    let (office, folder) = (Office::new(), TempDir::new().expect("a folder"));
    office.write_pair(folder.path());
    let house = house(&folder, "").await;
    let address = house.gate.address;
    assert!(house.gate.stderr().contains(&format!("route https://{address}/mcp")));
    for alpn in [&["http/1.1"][..], &[]] {
        let mut stream = office.connect(address, alpn, None).await.expect("a handshake");
        assert_eq!(stream.get_ref().1.alpn_protocol(), alpn.first().map(|name| name.as_bytes()));
        assert!(is_served(&exchange(&mut stream).await));
    }
    let mut stream = office.connect(address, &["h2", "http/1.1"], None).await.expect("a handshake");
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let fields: Vec<_> = post_fields()
        .into_iter()
        .map(|(name, value)| if name == ":scheme" { (name, "https") } else { (name, value) })
        .collect();
    let mut bytes = opening();
    bytes.extend(frame(kind::HEADERS, END_HEADERS, 1, &block(&fields)));
    bytes.extend(frame(kind::DATA, END_STREAM, 1, &good_call().body));
    stream.write_all(&bytes).await.expect("sent");
    let (mut buffer, mut body, mut is_200) = (Vec::new(), Vec::new(), false);
    while !String::from_utf8_lossy(&body).contains("good") {
        let read = tokio::time::timeout(DEADLINE, stream.read_buf(&mut buffer)).await;
        assert!(read.expect("an answer in time").expect("an open connection") > 0);
        for frame in take_frames(&mut buffer).into_iter().filter(|frame| frame.stream == 1) {
            // 0x88 is `:status: 200`.
            is_200 |= frame.kind == kind::HEADERS && frame.payload.first() == Some(&0x88);
            body.extend(if frame.kind == kind::DATA { frame.payload } else { Vec::new() });
        }
    }
    assert!(is_200);
}

#[tokio::test]
async fn clear_text_is_not_served_where_tls_is() {
    let (office, folder) = (Office::new(), TempDir::new().expect("a folder"));
    office.write_pair(folder.path());
    let house = house(&folder, "").await;
    let mut client = house.connect().await;
    client.send(&good_call().bytes()).await;
    let rest = client.until_closed(DEADLINE).await;
    assert!(!rest.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&rest));
    assert_eq!(house.peer.bytes_seen(), 0);
}

#[tokio::test]
async fn client_certificates_are_asked_for_as_configured() {
    let (office, stranger) = (Office::new(), Office::new());
    let folder = TempDir::new().expect("a folder");
    office.write_pair(folder.path());
    office.write_ca(&folder.path().join("ca.crt"));
    let ca = folder.path().join("ca.crt").display().to_string();
    for (auth, without) in [("optional", true), ("required", false)] {
        let more = format!(", client_ca: \"{ca}\", client_auth: {auth}");
        let house = house(&folder, &more).await;
        let address = house.gate.address;
        assert_eq!(is_served(&office.ask(address, None).await), without, "{auth}");
        assert!(is_served(&office.ask(address, Some(office.pair())).await), "{auth}");
        assert!(!is_served(&office.ask(address, Some(stranger.pair())).await), "{auth}");
    }
}

#[tokio::test] // F19.
async fn certificates_are_read_again_and_bad_ones_are_not_taken() {
    let (office, folder) = (Office::new(), TempDir::new().expect("a folder"));
    let first = office.write_pair(folder.path());
    let house = house(&folder, "").await;
    let address = house.gate.address;
    let mut old = office.connect(address, &["http/1.1"], None).await.expect("a handshake");
    let presented = |stream: &TlsStream<TcpStream>| {
        stream.get_ref().1.peer_certificates().map(|chain| chain[0].clone().into_owned())
    };
    assert_eq!(presented(&old), Some(first.clone()));
    std::fs::write(folder.path().join("gate.crt"), "-----BEGIN nonsense").expect("a file");
    let begun = Instant::now();
    while !house.gate.stderr().contains("gate.crt") {
        assert!(begun.elapsed() < DEADLINE, "nobody noticed");
        assert!(is_served(&office.ask(address, None).await));
    }
    let kept = office.connect(address, &["http/1.1"], None).await.expect("a handshake");
    assert_eq!(presented(&kept), Some(first));
    let second = office.write_pair(folder.path());
    let begun = Instant::now();
    loop {
        let stream = office.connect(address, &["http/1.1"], None).await.expect("a handshake");
        if presented(&stream) == Some(second.clone()) {
            break;
        }
        assert!(begun.elapsed() < DEADLINE, "the old certificate stays");
    }
    assert!(is_served(&exchange(&mut old).await), "a connection ended with its certificate");
}

/// A TLS front for an upstream: what comes in is passed to `peer` in clear text.
async fn front(pair: Pair, peer: SocketAddr) -> SocketAddr {
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![pair.0], pair.1)
        .expect("a pair");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    // Ends with the test's runtime.
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client that refuses our certificate ends the handshake, as it should.
                let Ok(mut stream) = acceptor.accept(socket).await else { return };
                let Ok(mut inner) = TcpStream::connect(peer).await else { return };
                let _ended = tokio::io::copy_bidirectional(&mut stream, &mut inner).await;
            });
        }
    });
    address
}

/// A configuration with one `https` upstream that must be signed by the CA in this file.
fn towards(address: SocketAddr, ca: &Path) -> String {
    let key = format!("tls: {{ ca: \"{}\" }}, health: off", ca.display());
    let text = Configuration::of(&[address]).http_key(&key).text();
    text.replace(&format!("http://{address}"), &format!("https://localhost:{}", address.port()))
}

#[tokio::test] // F20.
async fn an_upstream_is_trusted_by_its_own_ca_only() {
    let (office, stranger) = (Office::new(), Office::new());
    let folder = TempDir::new().expect("a folder");
    let ca = folder.path().join("ca.crt");
    office.write_ca(&ca);
    let peer = Recorder::start().await;
    let address = front(office.pair(), peer.address).await;
    let gate = GateProcess::start(GATE, &towards(address, &ca)).await;
    let house = House { gate, peer };
    house.gate.wait_for_status(|s| s["upstreams"][0]["endpoints"][0]["address"].is_string()).await;
    house.still_serves().await;
    let expired = |params: &mut CertificateParams| {
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(2001, 1, 1);
    };
    let (old, old_key) = office.issue(expired);
    let old = (old.der().clone(), PrivateKeyDer::try_from(old_key.serialize_der()).expect("a key"));
    for pair in [stranger.pair(), old] {
        let before = house.peer.bytes_seen();
        let address = front(pair, house.peer.address).await;
        let gate = GateProcess::start(GATE, &towards(address, &ca)).await;
        gate.wait_for_status(|s| s["upstreams"][0]["endpoints"][0]["address"].is_string()).await;
        let answer = testkit::client::ask(gate.address, &good_call()).await;
        assert!([502, 503].contains(&answer.status), "{} {}", answer.status, answer.text());
        assert_eq!(answer.json()["id"], 7);
        assert_eq!(house.peer.bytes_seen(), before, "the call went to somebody else");
    }
}

#[tokio::test] // F20: the CA is rotated on disk.
async fn an_upstreams_ca_is_read_again_when_it_changes() {
    let (office, next) = (Office::new(), Office::new());
    let folder = TempDir::new().expect("a folder");
    let ca = folder.path().join("ca.crt");
    office.write_ca(&ca);
    let peer = Recorder::start().await;
    let address = front(next.pair(), peer.address).await;
    let gate = GateProcess::start(GATE, &towards(address, &ca)).await;
    let house = House { gate, peer };
    assert!([502, 503].contains(&house.ask(&good_call()).await.status));
    next.write_ca(&ca);
    let begun = Instant::now();
    while house.ask(&good_call()).await.status != 200 {
        assert!(begun.elapsed() < DEADLINE, "the new CA is not trusted");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
