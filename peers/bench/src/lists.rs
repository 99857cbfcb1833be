//! The load of lists: `tools/list`, page after page, again and again on one connection.
//!
//! Latency is counted from the request to the last byte of a page, and of all pages together; what is
//! in a page is read outside of that. The first error ends the measurement.
//!
//! Next: `bin/load.rs`.

use crate::calls;
use crate::connection::{Connection, Door, LoadError, ROOMY};
use crate::tools::Era;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// Most pages of one list: a cursor that never ends is an error of the server.
const PAGES_MAX: u64 = 10_000;

/// What was measured.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Listed {
    /// Whole lists read.
    pub lists: u64,
    /// Pages of the last one.
    pub pages: u64,
    /// Tools in the last one.
    pub tools: u64,
    /// Bytes of its bodies.
    pub bytes: u64,
    /// Median latency of a page.
    pub page_p50_ns: u64,
    /// 99th percentile.
    pub page_p99_ns: u64,
    /// Median time for all pages.
    pub list_p50_ns: u64,
    /// 99th percentile.
    pub list_p99_ns: u64,
    /// The longest.
    pub list_max_ns: u64,
}

#[derive(Deserialize)]
struct Reply {
    result: Page,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    tools: Vec<serde::de::IgnoredAny>,
    next_cursor: Option<String>,
}

/// Reads lists for the length of `window`, at least `least` of them.
pub async fn run(door: &Door, window: Duration, least: u64) -> Result<Listed, LoadError> {
    let histogram = || {
        Histogram::<u64>::new_with_bounds(100, 60_000_000_000, 3)
            .map_err(|error| LoadError::Io(std::io::Error::other(error.to_string())))
    };
    let (mut pages, mut lists) = (histogram()?, histogram()?);
    let mut connection = Connection::open(door.addr, ROOMY).await?;
    let session = match door.era {
        Era::Legacy => Some(connection.open_session(door).await?),
        Era::Modern => None,
    };
    let mut listed = Listed::default();
    let begun = Instant::now();
    while listed.lists < least || begun.elapsed() < window {
        (listed.pages, listed.tools, listed.bytes) = (0, 0, 0);
        let (mut cursor, mut took) = (None, 0);
        loop {
            let (host, session) = (door.host(), session.as_deref());
            let request = calls::list(&host, &door.path, session, cursor.as_deref());
            let sent = Instant::now();
            connection.send(&request).await?;
            let head = connection.timed_reply().await?;
            let nanos = u64::try_from(sent.elapsed().as_nanos()).unwrap_or(u64::MAX);
            took += nanos;
            pages.saturating_record(nanos);
            let body = connection.body();
            let page = page(body).ok_or(LoadError::List(head.status))?;
            listed.pages += 1;
            listed.tools += page.tools.len() as u64;
            listed.bytes += body.len() as u64;
            cursor = page.next_cursor;
            if cursor.is_none() || listed.pages == PAGES_MAX {
                break;
            }
        }
        lists.saturating_record(took);
        listed.lists += 1;
    }
    listed.page_p50_ns = pages.value_at_quantile(0.5);
    listed.page_p99_ns = pages.value_at_quantile(0.99);
    listed.list_p50_ns = lists.value_at_quantile(0.5);
    listed.list_p99_ns = lists.value_at_quantile(0.99);
    listed.list_max_ns = lists.max();
    Ok(listed)
}

/// The page in a body: a JSON document, or the last event of a stream.
fn page(body: &[u8]) -> Option<Page> {
    let json = match body.first() {
        Some(b'{') => body,
        _ => {
            body.split(|byte| *byte == b'\n').rev().find_map(|line| line.strip_prefix(b"data: "))?
        }
    };
    serde_json::from_slice::<Reply>(json).ok().map(|reply| reply.result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_from_json_and_from_events() {
        let json = br#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{},{}],"nextCursor":"x"}}"#;
        let events = [b"event: message\ndata: ".as_slice(), json, b"\n\n"].concat();
        for body in [json.as_slice(), &events] {
            let page = page(body).unwrap();
            assert_eq!((page.tools.len(), page.next_cursor.as_deref()), (2, Some("x")));
        }
        assert!(page(b"oh").is_none());
    }
}
