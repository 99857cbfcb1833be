//! Where the OAuth walks go: gates, the issuers they trust, and what is needed on disk.
//!
//! Ports must be known before anything listens, since they are in issuer identifiers.
//!
//! Next: `peers/servers/oidc_provider.mjs` (somebody else's issuer).

use super::{PAUSE_MILLIS, TOKEN_SECS};
use crate::clients::Stage;
use crate::peers::Peers;
use crate::processes::{Server, captured, free_port};
use anyhow::{Context, bail};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Time for one command of the program.
const COMMAND: Duration = Duration::from_secs(60);
/// What the issuer of `peers/servers/oidc_provider.mjs` and its clients share.
const SHARED: &str = "a secret of the peer, and not one";

/// One route at one gate, and how its issuer is asked.
pub(super) struct Place {
    pub(super) name: &'static str,
    told: Value,
    /// A document that describes the client.
    document: String,
    secret: (String, String),
    password: String,
}

impl Place {
    /// What a client is told for a flow.
    pub(super) fn told(&self, flow: &str) -> Value {
        let mut told = self.told.clone();
        told["flow"] = json!(flow);
        match flow {
            "document" | "refused" => told["document"] = json!(self.document),
            "secret" => {
                told["id"] = json!(self.secret.0);
                told["secret"] = json!(self.secret.1);
            }
            "key" => told["id"] = json!("keyed"),
            _ => {}
        }
        told
    }

    /// The program of a client.
    pub(super) fn client(&self, stage: &Stage<'_>, name: &str) -> Command {
        let mut command = client(stage, name);
        command.env("PERSON_PASSWORD", &self.password);
        command
    }
}

fn client(stage: &Stage<'_>, name: &str) -> Command {
    match name {
        "py-mcp" => stage.peers.python("clients/oauth_mcp.py"),
        "js-v2" => stage.peers.script("clients/oauth_v2.mjs"),
        "js-v1" => stage.peers.script("clients/oauth_v1.mjs"),
        "openid" => stage.peers.script("clients/oauth_openid.mjs"),
        "openid-foreign" => stage.peers.script("clients/oauth_foreign.mjs"),
        _ => {
            let mut command = Command::new(stage.programs.join("rmcp-client"));
            command.env("RUST_BACKTRACE", "0").arg("--oauth");
            command
        }
    }
}

/// All of them, running.
pub(super) struct Places {
    pub(super) own: Place,
    pub(super) jwt: Place,
    pub(super) opaque: Place,
    pub(super) facade: Place,
    /// What the walk through rotation and outage is told.
    pub(super) foreign: Value,
    refused_log: PathBuf,
    _servers: Vec<Server>,
}

impl Places {
    pub(super) fn started(stage: &Stage<'_>, logs: &Path) -> anyhow::Result<Self> {
        if logs.exists() {
            std::fs::remove_dir_all(logs)?;
        }
        std::fs::create_dir_all(logs)?;
        let logs = logs.canonicalize()?;
        let disk = Disk::laid_out(stage.peers, &logs.join("material"))?;
        let upstream = stage.peers.script("servers/typescript_server.mjs");
        let upstream = Server::start("upstream", upstream, "listening ", &logs)?;
        let document = disk.document(stage.peers, &logs)?;
        let refused = disk.document(stage.peers, &logs.join("refused"))?;
        let urls = [document.1, refused.1];

        let facade_port = free_port()?;
        let [jwt, opaque] = ["jwt", "opaque"].map(|format| {
            let back = format!("http://127.0.0.1:{facade_port}/oauth/callback");
            provider(stage.peers, &disk, format, &back, &logs)
        });
        let (jwt, opaque) = (jwt?, opaque?);
        let issuers = [&jwt, &opaque].map(|server| format!("http://{}", server.address));

        let own = Gate::new(free_port()?, &logs.join("own"), &upstream.address);
        let own_server = own.start(stage, &disk, &own_issuer("private_addresses: true"))?;
        let password = own.added_person(stage)?;
        let secret = own.added_robot(stage, &disk)?;
        let foreign = Gate::new(free_port()?, &logs.join("foreign"), &upstream.address);
        let foreign_server = foreign.start(stage, &disk, &trusting(&issuers))?;
        let facade = Gate::new(facade_port, &logs.join("facade"), &upstream.address);
        let facade_server = facade.start(stage, &disk, &facade_issuer(&issuers[0]))?;

        let place = |name, told: Value, document: &str, secret, password: &str| {
            let (document, password) = (document.to_owned(), password.to_owned());
            Place { name, told, document, secret, password }
        };
        let told = |gate: &Gate, path: &str, issuer: &str| {
            json!({
                "url": format!("{}{path}", gate.url()), "issuer": issuer, "scope": "mcp",
                "pause": PAUSE_MILLIS, "pem": disk.home.join("key.pem"),
                "browser": words(&stage.peers.script("clients/oauth_browser.mjs")),
            })
        };
        let theirs = || ("short".to_owned(), SHARED.to_owned());
        let any = "any will do";
        Ok(Self {
            own: place("own", told(&own, "/mcp", &own.url()), &urls[0], secret, &password),
            jwt: place("jwt", told(&foreign, "/mcp", &issuers[0]), &urls[0], theirs(), any),
            opaque: place("opaque", told(&foreign, "/opaque", &issuers[1]), "", theirs(), any),
            facade: place("facade", told(&facade, "/mcp", &facade.url()), &urls[1], theirs(), any),
            foreign: json!({
                "jwt": issuers[0], "opaque": issuers[1], "url": format!("{}/mcp", foreign.url()),
                "other": format!("{}/other", foreign.url()),
                "asking": format!("{}/opaque", foreign.url()),
            }),
            refused_log: logs.join("refused/document.log"),
            _servers: vec![
                upstream,
                document.0,
                refused.0,
                jwt,
                opaque,
                own_server,
                foreign_server,
                facade_server,
            ],
        })
    }

    /// The program of a client that needs no person.
    pub(super) fn client(&self, stage: &Stage<'_>, name: &str) -> Command {
        client(stage, name)
    }

    pub(super) fn refused_document_was_fetched(&self) -> anyhow::Result<bool> {
        Ok(std::fs::read_to_string(&self.refused_log)?.contains("asked"))
    }
}

/// A key, its public part, and certificates for loopback.
pub(crate) struct Disk {
    home: PathBuf,
}

impl Disk {
    /// Makes them in this folder.
    pub(crate) fn laid_out(peers: &Peers, home: &Path) -> anyhow::Result<Self> {
        let mut material = peers.python("clients/oauth_material.py");
        material.arg(home);
        let ended = captured(material, COMMAND)?;
        if !ended.status.success() {
            bail!("no keys and certificates: {}", ended.errors);
        }
        Ok(Self { home: home.to_owned() })
    }

    /// A server of a document that describes a client, and its URL.
    fn document(&self, peers: &Peers, logs: &Path) -> anyhow::Result<(Server, String)> {
        let mut command = peers.script("clients/oauth_document.mjs");
        command.arg(&self.home);
        let server = Server::start("document", command, "listening ", logs)?;
        let url = format!("https://localhost:{}/client.json", server.address);
        Ok((server, url))
    }
}

fn provider(
    peers: &Peers,
    disk: &Disk,
    format: &str,
    back: &str,
    logs: &Path,
) -> anyhow::Result<Server> {
    let mut command = peers.script("servers/oidc_provider.mjs");
    command.env("PORT", free_port()?.to_string()).env("FORMAT", format);
    command.env("LIFE", TOKEN_SECS.to_string()).env("FACADE", back);
    command.env("NODE_EXTRA_CA_CERTS", disk.home.join("ca.pem"));
    Server::start(&format!("provider-{format}"), command, "listening ", logs)
}

/// A gate, with its store.
pub(crate) struct Gate {
    port: u16,
    home: PathBuf,
    upstream: String,
}

impl Gate {
    /// One that is not running yet.
    pub(crate) fn new(port: u16, home: &Path, upstream: &str) -> Self {
        Self { port, home: home.to_owned(), upstream: upstream.to_owned() }
    }

    /// The URL of its listener, which is its issuer identifier.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Starts it with the sections that say who may call.
    pub(crate) fn start(
        &self,
        stage: &Stage<'_>,
        disk: &Disk,
        sections: &str,
    ) -> anyhow::Result<Server> {
        std::fs::create_dir_all(&self.home)?;
        let (port, upstream) = (self.port, &self.upstream);
        let store = json!(self.home.join("tollgate.db"));
        let is_foreign = sections.contains("name: opaque");
        let [jwt, opaque] = match is_foreign {
            true => ["issuers: [jwt], ", "issuers: [opaque], "],
            false => ["", ""],
        };
        let text = format!(
            "gate: {{ listen: \"127.0.0.1:{port}\", public_url: \"{url}\" }}\n\
             admin: {{ listen: \"127.0.0.1:0\" }}\nstores: {{ embedded: {store} }}\n{sections}\n\
             upstreams:\n  peer: {{ http: {{ url: \"http://{upstream}/mcp\" }} }}\nroutes:\n  \
             /mcp: {{ upstreams: [peer], identity: {{ {jwt}offered: [mcp] }} }}\n  \
             /other: {{ upstreams: [peer], identity: {{ {jwt}offered: [mcp] }} }}\n  \
             /opaque: {{ upstreams: [peer], identity: {{ {opaque}offered: [mcp] }} }}\n",
            url = self.url(),
        );
        let path = self.config();
        std::fs::write(&path, text)?;
        let mut command = stage.legs.tollgate(stage.programs);
        command.args(["serve", "--config"]).arg(&path);
        command.env("SSL_CERT_FILE", disk.home.join("ca.pem"));
        Server::start("gate", command, "gate=", &self.home)
    }

    fn config(&self) -> PathBuf {
        self.home.join("gate.yaml")
    }

    /// Runs a command of the program on the store of this gate.
    pub(crate) fn told(&self, stage: &Stage<'_>, words: &[&str]) -> anyhow::Result<Value> {
        let mut command = stage.legs.tollgate(stage.programs);
        command.args(words).arg("--json").arg("--config").arg(self.config());
        let ended = captured(command, COMMAND)?;
        if !ended.status.success() {
            bail!("`tollgate {}` failed: {}", words.join(" "), ended.errors);
        }
        Ok(serde_json::from_str(&ended.output)?)
    }

    /// Adds `ada`, and returns the password.
    pub(crate) fn added_person(&self, stage: &Stage<'_>) -> anyhow::Result<String> {
        let person = self.told(stage, &["users", "add", "ada", "--generate"])?;
        Ok(person["password"].as_str().context("no password was made")?.to_owned())
    }

    /// A machine with a secret, and one with a key.
    fn added_robot(&self, stage: &Stage<'_>, disk: &Disk) -> anyhow::Result<(String, String)> {
        let jwks = disk.home.join("jwks.json").display().to_string();
        self.told(stage, &["agents", "add", "keyed", "--scope", "mcp", "--jwks", &jwks])?;
        let robot = self.told(stage, &["agents", "add", "robot", "--scope", "mcp"])?;
        let secret = robot["client_secret"].as_str().context("no secret was made")?;
        Ok(("robot".to_owned(), secret.to_owned()))
    }
}

/// The gate's own issuer, with accounts.
pub(crate) fn own_issuer(registration: &str) -> String {
    format!(
        "identity: {{ leeway: 1s }}\nissuer: {{ lifetimes: {{ access_token: {TOKEN_SECS}s }}, \
         registration: {{ {registration} }} }}"
    )
}

fn facade_issuer(provider: &str) -> String {
    format!(
        "identity: {{ leeway: 1s }}\nissuer: {{ lifetimes: {{ access_token: {TOKEN_SECS}s }}, \
         sign_in: {{ provider: {{ name: Peer, url: \"{provider}\", client_id: facade, \
         client_secret: \"{SHARED}\", scopes: [email, profile, groups] }} }} }}"
    )
}

fn trusting([jwt, opaque]: &[String; 2]) -> String {
    format!(
        "identity:\n  leeway: 1s\n  issuers:\n    - {{ name: jwt, url: \"{jwt}\" }}\n    \
         - {{ name: opaque, url: \"{opaque}\", introspection: {{ client_id: gate, \
         client_secret: \"{SHARED}\", believed: 1s }} }}"
    )
}

/// A command as what is passed on to be started.
pub(crate) fn words(command: &Command) -> Vec<String> {
    let program = std::iter::once(command.get_program());
    program.chain(command.get_args()).map(|word| word.to_string_lossy().into_owned()).collect()
}
