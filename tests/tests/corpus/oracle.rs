//! A host with vxlan devices of the kernel: whether a case says truly where the kernel does otherwise.
//!
//! Behind each frame goes one that is delivered for certain: what the kernel delivers of the former has come before that.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use overlay_common::MacAddr;
use overlay_tests::{Netns, patient};

use crate::{
    build::{EXPERIMENTAL, eth},
    case::{Case, Golden, filled},
    frame::{Family, Frame},
    hosts,
    judge::{Ended, Failure},
    scene::{DEVICE_MAC, FAR, LOCAL, OTHER_VNI, OUR_VTEP_V6, OUTER_DST, REMOTE, SECRET_VNI, UDP_PORT, VNI},
    wire::{LONGEST, Wire},
};

/// Until then a frame that is delivered for certain has come.
const LIMIT: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_micros(200);
/// The MAC address of the vxlan devices: that of nobody whose frames are sent.
const VXLAN_MAC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0x99]);

/// The host, and where its frames come from and go to.
pub(crate) struct Oracle {
    to_underlay: Wire,
    from_vxlan: Wire,
    room: Box<[u8; LONGEST]>,
    /// Go last.
    _hosts: [Netns; 3],
}

impl Oracle {
    pub(crate) fn new() -> Result<Self> {
        let (outside, kernel, sink) =
            (hosts::silent("kernel-in")?, hosts::receiving("kernel")?, hosts::silent("kernel-out")?);
        hosts::cable((&outside, "outside0", OUTER_DST), (&kernel, "eth1", DEVICE_MAC))?;
        hosts::address(&kernel)?;
        // Over IPv6 it takes datagrams without a checksum, as our programs do.
        let over_v6 = format!("local {OUR_VTEP_V6} remote {} udp6zerocsumrx", FAR.v6);
        for vni in [VNI, OTHER_VNI, SECRET_VNI] {
            for (name, options) in [(format!("four{vni}"), ""), (format!("six{vni}"), over_v6.as_str())] {
                // Made where its UDP socket is to be, then moved to where it delivers.
                kernel.ip(&format!(
                    "link add {name} address {VXLAN_MAC} type vxlan id {vni} dstport {UDP_PORT} nolearning {options}"
                ))?;
                kernel.ip(&format!("link set {name} netns {}", sink.name()))?;
                sink.run(&["ethtool", "-K", &name, "gro", "off"])?;
                sink.ip(&format!("link set {name} arp off up"))?;
            }
        }
        Ok(Self {
            to_underlay: hosts::sender(&outside, "outside0")?,
            from_vxlan: sink.enter(|| Wire::receiver(0))??,
            room: Box::new([0; LONGEST]),
            _hosts: [outside, kernel, sink],
        })
    }

    /// Asks the kernel for a case.
    pub(crate) fn run(&mut self, case: &Case) -> Result<Ended> {
        let delivered = self.delivered(&case.frame, case.family)?;
        let delivered: Vec<Vec<u8>> = delivered.into_iter().map(|frame| filled(case.family, frame)).collect();
        let ours = match &case.golden {
            Golden::Delivered(inner) | Golden::Anchored { inner, .. } => vec![inner.clone()],
            Golden::Passed(_) | Golden::Dropped(..) => Vec::new(),
        };
        let (holds, expected) = match case.kernel {
            None => (delivered == ours, describe(&ours)),
            Some(row) => {
                let other = if ours.is_empty() { "delivered" } else { "not delivered" };
                (delivered.is_empty() != ours.is_empty(), format!("{other}: {row}"))
            }
        };
        if holds {
            return Ok(Ended::Held { by_xdp: false });
        }
        Ok(Ended::Failed(Failure { expected, got: describe(&delivered) }))
    }

    /// What the kernel delivers of a frame.
    fn delivered(&mut self, frame: &[u8], family: Family) -> Result<Vec<Vec<u8>>> {
        let last = eth(LOCAL.mac, REMOTE.mac, EXPERIMENTAL, b"what is sent behind every frame that is tried");
        self.to_underlay.send(frame)?;
        self.to_underlay.send(&Frame::new(family, last.clone()).bytes())?;
        let (mut delivered, start, limit) = (Vec::new(), Instant::now(), patient(LIMIT));
        loop {
            match self.from_vxlan.receive(&mut self.room)? {
                Some(bytes) if bytes == last => return Ok(delivered),
                Some(bytes) => delivered.push(bytes.to_vec()),
                None => {
                    ensure!(start.elapsed() < limit, "a vxlan device of the kernel delivers nothing");
                    thread::sleep(PAUSE);
                }
            }
        }
    }
}

fn describe(delivered: &[Vec<u8>]) -> String {
    let lengths: Vec<String> = delivered.iter().map(|frame| format!("delivered {} B", frame.len())).collect();
    if lengths.is_empty() { "not delivered".to_owned() } else { lengths.join(", ") }
}
