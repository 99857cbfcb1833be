//! Whom a fetch believes to be who they say.

use crate::stage::{Names, ask, ok};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tollgate_outbound::{FetchFault, Fetcher, Net, Reach, Trust, TrustFault};
use url::Url;

type Ca = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Ca {
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a CA")
}

fn trusting(ca: &Ca) -> (NamedTempFile, Trust) {
    let file = NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), ca.pem()).expect("a file");
    let trust = Trust::File(file.path().into());
    (file, trust)
}

/// A server with a certificate for `name`; counts requests that got through the handshake.
async fn serve(ca: &Ca, name: &str, is_expired: bool) -> (SocketAddr, Arc<AtomicUsize>) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
    if is_expired {
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
    }
    let certificate = params.signed_by(&key, ca).expect("a certificate");
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("a configuration");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let heard = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let Ok(mut tls) = acceptor.accept(tcp).await else { continue };
            let mut piece = [0; 4096];
            if tls.read(&mut piece).await.is_ok_and(|size| size > 0) {
                counting.fetch_add(1, Ordering::SeqCst);
                drop(tls.write_all(&ok("{}")).await);
                drop(tls.shutdown().await);
            }
        }
    });
    (address, heard)
}

/// Fetches `https://a.example/`, whose public address is a door to `address`.
async fn fetch(trust: Trust, address: SocketAddr) -> Result<String, FetchFault> {
    let names = Names::default().with("a.example", &[&["8.8.8.8"]]);
    let names: Arc<dyn Net> = Arc::new(names.door("8.8.8.8:443", address));
    let fetcher = Fetcher::over(trust, names).expect("a fetcher");
    let url = Url::parse("https://a.example/").expect("a URL");
    let answer = fetcher.send(ask(&url, Reach::Public)).await?;
    Ok(String::from_utf8_lossy(&answer.body).into_owned())
}

#[tokio::test]
async fn a_server_of_the_trusted_ca_is_fetched_from() {
    let ca = authority();
    let (address, heard) = serve(&ca, "a.example", false).await;
    let (_file, trust) = trusting(&ca);
    assert_eq!(fetch(trust, address).await.as_deref(), Ok("{}"));
    assert_eq!(heard.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_server_of_another_ca_name_or_time_hears_no_request() {
    let (ca, other) = (authority(), authority());
    for (signer, name, is_expired, remedy) in [
        (&other, "a.example", false, "name the CA"),
        (&ca, "b.example", false, "use a name in the URL"),
        (&ca, "a.example", true, "renew its certificate"),
    ] {
        let (address, heard) = serve(signer, name, is_expired).await;
        let (_file, trust) = trusting(&ca);
        let fault = fetch(trust, address).await.expect_err(remedy);
        assert!(matches!(fault, FetchFault::Tls { .. }), "{fault}");
        assert!(fault.to_string().contains(remedy), "{fault}");
        assert_eq!(heard.load(Ordering::SeqCst), 0, "{remedy}");
    }
}

#[tokio::test]
async fn a_server_in_clear_text_is_not_spoken_to_instead() {
    let mut server = crate::stage::Server::start(crate::stage::Script::Say(ok("{}"))).await;
    let (_file, trust) = trusting(&authority());
    let fault =
        tokio::time::timeout(std::time::Duration::from_secs(10), fetch(trust, server.address));
    let fault = fault.await.expect("bounded").expect_err("no TLS there");
    assert!(matches!(fault, FetchFault::Tls { .. } | FetchFault::TooSlow(_)), "{fault}");
    assert_eq!(server.heads(), Vec::<String>::new());
}

#[test]
fn a_file_that_is_no_ca_stops_the_start() {
    let empty = NamedTempFile::new().expect("a file");
    let made = Fetcher::new(Trust::File(empty.path().into()));
    assert!(matches!(made, Err(FetchFault::Trust(TrustFault::Pem { .. }))), "{made:?}");
    let made = Fetcher::new(Trust::File(empty.path().join("missing")));
    assert!(matches!(made, Err(FetchFault::Trust(TrustFault::Read { .. }))), "{made:?}");
}
