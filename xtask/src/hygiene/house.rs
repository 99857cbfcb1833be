//! One life of the gate: its configuration with ten programs as upstreams, its agents, and what is
//! left of both.
//!
//! The programs are of the kinds that leave things behind: grandchildren of `npx` and `uvx`, one that
//! ends for nothing but SIGKILL, one with a process in a session of its own, one that never stops
//! complaining.
//!
//! Next: `../hygiene.rs` (when what is killed).

use crate::clients::fixture::child;
use crate::hygiene::census::{Census, MARK, Person, Registrar, open_files, signal};
use crate::peers::{Peers, UVX_PROGRAM};
use anyhow::{Context, bail};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};

/// Upstreams that start a process for each session: their number of processes follows the agents.
const SCRIPTED: [(&str, &str, &str); 8] = [
    ("s0", "plain", "session"),
    ("s1", "plain", "session"),
    ("s2", "noisy", "session"),
    ("s3", "stuck", "session"),
    ("s4", "family", "session"),
    ("s5", "plain", "session"),
    ("s6", "stuck", "agent"),
    ("s7", "family", "shared"),
];
/// Time for the gate to listen, and for all agents to have had every answer: a hundred programs start.
const START: Duration = Duration::from_secs(180);
/// Time for what must be gone to be gone: idle times, graces and a busy machine.
const GONE: Duration = Duration::from_secs(40);
const LOOK: Duration = Duration::from_millis(100);
/// Settings that make what is abandoned end soon.
const SETTINGS: &str = "gate: { listen: \"127.0.0.1:0\", timeouts: { drain: 1s } }\n\
     admin: { listen: \"127.0.0.1:0\" }\nsessions: { idle: 2s }\nupstreams:\n";

/// A gate that runs, with its agents.
pub(crate) struct House {
    /// Where everything of this life is.
    home: PathBuf,
    gate: Child,
    address: String,
    agents: Vec<Child>,
    registrar: Registrar,
    /// What the gate had open before the first agent came.
    at_rest: Vec<String>,
    script: Command,
}

impl House {
    /// Starts the gate.
    pub(crate) fn open(peers: &Peers, program: &Path, home: PathBuf) -> anyhow::Result<Self> {
        if home.exists() {
            fs::remove_dir_all(&home)?;
        }
        fs::create_dir_all(home.join("tmp"))?;
        fs::create_dir_all(home.join("scratch"))?;
        let home = home.canonicalize()?;
        // A program of its own, by which every process that runs it is found.
        let own = home.join("gate");
        fs::copy(program, &own)?;
        let mark = home.display().to_string();
        fs::write(home.join("gate.yaml"), config(peers, &mark, &home.join("scratch")))?;
        let log = File::create(home.join("gate.log"))?;
        let mut command = Command::new(&own);
        command.args(["serve", "--config", "gate.yaml"]).current_dir(&home);
        command.env(MARK, &mark).env("TMPDIR", home.join("tmp"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut gate = command.spawn()?;
        let output = gate.stderr.take().context("no pipe")?;
        let mut house = Self {
            registrar: Registrar::new(&mark, &own),
            home,
            gate,
            address: String::new(),
            agents: Vec::new(),
            at_rest: Vec::new(),
            script: peers.python("clients/agent.py"),
        };
        house.address = announced(output, log).with_context(|| house.end_of_log())?;
        std::thread::sleep(LOOK);
        house.at_rest = open_files(house.gate.id());
        Ok(house)
    }

    /// Starts agents and waits until each has had an answer of every upstream.
    pub(crate) fn admit(&mut self, count: usize) -> anyhow::Result<()> {
        let calls = SCRIPTED.map(|(name, ..)| format!("{name}__whoami={{}}"));
        let mut waiting = Vec::new();
        for _ in 0..count {
            let mut agent = Command::new(self.script.get_program());
            agent.args(self.script.get_args()).arg(format!("http://{}/mcp", self.address));
            agent.args(&calls).arg("memory__read_graph={}");
            agent.arg("time__get_current_time={\"timezone\": \"UTC\"}");
            agent.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            self.agents.push(agent.spawn()?);
            let output = self.agents.last_mut().and_then(|agent| agent.stdout.take());
            waiting.push(output.context("no pipe")?);
        }
        let deadline = Instant::now() + START;
        for output in waiting {
            let (tell, told) = std::sync::mpsc::sync_channel(1);
            std::thread::spawn(move || {
                let mut line = String::new();
                // An agent that ended has said nothing, which is told too.
                let _ = BufReader::new(output).read_line(&mut line);
                let _ = tell.send(line);
            });
            let line = told.recv_timeout(deadline.saturating_duration_since(Instant::now()));
            if !line.is_ok_and(|line| line.trim() == "ready") {
                bail!("an agent did not get every answer: {}", self.excuse());
            }
        }
        self.registrar.census(&[]);
        Ok(())
    }

    /// How many agents there are.
    pub(crate) fn agents(&self) -> usize {
        self.agents.len()
    }

    /// Kills the agent at this place with -9.
    pub(crate) fn kill_agent(&mut self, at: usize) -> anyhow::Result<()> {
        let mut agent = self.agents.swap_remove(at);
        let killed = agent.kill();
        agent.wait()?;
        Ok(killed?)
    }

    /// Waits until no upstream has more processes than it has users.
    pub(crate) fn await_fewer(&mut self) -> anyhow::Result<()> {
        let survivors = self.agents.len();
        self.await_that("processes of agents that were killed are left", |census| {
            let per_session = SCRIPTED.iter().filter(|(_, _, isolation)| *isolation == "session");
            let mut too_many = Vec::new();
            for (name, manner, _) in per_session {
                let end = format!("scripted_stdio.py {manner} {name}");
                // A guard has the words of what it guards at its end.
                let own = |person: &&Person| {
                    person.words.ends_with(&end) && !person.words.contains(" guard ")
                };
                let own: Vec<&Person> = census.alive.iter().filter(own).collect();
                if own.len() > survivors {
                    too_many.extend(own.into_iter().cloned());
                }
            }
            too_many
        })?;
        for agent in &mut self.agents {
            if agent.try_wait()?.is_some() {
                bail!("an agent that nobody killed lost its answers: {}", self.excuse());
            }
        }
        Ok(())
    }

    /// Waits until the gate has no child and has open what it had open at first.
    pub(crate) fn await_rest(&mut self) -> anyhow::Result<()> {
        self.await_that("processes are left although nobody uses them", |census| {
            census.alive.clone()
        })?;
        let deadline = Instant::now() + GONE;
        loop {
            let now = open_files(self.gate.id());
            if now.len() <= self.at_rest.len() {
                return Ok(());
            }
            if Instant::now() > deadline {
                let at_rest = &self.at_rest;
                bail!(
                    "the gate has {} files open, {} at first: {now:?} {at_rest:?}",
                    now.len(),
                    at_rest.len()
                );
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Ends the gate with a signal, and waits until nothing of this life is left.
    pub(crate) fn close(mut self, name: &str) -> anyhow::Result<Duration> {
        self.registrar.census(&[]);
        let began = Instant::now();
        signal(self.gate.id(), name);
        let deadline = began + GONE;
        while self.gate.try_wait()?.is_none() {
            if Instant::now() > deadline {
                bail!("the gate did not end by {name}");
            }
            std::thread::sleep(LOOK);
        }
        self.await_that("processes outlive the gate", |census| census.alive.clone())?;
        let took = began.elapsed();
        let left: Vec<_> =
            fs::read_dir(self.home.join("tmp"))?.flatten().map(|it| it.path()).collect();
        if !left.is_empty() {
            bail!("files are left of the gate: {left:?}");
        }
        // What failed is kept to be looked at.
        fs::remove_dir_all(&self.home)?;
        Ok(took)
    }

    fn await_that(
        &mut self,
        what: &str,
        left: impl Fn(&Census) -> Vec<Person>,
    ) -> anyhow::Result<()> {
        let deadline = Instant::now() + GONE;
        let gate = self.gate.id();
        let ours: Vec<u32> = self.agents.iter().map(Child::id).chain([gate]).collect();
        loop {
            let census = self.registrar.census(&ours);
            let mut remain = left(&census);
            remain.extend(census.zombies);
            if remain.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                let remain: Vec<String> = remain.iter().map(ToString::to_string).collect();
                bail!("{what} after {} s:\n  {}", GONE.as_secs(), remain.join("\n  "));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// What an agent that ended said, and the end of the gate's log.
    fn excuse(&mut self) -> String {
        let mut said = String::new();
        for agent in &mut self.agents {
            if agent.try_wait().is_ok_and(|ended| ended.is_some())
                && let Some(errors) = agent.stderr.take()
            {
                said.extend(BufReader::new(errors).lines().map_while(Result::ok).last());
            }
        }
        format!("{said}\n{}", self.end_of_log())
    }

    fn end_of_log(&self) -> String {
        let log = fs::read(self.home.join("gate.log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).into_owned();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }
}

impl Drop for House {
    fn drop(&mut self) {
        for agent in &mut self.agents {
            // Both fail only for who is gone already.
            let _ = agent.kill();
            let _ = agent.wait();
        }
        let _ = self.gate.kill();
        let _ = self.gate.wait();
        self.registrar.kill_all();
    }
}

fn config(peers: &Peers, mark: &str, scratch: &Path) -> String {
    let mut text = SETTINGS.to_owned();
    let mut names = Vec::new();
    let mut add = |name: &str, mut child: Value, isolation: &str| {
        child["env"][MARK] = mark.into();
        child["env"]["TMPDIR"] = json!(scratch);
        child["isolation"] = isolation.into();
        child["idle"] = "2s".into();
        child["stop"] = "1s".into();
        text.push_str(&format!("  {name}: {}\n", json!({"stdio": child})));
        names.push(name.to_owned());
    };
    for (name, manner, isolation) in SCRIPTED {
        let mut script = child(&peers.python("servers/scripted_stdio.py"));
        if let Some(args) = script["args"].as_array_mut() {
            args.splice(0..0, ["-S".into(), "-E".into()]);
            args.extend([manner.into(), name.into()]);
        }
        add(name, script, isolation);
    }
    let mut memory = peers.npx("mcp-server-memory");
    memory.env("MEMORY_FILE_PATH", scratch.join("memory.jsonl"));
    add("memory", child(&memory), "session");
    let mut time = peers.uvx(UVX_PROGRAM);
    time.args(["--local-timezone", "UTC"]);
    add("time", child(&time), "session");
    text.push_str(&format!("routes:\n  /mcp: {{ upstreams: {} }}\n", json!(names)));
    text
}

/// The address that the gate tells; what it says goes to its log.
fn announced(said: ChildStderr, mut log: File) -> anyhow::Result<String> {
    let (tell, told) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || {
        for line in BufReader::new(said).lines().map_while(Result::ok) {
            // A log that cannot be written must not stop the gate it is about.
            let _ = writeln!(log, "{line}");
            let after = line.split_once("gate=").map(|(_, after)| after.to_owned());
            let address = after.and_then(|it| Some(it.split_whitespace().next()?.to_owned()));
            if let Some(address) = address {
                // Only the first one is waited for.
                let _ = tell.try_send(address);
            }
        }
    });
    told.recv_timeout(START).context("the gate did not say where it listens")
}
