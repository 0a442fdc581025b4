//! Reference programs at the devices of a host.

use anyhow::{Context as _, Result};
use aya::programs::TcAttachType;
use overlay_common::MacAddr;
use overlay_tests::Netns;
use serde_json::Value;

use super::pair::{Container, Pair};
use crate::reference::Reference;

/// The address of all devices on a host that a container's frame comes in by. With one for all, a frame is for its
/// host wherever it comes in (`eth_type_trans`), and so for the container that it is redirected to.
pub(super) const DOOR: MacAddr = MacAddr::new([0x02, 0x42, 0, 0, 0, 0xfe]);

/// Gives the containers' devices on the hosts the address `DOOR`, and tells the containers.
pub(super) fn prepare(pair: &Pair) -> Result<()> {
    for (index, host) in pair.hosts.iter().enumerate() {
        for own in pair.on(index) {
            host.ip(&format!("link set {} address {DOOR}", own.ifname))?;
        }
    }
    pair.settle_neighbours(DOOR)
}

/// Has `out` run at the container's device of a host that speaks across, and a program at the device by which the other
/// host's packets come in. The containers that speak on their host only need one look-up, that of `redirect_in`.
pub(super) fn forward(
    pair: &Pair,
    index: usize,
    reference: &mut Reference,
    out: &str,
    (back, device): (&str, &str),
) -> Result<()> {
    let host = &pair.hosts[index];
    open_doors(host, reference, pair.on(index))?;
    attach(host, reference, back, &[device])?;
    attach(host, reference, out, &[["v1"], ["v2"]][index])?;
    if index == 0 {
        attach(host, reference, "redirect_in", &["v3", "v4"])?;
    }
    Ok(())
}

/// Has a program run on what comes in by these devices, for as long as `reference` is there.
fn attach(host: &Netns, reference: &mut Reference, program: &str, devices: &[&str]) -> Result<()> {
    // The kernel looks for the device in the namespace of the caller.
    host.enter(|| -> Result<()> {
        for device in devices {
            reference
                .program(program)?
                .attach(device, TcAttachType::Ingress)
                .with_context(|| format!("cannot attach {program} to {device}"))?;
        }
        Ok(())
    })?
}

/// Lets `redirect_in` and `tunnel_in` find the containers of their host.
fn open_doors<'a>(
    host: &Netns,
    reference: &mut Reference,
    containers: impl Iterator<Item = &'a Container>,
) -> Result<()> {
    for container in containers {
        reference.way_in(container.ip, ifindex(host, &container.ifname)?, container.mac, DOOR)?;
    }
    Ok(())
}

/// The index of a device of a namespace.
pub(super) fn ifindex(netns: &Netns, ifname: &str) -> Result<u32> {
    let text = netns.ip(&format!("-json link show dev {ifname}"))?;
    let value: Value = serde_json::from_str(&text).context("`ip` printed no JSON")?;
    let index = value[0]["ifindex"].as_u64().and_then(|index| index.try_into().ok());
    index.with_context(|| format!("`ip` tells no index of {ifname} in {}", netns.name()))
}
