//! Which rules allow an item, and which deny it.
//!
//! Plain names are looked up; patterns of the item's upstream, and those of any, are matched one after
//! the other, each pattern once however many rules have it, and what they give for items that lists have named is remembered (`learned.rs`).

use crate::bits::Bits;
use crate::learned::Learned;
use crate::settings::Grant;
use std::collections::HashMap;
use tollgate_core::bounds::policy::PATTERNS_UNLEARNED;
use tollgate_core::party::{Item, ItemKind};
use tollgate_rules::glob::Glob;
use tollgate_rules::items::ItemGlob;

/// The rules that speak about an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) allow: Bits,
    pub(crate) deny: Bits,
}

impl Marks {
    const NONE: Self = Self { allow: Bits::NONE, deny: Bits::NONE };

    fn join(&mut self, other: &Self) {
        self.allow.join(&other.allow);
        self.deny.join(&other.deny);
    }
}

/// The rules by what they are about.
#[derive(Debug)]
pub(crate) struct Items {
    kinds: [Kind; ItemKind::ALL.len()],
    methods: Vec<(Glob, Bits)>,
    learned: Learned,
}

#[derive(Debug, Default)]
struct Kind {
    /// By upstream, then by name.
    exact: HashMap<Box<str>, HashMap<Box<str>, Marks>>,
    /// Patterns of names of one upstream.
    of_upstream: HashMap<Box<str>, Vec<(ItemGlob, Marks)>>,
    /// Patterns of upstreams too.
    patterns: Vec<(ItemGlob, Marks)>,
}

impl Items {
    /// The index over the grants of all rules, in their order.
    pub(crate) fn new<'a>(grants: impl Iterator<Item = &'a Grant>) -> Self {
        let mut kinds: [Kind; ItemKind::ALL.len()] = Default::default();
        let mut places: HashMap<(ItemKind, &ItemGlob), usize> = HashMap::new();
        let mut methods: Vec<(Glob, Bits)> = Vec::new();
        for (rule, grant) in grants.enumerate() {
            let allowed = grant.allow.iter().map(|entry| (entry, true));
            for ((kind, pattern), allows) in
                allowed.chain(grant.deny.iter().map(|entry| (entry, false)))
            {
                let marks = kinds[*kind as usize].marks(*kind, pattern, &mut places);
                if allows { marks.allow.insert(rule) } else { marks.deny.insert(rule) }
            }
            for method in &grant.methods {
                let at = methods.iter().position(|(one, _)| one == method).unwrap_or_else(|| {
                    methods.push((method.clone(), Bits::NONE));
                    methods.len() - 1
                });
                methods[at].1.insert(rule);
            }
        }
        Self { kinds, methods, learned: Learned::default() }
    }

    /// The rules about an item.
    pub(crate) fn of(&self, item: &Item<'_>) -> Marks {
        let kind = &self.kinds[item.kind as usize];
        if kind.has_few(item) {
            return kind.match_all(item);
        }
        self.learned.get(item).unwrap_or_else(|| kind.match_all(item))
    }

    /// The same, for an item that exists: it is remembered.
    pub(crate) fn of_existing(&self, item: &Item<'_>) -> Marks {
        let kind = &self.kinds[item.kind as usize];
        if kind.has_few(item) {
            return kind.match_all(item);
        }
        self.learned.get_or_learn(item, || kind.match_all(item))
    }

    /// The rules that allow a method.
    pub(crate) fn of_method(&self, method: &str) -> Bits {
        let mut rules = Bits::NONE;
        for (_, found) in self.methods.iter().filter(|(pattern, _)| pattern.matches(method)) {
            rules.join(found);
        }
        rules
    }
}

impl Kind {
    fn marks<'p>(
        &mut self,
        kind: ItemKind,
        pattern: &'p ItemGlob,
        places: &mut HashMap<(ItemKind, &'p ItemGlob), usize>,
    ) -> &mut Marks {
        if let (Some(upstream), Some(name)) = (pattern.upstream().exact(), pattern.name().exact()) {
            let names = self.exact.entry(upstream.into()).or_default();
            return names.entry(name.into()).or_insert(Marks::NONE);
        }
        let patterns = match pattern.upstream().exact() {
            Some(upstream) => self.of_upstream.entry(upstream.into()).or_default(),
            None => &mut self.patterns,
        };
        let at = *places.entry((kind, pattern)).or_insert_with(|| {
            patterns.push((pattern.clone(), Marks::NONE));
            patterns.len() - 1
        });
        &mut patterns[at].1
    }

    fn match_all(&self, item: &Item<'_>) -> Marks {
        let names = self.exact.get(item.upstream.as_str());
        let mut marks =
            names.and_then(|names| names.get(item.name)).copied().unwrap_or(Marks::NONE);
        let patterns = self.of_upstream(item).iter().chain(&self.patterns);
        for (_, found) in patterns.filter(|(pattern, _)| pattern.matches(item)) {
            marks.join(found);
        }
        marks
    }

    fn of_upstream(&self, item: &Item<'_>) -> &[(ItemGlob, Marks)] {
        self.of_upstream.get(item.upstream.as_str()).map_or(&[], Vec::as_slice)
    }

    /// Whether matching is as fast as remembering.
    fn has_few(&self, item: &Item<'_>) -> bool {
        self.of_upstream(item).len() + self.patterns.len() <= PATTERNS_UNLEARNED
    }
}
