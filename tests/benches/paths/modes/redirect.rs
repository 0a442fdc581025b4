//! Programs that forward as ours do, but without outer headers: what is lost to it is the price of the headers.

use anyhow::Result;

use super::{
    pair::{Joined, Pair},
    programs::{forward, ifindex, prepare},
};
use crate::{cable::HOSTS, reference::Reference};

/// What runs between two containers of one host, which `forward` sees to.
const LOCAL: &str = "redirect_in";

/// On each host `redirect_out` at the container's veth and `redirect_in` at the underlay device.
pub(super) fn start() -> Result<Joined> {
    let pair = Pair::new("redirect", 16)?;
    prepare(&pair)?;
    let programs = programs(&pair, ["redirect_out", "redirect_in"])?;
    // Packets on the cable: the hosts have no route to the containers, so that only the programs bring any there.
    let path = "eth0 - v1 - redirect_out: one look-up, bpf_redirect_neigh - eth0 - eth0 - redirect_in: one look-up, \
         bpf_redirect_peer - eth0";
    Ok(Joined { name: "redirect", pair, counted: "eth0", path, _programs: programs })
}

/// Each host's programs, which send packets from `out` at a container's veth to `back` at the other's underlay device.
pub(super) fn programs(pair: &Pair, [out, back]: [&str; 2]) -> Result<Vec<Reference>> {
    let host = |index: usize| {
        let host = &pair.hosts[index];
        let mut reference = Reference::load(&[out, back])?;
        if back != LOCAL {
            reference.program(LOCAL)?.load()?;
        }
        let underlay = ifindex(host, "eth0")?;
        for far in pair.on(1 - index) {
            reference.way_out(far.ip, underlay, HOSTS[1 - index])?;
        }
        forward(pair, index, &mut reference, out, (back, "eth0"))?;
        Ok(reference)
    };
    [0, 1].into_iter().map(host).collect()
}
