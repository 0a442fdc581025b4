//! What leaves by the underlay device over IPv6: VXLAN of our networks only with our mark, all else untouched.

use etherparse::IpNumber;
use overlay_common::{DropReason, mark::to_vtep};

use crate::{
    frames::{OUTER_IP, each_kind, eth, extended, extension, udp, udp_v4, v6},
    harness::{Hook, Kernel, Meta, Verdict},
    scene::{
        FOREIGN_VNI, LOCAL, OTHER_VNI, OUR_VTEP_V6, OUTER_DST, OUTER_SRC, OWN, REMOTE_V6, SECRET_VNI,
        UDP_PORT, VNI, VTEP_V6,
    },
};

const HOOK: Hook = Hook::ToUnderlay;
const UDP: usize = OUTER_IP + 40;
const VXLAN: usize = UDP + 8;
const FRAGMENT: IpNumber = IpNumber(44);
const OPTIONS: IpNumber = IpNumber(60);

/// A VXLAN header.
fn header(vni: u32) -> Vec<u8> {
    [&[8, 0, 0, 0][..], &(vni << 8).to_be_bytes()].concat()
}

/// A datagram to the VXLAN port of another node, after masquerading.
fn datagram(payload: &[u8]) -> Vec<u8> {
    let packet = v6(OUR_VTEP_V6, VTEP_V6, IpNumber::UDP, &udp(40_000, UDP_PORT, payload));
    eth(OUTER_DST, OUTER_SRC, 0x86dd, &packet)
}

/// A forged frame of a network.
fn forged(vni: u32) -> Vec<u8> {
    datagram(&[header(vni), udp_v4(&LOCAL, &REMOTE_V6)].concat())
}

fn fragment(offset: u16, more: bool) -> (IpNumber, Vec<u8>) {
    let [high, low] = (offset | u16::from(more)).to_be_bytes();
    (FRAGMENT, vec![0, 0, high, low, 1, 2, 3, 4])
}

fn options(number: u8) -> (IpNumber, Vec<u8>) {
    (IpNumber(number), extension(IpNumber(0), 1))
}

#[track_caller]
fn drops(kernel: &Kernel, frame: &[u8], vni: u32) {
    kernel.drops(HOOK, frame, vni, DropReason::VxlanFromContainer);
}

#[test]
fn vxlan_of_a_network_of_ours_without_the_mark_is_dropped() {
    let kernel = Kernel::scene();
    for vni in [VNI, OTHER_VNI, SECRET_VNI] {
        drops(&kernel, &forged(vni), vni);
    }
    drops(&kernel, &datagram(&header(VNI)), VNI);
    for vni in [FOREIGN_VNI, 0, 0xff_ffff] {
        kernel.passes(HOOK, &forged(vni));
    }
    for payload in [&b""[..], b"hello", b"a foreign service on this port"] {
        kernel.passes(HOOK, &datagram(payload));
    }
}

#[test]
fn what_from_container_sends_passes() {
    let kernel = Kernel::scene();
    for frame in each_kind(&OWN, &REMOTE_V6) {
        let sent = kernel.run(Hook::FromContainer, &frame);
        assert_eq!((sent.verdict, sent.mark), (Verdict::Redirect, to_vtep(6)));
        let meta = Meta { mark: sent.mark, ..Meta::default() };
        assert_eq!(kernel.run_with(HOOK, &sent.frame, meta).verdict, Verdict::Pass);
        drops(&kernel, &sent.frame, VNI);
    }
}

#[test]
fn extension_headers_do_not_hide_it() {
    let kernel = Kernel::scene();
    // Options of every hop, of the destination, a routing header, an atomic fragment.
    for headers in [
        vec![options(0)],
        vec![options(60)],
        vec![options(43)],
        vec![fragment(0, false)],
        vec![options(0), options(60), options(43), fragment(0, false)],
    ] {
        drops(&kernel, &extended(&forged(VNI), &headers), VNI);
        kernel.passes(HOOK, &extended(&forged(FOREIGN_VNI), &headers));
    }
    // What is behind more of them is not known, and nobody sends so many.
    let five = [options(60), options(60), options(60), options(60), options(60)];
    drops(&kernel, &extended(&forged(VNI), &five), 0);
    drops(&kernel, &extended(&forged(FOREIGN_VNI), &five), 0);
    kernel.passes(HOOK, &extended(&forged(FOREIGN_VNI), &five[..4]));
}

#[test]
fn a_first_fragment_does_not_hide_it_and_a_later_one_passes() {
    let kernel = Kernel::scene();
    drops(&kernel, &extended(&forged(VNI), &[fragment(0, true)]), VNI);
    kernel.passes(HOOK, &extended(&forged(FOREIGN_VNI), &[fragment(0, true)]));
    for (offset, more) in [(8, true), (1448, false)] {
        kernel.passes(HOOK, &extended(&forged(VNI), &[fragment(offset, more)]));
    }
    // The VXLAN header, or the UDP header, begins in the second fragment.
    for len in 0..8 {
        drops(&kernel, &extended(&datagram(&header(VNI)[..len]), &[fragment(0, true)]), 0);
        kernel.passes(HOOK, &datagram(&header(VNI)[..len]));
        drops(&kernel, &extended(&datagram(b"")[..UDP + len], &[fragment(0, true)]), 0);
    }
    drops(
        &kernel,
        &extended(&datagram(b""), &[fragment(0, true), (OPTIONS, extension(IpNumber(0), 9))])[..UDP + 10],
        0,
    );
}

#[test]
fn a_segment_of_a_super_frame_does_not_hide_it() {
    let kernel = Kernel::scene();
    let segment = |vni| [header(vni), vec![0xc3; 92]].concat();
    for place in 0..30 {
        let mut segments = vec![segment(FOREIGN_VNI); 30];
        let run = |segments: &[Vec<u8>]| {
            kernel
                .run_with(HOOK, &datagram(&segments.concat()), Meta { gso_size: 100, ..Meta::default() })
                .verdict
        };
        assert_eq!(run(&segments), Verdict::Pass, "the control");
        segments[place] = segment(OTHER_VNI);
        assert_eq!(run(&segments), Verdict::Drop, "segment {place}");
    }
}

#[test]
fn what_is_not_udp_to_our_port_passes() {
    let kernel = Kernel::scene();
    let frame = forged(VNI);
    for port in [UDP_PORT - 1, UDP_PORT + 1, 8472, 0] {
        let mut other = frame.clone();
        other[UDP + 2..UDP + 4].copy_from_slice(&port.to_be_bytes());
        kernel.passes(HOOK, &other);
    }
    for protocol in [IpNumber::TCP, IpNumber::IPV6_ICMP, IpNumber::UDP_LITE, IpNumber(59)] {
        let mut other = frame.clone();
        other[OUTER_IP + 6] = protocol.0;
        kernel.passes(HOOK, &other);
    }
    let mut without_flag = frame.clone();
    without_flag[VXLAN] = 0;
    kernel.passes(HOOK, &without_flag);
    drops(&kernel, &frame, VNI);
}
