//! The commands that look after what is stored: agents, users, keys.

use clap::{Args, Subcommand, ValueHint};
use std::path::PathBuf;
use std::time::Duration;

pub(super) const AGENTS: &str = "\
Add, list and cut off agents: the programs that call through the gate.

Writes to the store of the configuration file, which a running gate notices within a second. Secrets and API keys are \
shown once; only their digests are kept.";
pub(super) const AGENTS_NEXT: &str = "\
Example:
  tollgate agents add nightly --scope 'tool:github__*' --expires 90d
  tollgate agents add notebook --api-key
  tollgate agents rotate nightly --overlap 1h
  tollgate agents revoke nightly

Next: `tollgate agents list`.";

pub(super) const USERS: &str = "\
Add, list and lock local accounts: people who sign in at the gate's own issuer.

Only with `issuer: { sign_in: accounts }`, its default. Writes to the store of the configuration file, which a running \
gate notices within a second.";
pub(super) const USERS_NEXT: &str = "\
Example:
  tollgate users add alice --group engineering
  tollgate users lock alice

Next: connect a client to the URL of a route (`tollgate connect`); it opens the page to sign in.";

pub(super) const KEYS: &str = "\
List and rotate the signing keys of the gate's own issuer.

They rotate by themselves; this is for rotating before it is time. Tokens that were signed before stay good until they \
end.";
pub(super) const KEYS_NEXT: &str = "\
Example:
  tollgate keys list
  tollgate keys rotate

Next: nothing to do; agents and servers fetch the new public key by themselves.";

/// Which store.
#[derive(Clone, Debug, Args)]
pub(crate) struct RecordsArgs {
    /// The configuration file whose store is meant
    #[arg(
        long,
        short,
        global = true,
        value_name = "FILE",
        env = "TOLLGATE_CONFIG",
        default_value = "tollgate.yaml"
    )]
    pub(crate) config: PathBuf,
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// What to do with agents.
#[derive(Clone, Debug, Args)]
pub(crate) struct AgentsArgs {
    #[command(flatten)]
    pub(crate) records: RecordsArgs,
    #[command(subcommand)]
    pub(crate) action: AgentsAction,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum AgentsAction {
    /// Add an agent, with a secret unless something else is asked for
    Add(Box<AddAgentArgs>),
    /// List all agents
    List,
    /// Show one agent
    Show(AgentArgs),
    /// Give an agent a new secret, API key or key set; the old one ends after a while
    Rotate(RotateArgs),
    /// Cut an agent off at once, whoever issued its tokens
    Revoke(AgentArgs),
    /// Let an agent in again that was revoked
    Restore(AgentArgs),
}

/// Which agent.
#[derive(Clone, Debug, Args)]
pub(crate) struct AgentArgs {
    /// The agent: its `client_id`
    pub(crate) name: String,
}

/// A new agent.
#[derive(Clone, Debug, Args)]
pub(crate) struct AddAgentArgs {
    /// Its name, which is its `client_id`: letters, digits, `.`, `_` and `-`, at most 64
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) proof: ProofArgs,
    /// A scope it may get; a `*` at the end stands for any rest, as in `tool:github__*`; may be repeated
    #[arg(long = "scope", value_name = "SCOPE")]
    pub(crate) scopes: Vec<String>,
    /// The path of a route it may use; may be repeated [default: all]
    #[arg(long = "route", value_name = "PATH")]
    pub(crate) routes: Vec<String>,
    /// A group it belongs to; may be repeated
    #[arg(long = "group", value_name = "GROUP")]
    pub(crate) groups: Vec<String>,
    /// Where people who sign in for it are sent back to, exactly; may be repeated
    #[arg(long = "redirect-uri", value_name = "URI", value_hint = ValueHint::Url, conflicts_with_all = ["api_key", "workload"])]
    pub(crate) redirect_uris: Vec<String>,
    /// When it ends, from now on, as in `90d` [default: never]
    #[arg(long, value_name = "DURATION", value_parser = crate::config::duration)]
    pub(crate) expires: Option<Duration>,
    /// What people are shown [default: its name]
    #[arg(long = "title", value_name = "TEXT")]
    pub(crate) title: Option<String>,
}

/// How an agent proves itself.
#[derive(Clone, Debug, Args)]
#[group(multiple = false)]
pub(crate) struct ProofArgs {
    /// By a secret that it trades for tokens; this is the default
    #[arg(long)]
    pub(crate) secret: bool,
    /// By an API key that it sends with every request, for what cannot do OAuth
    #[arg(long)]
    pub(crate) api_key: bool,
    /// By a private key, whose public part is in this file, as a JWK set
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) jwks: Option<PathBuf>,
    /// By a private key, whose public part is at this URL, as a JWK set
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    pub(crate) jwks_url: Option<String>,
    /// By a workload token of an issuer in `issuer.workloads`
    #[arg(long)]
    pub(crate) workload: bool,
    /// By nothing, for programs that people install: they sign in; needs `--redirect-uri`
    #[arg(long, requires = "redirect_uris")]
    pub(crate) public: bool,
}

/// A new secret for an agent.
#[derive(Clone, Debug, Args)]
pub(crate) struct RotateArgs {
    /// The agent: its `client_id`
    pub(crate) name: String,
    /// How long the old one stays good; `0` ends it at once
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = overlap)]
    pub(crate) overlap: Duration,
    /// The new key set, for an agent that was added with `--jwks`
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) jwks: Option<PathBuf>,
}

fn overlap(text: &str) -> Result<Duration, String> {
    if matches!(text, "0" | "0s") { Ok(Duration::ZERO) } else { crate::config::duration(text) }
}

/// What to do with users.
#[derive(Clone, Debug, Args)]
pub(crate) struct UsersArgs {
    #[command(flatten)]
    pub(crate) records: RecordsArgs,
    #[command(subcommand)]
    pub(crate) action: UsersAction,
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum UsersAction {
    /// Add an account; asks for the password on a terminal
    Add(AddUserArgs),
    /// List all accounts
    List,
    /// Set a new password
    Passwd(PasswdArgs),
    /// Keep somebody out: their tokens end, and they cannot sign in
    Lock(UserArgs),
    /// Let somebody in again
    Unlock(UserArgs),
    /// Remove an account
    Remove(UserArgs),
}

/// Whose account.
#[derive(Clone, Debug, Args)]
pub(crate) struct UserArgs {
    /// The name the person signs in with
    pub(crate) name: String,
}

/// A new account.
#[derive(Clone, Debug, Args)]
pub(crate) struct AddUserArgs {
    /// The name the person signs in with
    pub(crate) name: String,
    /// A group the person belongs to; may be repeated
    #[arg(long = "group", value_name = "GROUP")]
    pub(crate) groups: Vec<String>,
    #[command(flatten)]
    pub(crate) password: PasswordArgs,
}

/// A new password for an account.
#[derive(Clone, Debug, Args)]
pub(crate) struct PasswdArgs {
    /// The name the person signs in with
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) password: PasswordArgs,
}

/// Where a password comes from.
#[derive(Clone, Debug, Args)]
#[group(multiple = false)]
pub(crate) struct PasswordArgs {
    /// Read the password from standard input, up to the end of the line
    #[arg(long)]
    pub(crate) password_stdin: bool,
    /// Make a random password, and print it
    #[arg(long)]
    pub(crate) generate: bool,
}

/// What to do with signing keys.
#[derive(Clone, Debug, Args)]
pub(crate) struct KeysArgs {
    #[command(flatten)]
    pub(crate) records: RecordsArgs,
    #[command(subcommand)]
    pub(crate) action: KeysAction,
}

#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum KeysAction {
    /// List the keys, the oldest first
    List,
    /// Make the next key
    Rotate {
        /// Sign with it at once, instead of after the usual time ahead
        #[arg(long)]
        now: bool,
    },
}
