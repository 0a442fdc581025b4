//! The rows: kinds of traffic, each both ways where that makes a difference.

use std::net::IpAddr;

use anyhow::{Result, ensure};
use overlay_tests::{Data, Datagrams, Netns};

use crate::{forwarded::ByXdp, setting::Ends};

/// A kind of traffic: what it is called, and how it is tried. What is told is the cell.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Ends<'_>, &Data) -> Result<String>,
    pub(crate) by_xdp: ByXdp,
    /// Whether it goes through the container that forwards.
    pub(crate) forwards: bool,
}

/// All of them.
pub(crate) const ROWS: [Row; 6] = [
    Row::new("TCP, equal by SHA-256", tcp, ByXdp::All),
    Row::new("UDP_SEGMENT", segments, ByXdp::All),
    Row::new("64 KB UDP", long, ByXdp::OfIpv4("fragments")),
    Row::new("ping at the MTU, and above it", mtu, ByXdp::OfIpv4("ICMPv6")),
    Row { forwards: true, ..Row::new("forwarding container", forwarding, ByXdp::All) },
    Row::new("nested VXLAN", nested, ByXdp::All),
];

/// The addresses of the network in the network.
const INNERMOST: [&str; 2] = ["10.6.0.1", "10.6.0.2"];

fn streams(data: &Data, ways: &[(&Netns, &Netns, IpAddr)]) -> Result<String> {
    for (from, to, ip) in ways {
        let sum = data.carry(from, to, *ip, "sha256sum")?;
        ensure!(sum == data.sum, "{} to {ip}: what came is not what was sent", from.name());
    }
    Ok(format!("{} MiB", data.mebibytes))
}

/// A hundred datagrams of two super-frames, and as many of two that must be cut up before they are encapsulated.
fn super_frames(ways: &[(&Netns, &Netns, IpAddr)]) -> Result<String> {
    for (from, to, ip) in ways {
        for length in [1200, 1310] {
            let arrived = Datagrams { count: 100, length, at_once: 50 }.send(from, to, *ip)?;
            ensure!(arrived == 100, "{} to {ip}: {arrived} of 100 datagrams of {length} bytes", from.name());
        }
    }
    Ok("100 of 100".to_owned())
}

fn tcp(ends: &Ends<'_>, data: &Data) -> Result<String> {
    streams(data, &ends.ways())
}

fn segments(ends: &Ends<'_>, _data: &Data) -> Result<String> {
    super_frames(&ends.ways())
}

fn long(ends: &Ends<'_>, _data: &Data) -> Result<String> {
    for (from, to, ip) in ends.ways() {
        // All that an IP packet can hold.
        let length = if ip.is_ipv4() { 65_507 } else { 65_527 };
        let arrived = Datagrams { count: 10, length, at_once: 1 }.send(from, to, ip)?;
        ensure!(arrived == 10, "{} to {ip}: {arrived} of 10", from.name());
    }
    Ok("10 of 10".to_owned())
}

fn mtu(ends: &Ends<'_>, _data: &Data) -> Result<String> {
    let mtu = ends.setting.mtu();
    for (from, _, ip) in ends.ways() {
        let passes = |size: u32| {
            let data = (size - if ip.is_ipv4() { 28 } else { 48 }).to_string();
            let words = ["ping", "-n", "-q", "-c", "3", "-i", "0.01", "-W", "1", "-M", "do", "-s", &data];
            from.run(&[&words[..], &[&ip.to_string()]].concat()).is_ok()
        };
        ensure!(passes(mtu), "{} to {ip}: {mtu} bytes", from.name());
        ensure!(!passes(mtu + 1), "{} to {ip}: {} bytes", from.name(), mtu + 1);
    }
    Ok(format!("{mtu}, not {}", mtu + 1))
}

fn forwarding(ends: &Ends<'_>, data: &Data) -> Result<String> {
    let behind = &ends.setting.behind;
    let ways = [(ends.far, behind, ends.behind_ip), (behind, ends.far, ends.far_ip)];
    let cell = streams(data, &ways)?;
    super_frames(&ways)?;
    Ok(cell)
}

fn nested(ends: &Ends<'_>, data: &Data) -> Result<String> {
    let pair = [(ends.near, ends.far_ip), (ends.far, ends.near_ip)];
    for ((netns, remote), ip) in pair.iter().zip(INNERMOST) {
        // As the peer's own device, beside which it may be on the port (`vxlan_find_sock`).
        let sums = if remote.is_ipv6() { "udp6zerocsumrx" } else { "" };
        netns.ip(&format!("link add nest type vxlan id 7 remote {remote} dstport 4789 {sums}"))?;
        netns.ip(&format!("address add {ip}/24 dev nest"))?;
        // 50 or 70 bytes less than the network has, of which the device knows nothing.
        let mtu = ends.setting.mtu() - if remote.is_ipv4() { 50 } else { 70 };
        netns.ip(&format!("link set nest mtu {mtu} up"))?;
    }
    let ways = [(ends.near, ends.far, INNERMOST[1]), (ends.far, ends.near, INNERMOST[0])]
        .map(|(from, to, ip)| (from, to, ip.parse().expect("an address")));
    let result = streams(data, &ways).and_then(|cell| super_frames(&ways).map(|_| cell));
    for (netns, _) in pair {
        netns.ip("link delete nest")?;
    }
    result
}

impl Row {
    const fn new(name: &'static str, run: fn(&Ends<'_>, &Data) -> Result<String>, by_xdp: ByXdp) -> Self {
        Self { name, run, by_xdp, forwards: false }
    }
}

impl<'a> Ends<'a> {
    /// There and back.
    fn ways(&self) -> [(&'a Netns, &'a Netns, IpAddr); 2] {
        [(self.near, self.far, self.far_ip), (self.far, self.near, self.near_ip)]
    }
}
