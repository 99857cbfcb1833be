//! What one caller sees of a route's lists, and whether another policy shows it something else.
//!
//! Items only: pages, order and renaming are their own files' business.

use super::Rulebook;
use crate::knowledge::Knowledge;
use tollgate_core::ids::{RoutePath, UpstreamName};
use tollgate_core::party::{Item, ItemKind, Party};
use tollgate_mcp::hub::items::ListKind;
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

/// Of which lists (tools, prompts, resources with their templates) two sights show other items of an
/// upstream, of those that are offered, and as far as what it has is known.
pub(crate) fn differing(
    (before, after): (&Sight<'_>, &Sight<'_>),
    (upstream, knowledge): (&UpstreamName, &Knowledge),
    is_offered: impl Fn(ListKind, &str) -> bool,
) -> [bool; 3] {
    let differs = |list: ListKind| {
        let Some(names) = knowledge.roster().names(list) else { return false };
        names.iter().any(|name| {
            let item = Item { kind: kind_of(list), upstream, name };
            before.shows(&item) != after.shows(&item) && is_offered(list, name)
        })
    };
    [
        differs(ListKind::Tools),
        differs(ListKind::Prompts),
        differs(ListKind::Resources) || differs(ListKind::Templates),
    ]
}
