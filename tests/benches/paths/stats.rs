//! Medians and their spread.

use overlay_tests::Random;

/// Samples drawn for a confidence interval.
const RESAMPLES: usize = 1000;
/// The part of them that lies outside at either end: an interval of 95 %.
const TAIL: f64 = 0.025;

/// What a set of numbers says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Summary {
    pub(crate) count: usize,
    pub(crate) median: f64,
    /// Where the middle half of them begins and ends.
    pub(crate) quartiles: [f64; 2],
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// The interval in which the median lies with 95 % confidence, by bootstrap: how far the medians of as many
    /// numbers, drawn from these at random, lie apart.
    pub(crate) confidence: [f64; 2],
}

impl Summary {
    /// None of nothing.
    pub(crate) fn of(numbers: &[f64]) -> Option<Self> {
        let mut sorted = numbers.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        Some(Self {
            count: sorted.len(),
            median: quantile(&sorted, 0.5),
            quartiles: [quantile(&sorted, 0.25), quantile(&sorted, 0.75)],
            min,
            max,
            confidence: confidence(&sorted),
        })
    }

    /// Half of the middle half's width, as a part of the median.
    pub(crate) fn spread(&self) -> f64 {
        (self.quartiles[1] - self.quartiles[0]) / 2.0 / self.median.abs().max(f64::MIN_POSITIVE)
    }
}

/// The number below which `part` of the sorted numbers lie, between two of them where it must be.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    let place = part * (sorted.len() - 1) as f64;
    #[expect(clippy::cast_sign_loss, reason = "a place in a list is not negative")]
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * (place - place.floor())
}

fn confidence(sorted: &[f64]) -> [f64; 2] {
    // The same numbers have the same interval.
    let mut random = Random::new(sorted.len() as u64);
    let mut medians: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let draw = |_| sorted[random.next() as usize % sorted.len()];
            let mut drawn: Vec<f64> = (0..sorted.len()).map(draw).collect();
            drawn.sort_unstable_by(f64::total_cmp);
            quantile(&drawn, 0.5)
        })
        .collect();
    medians.sort_unstable_by(f64::total_cmp);
    [quantile(&medians, TAIL), quantile(&medians, 1.0 - TAIL)]
}

#[cfg(test)]
#[allow(unused_imports, reason = "a bench runs no tests: the test target `bench` runs these")]
mod tests {
    use super::*;

    #[test]
    fn an_outlier_moves_neither_median_nor_quartiles_far() {
        let calm = Summary::of(&[1.0, 2.0, 3.0, 4.0, 5.0]).expect("numbers");
        assert_eq!((calm.median, calm.quartiles, calm.min, calm.max), (3.0, [2.0, 4.0], 1.0, 5.0));
        let wild = Summary::of(&[1.0, 2.0, 3.0, 4.0, 500.0]).expect("numbers");
        assert_eq!((wild.median, wild.quartiles), (3.0, [2.0, 4.0]));
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn between_two_numbers_the_median_is_their_middle() {
        let summary = Summary::of(&[1.0, 2.0]).expect("numbers");
        assert_eq!((summary.median, summary.quartiles), (1.5, [1.25, 1.75]));
        assert!((summary.spread() - 0.25 / 1.5).abs() < 1e-9);
    }

    #[test]
    fn more_numbers_are_more_certain() {
        let width = |count: usize| {
            let numbers: Vec<f64> = (0..count).map(|number| (number % 10) as f64).collect();
            let [low, high] = Summary::of(&numbers).expect("numbers").confidence;
            high - low
        };
        assert!(width(400) < width(20), "{} and {}", width(400), width(20));
        let one = Summary::of(&[7.0]).expect("a number");
        assert_eq!((one.confidence, one.spread()), ([7.0, 7.0], 0.0));
    }
}
