//! What a policy says that nobody can have meant: rules that do nothing, and rules that undo each other.
//!
//! Says only what is certain from the settings alone. Which agents, groups and scopes there are, nobody
//! knows beforehand, so nothing is said about them.

use crate::condition::Condition;
use crate::settings::{BindingSettings, Grant, PolicySettings};
use std::collections::HashSet;
use tollgate_core::bounds::policy::DECISION_COST_MAX;
use tollgate_core::ids::UpstreamName;
use tollgate_core::party::{ANONYMOUS, ItemKind};
use tollgate_rules::glob::{self, Glob};
use tollgate_rules::items::ItemGlob;

/// What is known besides the policy.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The upstreams of the configuration.
    pub upstreams: &'a [UpstreamName],
    /// How many issuers of tokens there are.
    pub issuers: usize,
}

/// Where something deserves a look. Places are those of the lists in the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The policy as a whole.
    Policy,
    /// A role.
    Role(usize),
    /// A pattern that a role allows.
    RoleAllow(usize, usize),
    /// A pattern that a role denies.
    RoleDeny(usize, usize),
    /// A binding.
    Binding(usize),
    /// A scope.
    Scope(usize),
    /// A pattern that a scope allows.
    ScopeAllow(usize, usize),
    /// A pattern that a scope denies.
    ScopeDeny(usize, usize),
}

/// Something that deserves a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where.
    pub place: Place,
    /// What, and what to do about it.
    pub text: String,
}

/// Looks a policy over.
#[must_use]
pub fn lint(settings: &PolicySettings, known: &Known<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    if settings.bindings.is_empty() && settings.scopes.is_empty() {
        let text = "nothing binds a role to anybody, so nobody may call anything: add `bindings`, or `scopes`";
        findings.push(Finding { place: Place::Policy, text: text.to_owned() });
    }
    let for_all = denied_to_all(settings);
    for (at, role) in settings.roles.iter().enumerate() {
        let grant = &role.grant;
        let named = format!("role `{}`", role.name);
        let is_bound = settings.bindings.iter().any(|binding| binding.role == role.name);
        if is_nothing(grant) {
            let text = format!("{named} allows and denies nothing");
            findings.push(Finding { place: Place::Role(at), text });
        } else if !is_bound {
            let text = format!("{named} is given to nobody: bind it, or remove it");
            findings.push(Finding { place: Place::Role(at), text });
        }
        let places = [Place::RoleAllow, Place::RoleDeny];
        findings.extend(patterns(grant, &named, at, places, known));
        if is_bound && is_undone(grant, &for_all) {
            let text = format!("all that {named} allows is denied to everybody");
            findings.push(Finding { place: Place::Role(at), text });
        }
    }
    for (at, scope) in settings.scopes.iter().enumerate() {
        let named = format!("scope `{}`", scope.scope);
        if is_nothing(&scope.grant) {
            let text = format!("{named} allows and denies nothing");
            findings.push(Finding { place: Place::Scope(at), text });
        }
        let places = [Place::ScopeAllow, Place::ScopeDeny];
        findings.extend(patterns(&scope.grant, &named, at, places, known));
    }
    bindings(settings, known, &mut findings);
    findings
}

/// Whether one pattern stands for all that another stands for. `false` where that is not certain.
#[must_use]
pub fn covers(wide: &ItemGlob, narrow: &ItemGlob) -> bool {
    // Nothing but a star can stand for a character that no pattern holds, so a star of the one falls
    // into a star of the other, whatever it stands for.
    let inside = |wide: &Glob, narrow: &Glob| {
        glob::matches(wide.as_str(), &narrow.as_str().replace('*', "\u{1}"))
    };
    inside(wide.upstream(), narrow.upstream()) && inside(wide.name(), narrow.name())
}

fn is_nothing(grant: &Grant) -> bool {
    grant.allow.is_empty() && grant.deny.is_empty() && grant.methods.is_empty()
}

/// What bindings deny to everybody, whatever the call.
fn denied_to_all(settings: &PolicySettings) -> Vec<&(ItemKind, ItemGlob)> {
    let for_all = |binding: &&BindingSettings| binding.when.is_none() && binding.who.is_everybody();
    let names: HashSet<&str> =
        settings.bindings.iter().filter(for_all).map(|binding| binding.role.as_str()).collect();
    let roles = settings.roles.iter().filter(|role| names.contains(role.name.as_str()));
    roles.flat_map(|role| &role.grant.deny).collect()
}

fn is_undone(grant: &Grant, denied: &[&(ItemKind, ItemGlob)]) -> bool {
    let is_denied = |(kind, pattern): &(ItemKind, ItemGlob)| {
        denied.iter().any(|(other, wide)| other == kind && covers(wide, pattern))
    };
    !grant.allow.is_empty() && grant.methods.is_empty() && grant.allow.iter().all(is_denied)
}

fn patterns(
    grant: &Grant,
    named: &str,
    at: usize,
    [allow, deny]: [fn(usize, usize) -> Place; 2],
    known: &Known<'_>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let is_nowhere = |pattern: &ItemGlob| {
        !known.upstreams.iter().any(|upstream| pattern.upstream().matches(upstream.as_str()))
    };
    let sides = [(&grant.allow, allow, "allows"), (&grant.deny, deny, "denies")];
    for (list, place, does) in sides {
        for (n, (kind, pattern)) in list.iter().enumerate() {
            let kind = kind.as_str();
            let text = if is_nowhere(pattern) {
                format!(
                    "{named} {does} {kind} `{pattern}`, and there is no upstream `{}`",
                    pattern.upstream()
                )
            } else if list.iter().take(n).any(|earlier| *earlier == list[n]) {
                format!("{named} {does} {kind} `{pattern}` twice")
            } else {
                continue;
            };
            findings.push(Finding { place: place(at, n), text });
        }
    }
    for (n, (kind, pattern)) in grant.allow.iter().enumerate() {
        let covering =
            grant.deny.iter().find(|(other, wide)| other == kind && covers(wide, pattern));
        if let Some((_, wide)) = covering {
            let kind = kind.as_str();
            let text =
                format!("{named} allows {kind} `{pattern}` and denies it by `{wide}`: deny wins");
            findings.push(Finding { place: allow(at, n), text });
        }
    }
    findings
}

fn bindings(settings: &PolicySettings, known: &Known<'_>, findings: &mut Vec<Finding>) {
    let mut cost = 0_u64;
    for (at, binding) in settings.bindings.iter().enumerate() {
        let mut say = |text: String| {
            let text = format!("binding `{}` {text}", binding.name);
            findings.push(Finding { place: Place::Binding(at), text });
        };
        let same = |other: &BindingSettings| {
            (&other.role, &other.who, &other.when) == (&binding.role, &binding.who, &binding.when)
        };
        if let Some(twin) = settings.bindings.iter().take(at).find(|other| same(other)) {
            say(format!("says the same as `{}`", twin.name));
        }
        let named = binding.who.agents.iter().any(|one| !one.is_all() && one.as_str() != ANONYMOUS);
        if named && binding.who.issuers.is_empty() && known.issuers > 1 {
            say("names agents, and there are several issuers: each of them can have an agent of such a name; add `issuers`".to_owned());
        }
        let role = settings.roles.iter().find(|role| role.name == binding.role);
        let has_methods = role.is_some_and(|role| !role.grant.methods.is_empty());
        let condition = binding.when.as_deref().and_then(|text| Condition::parse(text).ok());
        cost = cost.saturating_add(condition.as_ref().map_or(0, Condition::cost));
        match (&condition, &binding.message) {
            (None, Some(_)) if binding.when.is_none() => {
                say("has a `message`, and no `when` that could refuse a call".to_owned());
            }
            (Some(condition), Some(_)) if !condition.reads_arguments() => say(
                "has a `message` that nobody is told: `when` does not look at `args`, and what a caller may never call does not exist for it".to_owned(),
            ),
            _ => {}
        }
        if binding.when.is_some() && has_methods {
            say("has a `when`, so the `methods` of its role are not allowed by it".to_owned());
        }
    }
    if cost > DECISION_COST_MAX {
        let text = "all conditions together could take too long for one call: those that come last in the file then fail, and deny; look at single arguments instead of whole lists";
        findings.push(Finding { place: Place::Policy, text: text.to_owned() });
    }
}

#[cfg(test)]
mod tests {
    use super::{Known, Place, covers, lint};
    use crate::settings::{BindingSettings, Grant, ItemScopes, Mode, PolicySettings, RoleSettings};
    use tollgate_core::ids::UpstreamName;
    use tollgate_core::party::ItemKind;
    use tollgate_rules::glob::Glob;
    use tollgate_rules::items::ItemGlob;
    use tollgate_rules::who::Who;

    fn tools(patterns: &[&str]) -> Vec<(ItemKind, ItemGlob)> {
        let tool = |pattern: &&str| (ItemKind::Tool, ItemGlob::parse(pattern).expect("a pattern"));
        patterns.iter().map(tool).collect()
    }

    fn role(name: &str, allow: &[&str], deny: &[&str]) -> RoleSettings {
        let grant = Grant { allow: tools(allow), deny: tools(deny), methods: Vec::new() };
        RoleSettings { name: name.to_owned(), grant }
    }

    fn binding(name: &str, role: &str) -> BindingSettings {
        let (name, role) = (name.to_owned(), role.to_owned());
        BindingSettings { name, role, who: Who::default(), when: None, message: None }
    }

    fn policy(roles: Vec<RoleSettings>, bindings: Vec<BindingSettings>) -> PolicySettings {
        let item_scopes = ItemScopes::Grant;
        PolicySettings { mode: Mode::Enforce, roles, bindings, scopes: Vec::new(), item_scopes }
    }

    fn found(settings: &PolicySettings) -> Vec<(Place, String)> {
        let upstreams = [UpstreamName::from("git"), UpstreamName::from("files")];
        let known = Known { upstreams: &upstreams, issuers: 2 };
        lint(settings, &known).into_iter().map(|found| (found.place, found.text)).collect()
    }

    #[test]
    fn a_policy_in_order_gives_no_findings() {
        let mut named = binding("b", "r");
        named.who.agents = vec![Glob::parse("ci").expect("a pattern")];
        named.who.issuers = vec!["https://login.example".into()];
        let settings = policy(vec![role("r", &["git__*"], &["git__delete_*"])], vec![named]);
        assert_eq!(found(&settings), []);
    }

    #[test]
    fn what_does_nothing_is_said() {
        let settings = policy(
            vec![
                role("idle", &["git__x"], &[]),
                role("empty", &[], &[]),
                role("r", &["git__*"], &[]),
            ],
            vec![binding("a", "empty"), binding("b", "r"), binding("c", "r")],
        );
        let places: Vec<Place> = found(&settings).into_iter().map(|(place, _)| place).collect();
        assert_eq!(places, [Place::Role(0), Place::Role(1), Place::Binding(2)]);
        assert_eq!(found(&policy(Vec::new(), Vec::new())).len(), 1);
    }

    #[test]
    fn what_is_undone_is_said() {
        let settings = policy(
            vec![
                role("self", &["git__delete_repo", "git__get"], &["git__delete_*"]),
                role("undone", &["files__write_x"], &[]),
                role("ban", &[], &["files__write_*"]),
            ],
            vec![binding("a", "self"), binding("b", "undone"), binding("c", "ban")],
        );
        let places: Vec<Place> = found(&settings).into_iter().map(|(place, _)| place).collect();
        assert_eq!(places, [Place::RoleAllow(0, 0), Place::Role(1)]);
    }

    #[test]
    fn patterns_of_no_upstream_and_agents_of_any_issuer_are_said() {
        let mut named = binding("b", "r");
        named.who.agents = vec![Glob::parse("ci").expect("a pattern")];
        named.message = Some("no".to_owned());
        let settings = policy(vec![role("r", &["git__*", "gti__x"], &["x*__y"])], vec![named]);
        let found = found(&settings);
        let places: Vec<Place> = found.iter().map(|(place, _)| *place).collect();
        let expected =
            [Place::RoleAllow(0, 1), Place::RoleDeny(0, 0), Place::Binding(0), Place::Binding(0)];
        assert_eq!(places, expected);
        assert!(found[0].1.contains("no upstream `gti`"), "{}", found[0].1);
    }

    #[test]
    fn one_pattern_covers_another_only_where_that_is_certain() {
        let covers = |wide: &str, narrow: &str| {
            covers(&ItemGlob::parse(wide).expect("wide"), &ItemGlob::parse(narrow).expect("narrow"))
        };
        assert!(
            covers("*", "git__x")
                && covers("git__*", "git__get_*")
                && covers("git__*t*", "git__get*")
        );
        assert!(!covers("git__get", "git__get*") && !covers("git__get_*", "git__*"));
        assert!(!covers("git__*", "*__get") && covers("*__get", "git__get"));
    }
}
