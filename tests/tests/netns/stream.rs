//! Bulk data with every offload on: what arrives is what was sent.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, TcpListener, TcpStream},
    thread,
};

use overlay_tests::Container;

use crate::support::{BLUE, addresses, container, hosts, start};

const BYTES: usize = 8 << 20;

/// Bytes that repeat at no length that a packet has.
fn pattern() -> Vec<u8> {
    (0..BYTES as u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// Asserts that a stream between two containers arrives whole.
pub(crate) fn assert_carried(from: &Container, to: &Container, ip: IpAddr) {
    let listener = to.netns.enter(|| TcpListener::bind((ip, 7300))).expect("inside").expect("bound");
    let receiver = thread::spawn(move || {
        let mut received = Vec::with_capacity(BYTES);
        listener.accept().expect("a connection").0.read_to_end(&mut received).expect("received");
        received
    });
    let mut stream = from.netns.enter(|| TcpStream::connect((ip, 7300))).expect("inside").expect("connected");
    let sent = pattern();
    stream.write_all(&sent).expect("sent");
    drop(stream);
    assert!(
        receiver.join().expect("received") == sent,
        "{} to {ip}: what came is not what was sent",
        from.name
    );
}

#[test]
fn streams_arrive_whole_between_hosts_and_on_one() {
    let mut lab = hosts("stream", 2);
    for (name, number, host) in [("a", 1, 0), ("b", 2, 1), ("c", 3, 0)] {
        lab.declare_container(host, BLUE, name, &addresses(number)).expect("declared");
    }
    start(&mut lab);
    let a = container(&lab, "a");
    for to in ["b", "c"].map(|name| container(&lab, name)) {
        for ip in &to.ips {
            assert_carried(a, to, *ip);
        }
        for ip in &a.ips {
            assert_carried(to, a, *ip);
        }
    }
}
