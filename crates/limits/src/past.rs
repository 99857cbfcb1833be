//! What budgets ask of the ledger at start: how much of the current period was used before.
//!
//! Asking is the binary's; this says which sums are needed, and counts them.

use crate::budget::{Budget, Named};
use crate::limits::Limits;
use crate::request::Now;
use crate::settings::CountedPer;
use crate::tally::Amounts;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tollgate_core::ids::{RoutePath, UpstreamName};
use tollgate_core::party::{Item, ItemKind};
use tollgate_core::stores::{UsageBy, UsageFilter, UsageSums};

/// What a budget needs to know of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// Which budget asks.
    pub budget: Arc<str>,
    /// Which rows.
    pub filter: UsageFilter,
    /// How they are grouped.
    pub by: Vec<UsageBy>,
}

impl Limits {
    /// What the ledger has to be asked for budgets that do not know yet what was used before they
    /// began to count: all at start, new ones after a change. Ask at once; what is settled from now on
    /// is counted already.
    #[must_use]
    pub fn questions(&self, now: Now) -> Vec<Question> {
        let is_new = |budget: &&Arc<Budget>| budget.is_new.load(Ordering::Acquire);
        let question = |budget: &Arc<Budget>| Question {
            budget: Arc::clone(&budget.settings.name),
            filter: UsageFilter {
                since_millis: u64::try_from(budget.period(now).start).unwrap_or(0) * 1_000,
                // The second we are in counts whole: exact at start, when nothing is settled yet.
                until_millis: Some(now.unix_secs.saturating_add(1).saturating_mul(1_000)),
                team: budget.settings.team.as_deref().map(str::to_owned),
                ..UsageFilter::default()
            },
            by: columns(budget),
        };
        self.budgets.iter().filter(is_new).map(question).collect()
    }

    /// Counts the ledger's answer to one of these questions, once.
    pub fn load(&self, now: Now, question: &Question, sums: &[UsageSums]) {
        let named = |budget: &&Arc<Budget>| budget.settings.name == question.budget;
        let Some(budget) = self.budgets.iter().find(named) else { return };
        if !budget.is_new.swap(false, Ordering::AcqRel) {
            return;
        }
        for sum in sums {
            self.count(budget, now, &question.by, sum);
        }
    }

    fn count(&self, budget: &Budget, now: Now, by: &[UsageBy], sum: &UsageSums) {
        let value = |column: UsageBy| {
            let at = by.iter().position(|one| *one == column)?;
            sum.group.get(at)?.as_deref()
        };
        let named = Named {
            agent: value(UsageBy::Agent).unwrap_or_default(),
            user: value(UsageBy::User),
            team: value(UsageBy::Team),
            route: value(UsageBy::Route).unwrap_or_default(),
            item: value(UsageBy::Tool).and_then(|text| text.split_once("__")),
        };
        if !is_meant(budget, &named) {
            return;
        }
        let Some(tally) = budget.tally(&self.seeds, &named, now) else { return };
        let positive = |number: i64| u64::try_from(number).unwrap_or(0);
        let past = Amounts {
            tokens: positive(sum.tokens_in.saturating_add(sum.tokens_out)),
            calls: positive(sum.calls),
            micros: positive(sum.cost_micros),
        };
        budget.add_past(&tally, now, &past);
    }
}

/// By what the rows have to be told apart.
fn columns(budget: &Budget) -> Vec<UsageBy> {
    let settings = &budget.settings;
    let per = |wanted| settings.per.contains(&wanted);
    let who = &settings.who;
    let is_by_item =
        per(CountedPer::Upstream) || per(CountedPer::Item) || !settings.items.is_empty();
    let needed = [
        // Users who are none go by their agent.
        (UsageBy::Agent, per(CountedPer::Agent) || per(CountedPer::User) || !who.agents.is_empty()),
        (UsageBy::User, per(CountedPer::User) || !who.users.is_empty()),
        (UsageBy::Team, per(CountedPer::Team)),
        (UsageBy::Route, per(CountedPer::Route) || !who.routes.is_empty()),
        // Upstreams too: what acts on no item counts towards none of them.
        (UsageBy::Tool, is_by_item),
    ];
    needed.into_iter().filter_map(|(column, is_needed)| is_needed.then_some(column)).collect()
}

/// Whether a group of rows is one the budget is about; its team was asked for by the filter.
fn is_meant(budget: &Budget, named: &Named<'_>) -> bool {
    let settings = &budget.settings;
    let who = &settings.who;
    let is_agent = who.agents.is_empty() || who.agents.iter().any(|glob| glob.matches(named.agent));
    let is_user = who.users.is_empty()
        || named.user.is_some_and(|user| who.users.iter().any(|glob| glob.matches(user)));
    let route = RoutePath::from(named.route);
    let is_route = who.routes.is_empty() || who.routes.contains(&route);
    let is_item = settings.items.is_empty()
        || named.item.is_some_and(|(upstream, name)| {
            let upstream = UpstreamName::from(upstream);
            // Budgets do not go by kind: the ledger has none.
            let item = Item { kind: ItemKind::Tool, upstream: &upstream, name };
            settings.items.iter().any(|(_, glob)| glob.matches(&item))
        });
    is_agent && is_user && is_route && is_item
}
