//! Who can call what: callers on one side, items on the other.
//!
//! Callers are imagined from the policy's own words: one for each agent, user, group and scope it names,
//! with nothing else. Who has two of them has at least what both have, unless one denies.

use crate::condition::{Arguments, Verdict};
use crate::decision::{Decision, Denial, Hearing, Question, method_of};
use crate::policy::Policy;
use crate::settings::PolicySettings;
use crate::subject::Subject;
use std::collections::BTreeSet;
use tollgate_core::bounds::policy::DECISION_COST_MAX;
use tollgate_core::ids::{RoutePath, UpstreamName};
use tollgate_core::party::{Item, ItemKind};
use tollgate_rules::glob::Glob;

/// How far a caller gets with an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It can always call it.
    Always,
    /// It can call it with some arguments.
    Sometimes,
    /// It could with a scope.
    WithScope,
    /// It does not exist for it.
    Never,
}

impl Reach {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "yes",
            Self::Sometimes => "args",
            Self::WithScope => "scope",
            Self::Never => "-",
        }
    }
}

impl Policy {
    /// How far somebody gets with an item on a route.
    #[must_use]
    pub fn reach(&self, subject: &Subject, route: &RoutePath, item: &Item<'_>) -> Reach {
        let principal = subject.principal();
        let party = subject.party(&principal);
        let method = method_of(item.kind);
        let question = Question { party, route, method, item: *item, arguments: None };
        let standing = self.standing(&party, route);
        if !self.shows(&standing, &party, route, item) {
            return match self.decide(&standing, &question) {
                Decision::Deny(Denial::Scope { .. }) => Reach::WithScope,
                Decision::Allow { .. } | Decision::Deny(_) => Reach::Never,
            };
        }
        let marks = self.items.of(item);
        let hearing = Hearing::new(self, &question, standing.is_item_scoped, marks);
        let mut budget = DECISION_COST_MAX;
        let mut say = |rule| hearing.verdict(rule, Arguments::Unseen, &mut budget);
        let denying = marks.deny.and(&standing.holds);
        if denying.iter().any(|rule| say(rule) == Verdict::Depends) {
            return Reach::Sometimes;
        }
        let allowing = marks.allow.and(&standing.holds);
        let said: Vec<Verdict> = allowing.iter().map(&mut say).collect();
        // It is shown: where no rule can allow it, a scope that names the item does.
        if said.contains(&Verdict::Yes) || !said.contains(&Verdict::Depends) {
            return Reach::Always;
        }
        Reach::Sometimes
    }
}

/// Callers as the policy names them, each with what to call it; the first is somebody with nothing.
#[must_use]
pub fn subjects(settings: &PolicySettings) -> Vec<(String, Subject)> {
    let (mut agents, mut users) = (BTreeSet::new(), BTreeSet::new());
    let (mut groups, mut scopes) = (BTreeSet::new(), BTreeSet::new());
    let exact = |globs: &[Glob]| {
        globs.iter().filter_map(|glob| glob.exact().map(str::to_owned)).collect::<Vec<_>>()
    };
    for binding in &settings.bindings {
        agents.extend(exact(&binding.who.agents));
        users.extend(exact(&binding.who.users));
        groups.extend(binding.who.groups.iter().map(ToString::to_string));
        scopes.extend(binding.who.scopes.iter().map(ToString::to_string));
    }
    scopes.extend(settings.scopes.iter().map(|scope| scope.scope.clone()));
    let mut subjects = vec![("anyone".to_owned(), Subject::default())];
    let agent = |agent: String| {
        (format!("agent {agent}"), Subject { agent: Some(agent), ..Subject::default() })
    };
    subjects.extend(agents.into_iter().map(agent));
    let user =
        |user: String| (format!("user {user}"), Subject { user: Some(user), ..Subject::default() });
    subjects.extend(users.into_iter().map(user));
    let group = |group: String| {
        (format!("group {group}"), Subject { groups: vec![group], ..Subject::default() })
    };
    subjects.extend(groups.into_iter().map(group));
    let scope = |scope: String| {
        (format!("scope {scope}"), Subject { scopes: vec![scope], ..Subject::default() })
    };
    subjects.extend(scopes.into_iter().map(scope));
    subjects
}

/// Items the policy names without a pattern.
#[must_use]
pub fn items(settings: &PolicySettings) -> Vec<(ItemKind, UpstreamName, String)> {
    let roles = settings.roles.iter().map(|role| &role.grant);
    let grants = roles.chain(settings.scopes.iter().map(|scope| &scope.grant));
    let named = grants.flat_map(|grant| grant.allow.iter().chain(&grant.deny));
    let exact = named.filter_map(|(kind, pattern)| {
        let upstream = UpstreamName::from(pattern.upstream().exact()?);
        Some((*kind, upstream, pattern.name().exact()?.to_owned()))
    });
    exact.collect::<BTreeSet<_>>().into_iter().collect()
}
