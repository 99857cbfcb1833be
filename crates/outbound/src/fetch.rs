//! A fetch from its URL to its answer: a turn, one look-up, addresses judged, one connection.
//!
//! Never looks a name up twice, never connects to an address it has not judged, never asks twice:
//! another address is tried only as long as no byte of the request left.
//!
//! Next: `reach.rs` for what is judged, `talk.rs` for what is said on the connection.

use crate::ask::{Answer, Ask};
use crate::fault::FetchFault;
use crate::net::{Net, System};
use crate::reach::{Place, Reach};
use crate::talk::talk;
use crate::trust::Trust;
use bytes::Bytes;
use http::StatusCode;
use rustls::CertificateError;
use rustls::pki_types::ServerName;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tollgate_core::bounds::outbound::{
    FETCH_ADDRESSES_JUDGED_MAX, FETCH_ADDRESSES_MAX, FETCHES_MAX,
};
use url::{Host, Url};

/// No fetch is waited for longer, whatever it is given: a sum of times must not overflow.
const LIMIT_MAX: Duration = Duration::from_secs(3_600);

/// Fetches. Clones share its bounds and are cheap.
#[derive(Clone)]
pub struct Fetcher {
    tls: Option<TlsConnector>,
    net: Arc<dyn Net>,
    turns: Arc<Semaphore>,
}

impl std::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetcher").field("net", &self.net).finish_non_exhaustive()
    }
}

impl Fetcher {
    /// One that trusts these CAs. Reads files.
    pub fn new(trust: Trust) -> Result<Self, FetchFault> {
        Self::over(trust, Arc::new(System))
    }

    /// The same over another network than this machine's.
    pub fn over(trust: Trust, net: Arc<dyn Net>) -> Result<Self, FetchFault> {
        let tls = trust.config()?.map(TlsConnector::from);
        Ok(Self { tls, net, turns: Arc::new(Semaphore::new(FETCHES_MAX)) })
    }

    /// Asks, once. Dropping the future ends the connection.
    pub async fn send(&self, ask: Ask<'_>) -> Result<Answer, FetchFault> {
        let place = Place::judge(ask.url, ask.reach)?;
        let until = Instant::now() + ask.limit.min(LIMIT_MAX);
        let Ok(Ok(_turn)) = timeout_at(until, self.turns.acquire()).await else {
            return Err(FetchFault::Busy);
        };
        let sending = async {
            let addresses = self.addresses(&place).await?;
            let tcp = self.connect(&place, &addresses, until).await?;
            if place.is_secure {
                talk(self.shake(&place, tcp).await?, &ask, &place).await
            } else {
                talk(tcp, &ask, &place).await
            }
        };
        timeout_at(until, sending).await.unwrap_or(Err(FetchFault::TooSlow(ask.limit)))
    }

    /// A JSON document from where the operator, or somebody else, said; status 200 only.
    pub async fn get_json(&self, url: &Url, reach: Reach) -> Result<Bytes, FetchFault> {
        let answer = self.send(Ask::json(url, reach)).await?;
        match answer.status {
            StatusCode::OK => Ok(answer.body),
            other => Err(FetchFault::Status(other)),
        }
    }

    /// The answer to a form, whatever its status.
    pub async fn post_form(
        &self,
        url: &Url,
        reach: Reach,
        fields: &[(&str, &str)],
    ) -> Result<Answer, FetchFault> {
        self.send(Ask::form(url, reach, fields)).await
    }

    /// The addresses of a place, every one judged.
    async fn addresses(&self, place: &Place<'_>) -> Result<Vec<SocketAddr>, FetchFault> {
        if let Some(literal) = place.literal() {
            return Ok(vec![literal]);
        }
        let host = place.host.to_string();
        let found = self.net.look_up(&host, place.port).await;
        let unresolved = |why: &dyn std::fmt::Display| FetchFault::Name {
            host: host.clone(),
            why: why.to_string(),
        };
        let mut found = found.map_err(|why| unresolved(&why))?;
        if found.is_empty() {
            return Err(unresolved(&"it has no address"));
        }
        if found.len() > FETCH_ADDRESSES_JUDGED_MAX {
            return Err(unresolved(&"it has too many addresses"));
        }
        place.judge_addresses(&found)?;
        found.truncate(FETCH_ADDRESSES_MAX);
        Ok(found)
    }

    /// The first that accepts a connection; each gets its share of the time that is left.
    async fn connect(
        &self,
        place: &Place<'_>,
        addresses: &[SocketAddr],
        until: Instant,
    ) -> Result<TcpStream, FetchFault> {
        let mut why = String::new();
        for (tried, address) in addresses.iter().enumerate() {
            let now = Instant::now();
            let shares = u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
            let share = now + until.saturating_duration_since(now) / shares;
            match timeout_at(share, self.net.open(*address)).await {
                Ok(Ok(tcp)) => return Ok(tcp),
                Ok(Err(error)) => why = error.to_string(),
                Err(_) => why = String::from("it does not answer"),
            }
        }
        Err(FetchFault::Unreachable { host: place.host.to_string(), why })
    }

    async fn shake(
        &self,
        place: &Place<'_>,
        tcp: TcpStream,
    ) -> Result<TlsStream<TcpStream>, FetchFault> {
        let connector = self.tls.as_ref().ok_or(FetchFault::NoRoots)?;
        let shaken = connector.connect(server_name(place)?, tcp).await;
        shaken.map_err(|error| FetchFault::Tls { host: place.host.to_string(), why: why(&error) })
    }
}

fn server_name(place: &Place<'_>) -> Result<ServerName<'static>, FetchFault> {
    match place.host {
        Host::Ipv4(ip) => Ok(ServerName::from(IpAddr::V4(ip))),
        Host::Ipv6(ip) => Ok(ServerName::from(IpAddr::V6(ip))),
        Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(name).to_owned();
            ServerName::try_from(name)
                .map_err(|_| FetchFault::Url("its host is no name a certificate can carry"))
        }
    }
}

/// The TLS fault inside an I/O error, with the likely remedy.
fn why(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let Some(tls) = inner else { return format!("the handshake failed: {error}") };
    let remedy = match tls {
        rustls::Error::InvalidCertificate(wrong) => match wrong {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "name the CA that signed its certificate in `ca`"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "renew its certificate, and check this machine's clock"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "use a name in the URL that its certificate carries"
            }
            _ => "check its certificate",
        },
        rustls::Error::InvalidMessage(_) => {
            "it does not seem to speak TLS on this port: is the URL `http`?"
        }
        _ => "check its TLS settings",
    };
    format!("{tls}; {remedy}")
}
