//! What a store of pins does with what an upstream shows: the same in memory and in a file.
//!
//! Pure: takes what is held of one upstream, and says what to write. Next: `memory/pins.rs`,
//! `embedded/pins.rs`.

use std::collections::{HashMap, HashSet};
use tollgate_core::bounds::pins::{PIN_TEXT_BYTES_MAX, PINS_BYTES_MAX, PINS_PER_UPSTREAM_MAX};
use tollgate_core::stores::{Approval, FIRST_USE, PinRecord, Seen};

/// What is held of one tool.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) record: PinRecord,
    /// Bytes of its texts.
    pub(crate) bytes: usize,
}

/// What to write.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Tools to forget.
    pub(crate) evicted: Vec<String>,
    /// Records to write, each with the text that is seen now.
    pub(crate) written: Vec<(PinRecord, String)>,
}

/// Compares what is seen with what is held of the same upstream.
pub(crate) fn plan(
    upstream: &str,
    held: &[Held],
    seen: Vec<Seen>,
    (trusts_first, now): (bool, u64),
) -> Plan {
    let is_first = trusts_first && held.is_empty();
    let known: HashMap<&str, &Held> =
        held.iter().map(|held| (held.record.tool.as_str(), held)).collect();
    let shown: HashSet<String> = seen.iter().map(|seen| seen.tool.clone()).collect();
    let mut room = Room::new(held, &shown);
    let mut plan = Plan::default();
    let mut done = HashSet::new();
    for seen in seen {
        let fits = seen.text.len() <= PIN_TEXT_BYTES_MAX;
        if !fits || !done.insert(seen.tool.clone()) {
            continue;
        }
        let held = known.get(seen.tool.as_str());
        if held.is_some_and(|held| held.record.seen == seen.digest) {
            continue;
        }
        if !room.take(usize::from(held.is_none()), seen.text.len()) {
            continue;
        }
        let approval = Approval { digest: seen.digest, by: FIRST_USE.to_owned(), at: now };
        let record = PinRecord {
            upstream: upstream.to_owned(),
            tool: seen.tool,
            approved: match held {
                Some(held) => held.record.approved.clone(),
                None => is_first.then_some(approval),
            },
            seen: seen.digest,
            seen_at: now,
        };
        plan.written.push((record, seen.text));
    }
    plan.evicted = room.evicted;
    plan
}

/// How much more of one upstream is kept.
struct Room {
    count: usize,
    bytes: usize,
    /// What may go, the newest first: never approved and not shown now.
    idle: Vec<(u64, String, usize)>,
    evicted: Vec<String>,
}

impl Room {
    fn new(held: &[Held], shown: &HashSet<String>) -> Self {
        let is_idle = |held: &&Held| {
            held.record.approved.is_none() && !shown.contains(held.record.tool.as_str())
        };
        let idle = held.iter().filter(is_idle);
        let mut idle: Vec<_> =
            idle.map(|held| (held.record.seen_at, held.record.tool.clone(), held.bytes)).collect();
        idle.sort_by(|one, other| other.cmp(one));
        let bytes = held.iter().map(|held| held.bytes).sum();
        Self { count: held.len(), bytes, idle, evicted: Vec::new() }
    }

    /// Takes room, and makes it if need be; whether there is any.
    fn take(&mut self, count: usize, bytes: usize) -> bool {
        while self.count + count > PINS_PER_UPSTREAM_MAX || self.bytes + bytes > PINS_BYTES_MAX {
            let Some((_, tool, bytes)) = self.idle.pop() else { return false };
            self.evicted.push(tool);
            self.count -= 1;
            self.bytes = self.bytes.saturating_sub(bytes);
        }
        self.count += count;
        self.bytes += bytes;
        true
    }
}
