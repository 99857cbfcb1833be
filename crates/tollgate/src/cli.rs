//! The command line: what can be asked of the binary, and the help that teaches it.
//!
//! Only the shape. What each command does is in the file of its name.

mod pins;

mod policy;

mod records;

mod tools;

mod usage;

pub(crate) use pins::{ApproveArgs, PinsAction, PinsArgs};
pub(crate) use policy::{
    ExplainArgs, ItemArgs, MatrixArgs, MatrixFormat, PolicyAction, PolicyArgs, TestArgs,
};
pub(crate) use records::{
    AddAgentArgs, AddUserArgs, AgentsAction, AgentsArgs, KeysAction, KeysArgs, PasswdArgs,
    PasswordArgs, ProofArgs, RecordsArgs, RotateArgs, UsersAction, UsersArgs,
};
pub(crate) use tools::{CallArgs, TargetArgs, ToolsAction, ToolsArgs};
pub(crate) use usage::{LedgerArgs, RepriceArgs, SpanArgs, UsageAction, UsageArgs, UsageFormat};

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
  tollgate demo --identity               the same, for callers who prove who they are
  tollgate import FILE -o tollgate.yaml  the servers of your MCP client, behind a gate
  tollgate check --config tollgate.yaml  what is wrong with a configuration, and how to put it right
  tollgate doctor                        what keeps a gate from working, upstreams included
  tollgate serve --config tollgate.yaml  the gate
  tollgate connect                       what to paste into your client

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
    /// Look at everything a gate needs, and say what to do
    #[command(long_about = DOCTOR, after_long_help = DOCTOR_NEXT)]
    Doctor(DoctorArgs),
    /// Turn a client's configuration into one of the gate
    #[command(long_about = IMPORT, after_long_help = IMPORT_NEXT)]
    Import(ImportArgs),
    /// Print what to paste into each client so that it uses the gate
    #[command(long_about = CONNECT, after_long_help = CONNECT_NEXT)]
    Connect(ConnectArgs),
    /// List and call tools through a running gate
    #[command(long_about = TOOLS, after_long_help = TOOLS_NEXT)]
    Tools(Box<ToolsArgs>),
    /// Say what the policy decides, and why
    #[command(long_about = policy::POLICY, after_long_help = policy::POLICY_NEXT)]
    Policy(Box<PolicyArgs>),
    /// Add, list and cut off agents
    #[command(long_about = records::AGENTS, after_long_help = records::AGENTS_NEXT)]
    Agents(AgentsArgs),
    /// Add, list and lock local accounts
    #[command(long_about = records::USERS, after_long_help = records::USERS_NEXT)]
    Users(UsersArgs),
    /// List and rotate the signing keys of the gate's own issuer
    #[command(long_about = records::KEYS, after_long_help = records::KEYS_NEXT)]
    Keys(KeysArgs),
    /// List, compare and approve tools as upstreams define them
    #[command(long_about = pins::PINS, after_long_help = pins::PINS_NEXT)]
    Pins(PinsArgs),
    /// Say what was used, by whom, and what it costs
    #[command(long_about = usage::USAGE, after_long_help = usage::USAGE_NEXT)]
    Usage(Box<UsageArgs>),
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

Prints the URL, a client configuration to paste for common clients, and a `curl` line that calls a tool. With \
`--identity`, callers must prove who they are to the gate's own authorization server: it prints how an agent with a \
secret and a person get in, and that nobody else does. What it stores then is gone when it ends.";
const DEMO_NEXT: &str = "\
Example:
  tollgate demo
  tollgate demo --identity

Next: write a configuration for a server of your own; `examples/minimal.yaml` has six lines.";

const CHECK: &str = "\
Say what is wrong with a configuration file, all of it at once, and how to put it right.

Reads what `serve` would read, including environment variables and referenced files, but opens no connection and no \
port. Prints a summary and exits with 0 where the file may be served, and with 2 where it may not.";
const CHECK_NEXT: &str = "\
Example:
  tollgate check --config tollgate.yaml && kill -HUP \"$(pidof tollgate)\"

Next: `tollgate serve` with the same file.";

const DOCTOR: &str = "\
Look at everything a gate needs, and say what to do about what is wrong.

Looks at the configuration, ports, certificates, the clock, the limit of open files, and asks every upstream who it is: \
one line each, with `ok`, `warn` or `FAIL`. Leaves no session and no process behind. Exits with 1 if anything is to be \
repaired.";
const DOCTOR_NEXT: &str = "\
Example:
  tollgate doctor --config tollgate.yaml

Next: `tollgate serve`, or `tollgate tools list` where the gate runs already.";

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

const CONNECT: &str = "\
Print what to paste into each client so that it uses a route of the gate, and into which file.

Takes `gate.public_url` where it is set, and the listening address otherwise. With one client named, standard output is \
exactly the content of its file. Nothing is written, and nothing is connected to.";
const CONNECT_NEXT: &str = "\
Example:
  tollgate connect
  tollgate connect --client cursor --route /mcp/github > .cursor/mcp.json

Next: `tollgate tools list` shows what the client will see.";

const TOOLS: &str = "\
List and call tools through a running gate, from the shell.

Connects as an agent does: to `--url`, or to the gate that serves the configuration file. Speaks the modern era where \
the other side does, and otherwise opens a session, which it ends. What a server asks its user is declined.";
const TOOLS_NEXT: &str = "\
Example:
  tollgate tools list
  tollgate tools --url http://127.0.0.1:8484/mcp call count --arg by=2

Next: `tollgate connect` prints what to paste into a client.";

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
    /// Callers must prove who they are: with the gate's own authorization server, one agent and one person
    #[arg(long)]
    pub(crate) identity: bool,
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

/// Which gate is looked at.
#[derive(Clone, Debug, Args)]
pub(crate) struct DoctorArgs {
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

/// Which client is connected to which route.
#[derive(Clone, Debug, Args)]
pub(crate) struct ConnectArgs {
    /// The configuration file
    #[arg(
        long,
        short,
        value_name = "FILE",
        env = "TOLLGATE_CONFIG",
        default_value = "tollgate.yaml"
    )]
    pub(crate) config: PathBuf,
    /// The route [default: `/mcp`, or the only one]
    #[arg(long, value_name = "PATH")]
    pub(crate) route: Option<String>,
    /// The client
    #[arg(long, value_name = "CLIENT", default_value = "all")]
    pub(crate) client: ConnectClient,
}

/// Clients whose files are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ConnectClient {
    ClaudeCode,
    ClaudeDesktop,
    Cursor,
    Vscode,
    Windsurf,
    Codex,
    Zed,
    All,
}

/// Which shell.
#[derive(Clone, Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}
