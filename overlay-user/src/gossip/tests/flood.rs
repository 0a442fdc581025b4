//! A hostile flood: nothing of it is taken, all of it is counted, and it leaves nothing behind.

use super::*;
use crate::gossip::{fragment, peers};

/// Numbers that are the same in every run (splitmix64).
pub(super) struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.0;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

/// One hostile datagram, made of one that was recorded.
pub(super) fn hostile(numbers: &mut Numbers, recorded: &[Vec<u8>]) -> Vec<u8> {
    let mut real = recorded[numbers.below(recorded.len())].clone();
    match numbers.below(4) {
        0 => {
            let length = numbers.below(1300);
            (0..length).map(|_| numbers.next() as u8).collect()
        }
        1 => {
            let bit = numbers.below(real.len() * 8);
            real[bit / 8] ^= 1 << (bit % 8);
            real
        }
        2 => {
            real.truncate(numbers.below(real.len()));
            real
        }
        _ => real,
    }
}

pub(super) fn numbers() -> Numbers {
    Numbers(1)
}

#[test]
fn a_flood_gets_nothing_in_and_leaves_nothing_behind() {
    let (mut one, mut other) = pair();
    let mut recorded = Vec::new();
    for length in [1, 20, 100, 1200] {
        let datagrams = one.send(Duration::ZERO, &other, &message(length));
        let (by_one, by_other) = carry(Duration::ZERO, &mut one, &mut other, datagrams);
        recorded.extend(by_one.into_iter().chain(by_other));
    }
    // A handshake with a third: those are hellos and answers, too.
    let mut third = Node::new(3, security(1));
    let datagrams = third.send(Duration::ZERO, &one, &message(3000));
    let (by_third, by_one) = carry(Duration::ZERO, &mut third, &mut one, datagrams);
    recorded.extend(by_third.into_iter().chain(by_one));
    other.messages.clear();
    let before = other.counters.snapshot();
    let (mut numbers, mut replies) = (numbers(), 0);
    for number in 0..100_000u32 {
        let now = Duration::from_micros(u64::from(number) * 100);
        let from = SocketAddr::from(([198, 51, 100, number as u8], number as u16));
        let datagram = hostile(&mut numbers, &recorded);
        let answers = other.take(now, from, std::slice::from_ref(&datagram));
        assert!(answers.iter().map(Vec::len).sum::<usize>() <= datagram.len(), "no more than was sent");
        replies += answers.len();
    }
    assert_eq!(other.messages, Vec::<Vec<u8>>::new());
    let after = other.counters.snapshot();
    assert_eq!(after.received - before.received, 100_000);
    assert_eq!(after.received, after.opened + after.refused());
    // What is authentic and not addressed to a session: the one hello.
    assert!(after.opened - before.opened <= replies as u64, "{after:?}");
    for count in [after.forged, after.malformed, after.replayed, after.other_session, after.unknown_key] {
        assert!(count > 100, "{after:?}");
    }
    let ((peers, sessions, waiting), (unfinished, bytes)) = other.core.size();
    assert_eq!((peers, sessions, waiting, unfinished, bytes), (1, 1, 0, 0, 0), "as before");
    let datagrams = one.send(Duration::from_secs(20), &other, b"still there");
    carry(Duration::from_secs(20), &mut one, &mut other, datagrams);
    assert_eq!(other.messages, [b"still there"], "the control");
}

#[test]
fn members_that_never_finish_fill_no_more_than_there_is() {
    let mut other = Node::new(2, security(1));
    for number in 0..2000u16 {
        let mut one = Node::new(1, security(1));
        one.address.set_port(number + 1);
        let now = Duration::from_millis(u64::from(number));
        let datagrams = one.send(now, &other, b"first");
        carry(now, &mut one, &mut other, datagrams);
        // Of two parts; the last ones of as many as may be.
        let length = if number >= 1968 { fragment::LONGEST_MESSAGE } else { 2000 };
        for _ in 0..5 {
            let part = one.send(now, &other, &message(length)).into_iter().next_back();
            other.take(now, one.address, &Vec::from_iter(part));
        }
    }
    let ((peers, sessions, waiting), (unfinished, bytes)) = other.core.size();
    assert_eq!((peers, sessions, waiting), (peers::MOST, peers::MOST, 0));
    assert_eq!(unfinished, fragment::MOST);
    assert_eq!(bytes, fragment::MOST * fragment::LONGEST_MESSAGE, "all of it");
    assert_eq!(other.messages.len(), 2000, "the control");
}
