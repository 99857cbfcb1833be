//! The gate as users run it: the binary, a configuration file, and signals.
//!
//! A gate that panicked fails its test, whatever the test was about.

use crate::DEADLINE;
use crate::client::get;
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How often a process is looked at while waiting for it.
const POLL: Duration = Duration::from_millis(5);

/// A configuration file under construction. Pieces are YAML flow text.
#[derive(Clone, Debug, Default)]
pub struct Configuration {
    gate: String,
    sections: String,
    /// Name, the section of its transport, further keys, further keys of the section.
    upstreams: Vec<(String, String, String, String)>,
    routes: Vec<(String, String, String)>,
}

impl Configuration {
    /// The upstream `peer` of both eras at these endpoints, on the route `/mcp`.
    #[must_use]
    pub fn of(endpoints: &[SocketAddr]) -> Self {
        Self::default().upstream("peer", endpoints).upstream_key("era: both").route("/mcp", "peer")
    }

    /// Upstreams of both eras, each at one endpoint, together on the route `/mcp`.
    #[must_use]
    pub fn hub(members: &[(&str, SocketAddr)]) -> Self {
        let names: Vec<&str> = members.iter().map(|(name, _)| *name).collect();
        let with = |file: Self, (name, address): &(&str, SocketAddr)| {
            file.upstream(name, &[*address]).upstream_key("era: both")
        };
        members.iter().fold(Self::default(), with).route("/mcp", &names.join(", "))
    }

    /// Adds an upstream.
    #[must_use]
    pub fn upstream(mut self, name: &str, endpoints: &[SocketAddr]) -> Self {
        let urls: Vec<String> =
            endpoints.iter().map(|address| format!("\"http://{address}/mcp\"")).collect();
        let section = format!("http: {{ endpoints: [{}]", urls.join(", "));
        self.upstreams.push((name.to_owned(), section, String::new(), String::new()));
        self
    }

    /// Adds an upstream on HTTP+SSE, whose stream is at `/sse`.
    #[must_use]
    pub fn sse_upstream(mut self, name: &str, address: SocketAddr) -> Self {
        let section = format!("sse: {{ url: \"http://{address}/sse\"");
        self.upstreams.push((name.to_owned(), section, String::new(), String::new()));
        self
    }

    /// Adds the scripted server on stdio; its processes carry the mark, see [`crate::stdio`].
    #[must_use]
    pub fn stdio_upstream(mut self, name: &str, mark: &str) -> Self {
        let script = crate::stdio::SCRIPT;
        let section = format!(
            "stdio: {{ command: python3, args: [\"{script}\"], env: {{ SCRIPT_MARK: \"{mark}\" }}"
        );
        self.upstreams.push((name.to_owned(), section, String::new(), String::new()));
        self
    }

    /// Adds a key to the last upstream (`era: legacy`).
    #[must_use]
    pub fn upstream_key(mut self, key: &str) -> Self {
        let last = self.upstreams.last_mut().expect("an upstream first");
        last.2.push_str(&format!(", {key}"));
        self
    }

    /// Adds a key to every upstream there is so far.
    #[must_use]
    pub fn every_upstream_key(mut self, key: &str) -> Self {
        for (_, _, keys, _) in &mut self.upstreams {
            keys.push_str(&format!(", {key}"));
        }
        self
    }

    /// Adds a key to `http` or `sse` of the last upstream (`timeouts: { total: 1s }`).
    #[must_use]
    pub fn http_key(mut self, key: &str) -> Self {
        let last = self.upstreams.last_mut().expect("an upstream first");
        last.3.push_str(&format!(", {key}"));
        self
    }

    /// Adds a route to upstreams, whose names are joined by commas.
    #[must_use]
    pub fn route(mut self, path: &str, upstreams: &str) -> Self {
        self.routes.push((path.to_owned(), upstreams.to_owned(), String::new()));
        self
    }

    /// Adds a key to the last route (`tools: { exclude: ["*"] }`).
    #[must_use]
    pub fn route_key(mut self, key: &str) -> Self {
        let last = self.routes.last_mut().expect("a route first");
        last.2.push_str(&format!(", {key}"));
        self
    }

    /// Adds a key to `gate` (`limits: { request_bytes: 1KiB }`).
    #[must_use]
    pub fn gate(mut self, key: &str) -> Self {
        self.gate.push_str(&format!(", {key}"));
        self
    }

    /// Adds a line at the top level (`sessions: { max: 10 }`).
    #[must_use]
    pub fn section(mut self, line: &str) -> Self {
        self.sections.push_str(line);
        self.sections.push('\n');
        self
    }

    /// The text of the file.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!(
            "gate: {{ listen: \"127.0.0.1:0\"{} }}\nadmin: {{ listen: \"127.0.0.1:0\" }}\n{}",
            self.gate, self.sections
        );
        text.push_str("upstreams:\n");
        for (name, section, keys, more) in &self.upstreams {
            text.push_str(&format!("  {name}: {{ {section}{more} }}{keys} }}\n"));
        }
        text.push_str("routes:\n");
        for (path, upstreams, keys) in &self.routes {
            text.push_str(&format!("  {path}: {{ upstreams: [{upstreams}]{keys} }}\n"));
        }
        text
    }
}

/// A running gate. It is killed when dropped.
#[derive(Debug)]
pub struct GateProcess {
    /// Where agents connect.
    pub address: SocketAddr,
    /// Where operators connect.
    pub admin: SocketAddr,
    child: Child,
    log: Arc<Mutex<String>>,
    folder: TempDir,
}

impl GateProcess {
    /// Starts `binary serve` with this configuration and waits until it listens.
    pub async fn start(binary: &str, configuration: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("tollgate.yaml");
        std::fs::write(&file, configuration).expect("a file");
        let mut child = Command::new(binary)
            .arg("serve")
            .arg("--config")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let log = Arc::new(Mutex::new(String::new()));
        let lines = BufReader::new(child.stderr.take().expect("piped"));
        let kept = log.clone();
        // Ends with the process, whose end closes the pipe.
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut gate = Self { address: unknown, admin: unknown, child, log, folder };
        gate.address = gate.listening("gate=").await;
        gate.admin = gate.listening("admin=").await;
        gate
    }

    /// The address the gate said it listens on.
    async fn listening(&mut self, token: &str) -> SocketAddr {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let log = self.stderr();
            let address = log
                .lines()
                .filter(|line| line.contains("listening"))
                .flat_map(|line| line.split([' ', ',', '"']))
                .find_map(|word| word.strip_prefix(token)?.parse().ok());
            if let Some(address) = address {
                return address;
            }
            let ended = self.child.try_wait().expect("a child of ours");
            assert!(ended.is_none(), "the gate ended ({ended:?}):\n{log}");
            assert!(Instant::now() < deadline, "the gate does not listen:\n{log}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What the gate has written to standard error.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until the gate has written this. Fails the test at the deadline.
    pub async fn wait_for_log(&self, text: &str) {
        let deadline = Instant::now() + DEADLINE;
        while !self.stderr().contains(text) {
            assert!(Instant::now() < deadline, "no `{text}` in the log:\n{}", self.stderr());
            tokio::time::sleep(POLL).await;
        }
    }

    /// What `/status` tells.
    pub async fn status(&self) -> Value {
        let answer = get(self.admin, "/status").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    /// Waits until `/status` is as wanted, and returns it. Fails the test at the deadline.
    pub async fn wait_for_status(&self, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let status = self.status().await;
            if is_wanted(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "the status stays {status:#}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// A file beside the configuration.
    #[must_use]
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Replaces the configuration file in one step, as editors and orchestrators do.
    pub fn rewrite(&self, configuration: &str) {
        let next = self.folder.path().join("tollgate.yaml.next");
        std::fs::write(&next, configuration).expect("a file");
        std::fs::rename(next, self.folder.path().join("tollgate.yaml")).expect("renamed");
    }

    /// Sends a signal by name (`TERM`, `HUP`).
    pub fn signal(&self, name: &str) {
        let mut kill = Command::new("kill");
        kill.arg(format!("-{name}")).arg(self.child.id().to_string());
        assert!(kill.status().expect("kill runs").success(), "the gate has ended already");
    }

    /// Resident memory in KiB.
    #[must_use]
    pub fn memory_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("a running process");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a size");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
    }

    /// Processor time used so far.
    #[must_use]
    pub fn cpu_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let stat = stat.expect("a running process");
        // The name before the last parenthesis may contain anything.
        let fields = stat.rsplit(')').next().expect("fields").split_whitespace();
        // In hundredths of a second on every Linux.
        let ticks: u64 =
            fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        Duration::from_millis(ticks * 10)
    }

    /// Sends SIGTERM and waits for the end.
    pub async fn terminate(&mut self, deadline: Duration) -> ExitStatus {
        self.signal("TERM");
        self.ended(deadline).await
    }

    /// Waits for the end.
    pub async fn ended(&mut self, deadline: Duration) -> ExitStatus {
        let deadline = Instant::now() + deadline;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child of ours") {
                return status;
            }
            assert!(Instant::now() < deadline, "the gate does not end:\n{}", self.stderr());
            tokio::time::sleep(POLL).await;
        }
    }
}

impl Drop for GateProcess {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _status = self.child.wait();
        let log = self.stderr();
        let has_panicked = log.contains("panicked at");
        assert!(!has_panicked || std::thread::panicking(), "the gate panicked:\n{log}");
    }
}
