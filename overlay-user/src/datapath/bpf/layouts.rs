//! What each pinned map must be: the loader takes a pinned map as it is, whatever it is.

use std::path::Path;

use aya::maps::{MapInfo, MapType};
use overlay_common::{
    Counter,
    map::{
        self, DropKey, FdbKey, MAX_ENDPOINTS, MAX_MEMBERS, MAX_NETS, MAX_PORTS, MAX_SLOTS, MAX_VTEPS,
        MemberKey, Neigh, NeighKey,
    },
    vxlan,
};

/// A map that is pinned: its name, and the type, the sizes of key and value in bytes and the entries it must have.
pub(super) struct Layout(pub(super) &'static str, MapType, usize, usize, pub(super) u32);

/// Every pinned map but `META`, in the order of their names.
pub(super) const LAYOUTS: [Layout; 10] = [
    Layout("CONFIG", MapType::Array, 4, size_of::<map::NodeConfig>(), 1),
    Layout("COUNTERS", MapType::PerCpuArray, 4, 8, Counter::ALL.len() as u32),
    Layout("DROPS", MapType::PerCpuHash, size_of::<DropKey>(), 8, MAX_NETS * 4),
    Layout("FDB", MapType::Hash, size_of::<FdbKey>(), size_of::<map::Fdb>(), MAX_ENDPOINTS),
    Layout("FDB_V4", MapType::Array, 4, size_of::<map::Fdb>(), MAX_SLOTS),
    Layout("MEMBERS", MapType::Hash, size_of::<MemberKey>(), size_of::<map::Member>(), MAX_MEMBERS),
    Layout("NEIGH", MapType::Hash, size_of::<NeighKey>(), size_of::<Neigh>(), MAX_ENDPOINTS),
    Layout("NETS", MapType::Hash, 4, size_of::<map::Net>(), MAX_NETS),
    Layout("PORTS", MapType::Hash, 4, size_of::<map::Port>(), MAX_PORTS),
    Layout("VTEPS", MapType::Array, 4, size_of::<vxlan::Vtep>(), MAX_VTEPS),
];

/// `BPF_F_MMAPABLE`.
const MMAPABLE: u32 = 1 << 10;

/// How a pin compares with the map that this version wants there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// It is that map; the kernel's number of it.
    Same(u32),
    /// There is no pin.
    Absent,
    /// It is a map of that kind, with room for this many entries more than this version's holds.
    Larger(u32),
    /// It is something else.
    Other,
}

impl Layout {
    /// Whether a set of this ABI has the map.
    pub(super) fn is_in(&self, abi: u32) -> bool {
        self.0 != "FDB_V4" || abi >= 4
    }

    /// Compares what is pinned below `maps`.
    pub(super) fn fit(&self, maps: &Path) -> Fit {
        let &Self(name, kind, key, value, entries) = self;
        let pin = maps.join(name);
        // Not `exists`, which follows a symbolic link to nowhere.
        if pin.symlink_metadata().is_err() {
            return Fit::Absent;
        }
        let Ok(found) = MapInfo::from_pin(&pin) else { return Fit::Other };
        if name == "FDB_V4" && found.map_flags() & MMAPABLE == 0 {
            return Fit::Other;
        }
        let sizes = (found.key_size() as usize, found.value_size() as usize);
        if found.map_type().is_ok_and(|found| found == kind) && sizes.0 == key {
            match found.max_entries() {
                // More reasons to count than this version knows are no loss of room.
                larger if larger > entries && name != "COUNTERS" => return Fit::Larger(larger),
                same if same == entries && sizes.1 == value => return Fit::Same(found.id()),
                _ => {}
            }
        }
        Fit::Other
    }
}
