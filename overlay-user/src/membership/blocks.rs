//! The blocks that a network's subnets are leased to nodes in.

use std::{collections::BTreeSet, net::IpAddr};

use ipnet::IpNet;
use overlay_common::hash::fnv1a;

/// Prefix length of a block of IPv4: 64 addresses.
const V4: u8 = 26;
/// Prefix length of a block of IPv6.
const V6: u8 = 112;
/// The most blocks of a subnet that are looked at: more than a cluster of gossip has nodes.
const MOST: usize = 4096;

/// Prefix length of the blocks of a subnet: of a small one a sixteenth, so that several nodes have some.
pub(super) fn block_len(subnet: &IpNet) -> u8 {
    let (usual, longest) = if subnet.network().is_ipv4() { (V4, 32) } else { (V6, 128) };
    (subnet.prefix_len() + 4).max(usual).min(longest)
}

/// The blocks of a subnet, from a place on that depends on the node: so two nodes seldom want the same.
pub(super) fn blocks_for(subnet: &IpNet, node: &str) -> Vec<IpNet> {
    let Ok(all) = subnet.subnets(block_len(subnet)) else { return Vec::new() };
    let mut all: Vec<IpNet> = all.take(MOST).collect();
    let from = (fnv1a(node.bytes()) % all.len().max(1) as u64) as usize;
    all.rotate_left(from);
    all
}

/// The lowest address of a block that may be an endpoint's.
pub(super) fn free_in(
    block: &IpNet,
    subnet: &IpNet,
    taken: &BTreeSet<IpAddr>,
    reserved: &[IpNet],
) -> Option<IpAddr> {
    // RFC 3021; the first address of an IPv6 subnet is that of all its routers (RFC 4291 section 2.6.1).
    let special = |ip: IpAddr| match subnet {
        IpNet::V4(subnet) => {
            subnet.prefix_len() < 31
                && (ip == IpAddr::V4(subnet.network()) || ip == IpAddr::V4(subnet.broadcast()))
        }
        IpNet::V6(subnet) => ip == IpAddr::V6(subnet.network()),
    };
    // `hosts` of a block leaves its first and last out, which are addresses like any other of the subnet.
    let first = block.network();
    let ips = std::iter::successors(Some(first), |ip| next(*ip)).take_while(|ip| block.contains(ip));
    ips.take(taken.len() + 65_536)
        .find(|ip| !taken.contains(ip) && !special(*ip) && !reserved.iter().any(|prefix| prefix.contains(ip)))
}

fn next(ip: IpAddr) -> Option<IpAddr> {
    match ip {
        IpAddr::V4(ip) => u32::from(ip).checked_add(1).map(|ip| IpAddr::V4(ip.into())),
        IpAddr::V6(ip) => u128::from(ip).checked_add(1).map(|ip| IpAddr::V6(ip.into())),
    }
}
