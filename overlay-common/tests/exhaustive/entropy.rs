//! The UDP source port.

use overlay_common::{Ip16, MacAddr, entropy};

#[test]
fn every_port_is_of_the_range_of_rfc_7348() {
    let (mut least, mut most) = (u16::MAX, 0);
    let (src, dst) = (Ip16::v4([10, 1, 0, 1]), Ip16::v4([10, 1, 0, 2]));
    for protocol in 0..=u8::MAX {
        for ports in (0..=u32::MAX).step_by(0x0011_1111) {
            let port = u16::from_be_bytes(entropy::source_port(entropy::flow(src, dst, protocol, ports)));
            (least, most) = (least.min(port), most.max(port));
        }
    }
    // 16384 ports in many more tries: both ends turn up.
    assert!((49_152..49_160).contains(&least) && most > 65_528, "{least} to {most}");
}

#[test]
fn the_ends_of_the_hash_are_of_the_range() {
    for bits in 0..64 {
        for hash in [1 << bits, (1_u64 << bits) - 1, !(1 << bits), u64::MAX << bits] {
            assert!(u16::from_be_bytes(entropy::source_port(hash)) >= 49_152, "{hash:x}");
        }
    }
}

#[test]
fn each_byte_of_what_a_flow_is_tells() {
    let base = entropy::flow(Ip16::v6([1; 16]), Ip16::v6([2; 16]), 6, 7);
    for place in 0..16 {
        for byte in (0..=u8::MAX).filter(|byte| *byte != 1 && *byte != 2) {
            let (mut src, mut dst) = ([1; 16], [2; 16]);
            src[place] = byte;
            assert_ne!(entropy::flow(Ip16::v6(src), Ip16::v6([2; 16]), 6, 7), base, "{place} {byte}");
            dst[place] = byte;
            assert_ne!(entropy::flow(Ip16::v6([1; 16]), Ip16::v6(dst), 6, 7), base, "{place} {byte}");
        }
    }
    let stations = |a, b| entropy::stations(MacAddr::new(a), MacAddr::new(b));
    for place in 0..6 {
        let mut other = [2; 6];
        other[place] = 3;
        assert_ne!(stations(other, [4; 6]), stations([2; 6], [4; 6]));
        assert_ne!(stations([4; 6], other), stations([4; 6], [2; 6]));
    }
}
