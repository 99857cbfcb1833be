//! The sections `limits` and `teams`: how much callers may use.

use crate::config::amounts::{
    Amount, LimitWord, MoneyPerPeriod, OversizeWord, PerPeriod, PerText, PerWindow, Short,
};
use crate::config::collections::{List, Sections};
use crate::config::decode::{
    At, Decode, Fields, Key, Needed, Set, Shape, Slot, default, key, section,
};
use crate::config::issuers::{SafeWeb, Scope};
use crate::config::reading::Reading;
use crate::config::report::Pos;
use crate::config::rules::{ItemPattern, NamePattern, NetworkText};
use crate::config::scalars::{Count, Flag, Text};
use crate::config::tree::Node;
use serde_json::Value;

section! {
    /// How much callers may use. Every limit and budget that applies to a call must have room; what has none is refused
    /// before the upstream sees anything, and costs nothing.
    Quotas {
        /// For each agent, whoever it acts for: `{ requests: 600/min, tokens: 200k/min, concurrent: 20 }`. Callers that
        /// prove nothing count by address.
        per_agent: Key<Quota>,
        /// For each user, whichever agents act for them. An agent that acts for itself is a user of its own.
        per_user: Key<Quota>,
        /// For each group: all its members together. A call counts towards every group of its caller.
        per_group: Key<Quota>,
        /// For each of `teams`, together.
        per_team: Key<Quota>,
        /// For each address, IPv6 by /64.
        per_address: Key<Quota>,
        /// For each route.
        per_route: Key<Quota>,
        /// For each upstream, calls of tools, prompts and resources.
        per_upstream: Key<Quota>,
        /// For each tool, prompt and resource.
        per_tool: Key<Quota>,
        /// For all calls together.
        total: Key<Quota>,
        /// Other limits. At most 64 in all, those above included.
        rules: Set<Sections<LimitRule>> = Sections::default(),
        /// Budgets per day, week or month. At most 64.
        budgets: Set<Sections<Budget>> = Sections::default(),
        /// Longest results of tools; the first entry that fits a tool counts. At most 256.
        max_result_tokens: Set<Sections<ResultCap>> = Sections::default(),
        /// How callers at a limit are told: HTTP 429 with a JSON-RPC error (`http429`), HTTP 200 with one (`jsonrpc`), or,
        /// for calls of tools, a result with `isError` (`tool_error`), the only form some models read.
        answer: Set<LimitWord> = LimitWord::Http429,
        /// Who is told that a budget passed a threshold, besides the log.
        notify: Key<Notify>,
    }
}

section! {
    /// How much at a time. At least one key.
    Quota {
        /// Requests in a window: `600/min`, or `{ rate: 10/s, burst: 20 }`.
        requests: Key<Short<PerWindow, Rate>>,
        /// Tokens in a window, towards upstreams and back: `200k/min`, or `{ rate: 200k/min, burst: 50k, debt: 100k }`.
        tokens: Key<Short<PerWindow, Rate>>,
        /// Calls at once. From 1 to 1,000,000.
        concurrent: Key<Count>,
    }
}

section! {
    /// An amount in a window.
    Rate {
        /// How much in which time: `10/s`, `600/min`.
        rate: Needed<PerWindow>,
        /// How much at once. Default: the amount of `rate`.
        burst: Key<Amount>,
        /// For tokens: how much more calls may use that turn out larger than estimated, to be paid by waiting. Default:
        /// `burst`. What is beyond is forgiven and counted.
        debt: Key<Amount>,
    }
}

section! {
    /// A limit of its own: for the calls that fit every key that is written, counted apart by `per`.
    LimitRule {
        /// Its name in headers and messages: letters, digits, `.`, `_` and `-`. Default: `rule-` and its place.
        name: Key<Text>,
        /// What is counted apart. Without it, all calls that fit count together.
        per: Set<List<PerText>> = List::default(),
        /// Agents, by `client_id`; `anonymous` is whoever proves nothing. Patterns.
        agents: Key<List<NamePattern>>,
        /// Only those vouched for by these issuers: their names, `own`, `api-keys` or `certificates`.
        issuers: Key<List<Text>>,
        /// Users the agent acts for, by subject. Patterns.
        users: Key<List<NamePattern>>,
        /// Groups.
        groups: Key<List<Text>>,
        /// Scopes of the token.
        scopes: Key<List<Scope>>,
        /// Networks the call comes from: `10.0.0.0/8`.
        addresses: Key<List<NetworkText>>,
        /// Paths of the routes it comes in by.
        routes: Key<List<Text>>,
        /// Tools, as `UPSTREAM__NAME` on every route. Patterns: `search__*`.
        tools: Key<List<ItemPattern>>,
        /// Prompts.
        prompts: Key<List<ItemPattern>>,
        /// Resources, by their URIs: `files__file:///srv/*`.
        resources: Key<List<ItemPattern>>,
        /// Requests in a window: `10/s`, or `{ rate: 10/s, burst: 20 }`.
        requests: Key<Short<PerWindow, Rate>>,
        /// Tokens in a window: `50k/min`, or `{ rate: 50k/min, burst: 20k, debt: 50k }`.
        tokens: Key<Short<PerWindow, Rate>>,
        /// Calls at once. From 1 to 1,000,000.
        concurrent: Key<Count>,
    }
}

section! {
    /// A budget per calendar period. It survives a restart: what was used is summed up from the ledger of usage, so it goes
    /// by what is there.
    Budget {
        /// Its name in headers and messages: letters, digits, `.`, `_` and `-`.
        name: Needed<Text>,
        /// Only calls of this one of `teams`.
        team: Key<Text>,
        /// What is counted apart: `agent`, `user`, `team`, `route`, `upstream` or `tool`. Agents and users go by their
        /// names here, whoever vouches for them, and all who prove nothing are one.
        per: Set<List<PerText>> = List::default(),
        /// Only these agents. Patterns.
        agents: Key<List<NamePattern>>,
        /// Only these users. Patterns.
        users: Key<List<NamePattern>>,
        /// Only these routes.
        routes: Key<List<Text>>,
        /// Only these tools, and prompts and resources of the same names: `search__*`.
        items: Key<List<ItemPattern>>,
        /// Most tokens in a period, towards upstreams and back: `50M/month`.
        tokens: Key<PerPeriod>,
        /// Most calls: `10k/day`.
        calls: Key<PerPeriod>,
        /// Most money, in the currency of `prices`: `100/month`. Prices are what you declare, not what models cost.
        money: Key<MoneyPerPeriod>,
        /// The time zone of its calendar: `Europe/Berlin`. Weeks begin on Monday.
        zone: Set<Text> = Text::of("UTC"),
        /// Percentages at which a warning is given, once in a period; its end always gives one. At most 10.
        warn: Set<List<Count>> = percentages(),
        /// Whether calls are refused at its end. Otherwise it only warns.
        hard: Set<Flag> = Flag(true),
    }
}

section! {
    /// The longest result of some tools.
    ResultCap {
        /// Which tools, as `UPSTREAM__NAME`. Patterns.
        tools: Needed<List<ItemPattern>>,
        /// In tokens, by four bytes each.
        tokens: Needed<Amount>,
        /// What becomes of a longer one: the caller gets an error that says so (`refuse`), or its text is cut and says so
        /// (`truncate`).
        oversize: Set<OversizeWord> = OversizeWord::Refuse,
    }
}

section! {
    /// Who is told of warnings.
    Notify {
        /// A URL that each warning is sent to, as JSON in a POST. `https`, or `http` on loopback. Its path may be a secret:
        /// it is never shown.
        webhook: Needed<SafeWeb>,
    }
}

section! {
    /// Who belongs to a team: of each key that is written, one entry must fit the caller.
    Team {
        /// Agents, by `client_id`. Patterns.
        agents: Key<List<NamePattern>>,
        /// Only those vouched for by these issuers.
        issuers: Key<List<Text>>,
        /// Users the agent acts for, by subject. Patterns.
        users: Key<List<NamePattern>>,
        /// Groups.
        groups: Key<List<Text>>,
        /// Scopes of the token.
        scopes: Key<List<Scope>>,
        /// Networks the call comes from.
        addresses: Key<List<NetworkText>>,
        /// Paths of the routes it comes in by.
        routes: Key<List<Text>>,
    }
}

/// The thresholds at which everybody wants to know.
fn percentages() -> List<Count> {
    List([80].map(|percent| At { value: Count(percent), at: Pos::default() }).into())
}
