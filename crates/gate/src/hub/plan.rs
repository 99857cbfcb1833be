//! A hub, compiled: which upstreams it joins, what of them it shows, and whose a name is.

use super::curation::Curated;
use super::desk::Desk;
use super::shelf::Shelf;
use crate::settings::RouteSettings;
use crate::snapshot::Leg;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use tollgate_mcp::hub::items::ListKind;
use tollgate_mcp::hub::rewrite::Face;
use tollgate_mcp::hub::{naming, uris};

/// What makes several upstreams one server.
#[derive(Debug, Default)]
pub struct Plan {
    by_name: HashMap<Box<str>, usize>,
    faces: Option<Vec<Arc<Face>>>,
    tools: Curated,
    prompts: Curated,
    resources: Curated,
    instructions: Option<String>,
    pub(crate) shelf: Shelf,
    pub(crate) desk: Desk,
}

/// The upstream a tool or prompt belongs to, and what it is called there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Owned<'a> {
    /// The number of the leg.
    pub(crate) leg: usize,
    /// The upstream's own name for it; `None` if only its list can tell.
    pub(crate) name: Option<&'a str>,
    /// The name with the prefix, before renaming: what the list is looked up by.
    pub(crate) prefixed: &'a str,
}

impl Plan {
    /// The plan of a route; `None` where its one upstream is shown as it is.
    pub(crate) fn compile(route: &RouteSettings, previous: Option<&Self>) -> Option<Self> {
        let curations = [&route.tools, &route.prompts, &route.resources];
        let is_plain = curations.into_iter().all(|curation| curation.is_empty());
        if route.upstreams.len() == 1 && is_plain && route.instructions.is_none() {
            return None;
        }
        let faces = (route.upstreams.len() > 1).then(|| {
            route.upstreams.iter().map(|name| Arc::new(Face::new(name.as_str()))).collect()
        });
        Some(Self {
            by_name: route.upstreams.iter().map(|name| name.as_str().into()).zip(0..).collect(),
            faces,
            tools: Curated::new(&route.tools),
            prompts: Curated::new(&route.prompts),
            resources: Curated::new(&route.resources),
            instructions: route.instructions.clone(),
            shelf: Shelf::default(),
            desk: previous.map(|plan| plan.desk.clone()).unwrap_or_default(),
        })
    }

    /// What agents are told instead of the upstreams' own instructions.
    pub(crate) fn instructions(&self) -> Option<&str> {
        self.instructions.as_deref()
    }

    /// The upstream's name where names are prefixed by it.
    pub(crate) fn prefix<'a>(&self, leg: &'a Leg) -> Option<&'a str> {
        self.faces.is_some().then(|| leg.upstream.name().as_str())
    }

    /// How what this leg says looks to agents; `None` where it passes as it is.
    pub(crate) fn face(&self, leg: usize) -> Option<Arc<Face>> {
        self.faces.as_ref()?.get(leg).cloned()
    }

    /// The operator's lists for a kind.
    pub(crate) const fn curated(&self, kind: ListKind) -> &Curated {
        match kind {
            ListKind::Tools => &self.tools,
            ListKind::Prompts => &self.prompts,
            ListKind::Resources | ListKind::Templates => &self.resources,
        }
    }

    /// Whose tool or prompt this is.
    pub(crate) fn named<'a>(&'a self, kind: ListKind, shown: &'a str) -> Option<Owned<'a>> {
        let prefixed = self.curated(kind).resolve(shown)?;
        if self.faces.is_none() {
            return Some(Owned { leg: 0, name: Some(prefixed), prefixed });
        }
        let (upstream, rest) = naming::split(prefixed)?;
        let leg = self.leg(upstream)?;
        let name = (!naming::may_be_shortened(rest)).then_some(rest);
        Some(Owned { leg, name, prefixed })
    }

    /// Whether agents see an upstream's item at all.
    pub(crate) fn shows(&self, leg: &Leg, kind: ListKind, name: &str) -> bool {
        let shown = match (self.prefix(leg), kind) {
            (None, _) => Cow::Borrowed(name),
            (Some(upstream), ListKind::Tools | ListKind::Prompts) => {
                Cow::Owned(naming::join(upstream, name))
            }
            (Some(upstream), ListKind::Resources | ListKind::Templates) => {
                Cow::Owned(uris::outward(upstream, name))
            }
        };
        self.curated(kind).show(&shown).is_some()
    }

    /// Whose resource, or resource template, this is, and its URI there.
    pub(crate) fn located<'a>(&'a self, shown: &'a str) -> Option<(usize, Cow<'a, str>)> {
        let prefixed = self.resources.resolve(shown)?;
        if self.faces.is_none() {
            return Some((0, Cow::Borrowed(prefixed)));
        }
        let (upstream, uri) = uris::inward(prefixed)?;
        Some((self.leg(upstream)?, uri))
    }

    /// Whose task this is, and its id there.
    pub(crate) fn task<'a>(&self, shown: &'a str) -> Option<(usize, Cow<'a, str>)> {
        if self.faces.is_none() {
            return Some((0, Cow::Borrowed(shown)));
        }
        let (upstream, id) = uris::inward_task(shown)?;
        Some((self.leg(upstream)?, Cow::Borrowed(id)))
    }

    /// The request of an upstream that an agent answers: the leg, and the upstream's own id of it.
    pub(crate) fn asked(&self, token: &[u8]) -> Option<(usize, Vec<u8>)> {
        if self.faces.is_none() {
            return Some((0, token.to_vec()));
        }
        let (upstream, id) = uris::inward_id(token)?;
        Some((self.leg(&upstream)?, id))
    }

    /// The number of the leg at the upstream of this name.
    pub(crate) fn leg(&self, upstream: &str) -> Option<usize> {
        self.by_name.get(upstream).copied()
    }
}
