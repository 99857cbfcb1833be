//! Sets of rules: one bit for each binding and each scope of a policy.
//!
//! Inline and of one size, so that a decision copies and joins them without allocating.

use tollgate_core::bounds::policy::RULES_MAX;

const WORDS: usize = RULES_MAX / 64;
const _: () = assert!(RULES_MAX.is_multiple_of(64) && RULES_MAX < u16::MAX as usize);

/// A rule of one policy: a binding, or what a scope allows. Its name is
/// [`Policy::rule`](crate::Policy::rule).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(u16);

impl RuleId {
    /// Scopes of the credential that name single items: a rule that stands in no file.
    pub(crate) const ITEM_SCOPES: Self = Self(u16::MAX);

    pub(crate) fn of(place: usize) -> Self {
        Self(u16::try_from(place).unwrap_or(u16::MAX))
    }

    pub(crate) fn place(self) -> usize {
        usize::from(self.0)
    }
}

/// A set of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bits([u64; WORDS]);

impl Bits {
    pub(crate) const NONE: Self = Self([0; WORDS]);
    pub(crate) const ALL: Self = Self([u64::MAX; WORDS]);

    pub(crate) fn insert(&mut self, place: usize) {
        if let Some(word) = self.0.get_mut(place / 64) {
            *word |= 1 << (place % 64);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    pub(crate) fn join(&mut self, other: &Self) {
        for (word, more) in self.0.iter_mut().zip(&other.0) {
            *word |= more;
        }
    }

    pub(crate) fn keep(&mut self, other: &Self) {
        for (word, kept) in self.0.iter_mut().zip(&other.0) {
            *word &= kept;
        }
    }

    pub(crate) fn and(mut self, other: &Self) -> Self {
        self.keep(other);
        self
    }

    pub(crate) fn without(mut self, other: &Self) -> Self {
        for (word, gone) in self.0.iter_mut().zip(&other.0) {
            *word &= !gone;
        }
        self
    }

    /// The rule that comes first in the file.
    pub(crate) fn first(&self) -> Option<RuleId> {
        self.iter().next()
    }

    /// All of them, in the order of the file.
    pub(crate) fn iter(&self) -> impl Iterator<Item = RuleId> {
        let words = self.0;
        words.into_iter().enumerate().flat_map(|(at, word)| {
            let rest = |left: &u64| Some(left & left.wrapping_sub(1)).filter(|left| *left != 0);
            std::iter::successors(Some(word).filter(|word| *word != 0), rest)
                .map(move |left| RuleId::of(at * 64 + left.trailing_zeros() as usize))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Bits, RuleId};

    #[test]
    fn rules_come_out_in_order_and_once() {
        let mut bits = Bits::NONE;
        for place in [1_023, 0, 64, 63, 0] {
            bits.insert(place);
        }
        let places: Vec<usize> = bits.iter().map(RuleId::place).collect();
        assert_eq!(places, [0, 63, 64, 1_023]);
    }
}
