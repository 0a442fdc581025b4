//! Values of maps, which another process may have altered.

use bytemuck::{Pod, pod_read_unaligned};
use overlay_common::{
    Handed, Ip16, MacAddr, Vni,
    map::{self, Prefix},
    vxlan::{self, Route},
};
use overlay_user::decoders::maps;

use crate::Decoder;

/// A byte that says of which map, and a value.
pub(crate) const MAPS: Decoder = Decoder {
    name: "maps",
    longest: 1 + size_of::<map::Port>(),
    words: &["ovXD", "\0\0\0\0\0\0\0\0\0\0\u{7f}\u{7f}"],
    seeds,
    read,
};

fn seeds() -> Vec<Vec<u8>> {
    let mac = MacAddr::new([2, 0x42, 10, 1, 0, 1]);
    let [four, six] =
        ["10.88.0.2", "fd88::2"].map(|ip| ip.parse().unwrap_or(std::net::Ipv6Addr::LOCALHOST.into()));
    let Ok(vni) = Vni::new(42) else { return Vec::new() };
    let prefixes = [Prefix::new(four, 32), Prefix::new(six, 64)];
    let route = Route { ifindex: 2, next_hop: four, src_mac: mac, dst_mac: Some(mac), inner_mtu: 1450 };
    let local = std::net::Ipv4Addr::new(10, 88, 0, 1);
    let seed = |number: u8, value: &[u8]| [&[number], value].concat();
    let mut seeds = vec![
        seed(0, bytemuck::bytes_of(&map::NodeConfig::new((Some(local), None), 2, 4789))),
        seed(1, bytemuck::bytes_of(&map::Net::new(1))),
        seed(3, bytemuck::bytes_of(&map::Fdb::local(7).with_flags(map::Fdb::HAS_IPV4))),
        seed(3, bytemuck::bytes_of(&map::Fdb::remote(7, 1))),
        seed(4, bytemuck::bytes_of(&vxlan::Vtep::v4(local, [10, 88, 0, 2].into(), 4789, route))),
        seed(
            5,
            &[
                bytemuck::bytes_of(&map::NeighKey::new(42, four.into())),
                bytemuck::bytes_of(&map::Neigh::new(mac)),
            ]
            .concat(),
        ),
    ];
    seeds.extend(map::Port::new(vni, &[mac], &prefixes, 1).map(|port| seed(2, bytemuck::bytes_of(&port))));
    seeds
}

/// The value that bytes begin with; missing ones are zero.
fn value<T: Pod>(bytes: &[u8]) -> T {
    let mut whole = vec![0; size_of::<T>()];
    let length = whole.len().min(bytes.len());
    whole[..length].copy_from_slice(&bytes[..length]);
    pod_read_unaligned(&whole)
}

/// A value that is written for what another says says the same: written once more, it is itself.
fn read(input: &[u8]) -> bool {
    let Some((number, bytes)) = input.split_first() else { return false };
    match number % 7 {
        0 => settles(maps::node(value(bytes)), maps::node),
        1 => settles(Some(maps::net(value(bytes))), |net| Some(maps::net(net))),
        2 => settles(maps::port(&value(bytes)), |port| maps::port(&port)),
        3 => settles(maps::fdb(value(bytes)), maps::fdb),
        4 => settles(Some(maps::vtep(&value(bytes))), |vtep| Some(maps::vtep(&vtep))),
        5 => {
            let (key, neigh): (map::NeighKey, map::Neigh) =
                (value(bytes), value(bytes.get(24..).unwrap_or_default()));
            let found = maps::neigh(key, neigh);
            assert!(found.is_none_or(|(ip, mac)| Ip16::from(ip) == key.ip && mac == neigh.mac));
            found.is_some()
        }
        _ => {
            let fdb = map::Fdb::from_word(value(bytes));
            fdb.is_some_and(|fdb| Handed::new(42, fdb).read() == Some((42, fdb)))
        }
    }
}

fn settles<T: Copy + PartialEq + std::fmt::Debug>(
    written: Option<T>,
    again: impl Fn(T) -> Option<T>,
) -> bool {
    assert_eq!(written.and_then(again), written);
    written.is_some()
}
