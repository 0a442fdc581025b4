//! Sessions without I/O: who takes what from whom, and never twice.

use super::*;
use crate::gossip::{replay, seal};

const START: Duration = Duration::ZERO;

fn at(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

#[test]
fn the_first_message_arrives_after_three_small_ones() {
    let (mut one, mut other) = (Node::new(1, security(1)), Node::new(2, security(1)));
    let message = message(60_000);
    let datagrams = one.send(START, &other, &message);
    assert_eq!(datagrams.len(), 1, "a hello");
    let (by_one, by_other) = carry(START, &mut one, &mut other, datagrams);
    assert_eq!(other.messages, [message]);
    assert_eq!(by_one[..2].iter().chain(&by_other).map(Vec::len).collect::<Vec<_>>(), [78; 3]);
    assert!(by_one.iter().all(|datagram| datagram.len() <= seal::LONGEST));
    let datagrams = other.send(START, &one, b"back");
    assert_eq!(datagrams.len(), 2, "a ping and the message: no hello is needed");
    carry(START, &mut other, &mut one, datagrams);
    assert_eq!(one.messages, [b"back"]);
}

#[test]
fn insecure_nodes_understand_each_other_and_no_sealed_one() {
    let (mut one, mut other) = (Node::new(1, Security::Insecure), Node::new(2, Security::Insecure));
    let datagrams = one.send(START, &other, &message(60_000));
    let (by_one, _) = carry(START, &mut one, &mut other, datagrams);
    assert_eq!(other.messages, [message(60_000)]);
    let mut sealed = Node::new(3, security(1));
    assert_eq!(sealed.take(START, one.address, &by_one), Vec::<Vec<u8>>::new());
    let snapshot = sealed.counters.snapshot();
    assert_eq!((snapshot.malformed, snapshot.opened), (by_one.len() as u64, 0));
    let hello = sealed.send(START, &one, b"x");
    assert_eq!(one.take(START, sealed.address, &hello), Vec::<Vec<u8>>::new());
    assert_eq!(one.counters.snapshot().malformed, 1);
}

#[test]
fn another_key_gets_no_answer() {
    let (mut one, mut other) = (Node::new(1, security(1)), Node::new(2, security(2)));
    let datagrams = one.send(START, &other, b"x");
    assert_eq!(other.take(START, one.address, &datagrams), Vec::<Vec<u8>>::new());
    let snapshot = other.counters.snapshot();
    assert_eq!((snapshot.unknown_key, snapshot.received), (1, 1));
    assert_eq!(snapshot.unknown_key_last.map(|last| last.from), Some(one.address));
    let mut third = Node::new(3, security(1));
    assert_eq!(third.take(START, one.address, &datagrams).len(), 1, "the control");
}

#[test]
fn nothing_is_taken_twice() {
    let (mut one, mut other) = pair();
    let datagrams = one.send(START, &other, &message(5000));
    let (by_one, _) = carry(START, &mut one, &mut other, datagrams);
    assert_eq!(other.messages.len(), 1, "the control");
    let before = other.counters.snapshot();
    assert_eq!(other.take(START, one.address, &by_one), Vec::<Vec<u8>>::new());
    assert_eq!(other.messages.len(), 1);
    let after = other.counters.snapshot();
    assert_eq!(after.replayed - before.replayed, by_one.len() as u64);
    assert_eq!(after.opened, before.opened);
}

#[test]
fn a_copy_from_elsewhere_that_comes_first_does_not_stop_the_real_one() {
    let (mut one, mut other) = pair();
    let datagrams = one.send(START, &other, &message(5000));
    let before = other.counters.snapshot();
    let elsewhere = SocketAddr::from(([198, 51, 100, 1], 9));
    let replies = other.take(START, elsewhere, &datagrams);
    assert!(replies.len() <= datagrams.len(), "no more than came");
    assert!(other.messages.is_empty());
    let after = other.counters.snapshot();
    assert_eq!(after.other_session - before.other_session, datagrams.len() as u64);
    carry(START, &mut one, &mut other, datagrams);
    assert_eq!(other.messages.len(), 1, "the real one");
}

#[test]
fn nor_does_it_stop_who_shows_that_it_has_another_address() {
    let (mut one, mut other) = pair();
    let datagrams = one.send(START, &other, b"moved");
    one.address = SocketAddr::from(([198, 51, 100, 1], 9));
    let hello = other.take(START, one.address, &datagrams);
    let answer = one.take(START, other.address, &hello);
    let elsewhere = SocketAddr::from(([198, 51, 100, 2], 9));
    let before = other.counters.snapshot().other_session;
    other.take(START, elsewhere, &answer);
    assert_eq!(other.counters.snapshot().other_session, before + 1, "its cookie went to another address");
    other.take(START, one.address, &answer);
    let datagrams = one.send(START, &other, b"here");
    carry(START, &mut one, &mut other, datagrams);
    assert_eq!(other.messages, [b"here"], "the real one");
}

#[test]
fn a_recorded_hello_is_answered_once_and_keeps_no_room_from_others() {
    let (mut one, mut other) = (Node::new(1, security(1)), Node::new(2, security(1)));
    let hello = one.send(START, &other, b"x");
    let again = vec![hello[0].clone(); 2000];
    assert_eq!(other.take(START, one.address, &again).len(), 1);
    assert_eq!(other.counters.snapshot().replayed, again.len() as u64 - 1);
    let hello = one.send(at(200), &other, b"x");
    assert_eq!(other.take(at(200), one.address, &hello).len(), 1, "the control");
}

#[test]
fn nothing_is_taken_that_was_sent_before_the_socket_was_opened() {
    let (mut one, mut other) = (Node::new(1, security(1)), Node::new(2, security(1)));
    let hello = one.send(START, &other, b"secret");
    let (recorded, _) = carry(START, &mut one, &mut other, hello);
    assert_eq!(other.messages, [b"secret"], "the control");
    other.messages.clear();
    other.reopen(security(1));
    for seconds in [0, 1, 10, 1000] {
        let replies = other.take(at(seconds * 1000), one.address, &recorded);
        // The hello is answered, and what was for another session is asked about; nobody hears that.
        assert!(replies.len() <= 2, "{}", replies.len());
    }
    assert_eq!(other.messages, Vec::<Vec<u8>>::new());
    assert_eq!(other.core.size().0, (0, 0, 0), "nobody is there");
}

#[test]
fn a_session_that_was_forgotten_comes_back_by_nothing_recorded() {
    let (mut one, mut other) = (Node::new(1, security(1)), Node::new(2, security(1)));
    let hello = one.send(START, &other, b"secret");
    let (recorded, _) = carry(START, &mut one, &mut other, hello);
    for number in 0..crate::gossip::peers::MOST {
        let mut third = Node::new(3, security(1));
        third.address.set_port(number as u16 + 1);
        let now = at(10_000 + 5 * number as u64);
        let datagrams = third.send(now, &other, b"third");
        carry(now, &mut third, &mut other, datagrams);
    }
    let later = at(20_000);
    other.messages.clear();
    other.take(later, one.address, &recorded);
    assert_eq!(other.messages, Vec::<Vec<u8>>::new());
    let datagrams = one.send(later, &other, b"again");
    carry(later, &mut one, &mut other, datagrams);
    let datagrams = one.send(at(21_000), &other, b"and again");
    carry(at(21_000), &mut one, &mut other, datagrams);
    assert_eq!(other.messages, [b"and again"], "the control: the peer itself comes back");
}

#[test]
fn a_peer_learns_that_the_socket_was_opened_again() {
    let (mut one, mut other) = pair();
    other.reopen(security(1));
    let datagrams = one.send(START, &other, &message(60_000));
    let (_, by_other) = carry(START, &mut one, &mut other, datagrams);
    assert_eq!(by_other.len(), 2, "one hello and one confirmation for some fifty datagrams");
    assert_eq!(other.messages, Vec::<Vec<u8>>::new());
    let datagrams = one.send(START, &other, b"now");
    carry(START, &mut one, &mut other, datagrams);
    assert_eq!(other.messages, [b"now"]);
}

#[test]
fn a_session_at_another_address_must_show_it() {
    let (mut one, mut other) = pair();
    let datagrams = one.send(START, &other, b"moved");
    let moved = SocketAddr::from(([198, 51, 100, 1], 9));
    let replies = other.take(START, moved, &datagrams);
    assert_eq!(other.messages, Vec::<Vec<u8>>::new());
    assert_eq!(replies.len(), 1, "a hello");
    one.address = moved;
    let answers = one.take(START, other.address, &replies);
    carry(START, &mut one, &mut other, answers);
    let datagrams = one.send(START, &other, b"moved");
    carry(START, &mut one, &mut other, datagrams);
    assert_eq!(other.messages, [b"moved"]);
}

#[test]
fn order_matters_only_beyond_the_window() {
    let (mut one, mut other) = pair();
    let mut early = one.send(START, &other, b"early");
    let late: Vec<_> = (0..replay::REACH - 10).flat_map(|_| one.send(START, &other, b"late")).collect();
    other.take(START, one.address, &late);
    let taken = other.messages.len() as u64;
    assert_eq!(taken, replay::REACH - 10);
    other.take(START, one.address, &early);
    assert_eq!(other.messages.len() as u64, taken + 1, "within");
    early = one.send(START, &other, b"early");
    let late: Vec<_> = (0..replay::REACH + 10).flat_map(|_| one.send(START, &other, b"late")).collect();
    other.take(START, one.address, &late);
    let taken = other.messages.len();
    other.take(START, one.address, &early);
    assert_eq!(other.messages.len(), taken, "beyond");
}

#[test]
fn a_lost_part_loses_its_message_only() {
    let (mut one, mut other) = pair();
    let lost = one.send(START, &other, &message(5000));
    let whole = one.send(START, &other, &message(3000));
    let mixed: Vec<_> =
        lost[1..4].iter().zip(&whole).flat_map(|(lost, whole)| [lost, whole, whole]).collect();
    let mixed: Vec<_> = mixed.into_iter().cloned().collect();
    assert_eq!(whole.len(), 3);
    other.take(START, one.address, &mixed);
    assert_eq!(other.messages, [message(3000)]);
    assert_eq!(other.counters.snapshot().replayed, 3, "the doubles");
    let long = at(60_000);
    let datagrams = one.send(long, &other, &message(3000));
    other.take(long, one.address, &datagrams);
    assert!(other.counters.snapshot().unfinished > 0, "the rest of the first was given up");
}

#[test]
fn keys_change_while_messages_flow() {
    let (rings, mut nodes) = {
        let rings = [shared(1), shared(1)];
        let node = |number: u8, ring: &SharedRing| Node::new(number, Security::Ring(ring.clone()));
        (rings.clone(), [node(1, &rings[0]), node(2, &rings[1])])
    };
    let mut exchange = |what: &str| {
        let [one, other] = &mut nodes;
        for _ in 0..3 {
            let datagrams = one.send(START, other, &message(3000));
            carry(START, one, other, datagrams);
            let datagrams = other.send(START, one, &message(3000));
            carry(START, other, one, datagrams);
        }
        let taken = (one.messages.len(), other.messages.len());
        one.messages.clear();
        other.messages.clear();
        assert_eq!(taken, (3, 3), "{what}");
    };
    exchange("before");
    for ring in &rings {
        ring.install(key(2)).expect("room");
        exchange("installed");
    }
    for ring in &rings {
        ring.use_key(key(2).id()).expect("there");
        exchange("used");
    }
    for ring in &rings {
        ring.remove(key(1).id()).expect("not in use");
        exchange("removed");
    }
    let former = Node::new(3, security(1)).send(START, &nodes[0], b"x");
    nodes[0].take(START, SocketAddr::from(([192, 0, 2, 3], 1)), &former);
    assert_eq!(nodes[0].counters.snapshot().unknown_key, 1, "the former key opens nothing");
}

#[test]
fn the_time_there_and_back_is_measured() {
    let (mut one, mut other) = pair();
    let ping = one.send(at(5000), &other, b"x");
    let pong = other.take(at(5020), one.address, &ping);
    assert_eq!(pong.len(), 1);
    one.take(at(5030), other.address, &pong);
    assert_eq!(one.rtt, Some(at(30)));
    assert_eq!(one.send(at(5999), &other, b"x").len(), 1, "no ping so soon");
}

#[test]
fn what_is_sent_back_or_to_a_third_is_not_taken() {
    let (mut one, mut other) = pair();
    let datagrams = one.send(START, &other, b"x");
    one.take(START, other.address, &datagrams);
    assert_eq!(one.counters.snapshot().replayed, datagrams.len() as u64);
    let mut third = Node::new(3, security(1));
    third.take(START, one.address, &datagrams);
    assert_eq!(third.counters.snapshot().other_session, datagrams.len() as u64);
    assert!(one.messages.is_empty() && third.messages.is_empty());
    other.take(START, one.address, &datagrams);
    assert_eq!(other.messages, [b"x"], "the control");
}

#[test]
fn a_peer_that_does_not_answer_is_asked_now_and_then() {
    let (mut one, other) = (Node::new(1, security(1)), Node::new(2, security(1)));
    let hellos: usize = (0..1000).map(|time| one.send(at(time), &other, b"x").len()).sum();
    assert_eq!(hellos, 5, "in a second");
    assert_eq!(one.counters.snapshot().unsent, 999, "the last one waits");
    assert_eq!(one.send(START, &other, &[]).len(), 0);
    assert_eq!(one.send(START, &other, &message(64 * 1024 + 1)).len(), 0);
    assert_eq!(one.counters.snapshot().unsent, 1001);
}
