//! What calls carry: tokens of two issuers that sign, of one that is asked, and an API key.
//!
//! Keys are made here and never leave this machine.

use crate::bench::identity::Governed;
use anyhow::Context;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tollgate_oauth::keys::{Alg, KeySet, SigningKey};

/// Fresh tokens of one measurement: more than the gate answers within it.
const FRESH: usize = 60_000;
/// Agents that call in turns.
const AGENTS: usize = 1_000;
/// How long tokens are good, in seconds.
const LIFE: u64 = 3_600;

/// Issuers of tokens.
#[derive(Debug)]
pub(crate) struct Issuers {
    es256: SigningKey,
    rs256: SigningKey,
    asked: SocketAddr,
    serial: AtomicU64,
}

impl Issuers {
    /// Makes keys, and begins to answer what opaque tokens are.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let asked = listener.local_addr()?;
        // Ends with this process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A question that breaks off is the gate's to report.
                drop(answer(stream));
            }
        });
        Ok(Self {
            es256: SigningKey::generate(Alg::Es256)?,
            rs256: rsa_key()?,
            asked,
            serial: AtomicU64::new(0),
        })
    }

    /// Writes the key sets into a folder.
    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        for (name, key) in [("es256", &self.es256), ("rs256", &self.rs256)] {
            let keys = KeySet::from_signing(&[key]).to_json();
            fs::write(folder.join(format!("{name}.json")), keys.to_string())?;
        }
        Ok(())
    }

    /// The section of the configuration that trusts them.
    pub(crate) fn section(&self) -> String {
        format!(
            "identity:\n  issuers:\n    - {{ name: es256, url: \"https://es256.invalid\", keys: {{ \
             file: es256.json }}, algorithms: [ES256] }}\n    - {{ name: rs256, url: \
             \"https://rs256.invalid\", keys: {{ file: rs256.json }}, algorithms: [RS256] }}\n    - {{ \
             name: opaque, url: \"http://{0}\", introspection: {{ url: \"http://{0}/\", client_id: \
             gate, client_secret: bench-secret }} }}\n",
            self.asked
        )
    }

    fn token(&self, key: &SigningKey, issuer: &str, agent: usize, door: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |past| past.as_secs());
        let claims = json!({
            "iss": format!("https://{issuer}.invalid"), "sub": format!("agent-{agent}"),
            "client_id": format!("agent-{agent}"), "aud": format!("http://{door}/mcp"),
            "iat": now, "exp": now + LIFE, "jti": self.serial.fetch_add(1, Ordering::Relaxed).to_string(),
            "scope": "tool:json_1k tool:json_64k",
        });
        // A key that was just made signs.
        key.sign("at+jwt", &claims).unwrap_or_default()
    }
}

/// An RSA key of 2,048 bits, made by `openssl`, which every machine that benchmarks has.
fn rsa_key() -> anyhow::Result<SigningKey> {
    let made = Command::new("openssl")
        .args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
        .output()
        .context("openssl")?;
    let pem = String::from_utf8(made.stdout)?;
    Ok(SigningKey::from_pem(Some("rs256"), Alg::Rs256, &pem)?)
}

/// Answers one introspection: every token is good.
fn answer(stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut length, mut host) = (0, String::new());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let lower = line.trim().to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if let Some(value) = lower.strip_prefix("host:") {
            host = value.trim().to_owned();
        }
        if lower.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    std::io::Read::read_exact(&mut reader, &mut body)?;
    // The token is the audience, which only this process knows: see `Credentials::make`.
    let form = String::from_utf8_lossy(&body).into_owned();
    let door = form.split('&').find_map(|pair| pair.strip_prefix("token=opaque-"));
    let door = door.unwrap_or_default().replace('-', ":");
    let claims: Value = json!({
        "active": true, "iss": format!("http://{host}"), "sub": "agent", "client_id": "agent",
        "aud": format!("http://{door}/mcp"), "scope": "tool:json_1k",
    });
    let body = claims.to_string();
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: \
         {}\r\n\r\n{body}",
        body.len()
    )
}

/// Files of tokens for the load generator.
#[derive(Debug)]
pub(crate) struct Credentials<'a> {
    governed: &'a Governed,
    folder: PathBuf,
    api_key: String,
}

impl<'a> Credentials<'a> {
    /// Makes an API key, by the gate's own command.
    pub(crate) fn make(governed: &'a Governed) -> anyhow::Result<Self> {
        let mut command = Command::new(&governed.program);
        command.args(["agents", "add", "bench", "--api-key", "--json", "--config"]);
        let made = command.arg(&governed.config).output()?;
        let told: Value = serde_json::from_slice(&made.stdout).with_context(|| {
            format!("`tollgate agents add`: {}", String::from_utf8_lossy(&made.stderr))
        })?;
        let api_key = told["api_key"].as_str().context("no `api_key` was told")?.to_owned();
        let folder = governed.config.parent().context("a folder")?.to_owned();
        Ok(Self { governed, folder, api_key })
    }

    /// The file of tokens for a kind of calls; `None` for those that carry nothing.
    pub(crate) fn file(&self, kind: &str, is_new: bool) -> anyhow::Result<Option<String>> {
        let issuers = &self.governed.issuers;
        let door = self.governed.door.addr.to_string();
        let signed = |key, issuer, count: usize| -> Vec<String> {
            (0..count).map(|n| issuers.token(key, issuer, n % AGENTS, &door)).collect()
        };
        let count = if is_new { FRESH } else { AGENTS };
        let tokens = match kind {
            "JWT, one agent" => signed(&issuers.es256, "es256", 1),
            "JWT, 1,000 agents" | "ES256, each new" => signed(&issuers.es256, "es256", count),
            "RS256, each new" => signed(&issuers.rs256, "rs256", count),
            "opaque token" => vec![format!("opaque-{}", door.replace(':', "-"))],
            "API key" => vec![self.api_key.clone()],
            _ => return Ok(None),
        };
        // Two kinds may be sent at once.
        let path = self.folder.join(format!("tokens-{}", kind.replace([' ', ','], "")));
        let mut file = std::io::BufWriter::new(fs::File::create(&path)?);
        for token in tokens {
            writeln!(file, "{token}")?;
        }
        file.flush()?;
        Ok(Some(path.display().to_string()))
    }
}
