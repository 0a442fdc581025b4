//! A cluster of many endpoints, and this node's tables of it: in maps of its own, with the programs over them, attached
//! to nothing.
//!
//! Everything goes the agent's way, from `cluster.toml` to the maps: no layout of a map is known here.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use aya::programs::SchedClassifier;
use overlay_common::MacAddr;
use overlay_tests::scene::{OUTER_DST, OUTER_SRC, UDP_PORT};
use overlay_user::{
    cluster::Cluster,
    datapath::{
        Datapath as _,
        bpf::{Bpf, OpenOptions, uninstall},
    },
    event::{Event, NextHop, Underlay},
    state::State,
    tables::{Anchors, Ifindex, Tables},
};

pub(crate) use overlay_tests::scene::{LOOPBACK_MAC as DEVICE_MAC, OUR_VTEP, Station, VNI};

/// Nodes but this one.
pub(crate) const NODES: u32 = 16;
/// Endpoints of this node, the first ones: one behind the port that frames come in at, one behind another port.
pub(crate) const LOCAL: u32 = 2;
/// The device that the kernel runs programs on (loopback), which is that port.
const DEVICE: Ifindex = Ifindex(1);
/// The host side of the other one's veth; there is no such device.
const OTHER: Ifindex = Ifindex(0x7fff_0000);
/// The first so many endpoints have an IPv6 address, too.
pub(crate) const WITH_V6: u32 = 1024;

/// The endpoint of a number, with the IPv6 address that it has if it has one. The first `LOCAL` are here, the others
/// spread over the other nodes.
pub(crate) fn station(number: u32) -> Station {
    // 10.16.0.0/12 has a million addresses; its first and last are those of no station.
    let v4 = Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 16, 0, 1)) + number);
    let v6 = Ipv6Addr::from(u128::from(Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 1)) + u128::from(number));
    Station { mac: MacAddr::from_ipv4(v4), v4, v6 }
}

/// The VTEP that an endpoint of another node is behind.
pub(crate) fn vtep_of(number: u32) -> Ipv4Addr {
    vtep(number % NODES)
}

fn vtep(node: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(OUR_VTEP) + 1 + node)
}

/// `cluster.toml` of so many endpoints.
pub(crate) fn cluster(endpoints: u32) -> String {
    let mut text = format!("[[node]]\nname = \"h1\"\nvtep = \"{OUR_VTEP}\"\n");
    for node in 0..NODES {
        let _ = writeln!(text, "[[node]]\nname = \"n{node}\"\nvtep = \"{}\"", vtep(node));
    }
    let _ = writeln!(
        text,
        "[[network]]\nname = \"blue\"\nvni = {VNI}\nsubnets = [\"10.16.0.0/12\", \"fd00:1::/64\"]"
    );
    for number in 0..endpoints {
        text += &endpoint(number);
    }
    text
}

/// One endpoint's block of `cluster.toml`.
pub(crate) fn endpoint(number: u32) -> String {
    let Station { v4, v6, .. } = station(number);
    let node = if number < LOCAL { "h1".to_owned() } else { format!("n{}", number % NODES) };
    let ips = if number < WITH_V6 { format!("\"{v4}\", \"{v6}\"") } else { format!("\"{v4}\"") };
    format!("[[endpoint]]\nnetwork = \"blue\"\nnode = \"{node}\"\nips = [{ips}]\n")
}

/// This node's tables of a cluster, with no program attached.
pub(crate) fn tables(text: &str) -> Result<Tables> {
    let cluster = Cluster::parse(text).map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let mut state = State::new("h1".into(), UDP_PORT);
    let local: Vec<_> = (0..LOCAL).map(|number| IpAddr::from(station(number).v4)).collect();
    let ports: Vec<_> = cluster
        .endpoints
        .iter()
        .filter_map(|(id, endpoint)| {
            let place = local.iter().position(|ip| endpoint.ips.contains(ip))?;
            Some((id.clone(), if place == 0 { DEVICE } else { OTHER }))
        })
        .collect();
    state.apply(Event::Cluster(cluster));
    let hop = |node| NextHop {
        ifindex: DEVICE,
        via: vtep(node).into(),
        mac: Some(OUTER_DST),
        source_mac: OUTER_SRC,
        inner_mtu: 1450,
    };
    let next_hops: BTreeMap<_, _> = (0..NODES).map(|node| (vtep(node).into(), hop(node))).collect();
    let underlay = Underlay {
        ifindex: DEVICE,
        mac: DEVICE_MAC,
        vteps: IpAddr::from(OUR_VTEP).into(),
        mtu: 1500,
        next_hops,
        xdp: false,
        anchors: Anchors::default(),
        shared: false,
    };
    state.apply(Event::Underlay(underlay));
    for (id, ifindex) in ports {
        state.apply(Event::PortUp { id, ifindex });
    }
    let mut tables = state.tables().context("a cluster and an underlay make no tables")?;
    ensure!(tables.ports.len() == LOCAL as usize, "{} ports of {LOCAL}", tables.ports.len());
    tables.hooks.clear();
    Ok(tables)
}

/// Maps and programs in a pin directory of their own, removed on drop.
pub(crate) struct Installed {
    pub(crate) datapath: Bpf,
    /// Holds `maps/` and `progs/`.
    pub(crate) dir: Pins,
}

/// A pin directory that is removed on drop, after the data plane that holds its lock.
pub(crate) struct Pins(pub(crate) PathBuf);

impl Drop for Pins {
    fn drop(&mut self) {
        if let Err(error) = uninstall(&self.0) {
            eprintln!("{} is left over: {error}", self.0.display());
        }
    }
}

impl Installed {
    /// Loads maps and programs; the tables are empty.
    pub(crate) fn empty(name: &str) -> Result<Self> {
        let dir = Path::new("/sys/fs/bpf").join(format!("overlay-bench-{name}-{}", std::process::id()));
        let dir = Pins(dir);
        let datapath = Bpf::open(&dir.0, OpenOptions::default())
            .with_context(|| format!("cannot make {}; is bpffs mounted there?", dir.0.display()))?;
        Ok(Self { datapath, dir })
    }

    /// Brings empty tables to these, as the agent does; the number of steps.
    pub(crate) fn install(&mut self, desired: &Tables) -> Result<usize> {
        let mut installed = self.datapath.read()?;
        Ok(self.datapath.bring(desired, &mut installed)?)
    }

    /// A program.
    pub(crate) fn program(&self, name: &str) -> Result<SchedClassifier> {
        let pin = self.dir.0.join("progs").join(name);
        SchedClassifier::from_pin(&pin).with_context(|| format!("cannot open {}", pin.display()))
    }
}
