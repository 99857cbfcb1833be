//! Checks of who may call what: names that exist, conditions that can be read, and what deserves a look.

use crate::config::checking::callers::{Names, Selectors};
use crate::config::collections::{Row, Table};
use crate::config::cover::shown_name;
use crate::config::decode::{At, Key};
use crate::config::issuers::Scope;
use crate::config::raw::{Binding, Policy, Role, Root};
use crate::config::reading::Reading;
use crate::config::report::Pos;
use crate::config::rules::{ItemScopesWord, PolicyMode, unknown_name};
use crate::config::scalars::Scalar;
use std::collections::HashSet;
use tollgate_core::bounds::policy::{MESSAGE_BYTES_MAX, PATTERNS_MAX, ROLES_MAX, RULES_MAX};
use tollgate_core::ids::UpstreamName;
use tollgate_core::party::ItemKind;
use tollgate_gate::settings::{IdentitySettings, UpstreamSettings};
use tollgate_policy::lint::{Finding, Known, Place, lint};
use tollgate_policy::settings::{
    BindingSettings, Grant, ItemScopes, Mode, PolicySettings, RoleSettings, ScopeSettings,
};
use tollgate_policy::{Condition, ConditionError};

/// Where things stand in the file, in the order of the settings.
struct Places {
    policy: Pos,
    roles: Vec<GrantPlaces>,
    bindings: Vec<Pos>,
    scopes: Vec<GrantPlaces>,
}

#[derive(Default)]
struct GrantPlaces {
    at: Pos,
    allow: Vec<Pos>,
    deny: Vec<Pos>,
}

pub(super) fn policy(
    raw: &Root,
    identity: &IdentitySettings,
    upstreams: &[UpstreamSettings],
    reading: &mut Reading<'_>,
) -> Option<PolicySettings> {
    let given = raw.policy.given()?;
    let routes = raw.routes.given().map(|table| table.value.0.as_slice()).unwrap_or_default();
    let names = Names::new(identity, routes.iter().map(|row| row.name.clone()));
    let before = reading.mistakes.len();
    let (settings, places) = settings(&given.value, &given.at, &names, reading);
    if reading.mistakes.len() == before {
        let upstreams: Vec<UpstreamName> = upstreams.iter().map(|one| one.name.clone()).collect();
        let known = Known { upstreams: &upstreams, issuers: names.token_issuers() };
        for finding in lint(&settings, &known) {
            let at = places.of(&finding);
            reading.warn(at, finding.text);
        }
    }
    Some(settings)
}

fn settings(
    raw: &Policy,
    at: &Pos,
    names: &Names,
    reading: &mut Reading<'_>,
) -> (PolicySettings, Places) {
    let none = Table::default();
    let role_rows = raw.roles.given().map_or(&none, |table| &table.value).0.as_slice();
    let scope_rows = raw.scopes.given().map_or(&none, |table| &table.value).0.as_slice();
    let bindings = raw.bindings.value.0.as_slice();
    let is_too_many = [
        (role_rows.len(), ROLES_MAX, "roles"),
        (bindings.len() + scope_rows.len(), RULES_MAX, "bindings and scopes"),
        (role_rows.iter().chain(scope_rows).map(size).sum(), PATTERNS_MAX, "patterns"),
    ];
    for (count, max, what) in is_too_many {
        if count > max {
            let message = format!("the policy has {count} {what}");
            reading.wrong(
                at,
                message,
                format!("at most {max} fit one policy: use patterns and groups"),
            );
        }
    }
    let (mut roles, mut role_places) = (Vec::new(), Vec::new());
    for row in role_rows {
        let (grant, places) = grant(row);
        roles.push(RoleSettings { name: row.name.clone(), grant });
        role_places.push(places);
    }
    let (mut scopes, mut scope_places) = (Vec::new(), Vec::new());
    for row in scope_rows {
        if <Scope as Scalar>::parse(&row.name).is_err() {
            let message = format!("`{}` is not a scope", shown_name(&row.name));
            reading.wrong(&row.at, message, <Scope as Scalar>::FORM);
        }
        let (grant, places) = grant(row);
        scopes.push(ScopeSettings { scope: row.name.clone(), grant });
        scope_places.push(places);
    }
    let rows: Vec<&str> = role_rows.iter().map(|row| row.name.as_str()).collect();
    let bindings = self::bindings(bindings, &rows, names, reading);
    let (bindings, binding_places) = bindings.into_iter().unzip();
    let settings = PolicySettings {
        mode: match raw.mode.value {
            PolicyMode::Enforce => Mode::Enforce,
            PolicyMode::Shadow => Mode::Shadow,
        },
        roles,
        bindings,
        scopes,
        item_scopes: match raw.item_scopes.value {
            ItemScopesWord::Grant => ItemScopes::Grant,
            ItemScopesWord::Limit => ItemScopes::Limit,
            ItemScopesWord::Ignore => ItemScopes::Ignore,
        },
    };
    let (policy, bindings) = (at.clone(), binding_places);
    (settings, Places { policy, roles: role_places, bindings, scopes: scope_places })
}

fn size(row: &Row<Role>) -> usize {
    let (grant, _) = grant(row);
    grant.allow.len() + grant.deny.len() + grant.methods.len()
}

fn grant(row: &Row<Role>) -> (Grant, GrantPlaces) {
    let mut places = GrantPlaces { at: row.at.clone(), ..GrantPlaces::default() };
    let Some(role) = &row.value else { return (Grant::default(), places) };
    let mut grant = Grant::default();
    let allowed = [
        (ItemKind::Tool, &role.tools),
        (ItemKind::Prompt, &role.prompts),
        (ItemKind::Resource, &role.resources),
    ];
    for (kind, list) in allowed {
        for At { value, at } in &list.value.0 {
            grant.allow.push((kind, value.0.clone()));
            places.allow.push(at.clone());
        }
    }
    if let Some(denied) = role.deny.given().map(|denied| &denied.value.0) {
        let denied = [
            (ItemKind::Tool, &denied.tools),
            (ItemKind::Prompt, &denied.prompts),
            (ItemKind::Resource, &denied.resources),
        ];
        for (kind, list) in denied {
            for At { value, at } in &list.value.0 {
                grant.deny.push((kind, value.0.clone()));
                places.deny.push(at.clone());
            }
        }
    }
    grant.methods = role.methods.value.0.iter().map(|method| method.value.0.clone()).collect();
    (grant, places)
}

fn bindings(
    list: &[At<Binding>],
    roles: &[&str],
    names: &Names,
    reading: &mut Reading<'_>,
) -> Vec<(BindingSettings, Pos)> {
    let mut used = HashSet::new();
    let mut bindings = Vec::new();
    for (place, At { value: raw, at }) in list.iter().enumerate() {
        let Some(role) = raw.role.given() else { continue };
        let role_name = &role.value.value;
        let default = format!("{role_name}#{}", place + 1);
        let name = raw.name.given().map_or(default, |name| name.value.value.clone());
        let rule = format!("binding `{name}`");
        if !roles.contains(&role_name.as_str()) {
            let message =
                format!("{rule} gives the role `{}`, which is not there", role.value.typed);
            reading.wrong(&role.at, message, unknown_name(role_name, roles));
        }
        if !used.insert(name.clone()) {
            let at = raw.name.given().map_or(at, |name| &name.at);
            let help = "give each a `name` of its own: decisions and logs name them";
            reading.wrong(at, format!("two bindings are called `{name}`"), help);
        }
        let selectors = Selectors {
            agents: &raw.agents,
            issuers: &raw.issuers,
            users: &raw.users,
            groups: &raw.groups,
            scopes: &raw.scopes,
            addresses: &raw.addresses,
            routes: &raw.routes,
        };
        let who = names.who(selectors, &rule, reading);
        if let Some(text) =
            raw.message.given().filter(|text| text.value.value.len() > MESSAGE_BYTES_MAX)
        {
            let message =
                format!("the `message` of {rule} is longer than {MESSAGE_BYTES_MAX} bytes");
            reading.wrong(&text.at, message, "say in a sentence what to do instead");
        }
        let binding = BindingSettings {
            role: role_name.clone(),
            who,
            when: condition(raw, &rule, reading),
            message: raw.message.given().map(|text| text.value.value.clone()),
            name,
        };
        bindings.push((binding, at.clone()));
    }
    bindings
}

fn condition(raw: &Binding, rule: &str, reading: &mut Reading<'_>) -> Option<String> {
    let Key::Given(At { value: text, at }) = &raw.when else { return None };
    if let Err(error) = Condition::parse(&text.0) {
        let place = match &error {
            ConditionError::Syntax { line: 1, column, .. } => {
                format!(" (at its character {column})")
            }
            ConditionError::Syntax { line, column, .. } => {
                format!(" (in its line {line}, at character {column})")
            }
            _ => String::new(),
        };
        let message = format!("the condition of {rule} cannot be used{place}: {error}");
        reading.wrong(at, message, error.remedy());
    }
    Some(text.0.clone())
}

impl Places {
    fn of(&self, finding: &Finding) -> &Pos {
        let found = match finding.place {
            Place::Policy => None,
            Place::Binding(at) => self.bindings.get(at),
            Place::Role(at) => self.roles.get(at).map(|places| &places.at),
            Place::RoleAllow(at, n) => self.roles.get(at).and_then(|places| places.allow.get(n)),
            Place::RoleDeny(at, n) => self.roles.get(at).and_then(|places| places.deny.get(n)),
            Place::Scope(at) => self.scopes.get(at).map(|places| &places.at),
            Place::ScopeAllow(at, n) => self.scopes.get(at).and_then(|places| places.allow.get(n)),
            Place::ScopeDeny(at, n) => self.scopes.get(at).and_then(|places| places.deny.get(n)),
        };
        found.unwrap_or(&self.policy)
    }
}
