//! The least that Cilium's VXLAN mode does for a packet: programs that hand it to a VXLAN device with the tunnel's key
//! beside it, and take it from there. Connection tracking, policy, services and identities are left out.

use anyhow::Result;
use overlay_tests::Netns;

use super::{
    Ends, Mode,
    pair::{Pair, VTEPS},
    programs::{DOOR, attach, ifindex, open_doors, prepare},
};
use crate::{cable, reference::Reference};

/// The containers' MTU.
const MTU: u32 = 1450;
/// What stands for the sender's identity in the VXLAN header.
const VNI: u32 = 42;

/// On each host `tunnel_out` at the container's veth and `tunnel_in` at the VXLAN device.
pub(crate) struct Cilium {
    pair: Pair,
    /// Hold the programs where they are.
    _programs: [Reference; 2],
}

impl Cilium {
    pub(crate) fn start() -> Result<Self> {
        let pair = Pair::new("cilium", MTU, 16)?;
        prepare(&pair)?;
        for host in &pair.hosts {
            add_vxlan(host)?;
        }
        let programs = [programs(&pair, 0)?, programs(&pair, 1)?];
        Ok(Self { pair, _programs: programs })
    }
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
        reference.tunnel(far.ip, device, VTEPS[1 - index], VNI)?;
    }
    open_doors(host, &mut reference, pair.on(index))?;
    attach(host, &mut reference, "tunnel_in", &["vxlan0"])?;
    attach(host, &mut reference, "tunnel_out", &[["v1"], ["v2"]][index])?;
    if index == 0 {
        attach(host, &mut reference, "redirect_in", &["v3", "v4"])?;
    }
    Ok(reference)
}

impl Mode for Cilium {
    fn name(&self) -> &'static str {
        "cilium"
    }

    fn across(&self) -> Ends {
        self.pair.across()
    }

    fn local(&self) -> Option<Ends> {
        Some(self.pair.local())
    }

    fn passed(&self) -> Result<u64> {
        cable::packets(&self.pair.hosts[0], "vxlan0")
    }

    fn path(&self) -> String {
        "eth0 - v1 - tunnel_out: one look-up, bpf_skb_set_tunnel_key - vxlan0 - eth0 - eth0 - vxlan0 - tunnel_in: one \
         look-up, bpf_redirect_peer - eth0; a minimum that flatters Cilium: no connection tracking, policy, services"
            .to_owned()
    }
}
