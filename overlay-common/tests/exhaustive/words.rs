//! Words of maps, of metadata and of marks: what an altered byte makes of them.

use std::net::IpAddr;

use overlay_common::{
    Handed, Ip16, MacAddr,
    map::{Fdb, MAX_VTEPS, Prefix, Slice},
    mark,
};

use crate::inputs::{pairs, single_bytes};

fn check_fdb(bytes: [u8; 8]) {
    let word = u64::from_le_bytes(bytes);
    let [t0, t1, t2, t3, delivery, flags, ..] = bytes;
    let expected = (delivery != 0).then_some((u32::from_le_bytes([t0, t1, t2, t3]), delivery, flags));
    let found = Fdb::from_word(word);
    assert_eq!(found.map(|fdb| (fdb.to(), fdb.delivery(), fdb.flags())), expected, "{word:x}");
    assert!(found.is_none_or(|fdb| fdb.word() == word));
    // What XDP hands on is what TC finds.
    if let Some(fdb) = found {
        assert_eq!(Handed::new(t0.into(), fdb).read(), Some((t0.into(), fdb)));
    }
}

#[test]
fn an_entry_of_the_fdb() {
    for good in [Fdb::local(7), Fdb::remote(MAX_VTEPS - 1, Fdb::ENCRYPTED), Fdb::NONE] {
        single_bytes(good.word().to_le_bytes()).for_each(check_fdb);
        pairs(good.word().to_le_bytes()).for_each(check_fdb);
    }
}

#[test]
fn a_mark_tells_a_place_where_its_upper_bits_are_ours() {
    for good in [mark::UNDERLAY_MARK, mark::ANCHOR, mark::UNDERLAY_MARK | (MAX_VTEPS - 1), 0] {
        for bytes in single_bytes(good.to_be_bytes()).chain(pairs(good.to_be_bytes())) {
            let word = u32::from_be_bytes(bytes);
            let expected = (word >> 12 == 0x6_f766).then_some(word & 0xfff);
            assert_eq!(mark::vtep(word), expected, "{word:x}");
        }
    }
    for place in 0..MAX_VTEPS {
        assert_eq!(mark::vtep(mark::to_vtep(place)), Some(place));
    }
}

/// The first bytes of an address, under a mask, as 128 bits.
fn model_contains(net: IpAddr, len: u8, ip: IpAddr) -> bool {
    let bits = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => (32, u128::from(ip.to_bits())),
        IpAddr::V6(ip) => (128, ip.to_bits()),
    };
    let ((width, net), (other, ip)) = (bits(net), bits(ip));
    width == other && (len == 0 || net >> (width - len) == ip >> (width - len))
}

#[test]
fn a_prefix_of_every_length_holds_what_shares_its_bits() {
    for (text, width) in [("10.1.2.3", 32_u8), ("255.255.255.255", 32), ("fd00:1::7", 128), ("ff02::1", 128)]
    {
        let net: IpAddr = text.parse().expect("an address");
        for len in 0..=width {
            let prefix = Prefix::new(net, len);
            assert!(prefix.contains(net.into()), "the control: {net}/{len}");
            let octets = Ip16::from(net).octets();
            let first = 16 - usize::from(width) / 8;
            for bit in 0..usize::from(width) {
                let mut near = octets;
                near[first + bit / 8] ^= 0x80 >> (bit % 8);
                let near = Ip16::v6(near);
                assert_eq!(
                    prefix.contains(near),
                    model_contains(net, len, near.to_ip()),
                    "{net}/{len} {near}"
                );
            }
            let (addr, parts) = prefix.parts();
            assert_eq!(parts, len, "{net}/{len}");
            assert!(model_contains(net, len, addr), "{net}/{len}: {addr}");
            let other: IpAddr = if net.is_ipv4() { [0xfd; 16].into() } else { [10, 1, 2, 3].into() };
            assert!(!prefix.contains(other.into()), "{net}/{len}: {other}");
        }
    }
}

#[test]
fn a_slice_has_a_slot_for_each_of_its_addresses_and_for_no_other() {
    for (base, len, offset) in
        [(0x0a01_0000, 4, 8), (u32::MAX - 3, 4, 0), (0, 0, 0), (0, 2, u32::MAX - 1), (0, u32::MAX, 0)]
    {
        let slice = Slice { base, len, offset };
        let near = (0..4_u32).flat_map(|step| {
            [base.wrapping_add(step), base.wrapping_sub(step + 1), base.wrapping_add(len).wrapping_add(step)]
        });
        for ip in near {
            let place = ip.wrapping_sub(base);
            let mac = MacAddr::from_ipv4(ip.into());
            let slot = (place < len).then(|| offset.wrapping_add(place));
            assert_eq!(slice.slot(mac), slot, "{slice:?} {mac}");
            if let Some(slot) = slot.filter(|slot| *slot >= offset) {
                assert_eq!(slice.mac(slot), Some(mac), "{slice:?}");
            }
        }
        for slot in (0..4_u32)
            .flat_map(|step| [offset.wrapping_sub(step + 1), offset.wrapping_add(len).wrapping_add(step)])
        {
            let inside = slot.checked_sub(offset).is_some_and(|place| place < len);
            assert_eq!(slice.mac(slot).is_some(), inside, "{slice:?} {slot}");
        }
    }
}

#[test]
fn an_address_tells_a_mac_address_where_all_of_its_bytes_say_so() {
    let mac = MacAddr::new([2, 0x42, 10, 1, 0, 7]);
    for good in [mac.link_local().octets(), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 0, 7], [0; 16]]
    {
        for bytes in single_bytes(good).chain(pairs(good)) {
            let ip = Ip16::v6(bytes);
            assert_eq!((ip.octets(), Ip16::from(ip.to_ip())), (bytes, ip));
            // RFC 4291 section 2.5.5.2 and appendix A.
            let mapped = bytes[..12] == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
            let eui64 = bytes[..8] == [0xfe, 0x80, 0, 0, 0, 0, 0, 0] && bytes[11..13] == [0xff, 0xfe];
            let [.., h, i, j, _, l, m, n, o] = bytes;
            assert_eq!((ip.is_v4(), ip.to_ip().is_ipv4()), (mapped, mapped), "{ip}");
            let derived = mapped.then(|| MacAddr::new([0x02, 0x42, l, m, n, o]));
            assert_eq!(MacAddr::of_ipv4(ip), derived, "{ip}");
            let own = eui64.then(|| MacAddr::new([h ^ 2, i, j, m, n, o]));
            assert_eq!(MacAddr::of_link_local(ip), own, "{ip}");
            assert!(own.is_none_or(|mac| mac.link_local().octets() == bytes));
            assert!(derived.is_none_or(|mac| mac.ipv4().is_some_and(|ip| ip.octets() == [l, m, n, o])));
        }
    }
}
