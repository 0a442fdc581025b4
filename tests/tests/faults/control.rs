//! The load itself: it finds nothing where nothing is wrong, and every packet that is lost.

use std::{net::UdpSocket, thread, time::Duration};

use overlay_common::{MacAddr, map::Fdb};
use overlay_tests::{Flow, Load, Losses};

use crate::{
    figures::Row,
    pins::Pins,
    support::{BLUE, BLUE_VNI, Drops, container, mac, pair, v4},
};

/// How long without any fault.
const CALM: Duration = Duration::from_secs(2);
/// How long the entry is missing: far less than the time between two audits.
const GAP: Duration = Duration::from_millis(50);

#[test]
fn nothing_is_lost_without_a_fault() {
    let lab = pair("calm");
    let load = Load::start(&lab, "a", "b").expect("a load");
    thread::sleep(CALM);
    let report = load.stop().expect("counted");
    Row::new("none", 0).load(&report).add();
    report.assert_clean();
    assert!(report.sent >= 2 * 18_000 && report.tcp_bytes > 10_000_000, "{report:?}");
}

#[test]
fn every_lost_packet_is_counted() {
    let mut lab = pair("gap");
    let load = Load::start(&lab, "a", "b").expect("a load");
    let before = Drops::read(&lab.hosts[0]);
    // With no agent there is nobody to repair it first.
    lab.hosts[0].kill_agent().expect("killed");
    let mut pins = Pins::open(&lab.hosts[0]);
    let slot = pins.slot(BLUE_VNI, MacAddr::new(mac(2)));
    let entry = pins.slots.get(&slot, 0).expect("an entry");
    assert_ne!(entry, Fdb::NONE);
    thread::sleep(Duration::from_millis(200));
    pins.slots.set(slot, Fdb::NONE, 0).expect("emptied");
    thread::sleep(GAP);
    pins.slots.set(slot, entry, 0).expect("put back");
    thread::sleep(Duration::from_millis(500));
    let report = load.stop().expect("counted");
    lab.hosts[0].start_agent().expect("started");
    let moved = before.since(&lab.hosts[0]);
    let dropped = moved.count("unknown_mac", BLUE);
    Row::new("control: an FDB entry gone for 50 ms", 1).load(&report).note("must lose").add();
    report.assert_valid();
    assert!(report.lost >= 100 && report.lost <= dropped, "{dropped} were dropped: {report:?}");
    assert_eq!((report.duplicated, report.corrupted), (0, 0), "{report:?}");
    // TCP sends again what was dropped.
    assert!(report.tcp_ok(), "{report:?}");
}

#[test]
fn what_is_not_sent_is_not_taken_for_received() {
    let lab = pair("deaf");
    let (a, b) = (container(&lab, "a"), container(&lab, "b"));
    let flow = Flow::start((&a.netns, v4(1).into()), (&b.netns, v4(2).into()), 1000).expect("a flow");
    thread::sleep(Duration::from_millis(200));
    assert!(flow.arrived() > 100, "{}", flow.arrived());
    b.netns.ip("link set eth0 down").expect("set");
    thread::sleep(Duration::from_millis(200));
    let report = flow.stop().expect("counted");
    assert!(report.lost() >= 150 && report.received > 100, "{report:?}");
}

#[test]
fn what_a_full_socket_buffer_loses_is_told_from_what_the_data_path_loses() {
    let lab = pair("buffer");
    let b = container(&lab, "b");
    let losses = Losses::open(&b.netns).expect("counters");
    assert_eq!(losses.since().expect("read"), Vec::<String>::new(), "the control");
    // Nobody reads, and the buffer is that of the system.
    let socket = || UdpSocket::bind(("127.0.0.1", 0));
    let deaf = b.netns.enter(socket).expect("entered").expect("a socket");
    let sender = b.netns.enter(socket).expect("entered").expect("a socket");
    for _ in 0..10_000 {
        sender.send_to(&[0; 1000], deaf.local_addr().expect("an address")).expect("sent");
    }
    let lost = losses.since().expect("read");
    assert!(lost.len() == 1 && lost[0].contains("socket's buffer full"), "{lost:?}");
}
