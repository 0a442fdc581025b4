//! So many a second at most.

use std::time::Duration;

/// A bucket of tokens that fills again in a second.
#[derive(Debug)]
pub(super) struct Limit {
    most: u32,
    left: u32,
    since: Duration,
}

impl Limit {
    /// As many a second, and at once.
    pub(super) const fn per_second(most: u32) -> Self {
        Self { most, left: most, since: Duration::ZERO }
    }

    /// Whether one more is within the limit.
    pub(super) fn take(&mut self, now: Duration) -> bool {
        let past = now.saturating_sub(self.since).as_micros();
        let more = u32::try_from(past.saturating_mul(u128::from(self.most)) / 1_000_000).unwrap_or(u32::MAX);
        if more > 0 {
            self.left = self.left.saturating_add(more).min(self.most);
            self.since = now;
        }
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lets_through_so_many_a_second() {
        let mut limit = Limit::per_second(10);
        let mut allowed = |from: u64, to: u64| {
            (from..to).filter(|millisecond| limit.take(Duration::from_millis(*millisecond))).count()
        };
        assert_eq!(allowed(0, 100), 10, "at once");
        assert_eq!(allowed(100, 1100), 10, "in a second");
        assert_eq!(allowed(9000, 9010), 10, "after a pause");
    }
}
