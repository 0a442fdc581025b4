//! Programs that forward as ours do, but without outer headers: what is lost to it is the price of the headers.

use anyhow::Result;

use super::{
    Ends, Mode,
    pair::{Pair, VTEPS},
    programs::{attach, ifindex, open_doors, prepare},
};
use crate::{cable, reference::Reference};

/// The MTU of the containers: that of ours, so that the price of the headers is not mixed with that of shorter packets,
/// which the comparison with plain hosts has in it.
const MTU: u32 = 1450;

/// On each host `redirect_out` at the container's veth and `redirect_in` at the underlay device.
pub(crate) struct Redirect {
    pair: Pair,
    /// Hold the programs where they are.
    _programs: [Reference; 2],
}

impl Redirect {
    pub(crate) fn start() -> Result<Self> {
        let pair = Pair::new("redirect", MTU, 16)?;
        prepare(&pair)?;
        let programs = [programs(&pair, 0)?, programs(&pair, 1)?];
        Ok(Self { pair, _programs: programs })
    }
}

fn programs(pair: &Pair, index: usize) -> Result<Reference> {
    let host = &pair.hosts[index];
    let mut reference = Reference::load(&["redirect_out", "redirect_in"])?;
    let underlay = ifindex(host, "eth0")?;
    for far in pair.on(1 - index) {
        reference.way_out(far.ip, underlay, VTEPS[1 - index])?;
    }
    open_doors(host, &mut reference, pair.on(index))?;
    attach(host, &mut reference, "redirect_in", &["eth0"])?;
    // Those that speak across; the others speak on their host only, where one look-up finds the way.
    attach(host, &mut reference, "redirect_out", &[["v1"], ["v2"]][index])?;
    if index == 0 {
        attach(host, &mut reference, "redirect_in", &["v3", "v4"])?;
    }
    Ok(reference)
}

impl Mode for Redirect {
    fn name(&self) -> &'static str {
        "redirect"
    }

    fn across(&self) -> Ends {
        self.pair.across()
    }

    fn local(&self) -> Option<Ends> {
        Some(self.pair.local())
    }

    /// Packets on the cable: the hosts have no route to the containers, so that only the programs bring any there.
    fn passed(&self) -> Result<u64> {
        cable::packets(&self.pair.hosts[0], "eth0")
    }

    fn path(&self) -> String {
        "eth0 - v1 - redirect_out: one look-up, bpf_redirect_neigh - eth0 - eth0 - redirect_in: one look-up, \
         bpf_redirect_peer - eth0"
            .to_owned()
    }
}
