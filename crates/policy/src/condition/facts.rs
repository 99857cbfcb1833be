//! What conditions can ask for, each made when it is first asked for.
//!
//! A name without a value is an error for the condition that uses it, and so denies: claims that are not
//! there, or too large; arguments that are too large, too deep, or hold a number that would change or
//! two spellings of a name.

use crate::condition::{Arguments, json};
use crate::decision::Question;
use cel::common::types::{CelList, CelMap, CelString};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use std::sync::OnceLock;
use tollgate_core::bounds::policy::{ARGUMENTS_BYTES_MAX, CLAIMS_BYTES_MAX};

/// The names.
pub(super) const NAMES: [&str; 13] = [
    "agent", "issuer", "user", "groups", "scopes", "claims", "address", "route", "upstream",
    "tool", "kind", "method", "args",
];

type Made = OnceLock<Option<Box<dyn Val>>>;

/// What is known of one call.
pub(crate) struct Facts<'a> {
    question: &'a Question<'a>,
    claims: Made,
    groups: Made,
    scopes: Made,
    arguments: OnceLock<Option<json::Object>>,
}

impl<'a> Facts<'a> {
    pub(crate) const fn new(question: &'a Question<'a>) -> Self {
        Self {
            question,
            claims: OnceLock::new(),
            groups: OnceLock::new(),
            scopes: OnceLock::new(),
            arguments: OnceLock::new(),
        }
    }

    fn claims(&self) -> Option<&dyn Val> {
        let made = self.claims.get_or_init(|| {
            let claims = self.question.party.principal.proof()?.claims.as_deref()?;
            json::object(claims.as_bytes(), CLAIMS_BYTES_MAX).map(|claims| claims.value)
        });
        made.as_deref()
    }

    /// The arguments of the call, where they can be read.
    pub(super) fn arguments(&self) -> Option<&json::Object> {
        let made = self.arguments.get_or_init(|| match self.question.arguments {
            None => Some(json::Object { value: Box::new(CelMap::default()), names: Vec::new() }),
            Some(text) => json::object(text, ARGUMENTS_BYTES_MAX),
        });
        made.as_ref()
    }
}

/// Facts, with arguments or without.
pub(super) struct Seen<'f, 'a> {
    pub(super) facts: &'f Facts<'a>,
    pub(super) arguments: Arguments,
}

impl VariableResolver for Seen<'_, '_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        let facts = self.facts;
        let question = facts.question;
        let party = &question.party;
        let text = |text: &'b str| Some(CowVal::owned(CelString::from(text)));
        match name {
            "agent" => text(party.agent()),
            "issuer" => text(party.issuer().unwrap_or_default()),
            "user" => text(party.user().unwrap_or_default()),
            "route" => text(question.route.as_str()),
            "upstream" => text(question.item.upstream.as_str()),
            "tool" => text(question.item.name),
            "kind" => text(question.item.kind.as_str()),
            "method" => text(question.method),
            "address" => {
                let address = party.address.to_canonical().to_string();
                Some(CowVal::owned(CelString::from(address)))
            }
            "groups" => list(&facts.groups, party.groups()),
            "scopes" => list(&facts.scopes, party.scopes()),
            "claims" => facts.claims().map(CowVal::Borrowed),
            "args" if self.arguments == Arguments::Seen => {
                facts.arguments().map(|arguments| CowVal::Borrowed(&*arguments.value))
            }
            _ => None,
        }
    }
}

fn list<'b>(made: &'b Made, texts: &[Box<str>]) -> Option<CowVal<'b, 'b>> {
    let made = made.get_or_init(|| {
        let one = |text: &str| -> Box<dyn Val> { Box::new(CelString::from(text.to_owned())) };
        let elements: Vec<_> = texts.iter().map(|text| one(text)).collect();
        Some(Box::new(CelList::from(elements)))
    });
    made.as_deref().map(CowVal::Borrowed)
}
