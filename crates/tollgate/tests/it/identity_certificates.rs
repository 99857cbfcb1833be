//! Agents that prove who they are by a client certificate: one more principal among others, with no
//! more rights, and a token counts before it.

use crate::GATE;
use crate::identity_house::{PUBLIC, Voucher, by, command};
use crate::secure::{Office, Pair};
use rcgen::{CertificateParams, SanType};
use rustls::pki_types::PrivateKeyDer;
use serde_json::json;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use testkit::post::good_call;
use testkit::{DEADLINE, House, Post, legacy_initialize, legacy_post};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// A gate that takes certificates of this office and tokens of this issuer.
struct Guarded {
    office: Office,
    voucher: Voucher,
    house: House,
    _folder: TempDir,
}

impl Guarded {
    async fn open() -> Self {
        let (office, voucher) = (Office::new(), Voucher::start().await);
        let folder = tempfile::tempdir().expect("a folder");
        office.write_pair(folder.path());
        office.write_ca(&folder.path().join("ca.crt"));
        let at = folder.path().display();
        let tls = format!(
            "tls: {{ cert: \"{at}/gate.crt\", key: \"{at}/gate.key\", client_ca: \"{at}/ca.crt\", \
             client_auth: optional }}"
        );
        let identity =
            format!("identity: {{ certificates: dns, issuers: [{}] }}", voucher.line("idp"));
        let house = House::open_with(GATE, |file| {
            file.gate(&tls).gate(&format!("public_url: \"{PUBLIC}\"")).section(&identity)
        })
        .await;
        Self { office, voucher, house, _folder: folder }
    }

    /// A certificate for these names.
    fn certificate(&self, names: Vec<SanType>) -> Pair {
        let change = |params: &mut CertificateParams| params.subject_alt_names = names;
        let (certificate, key) = self.office.issue(change);
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        (certificate.der().clone(), key)
    }

    fn named(&self, name: &str) -> Pair {
        self.certificate(vec![SanType::DnsName(name.try_into().expect("a name"))])
    }

    /// The answer to this request by the holder of this certificate, as it came.
    async fn ask(&self, own: Option<&Pair>, post: Post) -> String {
        let own = own.map(|(certificate, key)| (certificate.clone(), key.clone_key()));
        let address = self.house.gate.address;
        let mut stream =
            self.office.connect(address, &["http/1.1"], own).await.expect("a connection");
        let post = post.with("connection", "close");
        stream.write_all(&post.bytes()).await.expect("sent");
        let mut answer = Vec::new();
        let reading = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer)).await;
        reading.expect("the end in time").expect("an answer");
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn status(&self, own: Option<&Pair>, post: Post) -> u16 {
        let answer = self.ask(own, post).await;
        answer.get(9..12).and_then(|status| status.parse().ok()).expect("a status")
    }
}

fn session_of(answer: &str) -> String {
    let line = answer.lines().find_map(|line| line.strip_prefix("mcp-session-id: "));
    line.expect("a session").to_owned()
}

fn ping(session: &str) -> Post {
    legacy_post(session, "ping", &json!({}))
}

#[tokio::test] // Rows 52 and 53: a certificate, a token and a key of one name are three principals.
async fn a_certificate_proves_an_agent_and_nothing_else() {
    let guarded = Guarded::open().await;
    let (one, two) = (guarded.named("agent-a.example"), guarded.named("agent-b.example"));
    let before = guarded.house.peer.bytes_seen();
    let answer = guarded.ask(None, good_call()).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(answer.contains("resource_metadata="), "{answer}");
    let wildcard = SanType::DnsName("*.example".try_into().expect("a name"));
    let mail = SanType::Rfc822Name("agent-a@example.com".try_into().expect("a name"));
    for names in [vec![], vec![wildcard], vec![mail]] {
        let odd = guarded.certificate(names.clone());
        assert_eq!(guarded.status(Some(&odd), good_call()).await, 401, "{names:?}");
    }
    // Who shows a bad token is not let in for its certificate.
    assert_eq!(guarded.status(Some(&one), by("garbage", good_call())).await, 401);
    assert_eq!(guarded.house.peer.bytes_seen(), before, "it reached the upstream");
    assert_eq!(guarded.status(Some(&one), good_call()).await, 200);
    let answer = guarded.ask(Some(&one), legacy_initialize("2025-11-25")).await;
    let session = session_of(&answer);
    let token = guarded.voucher.token("agent-a.example", "agent-a.example");
    let before = guarded.house.peer.bytes_seen();
    assert_eq!(guarded.status(Some(&two), ping(&session)).await, 404);
    assert_eq!(guarded.status(None, by(&token, ping(&session))).await, 404);
    assert_eq!(guarded.status(Some(&one), by(&token, ping(&session))).await, 404);
    assert_eq!(guarded.status(None, ping(&session)).await, 401);
    assert_eq!(guarded.house.peer.bytes_seen(), before, "it reached the upstream");
    let renewed = guarded.named("agent-a.example");
    assert_eq!(guarded.status(Some(&renewed), ping(&session)).await, 200);
}

#[tokio::test] // Row 72.
async fn an_agent_with_a_certificate_is_cut_off_like_any_other() {
    let guarded = Guarded::open().await;
    let (one, two) = (guarded.named("agent-a.example"), guarded.named("agent-b.example"));
    assert_eq!(guarded.status(Some(&one), good_call()).await, 200);
    command(&guarded.house.gate, &["agents", "revoke", "agent-a.example"]);
    let revoked = Instant::now();
    while guarded.status(Some(&one), good_call()).await != 401 {
        assert!(revoked.elapsed() < Duration::from_secs(1), "calls go on");
    }
    let renewed = guarded.named("agent-a.example");
    assert_eq!(guarded.status(Some(&renewed), good_call()).await, 401);
    assert_eq!(guarded.status(Some(&two), good_call()).await, 200);
    command(&guarded.house.gate, &["agents", "restore", "agent-a.example"]);
    let restored = Instant::now();
    while guarded.status(Some(&one), good_call()).await != 200 {
        assert!(restored.elapsed() < DEADLINE, "it is not let in again");
    }
}
