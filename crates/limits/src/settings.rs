//! What limits are made of, checked and complete: the binary builds them from the file.

use std::sync::Arc;
use tollgate_core::ids::Secret;
use tollgate_core::party::ItemKind;
use tollgate_rules::items::ItemGlob;
use tollgate_rules::teams::Teams;
use tollgate_rules::who::Who;

/// All limits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LimitSettings {
    /// Limits per window, and calls at once. Every one that applies must have room.
    pub levels: Vec<LevelSettings>,
    /// Budgets per calendar period. Every one that applies must have room.
    pub budgets: Vec<BudgetSettings>,
    /// Teams, for budgets and for levels that count by team.
    pub teams: Teams,
    /// How a caller at a limit is told.
    pub answer: LimitAnswer,
    /// Longest result of a tool, in tokens.
    pub results: Vec<ResultSettings>,
    /// The URL that warnings of budgets are sent to. Its path may be a secret.
    pub webhook: Option<Secret<String>>,
}

/// One limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelSettings {
    /// Its name, as in headers, errors and `/status`. No two levels share one.
    pub name: Arc<str>,
    /// What is counted apart. Empty: everything that applies counts together.
    pub per: Vec<CountedPer>,
    /// Whose calls it is about.
    pub who: Who,
    /// Which items; empty is everything, also what acts on no item.
    pub items: Vec<(Option<ItemKind>, ItemGlob)>,
    /// Requests in a window.
    pub requests: Option<RateSettings>,
    /// Tokens in a window, towards upstreams and back.
    pub tokens: Option<RateSettings>,
    /// Calls at once.
    pub concurrent: Option<u32>,
}

/// What is counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CountedPer {
    /// Each agent (issuer and client); anonymous callers by address, IPv6 by /64.
    Agent,
    /// Each user of each issuer; an agent that acts for itself is a user of its own.
    User,
    /// Each group a caller is in: a call counts towards all of them.
    Group,
    /// Each team.
    Team,
    /// Each address, IPv6 by /64.
    Address,
    /// Each route.
    Route,
    /// Each upstream.
    Upstream,
    /// Each tool, prompt or resource.
    Item,
}

/// An amount in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateSettings {
    /// How much.
    pub amount: u64,
    /// In how many milliseconds.
    pub window_millis: u64,
    /// How much at once; default the amount.
    pub burst: u64,
    /// For tokens: how much more than the burst may be used by calls that turn out larger than
    /// estimated, to be paid by waiting; default the burst. What is beyond is forgiven and counted.
    pub debt: u64,
}

/// A budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetSettings {
    /// Its name.
    pub name: Arc<str>,
    /// What is counted apart; empty: everything that applies counts together.
    pub per: Vec<CountedPer>,
    /// Whose calls it is about.
    pub who: Who,
    /// Only this team's calls.
    pub team: Option<Arc<str>>,
    /// Which items; empty is everything.
    pub items: Vec<(Option<ItemKind>, ItemGlob)>,
    /// The period.
    pub period: Period,
    /// The IANA time zone of its calendar.
    pub zone: String,
    /// Most tokens in a period.
    pub tokens: Option<u64>,
    /// Most calls.
    pub calls: Option<u64>,
    /// Most money, in millionths of the price book's currency.
    pub money_micros: Option<u64>,
    /// Percentages at which a warning is given, ascending.
    pub warn_percent: Vec<u8>,
    /// Whether calls are refused at its end; otherwise it only warns.
    pub is_hard: bool,
}

/// A calendar period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Period {
    /// A day.
    Day,
    /// A week, from Monday (ISO 8601).
    Week,
    /// A month.
    Month,
}

/// How a caller at a limit is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LimitAnswer {
    /// HTTP 429 and a JSON-RPC error.
    #[default]
    Http429,
    /// HTTP 200 and a JSON-RPC error.
    JsonRpc,
    /// HTTP 200 and, for calls of tools, a result with `isError`: the only form some models read.
    ToolError,
}

/// The longest result of some tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultSettings {
    /// Which tools.
    pub items: Vec<ItemGlob>,
    /// In tokens, by bytes / 4.
    pub tokens_max: u64,
    /// What becomes of a longer one.
    pub oversize: Oversize,
}

/// What becomes of a result that is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oversize {
    /// The caller gets an error that says so.
    Refuse,
    /// Its text is cut, and says so.
    Truncate,
}
