//! The reference programs, loaded, and the entries of their maps.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result, anyhow};
use aya::{
    Ebpf, Pod,
    maps::{HashMap, MapData},
    programs::SchedClassifier,
};
use overlay_common::MacAddr;
use overlay_user::datapath::bpf::REFERENCE;

/// `BPF_ANY`.
const ANY: u64 = 0;

/// The object's programs and maps. Nothing is pinned: it ends with its value, unless attached programs keep it.
pub(crate) struct Reference {
    ebpf: Ebpf,
}

impl Reference {
    /// Loads the programs of these names.
    pub(crate) fn load(programs: &[&str]) -> Result<Self> {
        let mut this = Self { ebpf: Ebpf::load(REFERENCE).context("cannot load the reference programs")? };
        for name in programs {
            this.program(name)?
                .load()
                .with_context(|| format!("cannot load the reference program {name}"))?;
        }
        Ok(this)
    }

    /// A program.
    pub(crate) fn program(&mut self, name: &str) -> Result<&mut SchedClassifier> {
        let program = self.ebpf.program_mut(name).with_context(|| format!("no reference program {name}"))?;
        Ok(program.try_into()?)
    }

    /// A loaded program.
    pub(crate) fn get(&self, name: &str) -> Result<&SchedClassifier> {
        let program = self.ebpf.program(name).with_context(|| format!("no reference program {name}"))?;
        Ok(program.try_into()?)
    }

    /// `redirect_out` sends what is for this address out of a device to a next hop.
    pub(crate) fn way_out(&mut self, to: Ipv4Addr, ifindex: u32, next_hop: Ipv4Addr) -> Result<()> {
        self.set("WAY_OUT", to.octets(), [ifindex.to_ne_bytes(), next_hop.octets()])
    }

    /// `redirect_in` and `tunnel_in` deliver what is for this address to the peer of a veth, under this Ethernet header.
    pub(crate) fn way_in(&mut self, to: Ipv4Addr, ifindex: u32, dst: MacAddr, src: MacAddr) -> Result<()> {
        self.set("WAY_IN", to.octets(), door(ifindex, dst, src))
    }

    /// `tunnel_out` gives what is for this address to a tunnel device, for a VTEP.
    pub(crate) fn tunnel(&mut self, to: Ipv4Addr, ifindex: u32, vtep: Ipv4Addr, vni: u32) -> Result<()> {
        self.set("TUNNEL", to.octets(), [ifindex.to_ne_bytes(), vtep.octets(), vni.to_ne_bytes()])
    }

    /// `four_lru` sends UDP or TCP of this flow out of a device, under these headers.
    pub(crate) fn cached(
        &mut self,
        (source, destination): (Ipv4Addr, Ipv4Addr),
        (protocol, ports): (u8, [u8; 4]),
        ifindex: u32,
        headers: &[u8; 64],
    ) -> Result<()> {
        let mut flow = [0; 16];
        flow[..4].copy_from_slice(&source.octets());
        flow[4..8].copy_from_slice(&destination.octets());
        flow[8..12].copy_from_slice(&ports);
        flow[12] = protocol;
        let mut node = [ifindex.to_ne_bytes(); 17];
        for (word, bytes) in node[1..].iter_mut().zip(headers.chunks_exact(4)) {
            word.copy_from_slice(bytes);
        }
        self.set("LRU_POLICY", flow, [1_u8; 4])?;
        self.set("LRU_NODE", destination.octets(), destination.octets())?;
        self.set("LRU_HEADERS", destination.octets(), node)?;
        self.set("LRU_SOURCE", source.octets(), door(0, MacAddr::ZERO, MacAddr::ZERO))
    }

    fn set<K: Pod, V: Pod>(&mut self, map: &str, key: K, value: V) -> Result<()> {
        let data = self.ebpf.map_mut(map).with_context(|| format!("no reference map {map}"))?;
        let mut map: HashMap<&mut MapData, K, V> = data.try_into().map_err(|error| anyhow!("{error}"))?;
        Ok(map.insert(key, value, ANY)?)
    }
}

/// A veth, and an Ethernet header for its peer.
fn door(ifindex: u32, dst: MacAddr, src: MacAddr) -> [[u8; 4]; 4] {
    let ([a, b, c, d, e, f], [g, h, i, j, k, l]) = (dst.octets(), src.octets());
    [ifindex.to_ne_bytes(), [a, b, c, d], [e, f, g, h], [i, j, k, l]]
}
