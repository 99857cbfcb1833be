//! `bench-load`: calls tools through a door and prints one JSON line of what it measured.
//!
//! `throughput` and `rate` measure and end. `sessions` ends when they are open; `streams` prints
//! `ready` and holds them until its standard input closes, so it cannot outlive who started it.
//!
//! Next: `bench_peers::rounds`.

use bench_peers::connection::Door;
use bench_peers::held;
use bench_peers::leash::wait_for_end_of_input;
use bench_peers::lists;
use bench_peers::rounds::{self, Plan};
use bench_peers::tokens::Tokens;
use bench_peers::tools::{Era, tool};
use clap::{Parser, Subcommand};
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::runtime::LocalOptions;
use tokio::time::timeout;

/// Longest time that opening what is held may take.
const OPENING: Duration = Duration::from_secs(120);

/// Calls tools and checks every reply.
#[derive(Debug, Parser)]
struct Flags {
    /// Where calls go.
    #[arg(long)]
    addr: SocketAddr,
    /// The path of the MCP endpoint.
    #[arg(long, default_value = "/mcp")]
    path: String,
    /// The era to speak.
    #[arg(long, value_enum, default_value = "legacy")]
    era: Era,
    /// What the names of tools begin with at that path.
    #[arg(long, default_value = "")]
    prefix: String,
    /// A file of bearer tokens, one a line, that calls carry in turn (modern era only).
    #[arg(long)]
    tokens: Option<PathBuf>,
    /// Each token is sent once; running out of them is an error.
    #[arg(long, requires = "tokens")]
    fresh: bool,
    #[command(subcommand)]
    load: Load,
}

/// What to do.
#[derive(Debug, Subcommand)]
enum Load {
    /// Calls one tool, as fast as it goes or at a fixed rate.
    Calls {
        /// The tool.
        #[arg(long)]
        tool: String,
        /// Calls per second in all; without it each connection calls again at once.
        #[arg(long)]
        rate: Option<u64>,
        /// Connections.
        #[arg(long, default_value_t = 32)]
        connections: u64,
        /// Milliseconds before the measured window.
        #[arg(long, default_value_t = 500)]
        warmup_ms: u64,
        /// Milliseconds of the measured window.
        #[arg(long, default_value_t = 3000)]
        window_ms: u64,
        /// Processes whose CPU time is measured.
        #[arg(long, value_delimiter = ',')]
        watch: Vec<u32>,
        /// Calls that a limit refuses (429) are counted, instead of ending the measurement.
        #[arg(long)]
        takes_limits: bool,
    },
    /// Opens sessions and closes the connections.
    Sessions {
        /// How many.
        #[arg(long)]
        count: usize,
    },
    /// Opens streams and holds them until standard input closes.
    Streams {
        /// How many.
        #[arg(long)]
        count: usize,
    },
    /// Lists all tools, page by page, again and again.
    Lists {
        /// Milliseconds of the measured window.
        #[arg(long, default_value_t = 0)]
        window_ms: u64,
        /// At least so many lists.
        #[arg(long, default_value_t = 1)]
        least: u64,
    },
    /// Measures the wait for the first event of a slow stream.
    FirstByte {
        /// How many streams, one after the other.
        #[arg(long)]
        count: u64,
    },
}

fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build_local(LocalOptions::default())?.block_on(carry_out(flags))
}

async fn carry_out(flags: Flags) -> anyhow::Result<()> {
    anyhow::ensure!(
        flags.tokens.is_none() || flags.era == Era::Modern,
        "--tokens is for --era modern"
    );
    let tokens = flags.tokens.map(|path| Tokens::read(&path, flags.fresh)).transpose()?;
    let Flags { addr, path, era, prefix, .. } = flags;
    let door = Door { addr, path, era, prefix, tokens };
    match flags.load {
        Load::Calls {
            tool: name,
            rate,
            connections,
            warmup_ms,
            window_ms,
            watch,
            takes_limits,
        } => {
            let tool = tool(&name).ok_or_else(|| anyhow::anyhow!("unknown tool `{name}`"))?;
            let (warmup, window) =
                (Duration::from_millis(warmup_ms), Duration::from_millis(window_ms));
            let plan = Plan { door, tool, connections, rate, warmup, window, watch, takes_limits };
            say(&serde_json::to_string(&rounds::run(plan).await?)?)
        }
        Load::Sessions { count } => {
            timeout(OPENING, held::sessions(&door, count)).await??;
            say("{}")
        }
        Load::Lists { window_ms, least } => {
            let listing = lists::run(&door, Duration::from_millis(window_ms), least);
            say(&serde_json::to_string(&timeout(OPENING, listing).await??)?)
        }
        Load::Streams { count } => hold(&door, count).await,
        Load::FirstByte { count } => {
            say(&serde_json::to_string(&timeout(OPENING, held::first_byte(&door, count)).await??)?)
        }
    }
}

async fn hold(door: &Door, count: usize) -> anyhow::Result<()> {
    let open = timeout(OPENING, held::streams(door, count)).await??;
    say("ready")?;
    wait_for_end_of_input();
    drop(open);
    Ok(())
}

fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
