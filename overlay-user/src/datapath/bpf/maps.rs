//! The tables in their maps: read, and changed entry by entry.

use std::{
    borrow::Borrow,
    collections::{BTreeMap, btree_map::Entry},
    net::IpAddr,
    path::Path,
};

use aya::{
    Pod,
    maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray, PerCpuHashMap, PerCpuValues},
};
use overlay_common::{
    Counter, DropReason, Vni,
    map::{self, DropKey, FdbKey, MAX_VTEPS, MemberKey, Neigh, NeighKey},
    vxlan,
};

use super::{
    batch, codec,
    errors::{full_or_failed, on_map, refused, unsupported},
    slices::Slices,
    slots::Slots,
};
use crate::{
    datapath::{DatapathError, DropCount},
    plan::Op,
    tables::NodeEntry,
};

/// `BPF_ANY`.
const ANY: u64 = 0;

/// The maps of one set.
pub(super) struct Maps {
    pub(super) config: Array<MapData, map::NodeConfig>,
    pub(super) ports: HashMap<MapData, u32, map::Port>,
    pub(super) fdb: HashMap<MapData, FdbKey, map::Fdb>,
    pub(super) slots: Slots,
    pub(super) neigh: HashMap<MapData, NeighKey, Neigh>,
    pub(super) vteps: Array<MapData, vxlan::Vtep>,
    pub(super) members: HashMap<MapData, MemberKey, map::Member>,
    pub(super) nets: HashMap<MapData, u32, map::Net>,
    pub(super) drops: PerCpuHashMap<MapData, DropKey, u64>,
    counters: PerCpuArray<MapData, u64>,
    /// This node as it was last written.
    pub(super) known_node: Option<NodeEntry>,
    /// The networks as they were last written.
    pub(super) known_nets: BTreeMap<u32, map::Net>,
    /// Which slots are whose.
    pub(super) slices: Slices,
    /// The place of each VTEP in `VTEPS`.
    pub(super) places: BTreeMap<IpAddr, u32>,
    /// The same by place.
    pub(super) addrs: BTreeMap<u32, IpAddr>,
    /// The other addresses of their nodes by place.
    pub(super) others: BTreeMap<u32, IpAddr>,
}

impl Maps {
    /// Opens the maps pinned in a directory.
    pub(super) fn open(dir: &Path) -> Result<Self, DatapathError> {
        let mut this = Self {
            config: open(dir, "CONFIG", Map::Array)?,
            ports: open(dir, "PORTS", Map::HashMap)?,
            fdb: open(dir, "FDB", Map::HashMap)?,
            slots: Slots::open(dir)?,
            neigh: open(dir, "NEIGH", Map::HashMap)?,
            vteps: open(dir, "VTEPS", Map::Array)?,
            members: open(dir, "MEMBERS", Map::HashMap)?,
            nets: open(dir, "NETS", Map::HashMap)?,
            drops: open(dir, "DROPS", Map::PerCpuHashMap)?,
            counters: open(dir, "COUNTERS", Map::PerCpuArray)?,
            known_node: None,
            known_nets: BTreeMap::new(),
            slices: Slices::default(),
            places: BTreeMap::new(),
            addrs: BTreeMap::new(),
            others: BTreeMap::new(),
        };
        this.known_node = this.node()?;
        this.know_nets()?;
        for (place, vtep) in this.read_vteps()? {
            let addr = vtep.addr.to_ip();
            if let Entry::Vacant(vacant) = this.places.entry(addr) {
                vacant.insert(place);
                this.addrs.insert(place, addr);
                this.others.extend(codec::vtep_back(&vtep).other.map(|other| (place, other)));
            }
        }
        Ok(this)
    }

    /// What the programs count besides drops.
    pub(super) fn counters(&mut self) -> Result<BTreeMap<String, u64>, DatapathError> {
        let mut counts = BTreeMap::new();
        for counter in Counter::ALL {
            let values = self.counters.get(&(counter as u32), 0).map_err(on_map("COUNTERS"))?;
            counts.insert(counter.name().to_owned(), sum(&values));
        }
        Ok(counts)
    }

    /// Carries out a step that changes an entry; the others are no business of maps.
    pub(super) fn apply(&mut self, op: &Op) -> Result<(), DatapathError> {
        let result = self.carry_out(op);
        let refers = matches!(op, Op::SetPort(..) | Op::DelPort(_) | Op::AddMember(..) | Op::DelMember(..));
        if refers && result.is_err() {
            self.slices.keep();
        }
        result
    }

    fn carry_out(&mut self, op: &Op) -> Result<(), DatapathError> {
        match op {
            Op::SetNode(node) => self.set_node(node),
            Op::SetNet(vni, net) => self.set_net(*vni, net),
            Op::DelNet(vni) => self.delete_net(*vni),
            Op::SetVtep(addr, vtep) => self.set_vtep(*addr, vtep),
            Op::DelVtep(addr) => self.delete_vtep(*addr),
            Op::AddMember(vni, vtep) => self.add_member(*vni, *vtep),
            Op::DelMember(vni, vtep) => {
                remove(&mut self.members, "MEMBERS", MemberKey::new(vni.get(), (*vtep).into()))
            }
            Op::SetNeigh(vni, ip, mac) => {
                put(&mut self.neigh, "NEIGH", NeighKey::new(vni.get(), (*ip).into()), Neigh::new(*mac))
            }
            Op::DelNeigh(vni, ip) => remove(&mut self.neigh, "NEIGH", NeighKey::new(vni.get(), (*ip).into())),
            Op::SetFdb(vni, mac, station) => self.set_station(*vni, *mac, station),
            Op::DelFdb(vni, mac) => self.delete_station(*vni, *mac),
            Op::SetPort(ifindex, port) => {
                let slice = self.net(port.vni)?.slice;
                put(&mut self.ports, "PORTS", ifindex.0, codec::port(port, slice)?)
            }
            Op::DelPort(ifindex) => remove(&mut self.ports, "PORTS", ifindex.0),
            Op::Attach(_) | Op::Detach(_) => Ok(()),
        }
    }

    /// Counts the dropped frames by reason and network.
    pub(super) fn drops(&mut self) -> Result<Vec<DropCount>, DatapathError> {
        let mut counts = Vec::new();
        for entry in &self.drops {
            let (key, values) = entry.map_err(on_map("DROPS"))?;
            // A number of another version's programs has no name here.
            let Some(reason) = DropReason::from_index(key.reason) else { continue };
            counts.push(DropCount {
                reason: reason.name(),
                vni: Vni::new(key.vni).ok(),
                count: sum(&values),
            });
        }
        Ok(counts)
    }

    /// Goes on counting where the maps of another set are, as far as those are like these.
    pub(super) fn carry_over(&mut self, from: &Path) -> Result<(), DatapathError> {
        if let Ok(drops) = open::<PerCpuHashMap<_, DropKey, u64>>(from, "DROPS", Map::PerCpuHashMap) {
            for entry in &drops {
                let (key, values) = entry.map_err(on_map("DROPS"))?;
                self.drops.insert(key, values, ANY).map_err(full_or_failed("DROPS"))?;
            }
        }
        if let Ok(counters) = open::<PerCpuArray<_, u64>>(from, "COUNTERS", Map::PerCpuArray) {
            for counter in Counter::ALL {
                // Fewer, where the other version counts less.
                let Ok(values) = counters.get(&(counter as u32), 0) else { break };
                self.counters.set(counter as u32, values, ANY).map_err(on_map("COUNTERS"))?;
            }
        }
        Ok(())
    }

    /// The VTEPS in use, by their places.
    fn read_vteps(&self) -> Result<BTreeMap<u32, vxlan::Vtep>, DatapathError> {
        let mut vteps = BTreeMap::new();
        for place in 0..MAX_VTEPS {
            let vtep = self.vteps.get(&place, 0).map_err(on_map("VTEPS"))?;
            if vtep != vxlan::Vtep::EMPTY {
                vteps.insert(place, vtep);
            }
        }
        Ok(vteps)
    }

    pub(super) fn node(&self) -> Result<Option<NodeEntry>, DatapathError> {
        self.config.get(&0, 0).map(codec::node_back).map_err(on_map("CONFIG"))
    }

    fn set_vtep(&mut self, addr: IpAddr, vtep: &crate::tables::Vtep) -> Result<(), DatapathError> {
        let node = self.node()?.ok_or_else(|| unsupported("a VTEP before the node itself"))?;
        let taken: std::collections::BTreeSet<_> = self.places.values().copied().collect();
        let place = match self.places.get(&addr) {
            Some(place) => *place,
            // The first free place. One that was freed was freed by an earlier plan, after the last FDB entry
            // that named it: no program still holds its number.
            None => (0..MAX_VTEPS)
                .find(|place| !taken.contains(place))
                .ok_or(DatapathError::Full { map: "VTEPS" })?,
        };
        self.vteps.set(place, codec::vtep(&node, addr, vtep), ANY).map_err(on_map("VTEPS"))?;
        self.places.insert(addr, place);
        self.addrs.insert(place, addr);
        let former = self.others.remove(&place);
        self.others.extend(vtep.other.map(|other| (place, other)));
        for own in [Some(addr), vtep.other].into_iter().flatten() {
            put(&mut self.members, "MEMBERS", MemberKey::new(0, own.into()), codec::CLUSTER)?;
        }
        former.map_or(Ok(()), |former| self.forget_node(former))
    }

    fn delete_vtep(&mut self, addr: IpAddr) -> Result<(), DatapathError> {
        let Some(place) = self.places.remove(&addr) else { return self.forget_node(addr) };
        self.addrs.remove(&place);
        let other = self.others.remove(&place);
        for own in [Some(addr), other].into_iter().flatten() {
            self.forget_node(own)?;
        }
        self.vteps.set(place, vxlan::Vtep::EMPTY, ANY).map_err(on_map("VTEPS"))
    }

    /// Whether a VTEP has this address.
    pub(super) fn is_of_vtep(&self, addr: IpAddr) -> bool {
        self.places.contains_key(&addr) || self.others.values().any(|other| *other == addr)
    }

    /// Strikes an address from those of the cluster, unless a VTEP has it.
    fn forget_node(&mut self, addr: IpAddr) -> Result<(), DatapathError> {
        if self.is_of_vtep(addr) {
            return Ok(());
        }
        remove(&mut self.members, "MEMBERS", MemberKey::new(0, addr.into()))
    }

    /// Sets the node, and with it what every template says of it: our address and the UDP port.
    fn set_node(&mut self, node: &NodeEntry) -> Result<(), DatapathError> {
        for (place, vtep) in self.read_vteps()? {
            let template = codec::vtep(node, vtep.addr.to_ip(), &codec::vtep_back(&vtep));
            self.vteps.set(place, template, ANY).map_err(on_map("VTEPS"))?;
        }
        self.config.set(0, codec::node(node), ANY).map_err(on_map("CONFIG"))?;
        self.known_node = Some(node.clone());
        Ok(())
    }
}

/// Opens one pinned map as its type.
fn open<T: TryFrom<Map, Error = MapError>>(
    dir: &Path,
    name: &'static str,
    kind: impl Fn(MapData) -> Map,
) -> Result<T, DatapathError> {
    let data = MapData::from_pin(dir.join(name)).map_err(on_map(name))?;
    T::try_from(kind(data)).map_err(on_map(name))
}

fn sum(values: &PerCpuValues<u64>) -> u64 {
    values.iter().sum()
}

/// All entries of a map. An entry changed meanwhile may be missing or twice; the next reading has it.
pub(super) fn entries<K: Pod, V: Pod>(
    map: &HashMap<MapData, K, V>,
    name: &'static str,
) -> Result<Vec<(K, V)>, DatapathError> {
    batch::entries(map).map_err(refused(name))
}

/// Sets entries: how many, and why the next could not be set.
pub(super) fn put_many<K: Pod, V: Pod>(
    map: &HashMap<MapData, K, V>,
    name: &'static str,
    keys: &[K],
    values: &[V],
) -> (usize, Result<(), DatapathError>) {
    if keys.is_empty() {
        return (0, Ok(()));
    }
    let (done, result) = batch::update(map, keys, values);
    (done, result.map_err(refused(name)))
}

pub(super) fn put<K: Pod, V: Pod>(
    map: &mut HashMap<MapData, K, V>,
    name: &'static str,
    key: impl Borrow<K>,
    value: V,
) -> Result<(), DatapathError> {
    map.insert(key, value, ANY).map_err(full_or_failed(name))
}

pub(super) fn remove<K: Pod, V: Pod>(
    map: &mut HashMap<MapData, K, V>,
    name: &'static str,
    key: impl Borrow<K>,
) -> Result<(), DatapathError> {
    absent_is_done(name, map.remove(key.borrow()))
}

/// An entry that is not there needs no removal.
pub(super) fn absent_is_done(name: &'static str, result: Result<(), MapError>) -> Result<(), DatapathError> {
    match result {
        Err(MapError::KeyNotFound) | Ok(()) => Ok(()),
        Err(MapError::SyscallError(error)) if error.io_error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(on_map(name)(error)),
    }
}
