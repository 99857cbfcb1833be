//! What is known of each tool: its pin, its texts, and what the gate makes of them.

use super::PinsError;
use crate::records::Records;
use aws_lc_rs::digest;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use tollgate_core::stores::{Digest, PinRecord, PinTexts};
use tollgate_gate::pins::{Judgement, Standing, judge};
use tollgate_gate::settings::{PinSettings, Treatment, Trust};
use tollgate_mcp::hub::definition::{Definition, Finding, Others, is_deceptive};

/// Digits of a digest that are printed: nobody finds two definitions that share them and make sense.
pub(super) const DIGITS: usize = 24;

/// One tool.
pub(super) struct Look {
    pub(super) pin: PinRecord,
    pub(super) texts: PinTexts,
    pub(super) judgement: Judgement,
    pub(super) findings: Vec<Finding>,
    /// What becomes of it; `None` for what is simply offered.
    pub(super) treatment: Option<Treatment>,
}

/// Looks at all tools of one upstream, or of all.
pub(super) async fn look(
    records: &Records,
    upstream: Option<&str>,
) -> Result<Vec<Look>, PinsError> {
    let all = records.pins.all(None).await?;
    let mut names: BTreeMap<&str, HashSet<&str>> = BTreeMap::new();
    for settings in &records.checked.settings.upstreams {
        names.entry(settings.name.as_str()).or_default();
    }
    for pin in &all {
        names.entry(&pin.upstream).or_default().insert(&pin.tool);
    }
    let none = HashSet::new();
    let mut others: BTreeMap<&str, Others<'_>> = BTreeMap::new();
    for of in names.keys().filter(|name| upstream.is_none_or(|only| only == **name)) {
        let own = names.get(of).unwrap_or(&none);
        let mut found = Others::default();
        for (name, tools) in names.iter().filter(|(name, _)| *name != of) {
            found.add(name, tools.iter().copied(), own);
        }
        others.insert(of, found);
    }
    let mut looks = Vec::new();
    for pin in all.iter().filter(|pin| upstream.is_none_or(|only| only == pin.upstream)) {
        let texts = records.pins.texts(pin.upstream.clone(), pin.tool.clone()).await?;
        // Somebody may have forgotten it meanwhile.
        let (Some(texts), Some(others)) = (texts, others.get(pin.upstream.as_str())) else {
            continue;
        };
        let settings = settings(records, &pin.upstream);
        let findings = Definition::of_tool(texts.seen.as_bytes())
            .map(|definition| definition.suspicions(others))
            .unwrap_or_default();
        let trust = settings.map_or(Trust::FirstUse, |settings| settings.trust);
        let judgement = judge(trust, pin.approved.as_ref(), pin.seen, || !findings.is_empty());
        let treatment = settings.and_then(|settings| judgement.treatment(settings));
        looks.push(Look { pin: pin.clone(), texts, judgement, findings, treatment });
    }
    Ok(looks)
}

fn settings<'a>(records: &'a Records, upstream: &str) -> Option<&'a PinSettings> {
    let pins = &records.checked.settings.pins;
    pins.iter().find(|settings| settings.upstream.as_str() == upstream)
}

impl Look {
    /// Whether an operator has something to decide.
    pub(super) fn waits(&self) -> bool {
        self.judgement.standing != Standing::Approved || self.judgement.is_suspicious
    }

    pub(super) const fn offered(&self) -> &'static str {
        match self.treatment {
            None => "yes",
            Some(Treatment::Flag) => "flagged",
            Some(Treatment::Quarantine) => "no",
        }
    }

    pub(super) fn state(&self) -> String {
        let standing = self.judgement.standing.as_str();
        if self.judgement.is_suspicious {
            format!("{standing}, suspicious")
        } else {
            standing.to_owned()
        }
    }

    /// For machines, with whole digests.
    pub(super) fn value(&self) -> Value {
        let approved = self.pin.approved.as_ref();
        json!({
            "upstream": self.pin.upstream,
            "tool": self.pin.tool,
            "state": self.judgement.standing.as_str(),
            "suspicious": self.judgement.is_suspicious,
            "findings": self.findings.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "offered": self.treatment != Some(Treatment::Quarantine),
            "digest": hex(self.pin.seen),
            "seen_at": self.pin.seen_at,
            "approved": approved.map(|one| json!({ "digest": hex(one.digest), "by": one.by, "at": one.at })),
        })
    }
}

/// One digest for several tools as they are seen: SHA-256 over each name, a zero byte, and its digest, in
/// the order of names.
pub(super) fn digest_of_all<'a>(looks: impl Iterator<Item = &'a Look>) -> Digest {
    let mut hash = digest::Context::new(&digest::SHA256);
    for look in looks {
        hash.update(look.pin.tool.as_bytes());
        hash.update(b"\0");
        hash.update(&look.pin.seen.0);
    }
    let mut whole = [0; 32];
    whole.copy_from_slice(hash.finish().as_ref());
    Digest(whole)
}

pub(super) fn hex(digest: Digest) -> String {
    digest.0.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// As much of a digest as is typed.
pub(super) fn short(digest: Digest) -> String {
    let mut text = hex(digest);
    text.truncate(DIGITS);
    text
}

/// Text of an upstream's with everything that is not seen written as its code point, line by line.
pub(super) fn visible(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    let (mut letters, mut before) = (text.chars().peekable(), None);
    while let Some(letter) = letters.next() {
        if letter == '\n' {
            lines.push(String::new());
        } else if let Some(line) = lines.last_mut() {
            if letter == '\r' || is_deceptive(before, letter, letters.peek().copied()) {
                // Writing to a string cannot fail.
                let _ = write!(line, "<U+{:04X}>", u32::from(letter));
            } else {
                line.push(letter);
            }
        }
        before = Some(letter);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn what_is_not_seen_is_written_as_its_code_point() {
        let text = "a\u{e0069}b\r\n\u{202e}c\td\u{1b}[2J ⚠\u{fe0f}";
        assert_eq!(visible(text), ["a<U+E0069>b<U+000D>", "<U+202E>c\td<U+001B>[2J ⚠\u{fe0f}"]);
    }
}
