//! Why a decision is what it is: every rule that speaks about the item, what of it fits the caller and
//! what does not, and what would change the outcome.
//!
//! Made from the same parts as the decision, and never instead of it: what is decided is what
//! [`Policy::decide`] says.

use crate::bits::RuleId;
use crate::condition::{Arguments, Verdict};
use crate::decision::{Decision, Denial, Hearing, Question};
use crate::policy::{Policy, Rule};
use serde::Serialize;
use std::fmt;
use tollgate_core::bounds::policy::DECISION_COST_MAX;
use tollgate_core::party::Party;

/// A decision and its reasons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// `allow`, `deny`, `scope` or `arguments`.
    pub decision: &'static str,
    /// The rule that decided, if one did.
    pub rule: Option<String>,
    /// Scopes that would allow it.
    pub scopes: Vec<String>,
    /// What the caller is told by the operator.
    pub message: Option<String>,
    /// Whether lists show it.
    pub shown: bool,
    /// Every rule that speaks about the item.
    pub rules: Vec<RuleView>,
    /// What would change the outcome.
    pub changes: Vec<String>,
}

/// A rule, seen from one call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleView {
    /// Its name.
    pub rule: String,
    /// The role it gives; `null` for what a scope allows.
    pub role: Option<String>,
    /// `allow` or `deny`.
    pub effect: &'static str,
    /// The patterns by which it speaks about the item.
    pub patterns: Vec<String>,
    /// Whether it is about the caller.
    pub holds: bool,
    /// What of the caller fits it.
    pub fits: Vec<String>,
    /// What of the caller does not.
    pub lacks: Vec<String>,
    /// Its condition.
    pub condition: Option<String>,
    /// What the condition says: `true`, `false` or `error`. `null` without one, or where it is not asked.
    pub says: Option<&'static str>,
}

impl Policy {
    /// Explains a decision.
    #[must_use]
    pub fn explain(&self, question: &Question<'_>) -> Explanation {
        let standing = self.standing(&question.party, question.route);
        let decision = self.decide(&standing, question);
        let shown = self.shows(&standing, &question.party, question.route, &question.item);
        let (decision, rule, scopes, message) = match decision {
            Decision::Allow { rule } => ("allow", Some(rule), Vec::new(), None),
            Decision::Deny(Denial::Hidden { rule }) => ("deny", rule, Vec::new(), None),
            Decision::Deny(Denial::Scope { scopes }) => ("scope", None, scopes, None),
            Decision::Deny(Denial::Arguments { rule, message }) => {
                ("arguments", Some(rule), Vec::new(), message)
            }
        };
        let rules = self.views(question);
        let changes = changes(decision, &rules, question);
        Explanation {
            decision,
            rule: rule.map(|rule| self.rule(rule).to_owned()),
            scopes: scopes.iter().map(|scope| scope.to_string()).collect(),
            message: message.map(|message| message.to_string()),
            shown,
            rules,
            changes,
        }
    }

    fn views(&self, question: &Question<'_>) -> Vec<RuleView> {
        let standing = self.standing(&question.party, question.route);
        let marks = self.items.of(&question.item);
        let hearing = Hearing::new(self, question, standing.is_item_scoped, marks);
        let mut views = Vec::new();
        for (effect, speaking) in [("deny", marks.deny), ("allow", marks.allow)] {
            for id in speaking.iter() {
                let Some(rule) = self.rules.get(id.place()) else { continue };
                let holds = !standing.holds.and(&only(id)).is_empty();
                let list = if effect == "deny" { &rule.grant.deny } else { &rule.grant.allow };
                let patterns = list.iter().filter(|(kind, pattern)| {
                    *kind == question.item.kind && pattern.matches(&question.item)
                });
                let patterns = patterns.map(|(_, pattern)| pattern.to_string()).collect();
                let (fits, lacks) = selectors(rule, &question.party, question);
                let verdict =
                    || hearing.verdict(id, Arguments::Seen, &mut DECISION_COST_MAX.clone());
                let says = (holds && rule.condition.is_some()).then(|| match verdict() {
                    Verdict::Yes => "true",
                    Verdict::No => "false",
                    Verdict::Failed | Verdict::Depends => "error",
                });
                views.push(RuleView {
                    rule: rule.name.to_string(),
                    role: rule.role.as_deref().map(str::to_owned),
                    effect,
                    patterns,
                    holds,
                    fits,
                    lacks,
                    condition: rule.condition.as_ref().map(|one| one.text().to_owned()),
                    says,
                });
            }
        }
        views
    }
}

fn only(id: RuleId) -> crate::bits::Bits {
    let mut bits = crate::bits::Bits::NONE;
    bits.insert(id.place());
    bits
}

/// What of the caller fits a rule, and what does not.
fn selectors(
    rule: &Rule,
    party: &Party<'_>,
    question: &Question<'_>,
) -> (Vec<String>, Vec<String>) {
    let who = &rule.who;
    let (mut fits, mut lacks) = (Vec::new(), Vec::new());
    let mut say = |what: &str, is: &[&str], wanted: Vec<String>, held: Option<&str>| {
        if wanted.is_empty() {
            return;
        }
        match held {
            Some(held) => fits.push(format!("{what} `{held}`")),
            None => {
                let wanted = one_of(&wanted);
                lacks.push(match is {
                    [] => format!("{what} must be {wanted}, and there is none"),
                    is => {
                        let is: Vec<String> = is.iter().map(|one| format!("`{one}`")).collect();
                        format!("{what} must be {wanted}, and is {}", is.join(", "))
                    }
                });
            }
        }
    };
    let texts = |list: &[Box<str>]| list.iter().map(|one| one.to_string()).collect::<Vec<_>>();
    let globs =
        |list: &[tollgate_rules::glob::Glob]| list.iter().map(ToString::to_string).collect();
    let agent = party.agent();
    let held = who.agents.iter().any(|glob| glob.matches(agent)).then_some(agent);
    say("the agent", &[agent], globs(&who.agents), held);
    let issuer: Vec<&str> = party.issuer().into_iter().collect();
    let held = issuer.iter().find(|one| who.issuers.iter().any(|wanted| **wanted == ***one));
    say("the issuer", &issuer, texts(&who.issuers), held.copied());
    let user: Vec<&str> = party.user().into_iter().collect();
    let held = user.iter().find(|one| who.users.iter().any(|glob| glob.matches(one)));
    say("the user", &user, globs(&who.users), held.copied());
    for (what, wanted, has) in
        [("the group", &who.groups, party.groups()), ("the scope", &who.scopes, party.scopes())]
    {
        let has: Vec<&str> = has.iter().map(|one| &**one).collect();
        let held = has.iter().find(|one| wanted.iter().any(|wanted| **wanted == ***one));
        say(what, &has, texts(wanted), held.copied());
    }
    let address = party.address.to_string();
    let held = who.addresses.iter().any(|one| one.holds(party.address)).then_some(&*address);
    let networks = who.addresses.iter().map(|_| "one of the binding's networks".to_owned());
    say("the address", &[&address], networks.take(1).collect(), held);
    let route = question.route.as_str();
    let held = who.routes.iter().any(|path| path == question.route).then_some(route);
    let routes = who.routes.iter().map(ToString::to_string).collect();
    say("the route", &[route], routes, held);
    (fits, lacks)
}

fn one_of(wanted: &[String]) -> String {
    match wanted {
        [one] => format!("`{one}`"),
        many => {
            let many: Vec<String> = many.iter().map(|one| format!("`{one}`")).collect();
            format!("one of {}", many.join(", "))
        }
    }
}

/// What would change the outcome, the nearest first.
fn changes(decision: &str, rules: &[RuleView], question: &Question<'_>) -> Vec<String> {
    let item = format!("{}__{}", question.item.upstream, question.item.name);
    let kind = question.item.kind.as_str();
    let decided = |effect: &'static str| {
        let counts = move |view: &&RuleView| {
            view.effect == effect
                && view.holds
                && match effect {
                    "deny" => view.says != Some("false"),
                    _ => matches!(view.says, None | Some("true")),
                }
        };
        rules.iter().filter(counts)
    };
    if decision == "allow" {
        let allowing: Vec<&str> = decided("allow").map(|view| view.rule.as_str()).collect();
        return match allowing.as_slice() {
            [] => vec![format!("without the scope that names {kind} `{item}`, it would be denied")],
            [one] => vec![format!("without `{one}` it would be denied")],
            many => vec![format!("it would be denied without all of these: {}", many.join(", "))],
        };
    }
    let mut changes = Vec::new();
    for view in decided("deny") {
        let by = view.patterns.join("`, `");
        changes.push(format!(
            "`{}` denies it by `{by}`, and deny wins: change that, or whom it is about",
            view.rule
        ));
    }
    // What a rule denies itself, it never allows, whoever has it.
    let denies = |rule: &str| rules.iter().any(|view| view.effect == "deny" && view.rule == rule);
    let allowing = || rules.iter().filter(|view| view.effect == "allow" && !denies(&view.rule));
    for view in allowing() {
        let rule = &view.rule;
        match (view.holds, view.says, &view.condition) {
            (false, _, _) => {
                changes.push(format!("`{rule}` would allow it, but {}", view.lacks.join("; ")))
            }
            (true, Some("false"), Some(when)) => {
                changes.push(format!("`{rule}` would allow it where this is true: {when}"));
            }
            (true, Some("error"), Some(when)) => {
                changes.push(format!(
                    "`{rule}` would allow it where this is true, but it fails: {when}"
                ));
            }
            _ => {}
        }
    }
    if allowing().next().is_none() {
        changes.push(format!(
            "no role and no scope allows {kind} `{item}`: add it to a role of the caller"
        ));
    }
    changes
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = match self.decision {
            "allow" => "allowed",
            "scope" => "refused until the token has a scope",
            "arguments" => "refused for its arguments",
            _ => "denied: it does not exist for this caller",
        };
        match &self.rule {
            Some(rule) => writeln!(f, "{outcome} (by `{rule}`)")?,
            None => writeln!(f, "{outcome}")?,
        }
        if !self.scopes.is_empty() {
            writeln!(f, "  scope     {}", self.scopes.join(" "))?;
        }
        if let Some(message) = &self.message {
            writeln!(f, "  told      {message}")?;
        }
        writeln!(f, "  lists     {}", if self.shown { "show it" } else { "do not show it" })?;
        for view in &self.rules {
            let verb = if view.effect == "deny" { "denies" } else { "allows" };
            let state = if view.holds { "holds" } else { "does not hold" };
            writeln!(
                f,
                "  rule      `{}` {verb} `{}`: {state}",
                view.rule,
                view.patterns.join("`, `")
            )?;
            for fit in &view.fits {
                writeln!(f, "            + {fit}")?;
            }
            for lack in &view.lacks {
                writeln!(f, "            - {lack}")?;
            }
            if let (Some(condition), Some(says)) = (&view.condition, view.says) {
                let condition = condition.split_whitespace().collect::<Vec<_>>().join(" ");
                writeln!(f, "            ? {condition} -> {says}")?;
            }
        }
        for change in &self.changes {
            writeln!(f, "  change    {change}")?;
        }
        Ok(())
    }
}
