//! Pseudo-random numbers from a seed that a failed test tells, so that it can be run again.

use std::{
    env,
    time::{SystemTime, UNIX_EPOCH},
};

/// The variable that sets the seed of every test.
const SEED: &str = "OVERLAY_TEST_SEED";

/// `SplitMix64` (Steele, Lea and Flood 2014): a counter, mixed.
#[derive(Clone, Debug)]
pub struct Random {
    seed: u64,
    counter: u64,
}

impl Random {
    /// The numbers that follow from a seed.
    pub const fn new(seed: u64) -> Self {
        Self { seed, counter: seed }
    }

    /// The numbers of one test: from `OVERLAY_TEST_SEED`, else from the clock. Prints the seed.
    pub fn for_test(name: &str) -> Self {
        let given = env::var(SEED).ok().map(|text| text.parse().expect("OVERLAY_TEST_SEED is a number"));
        let clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos();
        let seed = given.unwrap_or_else(|| u64::from(clock()));
        println!("{name}: {SEED}={seed}");
        Self::new(seed)
    }

    /// The seed it began with.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.counter = self.counter.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.counter;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    pub const fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Takes up to `count` of the items, no item twice.
    pub fn choose<T>(&mut self, mut items: Vec<T>, count: usize) -> Vec<T> {
        let mut chosen = Vec::new();
        while chosen.len() < count && !items.is_empty() {
            let place = usize::try_from(self.below(items.len() as u64)).expect("an index");
            chosen.push(items.swap_remove(place));
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_from_the_seed() {
        // The first numbers of the reference implementation for the seed 1234567.
        let mut random = Random::new(1_234_567);
        assert_eq!([random.next(), random.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
        assert_eq!(random.seed(), 1_234_567);
    }

    #[test]
    fn nothing_is_chosen_twice() {
        let mut chosen = Random::new(1).choose((0..100).collect(), 90);
        chosen.sort_unstable();
        chosen.dedup();
        assert_eq!(chosen.len(), 90);
        assert_eq!(Random::new(1).choose(vec![1], 2), [1]);
    }
}
