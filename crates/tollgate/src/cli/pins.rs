//! The command that looks after approved tools.

use super::records::RecordsArgs;
use clap::{Args, Subcommand};

pub(super) const PINS: &str = "\
List, compare, approve and forget tools as upstreams define them.

For upstreams with `pins` in the configuration: a tool is offered as it was approved, or not at all. Writes to the store \
of the configuration file, which a running gate notices within a second. What agents are told about a tool, they \
may take for an instruction: read what you approve.";
pub(super) const PINS_NEXT: &str = "\
Example:
  tollgate pins list
  tollgate pins diff github
  tollgate pins approve github create_issue --digest 5d41402abc4b2a76b9719d91

Next: `tollgate pins list`.";

/// What to do with pins.
#[derive(Clone, Debug, Args)]
pub(crate) struct PinsArgs {
    #[command(flatten)]
    pub(crate) records: RecordsArgs,
    #[command(subcommand)]
    pub(crate) action: PinsAction,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum PinsAction {
    /// List the tools that were seen, and whether they are as they were approved
    List {
        /// Of this upstream only
        #[arg(long, short, value_name = "UPSTREAM")]
        upstream: Option<String>,
    },
    /// Show what changed since it was approved, with hidden characters as code points
    Diff {
        /// The upstream
        upstream: String,
        /// The upstream's own name of the tool [default: all that differ from what was approved]
        tool: Option<String>,
    },
    /// Approve tools exactly as they are seen
    Approve(ApproveArgs),
    /// Forget tools, as if they had never been seen
    Forget {
        /// The upstream
        upstream: String,
        /// The upstream's own names of the tools
        tools: Vec<String>,
        /// All tools of the upstream
        #[arg(long, conflicts_with = "tools")]
        all: bool,
    },
}

/// What to approve.
#[derive(Clone, Debug, Args)]
pub(crate) struct ApproveArgs {
    /// The upstream
    pub(crate) upstream: String,
    /// The upstream's own names of the tools
    pub(crate) tools: Vec<String>,
    /// All tools of the upstream that differ from what was approved
    #[arg(long, conflicts_with = "tools")]
    pub(crate) all: bool,
    /// Only if this is still what is seen: the digest that `pins diff` or `pins list` printed
    #[arg(long, value_name = "DIGEST")]
    pub(crate) digest: Option<String>,
}
