//! What arrived: which numbers, how often, in which order.

/// Counts of one direction.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// One bit for each number.
    seen: Vec<u64>,
    /// The number after the highest that came.
    next: u64,
    /// Numbers that came.
    pub(super) received: u64,
    /// Numbers that came again.
    pub(super) duplicated: u64,
    /// Numbers that came after a higher one.
    pub(super) reordered: u64,
    /// Datagrams that were none of this flow.
    pub(super) corrupted: u64,
}

impl Tally {
    /// Takes in one datagram's number; none for one that cannot be read.
    pub(super) fn take(&mut self, number: Option<u64>) {
        let Some(number) = number else {
            self.corrupted += 1;
            return;
        };
        let (word, bit) = ((number / 64) as usize, 1 << (number % 64));
        if self.seen.len() <= word {
            self.seen.resize(word + 1, 0);
        }
        if self.seen[word] & bit != 0 {
            self.duplicated += 1;
            return;
        }
        self.seen[word] |= bit;
        self.received += 1;
        if number < self.next {
            self.reordered += 1;
        }
        self.next = self.next.max(number + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_counts_once() {
        let mut tally = Tally::default();
        for number in [Some(0), Some(2), Some(1), Some(1), None, Some(500)] {
            tally.take(number);
        }
        let counts = (tally.received, tally.duplicated, tally.reordered, tally.corrupted);
        assert_eq!(counts, (4, 1, 1, 1));
    }
}
