//! Judges all lists of one upstream at once: what any of them shows otherwise than it was approved is held
//! back from all.
//!
//! Done after a list was read, when an operator approved something, and when other upstreams turned out to
//! have other tools, which text may speak about. No store, no waiting. Next: `watch.rs`.

use super::book::{Listed, PinCounts, Shown};
use super::judgement::{Judgement, Standing, judge};
use crate::gate::Gate;
use crate::knowledge::Knowledge;
use crate::settings::{PinSettings, Treatment};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use tollgate_core::bounds::pins::PINS_NAMED_MAX;
use tollgate_core::ids::UpstreamName;
use tollgate_core::stores::{Approval, Digest};
use tollgate_mcp::hub::definition::{Definition, Finding, Others};
use tollgate_mcp::hub::items::ListKind;

/// Names of tools by upstream.
type Names = Vec<(UpstreamName, HashSet<Box<str>>)>;

/// Settles the lists of one upstream; whether agents see others now.
pub(crate) fn settle(gate: &Gate, (upstream, knowledge): (&UpstreamName, &Knowledge)) -> bool {
    let book = knowledge.pins();
    let Some(settings) = book.settings() else { return false };
    let names = names(gate);
    let none = HashSet::new();
    let of_own = names.iter().find(|(name, _)| name == upstream).map_or(&none, |(_, own)| own);
    let own: HashSet<&str> = of_own.iter().map(|name| &**name).collect();
    let mut others = Others::default();
    for (name, tools) in names.iter().filter(|(name, _)| name != upstream) {
        others.add(name.as_str(), tools.iter().map(|tool| &**tool), &own);
    }
    let settling = book.settling.lock();
    let lists = knowledge.catalogs().listed_tools();
    let mut verdicts = Verdicts::default();
    for list in &lists {
        for tool in list.iter() {
            verdicts.note(tool, || {
                let approval = book.approval(&tool.item.name);
                verdict(tool, &settings, approval.as_ref(), &others)
            });
        }
    }
    let mut shown = verdicts.shown();
    shown.held.extend(book.otherwise());
    tell(upstream, &book.shown(), &shown, &verdicts);
    let held = Arc::new(shown.held.clone());
    // What is called is looked up in `shown`: it is there before a list says so.
    book.show(shown);
    let changed = knowledge.catalogs().hold_back(&held);
    let listed = knowledge.catalogs().names(ListKind::Tools);
    knowledge.roster().renew(ListKind::Tools, listed);
    drop(settling);
    changed
}

/// The tools of every upstream that somebody has asked for.
fn names(gate: &Gate) -> Names {
    let snapshot = gate.snapshot();
    let mut names: BTreeMap<UpstreamName, HashSet<Box<str>>> = BTreeMap::new();
    for upstream in snapshot.upstreams.iter() {
        names.insert(upstream.name().clone(), HashSet::new());
    }
    for leg in snapshot.routes.values().flat_map(|route| &route.legs) {
        let found = names.entry(leg.upstream.name().clone()).or_default();
        if found.is_empty() {
            *found = leg.knowledge.catalogs().names(ListKind::Tools);
        }
    }
    names.into_iter().collect()
}

/// What becomes of one definition, and why.
#[derive(Debug)]
struct Verdict {
    judgement: Judgement,
    treatment: Option<Treatment>,
    findings: Vec<Finding>,
}

fn verdict(
    tool: &Listed,
    settings: &PinSettings,
    approval: Option<&Approval>,
    others: &Others<'_>,
) -> Verdict {
    let Some(digest) = tool.digest else {
        // What cannot be compared cannot be approved.
        let judgement = Judgement { standing: Standing::New, is_suspicious: true };
        let treatment = Some(Treatment::Quarantine);
        return Verdict { judgement, treatment, findings: Vec::new() };
    };
    let mut found = Vec::new();
    let judgement = judge(settings.trust, approval, digest, || {
        let definition = Definition::of_tool(&tool.item.json);
        found = definition.map(|definition| definition.suspicions(others)).unwrap_or_default();
        !found.is_empty()
    });
    Verdict { judgement, treatment: judgement.treatment(settings), findings: found }
}

/// The verdicts about each definition of each tool.
#[derive(Debug, Default)]
struct Verdicts(BTreeMap<Box<str>, HashMap<Option<Digest>, Verdict>>);

impl Verdicts {
    fn note(&mut self, tool: &Listed, verdict: impl FnOnce() -> Verdict) {
        let of_tool = self.0.entry(tool.item.name.as_str().into()).or_default();
        of_tool.entry(tool.digest).or_insert_with(verdict);
    }

    fn shown(&self) -> Shown {
        let mut shown = Shown::default();
        for (tool, verdicts) in &self.0 {
            let all = || verdicts.values();
            let is_held = all().any(|one| one.treatment == Some(Treatment::Quarantine));
            let counts = &mut shown.counts;
            if is_held {
                counts.quarantined += 1;
                if counts.names.len() < PINS_NAMED_MAX {
                    counts.names.push(tool.to_string());
                }
                shown.held.insert(tool.clone());
            } else {
                let digests = verdicts.keys().flatten().copied().collect();
                shown.offered.insert(tool.clone(), digests);
                counts.flagged += usize::from(all().any(|one| one.treatment.is_some()));
            }
            let has = |standing| all().any(|one| one.judgement.standing == standing);
            match (has(Standing::Changed), has(Standing::New)) {
                (true, _) => counts.changed += 1,
                (false, true) => counts.new += 1,
                (false, false) => counts.approved += 1,
            }
            counts.suspicious += usize::from(all().any(|one| one.judgement.is_suspicious));
        }
        shown
    }
}

impl PinCounts {
    fn is_like(&self, other: &Self) -> bool {
        let of = |counts: &Self| {
            (counts.changed, counts.new, counts.suspicious, counts.quarantined, counts.flagged)
        };
        of(self) == of(other)
    }
}

/// Writes to the log what is held back or flagged now and was not before.
fn tell(upstream: &UpstreamName, before: &Shown, now: &Shown, verdicts: &Verdicts) {
    if before.counts.is_like(&now.counts) && before.held == now.held {
        return;
    }
    let mut told = 0;
    for (tool, of_tool) in &verdicts.0 {
        let was_held = before.held.contains(tool);
        let is_held = now.held.contains(tool);
        let verdict = of_tool.values().find(|one| one.treatment.is_some());
        let Some(verdict) = verdict.filter(|_| is_held != was_held || !is_held) else { continue };
        told += 1;
        if told > PINS_NAMED_MAX {
            continue;
        }
        let tool = tool.escape_debug();
        let state = verdict.judgement.standing.as_str();
        let finding = verdict.findings.first().map(ToString::to_string).unwrap_or_default();
        if is_held {
            tracing::warn!(%upstream, %tool, state, finding, "tool held back until it is approved: `tollgate pins diff {upstream}` shows why");
        } else {
            tracing::warn!(%upstream, %tool, state, finding, "tool offered though it is not as it was approved: `tollgate pins diff {upstream}` shows why");
        }
    }
    if told > PINS_NAMED_MAX {
        tracing::warn!(%upstream, more = told - PINS_NAMED_MAX, "and more tools are not as they were approved");
    }
}
