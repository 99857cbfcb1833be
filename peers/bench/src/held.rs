//! Loads that are held rather than driven: many sessions, many open streams, one slow stream.
//!
//! Opens what is asked for and tells when all of it stands; whoever started the program then measures
//! memory. Bounded by what is asked for.
//!
//! Next: `bin/load.rs`.

use crate::calls::{self, CallRequest};
use crate::connection::{Connection, Door, FRUGAL, LoadError};
use crate::tools::{Era, TOOLS, tool};
use hdrhistogram::Histogram;
use serde::Serialize;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Connections that open sessions or streams side by side.
const OPENERS: usize = 32;

/// Opens `count` sessions over 32 connections, then closes the connections.
pub async fn sessions(door: &Door, count: usize) -> Result<(), LoadError> {
    let mut openers = JoinSet::new();
    for which in 0..OPENERS {
        let (door, share) = (door.clone(), share_of(count, which));
        openers.spawn_local(async move {
            let mut connection = Connection::open(door.addr, FRUGAL).await?;
            for _ in 0..share {
                connection.open_session(&door).await?;
            }
            Ok::<(), LoadError>(())
        });
    }
    while let Some(ended) = openers.join_next().await {
        ended.map_err(std::io::Error::other)??;
    }
    Ok(())
}

/// Opens `count` sessions with a stream each; the streams stay open as long as the result lives.
pub async fn streams(door: &Door, count: usize) -> Result<Vec<Connection>, LoadError> {
    let mut openers = JoinSet::new();
    for which in 0..OPENERS {
        let (door, share) = (door.clone(), share_of(count, which));
        openers.spawn_local(async move {
            let mut open = Vec::with_capacity(share);
            for _ in 0..share {
                open.push(stream(&door).await?);
            }
            Ok::<_, LoadError>(open)
        });
    }
    let mut open = Vec::with_capacity(count);
    while let Some(ended) = openers.join_next().await {
        open.extend(ended.map_err(std::io::Error::other)??);
    }
    Ok(open)
}

fn share_of(count: usize, which: usize) -> usize {
    count / OPENERS + usize::from(which < count % OPENERS)
}

async fn stream(door: &Door) -> Result<Connection, LoadError> {
    let mut connection = Connection::open(door.addr, FRUGAL).await?;
    let session = connection.open_session(door).await?;
    connection.send(&calls::stream(&door.host(), &door.path, &session)).await?;
    let wait = Duration::from_secs(20);
    let head = tokio::time::timeout(wait, connection.head()).await;
    match head.map_err(|_| LoadError::Silent)?? {
        head if head.status == 200 && head.is_events => Ok(connection),
        head => Err(LoadError::Session(head.status)),
    }
}

/// When the first of two events arrives, of which the upstream sends the second 50 ms later.
#[derive(Clone, Debug, Serialize)]
pub struct FirstByte {
    /// Streams read.
    pub calls: u64,
    /// Median from the request to the first whole event.
    pub p50_ns: u64,
    /// 99th percentile.
    pub p99_ns: u64,
}

/// Reads `count` slow streams, one after the other.
pub async fn first_byte(door: &Door, count: u64) -> Result<FirstByte, LoadError> {
    let tool = tool("first_byte").unwrap_or(&TOOLS[0]);
    let held = Duration::from_millis(tool.pause_ms);
    let mut connection = Connection::open(door.addr, FRUGAL).await?;
    let session = match door.era {
        Era::Legacy => Some(connection.open_session(door).await?),
        Era::Modern => None,
    };
    let name = door.named(tool);
    let mut request = CallRequest::new(&door.host(), &door.path, &name, session.as_deref());
    let mut waits = Histogram::<u64>::new_with_bounds(100, 60_000_000_000, 3)
        .map_err(|e| std::io::Error::other(e.to_string()))?;
    for _ in 0..count {
        let sent = Instant::now();
        connection.send(request.stamp()).await?;
        connection.head().await?;
        let ended = connection.event().await?;
        let wait = sent.elapsed();
        if ended || wait >= held {
            return Err(LoadError::HeldBack);
        }
        waits.saturating_record(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX));
        connection.rest().await?;
    }
    Ok(FirstByte {
        calls: count,
        p50_ns: waits.value_at_quantile(0.5),
        p99_ns: waits.value_at_quantile(0.99),
    })
}
