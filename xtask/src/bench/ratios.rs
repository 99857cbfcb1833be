//! The arithmetic of comparison: medians, spreads, ratios within a round.
//!
//! Values of different rounds are never mixed: the machine drifts between rounds, and a ratio or a
//! difference within one cancels that.
//!
//! Next: `table.rs`.

use std::collections::BTreeMap;

/// A value by round.
pub(crate) type ByRound = BTreeMap<u32, f64>;

/// A median and the extremes around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    /// The smallest.
    pub(crate) min: f64,
    /// The middle one, or the mean of the two in the middle.
    pub(crate) median: f64,
    /// The largest.
    pub(crate) max: f64,
}

impl Spread {
    /// Of these values; `None` without any.
    pub(crate) fn of(values: &ByRound) -> Option<Self> {
        let mut sorted: Vec<f64> = values.values().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        };
        Some(Self { min, median, max })
    }
}

/// What each round's value exceeds that round's `base` by.
pub(crate) fn added(values: &ByRound, base: &ByRound) -> ByRound {
    in_same_round(values, base).map(|(round, value, base)| (round, value - base)).collect()
}

/// Each round's value over that round's `base`; rounds whose base is not positive have no ratio.
pub(crate) fn ratios(values: &ByRound, base: &ByRound) -> ByRound {
    in_same_round(values, base)
        .filter(|(_, _, base)| *base > 0.0)
        .map(|(round, value, base)| (round, value / base))
        .collect()
}

fn in_same_round<'a>(
    values: &'a ByRound,
    base: &'a ByRound,
) -> impl Iterator<Item = (u32, f64, f64)> + 'a {
    values.iter().filter_map(|(round, value)| Some((*round, *value, *base.get(round)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_is_median_and_extremes() {
        let odd = ByRound::from([(0, 3.0), (1, 1.0), (2, 2.0)]);
        let even = ByRound::from([(0, 4.0), (1, 1.0)]);
        assert_eq!(Spread::of(&odd), Some(Spread { min: 1.0, median: 2.0, max: 3.0 }));
        assert_eq!(Spread::of(&even), Some(Spread { min: 1.0, median: 2.5, max: 4.0 }));
        assert_eq!(Spread::of(&ByRound::new()), None);
    }

    #[test]
    fn ratios_compare_only_within_a_round() {
        let gate = ByRound::from([(0, 3.0), (1, 8.0), (2, 5.0)]);
        let bare = ByRound::from([(0, 2.0), (1, 4.0)]);
        assert_eq!(ratios(&gate, &bare), ByRound::from([(0, 1.5), (1, 2.0)]));
    }

    #[test]
    fn nothing_is_compared_with_zero_or_less() {
        let gate = ByRound::from([(0, 3.0), (1, 8.0)]);
        let bare = ByRound::from([(0, 0.0), (1, -4.0)]);
        assert_eq!(ratios(&gate, &bare), ByRound::new());
    }

    #[test]
    fn added_is_the_difference_to_the_same_round() {
        let gate = ByRound::from([(0, 190.0), (1, 250.0)]);
        let direct = ByRound::from([(0, 90.0), (1, 100.0)]);
        assert_eq!(added(&gate, &direct), ByRound::from([(0, 100.0), (1, 150.0)]));
    }
}
