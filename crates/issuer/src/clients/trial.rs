//! A desk for tests: stores in memory, a clock that is moved by hand, a network that writes down
//! who was asked for, and a web server on this machine.

use crate::desk::Desk;
use crate::form::Form;
use crate::issuer::IssuerSources;
use crate::request::Request;
use crate::settings::{IssuerSettings, Lifetimes, RegistrationSettings, ResourceSettings, SignIn};
use bytes::Bytes;
use http::request::Parts;
use parking_lot::Mutex;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tollgate_backends::memory::MemoryIdentity;
use tollgate_core::clock::{Entropy, ManualClock};
use tollgate_core::stores::{
    AgentRecord, AuthMethod, ClientKeys, GrantType, Origin, Quota, SecretHash,
};
use tollgate_oauth::keys::{Alg, KeySet, SharedKeys};
use tollgate_oauth::secret;
use tollgate_outbound::{Fetcher, Lookup, Net, Opening, Trust};

/// When tests begin, in Unix seconds.
pub(crate) const BEGIN: u64 = 1_800_000_000;
/// The issuer identifier.
pub(crate) const ISSUER: &str = "https://gw.example";

/// A desk and what it stands on.
pub(crate) struct Trial {
    pub(crate) desk: Desk,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) net: Arc<Map>,
}

impl Trial {
    /// With these settings of registration.
    pub(crate) fn new(change: impl FnOnce(&mut RegistrationSettings)) -> Self {
        let clock = Arc::new(ManualClock::default());
        clock.advance(BEGIN * 1_000);
        let mut settings = settings();
        change(&mut settings.registration);
        let sources = IssuerSources {
            stores: MemoryIdentity::stores(),
            clock: Arc::clone(&clock) as _,
            entropy: Arc::new(Counting::default()),
            keys: SharedKeys::new(KeySet::empty()),
            seal: [7; 32],
        };
        let net = Arc::new(Map::default());
        let mut desk = Desk::new(settings, sources).expect("a desk");
        desk.fetcher = Fetcher::over(Trust::System, Arc::clone(&net) as _).expect("a fetcher");
        Self { desk, clock, net }
    }

    /// With documents on this machine.
    pub(crate) fn private() -> Self {
        Self::new(|registration| registration.private_addresses = true)
    }

    pub(crate) fn pass(&self, secs: u64) {
        self.clock.advance(secs * 1_000);
    }

    /// Adds an agent as an operator would.
    pub(crate) async fn add(&self, agent: AgentRecord) {
        let quota = Quota { total: 10, by_one: 10 };
        let added = self.desk.stores.agents.add(agent, quota).await.expect("a store");
        added.expect("a new id");
    }
}

fn settings() -> IssuerSettings {
    let hour = Duration::from_secs(3_600);
    IssuerSettings {
        url: ISSUER.parse().expect("a URL"),
        resources: vec![ResourceSettings {
            path: String::from("/mcp"),
            identifier: format!("{ISSUER}/mcp"),
            scopes: vec![String::from("read")],
        }],
        registration: RegistrationSettings {
            dynamic: true,
            documents: true,
            hosts: Vec::new(),
            total_max: 5,
            per_address_max: 3,
            unused: hour,
            private_addresses: false,
        },
        sign_in: SignIn::Accounts,
        workloads: Vec::new(),
        life: Lifetimes {
            code: hour,
            access_token: hour,
            refresh_token: hour,
            grant: hour,
            signing_key: hour,
            signing_key_ahead: hour,
        },
        algorithm: Alg::Es256,
    }
}

/// An agent an operator added, with the secret `s3cret`.
pub(crate) fn agent(id: &str, auth: AuthMethod) -> AgentRecord {
    AgentRecord {
        id: String::from(id),
        origin: Origin::Operator,
        name: String::from("Agent"),
        auth,
        secrets: vec![SecretHash {
            digest: secret::digest("s3cret"),
            created: BEGIN,
            expires: None,
        }],
        keys: ClientKeys::None,
        redirect_uris: vec![String::from("https://app.example/cb")],
        grants: vec![GrantType::AuthorizationCode, GrantType::ClientCredentials],
        scopes: Vec::new(),
        routes: Vec::new(),
        groups: Vec::new(),
        metadata: String::from("{}"),
        created: BEGIN,
        expires: None,
        used: None,
        revoked: None,
    }
}

/// Different bytes every time.
#[derive(Debug, Default)]
struct Counting(AtomicU64);

impl Entropy for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let next = self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes();
            chunk.copy_from_slice(&next[..chunk.len()]);
        }
    }
}

/// A network in which names stand for what a test says, that writes down all that was asked of it.
#[derive(Debug, Default)]
pub(crate) struct Map {
    pub(crate) names: Mutex<Vec<(String, IpAddr)>>,
    pub(crate) looked_up: Mutex<Vec<String>>,
    pub(crate) opened: Mutex<Vec<SocketAddr>>,
}

impl Net for Map {
    fn look_up<'a>(&'a self, host: &'a str, port: u16) -> Lookup<'a> {
        self.looked_up.lock().push(String::from(host));
        let names = self.names.lock();
        let known = names.iter().filter(|(name, _)| name == host);
        let found = known.map(|(_, address)| SocketAddr::new(*address, port)).collect();
        Box::pin(async move { Ok(found) })
    }

    fn open(&self, address: SocketAddr) -> Opening<'_> {
        self.opened.lock().push(address);
        Box::pin(async move { TcpStream::connect(address).await })
    }
}

/// A web server on this machine; ends when it is dropped.
pub(crate) struct Web {
    pub(crate) address: SocketAddr,
    hits: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Web {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Web {
    /// Answers each request with what `answer` makes of its URL: a whole answer, head and body.
    pub(crate) async fn serve(answer: impl Fn(&str) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let hits: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&hits);
        let task = tokio::spawn(async move {
            while let Ok((mut tcp, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n")
                    && tcp.read_buf(&mut head).await.is_ok_and(|n| n > 0)
                {}
                let head = String::from_utf8_lossy(&head);
                let path = head.split(' ').nth(1).unwrap_or_default();
                seen.lock().push(String::from(path));
                let text = answer(&format!("http://{address}{path}"));
                // Whoever asked may have had enough before the end.
                let _ = tcp.write_all(text.as_bytes()).await;
            }
        });
        Self { address, hits, task }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Paths that were asked for.
    pub(crate) fn hits(&self) -> Vec<String> {
        self.hits.lock().clone()
    }
}

/// A whole answer in JSON.
pub(crate) fn ok(body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// A good document at this URL.
pub(crate) fn document(url: &str) -> String {
    serde_json::json!({
        "client_id": url, "client_name": "App", "redirect_uris": ["http://127.0.0.1/cb"],
    })
    .to_string()
}

/// A request's head.
pub(crate) fn head(uri: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = http::Request::post(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).expect("a request").into_parts().0
}

/// A form.
pub(crate) fn form(text: &str) -> Form {
    Form::parse(text).expect("a form")
}

/// A request with a body, from this address.
pub(crate) fn request(head: Parts, body: &str, peer: &str) -> Request {
    let peer = peer.parse().expect("an address");
    Request { head, body: Bytes::copy_from_slice(body.as_bytes()), peer }
}
