//! `tollgate policy`: what is asked of a policy.

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use std::net::IpAddr;
use std::path::PathBuf;

pub(super) const POLICY: &str = "\
Ask the policy of a configuration what it decides, and why.

Nothing is verified and no call is made: callers are imagined from what is typed. What is decided is what the gate \
would decide with the same file.";
pub(super) const POLICY_NEXT: &str = "\
Examples:
  tollgate policy explain --agent ci --group release --tool git__push --args '{\"branch\":\"main\"}'
  tollgate policy matrix --live
  tollgate policy test policy-cases.yaml

Exit codes: 0 allowed, or all cases hold; 1 refused, or a case does not hold; 2 a wrong command line or file.";

/// What is asked.
#[derive(Clone, Debug, Args)]
pub(crate) struct PolicyArgs {
    /// The configuration file [default: `tollgate.yaml`; of `test`: the one the cases name]
    #[arg(long, short, global = true, value_name = "FILE", env = "TOLLGATE_CONFIG", value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) action: PolicyAction,
}

/// What is asked.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum PolicyAction {
    /// Say what is decided about one call, which rule decides, and what would change it
    Explain(Box<ExplainArgs>),
    /// Print who can call what
    Matrix(MatrixArgs),
    /// Run the cases of a file
    Test(TestArgs),
}

/// One call.
#[derive(Clone, Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The agent, by its `client_id`; without anything about the caller, one that proves nothing
    #[arg(long)]
    pub(crate) agent: Option<String>,
    /// Who vouches for it: a name of the configuration [default: the first issuer]
    #[arg(long)]
    pub(crate) issuer: Option<String>,
    /// The user it acts for
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// A group; may be repeated
    #[arg(long = "group", value_name = "GROUP")]
    pub(crate) groups: Vec<String>,
    /// A scope of the token; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    pub(crate) scopes: Vec<String>,
    /// A claim of the token, its value in JSON or as text; may be repeated
    #[arg(long = "claim", value_name = "NAME=VALUE")]
    pub(crate) claims: Vec<String>,
    /// The address it calls from [default: this machine]
    #[arg(long)]
    pub(crate) address: Option<IpAddr>,
    /// The route it comes in by [default: the first]
    #[arg(long, value_name = "PATH")]
    pub(crate) route: Option<String>,
    #[command(flatten)]
    pub(crate) item: ItemArgs,
    /// The arguments, as a JSON object
    #[arg(long, value_name = "JSON")]
    pub(crate) args: Option<String>,
}

/// What the call acts on: one of these.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct ItemArgs {
    /// The tool, by its upstream and the upstream's name for it
    #[arg(long, value_name = "UPSTREAM__NAME")]
    pub(crate) tool: Option<String>,
    /// The prompt
    #[arg(long, value_name = "UPSTREAM__NAME")]
    pub(crate) prompt: Option<String>,
    /// The resource
    #[arg(long, value_name = "UPSTREAM__URI")]
    pub(crate) resource: Option<String>,
}

/// Which callers and which items.
#[derive(Clone, Debug, Args)]
pub(crate) struct MatrixArgs {
    /// A column for this agent; may be repeated [default: everybody the policy names]
    #[arg(long = "agent", value_name = "AGENT")]
    pub(crate) agents: Vec<String>,
    /// A column for this group; may be repeated
    #[arg(long = "group", value_name = "GROUP")]
    pub(crate) groups: Vec<String>,
    /// A column for this scope; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    pub(crate) scopes: Vec<String>,
    /// The route they come in by [default: the first]
    #[arg(long, value_name = "PATH")]
    pub(crate) route: Option<String>,
    /// Ask the upstreams for their lists; without it, only items the policy names without a pattern are shown
    #[arg(long)]
    pub(crate) live: bool,
    /// Form of the table
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(crate) format: MatrixFormat,
}

/// The form of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MatrixFormat {
    Table,
    Csv,
}

/// Which cases.
#[derive(Clone, Debug, Args)]
pub(crate) struct TestArgs {
    /// The file of cases
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
}
