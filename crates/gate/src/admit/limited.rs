//! Taking each message's share of everything that limits it, and saying no in the form asked for.
//!
//! Requests, notifications and the elements of batches count one each, the opening of a stream counts
//! one; answers of the agent's and the end of a session count nothing. A batch is let in whole or not at
//! all: had one of its messages no room, none of it may reach anybody.

use super::{Admitted, Taken};
use crate::call::{Ask, Call, Post};
use crate::meter::{Facts, Room, Scale, Tab, Tabs, tokens_of};
use crate::permit::Permitted;
use crate::reply;
use crate::subject::{Subject, Target};
use bytes::Bytes;
use http::StatusCode;
use std::sync::{Arc, LazyLock};
use tollgate_core::party::Party;
use tollgate_core::principal::Principal;
use tollgate_core::refusal::{Reason, Refusal};
use tollgate_limits::settings::LimitAnswer;
use tollgate_limits::{Limits, Now, Receipt, Request, Shortage};
use tollgate_mcp::json::{Body, Kind, Message};
use tollgate_mcp::methods::Method;
use tollgate_rules::teams::Teams;

/// Longest method name that is written down.
const METHOD_CHARS_MAX: usize = 64;

/// Limits, and what meters calls.
#[derive(Debug)]
pub struct Limited {
    limits: Limits,
    scale: Arc<Scale>,
    teams: Teams,
    counts_money: bool,
}

/// Who calls what, while its share is taken.
struct Asking<'a> {
    call: &'a Call,
    principal: &'a Principal,
    party: Party<'a>,
    team: Option<Arc<str>>,
    now: Now,
}

/// One message of a post.
struct Asked<'a> {
    post: &'a Post,
    message: &'a Message,
    method: Method,
    subject: Option<&'a Subject>,
}

impl Limited {
    /// These limits, metered by this scale and put down to these teams.
    #[must_use]
    pub fn new(limits: Limits, scale: Arc<Scale>, teams: Teams) -> Self {
        let counts_money = limits.counts_money();
        Self { limits, scale, teams, counts_money }
    }

    /// The limits.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What meters calls.
    #[must_use]
    pub const fn scale(&self) -> &Arc<Scale> {
        &self.scale
    }

    pub(super) fn take(&self, permitted: Permitted) -> Result<Taken, Refusal> {
        let taken = match &permitted.call().ask {
            Ask::End => Ok(Tabs::None),
            Ask::Stream { .. } | Ask::Post(_) => {
                self.ready()?;
                self.tabs(&self.asking(&permitted))
            }
        };
        let tabs = match taken {
            Ok(tabs) => tabs,
            Err(shortage) => return self.refuse(&shortage, &permitted.call().ask),
        };
        let (mut call, principal) = permitted.into_parts();
        if let Ask::Post(post) = &mut call.ask {
            post.tabs = tabs.clone();
        }
        Ok(Taken::On(Admitted { call, principal, tabs }))
    }

    fn ready(&self) -> Result<(), Refusal> {
        self.scale.meter.is_ready().map_err(|unready| {
            tracing::debug!(%unready, "no calls without their rows");
            let text = "the gate cannot write down what calls use, and makes none without: retry in \
                        a few seconds, or ask the operator";
            Refusal::new(Reason::LedgerUnavailable, text).retry_after(5)
        })
    }

    fn asking<'a>(&self, permitted: &'a Permitted) -> Asking<'a> {
        let (call, party) = (permitted.call(), permitted.party());
        let team = self.teams.of(&party, &call.route.path).cloned();
        Asking { call, principal: party.principal, party, team, now: self.scale.now() }
    }

    fn tabs(&self, asking: &Asking<'_>) -> Result<Tabs, Shortage> {
        match &asking.call.ask {
            Ask::End => Ok(Tabs::None),
            Ask::Stream { .. } => self.stream(asking).map(Tabs::Lasting),
            Ask::Post(post) => match &post.messages {
                Body::One(message) if message.kind == Kind::Response => Ok(Tabs::None),
                Body::One(message) if post.method == Method::Listen => {
                    let asked = Asked { post, message, method: post.method, subject: None };
                    self.message(asking, &asked).map(Tabs::Lasting)
                }
                Body::One(message) => {
                    let subject = post.subjects.all().first().and_then(Target::subject);
                    let asked = Asked { post, message, method: post.method, subject };
                    self.message(asking, &asked).map(Tabs::One)
                }
                Body::Batch(messages) => self.batch(asking, post, messages),
            },
        }
    }

    /// All of a batch, or nothing.
    fn batch(
        &self,
        asking: &Asking<'_>,
        post: &Post,
        messages: &[Message],
    ) -> Result<Tabs, Shortage> {
        let mut tabs: Vec<Option<Tab>> = Vec::with_capacity(messages.len());
        for (number, message) in messages.iter().enumerate() {
            if message.kind == Kind::Response {
                tabs.push(None);
                continue;
            }
            let name = message.method.map(|name| name.decode(&post.body));
            let method = name.map_or(Method::Other, |name| Method::of(&name));
            let subject = post.subjects.all().get(number).and_then(Target::subject);
            let asked = Asked { post, message, method, subject };
            match self.message(asking, &asked) {
                Ok(tab) => tabs.push(Some(tab)),
                Err(shortage) => {
                    tabs.into_iter().flatten().for_each(|tab| tab.undo());
                    return Err(shortage);
                }
            }
        }
        Ok(Tabs::Many(tabs.into()))
    }

    /// The share of a stream of the agent's. It is no call, and in nobody's way among those.
    fn stream(&self, asking: &Asking<'_>) -> Result<Tab, Shortage> {
        let requests = u32::from(asking.call.is_asked);
        let receipt = self.limits.take_stream(asking.now, &asking.request(requests))?;
        let facts = Facts {
            principal: asking.principal.clone(),
            team: asking.team.clone(),
            route: asking.call.route.path.clone(),
            upstream: asking.call.route.keeper().clone(),
            method: known("GET"),
            id: Bytes::new(),
            item: None,
            arguments: Bytes::new(),
            room: None,
        };
        Ok(Tab::open(&self.scale, facts, (receipt, asking.now.millis)))
    }

    fn message(&self, asking: &Asking<'_>, asked: &Asked<'_>) -> Result<Tab, Shortage> {
        let Asked { post, message, subject, .. } = *asked;
        let route = &*asking.call.route;
        let item = subject.map(|subject| subject.item(route));
        let arguments = message.fields.arguments.or(message.params);
        let arguments = arguments.map(|span| post.slice(span)).unwrap_or_default();
        let receipt = self.share(asking, asked, arguments.len())?;
        let room = item.as_ref().and_then(|item| self.limits.max_result(item));
        let room = room.zip(item).map(|((tokens_max, oversize), item)| Room {
            tokens_max,
            oversize,
            tool: item.name.into(),
        });
        let method = message.method.map(|name| name.decode(&post.body)).unwrap_or_default();
        let facts = Facts {
            principal: asking.principal.clone(),
            team: asking.team.clone(),
            route: route.path.clone(),
            upstream: item.map_or_else(|| route.keeper(), |item| item.upstream).clone(),
            method: known(&method),
            id: message.id.map(|id| post.slice(id)).unwrap_or_default(),
            item: subject.map(|subject| (subject.kind, subject.name.clone())),
            arguments,
            room,
        };
        Ok(Tab::open(&self.scale, facts, (receipt, asking.now.millis)))
    }

    fn share(
        &self,
        asking: &Asking<'_>,
        asked: &Asked<'_>,
        arguments: usize,
    ) -> Result<Receipt, Shortage> {
        let item = asked.subject.map(|subject| subject.item(&asking.call.route));
        let tokens_in = tokens_of(arguments);
        let meter = &self.scale.meter;
        let waits = asked.message.kind == Kind::Request;
        let tokens_out = item.filter(|_| waits).map_or(0, |item| meter.estimate_out(&item));
        let cost = |item| meter.estimate_cost(&item, tokens_in, tokens_out);
        let cost_micros = item.filter(|_| self.counts_money).map_or(0, cost);
        let request = Request { item, tokens_in, tokens_out, cost_micros, ..asking.request(1) };
        let now = asking.now;
        if asked.method == Method::Listen {
            return self.limits.take_stream(now, &request);
        }
        self.limits.take(now, &request)
    }

    /// Says no. What is asked in a batch, or of a model that reads nothing else, is told in the body.
    fn refuse(&self, shortage: &Shortage, ask: &Ask) -> Result<Taken, Refusal> {
        let refusal = refusal(shortage);
        let Ask::Post(post) = ask else { return Err(refusal) };
        let answer = self.limits.answer();
        let told = |message: &Message| {
            let id =
                message.id.map(|id| id.of(&post.body)).filter(|_| message.kind == Kind::Request)?;
            let name = message.method.map(|name| name.decode(&post.body));
            let is_tool = name.is_some_and(|name| Method::of(&name) == Method::ToolsCall);
            Some(if answer == LimitAnswer::ToolError && is_tool {
                reply::tool_error(&refusal, id, post.era)
            } else {
                reply::error_message(&refusal, Some(id))
            })
        };
        let body = match &post.messages {
            Body::One(_) if answer == LimitAnswer::Http429 => None,
            Body::One(message) => told(message),
            Body::Batch(messages) => {
                let mut told: Vec<Vec<u8>> = messages.iter().filter_map(told).collect();
                told.extend(post.answered.iter().map(|answer| answer.to_vec()));
                (!told.is_empty()).then(|| [b"[".as_slice(), &told.join(&b','), b"]"].concat())
            }
        };
        let body = body.ok_or(refusal)?;
        Ok(Taken::Answered(reply::json(StatusCode::OK, Bytes::from(body))))
    }
}

impl<'a> Asking<'a> {
    fn request(&self, requests: u32) -> Request<'a> {
        Request {
            party: self.party,
            route: &self.call.route.path,
            item: None,
            requests,
            tokens_in: 0,
            tokens_out: 0,
            cost_micros: 0,
        }
    }
}

fn refusal(shortage: &Shortage) -> Refusal {
    let mut refusal = Refusal::new(shortage.reason, shortage.sentence());
    let secs = shortage.facts.retry_after_millis.map(|millis| millis.div_ceil(1_000));
    refusal.retry_after_secs = secs.map(|secs| u32::try_from(secs).unwrap_or(u32::MAX));
    refusal.limit = Some(shortage.facts.clone());
    refusal
}

/// The name of a method as it is written down; what nearly all calls are is shared.
fn known(name: &str) -> Arc<str> {
    static KNOWN: LazyLock<[Arc<str>; 12]> = LazyLock::new(|| {
        [
            "tools/call",
            "resources/read",
            "prompts/get",
            "tools/list",
            "completion/complete",
            "resources/list",
            "prompts/list",
            "tasks/get",
            "ping",
            "initialize",
            "notifications/initialized",
            "GET",
        ]
        .map(Arc::from)
    });
    let found = KNOWN.iter().find(|known| ***known == *name);
    found.cloned().unwrap_or_else(|| name.chars().take(METHOD_CHARS_MAX).collect::<String>().into())
}
