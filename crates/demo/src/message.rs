//! What a JSON-RPC message is: a request, a notification or a response.
//!
//! Ids are strings or integers; anything else is refused here, because a fractional or null id
//! read as a notification would leave its sender waiting forever.

use crate::bounds::BATCH_MAX;
use crate::door::meta;
use crate::modern::VERSION_KEY;
use crate::reply::Failure;
use serde_json::{Map, Value};

/// The body of a POST.
#[derive(Debug)]
pub(crate) enum Incoming {
    One(Message),
    Batch(Vec<Message>),
}

#[derive(Debug)]
pub(crate) enum Message {
    Request(Request),
    Notification(Notification),
    Response(Reply),
}

#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) id: Value,
    pub(crate) method: String,
    pub(crate) params: Map<String, Value>,
}

#[derive(Debug)]
pub(crate) struct Notification {
    pub(crate) method: String,
    pub(crate) params: Map<String, Value>,
}

/// A client's answer to a request of ours. `None` where it answered with an error.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) id: Value,
    pub(crate) result: Option<Value>,
}

impl Message {
    /// Whether it carries the modern era's version claim.
    pub(crate) fn claims_modern(&self) -> bool {
        let params = match self {
            Self::Request(request) => &request.params,
            Self::Notification(notification) => &notification.params,
            Self::Response(_) => return false,
        };
        meta(params).is_some_and(|meta| meta.contains_key(VERSION_KEY))
    }

    /// Whether it can belong to the modern era where only the header says so: `initialize` opens a
    /// session whatever the header, and responses are a legacy matter.
    pub(crate) fn is_stateless(&self) -> bool {
        match self {
            Self::Request(request) => request.method != "initialize",
            Self::Notification(_) => true,
            Self::Response(_) => false,
        }
    }
}

/// Reads the body of a POST.
pub(crate) fn parse(body: &[u8]) -> Result<Incoming, Failure> {
    match serde_json::from_slice(body) {
        Err(_) => Err(Failure::parse("the body is not JSON")),
        Ok(Value::Array(messages)) if messages.is_empty() || messages.len() > BATCH_MAX => {
            Err(Failure::invalid_request(format!("a batch holds 1 to {BATCH_MAX} messages")))
        }
        Ok(Value::Array(messages)) => {
            Ok(Incoming::Batch(messages.into_iter().map(one).collect::<Result<_, _>>()?))
        }
        Ok(value) => one(value).map(Incoming::One),
    }
}

fn one(value: Value) -> Result<Message, Failure> {
    let Value::Object(mut members) = value else {
        return Err(Failure::invalid_request("a message is an object"));
    };
    if members.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return Err(Failure::invalid_request("`jsonrpc` must be \"2.0\""));
    }
    let id = match members.remove("id") {
        None => None,
        Some(id) if id.is_string() || id.is_i64() || id.is_u64() => Some(id),
        Some(_) => return Err(Failure::invalid_request("`id` must be a string or an integer")),
    };
    let params = match members.remove("params") {
        None => Map::new(),
        Some(Value::Object(params)) => params,
        Some(_) => return Err(Failure::invalid_request("`params` must be an object")),
    };
    match (members.remove("method"), id) {
        (Some(Value::String(method)), Some(id)) => {
            Ok(Message::Request(Request { id, method, params }))
        }
        (Some(Value::String(method)), None) => {
            Ok(Message::Notification(Notification { method, params }))
        }
        (None, Some(id)) if members.contains_key("result") || members.contains_key("error") => {
            Ok(Message::Response(Reply { id, result: members.remove("result") }))
        }
        _ => Err(Failure::invalid_request("neither a request, a notification nor a response")),
    }
}
