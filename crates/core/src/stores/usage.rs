//! The ledger of usage: what was called, how much it took, and what that costs.
//!
//! Append-only, one row for each settled call. A row that is there already (the same call and part) is
//! not added again; what was wrong is put right by further rows, never by a change.

use super::Pending;
use crate::party::ItemKind;
use std::fmt;
use std::sync::Arc;

/// Identifies a settled call: random, 128 bit, made by the gate.
pub type CallId = [u8; 16];

/// Who counted the tokens of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CountedBy {
    /// The upstream, which the operator trusts to.
    Reported,
    /// A tokenizer.
    Tokenizer,
    /// An estimate from bytes.
    Bytes,
}

/// How a call ended, as far as the bill is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// A result.
    Done,
    /// A result that says the tool failed (`isError`).
    ToolError,
    /// A JSON-RPC error.
    Error,
    /// The caller left, or cancelled, or the stream was cut, before the answer.
    Unfinished,
}

/// One row of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageRow {
    /// Of which call.
    pub call: CallId,
    /// 0 for the call itself; corrections count up from 1.
    pub part: u32,
    /// When it was settled, Unix milliseconds.
    pub at_millis: u64,
    /// The agent (`client_id`), or `anonymous`.
    pub agent: Arc<str>,
    /// Who vouches for it.
    pub issuer: Option<Arc<str>>,
    /// The user it acted for.
    pub user: Option<Arc<str>>,
    /// The team it is put down to; `None` is unattributed.
    pub team: Option<Arc<str>>,
    /// The route.
    pub route: Arc<str>,
    /// The upstream.
    pub upstream: Arc<str>,
    /// The JSON-RPC method.
    pub method: Arc<str>,
    /// What it acted on; `None` for what acts on nothing.
    pub kind: Option<ItemKind>,
    /// The upstream's own name of the tool or prompt, or the URI; `None` for what acts on nothing.
    pub item: Option<Arc<str>>,
    /// Calls: 1, or 0 in corrections.
    pub calls: i64,
    /// Tokens towards the upstream.
    pub tokens_in: i64,
    /// Tokens back.
    pub tokens_out: i64,
    /// Who counted them.
    pub counted_by: CountedBy,
    /// Bytes of the request's arguments and of its result.
    pub bytes: i64,
    /// How long it took, milliseconds.
    pub millis: i64,
    /// How it ended.
    pub outcome: Outcome,
    /// The entry and version of the price book it was priced by; `None` has no price.
    pub price: Option<Arc<str>>,
    /// Millionths of the price book's currency.
    pub cost_micros: i64,
}

/// What usage can be grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UsageBy {
    /// The agent.
    Agent,
    /// The user.
    User,
    /// The team.
    Team,
    /// The route.
    Route,
    /// The upstream.
    Upstream,
    /// Upstream and item.
    Tool,
    /// The calendar day, UTC.
    Day,
    /// The entry and version of the price book.
    Price,
    /// Who counted.
    CountedBy,
    /// `correction` for rows that correct others; `None` for calls.
    Correction,
}

/// Which rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageFilter {
    /// From this Unix millisecond on.
    pub since_millis: u64,
    /// Before this Unix millisecond; `None` up to now.
    pub until_millis: Option<u64>,
    /// Only of this agent.
    pub agent: Option<String>,
    /// Only of this team.
    pub team: Option<String>,
    /// Only of this upstream.
    pub upstream: Option<String>,
}

/// The sums of a group of rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageSums {
    /// The values of the group, in the order asked for; `None` is unattributed.
    pub group: Vec<Option<String>>,
    /// Calls.
    pub calls: i64,
    /// Tokens towards upstreams.
    pub tokens_in: i64,
    /// Tokens back.
    pub tokens_out: i64,
    /// Bytes.
    pub bytes: i64,
    /// Milliseconds.
    pub millis: i64,
    /// Calls that ended with an error of whatever sort.
    pub errors: i64,
    /// Millionths of the price book's currency.
    pub cost_micros: i64,
}

/// The ledger.
pub trait UsageLedger: Send + Sync + fmt::Debug {
    /// Appends rows, all or none, durably; says how many were new.
    fn append(&self, rows: Vec<UsageRow>) -> Pending<'_, usize>;

    /// Sums rows by group, ordered by group, at most `limit` groups.
    fn sums(
        &self,
        filter: UsageFilter,
        by: Vec<UsageBy>,
        limit: usize,
    ) -> Pending<'_, Vec<UsageSums>>;

    /// The rows themselves, oldest first, after this many.
    fn rows(&self, filter: UsageFilter, skip: u64, limit: usize) -> Pending<'_, Vec<UsageRow>>;

    /// Removes the rows of the days (UTC) that ended before this Unix millisecond, some at a time; says
    /// how many.
    fn sweep(&self, before_millis: u64) -> Pending<'_, usize>;
}
