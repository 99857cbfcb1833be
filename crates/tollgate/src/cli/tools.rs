//! `tollgate tools`: which server, and what is asked of it.

use clap::{Args, Subcommand, ValueHint};
use std::path::PathBuf;
use url::Url;

/// What is asked of which gate.
#[derive(Clone, Debug, Args)]
pub(crate) struct ToolsArgs {
    #[command(flatten)]
    pub(crate) target: TargetArgs,
    /// Print what the server answered, as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) action: ToolsAction,
}

/// Where the MCP endpoint is, and how to get in.
#[derive(Clone, Debug, Args)]
pub(crate) struct TargetArgs {
    /// The URL of an MCP endpoint, instead of a route of the configuration
    #[arg(long, global = true, value_name = "URL", value_hint = ValueHint::Url)]
    pub(crate) url: Option<Url>,
    /// The configuration file that the running gate serves
    #[arg(
        long,
        short,
        global = true,
        value_name = "FILE",
        env = "TOLLGATE_CONFIG",
        default_value = "tollgate.yaml"
    )]
    pub(crate) config: PathBuf,
    /// The route of the configuration [default: `/mcp`, or the only one]
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) route: Option<String>,
    /// A header to send along, as in `Authorization: Bearer ...`; may be repeated
    #[arg(long = "header", short = 'H', global = true, value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<String>,
    /// PEM file with the certificate authorities to trust instead of the system's
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) ca: Option<PathBuf>,
    /// PEM file with the certificate chain to present; needs `--key`
    #[arg(long, global = true, value_name = "FILE", requires = "key", value_hint = ValueHint::FilePath)]
    pub(crate) cert: Option<PathBuf>,
    /// PEM file with the private key of `--cert`
    #[arg(long, global = true, value_name = "FILE", requires = "cert", value_hint = ValueHint::FilePath)]
    pub(crate) key: Option<PathBuf>,
    /// Longest silence to wait out, in seconds
    #[arg(long, global = true, value_name = "SECONDS", default_value = "60", value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub(crate) timeout: u64,
}

/// What is asked.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ToolsAction {
    /// List the tools
    List,
    /// Call a tool
    Call(CallArgs),
    /// List the prompts
    Prompts,
    /// List the resources
    Resources,
}

/// Which tool, with which arguments.
#[derive(Clone, Debug, Args)]
pub(crate) struct CallArgs {
    /// The name of the tool, as `list` shows it
    pub(crate) name: String,
    /// An argument, read by the type in the tool's schema; may be repeated
    #[arg(long = "arg", short, value_name = "NAME=VALUE")]
    pub(crate) arg: Vec<String>,
    /// All arguments as one JSON object; `--arg` adds to it
    #[arg(long, value_name = "JSON")]
    pub(crate) args: Option<String>,
}
