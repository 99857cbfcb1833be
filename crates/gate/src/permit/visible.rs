//! What one caller sees of a route's lists, and whether another policy shows it something else.
//!
//! Items only: pages, order and renaming are their own files' business.

use super::Rulebook;
use crate::snapshot::{Plan, Route};
use std::borrow::Cow;
use tollgate_core::ids::RoutePath;
use tollgate_core::party::{Item, ItemKind, Party};
use tollgate_mcp::hub::items::ListKind;
use tollgate_mcp::hub::{naming, uris};
use tollgate_mcp::uri;
use tollgate_policy::Standing;

/// What a caller may see on a route.
pub(crate) struct Sight<'a> {
    /// The policy; `None` shows everything.
    by: Option<(&'a Rulebook, Standing)>,
    party: Party<'a>,
    path: &'a RoutePath,
}

impl<'a> Sight<'a> {
    /// What a policy in force shows; one in shadow, or none, shows everything.
    pub(crate) fn new(book: Option<&'a Rulebook>, party: Party<'a>, path: &'a RoutePath) -> Self {
        let book = book.filter(|book| book.is_enforced());
        let by = book.map(|book| (book, book.policy.standing(&party, path)));
        Self { by, party, path }
    }

    /// Whether it shows this.
    pub(crate) fn shows(&self, item: &Item<'_>) -> bool {
        let Some((book, standing)) = &self.by else { return true };
        (item.kind != ItemKind::Resource || uri::is_unambiguous(item.name))
            && book.policy.shows(standing, &self.party, self.path, item)
    }
}

/// What the items of a list are.
pub(crate) const fn kind_of(list: ListKind) -> ItemKind {
    match list {
        ListKind::Tools => ItemKind::Tool,
        ListKind::Prompts => ItemKind::Prompt,
        ListKind::Resources | ListKind::Templates => ItemKind::Resource,
    }
}

/// Of which lists (tools, prompts, resources with their templates) two sights of a route show other items,
/// as far as what is listed is known.
pub(crate) fn differing(before: &Sight<'_>, after: &Sight<'_>, route: &Route) -> [bool; 3] {
    let differs = |list: ListKind| {
        route.legs.iter().any(|leg| {
            let Some(names) = leg.knowledge.roster().names(list) else { return false };
            let upstream = leg.upstream.name();
            names.iter().any(|name| {
                let item = Item { kind: kind_of(list), upstream, name };
                before.shows(&item) != after.shows(&item)
                    && is_offered(route, upstream.as_str(), (list, name))
            })
        })
    };
    [
        differs(ListKind::Tools),
        differs(ListKind::Prompts),
        differs(ListKind::Resources) || differs(ListKind::Templates),
    ]
}

/// Whether the route offers it at all.
fn is_offered(route: &Route, upstream: &str, (list, name): (ListKind, &str)) -> bool {
    let Plan::Hub(plan) = &route.plan else { return true };
    let shown = match kind_of(list) {
        _ if route.legs.len() == 1 => Cow::Borrowed(name),
        ItemKind::Tool | ItemKind::Prompt => Cow::Owned(naming::join(upstream, name)),
        ItemKind::Resource => Cow::Owned(uris::outward(upstream, name)),
    };
    plan.curated(list).show(&shown).is_some()
}
