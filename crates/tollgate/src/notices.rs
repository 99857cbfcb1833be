//! Budgets over time: what was used before the start is summed up from the ledger, and whoever should
//! know is told when a threshold is passed.
//!
//! Every warning is a line of the log and, where a webhook is configured, a POST to it: tried three
//! times, never in the way of a call, and dropped with a word in the log when the receiver is too slow.
//! What the URL of a webhook says is never shown.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tollgate_core::bounds::limits::{BUDGET_WARNINGS_MAX, LIMIT_KEYS_MAX};
use tollgate_core::clock::Clock;
use tollgate_core::stores::UsageLedger;
use tollgate_gate::admit::Limited;
use tollgate_gate::drain::Drain;
use tollgate_gate::gate::Gate;
use tollgate_limits::{BudgetWarning, Now};
use tollgate_outbound::{Ask, Fetcher, Reach, Trust};
use url::Url;

/// How often warnings are looked for, and the ledger asked for what it could not say before.
const EVERY: Duration = Duration::from_millis(500);
/// Pauses before a warning is sent again.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];
/// How long a receiver gets to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// What looks after budgets.
#[derive(Debug)]
pub(crate) struct Notices {
    gate: Arc<Gate>,
    ledger: Option<Arc<dyn UsageLedger>>,
    clock: Arc<dyn Clock>,
}

/// A warning on its way to a webhook.
struct Letter {
    to: Url,
    text: Value,
}

impl Notices {
    pub(crate) const fn new(
        gate: Arc<Gate>,
        ledger: Option<Arc<dyn UsageLedger>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { gate, ledger, clock }
    }

    /// Counts what the ledger has of the present periods, for budgets that do not know it yet. False if
    /// some still do not.
    pub(crate) async fn recall(&self) -> bool {
        let Some(ledger) = &self.ledger else { return true };
        let snapshot = self.gate.snapshot();
        let Some(limits) = snapshot.admit.limited().map(Limited::limits) else { return true };
        let now = Now::of(&*self.clock);
        for question in limits.questions(now) {
            let asked = (question.filter.clone(), question.by.clone());
            match ledger.sums(asked.0, asked.1, LIMIT_KEYS_MAX).await {
                Ok(sums) => limits.load(now, &question, &sums),
                Err(error) => {
                    let budget = &*question.budget;
                    tracing::error!(%error, budget, "the ledger does not say what was used before: the budget counts from now on, and asks again");
                    return false;
                }
            }
        }
        true
    }

    /// Looks after budgets until the end.
    pub(crate) async fn run(self, drain: Drain) {
        let (sender, receiver) = channel(BUDGET_WARNINGS_MAX);
        let sending = tokio::spawn(deliver(receiver));
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut failed = 0_u32;
        loop {
            tokio::select! {
                // Nothing is lost: a tick that is dropped comes again.
                _ = ticks.tick() => {}
                () = drain.forced() => break,
            }
            self.tell(&sender);
            // A ledger that did not answer is asked again after half a minute.
            let is_due = failed == 0 || failed.is_multiple_of(60);
            failed = if is_due && self.recall().await { 0 } else { failed.saturating_add(1) };
        }
        self.tell(&sender);
        sending.abort();
    }

    fn tell(&self, sender: &Sender<Letter>) {
        let snapshot = self.gate.snapshot();
        let Some(limits) = snapshot.admit.limited().map(Limited::limits) else { return };
        let webhook = snapshot.settings.quotas.as_ref().and_then(|quotas| quotas.webhook.as_ref());
        let webhook = webhook.and_then(|url| Url::parse(url.expose()).ok());
        for warning in limits.warnings() {
            log(&warning);
            let Some(to) = webhook.clone() else { continue };
            if sender.try_send(Letter { to, text: letter(&warning) }).is_err() {
                let budget = &*warning.budget;
                tracing::warn!(budget, "the webhook is too slow: this warning is not sent to it");
            }
        }
        let dropped = limits.warnings_dropped();
        if dropped > 0 {
            tracing::warn!(
                dropped,
                "budgets gave more warnings at once than can wait: see `/status`"
            );
        }
    }
}

fn log(warning: &BudgetWarning) {
    let BudgetWarning { budget, of, percent, used, quota, .. } = warning;
    let unit = warning.unit.as_str();
    tracing::warn!(
        %budget, %of, percent, unit, used, quota, hard = warning.is_hard, until = warning.until,
        "{}", sentence(warning)
    );
}

/// What has happened, in words.
fn sentence(warning: &BudgetWarning) -> String {
    let BudgetWarning { budget, of, percent, .. } = warning;
    let of = if of.is_empty() { String::new() } else { format!(" of {of}") };
    match (percent, warning.is_hard) {
        (100, true) => format!("the budget `{budget}`{of} is used up: calls are refused"),
        (100, false) => format!("the budget `{budget}`{of} is used up: calls are still made"),
        (percent, _) => format!("the budget `{budget}`{of} is used to {percent} %"),
    }
}

/// What is sent.
fn letter(warning: &BudgetWarning) -> Value {
    let kind = if warning.percent == 100 { "budget.exhausted" } else { "budget.threshold" };
    let BudgetWarning { budget, of, percent, since, .. } = warning;
    let unit = warning.unit.as_str();
    json!({
        "type": kind,
        // The same if it is sent again, so that the receiver can tell.
        "id": format!("{budget}/{of}/{unit}/{since}/{percent}"),
        "text": sentence(warning),
        "budget": &**budget,
        "of": &**of,
        "percent": percent,
        "unit": unit,
        "used": warning.used,
        "quota": warning.quota,
        "hard": warning.is_hard,
        "since": since,
        "until": warning.until,
    })
}

/// Sends letters, one after the other.
async fn deliver(mut letters: Receiver<Letter>) {
    while let Some(letter) = letters.recv().await {
        let fetcher = match Fetcher::new(Trust::System) {
            Ok(fetcher) => fetcher,
            Err(error) => {
                tracing::error!(%error, "no warning of a budget can be sent to the webhook");
                continue;
            }
        };
        if let Err(why) = send(&fetcher, &letter).await {
            let id = &letter.text["id"];
            tracing::error!(%id, why, "the webhook did not take a warning of a budget");
        }
    }
}

async fn send(fetcher: &Fetcher, letter: &Letter) -> Result<(), String> {
    let mut pauses = PAUSES.into_iter();
    loop {
        let json = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let ask = Ask {
            method: Method::POST,
            body: Bytes::from(letter.text.to_string()),
            headers: vec![json],
            limit: ANSWER,
            ..Ask::json(&letter.to, Reach::Anywhere)
        };
        let why = match fetcher.send(ask).await {
            Ok(answer) if answer.status.is_success() => return Ok(()),
            Ok(answer) => format!("it answered {}", answer.status),
            Err(fault) => fault.to_string(),
        };
        let Some(pause) = pauses.next() else { return Err(why) };
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use super::{Letter, deliver, letter, sentence};
    use serde_json::Value;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tollgate_core::refusal::LimitUnit;
    use tollgate_limits::BudgetWarning;

    fn warning(percent: u8) -> BudgetWarning {
        BudgetWarning {
            budget: "research".into(),
            of: "ci".into(),
            percent,
            is_hard: true,
            unit: LimitUnit::Tokens,
            used: 801,
            quota: 1_000,
            since: 0,
            until: 86_400,
        }
    }

    #[test]
    fn a_warning_says_what_has_happened() {
        assert_eq!(sentence(&warning(80)), "the budget `research` of ci is used to 80 %");
        assert_eq!(
            sentence(&BudgetWarning { of: "".into(), ..warning(100) }),
            "the budget `research` is used up: calls are refused"
        );
    }

    #[tokio::test]
    async fn a_webhook_that_fails_once_is_sent_the_same_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = format!("http://{}/hook", listener.local_addr().unwrap()).parse().unwrap();
        let (sender, receiver) = tokio::sync::mpsc::channel(4);
        let sending = tokio::spawn(deliver(receiver));
        sender.send(Letter { to, text: letter(&warning(80)) }).await.unwrap();
        let mut bodies: Vec<Value> = Vec::new();
        for status in ["503 Service Unavailable", "204 No Content"] {
            let (mut peer, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            let body = loop {
                assert_ne!(peer.read_buf(&mut request).await.unwrap(), 0, "a whole request");
                let text = String::from_utf8_lossy(&request);
                let body = text.split_once("\r\n\r\n").map(|(_, body)| body);
                if let Some(body) = body.and_then(|body| serde_json::from_str(body).ok()) {
                    break body;
                }
            };
            assert!(request.starts_with(b"POST /hook HTTP/1.1\r\n"));
            bodies.push(body);
            let reply = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
            peer.write_all(reply.as_bytes()).await.unwrap();
        }
        assert_eq!(bodies[0], bodies[1]);
        assert_eq!(bodies[0]["type"], "budget.threshold");
        assert_eq!(bodies[0]["id"], "research/ci/tokens/0/80");
        drop(sender);
        sending.await.unwrap();
    }
}
