//! The kernel's tables through BPF maps, and programs through tcx links; all pinned.

mod codec;
mod errors;
mod hooks;
mod load;

use std::{borrow::Borrow, collections::BTreeMap, net::IpAddr, path::Path};

use aya::{
    Ebpf, Pod,
    maps::{Array, HashMap, MapData, MapError, PerCpuArray, PerCpuHashMap, PerCpuValues},
};
use overlay_common::{
    Counter, DropReason, Vni,
    map::{self, DropKey, FdbKey, MAX_VTEPS, MemberKey, Neigh, NeighKey},
    vxlan,
};

use self::{
    errors::{failed, full_or_failed, on_map, unsupported},
    hooks::Hooks,
};
use crate::{
    datapath::{Datapath, DatapathError, DropCount, ProgramInfo},
    plan::Op,
    tables::{Hook, Ifindex, NodeEntry, Tables},
};

pub use self::load::{OBJECT, TraceReader, uninstall};

/// `BPF_ANY`.
const ANY: u64 = 0;

/// The data plane in the kernel.
pub struct Bpf {
    ebpf: Ebpf,
    hooks: Hooks,
    config: Array<MapData, map::NodeConfig>,
    ports: HashMap<MapData, u32, map::Port>,
    fdb: HashMap<MapData, FdbKey, map::Fdb>,
    neigh: HashMap<MapData, NeighKey, Neigh>,
    vteps: Array<MapData, vxlan::Vtep>,
    members: HashMap<MapData, MemberKey, map::Member>,
    nets: HashMap<MapData, u32, map::Net>,
    drops: PerCpuHashMap<MapData, DropKey, u64>,
    counters: PerCpuArray<MapData, u64>,
    /// The place of each VTEP in `VTEPS`.
    places: BTreeMap<IpAddr, u32>,
}

impl Bpf {
    /// Opens the pinned maps and links of a directory, makes those that are not there, and puts this version's
    /// programs at the links. `trace_sample`: one frame in this many is traced; 0 for none.
    pub fn open(pin_dir: &Path, trace_sample: u32) -> Result<Self, DatapathError> {
        let hooks = Hooks::new(pin_dir).map_err(failed("use the pins"))?;
        let mut ebpf = load::load(pin_dir, trace_sample)?;
        let mut this = Self {
            config: load::map(&mut ebpf, "CONFIG")?,
            ports: load::map(&mut ebpf, "PORTS")?,
            fdb: load::map(&mut ebpf, "FDB")?,
            neigh: load::map(&mut ebpf, "NEIGH")?,
            vteps: load::map(&mut ebpf, "VTEPS")?,
            members: load::map(&mut ebpf, "MEMBERS")?,
            nets: load::map(&mut ebpf, "NETS")?,
            drops: load::map(&mut ebpf, "DROPS")?,
            counters: load::map(&mut ebpf, "COUNTERS")?,
            places: BTreeMap::new(),
            hooks,
            ebpf,
        };
        this.places =
            this.read_vteps()?.into_iter().map(|(place, vtep)| (vtep.addr.to_ip(), place)).collect();
        for hook in this.hooks.installed()?.into_keys() {
            this.hooks.attach(&mut this.ebpf, hook)?;
        }
        Ok(this)
    }

    /// The reader of sampled traces, where the programs were loaded with any.
    pub fn take_trace(&mut self) -> Option<TraceReader> {
        TraceReader::new(&mut self.ebpf)
    }

    /// What the programs count besides drops.
    pub fn counters(&mut self) -> Result<BTreeMap<String, u64>, DatapathError> {
        let mut counts = BTreeMap::new();
        for counter in Counter::ALL {
            let values = self.counters.get(&(counter as u32), 0).map_err(on_map("COUNTERS"))?;
            counts.insert(counter.name().to_owned(), sum(&values));
        }
        Ok(counts)
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

    fn node(&self) -> Result<Option<NodeEntry>, DatapathError> {
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
        self.vteps.set(place, codec::vtep(&node, addr, vtep)?, ANY).map_err(on_map("VTEPS"))?;
        self.places.insert(addr, place);
        let known = MemberKey::new(0, addr.into());
        put(&mut self.members, "MEMBERS", known, map::Member { flags: 0 })
    }

    fn delete_vtep(&mut self, addr: IpAddr) -> Result<(), DatapathError> {
        remove(&mut self.members, "MEMBERS", MemberKey::new(0, addr.into()))?;
        if let Some(place) = self.places.remove(&addr) {
            self.vteps.set(place, vxlan::Vtep::EMPTY, ANY).map_err(on_map("VTEPS"))?;
        }
        Ok(())
    }

    /// Sets the node, and with it what every template says of it: our address and the UDP port.
    fn set_node(&mut self, node: &NodeEntry) -> Result<(), DatapathError> {
        for (place, vtep) in self.read_vteps()? {
            let template = codec::vtep(node, vtep.addr.to_ip(), &codec::vtep_back(&vtep))?;
            self.vteps.set(place, template, ANY).map_err(on_map("VTEPS"))?;
        }
        self.config.set(0, codec::node(node), ANY).map_err(on_map("CONFIG"))
    }

    /// Sets a network, and before it the flags of its members: a change that is interrupted leaves members whose
    /// flags are not their network's, which `read` takes for no members.
    fn set_net(&mut self, vni: Vni, net: map::Net) -> Result<(), DatapathError> {
        let members = entries(&self.members, "MEMBERS")?;
        for (key, _) in members.into_iter().filter(|(key, _)| key.vni == vni.get()) {
            put(&mut self.members, "MEMBERS", key, codec::member(net))?;
        }
        put(&mut self.nets, "NETS", vni.get(), net)
    }

    fn add_member(&mut self, vni: Vni, vtep: IpAddr) -> Result<(), DatapathError> {
        let net = self.nets.get(&vni.get(), 0).map_err(on_map("NETS"))?;
        put(&mut self.members, "MEMBERS", MemberKey::new(vni.get(), vtep.into()), codec::member(net))
    }

    /// Deletes a network, and what was counted under it.
    fn delete_net(&mut self, vni: Vni) -> Result<(), DatapathError> {
        remove(&mut self.nets, "NETS", vni.get())?;
        for reason in DropReason::ALL {
            let key = DropKey { vni: vni.get(), reason: reason as u32 };
            absent_is_done("DROPS", self.drops.remove(&key))?;
        }
        Ok(())
    }
}

impl Datapath for Bpf {
    fn read(&mut self) -> Result<Tables, DatapathError> {
        let vteps = self.read_vteps()?;
        self.places = vteps.iter().map(|(place, vtep)| (vtep.addr.to_ip(), *place)).collect();
        let mut tables = Tables { node: self.node()?, ..Tables::default() };
        tables.vteps = vteps.values().map(|vtep| (vtep.addr.to_ip(), codec::vtep_back(vtep))).collect();
        let nets: BTreeMap<u32, map::Net> = entries(&self.nets, "NETS")?.into_iter().collect();
        for (vni, net) in &nets {
            tables.nets.extend(Vni::new(*vni).ok().map(|vni| (vni, codec::net_back(*net))));
        }
        for (key, member) in entries(&self.members, "MEMBERS")? {
            let whole = nets.get(&key.vni).is_some_and(|net| codec::member(*net) == member);
            tables
                .members
                .extend(Vni::new(key.vni).ok().filter(|_| whole).map(|vni| (vni, key.vtep.to_ip())));
        }
        for (key, neigh) in entries(&self.neigh, "NEIGH")? {
            tables.neigh.extend(Vni::new(key.vni).ok().map(|vni| ((vni, key.ip.to_ip()), neigh.mac)));
        }
        for (key, fdb) in entries(&self.fdb, "FDB")? {
            let value = codec::fdb_back(&fdb, |place| vteps.get(&place).map(|vtep| vtep.addr.to_ip()));
            tables.fdb.extend(codec::fdb_key_back(key).zip(value));
        }
        for (ifindex, port) in entries(&self.ports, "PORTS")? {
            tables.ports.extend(codec::port_back(&port).map(|port| (Ifindex(ifindex), port)));
        }
        tables.hooks = self.hooks.installed()?.into_keys().collect();
        Ok(tables)
    }

    fn apply(&mut self, op: &Op) -> Result<(), DatapathError> {
        match op {
            Op::SetNode(node) => self.set_node(node),
            Op::SetNet(vni, net) => self.set_net(*vni, codec::net(net)),
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
            Op::SetFdb(vni, mac, fdb) => {
                let value = codec::fdb(fdb, |vtep| self.places.get(&vtep).copied())?;
                put(&mut self.fdb, "FDB", FdbKey::new(vni.get(), *mac), value)
            }
            Op::DelFdb(vni, mac) => remove(&mut self.fdb, "FDB", FdbKey::new(vni.get(), *mac)),
            Op::SetPort(ifindex, port) => put(&mut self.ports, "PORTS", ifindex.0, codec::port(port)?),
            Op::DelPort(ifindex) => remove(&mut self.ports, "PORTS", ifindex.0),
            Op::Attach(hook) => self.hooks.attach(&mut self.ebpf, *hook),
            Op::Detach(hook) => self.hooks.detach(*hook),
        }
    }

    fn drops(&mut self) -> Result<Vec<DropCount>, DatapathError> {
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

    fn programs(&mut self) -> Result<Vec<ProgramInfo>, DatapathError> {
        let installed = self.hooks.installed()?;
        Ok(installed
            .into_iter()
            .map(|(Hook { program, ifindex }, id)| ProgramInfo {
                name: program.name().into(),
                id,
                device: ifindex,
                hook: program.hook(),
            })
            .collect())
    }
}

fn sum(values: &PerCpuValues<u64>) -> u64 {
    values.iter().sum()
}

/// All entries of a map. An entry changed meanwhile may be missing or twice; the next reading has it.
fn entries<K: Pod, V: Pod>(
    map: &HashMap<MapData, K, V>,
    name: &'static str,
) -> Result<Vec<(K, V)>, DatapathError> {
    map.iter().collect::<Result<_, _>>().map_err(on_map(name))
}

fn put<K: Pod, V: Pod>(
    map: &mut HashMap<MapData, K, V>,
    name: &'static str,
    key: impl Borrow<K>,
    value: V,
) -> Result<(), DatapathError> {
    map.insert(key, value, ANY).map_err(full_or_failed(name))
}

fn remove<K: Pod, V: Pod>(
    map: &mut HashMap<MapData, K, V>,
    name: &'static str,
    key: impl Borrow<K>,
) -> Result<(), DatapathError> {
    absent_is_done(name, map.remove(key.borrow()))
}

/// An entry that is not there needs no removal.
fn absent_is_done(name: &'static str, result: Result<(), MapError>) -> Result<(), DatapathError> {
    match result {
        Err(MapError::KeyNotFound) | Ok(()) => Ok(()),
        Err(MapError::SyscallError(error)) if error.io_error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(on_map(name)(error)),
    }
}
