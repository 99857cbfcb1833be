//! The lanes that are compared: direct, the bare proxy, nginx, and Tollgate; how each is started.
//!
//! The proxy has one core for itself; load and upstream share another. Nothing here measures.
//!
//! Next: `lanes/crowd.rs` (the gate before many upstreams), `load.rs` and `holding.rs`.

mod crowd;

use crate::bench::processes::{
    Placement, Running, can_be_realtime, can_pin, command, files_max, folder, free_address,
    remove_folder,
};
use anyhow::Context;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A way from the load to the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Nothing in between.
    Direct,
    /// A hyper proxy that only streams bytes.
    Bare,
    /// nginx as a plain proxy.
    Nginx,
    /// The gate.
    Tollgate,
}

impl Lane {
    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Lane::Direct => "direct",
            Lane::Bare => "bare",
            Lane::Nginx => "nginx",
            Lane::Tollgate => "tollgate",
        }
    }
}

/// The core of the proxy.
const PROXY_CORE: u32 = 0;
/// The core of load and upstream.
const LOAD_CORE: u32 = 1;

/// What the command line asks of the stage.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// This gate instead of one built now.
    pub(crate) gate_bin: Option<PathBuf>,
    /// No gate at all.
    pub(crate) skip_tollgate: bool,
    /// The gate with symbols.
    pub(crate) for_profile: bool,
    /// Before everything else on the machine.
    pub(crate) is_realtime: bool,
}

/// What all lanes share: programs, cores, a folder for generated files.
#[derive(Debug)]
pub(crate) struct Stage {
    root: PathBuf,
    folder: PathBuf,
    gate: Option<PathBuf>,
    has_nginx: bool,
    is_pinned: bool,
    is_realtime: bool,
}

/// The upstream, running.
#[derive(Debug)]
pub(crate) struct Upstream {
    /// Where it listens.
    pub(crate) addr: SocketAddr,
    _running: Running,
}

/// A lane, ready for calls.
#[derive(Debug)]
pub(crate) struct Door {
    /// Which.
    pub(crate) lane: Lane,
    /// Where calls go.
    pub(crate) addr: SocketAddr,
    /// Where they end up.
    pub(crate) upstream: SocketAddr,
    running: Option<Running>,
}

impl Door {
    /// The processes of the proxy: none when direct, master and worker of nginx.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let Some(running) = &self.running else { return Vec::new() };
        let pid = running.pid();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let children = children.unwrap_or_default();
        let children = children.split_whitespace().filter_map(|child| child.parse().ok());
        std::iter::once(pid).chain(children).collect()
    }
}

impl Stage {
    /// Builds the programs and finds out what this machine has.
    pub(crate) fn build(wanted: Wanted) -> anyhow::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
        let peers = ["-p", "bench-peers"];
        cargo_build(&root, &["--profile", "bench-peers"], &peers)?;
        // The limit must be built like the gate, or it would not be one.
        cargo_build(&root, &["--release"], &["-p", "bench-peers", "--bin", "bench-bare"])?;
        let gate = match (wanted.gate_bin, wanted.skip_tollgate) {
            (_, true) => None,
            (Some(path), false) => Some(path.canonicalize().context("--gate-bin")?),
            (None, false) => {
                let profile = if wanted.for_profile { "profiling" } else { "release" };
                cargo_build(&root, &["--profile", profile], &["-p", "tollgate"])?;
                Some(target(&root).join(profile).join("tollgate"))
            }
        };
        let folder = folder();
        fs::create_dir_all(&folder)?;
        let is_pinned = can_pin(PROXY_CORE) && can_pin(LOAD_CORE);
        let is_realtime = wanted.is_realtime;
        anyhow::ensure!(!is_realtime || can_be_realtime(), "--realtime needs `chrt` and root");
        Ok(Self { root, folder, gate, has_nginx: find_nginx(), is_pinned, is_realtime })
    }

    /// The workspace.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The gate's program.
    pub(crate) fn gate(&self) -> Option<&Path> {
        self.gate.as_deref()
    }

    /// The lanes there are.
    pub(crate) fn lanes(&self) -> Vec<Lane> {
        let nginx = self.has_nginx.then_some(Lane::Nginx);
        let gate = self.gate.is_some().then_some(Lane::Tollgate);
        [Some(Lane::Direct), Some(Lane::Bare), nginx, gate].into_iter().flatten().collect()
    }

    /// The lanes that are missing, and why.
    pub(crate) fn absent(&self) -> Vec<(Lane, &'static str)> {
        let nginx = (!self.has_nginx).then_some((Lane::Nginx, "not installed"));
        let gate = self.gate.is_none().then_some((Lane::Tollgate, "left out"));
        [nginx, gate].into_iter().flatten().collect()
    }

    /// What a reader of the table must know about this machine.
    pub(crate) fn notes(&self) -> Vec<String> {
        let pinning = if self.is_pinned {
            format!("proxy on core {PROXY_CORE}, load and upstream on core {LOAD_CORE}")
        } else {
            "not pinned (no `taskset`, or a single core): compare with care".to_owned()
        };
        let class = self.is_realtime.then(|| "in the realtime class".to_owned());
        std::iter::once(pinning).chain(class).collect()
    }

    /// How many streams a proxy may hold here: each costs it two descriptors.
    pub(crate) fn streams_max(&self) -> u32 {
        files_max().saturating_sub(200) / 2
    }

    /// The load generator, pinned.
    pub(crate) fn load(&self) -> Command {
        command(target(&self.root).join("bench-peers/bench-load"), self.place(LOAD_CORE))
    }

    /// Starts the upstream.
    pub(crate) fn start_upstream(&self) -> anyhow::Result<Upstream> {
        self.upstream(&[])
    }

    fn upstream(&self, more: &[&str]) -> anyhow::Result<Upstream> {
        let addr = free_address()?;
        let program = target(&self.root).join("bench-peers/bench-upstream");
        let mut command = command(program, self.place(LOAD_CORE));
        command.arg("--listen").arg(addr.to_string()).args(more);
        let mut running = Running::start(command)?;
        running.wait_for(addr, Duration::from_millis(5)).context("the upstream")?;
        Ok(Upstream { addr, _running: running })
    }

    /// Starts a lane and waits until it takes calls.
    pub(crate) fn open(&self, lane: Lane, upstream: &Upstream) -> anyhow::Result<Door> {
        if lane == Lane::Direct {
            return Ok(Door { lane, addr: upstream.addr, upstream: upstream.addr, running: None });
        }
        let (addr, admin) = (free_address()?, free_address()?);
        let command = self.command(lane, (addr, admin), upstream.addr, true)?;
        let mut running = Running::start(command)?;
        let pause = Duration::from_millis(5);
        let mut started = running.wait_for(addr, pause);
        if started.is_ok() && lane == Lane::Tollgate {
            started = wait_until_ready(admin);
        }
        started.with_context(|| {
            let log = fs::read_to_string(self.file(lane, addr).with_extension("log"));
            let log = log.unwrap_or_default();
            format!("{} does not start: {}", lane.name(), log.trim())
        })?;
        Ok(Door { lane, addr, upstream: upstream.addr, running: Some(running) })
    }

    /// Starts the gate with a configuration of its own, in a folder of its own.
    pub(crate) fn open_configured(
        &self,
        upstream: &Upstream,
        config: impl FnOnce(&Path, SocketAddr, SocketAddr) -> anyhow::Result<String>,
    ) -> anyhow::Result<(Door, PathBuf)> {
        let (addr, admin) = (free_address()?, free_address()?);
        let folder = self.folder.join(format!("configured-{}", addr.port()));
        fs::create_dir_all(&folder)?;
        let file = folder.join("tollgate.yaml");
        fs::write(&file, config(&folder, addr, admin)?)?;
        let gate = self.gate.as_deref().context("there is no gate")?;
        let mut command = command(gate, self.place(PROXY_CORE));
        command.arg("serve").arg("--config").arg(&file);
        let log = fs::File::create(file.with_extension("log"))?;
        command.stdout(log.try_clone()?).stderr(log);
        let mut running = Running::start(command)?;
        running.wait_for(addr, Duration::from_micros(200)).with_context(|| {
            let log = fs::read_to_string(file.with_extension("log")).unwrap_or_default();
            format!("the gate does not start: {}", log.trim())
        })?;
        let door =
            Door { lane: Lane::Tollgate, addr, upstream: upstream.addr, running: Some(running) };
        Ok((door, file))
    }

    /// Starts a lane's bare program, unpinned, and tells how long it took to listen.
    pub(crate) fn time_to_listen(&self, lane: Lane, up: &Upstream) -> anyhow::Result<Duration> {
        let addresses = (free_address()?, free_address()?);
        let command = self.command(lane, addresses, up.addr, false)?;
        let begun = Instant::now();
        let mut running = Running::start(command)?;
        running.wait_for(addresses.0, Duration::from_micros(50))?;
        Ok(begun.elapsed())
    }

    fn command(
        &self,
        lane: Lane,
        (listen, admin): (SocketAddr, SocketAddr),
        upstream: SocketAddr,
        is_wrapped: bool,
    ) -> anyhow::Result<Command> {
        let wrap = |program: &Path| match is_wrapped {
            true => command(program, self.place(PROXY_CORE)),
            false => Command::new(program),
        };
        let file = self.file(lane, listen);
        let mut command = match lane {
            Lane::Direct => anyhow::bail!("a direct call needs no proxy"),
            Lane::Bare => {
                let mut command = wrap(&target(&self.root).join("release/bench-bare"));
                let (listen, upstream) = (listen.to_string(), upstream.to_string());
                command.args(["--listen", &listen, "--upstream", &upstream]);
                command
            }
            Lane::Nginx => {
                fs::write(&file, nginx_config(&file, listen, upstream))?;
                let mut command = wrap(Path::new("nginx"));
                command.arg("-e").arg("stderr").arg("-c").arg(&file);
                command
            }
            Lane::Tollgate => {
                fs::write(&file, gate_config(listen, admin, upstream))?;
                let mut command = wrap(self.gate.as_deref().context("there is no gate")?);
                command.arg("serve").arg("--config").arg(&file);
                command
            }
        };
        let log = fs::File::create(file.with_extension("log"))?;
        command.stdout(log.try_clone()?).stderr(log);
        Ok(command)
    }

    /// The generated configuration of a lane; its log lies beside it.
    fn file(&self, lane: Lane, listen: SocketAddr) -> PathBuf {
        self.folder.join(format!("{}-{}", lane.name(), listen.port()))
    }

    fn place(&self, core: u32) -> Placement {
        Placement { core: self.is_pinned.then_some(core), is_realtime: self.is_realtime }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        remove_folder();
    }
}

/// nginx drops idle connections when less than a sixteenth of these is free: enough beyond 20,000.
const NGINX_CONNECTIONS: u32 = 24_000;

fn gate_config(listen: SocketAddr, admin: SocketAddr, upstream: SocketAddr) -> String {
    format!(
        "gate: {{ listen: \"{listen}\" }}\nadmin: {{ listen: \"{admin}\" }}\nupstreams:\n  \
         bench: {{ era: both, http: {{ url: \"http://{upstream}/mcp\" }} }}\nroutes:\n  \
         /mcp: {{ upstreams: [bench] }}\n"
    )
}

/// nginx as someone would set it up for MCP: streams need `proxy_buffering off`. Room for a large
/// part of a reply is generous, so that large replies cost it few system calls.
fn nginx_config(file: &Path, listen: SocketAddr, upstream: SocketAddr) -> String {
    let pid = file.with_extension("pid");
    format!(
        "worker_processes 1; daemon off; pid {}; error_log stderr warn; worker_rlimit_nofile {};\n\
         events {{ worker_connections {NGINX_CONNECTIONS}; }}\n\
         http {{ access_log off; tcp_nodelay on; keepalive_requests 1000000000;\n\
         keepalive_timeout 1h;\n\
         upstream bench {{ server {upstream}; keepalive 64; keepalive_requests 1000000000; }}\n\
         server {{ listen {listen} backlog=4096; location / {{ proxy_pass http://bench;\n\
         proxy_http_version 1.1; proxy_set_header Connection \"\"; proxy_buffering off;\n\
         proxy_buffer_size 16k; proxy_buffers 8 16k; proxy_read_timeout 1h; }} }} }}\n",
        pid.display(),
        files_max(),
    )
}

fn cargo_build(root: &Path, profile: &[&str], what: &[&str]) -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root).args(["build", "--quiet"]).args(profile).args(what);
    anyhow::ensure!(command.status()?.success(), "{command:?} failed");
    Ok(())
}

fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

fn find_nginx() -> bool {
    let has_it = || Command::new("nginx").arg("-v").stderr(Stdio::null()).status().is_ok();
    if has_it() {
        return true;
    }
    crate::bench::tell("nginx is missing; trying `apt-get install nginx-light`");
    let installed = Command::new("apt-get")
        .args(["install", "-y", "-qq", "nginx-light"])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdout(Stdio::null())
        .status();
    if installed.is_ok_and(|status| status.success()) && has_it() {
        return true;
    }
    crate::bench::tell("nginx could not be installed; its column stays empty");
    false
}

fn wait_until_ready(admin: SocketAddr) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if get(admin, "/readyz").is_ok_and(|reply| reply.starts_with("HTTP/1.1 200")) {
            return Ok(());
        }
        anyhow::ensure!(Instant::now() < deadline, "no 200 from /readyz within 10 s");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The whole reply to a GET on a connection of its own.
pub(crate) fn get(addr: SocketAddr, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n")?;
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut reply = String::new();
    // LIMIT: /stats and /readyz answer less than this.
    stream.take(64 * 1024).read_to_string(&mut reply)?;
    Ok(reply)
}
