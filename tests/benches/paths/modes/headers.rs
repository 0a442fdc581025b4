//! As `redirect`, with outer headers that are pushed and popped and do not depend on the packet: what no program that
//! pushes headers can be faster than. What ours loses to it is the price of what ours decides and guards.

use anyhow::Result;

use super::{
    pair::{Joined, Pair},
    programs::prepare,
    redirect::programs,
};

/// On each host `headers_out` at the container's veth and `headers_in` at the underlay device.
pub(super) fn start() -> Result<Joined> {
    let pair = Pair::new("headers", 16)?;
    prepare(&pair)?;
    give_headroom(&pair)?;
    let programs = programs(&pair, ["headers_out", "headers_in"])?;
    let path = "eth0 - v1 - headers_out: one look-up, constant headers, bpf_redirect_neigh - eth0 - eth0 - headers_in: \
         one look-up, bpf_redirect_peer - eth0";
    Ok(Joined { name: "headers", pair, counted: "eth0", path, _programs: programs })
}

/// Gives the containers' devices headroom, as our agent does: they are ports of a bridge that is down.
fn give_headroom(pair: &Pair) -> Result<()> {
    for (index, host) in pair.hosts.iter().enumerate() {
        host.ip("link add room type bridge")?;
        host.ip("link add room-vx master room type vxlan id 1 dstport 9")?;
        for own in pair.on(index) {
            host.ip(&format!("link set {} master room", own.ifname))?;
        }
    }
    Ok(())
}
