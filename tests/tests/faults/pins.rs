//! The pinned maps of a host, opened behind the agent's back.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Debug,
    path::Path,
};

use aya::{
    Pod,
    maps::{Array, HashMap, Map, MapData},
};
use overlay_common::{
    MacAddr,
    map::{Fdb, FdbKey, MAX_SLOTS, Member, MemberKey, Neigh, NeighKey, Net, NodeConfig, Port, Slice},
    vxlan::Vtep,
};
use overlay_tests::Host;

/// Slots that are looked at of each slice, and at the end of the array: a look at one is a system call.
const SEEN: u32 = 2048;

/// Every table of a host.
pub(crate) struct Pins {
    pub(crate) config: Array<MapData, NodeConfig>,
    pub(crate) ports: HashMap<MapData, u32, Port>,
    pub(crate) fdb: HashMap<MapData, FdbKey, Fdb>,
    pub(crate) slots: Array<MapData, Fdb>,
    pub(crate) neigh: HashMap<MapData, NeighKey, Neigh>,
    pub(crate) vteps: Array<MapData, Vtep>,
    pub(crate) members: HashMap<MapData, MemberKey, Member>,
    pub(crate) nets: HashMap<MapData, u32, Net>,
}

/// All entries of all tables, as text: equal when the tables are.
pub(crate) type Content = BTreeMap<String, String>;

impl Pins {
    /// Opens them.
    pub(crate) fn open(host: &Host) -> Self {
        let dir = host.pin_dir.join("maps");
        Self {
            config: Array::try_from(Map::Array(data(&dir, "CONFIG"))).expect("an array"),
            ports: HashMap::try_from(Map::HashMap(data(&dir, "PORTS"))).expect("a hash"),
            fdb: HashMap::try_from(Map::HashMap(data(&dir, "FDB"))).expect("a hash"),
            slots: Array::try_from(Map::Array(data(&dir, "FDB_V4"))).expect("an array"),
            neigh: HashMap::try_from(Map::HashMap(data(&dir, "NEIGH"))).expect("a hash"),
            vteps: Array::try_from(Map::Array(data(&dir, "VTEPS"))).expect("an array"),
            members: HashMap::try_from(Map::HashMap(data(&dir, "MEMBERS"))).expect("a hash"),
            nets: HashMap::try_from(Map::HashMap(data(&dir, "NETS"))).expect("a hash"),
        }
    }

    /// The slots in use: those of the networks' slices, and of the rest some.
    pub(crate) fn used(&self) -> Vec<u32> {
        let mut slots: BTreeSet<u32> = (MAX_SLOTS - SEEN..MAX_SLOTS).collect();
        for vni in keys(&self.nets) {
            let Slice { offset, len, .. } = self.nets.get(&vni, 0).expect("an entry").slice;
            slots.extend(offset..offset + len.min(SEEN));
        }
        slots.retain(|slot| self.slots.get(slot, 0).expect("an entry") != Fdb::NONE);
        slots.into_iter().collect()
    }

    /// The slot of a MAC address of a network.
    pub(crate) fn slot(&self, vni: u32, mac: MacAddr) -> u32 {
        let net = self.nets.get(&vni, 0).expect("a network");
        net.slice.slot(mac).expect("derived from an address of its subnet")
    }

    /// Reads all of them; of `VTEPS` the places in use.
    pub(crate) fn content(&self) -> Content {
        let mut content = Content::new();
        content.insert("CONFIG".to_owned(), format!("{:?}", self.config.get(&0, 0).expect("an entry")));
        for place in 0..self.vteps.len() {
            let vtep = self.vteps.get(&place, 0).expect("an entry");
            if vtep != Vtep::EMPTY {
                content.insert(format!("VTEPS {place}"), format!("{vtep:?}"));
            }
        }
        for slot in self.used() {
            let fdb = self.slots.get(&slot, 0).expect("an entry");
            content.insert(format!("FDB_V4 {slot}"), format!("{fdb:?}"));
        }
        add("PORTS", &self.ports, &mut content);
        add("FDB", &self.fdb, &mut content);
        add("NEIGH", &self.neigh, &mut content);
        add("MEMBERS", &self.members, &mut content);
        add("NETS", &self.nets, &mut content);
        content
    }
}

fn data(dir: &Path, name: &str) -> MapData {
    MapData::from_pin(dir.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn add<K: Pod + Debug, V: Pod + Debug>(name: &str, map: &HashMap<MapData, K, V>, content: &mut Content) {
    for entry in map {
        let (key, value) = entry.expect("the map can be read");
        content.insert(format!("{name} {key:?}"), format!("{value:?}"));
    }
}

/// The keys of a map.
pub(crate) fn keys<K: Pod, V: Pod>(map: &HashMap<MapData, K, V>) -> Vec<K> {
    map.keys().map(|key| key.expect("the map can be read")).collect()
}

/// What differs between two contents: the names of the entries that are gone, new or altered.
pub(crate) fn differing(before: &Content, after: &Content) -> Vec<String> {
    let gone = before.iter().filter(|(key, value)| after.get(*key) != Some(value)).map(|(key, _)| key);
    let new = after.keys().filter(|key| !before.contains_key(*key));
    gone.chain(new).cloned().collect()
}
