//! ARP.

use network_types::arp::ArpHdr;
use overlay_common::{
    DropReason, MacAddr,
    arp::{Arp, LEN},
};

use crate::inputs::{pairs, single_bytes};

/// A request of 10.1.0.1 for 10.1.0.2 (RFC 826).
const REQUEST: [u8; LEN] =
    [0, 1, 8, 0, 6, 4, 0, 1, 2, 0x42, 10, 1, 0, 1, 10, 1, 0, 1, 0, 0, 0, 0, 0, 0, 10, 1, 0, 2];

/// The header that bytes are.
fn header(b: [u8; LEN]) -> ArpHdr {
    let bytes = |from: usize| [b[from], b[from + 1], b[from + 2], b[from + 3]];
    let mac = |from: usize| [b[from], b[from + 1], b[from + 2], b[from + 3], b[from + 4], b[from + 5]];
    ArpHdr {
        htype: [b[0], b[1]],
        ptype: [b[2], b[3]],
        hlen: b[4],
        plen: b[5],
        oper: [b[6], b[7]],
        sha: mac(8),
        spa: bytes(14),
        tha: mac(18),
        tpa: bytes(24),
    }
}

/// What bytes say, by the text of RFC 826.
fn check(bytes: [u8; LEN]) {
    let parsed = Arp::parse(&header(bytes));
    let well_formed = bytes[..6] == [0, 1, 8, 0, 6, 4] && bytes[6] == 0 && (bytes[7] == 1 || bytes[7] == 2);
    let Ok(arp) = parsed else {
        assert!(!well_formed, "{bytes:?}");
        assert_eq!(parsed, Err(DropReason::Malformed));
        return;
    };
    assert!(well_formed, "{bytes:?}");
    assert_eq!(arp.request, bytes[7] == 1);
    assert_eq!(arp.sender_mac.octets(), bytes[8..14]);
    assert_eq!((&arp.sender_ip[..], &arp.target_ip[..]), (&bytes[14..18], &bytes[24..28]));
    let owner = MacAddr::new([2, 0x42, 10, 1, 0, 2]);
    let (eth, reply) = arp.reply(owner);
    assert_eq!((eth.dst.octets(), eth.src, eth.ethertype), (arp.sender_mac.octets(), owner, [8, 6]));
    let reply = Arp::parse(&reply).expect("what we answer is ARP");
    let expected =
        Arp { request: false, sender_mac: owner, sender_ip: arp.target_ip, target_ip: arp.sender_ip };
    assert_eq!(reply, expected);
}

#[test]
fn one_byte_of_any_value() {
    Arp::parse(&header(REQUEST)).expect("the control is ARP");
    single_bytes(REQUEST).for_each(check);
}

#[test]
fn two_bytes() {
    pairs(REQUEST).for_each(check);
}

#[test]
fn the_operation_of_any_value() {
    for operation in 0..=u16::MAX {
        let mut bytes = REQUEST;
        bytes[6..8].copy_from_slice(&operation.to_be_bytes());
        check(bytes);
    }
}
