//! Takes each datagram of a session once: a sliding window over its counters (RFC 6479).

/// Bits of a block.
const BLOCK: u64 = 64;
/// Blocks of the window, a power of two.
const BLOCKS: usize = 64;
/// Counters behind the highest one that are still taken: one block is being filled.
pub(super) const REACH: u64 = (BLOCKS as u64 - 1) * BLOCK;

/// Which counters of a session have come.
#[derive(Clone, Debug)]
pub(super) struct Window {
    blocks: [u64; BLOCKS],
    /// The counter after the highest one that has come.
    next: u64,
}

impl Window {
    pub(super) const fn new() -> Self {
        Self { blocks: [0; BLOCKS], next: 0 }
    }

    /// Whether the counter has not come before; from now on it has.
    pub(super) fn take(&mut self, counter: u64) -> bool {
        let Some(next) = counter.checked_add(1) else { return false };
        if next > self.next {
            self.slide(counter);
            self.next = next;
        } else if self.next - next >= REACH {
            return false;
        }
        let block = &mut self.blocks[Self::place(counter)];
        let bit = 1 << (counter % BLOCK);
        let fresh = *block & bit == 0;
        *block |= bit;
        fresh
    }

    /// Empties the blocks up to that of `counter`.
    fn slide(&mut self, counter: u64) {
        let last = self.next.checked_sub(1).map(|highest| highest / BLOCK);
        let first = last.map_or(0, |last| last + 1);
        for block in (first..=counter / BLOCK).rev().take(BLOCKS) {
            self.blocks[Self::place(block * BLOCK)] = 0;
        }
    }

    fn place(counter: u64) -> usize {
        (counter / BLOCK) as usize % BLOCKS
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_counter_is_taken_once_in_any_order_within_reach() {
        let mut window = Window::new();
        for counter in (0..REACH).rev() {
            assert!(window.take(counter), "{counter}");
        }
        for counter in 0..REACH {
            assert!(!window.take(counter), "{counter} again");
        }
    }

    #[test]
    fn what_is_older_than_the_window_is_not_taken() {
        const { assert!(REACH >= 2048) };
        let mut window = Window::new();
        assert!(window.take(10_000));
        assert!(window.take(10_001 - REACH), "the last within reach");
        assert!(!window.take(10_000 - REACH), "the first beyond");
        assert!(!window.take(u64::MAX), "no counter follows it");
        assert!(window.take(u64::MAX - 1));
        assert!(!window.take(10_002), "far behind");
    }

    proptest! {
        #[test]
        fn it_is_a_set_with_an_end(steps in prop::collection::vec((0u64..6000, 0u64..5), 1..400)) {
            let (mut window, mut taken, mut base) = (Window::new(), BTreeSet::new(), 0);
            for (offset, jump) in steps {
                base += jump * 700;
                let counter = base + offset;
                let highest = taken.last().copied().unwrap_or(0).max(counter);
                let expected = highest - counter < REACH && !taken.contains(&counter);
                prop_assert_eq!(window.take(counter), expected);
                if expected {
                    taken.insert(counter);
                }
            }
        }
    }
}
