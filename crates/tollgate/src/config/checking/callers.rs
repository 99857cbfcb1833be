//! Checks of whom a rule is about: issuers and routes that exist, and no list that says nothing.

use crate::config::checking::identity::OWN;
use crate::config::collections::List;
use crate::config::decode::{At, Key};
use crate::config::issuers::Scope;
use crate::config::reading::Reading;
use crate::config::rules::{NamePattern, NetworkText, unknown_name};
use crate::config::scalars::Text;
use tollgate_core::ids::RoutePath;
use tollgate_core::principal::{API_KEYS, CERTIFICATES};
use tollgate_gate::settings::IdentitySettings;
use tollgate_rules::glob::Glob;
use tollgate_rules::who::Who;

/// The names of the file that rules may use.
pub(super) struct Names {
    /// Names of issuers, each with what proofs call it.
    issuers: Vec<(String, String)>,
    routes: Vec<String>,
}

/// The keys that say whom a rule is about.
#[derive(Clone, Copy)]
pub(super) struct Selectors<'r> {
    pub(super) agents: &'r Key<List<NamePattern>>,
    pub(super) issuers: &'r Key<List<Text>>,
    pub(super) users: &'r Key<List<NamePattern>>,
    pub(super) groups: &'r Key<List<Text>>,
    pub(super) scopes: &'r Key<List<Scope>>,
    pub(super) addresses: &'r Key<List<NetworkText>>,
    pub(super) routes: &'r Key<List<Text>>,
}

impl Names {
    pub(super) fn new(identity: &IdentitySettings, routes: impl Iterator<Item = String>) -> Self {
        let mut issuers = Vec::new();
        if let IdentitySettings::Required(access) = identity {
            let named = &access.identity;
            issuers.extend(named.issuers.iter().map(|one| (one.name.clone(), one.url.clone())));
            if named.api_keys {
                issuers.push(("api-keys".to_owned(), API_KEYS.to_owned()));
            }
            if named.certificates.is_some() {
                issuers.push(("certificates".to_owned(), CERTIFICATES.to_owned()));
            }
        }
        Self { issuers, routes: routes.collect() }
    }

    /// How many issuers of tokens there are, the gate's own included.
    pub(super) fn token_issuers(&self) -> usize {
        let of_gate = [API_KEYS, CERTIFICATES];
        self.issuers.iter().filter(|(_, url)| !of_gate.contains(&url.as_str())).count()
    }

    /// What proofs call an issuer of this name.
    pub(super) fn issuer(&self, name: &str) -> Option<&str> {
        self.issuers.iter().find(|(known, _)| known == name).map(|(_, url)| url.as_str())
    }

    /// Whom a rule is about. `rule` names it in messages.
    pub(super) fn who(&self, keys: Selectors<'_>, rule: &str, reading: &mut Reading<'_>) -> Who {
        Who {
            agents: patterns(keys.agents, "agents", rule, reading),
            issuers: self.issuers(keys.issuers, rule, reading),
            users: patterns(keys.users, "users", rule, reading),
            groups: given(keys.groups, "groups", rule, reading)
                .iter()
                .map(|group| group.value.value.as_str().into())
                .collect(),
            scopes: given(keys.scopes, "scopes", rule, reading)
                .iter()
                .map(|scope| scope.value.0.as_str().into())
                .collect(),
            addresses: given(keys.addresses, "addresses", rule, reading)
                .iter()
                .map(|network| network.value.0)
                .collect(),
            routes: self.routes(keys.routes, rule, reading),
        }
    }

    fn issuers(
        &self,
        key: &Key<List<Text>>,
        rule: &str,
        reading: &mut Reading<'_>,
    ) -> Vec<Box<str>> {
        let mut urls = Vec::new();
        for At { value: name, at } in given(key, "issuers", rule, reading) {
            match self.issuer(&name.value) {
                Some(url) => urls.push(url.into()),
                None => {
                    let known: Vec<&str> = self.issuers.iter().map(|(name, _)| &**name).collect();
                    let message =
                        format!("{rule} names the issuer `{}`, which is not there", name.typed);
                    let help = match known.as_slice() {
                        [] => format!(
                            "nobody vouches for callers of this gate: add a section `identity`, or `issuer` for `{OWN}`"
                        ),
                        known => unknown_name(&name.value, known),
                    };
                    reading.wrong(at, message, help);
                }
            }
        }
        urls
    }

    fn routes(
        &self,
        key: &Key<List<Text>>,
        rule: &str,
        reading: &mut Reading<'_>,
    ) -> Vec<RoutePath> {
        let mut paths = Vec::new();
        for At { value: path, at } in given(key, "routes", rule, reading) {
            if !self.routes.contains(&path.value) {
                let known: Vec<&str> = self.routes.iter().map(String::as_str).collect();
                let message =
                    format!("{rule} names the route `{}`, which is not there", path.typed);
                reading.wrong(at, message, unknown_name(&path.value, &known));
            }
            paths.push(RoutePath::from(path.value.as_str()));
        }
        paths
    }
}

fn patterns(
    key: &Key<List<NamePattern>>,
    name: &str,
    rule: &str,
    reading: &mut Reading<'_>,
) -> Vec<Glob> {
    given(key, name, rule, reading).iter().map(|pattern| pattern.value.0.clone()).collect()
}

/// The entries of a key. An empty list is a mistake: it reads like "nobody" and would mean "everybody".
fn given<'k, T>(
    key: &'k Key<List<T>>,
    name: &str,
    rule: &str,
    reading: &mut Reading<'_>,
) -> &'k [At<T>] {
    let Some(list) = key.given() else { return &[] };
    if list.value.0.is_empty() {
        let message = format!("`{name}` of {rule} is empty");
        let help = format!(
            "an empty list would be about nobody, and no list is about everybody: write entries, or remove the key `{name}`"
        );
        reading.wrong(&list.at, message, help);
    }
    &list.value.0
}
