//! Cuts messages into what fits a datagram, and joins them again; what may wait for the rest is bounded.

use std::time::Duration;

use super::{body, body::Session, seal};

/// The longest message, in bytes.
pub(super) const LONGEST_MESSAGE: usize = 64 * 1024;
/// Bytes of a message that every datagram but its last one carries.
pub(super) const FULL: usize = seal::LONGEST_BODY - body::HEAD - HEAD;
/// Unfinished messages of a peer; one more, and its oldest is given up.
pub(super) const MOST_OF_ONE: usize = 4;
/// Unfinished messages of all peers.
pub(super) const MOST: usize = 128;
/// So long a message waits for the rest of it.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes before those of the message.
const HEAD: usize = 6;

/// A part of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fragment<'m> {
    /// Which of the sender's messages.
    message: u32,
    /// Which part, from 0.
    index: u8,
    /// How many parts there are.
    count: u8,
    bytes: &'m [u8],
}

impl<'m> Fragment<'m> {
    pub(super) fn parse(bytes: &'m [u8]) -> Option<Self> {
        let (&message, rest) = bytes.split_first_chunk()?;
        let (&[index, count], bytes) = rest.split_first_chunk()?;
        let is_last = index.checked_add(1)? == count;
        let has_length = if is_last { (1..=FULL).contains(&bytes.len()) } else { bytes.len() == FULL };
        let end = usize::from(index) * FULL + bytes.len();
        let fits = index < count && usize::from(count - 1) * FULL < LONGEST_MESSAGE && end <= LONGEST_MESSAGE;
        (has_length && fits).then_some(Self { message: u32::from_be_bytes(message), index, count, bytes })
    }

    pub(super) fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.message.to_be_bytes());
        bytes.extend([self.index, self.count]);
        bytes.extend(self.bytes);
    }
}

/// The parts of a message, which is not empty and no longer than `LONGEST_MESSAGE`.
pub(super) fn cut(number: u32, message: &[u8]) -> impl Iterator<Item = Fragment<'_>> {
    let count = message.len().div_ceil(FULL) as u8;
    (0u8..).zip(message.chunks(FULL)).map(move |(index, bytes)| Fragment {
        message: number,
        index,
        count,
        bytes,
    })
}

/// A message of which not all has come.
#[derive(Debug)]
struct Unfinished {
    from: Session,
    message: u32,
    count: u8,
    /// One bit for each part that has come.
    come: u64,
    bytes: Vec<u8>,
    length: usize,
    began: Duration,
}

/// What a part has come to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Joined {
    /// The message that is whole.
    pub(super) message: Option<Vec<u8>>,
    /// Parts of other messages that were given up.
    pub(super) given_up: u32,
}

/// All messages of which not all has come, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Joiner {
    unfinished: Vec<Unfinished>,
}

impl Joiner {
    /// Takes a part.
    pub(super) fn take(&mut self, now: Duration, from: Session, fragment: &Fragment<'_>) -> Joined {
        if fragment.count == 1 {
            return Joined { message: Some(fragment.bytes.to_vec()), given_up: 0 };
        }
        let given_up = self.give_up(|unfinished| now.saturating_sub(unfinished.began) > PATIENCE);
        let is_it =
            |unfinished: &Unfinished| unfinished.from == from && unfinished.message == fragment.message;
        let place = self.unfinished.iter().position(is_it);
        let (place, made_room) = place.map_or_else(|| self.begin(now, from, fragment), |place| (place, 0));
        let is_whole = self.unfinished[place].add(fragment);
        let message = is_whole.then(|| self.unfinished.remove(place).bytes);
        Joined { message, given_up: given_up + made_room }
    }

    /// Begins a message; its place, and the parts that were given up for it.
    fn begin(&mut self, now: Duration, from: Session, fragment: &Fragment<'_>) -> (usize, u32) {
        let of_one = self.unfinished.iter().filter(|unfinished| unfinished.from == from).count();
        let oldest = if of_one >= MOST_OF_ONE {
            self.unfinished.iter().position(|unfinished| unfinished.from == from)
        } else {
            (self.unfinished.len() >= MOST).then_some(0)
        };
        let given_up = oldest.map_or(0, |oldest| self.unfinished.remove(oldest).come.count_ones());
        let length = (usize::from(fragment.count) * FULL).min(LONGEST_MESSAGE);
        self.unfinished.push(Unfinished {
            from,
            message: fragment.message,
            count: fragment.count,
            come: 0,
            bytes: vec![0; length],
            length: 0,
            began: now,
        });
        (self.unfinished.len() - 1, given_up)
    }

    fn give_up(&mut self, is_given_up: impl Fn(&Unfinished) -> bool) -> u32 {
        let gone = self.unfinished.extract_if(.., |unfinished| is_given_up(unfinished));
        gone.map(|unfinished| unfinished.come.count_ones()).sum()
    }

    /// Messages, and bytes of them.
    #[cfg(test)]
    pub(super) fn size(&self) -> (usize, usize) {
        (self.unfinished.len(), self.unfinished.iter().map(|unfinished| unfinished.bytes.capacity()).sum())
    }
}

impl Unfinished {
    /// Adds a part; whether that was the last one missing. One that has come, or says otherwise how many there are,
    /// changes nothing.
    fn add(&mut self, fragment: &Fragment<'_>) -> bool {
        let bit = 1 << fragment.index;
        if fragment.count != self.count || self.come & bit != 0 {
            return false;
        }
        self.come |= bit;
        let start = usize::from(fragment.index) * FULL;
        self.bytes[start..start + fragment.bytes.len()].copy_from_slice(fragment.bytes);
        self.length = self.length.max(start + fragment.bytes.len());
        let is_whole = self.come.count_ones() == u32::from(self.count);
        if is_whole {
            self.bytes.truncate(self.length);
        }
        is_whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Session = Session([1; Session::LEN]);
    const OTHER: Session = Session([2; Session::LEN]);

    fn message(length: usize) -> Vec<u8> {
        (0..length).map(|place| (place % 251) as u8).collect()
    }

    fn joined(joiner: &mut Joiner, fragments: &[Fragment<'_>]) -> Vec<Vec<u8>> {
        fragments.iter().filter_map(|part| joiner.take(Duration::ZERO, ONE, part).message).collect()
    }

    #[test]
    fn every_length_is_joined_again() {
        let mut joiner = Joiner::default();
        for length in [1, 2, FULL - 1, FULL, FULL + 1, 2 * FULL, 60_000, 65_507, LONGEST_MESSAGE] {
            let message = message(length);
            let parts: Vec<_> = cut(1, &message).collect();
            assert_eq!(joined(&mut joiner, &parts), std::slice::from_ref(&message), "{length}");
            for part in &parts {
                let mut bytes = Vec::new();
                part.write(&mut bytes);
                assert_eq!(Fragment::parse(&bytes), Some(*part));
                assert!(bytes.len() + body::HEAD <= seal::LONGEST_BODY, "{length}");
            }
        }
        assert_eq!(joiner.size(), (0, 0));
    }

    #[test]
    fn order_and_doubles_do_not_matter_and_a_loss_does() {
        let (message, other) = (message(5 * FULL), message(3 * FULL - 7));
        let mut parts: Vec<_> = cut(1, &message).collect();
        parts.reverse();
        let doubled: Vec<_> = parts.iter().flat_map(|part| [*part, *part]).collect();
        let mut joiner = Joiner::default();
        assert_eq!(joined(&mut joiner, &doubled[..9]), std::slice::from_ref(&message));
        let mut joiner = Joiner::default();
        assert_eq!(joined(&mut joiner, &parts[1..]), Vec::<Vec<u8>>::new(), "one is lost");
        let others: Vec<_> = cut(2, &other).collect();
        let interleaved: Vec<_> = parts.iter().zip(&others).flat_map(|(one, other)| [*one, *other]).collect();
        assert_eq!(
            joined(&mut Joiner::default(), &interleaved),
            [other],
            "three of five, and three of three"
        );
    }

    #[test]
    fn what_waits_is_bounded_and_the_oldest_is_given_up() {
        let message = message(LONGEST_MESSAGE);
        let mut joiner = Joiner::default();
        let first = |number| cut(number, &message).next().expect("a part");
        for number in 0..10 {
            let given_up = joiner.take(Duration::ZERO, ONE, &first(number)).given_up;
            assert_eq!(given_up, u32::from(number >= MOST_OF_ONE as u32), "{number}");
        }
        let rest: Vec<_> = cut(6, &message).skip(1).collect();
        assert_eq!(
            joined(&mut joiner, &rest),
            std::slice::from_ref(&message),
            "one of the youngest is there"
        );
        let rest: Vec<_> = cut(5, &message).skip(1).collect();
        assert_eq!(joined(&mut joiner, &rest), Vec::<Vec<u8>>::new(), "an older one is not");
        for number in 0..u8::MAX {
            joiner.take(Duration::ZERO, Session([number; Session::LEN]), &first(1));
        }
        let (messages, bytes) = joiner.size();
        assert_eq!(messages, MOST);
        assert!(bytes <= MOST * LONGEST_MESSAGE, "{bytes}");
        let late = joiner.take(PATIENCE * 2, OTHER, &first(2));
        assert_eq!((late.given_up, joiner.size().0), (MOST as u32, 1), "time passes");
    }

    #[test]
    fn parts_that_cannot_be_are_refused() {
        let bytes = |message: u32, index: u8, count: u8, length: usize| {
            let mut bytes = message.to_be_bytes().to_vec();
            bytes.extend([index, count]);
            bytes.resize(HEAD + length, 0);
            bytes
        };
        assert!(Fragment::parse(&bytes(1, 0, 2, FULL)).is_some());
        assert!(Fragment::parse(&bytes(1, 56, 57, LONGEST_MESSAGE - 56 * FULL)).is_some());
        for (index, count, length) in [
            (0, 0, 1),
            (1, 1, 1),
            (2, 1, FULL),
            (255, 0, 1),
            (0, 1, 0),
            (0, 1, FULL + 1),
            (0, 2, FULL - 1),
            (0, 2, FULL + 1),
            (1, 2, 0),
            (0, 58, FULL),
            (56, 57, LONGEST_MESSAGE - 56 * FULL + 1),
            (254, 255, 1),
        ] {
            let bytes = bytes(1, index, count, length);
            assert_eq!(Fragment::parse(&bytes), None, "{index} of {count}, {length} bytes");
        }
        for length in 0..=HEAD {
            assert_eq!(Fragment::parse(&bytes(1, 0, 1, 1)[..length]), None, "{length}");
        }
    }

    #[test]
    fn a_part_that_says_otherwise_how_many_there_are_changes_nothing() {
        let (long, short) = (message(3 * FULL), message(2 * FULL));
        let long: Vec<_> = cut(1, &long).collect();
        let short: Vec<_> = cut(1, &short).collect();
        let mut joiner = Joiner::default();
        assert_eq!(joined(&mut joiner, &[long[0], short[1], long[1]]), Vec::<Vec<u8>>::new());
        assert_eq!(joined(&mut joiner, &[long[2]]).len(), 1, "the control");
    }
}
