//! The least that Cilium's VXLAN mode does for a packet: programs that hand it to a VXLAN device with the tunnel's key
//! beside it, and take it from there. Connection tracking, policy, services and identities are left out.

use anyhow::Result;
use overlay_tests::Netns;

use super::{
    pair::{Joined, MTU, Pair},
    programs::{DOOR, forward, ifindex, prepare},
};
use crate::{cable::HOSTS, reference::Reference};

/// What stands for the sender's identity in the VXLAN header.
const VNI: u32 = 42;

/// On each host `tunnel_out` at the container's veth and `tunnel_in` at the VXLAN device.
pub(super) fn start() -> Result<Joined> {
    let pair = Pair::new("cilium", 16)?;
    prepare(&pair)?;
    for host in &pair.hosts {
        add_vxlan(host)?;
    }
    let programs = vec![programs(&pair, 0)?, programs(&pair, 1)?];
    let path = "eth0 - v1 - tunnel_out: one look-up, bpf_skb_set_tunnel_key - vxlan0 - eth0 - eth0 - vxlan0 - tunnel_in: one \
         look-up, bpf_redirect_peer - eth0; a minimum that flatters Cilium: no connection tracking, policy, services";
    Ok(Joined { name: "cilium", pair, counted: "vxlan0", path, _programs: programs })
}

/// A device for all tunnels: each packet brings its own key.
fn add_vxlan(host: &Netns) -> Result<()> {
    host.ip(&format!(
        "link add vxlan0 address {DOOR} mtu {MTU} type vxlan external dstport 8472 nolearning"
    ))?;
    host.ip("link set vxlan0 up")?;
    Ok(())
}

fn programs(pair: &Pair, index: usize) -> Result<Reference> {
    let host = &pair.hosts[index];
    let mut reference = Reference::load(&["tunnel_out", "tunnel_in", "redirect_in"])?;
    let device = ifindex(host, "vxlan0")?;
    for far in pair.on(1 - index) {
        reference.tunnel(far.ip, device, HOSTS[1 - index], VNI)?;
    }
    forward(pair, index, &mut reference, "tunnel_out", ("tunnel_in", "vxlan0"))?;
    Ok(reference)
}
