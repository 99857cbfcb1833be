//! Which rules are about a caller, without asking each rule.
//!
//! For each thing a rule can say of callers there is one index, from the value to the rules that want it;
//! the rules that hold are what all indices have in common. Equal to asking [`Who`] of every rule, which
//! the tests do.

use crate::bits::Bits;
use std::collections::HashMap;
use std::hash::Hash;
use tollgate_core::ids::RoutePath;
use tollgate_core::party::Party;
use tollgate_rules::glob::Glob;
use tollgate_rules::who::{Network, Who};

/// The rules by whom they are about.
#[derive(Debug, Default)]
pub(crate) struct Callers {
    agents: Names,
    users: Names,
    issuers: Index<Box<str>>,
    groups: Index<Box<str>>,
    scopes: Index<Box<str>>,
    routes: Index<RoutePath>,
    addresses: Index<()>,
    networks: Vec<(Network, Bits)>,
}

/// From one kind of value to the rules that want it.
#[derive(Debug)]
struct Index<K> {
    wanting: HashMap<K, Bits>,
    /// Rules that do not care.
    careless: Bits,
    any_cares: bool,
}

impl<K> Default for Index<K> {
    fn default() -> Self {
        Self { wanting: HashMap::new(), careless: Bits::ALL, any_cares: false }
    }
}

/// The same for names that patterns may stand for.
#[derive(Debug, Default)]
struct Names {
    exact: Index<Box<str>>,
    patterns: Vec<(Glob, Bits)>,
}

impl Callers {
    pub(crate) fn new<'a>(rules: impl Iterator<Item = &'a Who>) -> Self {
        let mut callers = Self::default();
        for (place, who) in rules.enumerate() {
            callers.agents.add(place, &who.agents);
            callers.users.add(place, &who.users);
            callers.issuers.add(place, &who.issuers);
            callers.groups.add(place, &who.groups);
            callers.scopes.add(place, &who.scopes);
            callers.routes.add(place, &who.routes);
            callers.addresses.cares(place, !who.addresses.is_empty());
            for network in &who.addresses {
                add_to(&mut callers.networks, *network, place);
            }
        }
        callers
    }

    /// The rules that hold, and those that would hold if the credential had the right scope.
    pub(crate) fn standing(&self, party: &Party<'_>, route: &RoutePath) -> (Bits, Bits) {
        let mut near = self.agents.of(Some(party.agent()));
        self.users.narrow(&mut near, party.user());
        self.issuers.narrow(&mut near, party.issuer());
        self.groups.narrow(&mut near, party.groups().iter().map(|group| &**group));
        self.routes.narrow(&mut near, std::iter::once(route));
        if self.addresses.any_cares {
            let mut held = self.addresses.careless;
            for (_, rules) in self.networks.iter().filter(|(one, _)| one.holds(party.address)) {
                held.join(rules);
            }
            near.keep(&held);
        }
        let mut holds = near;
        self.scopes.narrow(&mut holds, party.scopes().iter().map(|scope| &**scope));
        (holds, near)
    }

    /// The rules that name this scope.
    pub(crate) fn wanting_scope(&self, scope: &str) -> Bits {
        self.scopes.wanting.get(scope).copied().unwrap_or(Bits::NONE)
    }
}

impl<K: Hash + Eq + Clone> Index<K> {
    fn cares(&mut self, place: usize, cares: bool) {
        if cares {
            let mut one = Bits::NONE;
            one.insert(place);
            self.careless = self.careless.without(&one);
            self.any_cares = true;
        }
    }

    fn want(&mut self, place: usize, value: &K) {
        self.wanting.entry(value.clone()).or_insert(Bits::NONE).insert(place);
    }

    fn add(&mut self, place: usize, values: &[K]) {
        self.cares(place, !values.is_empty());
        for value in values {
            self.want(place, value);
        }
    }

    fn narrow<'v, V>(&self, rules: &mut Bits, values: impl IntoIterator<Item = &'v V>)
    where
        K: std::borrow::Borrow<V>,
        V: Hash + Eq + ?Sized + 'v,
    {
        if !self.any_cares {
            return;
        }
        let mut held = self.careless;
        for found in values.into_iter().filter_map(|value| self.wanting.get(value)) {
            held.join(found);
        }
        rules.keep(&held);
    }
}

impl Names {
    fn add(&mut self, place: usize, patterns: &[Glob]) {
        self.exact.cares(place, !patterns.is_empty());
        for pattern in patterns {
            match pattern.exact() {
                Some(name) => self.exact.want(place, &name.into()),
                None => add_to(&mut self.patterns, pattern.clone(), place),
            }
        }
    }

    fn of(&self, name: Option<&str>) -> Bits {
        let mut rules = Bits::ALL;
        self.narrow(&mut rules, name);
        rules
    }

    fn narrow(&self, rules: &mut Bits, name: Option<&str>) {
        if !self.exact.any_cares {
            return;
        }
        let mut held = self.exact.careless;
        if let Some(name) = name {
            if let Some(found) = self.exact.wanting.get(name) {
                held.join(found);
            }
            for (_, found) in self.patterns.iter().filter(|(pattern, _)| pattern.matches(name)) {
                held.join(found);
            }
        }
        rules.keep(&held);
    }
}

/// Adds a rule to what a key stands for, each key once.
fn add_to<K: PartialEq>(entries: &mut Vec<(K, Bits)>, key: K, place: usize) {
    if let Some((_, rules)) = entries.iter_mut().find(|(one, _)| *one == key) {
        return rules.insert(place);
    }
    let mut rules = Bits::NONE;
    rules.insert(place);
    entries.push((key, rules));
}
