//! Decisions over random policies: equal to the definition, and lists that agree with calls.
//!
//! The definition is written here a second time, rule by rule and without regard to cost.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use tollgate_core::ids::{RoutePath, UpstreamName};
use tollgate_core::party::{Item, ItemKind, Party};
use tollgate_core::principal::{CallerKey, Credential, Names, Principal, Proof};
use tollgate_policy::settings::{
    BindingSettings, Grant, ItemScopes, Mode, PolicySettings, RoleSettings, ScopeSettings,
};
use tollgate_policy::{Decision, Denial, Policy, Question};
use tollgate_rules::glob::Glob;
use tollgate_rules::items::ItemGlob;
use tollgate_rules::who::{Network, Who};

const AGENTS: [&str; 3] = ["ci-1", "ci-2", "web"];
const GROUPS: [&str; 2] = ["dev", "ops"];
const SCOPES: [&str; 6] = ["s1", "s2", "tool:git__get", "tool:git__*", "prompt:*", "tool:bad"];
const ROUTES: [&str; 2] = ["/a", "/b"];
const UPSTREAMS: [&str; 2] = ["git", "files"];
const NAMES: [&str; 4] = ["get", "put", "delete", "git__get"];
const PATTERNS: [&str; 11] = [
    "*",
    "git__*",
    "*__get",
    "git__get",
    "git__put",
    "files__*e*",
    "git__*t",
    "*__delete",
    "files__get",
    "g*__p*",
    "files__git__get",
];
const ARGUMENTS: [&str; 3] = ["{\"x\":1}", "{\"x\":2}", "{}"];

/// Conditions, and what each says: about the agent, then for each of [`ARGUMENTS`]. `None` is an error.
#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    Always,
    AgentIsWeb,
    XIsOne,
    WebAndXIsOne,
    Fails,
}

impl When {
    const ALL: [Self; 5] =
        [Self::Always, Self::AgentIsWeb, Self::XIsOne, Self::WebAndXIsOne, Self::Fails];

    fn text(self) -> Option<String> {
        let text = match self {
            Self::Always => return None,
            Self::AgentIsWeb => "agent == 'web'",
            Self::XIsOne => "args.x == 1",
            Self::WebAndXIsOne => "agent == 'web' && args.x == 1",
            Self::Fails => "claims.x == 1",
        };
        Some(text.to_owned())
    }

    fn says(self, agent: &str, arguments: usize) -> Option<bool> {
        let x_is_one = [Some(true), Some(false), None][arguments];
        match self {
            Self::Always => Some(true),
            Self::AgentIsWeb => Some(agent == "web"),
            Self::XIsOne => x_is_one,
            Self::WebAndXIsOne if agent == "web" => x_is_one,
            Self::WebAndXIsOne => Some(false),
            Self::Fails => None,
        }
    }
}

#[derive(Clone, Debug)]
struct Caller {
    agent: &'static str,
    is_proven: bool,
    groups: Vec<&'static str>,
    scopes: Vec<&'static str>,
    address: IpAddr,
    route: &'static str,
}

impl Caller {
    fn principal(&self) -> Principal {
        if !self.is_proven {
            return Principal::Anonymous;
        }
        let names = Names {
            issuer: "https://login.example".into(),
            subject: "u1".into(),
            client: self.agent.into(),
            caller_digest: [1; 16],
            agent_digest: [2; 16],
        };
        let boxed = |texts: &[&str]| texts.iter().map(|text| Box::from(*text)).collect();
        let mut proof = Proof::new(names, Credential::Jwt, 0);
        proof.groups = boxed(&self.groups);
        proof.scopes = boxed(&self.scopes);
        Principal::Proven(Arc::new(proof))
    }
}

fn caller() -> impl Strategy<Value = Caller> {
    let address = select(vec![[10, 0, 0, 1], [192, 168, 0, 1]]);
    let groups = subsequence(GROUPS.to_vec(), 0..=2);
    let scopes = subsequence(SCOPES.to_vec(), 0..=3);
    (select(AGENTS.to_vec()), any::<bool>(), groups, scopes, address, select(ROUTES.to_vec()))
        .prop_map(|(agent, is_proven, groups, scopes, address, route)| {
            let address = IpAddr::V4(Ipv4Addr::from(address));
            Caller { agent, is_proven, groups, scopes, address, route }
        })
}

fn patterns() -> impl Strategy<Value = Vec<(ItemKind, ItemGlob)>> {
    let one = (select(ItemKind::ALL.to_vec()), select(PATTERNS.to_vec()));
    let one = one.prop_map(|(kind, text)| (kind, ItemGlob::parse(text).expect("a pattern")));
    prop::collection::vec(one, 0..4)
}

fn grant() -> impl Strategy<Value = Grant> {
    let deny = prop_oneof![3 => Just(Vec::new()), 1 => patterns()];
    let methods = subsequence(vec!["acme/*", "acme/report"], 0..=1);
    (patterns(), deny, methods).prop_map(|(allow, deny, methods)| {
        let methods = methods.iter().map(|text| Glob::parse(text).expect("a pattern")).collect();
        Grant { allow, deny, methods }
    })
}

fn who() -> impl Strategy<Value = Who> {
    let seldom = |all: &[&'static str]| prop_oneof![3 => Just(Vec::new()), 1 => subsequence(all.to_vec(), 1..=all.len().min(2))];
    let agents = seldom(&["ci-1", "ci-*", "web", "anonymous", "*"]);
    let rest = (seldom(&["u1", "u*", "x"]), any::<u8>());
    (agents, seldom(&GROUPS), seldom(&SCOPES[..2]), seldom(&ROUTES), rest).prop_map(
        |(agents, groups, scopes, routes, (users, dice))| {
            let globs = |texts: Vec<&str>| {
                texts.into_iter().map(|text| Glob::parse(text).expect("a pattern")).collect()
            };
            let boxed = |texts: Vec<&str>| texts.into_iter().map(Box::from).collect();
            let network = Network::parse("10.0.0.0/8").expect("a network");
            let issuer = ["https://login.example", "https://other.example"][usize::from(dice & 1)];
            Who {
                agents: globs(agents),
                issuers: if dice % 7 == 0 { vec![issuer.into()] } else { Vec::new() },
                users: globs(users),
                groups: boxed(groups),
                scopes: boxed(scopes),
                addresses: if dice % 5 == 0 { vec![network] } else { Vec::new() },
                routes: routes.into_iter().map(RoutePath::from).collect(),
            }
        },
    )
}

/// A policy, with the conditions of its bindings.
fn policy() -> impl Strategy<Value = (PolicySettings, Vec<When>)> {
    let roles = prop::collection::vec(grant(), 1..5);
    let binding = (any::<prop::sample::Index>(), who(), select(When::ALL.to_vec()));
    let bindings = prop::collection::vec(binding, 0..7);
    let scopes = prop_oneof![Just(Vec::new()), prop::collection::vec(grant(), 1..=2)];
    let words = select(vec![ItemScopes::Grant, ItemScopes::Limit, ItemScopes::Ignore]);
    (roles, bindings, scopes, words).prop_map(|(roles, bindings, scopes, item_scopes)| {
        let roles: Vec<RoleSettings> = (0..)
            .zip(roles)
            .map(|(n, grant): (usize, Grant)| RoleSettings { name: format!("role{n}"), grant })
            .collect();
        let mut whens = Vec::new();
        let bindings = (0..).zip(bindings).map(|(n, (role, who, when)): (usize, _)| {
            whens.push(when);
            BindingSettings {
                name: format!("binding{n}"),
                role: role.get(&roles).name.clone(),
                who,
                when: when.text(),
                message: Some(format!("message{n}")),
            }
        });
        let bindings = bindings.collect();
        let scopes = SCOPES.iter().zip(scopes);
        let scopes = scopes
            .map(|(scope, grant)| ScopeSettings { scope: (*scope).to_owned(), grant })
            .collect();
        (PolicySettings { mode: Mode::Enforce, roles, bindings, scopes, item_scopes }, whens)
    })
}

/// The definition: whether a call may be made.
fn is_allowed(
    (settings, whens): &(PolicySettings, Vec<When>),
    party: &Party<'_>,
    route: &RoutePath,
    item: &Item<'_>,
    arguments: usize,
) -> bool {
    let has = |list: &[(ItemKind, ItemGlob)]| {
        list.iter().any(|(kind, pattern)| *kind == item.kind && pattern.matches(item))
    };
    let (mut allowed, mut denied) = (false, false);
    for (binding, when) in settings.bindings.iter().zip(whens) {
        if !binding.who.holds(party, route) {
            continue;
        }
        let role = settings.roles.iter().find(|role| role.name == binding.role).expect("a role");
        let says = when.says(party.agent(), arguments);
        allowed |= says == Some(true) && has(&role.grant.allow);
        denied |= says != Some(false) && has(&role.grant.deny);
    }
    for scope in &settings.scopes {
        if party.scopes().iter().any(|held| **held == *scope.scope) {
            allowed |= has(&scope.grant.allow);
            denied |= has(&scope.grant.deny);
        }
    }
    let naming: Vec<&str> = party
        .scopes()
        .iter()
        .filter_map(|scope| scope.split_once(':'))
        .filter(|(word, _)| ["tool", "prompt", "resource"].contains(word))
        .filter_map(|(word, pattern)| (word == item.kind.as_str()).then_some(pattern))
        .collect();
    let is_named =
        naming.iter().any(|text| ItemGlob::parse(text).is_ok_and(|pattern| pattern.matches(item)));
    let is_limited = party.scopes().iter().any(|scope| scope.contains(':'));
    match settings.item_scopes {
        ItemScopes::Grant => allowed |= is_named,
        ItemScopes::Limit => denied |= is_limited && !is_named,
        ItemScopes::Ignore => {}
    }
    allowed && !denied
}

/// Everything that can be asked about, for one caller.
fn for_each_item(mut look: impl FnMut(&Item<'_>)) {
    for upstream in UPSTREAMS.map(UpstreamName::from) {
        for kind in ItemKind::ALL {
            for name in NAMES {
                look(&Item { kind, upstream: &upstream, name });
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn a_decision_is_what_its_definition_says_and_lists_agree_with_it(
        policy in policy(),
        caller in caller(),
    ) {
        let compiled = Policy::compile(&policy.0).expect("a policy");
        let principal = caller.principal();
        let key = CallerKey::of_address(caller.address);
        let party = Party { principal: &principal, caller: key, address: caller.address };
        let route = RoutePath::from(caller.route);
        let standing = compiled.standing(&party, &route);
        for_each_item(|item| {
            let shown = compiled.shows(&standing, &party, &route, item);
            let mut any = false;
            for (n, arguments) in ARGUMENTS.iter().enumerate() {
                let expected = is_allowed(&policy, &party, &route, item, n);
                let arguments = Some(arguments.as_bytes());
                let question =
                    Question { party, route: &route, method: "tools/call", item: *item, arguments };
                let decision = compiled.decide(&standing, &question);
                let is_allowed = matches!(decision, Decision::Allow { .. });
                assert_eq!(is_allowed, expected, "{item:?} with {n}: {decision:?}");
                any |= expected;
                match decision {
                    // What is refused for its arguments is in lists; what is hidden is not.
                    Decision::Deny(Denial::Arguments { message, .. }) => {
                        assert!(shown, "{item:?}");
                        assert!(message.is_some());
                    }
                    Decision::Deny(Denial::Hidden { .. }) => assert!(!shown, "{item:?}"),
                    Decision::Deny(Denial::Scope { scopes }) => {
                        assert!(!shown, "{item:?}");
                        with_scopes(&compiled, &caller, &scopes, &question);
                    }
                    Decision::Allow { .. } => {}
                }
            }
            assert!(shown || !any, "allowed and not shown: {item:?}");
            // Conditions here know two kinds of arguments, and each is tried.
            let contradicts = policy.1.iter().any(|when| matches!(when, When::XIsOne | When::WebAndXIsOne));
            assert!(!shown || any || contradicts, "shown and never allowed: {item:?}");
        });
    }

    #[test]
    fn the_order_of_the_file_does_not_matter(policy in policy(), caller in caller()) {
        let (settings, _) = policy;
        let mut turned = settings.clone();
        turned.roles.reverse();
        turned.bindings.reverse();
        turned.scopes.reverse();
        for role in &mut turned.roles {
            role.grant.allow.reverse();
            role.grant.deny.reverse();
        }
        let policies = [settings, turned].map(|one| Policy::compile(&one).expect("a policy"));
        let principal = caller.principal();
        let key = CallerKey::of_address(caller.address);
        let party = Party { principal: &principal, caller: key, address: caller.address };
        let route = RoutePath::from(caller.route);
        for_each_item(|item| {
            let said = policies.each_ref().map(|policy| {
                let standing = policy.standing(&party, &route);
                let arguments = Some(ARGUMENTS[0].as_bytes());
                let question =
                    Question { party, route: &route, method: "tools/call", item: *item, arguments };
                let kind = match policy.decide(&standing, &question) {
                    Decision::Allow { .. } => "allow",
                    Decision::Deny(Denial::Hidden { .. }) => "hidden",
                    Decision::Deny(Denial::Scope { .. }) => "scope",
                    Decision::Deny(Denial::Arguments { .. }) => "arguments",
                };
                let shown = policy.shows(&standing, &party, &route, item);
                (kind, shown, policy.allows_method(&standing, "acme/report"))
            });
            assert_eq!(said[0], said[1], "{item:?}");
        });
    }
}

/// With the scopes that were asked for, the call is allowed.
fn with_scopes(policy: &Policy, caller: &Caller, scopes: &[Box<str>], question: &Question<'_>) {
    let principal = caller.principal();
    let Principal::Proven(proof) = &principal else {
        panic!("who proves nothing is asked for scopes");
    };
    let mut better = Proof::clone(proof);
    better.scopes = better.scopes.iter().chain(scopes).cloned().collect();
    let principal = Principal::Proven(Arc::new(better));
    let party = Party { principal: &principal, ..question.party };
    let standing = policy.standing(&party, question.route);
    let decision = policy.decide(&standing, &Question { party, ..*question });
    assert!(matches!(decision, Decision::Allow { .. }), "{scopes:?}: {decision:?}");
}
