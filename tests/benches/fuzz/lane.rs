//! A pair of hosts that get the same frames: one with vxlan devices of the kernel, one with our programs.
//!
//! ```text
//!            in                kernel                     sink
//!   kernel0 -------- kernel1 = 10.88.0.1 ..... vxlan 42, 43, 44      read here: what the kernel delivers
//!                              way1 = 10.89.0.2
//!                               |
//!                    ours      way0 = 10.89.0.1          container
//!   ours0 ---------- ours1 (from_underlay)  port0 ------- port1      read here: what we deliver
//! ```
//!
//! Every frame has been through the kernel when the call that sends it returns, so that what is then read is of that
//! frame: the veths have no queues, and each pair of hosts is the work of one thread on one CPU.

use anyhow::{Context as _, Result};
use aya::{
    Ebpf, EbpfLoader,
    maps::{MapData, PerCpuArray, PerCpuHashMap},
    programs::{LinkOrder, SchedClassifier, TcAttachType, Xdp, XdpMode, tc::TcAttachOptions},
};
use nix::net::if_::if_nametoindex;
use overlay_common::{Counter, DropReason, MacAddr, map::DropKey};
use overlay_tests::Netns;
use overlay_user::datapath::bpf::{BROKEN, OBJECT};

use crate::{
    scene::{
        self, DEVICE_MAC, Devices, KERNEL_MAC, KERNEL_VTEP, OTHER_VNI, OUR_VTEP, OUTER_DST, OWN, SECRET_VNI,
        VNI, WAY_OUT, WAY_OUT_MAC,
    },
    wire::Wire,
};

/// What drops are counted under: no network, and those there are.
const COUNTED: [u32; 4] = [0, VNI, OTHER_VNI, SECRET_VNI];
/// The MAC address of the vxlan devices: that of nobody whose frames are sent.
const VXLAN_MAC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0x99]);

/// The namespaces.
struct Hosts {
    ingress: Netns,
    kernel: Netns,
    sink: Netns,
    ours: Netns,
    container: Netns,
}

/// What is wrong with our host, for the test of the test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// The programs do not carry congestion marks into IPv6.
    Programs,
    /// The tables do not say that the encrypted network is.
    Tables,
}

/// Where our host takes the outer headers off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Tc,
    /// In XDP, and in TC what XDP leaves to it.
    Xdp,
}

/// A pair of hosts.
pub(crate) struct Lane {
    /// To the host with the vxlan devices.
    pub(crate) to_kernel: Wire,
    /// What it delivers.
    pub(crate) from_kernel: Wire,
    /// To the host with our programs.
    pub(crate) to_ours: Wire,
    /// What it delivers.
    pub(crate) from_ours: Wire,
    /// From the container behind our port.
    pub(crate) container: Wire,
    counters: PerCpuArray<MapData, u64>,
    drops: PerCpuHashMap<MapData, DropKey, u64>,
    /// Holds the programs and their links.
    _ebpf: Ebpf,
    /// Goes last.
    _hosts: Hosts,
}

impl Lane {
    /// Makes the hosts of this number.
    pub(crate) fn new(number: usize, side: Side, fault: Fault) -> Result<Self> {
        let hosts = Hosts::new(number)?;
        let index = |netns: &Netns, name: &'static str| -> Result<u32> {
            netns.enter(|| if_nametoindex(name))?.with_context(|| format!("no device {name}"))
        };
        let sender = |netns: &Netns, name| {
            let ifindex = index(netns, name)?;
            netns.enter(|| Wire::sender(ifindex))?
        };
        let receiver = |netns: &Netns, name| {
            let ifindex = index(netns, name)?;
            netns.enter(|| Wire::receiver(ifindex))?
        };
        let devices = Devices {
            underlay: index(&hosts.ours, "ours1")?,
            port: index(&hosts.ours, "port0")?,
            way_out: index(&hosts.ours, "way0")?,
        };
        let object = if fault == Fault::Programs { BROKEN } else { OBJECT };
        let mut ebpf = hosts.ours.enter(|| attach(object, side))??;
        scene::fill(&mut ebpf, &devices, fault == Fault::Tables)?;
        Ok(Self {
            to_kernel: sender(&hosts.ingress, "kernel0")?,
            from_kernel: hosts.sink.enter(|| Wire::receiver(0))??,
            to_ours: sender(&hosts.ingress, "ours0")?,
            from_ours: receiver(&hosts.container, "port1")?,
            container: sender(&hosts.container, "port1")?,
            counters: scene::take(&mut ebpf, "COUNTERS")?,
            drops: scene::take(&mut ebpf, "DROPS")?,
            _ebpf: ebpf,
            _hosts: hosts,
        })
    }

    /// How often this was counted.
    pub(crate) fn counter(&self, counter: Counter) -> Result<u64> {
        Ok(self.counters.get(&(counter as u32), 0)?.iter().sum())
    }

    /// How often this was counted, under all networks of the scene.
    pub(crate) fn dropped(&self, reason: DropReason) -> u64 {
        // An entry that is not there has counted nothing.
        let of = |vni: &u32| self.drops.get(&DropKey { vni: *vni, reason: reason as u32 }, 0).ok();
        COUNTED.iter().filter_map(of).map(|values| values.iter().sum::<u64>()).sum()
    }

    /// How often each reason was counted.
    pub(crate) fn all_dropped(&self) -> Vec<(DropReason, u64)> {
        DropReason::ALL.into_iter().map(|reason| (reason, self.dropped(reason))).collect()
    }
}

impl Hosts {
    fn new(number: usize) -> Result<Self> {
        let netns = |role: &str| -> Result<Netns> {
            let netns = Netns::new_over(&format!("ovt-fuzz{number}-{role}"))?;
            // Nothing may be said that was not asked for.
            for scope in ["all", "default"] {
                netns.sysctl(&format!("net/ipv6/conf/{scope}/disable_ipv6"), "1")?;
                netns.sysctl(&format!("net/ipv4/conf/{scope}/rp_filter"), "0")?;
            }
            Ok(netns)
        };
        let hosts = Self {
            ingress: netns("in")?,
            kernel: netns("kernel")?,
            sink: netns("sink")?,
            ours: netns("ours")?,
            container: netns("container")?,
        };
        // A fragment of one frame would else wait for that of another.
        hosts.kernel.sysctl("net/ipv4/ipfrag_low_thresh", "0")?;
        hosts.kernel.sysctl("net/ipv4/ipfrag_high_thresh", "0")?;
        let cable = |(a, a_name, a_mac): (&Netns, &str, MacAddr),
                     (b, b_name, b_mac): (&Netns, &str, MacAddr)| {
            let b_ns = b.name();
            a.ip(&format!(
                "link add {a_name} mtu 9000 address {a_mac} type veth \
                 peer name {b_name} mtu 9000 address {b_mac} netns {b_ns}"
            ))?;
            for (netns, name) in [(a, a_name), (b, b_name)] {
                netns.run(&["ethtool", "-K", name, "gro", "off", "tx", "off", "tso", "off"])?;
                netns.ip(&format!("link set {name} arp off up"))?;
            }
            anyhow::Ok(())
        };
        let port_mac = MacAddr::new([2, 0, 0, 0, 0, 0x71]);
        cable((&hosts.ingress, "kernel0", OUTER_DST), (&hosts.kernel, "kernel1", DEVICE_MAC))?;
        cable((&hosts.ingress, "ours0", OUTER_DST), (&hosts.ours, "ours1", DEVICE_MAC))?;
        cable((&hosts.ours, "way0", WAY_OUT_MAC), (&hosts.kernel, "way1", KERNEL_MAC))?;
        cable((&hosts.ours, "port0", port_mac), (&hosts.container, "port1", OWN.mac))?;
        hosts.addresses()?;
        Ok(hosts)
    }

    fn addresses(&self) -> Result<()> {
        // Without a route to anywhere: no ICMP error can be sent.
        self.kernel.ip(&format!("address add {OUR_VTEP}/32 dev kernel1"))?;
        self.kernel.ip(&format!("address add {KERNEL_VTEP}/32 dev way1"))?;
        self.ours.ip("link set way0 arp on")?;
        self.ours.ip(&format!("address add {WAY_OUT}/24 dev way0"))?;
        self.ours.ip(&format!("neigh add {KERNEL_VTEP} lladdr {KERNEL_MAC} dev way0 nud permanent"))?;
        for vni in [VNI, OTHER_VNI, SECRET_VNI] {
            // Made where its UDP socket is to be, then moved to where it delivers.
            self.kernel.ip(&format!(
                "link add vxlan{vni} address {VXLAN_MAC} type vxlan id {vni} dstport {} nolearning",
                scene::UDP_PORT
            ))?;
            self.kernel.ip(&format!("link set vxlan{vni} netns {}", self.sink.name()))?;
            self.sink.run(&["ethtool", "-K", &format!("vxlan{vni}"), "gro", "off"])?;
            self.sink.ip(&format!("link set vxlan{vni} arp off up"))?;
        }
        Ok(())
    }
}

/// Loads the object and attaches its programs. What `from_underlay` passes to the host, `unguarded` counts.
fn attach(object: &[u8], side: Side) -> Result<Ebpf> {
    let mut loader = EbpfLoader::new();
    loader.override_global("TRACE_SAMPLE", &0_u32, true);
    for name in ["FDB", "FDB_V4", "NEIGH", "MEMBERS", "NETS", "DROPS", "PORTS"] {
        loader.map_max_entries(name, 1024);
    }
    let mut ebpf = loader.load(object).context("the programs do not load: root is needed")?;
    for (name, device) in [("from_underlay", "ours1"), ("unguarded", "ours1"), ("from_container", "port0")] {
        let program: &mut SchedClassifier =
            ebpf.program_mut(name).with_context(|| format!("no program {name}"))?.try_into()?;
        program.load().with_context(|| format!("the kernel refuses {name}"))?;
        let order = TcAttachOptions::TcxOrder(LinkOrder::last());
        program
            .attach_with_options(device, TcAttachType::Ingress, order)
            .with_context(|| format!("cannot attach {name}; tcx links need Linux 6.6"))?;
    }
    if side == Side::Xdp {
        let program: &mut Xdp = ebpf.program_mut("xdp_underlay").context("no xdp_underlay")?.try_into()?;
        program.load().context("the kernel refuses xdp_underlay")?;
        program.attach("ours1", XdpMode::Driver).context("cannot attach xdp_underlay")?;
    }
    Ok(ebpf)
}
