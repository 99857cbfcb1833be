//! One request to a server, and the messages that come back for it.
//!
//! Requests of the server's within the reply are answered at once; notifications are read over. A reply
//! is bounded in bytes, and each silence within it in time.

use crate::agent::Agent;
use crate::agent::answers;
use crate::agent::words::AgentError;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tollgate_core::bounds::REPLY_BYTES_MAX;
use tollgate_gate::upstream::{Deadlines, Fields, Media, Outgoing, Reply, ReplyBody};
use tollgate_mcp::sse::Splitter;

/// A header of a request.
pub(crate) type Header = (HeaderName, HeaderValue);

/// The answer to a request.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) result: Value,
    /// The session that the server opened with it.
    pub(super) session: Option<Box<str>>,
}

impl Agent {
    /// Sends a request and reads until its answer is there.
    pub(super) async fn exchange(
        &mut self,
        headers: &[Header],
        body: &Value,
    ) -> Result<Answer, AgentError> {
        let Reply { status, headers, body: reply } = self.post(headers, body).await?;
        let mut messages = Messages::of(reply, headers.media);
        while let Some(message) = messages.next(status).await? {
            if message["id"] == body["id"] && message.get("method").is_none() {
                return match message.get("error") {
                    Some(error) => Err(AgentError::refused(error, status)),
                    None => {
                        Ok(Answer { result: message["result"].clone(), session: headers.session })
                    }
                };
            }
            if message.get("method").is_some() && message.get("id").is_some() {
                let answer = answers::message(&message, &mut self.declined);
                self.tell(&answer).await?;
            } else if let Some(error) = message.get("error") {
                // An error without an id is about this request: there is no other.
                return Err(AgentError::refused(error, status));
            }
        }
        match status.is_success() {
            true => Err(AgentError::NoAnswer),
            false => Err(AgentError::Status { status, text: messages.into_text() }),
        }
    }

    /// Sends what needs no answer: a notification, or an answer.
    pub(super) async fn tell(&mut self, body: &Value) -> Result<(), AgentError> {
        let reply = self.post(&self.headers(), body).await?;
        let (status, media) = (reply.status, reply.headers.media);
        if status.is_success() {
            return Ok(());
        }
        let mut messages = Messages::of(reply.body, media);
        match messages.next(status).await? {
            Some(message) if message.get("error").is_some() => {
                Err(AgentError::refused(&message["error"], status))
            }
            Some(_) | None => Err(AgentError::Status { status, text: messages.into_text() }),
        }
    }

    /// Ends the session.
    pub(super) async fn delete(&mut self) -> Result<(), AgentError> {
        let mut headers = Fields::new();
        for (name, value) in self.headers() {
            headers.add(&name, &value);
        }
        let outgoing =
            Outgoing { method: Method::DELETE, headers, body: Bytes::new(), on_behalf_of: None };
        self.endpoint.send(outgoing, self.deadlines()).await?;
        Ok(())
    }

    async fn post(&self, headers: &[Header], body: &Value) -> Result<Reply, AgentError> {
        let mut fields = Fields::new();
        fields.add(&CONTENT_TYPE, &HeaderValue::from_static("application/json"));
        fields.add(&ACCEPT, &HeaderValue::from_static("application/json, text/event-stream"));
        for (name, value) in headers {
            fields.add(name, value);
        }
        let body = Bytes::from(body.to_string());
        let outgoing = Outgoing { method: Method::POST, headers: fields, body, on_behalf_of: None };
        Ok(self.endpoint.send(outgoing, self.deadlines()).await?)
    }

    fn deadlines(&self) -> Deadlines {
        // A call may take its time, as long as something arrives.
        Deadlines { first_byte: self.patience, pause: Some(self.patience), total: None }
    }
}

/// The messages of a reply, one after the other.
struct Messages {
    body: ReplyBody,
    media: Media,
    splitter: Splitter,
    /// What was read and is no event.
    text: Vec<u8>,
    /// The rest of a batch.
    waiting: Vec<Value>,
    has_ended: bool,
}

impl Messages {
    fn of(body: ReplyBody, media: Media) -> Self {
        let splitter = Splitter::new(REPLY_BYTES_MAX);
        Self { body, media, splitter, text: Vec::new(), waiting: Vec::new(), has_ended: false }
    }

    /// The next message; `None` at the end.
    async fn next(&mut self, status: StatusCode) -> Result<Option<Value>, AgentError> {
        loop {
            if let Some(message) = self.waiting.pop() {
                return Ok(Some(message));
            }
            if self.media == Media::Events {
                while let Some(event) = self.splitter.next()? {
                    // Servers open streams with an event without data, to give it an id.
                    if let Some(data) = event.data.filter(|data| !data.is_empty()) {
                        self.take(&data)?;
                        break;
                    }
                }
                if !self.waiting.is_empty() {
                    continue;
                }
            }
            if self.has_ended {
                return Ok(None);
            }
            match self.body.frame().await {
                Some(frame) => self.read(frame?.into_data().unwrap_or_default())?,
                None => self.finish(status)?,
            }
        }
    }

    fn read(&mut self, data: Bytes) -> Result<(), AgentError> {
        if self.media == Media::Events {
            self.splitter.push(data);
            return Ok(());
        }
        if self.text.len() + data.len() > REPLY_BYTES_MAX {
            return Err(AgentError::TooLarge);
        }
        self.text.extend_from_slice(&data);
        Ok(())
    }

    fn finish(&mut self, status: StatusCode) -> Result<(), AgentError> {
        self.has_ended = true;
        if self.media != Media::Json || self.text.is_empty() {
            return Ok(());
        }
        let text = std::mem::take(&mut self.text);
        match self.take(&text) {
            // An error page of something in between is shown as text.
            Err(_) if !status.is_success() => {
                self.text = text;
                Ok(())
            }
            taken => taken,
        }
    }

    fn take(&mut self, text: &[u8]) -> Result<(), AgentError> {
        match serde_json::from_slice(text) {
            Ok(Value::Array(batch)) => self.waiting.extend(batch.into_iter().rev()),
            Ok(message @ Value::Object(_)) => self.waiting.push(message),
            Ok(_) | Err(_) => return Err(AgentError::NotJson),
        }
        Ok(())
    }

    /// What was read and is no message.
    fn into_text(self) -> String {
        String::from_utf8_lossy(&self.text).into_owned()
    }
}
