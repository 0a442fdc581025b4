//! Frames that no VTEP would send: each is a counted drop, and what follows gets through.

use etherparse::{PacketBuilder, VlanId};

use crate::{
    frames::Vxlan,
    rogue::{Rogue, inner},
    support::{BLUE, Drops, mac, v4},
};

/// Offsets in a frame without outer VLAN tag and options.
const IP: usize = 14;
const UDP: usize = IP + 20;

/// The frame with some bytes replaced, and its IPv4 header summed again.
fn patched(mut frame: Vec<u8>, offset: usize, bytes: &[u8]) -> Vec<u8> {
    frame[offset..offset + bytes.len()].copy_from_slice(bytes);
    frame[IP + 10..IP + 12].fill(0);
    let words = frame[IP..UDP].chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let sum: u32 = words.sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    frame[IP + 10..IP + 12].copy_from_slice(&sum.to_be_bytes());
    frame
}

#[test]
fn malformed_vxlan_is_counted_and_goes_nowhere() {
    let rogue = Rogue::new("malformed");
    let honest = rogue.honest.clone();
    let good = honest.with(&inner(1, 6001));
    // The control of `patched`: the same bytes again are delivered.
    assert_eq!(rogue.delivered("a", &[patched(good.clone(), IP + 1, &[0])]), ["6001"]);
    let length = |bytes: u16| bytes.to_be_bytes();
    let mut wrong_sum = good.clone();
    wrong_sum[IP + 10] ^= 0xff;
    let cases = [
        ("no VNI flag", Vxlan { flags: 0, ..honest.clone() }.with(&inner(1, 6001))),
        ("a reserved flag", Vxlan { flags: 0x88, ..honest.clone() }.with(&inner(1, 6001))),
        ("a wrong sum of the outer header", wrong_sum),
        ("a UDP length beyond the packet", patched(good.clone(), UDP + 4, &length(1400))),
        ("a UDP length below its header", patched(good.clone(), UDP + 4, &length(7))),
        ("an inner frame shorter than its header", honest.with(&[2; 13])),
        (
            "a source MAC address that is a group",
            honest.with(&{
                let mut frame = inner(1, 6001);
                frame[6] |= 1;
                frame
            }),
        ),
    ];
    for (what, frame) in cases {
        let before = Drops::read(&rogue.lab.hosts[0]);
        let honest = honest.with(&inner(1, 6999));
        assert_eq!(rogue.delivered("a", &[frame, honest]), ["6999"], "{what}");
        let counted = before.since(&rogue.lab.hosts[0]);
        assert_eq!(counted.total("malformed"), 1, "{what}: {counted:?}");
    }
    // The inner packet cannot carry on what a router on the way said of congestion (RFC 6040 section 4.2).
    let congested = patched(good.clone(), IP + 1, &[3]);
    rogue.assert_dropped(congested, "ce_not_ect", Some(BLUE), "congestion on a flow that cannot carry it");
    let first_fragment = patched(good, IP + 6, &[0x20, 0]);
    rogue.assert_dropped(first_fragment, "outer_fragment", None, "a first fragment");
}

#[test]
fn a_tagged_inner_frame_is_counted() {
    let rogue = Rogue::new("tagged");
    let mut tagged = Vec::new();
    PacketBuilder::ethernet2(mac(2), mac(1))
        .single_vlan(VlanId::try_new(7).expect("an id"))
        .ipv4(v4(2).octets(), v4(1).octets(), 64)
        .udp(5555, 6001)
        .write(&mut tagged, b"marked")
        .expect("a Vec takes everything");
    rogue.assert_dropped(rogue.honest.with(&tagged), "vlan_tagged", Some(BLUE), "a tagged frame");
}

#[test]
fn random_bytes_neither_crash_nor_pass() {
    let rogue = Rogue::new("random");
    // A fixed sequence (Knuth's MMIX constants), so that a failure comes again.
    let mut state = 42_u64;
    let mut byte = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let good = rogue.honest.with(&inner(1, 6001));
    let frames: Vec<Vec<u8>> = (0..100)
        .map(|_| {
            let mut frame = good.clone();
            for _ in 0..4 {
                // Anything behind the addresses of the outer Ethernet header.
                let offset = IP + usize::from(byte()) % (frame.len() - IP);
                frame[offset] = byte();
            }
            frame
        })
        .collect();
    rogue.delivered("a", &frames);
    assert_eq!(rogue.delivered("a", &[rogue.honest.with(&inner(1, 6999))]), ["6999"], "it goes on");
    let status = rogue.lab.hosts[0].status().expect("an answer");
    assert_eq!(status["state"], "healthy", "{status}");
}
