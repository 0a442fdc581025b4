//! A host with our programs on real devices: where frames come in, and both places where they may come out.
//!
//! ```text
//!   outside0 ---- eth1 (xdp_underlay, from_underlay) ..... port0 ---- port1      read here: what the container gets
//!                  |                                        :
//!                  |  nft dup                               : from_anchor
//!                  |                                        :
//!                  +---- host0 ---- host1                overlay-anchor
//!                        read here: what the host's stack gets
//! ```
//!
//! Behind `from_underlay` a rule of the packet filter copies every frame that it passes, before the stack has it.

use anyhow::{Context as _, Result};
use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, MapData, PerCpuArray, PerCpuHashMap},
    programs::{LinkOrder, SchedClassifier, TcAttachType, Xdp, XdpMode, tc::TcAttachOptions},
};
use overlay_common::{
    Counter, DropReason, MacAddr,
    map::{DropKey, NodeConfig},
};
use overlay_tests::Netns;
use overlay_user::datapath::bpf::constants;

use crate::{
    case::Mode,
    hosts,
    scene::{self, ANCHOR_VNI, DEVICE_MAC, Devices, LOCAL, OUTER_DST, UDP_PORT},
    wire::{LONGEST, Wire},
};

/// The program of the side XDP.
const XDP: &str = "xdp_underlay";
/// What that counts beside `from_underlay`.
const FROM_XDP: &str = "from_xdp";

/// Which program takes the outer header off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Tc,
    Xdp,
}

impl Side {
    pub(crate) const ALL: [Self; 2] = [Self::Tc, Self::Xdp];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Tc => "TC",
            Self::Xdp => "XDP",
        }
    }
}

/// Something counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// The name of a counter.
    Count(&'static str),
    /// A VNI, or 0, and the name of a reason.
    Drop(u32, &'static str),
}

/// What became of a frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// What the container got.
    pub(crate) delivered: Vec<Vec<u8>>,
    /// What the host's stack got.
    pub(crate) passed: Vec<Vec<u8>>,
    /// What was counted, and how often.
    pub(crate) counted: Vec<(Event, u64)>,
}

impl Outcome {
    /// Takes out what XDP counts beside `from_underlay`; whether it had.
    pub(crate) fn take_xdp(&mut self) -> bool {
        let before = self.counted.len();
        self.counted.retain(|(event, _)| *event != Event::Count(FROM_XDP));
        self.counted.len() < before
    }
}

/// The namespaces.
struct Hosts {
    outside: Netns,
    ours: Netns,
    host: Netns,
    container: Netns,
}

/// The host, and where its frames come from and go to.
pub(crate) struct Rig {
    to_underlay: Wire,
    from_stack: Wire,
    from_port: Wire,
    room: Box<[u8; LONGEST]>,
    usual: NodeConfig,
    config: Array<MapData, NodeConfig>,
    counters: PerCpuArray<MapData, u64>,
    drops: PerCpuHashMap<MapData, DropKey, u64>,
    /// What had been counted at the last `settle`, and at the last `look`.
    settled: Vec<(Event, u64)>,
    counted: Vec<(Event, u64)>,
    /// Holds the programs and their links.
    _ebpf: Ebpf,
    /// Goes last.
    _hosts: Hosts,
}

impl Rig {
    /// Makes the host with the programs of an object.
    pub(crate) fn new(object: &[u8], side: Side) -> Result<Self> {
        let mut ebpf = load(object)?;
        let hosts = Hosts::new()?;
        let devices = Devices {
            underlay: hosts::index(&hosts.ours, "eth1")?,
            port: hosts::index(&hosts.ours, "port0")?,
            anchors: [
                hosts::index(&hosts.ours, "overlay-anchor")?,
                hosts::index(&hosts.ours, "overlay-anchor6")?,
            ],
        };
        hosts.ours.enter(|| attach(&mut ebpf, side))??;
        // Maps are taken out of the object once the programs have them.
        scene::fill(&mut ebpf, &devices)?;
        let mut rig = Self {
            to_underlay: hosts::sender(&hosts.outside, "outside0")?,
            from_stack: hosts::receiver(&hosts.host, "host1")?,
            from_port: hosts::receiver(&hosts.container, "port1")?,
            room: Box::new([0; LONGEST]),
            usual: scene::config(&devices),
            config: scene::take(&mut ebpf, "CONFIG")?,
            counters: scene::take(&mut ebpf, "COUNTERS")?,
            drops: scene::take(&mut ebpf, "DROPS")?,
            settled: Vec::new(),
            counted: Vec::new(),
            _ebpf: ebpf,
            _hosts: hosts,
        };
        rig.set_mode(Mode::Usual)?;
        rig.counted = rig.counts()?;
        rig.settle();
        Ok(rig)
    }

    /// Tells the programs what else is so on the node.
    pub(crate) fn set_mode(&mut self, mode: Mode) -> Result<()> {
        let mut config = self.usual;
        match mode {
            Mode::Usual => {}
            Mode::Shared => config.flags |= NodeConfig::SHARED,
            Mode::NoAnchor => (config.anchor_v4, config.anchor_v6) = (0, 0),
        }
        Ok(self.config.set(0, config, 0)?)
    }

    /// Sends a frame to the host.
    pub(crate) fn send(&self, frame: &[u8]) -> Result<()> {
        self.to_underlay.send(frame)
    }

    /// Adds to `outcome` what came out since; what is counted is since the last `settle`.
    pub(crate) fn look(&mut self, outcome: &mut Outcome) -> Result<()> {
        while let Some(bytes) = self.from_port.receive(&mut self.room)? {
            outcome.delivered.push(bytes.to_vec());
        }
        while let Some(bytes) = self.from_stack.receive(&mut self.room)? {
            outcome.passed.push(bytes.to_vec());
        }
        self.counted = self.counts()?;
        let before = |event: &Event| {
            self.settled.iter().find(|(settled, _)| settled == event).map_or(0, |(_, count)| *count)
        };
        let moved = self.counted.iter().map(|(event, count)| (event.clone(), count - before(event)));
        outcome.counted = moved.filter(|(_, more)| *more > 0).collect();
        Ok(())
    }

    /// What the last `look` saw belongs to what was sent until then.
    pub(crate) fn settle(&mut self) {
        self.settled.clone_from(&self.counted);
    }

    /// Everything that was ever counted, in order.
    fn counts(&self) -> Result<Vec<(Event, u64)>> {
        let mut counts = Vec::new();
        for counter in Counter::ALL {
            let count = self.counters.get(&(counter as u32), 0)?.iter().sum();
            counts.push((Event::Count(counter.name()), count));
        }
        for key in self.drops.keys() {
            let key = key?;
            let reason = DropReason::from_index(key.reason).map_or("unknown", DropReason::name);
            counts.push((Event::Drop(key.vni, reason), self.drops.get(&key, 0)?.iter().sum()));
        }
        counts.sort();
        Ok(counts)
    }
}

impl Hosts {
    fn new() -> Result<Self> {
        let this = Self {
            outside: hosts::silent("outside")?,
            ours: hosts::receiving("ours")?,
            host: hosts::silent("host")?,
            container: hosts::silent("container")?,
        };
        let other = |n| MacAddr::new([2, 0, 0, 0, 1, n]);
        hosts::cable((&this.outside, "outside0", OUTER_DST), (&this.ours, "eth1", DEVICE_MAC))?;
        hosts::cable((&this.ours, "host0", other(1)), (&this.host, "host1", other(2)))?;
        hosts::cable((&this.ours, "port0", other(3)), (&this.container, "port1", LOCAL.mac))?;
        this.stack()?;
        Ok(this)
    }

    /// The stack of our host.
    fn stack(&self) -> Result<()> {
        hosts::address(&self.ours)?;
        for device in ["host0", "port0"] {
            self.ours.sysctl(&format!("net/ipv6/conf/{device}/disable_ipv6"), "1")?;
        }
        for (name, options) in [("overlay-anchor", ""), ("overlay-anchor6", "local :: udp6zerocsumrx")] {
            self.ours.ip(&format!(
                "link add {name} type vxlan id {ANCHOR_VNI} dstport {UDP_PORT} nolearning {options}"
            ))?;
            self.ours.run(&["ethtool", "-K", name, "gro", "off"])?;
            self.ours.ip(&format!("link set {name} mtu 9000 arp off up"))?;
        }
        self.ours.run(&[
            "nft",
            "table netdev corpus { chain passed { \
             type filter hook ingress device eth1 priority 0; dup to host0; }; }",
        ])?;
        Ok(())
    }
}

/// Loads the object, as the agent does, but for the size of its tables.
fn load(object: &[u8]) -> Result<Ebpf> {
    let mut loader = EbpfLoader::new();
    let constants = constants(0);
    for (name, value) in &constants {
        loader.override_global(name, value, true);
    }
    for name in ["FDB", "FDB_V4", "NEIGH", "MEMBERS", "NETS", "DROPS", "PORTS"] {
        loader.map_max_entries(name, 1024);
    }
    loader.load(object).context("the programs do not load: root is needed")
}

/// Attaches the programs of a side, as the agent does.
fn attach(ebpf: &mut Ebpf, side: Side) -> Result<()> {
    for (name, device) in [
        ("from_underlay", "eth1"),
        ("from_anchor", "overlay-anchor"),
        ("from_anchor", "overlay-anchor6"),
        ("from_container", "port0"),
        ("unguarded", "port0"),
    ] {
        let program: &mut SchedClassifier =
            ebpf.program_mut(name).with_context(|| format!("no program {name}"))?.try_into()?;
        if program.fd().is_err() {
            program.load().with_context(|| format!("the kernel refuses {name}"))?;
        }
        let order = TcAttachOptions::TcxOrder(LinkOrder::last());
        program
            .attach_with_options(device, TcAttachType::Ingress, order)
            .with_context(|| format!("cannot attach {name}; tcx links need Linux 6.6"))?;
    }
    if side == Side::Xdp {
        let program: &mut Xdp = ebpf.program_mut(XDP).context("no program for XDP")?.try_into()?;
        program.load().with_context(|| format!("the kernel refuses {XDP}"))?;
        program.attach("eth1", XdpMode::Driver).with_context(|| format!("cannot attach {XDP}"))?;
    }
    Ok(())
}
