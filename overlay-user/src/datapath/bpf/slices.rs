//! Which part of `FDB_V4` is whose: the ranges in use, and where there is room.

use std::{collections::BTreeSet, ops::Range};

use overlay_common::map::{MAX_SLICE, MAX_SLOTS, Slice};

/// The ranges of `FDB_V4` in use.
#[derive(Debug, Default)]
pub(super) struct Slices {
    /// First slot of each, and the slot behind its last.
    taken: BTreeSet<(u32, u32)>,
    /// Ranges that were given up in this process's life: a program that runs may still have their network.
    freed: Vec<Range<u32>>,
    /// Whether nothing is given up any more.
    kept: bool,
}

impl Slices {
    /// Takes the first room for so many slots. Whether a program may still write of it what was there is to be asked
    /// of `was_freed`.
    pub(super) fn take(&mut self, base: u32, len: u32) -> Option<Slice> {
        if len == 0 || len > MAX_SLICE {
            return None;
        }
        let mut offset = 0;
        for (start, end) in &self.taken {
            if *start >= offset + len {
                break;
            }
            offset = offset.max(*end);
        }
        if offset + len > MAX_SLOTS {
            return None;
        }
        self.taken.insert((offset, offset + len));
        Some(Slice { base, len, offset })
    }

    /// Takes the range that a slice has already; whether it is a possible one that nobody else has.
    pub(super) fn claim(&mut self, slice: &Slice) -> bool {
        if slice.len == 0 {
            return *slice == Slice::NONE;
        }
        let Some(range) = range(slice) else { return false };
        let free = self.taken.iter().all(|(start, end)| *end <= range.start || range.end <= *start);
        if free {
            self.taken.insert((range.start, range.end));
        }
        free
    }

    /// Keeps the range of a slice from being given to anybody, whoever else has it.
    pub(super) fn hold(&mut self, slice: &Slice) {
        if let Some(range) = range(slice) {
            self.taken.insert((range.start, range.end));
        }
    }

    /// From now on gives nothing up: a port or a member may still have a network that is gone.
    pub(super) fn keep(&mut self) {
        self.kept = true;
    }

    /// Gives the range of a slice up.
    pub(super) fn free(&mut self, slice: &Slice) {
        if !self.kept
            && let Some(range) = range(slice)
            && self.taken.remove(&(range.start, range.end))
        {
            self.freed.push(range);
        }
    }

    /// Whether some of a slice was another's in this process's life, as far as `settle` has not been called since.
    pub(super) fn was_freed(&self, slice: &Slice) -> bool {
        let end = slice.offset + slice.len;
        self.freed.iter().any(|freed| freed.start < end && slice.offset < freed.end)
    }

    /// No program has a network any more whose range was given up.
    pub(super) fn settle(&mut self) {
        self.freed.clear();
    }
}

/// The slots of a slice; none where it is none, or no possible one.
fn range(slice: &Slice) -> Option<Range<u32>> {
    let end = slice.offset.checked_add(slice.len)?;
    (slice.len != 0 && slice.len <= MAX_SLICE && end <= MAX_SLOTS).then_some(slice.offset..end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn take(slices: &mut Slices, len: u32) -> Slice {
        slices.take(0, len).expect("room")
    }

    #[test]
    fn the_first_room_is_taken() {
        let mut slices = Slices::default();
        let [a, b, c] = [256, 16, 256].map(|len| take(&mut slices, len));
        assert_eq!([a.offset, b.offset, c.offset], [0, 256, 272]);
        slices.free(&b);
        assert_eq!(take(&mut slices, 17).offset, 528);
        assert_eq!(take(&mut slices, 16).offset, 256);
    }

    #[test]
    fn what_is_too_large_has_none_and_a_full_array_has_no_room() {
        let mut slices = Slices::default();
        assert_eq!(slices.take(0, MAX_SLICE + 1), None);
        assert_eq!(slices.take(0, 0), None);
        let [_, second] = [MAX_SLICE; 2].map(|len| take(&mut slices, len));
        assert_eq!(slices.take(0, 1), None);
        slices.free(&second);
        assert_eq!(take(&mut slices, 1).offset, MAX_SLICE);
    }

    #[test]
    fn what_was_freed_is_known_until_it_has_settled() {
        let mut slices = Slices::default();
        let [a, b] = [16; 2].map(|len| take(&mut slices, len));
        slices.free(&a);
        assert!(slices.was_freed(&a) && !slices.was_freed(&b));
        let again = take(&mut slices, 8);
        assert!(slices.was_freed(&again));
        slices.settle();
        assert!(!slices.was_freed(&again));
    }

    #[test]
    fn what_is_held_or_another_s_is_not_given_away() {
        let mut slices = Slices::default();
        let slice = |offset, len| Slice { base: 0, len, offset };
        assert!(slices.claim(&slice(16, 16)) && slices.claim(&Slice::NONE));
        for bad in [
            slice(31, 1),
            slice(0, 17),
            slice(MAX_SLOTS, 1),
            slice(u32::MAX, 1),
            slice(0, MAX_SLOTS),
            slice(1, 0),
        ] {
            assert!(!slices.claim(&bad), "{bad:?}");
        }
        slices.hold(&slice(24, 16));
        assert_eq!(take(&mut slices, 24).offset, 40);
        assert_eq!(take(&mut slices, 16).offset, 0);
    }

    #[test]
    fn once_a_step_has_failed_nothing_is_given_up() {
        let mut slices = Slices::default();
        let slice = take(&mut slices, 16);
        slices.keep();
        slices.free(&slice);
        assert_eq!(take(&mut slices, 16).offset, 16);
    }

    proptest! {
        #[test]
        fn no_two_overlap(steps in proptest::collection::vec((any::<bool>(), 0..12_u32, any::<usize>()), 1..200)) {
            let (mut slices, mut live) = (Slices::default(), Vec::<Slice>::new());
            for (frees, bits, which) in steps {
                if frees && !live.is_empty() {
                    slices.free(&live.swap_remove(which % live.len()));
                } else if let Some(new) = slices.take(0, 1 << bits) {
                    let apart = |old: &Slice| old.offset + old.len <= new.offset || new.offset + new.len <= old.offset;
                    prop_assert!(live.iter().all(apart), "{new:?} of {live:?}");
                    live.push(new);
                }
            }
        }
    }
}
