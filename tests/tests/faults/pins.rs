//! The pinned maps of a host, opened behind the agent's back.

use std::{collections::BTreeMap, fmt::Debug, path::Path};

use aya::{
    Pod,
    maps::{Array, HashMap, Map, MapData},
};
use overlay_common::{
    map::{Fdb, FdbKey, Member, MemberKey, Neigh, NeighKey, Net, NodeConfig, Port},
    vxlan::Vtep,
};
use overlay_tests::Host;

/// Every table of a host.
pub(crate) struct Pins {
    pub(crate) config: Array<MapData, NodeConfig>,
    pub(crate) ports: HashMap<MapData, u32, Port>,
    pub(crate) fdb: HashMap<MapData, FdbKey, Fdb>,
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
            neigh: HashMap::try_from(Map::HashMap(data(&dir, "NEIGH"))).expect("a hash"),
            vteps: Array::try_from(Map::Array(data(&dir, "VTEPS"))).expect("an array"),
            members: HashMap::try_from(Map::HashMap(data(&dir, "MEMBERS"))).expect("a hash"),
            nets: HashMap::try_from(Map::HashMap(data(&dir, "NETS"))).expect("a hash"),
        }
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
