//! A policy of a large company, and somebody who works there: what timings and counts are taken with.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use tollgate_core::ids::{RoutePath, UpstreamName};
use tollgate_core::party::{Item, ItemKind, Party};
use tollgate_core::principal::{CallerKey, Credential, Names, Principal, Proof};
use tollgate_policy::settings::{
    BindingSettings, Grant, ItemScopes, Mode, PolicySettings, RoleSettings, ScopeSettings,
};
use tollgate_policy::{Policy, Question, Standing};
use tollgate_rules::glob::Glob;
use tollgate_rules::items::ItemGlob;
use tollgate_rules::who::Who;

/// A company.
pub(crate) struct Company {
    /// Its policy.
    pub(crate) policy: Policy,
    principal: Principal,
    route: RoutePath,
    upstream: UpstreamName,
}

fn tools(patterns: impl IntoIterator<Item = String>) -> Vec<(ItemKind, ItemGlob)> {
    let tool = |text: String| (ItemKind::Tool, ItemGlob::parse(&text).expect("a pattern"));
    patterns.into_iter().map(tool).collect()
}

impl Company {
    /// With so many teams: each has a role of two patterns and two names, bound to a group, and a scope.
    pub(crate) fn new(teams: usize, when: Option<&str>) -> Self {
        let role = |n: usize| RoleSettings {
            name: format!("role{n}"),
            grant: Grant {
                allow: tools([
                    format!("up{n}__get_*"),
                    format!("up{n}__*_list"),
                    format!("up{n}__create"),
                    format!("up{n}__update"),
                ]),
                deny: tools([format!("up{n}__*_secret")]),
                methods: Vec::new(),
            },
        };
        let binding = |n: usize| BindingSettings {
            name: format!("binding{n}"),
            role: format!("role{n}"),
            who: Who {
                agents: vec![Glob::parse("agent-*").expect("a pattern")],
                groups: vec![format!("team{n}").into()],
                ..Who::default()
            },
            when: when.map(str::to_owned),
            message: None,
        };
        let scope = |n: usize| ScopeSettings {
            scope: format!("up{n}:write"),
            grant: Grant { allow: tools([format!("up{n}__write_*")]), ..Grant::default() },
        };
        let policy = Policy::compile(&PolicySettings {
            mode: Mode::Enforce,
            roles: (0..teams).map(role).collect(),
            bindings: (0..teams).map(binding).collect(),
            scopes: (0..teams).map(scope).collect(),
            item_scopes: ItemScopes::Grant,
        });
        let names = Names {
            issuer: "https://login.example".into(),
            subject: "u1".into(),
            client: "agent-7".into(),
            caller_digest: [1; 16],
            agent_digest: [2; 16],
        };
        let mut proof = Proof::new(names, Credential::Jwt, 0);
        let groups = ["everyone", "team1", "team3", "office-north", "on-call"];
        proof.groups = groups.iter().map(|group| Box::from(*group)).collect();
        proof.scopes = Arc::new(["mcp".into(), "up1:write".into()]);
        Self {
            policy: policy.expect("a policy"),
            principal: Principal::Proven(Arc::new(proof)),
            route: RoutePath::from("/mcp"),
            upstream: UpstreamName::from("up1"),
        }
    }

    /// Who calls.
    pub(crate) fn party(&self) -> Party<'_> {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Party { principal: &self.principal, caller: CallerKey::of_address(address), address }
    }

    /// What it has.
    pub(crate) fn standing(&self) -> Standing {
        self.policy.standing(&self.party(), &self.route)
    }

    /// A tool of the company.
    pub(crate) fn tool<'a>(&'a self, name: &'a str) -> Item<'a> {
        Item { kind: ItemKind::Tool, upstream: &self.upstream, name }
    }

    /// A call of it.
    pub(crate) fn call<'a>(&'a self, name: &'a str) -> Question<'a> {
        Question {
            party: self.party(),
            route: &self.route,
            method: "tools/call",
            item: self.tool(name),
            arguments: Some(br#"{"branch":"feature/x","title":"a title","labels":["a","b"]}"#),
        }
    }

    /// Whether lists show it.
    pub(crate) fn shows(&self, standing: &Standing, name: &str) -> bool {
        self.policy.shows(standing, &self.party(), &self.route, &self.tool(name))
    }
}
