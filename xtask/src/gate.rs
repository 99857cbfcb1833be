//! Tollgate itself, started on free ports: in front of one upstream, or with any configuration.
//!
//! Next: `conformance.rs` and `clients.rs` (who walks through it).

use crate::processes::Server;
use anyhow::{Context, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the command line says about the two legs of a comparison.
pub(crate) struct Legs {
    /// Only the direct leg.
    pub(crate) direct: bool,
    /// The release build.
    pub(crate) release: bool,
    /// A program to use instead of building Tollgate.
    pub(crate) gate: Option<PathBuf>,
    /// Only what has this name.
    pub(crate) only: Option<String>,
}

impl Legs {
    /// Reads the options that `conformance` and `clients` share.
    pub(crate) fn read(words: &[String]) -> anyhow::Result<Self> {
        let mut legs = Self { direct: false, release: false, gate: None, only: None };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--direct" => legs.direct = true,
                "--release" => legs.release = true,
                "--gate" => {
                    legs.gate = Some(words.next().context("--gate needs a program")?.into())
                }
                "--only" => legs.only = Some(words.next().context("--only needs a name")?.clone()),
                other => bail!("unknown option `{other}`"),
            }
        }
        Ok(legs)
    }

    /// Whether something of this name is to run.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only == name)
    }

    /// Builds what is needed and returns the folder of the programs.
    pub(crate) fn built(&self, root: &Path, peers: &[&str]) -> anyhow::Result<PathBuf> {
        let mut packages = peers.to_vec();
        if !self.direct && self.gate.is_none() {
            packages.push("tollgate");
        }
        crate::processes::built(root, &packages, self.release)
    }

    /// Starts the gate in front of `upstream` (`host:port`): one route, one upstream.
    pub(crate) fn start(
        &self,
        programs: &Path,
        upstream: &str,
        logs: &Path,
    ) -> anyhow::Result<Server> {
        let text = format!(
            "gate: {{ listen: \"127.0.0.1:0\" }}\nadmin: {{ listen: \"127.0.0.1:0\" }}\n\
             upstreams:\n  peer: {{ http: {{ url: \"http://{upstream}/mcp\" }} }}\n\
             routes:\n  /mcp: {{ upstreams: [peer] }}\n"
        );
        self.serve(programs, &text, logs)
    }

    /// Starts the gate with this configuration.
    pub(crate) fn serve(
        &self,
        programs: &Path,
        config: &str,
        logs: &Path,
    ) -> anyhow::Result<Server> {
        std::fs::create_dir_all(logs)?;
        let path = logs.join("gate.yaml");
        std::fs::write(&path, config)?;
        let mut command = self.tollgate(programs);
        command.args(["serve", "--config"]).arg(&path);
        Server::start("gate", command, "gate=", logs)
    }

    /// The program itself.
    pub(crate) fn tollgate(&self, programs: &Path) -> Command {
        Command::new(self.gate.clone().unwrap_or_else(|| programs.join("tollgate")))
    }
}
