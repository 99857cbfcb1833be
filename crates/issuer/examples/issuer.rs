//! The issuer alone, on loopback, with everything in memory: for tests in a browser, and for the
//! conformance suite.
//!
//! `issuer [--listen ADDRESS] [--provider URL ID SECRET]` prints where it listens. There is one
//! resource, `/mcp`; a person `ada` with the password of [`PASSWORD`]; and some clients of the
//! operator. Agents may also register themselves or be documents, at private addresses too.
//! Forgets everything when it ends, and is nothing to keep running.

#![expect(clippy::print_stdout, reason = "who starts it reads where it listens")]

use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::net::TcpListener;
use tollgate_backends::memory::MemoryIdentity;
use tollgate_core::bounds::issuer as bounds;
use tollgate_core::clock::{Clock, Entropy, Millis};
use tollgate_core::ids::Secret;
use tollgate_core::stores::{
    AgentRecord, AuthMethod, ClientKeys, GrantType, Origin, Quota, SecretHash, Stores, UserRecord,
};
use tollgate_issuer::accounts::{hash_password, new_user_id};
use tollgate_issuer::settings::{
    IssuerSettings, Lifetimes, ProviderSettings, RegistrationSettings, ResourceSettings, SignIn,
};
use tollgate_issuer::{Issuer, IssuerSources};
use tollgate_oauth::keys::{Alg, KeySet, SharedKeys};
use tollgate_oauth::secret;
use url::Url;

/// What `ada` signs in with.
const PASSWORD: &str = "correct horse battery";
/// The secret of the client `web`.
const SECRET: &str = "tgs_only-for-tests-and-known-to-all-who-read-this";

type Failure = Box<dyn Error + Send + Sync>;

#[derive(Debug)]
struct Wall(Instant);

impl Clock for Wall {
    fn now(&self) -> Millis {
        Millis(u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn unix_secs(&self) -> u64 {
        SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs())
    }
}

#[derive(Debug)]
struct Random;

impl Entropy for Random {
    fn fill(&self, bytes: &mut [u8]) {
        let filled = aws_lc_rs::rand::fill(bytes);
        // Nothing that is not random may ever be given out.
        assert!(filled.is_ok(), "the system gives no random bytes");
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let after = |name: &str| words.iter().position(|word| word == name).map(|at| &words[at + 1..]);
    let listen = after("--listen").and_then(<[_]>::first).map_or("127.0.0.1:0", String::as_str);
    let sign_in = match after("--provider") {
        Some([url, id, secret, ..]) => SignIn::Provider(Box::new(provider(url, id, secret))),
        Some(_) => return Err("`--provider` takes an issuer, a client id and a secret".into()),
        None => SignIn::Accounts,
    };
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() {
        return Err("this issuer is for loopback only".into());
    }
    let stores = MemoryIdentity::stores();
    seed(&stores).await?;
    let mut seal = [0; 32];
    Random.fill(&mut seal);
    let sources = IssuerSources {
        stores,
        clock: Arc::new(Wall(Instant::now())),
        entropy: Arc::new(Random),
        keys: SharedKeys::new(KeySet::empty()),
        seal,
    };
    let issuer = Issuer::build(settings(address, sign_in)?, sources)?;
    issuer.start().await?;
    issuer.start_background();
    println!("listening {address}");
    loop {
        let (stream, peer) = listener.accept().await?;
        tokio::spawn(connection(stream, peer, Arc::clone(&issuer)));
    }
}

async fn connection(stream: tokio::net::TcpStream, peer: SocketAddr, issuer: Arc<Issuer>) {
    let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
        let issuer = Arc::clone(&issuer);
        async move {
            let served = if issuer.serves(request.uri().path()) {
                issuer.serve(request, peer.ip(), false).await
            } else {
                let mut missing = http::Response::new(Full::default());
                *missing.status_mut() = http::StatusCode::NOT_FOUND;
                missing
            };
            Ok::<_, Infallible>(served)
        }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(10));
    // What breaks off is the browser's own business.
    drop(server.serve_connection(TokioIo::new(stream), service).await);
}

fn settings(address: SocketAddr, sign_in: SignIn) -> Result<IssuerSettings, Failure> {
    let url = Url::parse(&format!("http://{address}"))?;
    Ok(IssuerSettings {
        resources: vec![ResourceSettings {
            path: "/mcp".into(),
            identifier: format!("http://{address}/mcp"),
            scopes: vec!["files:read".into(), "files:write".into(), "mail:send".into()],
        }],
        url,
        registration: RegistrationSettings {
            dynamic: true,
            documents: true,
            hosts: Vec::new(),
            total_max: 1_000,
            per_address_max: 1_000,
            unused: Duration::from_secs(3_600),
            private_addresses: true,
        },
        sign_in,
        workloads: Vec::new(),
        life: Lifetimes {
            code: Duration::from_secs(bounds::CODE_SECS),
            access_token: Duration::from_secs(bounds::ACCESS_TOKEN_SECS),
            refresh_token: Duration::from_secs(bounds::REFRESH_TOKEN_SECS),
            grant: Duration::from_secs(bounds::GRANT_SECS),
            signing_key: Duration::from_secs(bounds::SIGNING_KEY_SECS),
            signing_key_ahead: Duration::from_secs(bounds::SIGNING_KEY_AHEAD_SECS),
        },
        algorithm: Alg::Es256,
    })
}

fn provider(url: &str, id: &str, secret: &str) -> ProviderSettings {
    ProviderSettings {
        name: "Example Identity".into(),
        url: url.into(),
        client_id: id.into(),
        client_secret: Secret::new(secret.into()),
        scopes: vec!["email".into()],
        groups_claim: Some("groups".into()),
        name_claim: "email".into(),
        ca: None,
    }
}

/// A person, and a client of each kind: with a secret and at home on the web, on the same machine,
/// and an app on the device.
async fn seed(stores: &Stores) -> Result<(), Failure> {
    let now = Wall(Instant::now()).unix_secs();
    let ada = UserRecord {
        id: new_user_id(&Random),
        name: "ada".into(),
        password: hash_password(PASSWORD, &Random)?,
        groups: vec!["engineering".into()],
        created: now,
        password_set: now,
        locked: None,
    };
    stores.users.add(ada).await?.map_err(|_taken| "there is an ada")?;
    let secrets = vec![SecretHash { digest: secret::digest(SECRET), created: now, expires: None }];
    let web = AgentRecord {
        auth: AuthMethod::ClientSecretBasic,
        secrets,
        ..agent("web", "Atlas Research", "https://atlas.example/callback", now)
    };
    let clients = [
        web,
        agent("app", "Field Notes", "com.example.notes:/callback", now),
        agent("terminal", "Terminal Agent", "http://127.0.0.1/callback", now),
        agent("six", "Terminal Agent (IPv6)", "http://[::1]/callback", now),
    ];
    for client in clients {
        let added = stores.agents.add(client, Quota { total: 1_000, by_one: 1_000 }).await?;
        added.map_err(|_taken| "there is such a client")?;
    }
    Ok(())
}

fn agent(id: &str, name: &str, redirect_uri: &str, created: u64) -> AgentRecord {
    AgentRecord {
        id: id.into(),
        origin: Origin::Operator,
        name: name.into(),
        auth: AuthMethod::None,
        secrets: Vec::new(),
        keys: ClientKeys::None,
        redirect_uris: vec![redirect_uri.into()],
        grants: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
        scopes: Vec::new(),
        routes: Vec::new(),
        groups: Vec::new(),
        metadata: "{}".into(),
        created,
        expires: None,
        used: None,
        revoked: None,
    }
}
