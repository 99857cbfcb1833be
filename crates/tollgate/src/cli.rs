//! The command line: what can be asked of the binary, and the help that teaches it.
//!
//! Only the shape. What each command does is in the file of its name.

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use std::net::SocketAddr;
use std::path::PathBuf;

/// The exit code after a failure while running.
pub(crate) const EXIT_FAILED: u8 = 1;
/// The exit code after a wrong command line or configuration. The same as clap's own.
pub(crate) const EXIT_REFUSED: u8 = 2;

const START_HERE: &str = "\
Start here:
  tollgate demo                          a gate in front of a demo MCP server, with lines to paste
  tollgate check --config tollgate.yaml  what is wrong with a configuration, and how to put it right
  tollgate serve --config tollgate.yaml  the gate

Exit codes:
  0  done
  1  a failure while running, such as an address that is in use
  2  a wrong command line or configuration; nothing was started";

/// An MCP gateway: one endpoint between agents and MCP servers.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, after_help = START_HERE, arg_required_else_help = true)]
#[command(subcommand_required = true, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

/// How the gate reports what it does, on standard error.
#[derive(Clone, Debug, Args)]
pub(crate) struct LogArgs {
    /// Form of log lines: `text` for people, `json` for machines
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,
    /// What is logged: `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,tollgate_gate=debug`
    #[arg(
        long = "log",
        global = true,
        value_name = "LEVEL",
        env = "TOLLGATE_LOG",
        default_value = "info"
    )]
    pub(crate) log_level: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the gate
    #[command(long_about = SERVE, after_long_help = SERVE_NEXT)]
    Serve(ServeArgs),
    /// Run a gate in front of a demo MCP server in two instances
    #[command(long_about = DEMO, after_long_help = DEMO_NEXT)]
    Demo(DemoArgs),
    /// Say what is wrong with a configuration file
    #[command(long_about = CHECK, after_long_help = CHECK_NEXT)]
    Check(CheckArgs),
    /// Turn a client's configuration into one of the gate
    #[command(long_about = IMPORT, after_long_help = IMPORT_NEXT)]
    Import(ImportArgs),
    /// Print the JSON Schema of the configuration file
    #[command(long_about = SCHEMA, after_long_help = SCHEMA_NEXT)]
    Schema,
    /// Print a completion script for a shell
    #[command(long_about = COMPLETIONS, after_long_help = COMPLETIONS_NEXT)]
    Completions(CompletionsArgs),
}

const SERVE: &str = "\
Run the gate.

Reads the configuration, refuses to start with any mistake in it, and then prints the addresses it listens on. The \
file, and every file it refers to, is watched: a changed configuration is applied whole, or not at all and reported. \
SIGHUP reads it again, SIGTERM lets calls in flight finish and exits.";
const SERVE_NEXT: &str = "\
Example:
  tollgate serve --config tollgate.yaml

Next: `curl http://127.0.0.1:9090/status` shows upstreams, endpoints and sessions.";

const DEMO: &str = "\
Run a gate in front of a demo MCP server in two instances, without any configuration.

Prints the URL, a client configuration to paste for common clients, and a `curl` line that calls a tool.";
const DEMO_NEXT: &str = "\
Example:
  tollgate demo

Next: write a configuration for a server of your own; `examples/minimal.yaml` has six lines.";

const CHECK: &str = "\
Say what is wrong with a configuration file, all of it at once, and how to put it right.

Reads what `serve` would read, including environment variables and referenced files, but opens no connection and no \
port. Prints a summary and exits with 0 where the file may be served, and with 2 where it may not.";
const CHECK_NEXT: &str = "\
Example:
  tollgate check --config tollgate.yaml && kill -HUP \"$(pidof tollgate)\"

Next: `tollgate serve` with the same file.";

const IMPORT: &str = "\
Turn the configuration of an MCP client into one of the gate.

Reads `mcpServers` JSON (Claude Desktop, Claude Code, Cursor, Windsurf), the `servers` of VS Code, the `mcp_servers` of \
Codex and the `context_servers` of Zed. Each server becomes an upstream, with one route over all of them and one for \
each. Secrets become references to environment variables, which are listed on standard error; what has no counterpart \
is a comment in the result. Nothing is started, and nothing is connected to.";
const IMPORT_NEXT: &str = "\
Example:
  tollgate import ~/.cursor/mcp.json -o tollgate.yaml

Next: set the variables it lists, then `tollgate check` and `tollgate serve`.";

const SCHEMA: &str = "\
Print the JSON Schema of the configuration file: every key with its default and meaning.";
const SCHEMA_NEXT: &str = "\
Example:
  tollgate schema > tollgate.schema.json

Next: put this line at the top of tollgate.yaml, and editors complete and check it:
  # yaml-language-server: $schema=./tollgate.schema.json";

const COMPLETIONS: &str = "\
Print a completion script for a shell.";
const COMPLETIONS_NEXT: &str = "\
Example:
  tollgate completions bash > ~/.local/share/bash-completion/completions/tollgate

Next: open a new shell and type `tollgate`, a space and the tab key.";

/// Which file configures the gate.
#[derive(Clone, Debug, Args)]
pub(crate) struct ServeArgs {
    /// The configuration file
    #[arg(
        long,
        short,
        value_name = "FILE",
        env = "TOLLGATE_CONFIG",
        default_value = "tollgate.yaml"
    )]
    pub(crate) config: PathBuf,
}

/// Where the demo listens.
#[derive(Clone, Debug, Args)]
pub(crate) struct DemoArgs {
    /// Where the gate listens [default: 127.0.0.1:8484, or a free port when that is taken]
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
}

/// Which file is checked.
#[derive(Clone, Debug, Args)]
pub(crate) struct CheckArgs {
    /// The configuration file
    #[arg(
        long,
        short,
        value_name = "FILE",
        env = "TOLLGATE_CONFIG",
        default_value = "tollgate.yaml"
    )]
    pub(crate) config: PathBuf,
}

/// What is imported, and where to.
#[derive(Clone, Debug, Args)]
pub(crate) struct ImportArgs {
    /// The client's configuration file; `-` reads standard input
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// Whose file it is
    #[arg(long, value_name = "FORMAT", default_value = "auto")]
    pub(crate) format: ImportFormat,
    /// Where the result goes, instead of standard output
    #[arg(long, short, value_name = "OUT", value_hint = ValueHint::FilePath)]
    pub(crate) output: Option<PathBuf>,
    /// Write over a file that is there already
    #[arg(long, requires = "output")]
    pub(crate) force: bool,
    /// Show the secrets of the file in the list of variables to set
    #[arg(long)]
    pub(crate) print_secrets: bool,
}

/// Whose file is imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImportFormat {
    /// Found out from the content
    Auto,
    /// `mcpServers`: Claude Desktop, Claude Code, Cursor, Windsurf and others
    Claude,
    /// `servers` and `inputs`: VS Code
    Vscode,
    /// `mcp_servers` in TOML: Codex
    Codex,
    /// `context_servers`: Zed
    Zed,
}

/// Which shell.
#[derive(Clone, Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}
