//! What a definition that is seen is, next to what was approved; and what becomes of it.
//!
//! Pure; the command line judges with it as the gate does. Next: `pins.rs`.

use crate::settings::{PinSettings, Treatment, Trust};
use tollgate_core::stores::{Approval, Digest, FIRST_USE};

/// A tool next to its pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// How it stands to what was approved.
    pub standing: Standing,
    /// Whether its text is written to mislead, and no operator approved it nevertheless.
    pub is_suspicious: bool,
}

/// How a definition stands to what was approved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It is what was approved.
    Approved,
    /// Another one was approved.
    Changed,
    /// None was.
    New,
}

impl Standing {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Changed => "changed",
            Self::New => "new",
        }
    }
}

/// Judges a definition by its digest. Whether it is suspicious is asked only where that matters: what an
/// operator approved was looked at, with all that was found in it.
pub fn judge(
    trust: Trust,
    approval: Option<&Approval>,
    digest: Digest,
    is_suspicious: impl FnOnce() -> bool,
) -> Judgement {
    // Where an operator approves, what another configuration once trusted by itself counts for nothing.
    let counts = |one: &&Approval| one.by != FIRST_USE || trust == Trust::FirstUse;
    let standing = match approval.filter(counts) {
        Some(one) if one.digest == digest => Standing::Approved,
        Some(_) => Standing::Changed,
        None => Standing::New,
    };
    let by_operator = approval.is_some_and(|one| one.by != FIRST_USE && one.digest == digest);
    Judgement { standing, is_suspicious: !by_operator && is_suspicious() }
}

impl Judgement {
    /// What becomes of it; `None` for what is simply offered.
    #[must_use]
    pub fn treatment(self, settings: &PinSettings) -> Option<Treatment> {
        let of_standing = match (self.standing, settings.trust) {
            (Standing::Approved, _) => None,
            // Nothing is offered before somebody approved it.
            (Standing::New, Trust::Approve) => Some(Treatment::Quarantine),
            (Standing::Changed, _) | (Standing::New, Trust::FirstUse) => Some(settings.on_change),
        };
        let of_text = self.is_suspicious.then_some(settings.suspicious);
        match (of_standing, of_text) {
            (Some(Treatment::Quarantine), _) | (_, Some(Treatment::Quarantine)) => {
                Some(Treatment::Quarantine)
            }
            (Some(Treatment::Flag), _) | (_, Some(Treatment::Flag)) => Some(Treatment::Flag),
            (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Judgement, Standing, judge};
    use crate::settings::{PinSettings, Treatment, Trust};
    use tollgate_core::ids::UpstreamName;
    use tollgate_core::stores::{Approval, Digest, FIRST_USE};

    const SEEN: Digest = Digest([1; 32]);

    fn approval(by: &str, byte: u8) -> Option<Approval> {
        Some(Approval { digest: Digest([byte; 32]), by: by.to_owned(), at: 0 })
    }

    fn of(trust: Trust, approval: Option<&Approval>, suspicious: bool) -> (Standing, bool) {
        let Judgement { standing, is_suspicious } = judge(trust, approval, SEEN, || suspicious);
        (standing, is_suspicious)
    }

    #[test]
    fn an_operators_approval_covers_exactly_the_digest_and_its_suspicious_text() {
        for trust in [Trust::FirstUse, Trust::Approve] {
            assert_eq!(of(trust, approval("ada", 1).as_ref(), true), (Standing::Approved, false));
            assert_eq!(of(trust, approval("ada", 2).as_ref(), true), (Standing::Changed, true));
            assert_eq!(of(trust, None, false), (Standing::New, false));
        }
    }

    #[test]
    fn first_use_covers_no_suspicious_text_and_counts_only_where_it_is_trusted() {
        let first = approval(FIRST_USE, 1);
        assert_eq!(of(Trust::FirstUse, first.as_ref(), false), (Standing::Approved, false));
        assert_eq!(of(Trust::FirstUse, first.as_ref(), true), (Standing::Approved, true));
        assert_eq!(of(Trust::Approve, first.as_ref(), false), (Standing::New, false));
        let other = approval(FIRST_USE, 2);
        assert_eq!(of(Trust::FirstUse, other.as_ref(), false).0, Standing::Changed);
    }

    #[test]
    fn the_stricter_treatment_wins_and_nothing_new_is_offered_where_operators_approve() {
        use Treatment::{Flag, Quarantine};
        let settings = |trust, on_change, suspicious| PinSettings {
            upstream: UpstreamName::from("u"),
            trust,
            on_change,
            suspicious,
        };
        let first = settings(Trust::FirstUse, Flag, Quarantine);
        let of = |standing, is_suspicious, settings: &PinSettings| {
            Judgement { standing, is_suspicious }.treatment(settings)
        };
        assert_eq!(of(Standing::Approved, false, &first), None);
        assert_eq!(of(Standing::Approved, true, &first), Some(Quarantine));
        assert_eq!(of(Standing::New, false, &first), Some(Flag));
        assert_eq!(of(Standing::Changed, false, &first), Some(Flag));
        assert_eq!(of(Standing::Changed, true, &first), Some(Quarantine));
        let other = settings(Trust::FirstUse, Quarantine, Flag);
        assert_eq!(of(Standing::Approved, true, &other), Some(Flag));
        assert_eq!(of(Standing::New, true, &other), Some(Quarantine));
        let approve = settings(Trust::Approve, Flag, Flag);
        assert_eq!(of(Standing::New, false, &approve), Some(Quarantine));
        assert_eq!(of(Standing::Changed, false, &approve), Some(Flag));
    }
}
