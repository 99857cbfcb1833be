//! The command that reads the ledger of usage.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

pub(super) const USAGE: &str = "\
Say what was used, by whom, and what it costs.

Reads the ledger that a gate with `usage` or `prices` in its configuration writes; the gate may run meanwhile. Days are \
UTC. What belongs to no team is shown as `unallocated`. Costs are declared prices times measured use, and tokens are \
estimates unless an upstream reported them.";
pub(super) const USAGE_NEXT: &str = "\
Example:
  tollgate usage --by team,agent
  tollgate usage --by day,tool --since 7d --agent nightly
  tollgate usage --since 2026-11-01 --until 2026-12-01 --format focus > november.csv
  tollgate usage reprice --since 2026-11-01 --dry-run

Next: `prices` in the configuration says what calls cost.";

/// What is asked of the ledger.
#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct UsageArgs {
    #[command(flatten)]
    pub(crate) file: LedgerArgs,
    #[command(flatten)]
    pub(crate) span: SpanArgs,
    /// Sum by these, in this order: agent, user, team, tool, upstream, route, day, price, counted-by, correction
    #[arg(long, value_name = "WHAT,…", default_value = "agent")]
    pub(crate) by: String,
    /// How it is written: `focus` is CSV with the columns of FOCUS 1.3, by all of it and by day
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub(crate) format: UsageFormat,
    #[command(subcommand)]
    pub(crate) action: Option<UsageAction>,
}

/// Which ledger.
#[derive(Clone, Debug, Args)]
pub(crate) struct LedgerArgs {
    /// The configuration file whose ledger is meant
    #[arg(
        long,
        short,
        value_name = "FILE",
        env = "TOLLGATE_CONFIG",
        default_value = "tollgate.yaml"
    )]
    pub(crate) config: PathBuf,
}

/// Which rows.
#[derive(Clone, Debug, Args)]
pub(crate) struct SpanArgs {
    /// From the beginning of this day on, or of that so long ago: `2026-11-01`, `7d` [default: this month]
    #[arg(long, value_name = "DAY")]
    pub(crate) since: Option<String>,
    /// Before the beginning of this day, or of that so long ago [default: up to now]
    #[arg(long, value_name = "DAY")]
    pub(crate) until: Option<String>,
    /// Only of this agent
    #[arg(long, value_name = "AGENT")]
    pub(crate) agent: Option<String>,
    /// Only of this team
    #[arg(long, value_name = "TEAM")]
    pub(crate) team: Option<String>,
    /// Only of this upstream
    #[arg(long, value_name = "UPSTREAM")]
    pub(crate) upstream: Option<String>,
}

/// How the answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum UsageFormat {
    Table,
    Csv,
    Json,
    Focus,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum UsageAction {
    /// Price calls again by the present price book: corrections are added, nothing is changed
    Reprice(RepriceArgs),
}

/// What is priced again.
#[derive(Clone, Debug, Args)]
pub(crate) struct RepriceArgs {
    #[command(flatten)]
    pub(crate) file: LedgerArgs,
    #[command(flatten)]
    pub(crate) span: SpanArgs,
    /// Only say what would be corrected
    #[arg(long)]
    pub(crate) dry_run: bool,
}
