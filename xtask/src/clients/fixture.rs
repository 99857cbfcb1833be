//! The members of the aggregate: which servers there are, how a client reaches each of them by
//! itself, and the configuration in which the gate offers them all on one route.
//!
//! Every leg of a comparison has servers and a memory file of its own; the folder and the repository
//! that are only read are shared.
//!
//! Next: `aggregate.rs` (who tours them).

use crate::peers::Peers;
use crate::processes::{Server, captured, free_port};
use anyhow::bail;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The route with every member, in this order.
pub(crate) const MIXED: [&str; 7] =
    ["everything", "files", "memory", "time", "git", "conf", "dual"];
/// The route with those members that speak both eras.
pub(crate) const DUAL: [&str; 4] = ["time", "git", "conf", "dual"];
/// When the one commit of the repository was made.
const COMMIT_DATE: &str = "2026-01-02T03:04:05Z";

/// The servers of one leg.
pub(crate) struct Fixture {
    members: Vec<(&'static str, Value)>,
    _servers: Vec<Server>,
}

/// What the tours need to find on disk, whichever way they go.
pub(crate) struct Places {
    files: PathBuf,
    repo: PathBuf,
}

impl Places {
    /// A folder with one file, and a repository with one commit.
    pub(crate) fn laid_out(home: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(home)?;
        let home = home.canonicalize()?;
        let (files, repo) = (home.join("files"), home.join("repo"));
        std::fs::create_dir_all(&files)?;
        std::fs::write(files.join("a.txt"), "a file\n")?;
        if !repo.join(".git").exists() {
            std::fs::create_dir_all(&repo)?;
            std::fs::write(repo.join("a.txt"), "a file\n")?;
            for words in
                [&["init", "-q", "-b", "main"][..], &["add", "."], &["commit", "-qm", "first"]]
            {
                git(&repo, words)?;
            }
        }
        Ok(Self { files, repo })
    }

    /// As the tours want them.
    pub(crate) fn json(&self) -> Value {
        json!({"files": self.files, "repo": self.repo})
    }
}

fn git(repo: &Path, words: &[&str]) -> anyhow::Result<()> {
    let mut git = Command::new("git");
    git.current_dir(repo).args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]);
    git.args(["-c", "commit.gpgsign=false"]).args(words);
    git.env("GIT_AUTHOR_DATE", COMMIT_DATE).env("GIT_COMMITTER_DATE", COMMIT_DATE);
    let ended = captured(git, Duration::from_secs(30))?;
    if !ended.status.success() {
        bail!("git {words:?} failed: {}", ended.errors);
    }
    Ok(())
}

impl Fixture {
    /// Starts what is reached by HTTP, and says how the others are started.
    pub(crate) fn started(
        peers: &Peers,
        programs: &Path,
        places: &Places,
        logs: &Path,
    ) -> anyhow::Result<Self> {
        std::fs::create_dir_all(logs)?;
        let package = |name: &str| {
            peers.module(&format!("node_modules/@modelcontextprotocol/{name}/dist/index.js"))
        };
        let mut everything = package("server-everything");
        let port = free_port()?;
        everything.arg("streamableHttp").env("PORT", port.to_string());
        let everything = Server::start("everything", everything, "listening on port ", logs)?;
        let conf = Command::new(programs.join("everything"));
        let conf = Server::start("conf", conf, "listening ", logs)?;

        let mut files = package("server-filesystem");
        files.arg(&places.files);
        let mut memory = package("server-memory");
        let remembered = logs.canonicalize()?.join("memory.jsonl");
        if remembered.exists() {
            std::fs::remove_file(&remembered)?;
        }
        memory.env("MEMORY_FILE_PATH", remembered);
        let mut time = peers.python_module("mcp_server_time");
        time.args(["--local-timezone", "UTC"]);
        let members = vec![
            ("everything", json!(format!("http://127.0.0.1:{port}/mcp"))),
            ("files", child(&files)),
            ("memory", child(&memory)),
            ("time", child(&time)),
            ("git", child(&peers.python_module("mcp_server_git"))),
            ("conf", json!(format!("http://{}/mcp", conf.address))),
            ("dual", child(&peers.python("servers/dual_stdio.py"))),
        ];
        Ok(Self { members, _servers: vec![everything, conf] })
    }

    /// The members of these names, with how a client reaches them: a URL or a program.
    pub(crate) fn targets(&self, names: &[&str]) -> Value {
        let wanted = self.members.iter().filter(|(name, _)| names.contains(name));
        wanted.map(|(name, target)| json!({"name": name, "target": target})).collect()
    }

    /// The configuration that offers all members at `/mcp`, and those of both eras at `/dual`.
    pub(crate) fn config(&self) -> String {
        let mut text = "gate: { listen: \"127.0.0.1:0\" }\nadmin: { listen: \"127.0.0.1:0\" }\n\
                        upstreams:\n"
            .to_owned();
        for (name, target) in &self.members {
            // JSON is YAML too, so nothing needs to be quoted another way.
            let transport = match target {
                Value::String(url) => json!({"http": {"url": url}}),
                child => json!({"stdio": child}),
            };
            // INVARIANT: writing to a String does not fail.
            let _ = writeln!(text, "  {name}: {transport}");
        }
        let _ = write!(
            text,
            "routes:\n  /mcp: {{ upstreams: {} }}\n  /dual: {{ upstreams: {} }}\n",
            json!(MIXED),
            json!(DUAL)
        );
        text
    }
}

/// A command as the clients and the configuration have it.
pub(crate) fn child(command: &Command) -> Value {
    let text = |word: &std::ffi::OsStr| word.to_string_lossy().into_owned();
    let args: Vec<String> = command.get_args().map(text).collect();
    let env: Map<String, Value> = command
        .get_envs()
        .filter_map(|(name, value)| Some((text(name), text(value?).into())))
        .collect();
    let mut child = json!({"command": text(command.get_program()), "args": args});
    if let Some(folder) = command.get_current_dir() {
        child["cwd"] = json!(folder);
    }
    if !env.is_empty() {
        child["env"] = env.into();
    }
    child
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_becomes_program_arguments_and_environment() {
        let mut command = Command::new("node");
        command.args(["a", "b c"]).env("X", "1");
        let wanted = json!({"command": "node", "args": ["a", "b c"], "env": {"X": "1"}});
        assert_eq!(child(&command), wanted);
    }
}
