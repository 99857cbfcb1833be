//! The sections `usage` and `prices`: how calls are counted, where that is written down, and what they
//! cost.

use crate::config::billing::{Amount, Currency, Day, EstimatorWord, OnFailureWord, TrustWord};
use crate::config::collections::{List, Sections, Table};
use crate::config::decode::{Decode, Fields, Key, Needed, Set, Shape, Slot, default, key, section};
use crate::config::reading::Reading;
use crate::config::rules::ItemPattern;
use crate::config::scalars::{Count, Flag, Text};
use crate::config::tree::Node;
use serde_json::Value;

section! {
    /// How calls are counted, and whether that is written down. With this section or `prices`, each call that is done
    /// gets a row in the ledger, the file `stores.usage`; `tollgate usage` reads it.
    Usage {
        /// Who counts tokens, after the reply: `bytes` takes four bytes for one, `o200k` and `cl100k` are tokenizers. What a
        /// model makes of a text is not known here: all of them estimate.
        estimator: Set<EstimatorWord> = EstimatorWord::Bytes,
        /// Upstreams whose own count of tokens is looked at, and how far it is believed: `{ search: max }` takes the larger of
        /// it and the gate's own, `reported` takes it as it is. It is looked for in `_meta.usage`,
        /// `_meta."io.tollgate/usage"`, `structuredContent.usage` and `_meta.token_usage`.
        reported: Key<Table<TrustWord>>,
        /// Whether rows are written. Without, calls are counted for limits only. Budgets need it: they are counted
        /// from it anew after a restart.
        ledger: Set<Flag> = Flag(true),
        /// What happens while the ledger takes no rows. `open`: calls go on, and rows wait in memory, up to 131,072. `closed`:
        /// new calls are refused after 5 seconds, or when half as many wait, until it takes rows again.
        on_failure: Set<OnFailureWord> = OnFailureWord::Open,
        /// For how many days rows are kept. From 1 to 36,500. Default: all are kept.
        retain_days: Key<Count>,
    }
}

section! {
    /// The price book: what you charge, never what a model costs. Costs are estimates to that extent, and to that of the
    /// tokens they are for.
    Prices {
        /// ISO 4217 code of the currency of all prices.
        currency: Set<Currency> = Currency::default(),
        /// The entries: the first that fits an item on a day is its price. What none fits costs nothing, and is shown. At most
        /// 1,000.
        entries: Needed<Sections<Price>>,
    }
}

section! {
    /// One entry. A call costs the sum of its parts, rounded once to a millionth, halves to even. Without `tools`, `prompts`
    /// and `resources` it is for everything. Amounts have at most six digits after the point.
    Price {
        /// Its name in the ledger. The day it takes effect and a digest of what it says are added there.
        name: Needed<Text>,
        /// Tools it is for, as `UPSTREAM__NAME`; `*` stands for any characters. At most 1,000, as of the others.
        tools: Set<List<ItemPattern>> = List::default(),
        /// Prompts it is for.
        prompts: Set<List<ItemPattern>> = List::default(),
        /// Resources it is for, by their URIs: `files__file:///srv/*`.
        resources: Set<List<ItemPattern>> = List::default(),
        /// The first day it holds (UTC): `2026-01-31`. Keep entries that have ended: what they priced is explained by
        /// them.
        from: Key<Day>,
        /// The first day it no longer holds.
        until: Key<Day>,
        /// For a call.
        per_call: Key<Amount>,
        /// For 1,000 tokens towards the upstream.
        per_1k_tokens_in: Key<Amount>,
        /// For 1,000 tokens back.
        per_1k_tokens_out: Key<Amount>,
        /// For 1,000,000 bytes of arguments and results.
        per_mb: Key<Amount>,
        /// For a second, of the time a call takes.
        per_second: Key<Amount>,
    }
}
