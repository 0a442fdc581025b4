//! Programs that forward as ours do, but without outer headers: what is lost to it is the price of the headers.

use anyhow::Result;

use super::{
    pair::{Joined, Pair},
    programs::{forward, ifindex, prepare},
};
use crate::{cable::HOSTS, reference::Reference};

/// On each host `redirect_out` at the container's veth and `redirect_in` at the underlay device.
pub(super) fn start() -> Result<Joined> {
    let pair = Pair::new("redirect", 16)?;
    prepare(&pair)?;
    let programs = vec![programs(&pair, 0)?, programs(&pair, 1)?];
    // Packets on the cable: the hosts have no route to the containers, so that only the programs bring any there.
    let path = "eth0 - v1 - redirect_out: one look-up, bpf_redirect_neigh - eth0 - eth0 - redirect_in: one look-up, \
         bpf_redirect_peer - eth0";
    Ok(Joined { name: "redirect", pair, counted: "eth0", path, _programs: programs })
}

fn programs(pair: &Pair, index: usize) -> Result<Reference> {
    let host = &pair.hosts[index];
    let mut reference = Reference::load(&["redirect_out", "redirect_in"])?;
    let underlay = ifindex(host, "eth0")?;
    for far in pair.on(1 - index) {
        reference.way_out(far.ip, underlay, HOSTS[1 - index])?;
    }
    forward(pair, index, &mut reference, "redirect_out", ("redirect_in", "eth0"))?;
    Ok(reference)
}
