//! A raw server that records what it hears, and a network in which names mean what a test wants.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tollgate_outbound::{Ask, Fetcher, Lookup, Net, Opening, Reach, Trust};
use url::Url;

/// What a server says on a connection, after it has read a request head.
#[derive(Clone)]
pub(crate) enum Script {
    /// These bytes, then the end.
    Say(Vec<u8>),
    /// These bytes, then others again and again with this pause, for ever.
    Drip(Vec<u8>, Vec<u8>, Duration),
    /// Nothing, with the connection open.
    Hang,
}

/// A server on loopback.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    heads: mpsc::UnboundedReceiver<String>,
}

impl Server {
    pub(crate) async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (said, heads) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(play(tcp, script.clone(), said.clone()));
            }
        });
        Self { address, heads }
    }

    pub(crate) fn url(&self) -> Url {
        format!("http://{}/document?x=1#part", self.address).parse().expect("a URL")
    }

    /// What was asked so far: the head of each request.
    pub(crate) fn heads(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.heads.try_recv().ok()).collect()
    }
}

async fn play(mut tcp: TcpStream, script: Script, said: mpsc::UnboundedSender<String>) {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut piece = [0; 4096];
        match tcp.read(&mut piece).await {
            Ok(0) | Err(_) => return,
            Ok(size) => head.extend_from_slice(&piece[..size]),
        }
    }
    drop(said.send(String::from_utf8_lossy(&head).into_owned()));
    match script {
        Script::Say(bytes) => drop(tcp.write_all(&bytes).await),
        Script::Drip(first, again, pause) => {
            let mut bytes = first;
            while tcp.write_all(&bytes).await.is_ok() {
                tokio::time::sleep(pause).await;
                bytes.clone_from(&again);
            }
        }
        Script::Hang => {
            let mut rest = Vec::new();
            drop(tcp.read_to_end(&mut rest).await);
        }
    }
}

/// A network in which each name has the addresses of its list, the first time those of the first
/// entry and so on, and in which addresses are doors to servers on loopback.
#[derive(Debug, Default)]
pub(crate) struct Names {
    answers: Mutex<HashMap<String, Vec<Vec<IpAddr>>>>,
    doors: HashMap<SocketAddr, SocketAddr>,
    looked_up: Mutex<Vec<String>>,
    opened: Mutex<Vec<SocketAddr>>,
}

impl Names {
    pub(crate) fn with(mut self, name: &str, answers: &[&[&str]]) -> Self {
        let parse = |text: &&str| text.parse().expect("an address");
        let answers = answers.iter().map(|one| one.iter().map(parse).collect()).collect();
        self.answers.get_mut().expect("no panic").insert(name.to_owned(), answers);
        self
    }

    pub(crate) fn door(mut self, address: &str, to: SocketAddr) -> Self {
        self.doors.insert(address.parse().expect("an address"), to);
        self
    }

    pub(crate) fn looked_up(&self) -> Vec<String> {
        self.looked_up.lock().expect("no panic").clone()
    }

    pub(crate) fn opened(&self) -> Vec<SocketAddr> {
        self.opened.lock().expect("no panic").clone()
    }
}

impl Net for Names {
    fn look_up<'a>(&'a self, host: &'a str, port: u16) -> Lookup<'a> {
        self.looked_up.lock().expect("no panic").push(host.to_owned());
        let mut answers = self.answers.lock().expect("no panic");
        let found = answers.get_mut(host).map(|answers| match answers.len() {
            0 | 1 => answers.first().cloned().unwrap_or_default(),
            _ => answers.remove(0),
        });
        let unknown = || io::Error::other("no such name");
        let found = found.ok_or_else(unknown);
        Box::pin(
            async move { Ok(found?.into_iter().map(|ip| SocketAddr::new(ip, port)).collect()) },
        )
    }

    fn open(&self, address: SocketAddr) -> Opening<'_> {
        self.opened.lock().expect("no panic").push(address);
        let door = self.doors.get(&address).copied();
        Box::pin(async move {
            match door {
                Some(door) => TcpStream::connect(door).await,
                None => Err(io::Error::other("nothing is there")),
            }
        })
    }
}

/// A fetcher over these names.
pub(crate) fn over(names: &Arc<Names>) -> Fetcher {
    Fetcher::over(Trust::System, Arc::clone(names) as Arc<dyn Net>).expect("a fetcher")
}

/// A fetcher over this machine's network.
pub(crate) fn plain() -> Fetcher {
    Fetcher::new(Trust::System).expect("a fetcher")
}

/// A question with small bounds.
pub(crate) fn ask(url: &Url, reach: Reach) -> Ask<'_> {
    let (bytes_max, limit) = (5 * 1024, Duration::from_secs(5));
    Ask { bytes_max, limit, ..Ask::json(url, reach) }
}

/// A complete answer with this body.
pub(crate) fn ok(body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}
