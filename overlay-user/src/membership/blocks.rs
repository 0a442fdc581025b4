//! The blocks that a network's subnets are leased to nodes in.

use std::net::IpAddr;

use ipnet::IpNet;
use overlay_common::hash::fnv1a;

use crate::cluster::Network;

/// Prefix length of a block of IPv4: 64 addresses.
const V4: u8 = 26;
/// Prefix length of a block of IPv6.
const V6: u8 = 112;
/// The most blocks of a subnet that are looked at: more than a cluster of gossip has nodes.
const MOST: usize = 4096;
/// The most addresses of a block: those of one of IPv6.
const MOST_ADDRESSES: usize = 1 << 16;

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

/// The lowest address of a block of a network that may be an endpoint's and is not taken.
pub(super) fn free_in(
    block: &IpNet,
    network: &Network,
    reserved: &[IpNet],
    is_taken: impl Fn(IpAddr) -> bool,
) -> Option<IpAddr> {
    if reserved.iter().any(|prefix| prefix.contains(block)) {
        return None;
    }
    // The first address of an IPv6 subnet is that of all its routers (RFC 4291 section 2.6.1): asked for by name an
    // endpoint may have it, of itself it gets another.
    let anycast = |ip: IpAddr| ip.is_ipv6() && network.subnets.iter().any(|subnet| subnet.network() == ip);
    // `hosts` of a block leaves its first and last out, which are addresses like any other of the subnet.
    let ips =
        std::iter::successors(Some(block.network()), |ip| next(*ip)).take_while(|ip| block.contains(ip));
    ips.take(MOST_ADDRESSES).find(|ip| {
        !is_taken(*ip)
            && !anycast(*ip)
            && !reserved.iter().any(|prefix| prefix.contains(ip))
            && network.check_address(*ip).is_ok()
    })
}

fn next(ip: IpAddr) -> Option<IpAddr> {
    match ip {
        IpAddr::V4(ip) => u32::from(ip).checked_add(1).map(|ip| IpAddr::V4(ip.into())),
        IpAddr::V6(ip) => u128::from(ip).checked_add(1).map(|ip| IpAddr::V6(ip.into())),
    }
}
