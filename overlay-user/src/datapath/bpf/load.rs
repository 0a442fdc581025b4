//! The object: its maps and programs, loaded and pinned.

use std::{fs, io, path::Path, time::Duration};

use super::{
    errors::{failed, foreign, refused_by_kernel, unsupported},
    hooks::{self, PROGRAMS},
};
use crate::datapath::DatapathError;
use aya::{
    Ebpf, EbpfLoader, include_bytes_aligned,
    maps::{Map, MapInfo, MapType},
};
use aya_log::EbpfLogger;
use overlay_common::{
    map::{self, DropKey, FdbKey, MAX_ENDPOINTS, MAX_NETS, MAX_PORTS, MAX_VTEPS, MemberKey, Neigh, NeighKey},
    vxlan,
};

/// The kernel programs, as `build.rs` compiled them.
pub static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/overlay.o"));

/// A map that is pinned: its name, and the type, the sizes of key and value in bytes and the entries it must have.
struct Layout(&'static str, MapType, usize, usize, u32);

const LAYOUTS: [Layout; 9] = [
    Layout("CONFIG", MapType::Array, 4, size_of::<map::NodeConfig>(), 1),
    Layout("PORTS", MapType::Hash, 4, size_of::<map::Port>(), MAX_PORTS),
    Layout("FDB", MapType::Hash, size_of::<FdbKey>(), size_of::<map::Fdb>(), MAX_ENDPOINTS),
    Layout("NEIGH", MapType::Hash, size_of::<NeighKey>(), size_of::<Neigh>(), 2 * MAX_ENDPOINTS),
    Layout("VTEPS", MapType::Array, 4, size_of::<vxlan::Vtep>(), MAX_VTEPS),
    Layout("MEMBERS", MapType::Hash, size_of::<MemberKey>(), size_of::<map::Member>(), MAX_ENDPOINTS),
    Layout("NETS", MapType::Hash, 4, size_of::<map::Net>(), MAX_NETS),
    Layout("COUNTERS", MapType::PerCpuArray, 4, 8, overlay_common::Counter::ALL.len() as u32),
    Layout("DROPS", MapType::PerCpuHash, size_of::<DropKey>(), 8, MAX_NETS * 4),
];

/// Loads the object over the maps pinned below `pin_dir`, making those that are not there, and pins the programs.
pub(super) fn load(pin_dir: &Path, trace_sample: u32) -> Result<Ebpf, DatapathError> {
    let (maps, progs) = (pin_dir.join("maps"), pin_dir.join("progs"));
    for dir in [&maps, &progs] {
        fs::create_dir_all(dir).map_err(failed("use the pin directory"))?;
    }
    let mut loader = EbpfLoader::new();
    for layout in &LAYOUTS {
        check(&maps, layout)?;
        loader.map_pin_path(layout.0, maps.join(layout.0));
    }
    loader.override_global("TRACE_SAMPLE", &trace_sample, true);
    let mut ebpf = loader.load(OBJECT).map_err(|error| refused_by_kernel(&error))?;
    for program in PROGRAMS {
        let pin = progs.join(program.name());
        let loaded = hooks::program(&mut ebpf, program)?;
        loaded.load().map_err(|error| refused_by_kernel(&error))?;
        match fs::remove_file(&pin) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("use the pin directory")(error));
            }
            _ => loaded.pin(&pin).map_err(|error| refused_by_kernel(&error))?,
        }
    }
    Ok(ebpf)
}

/// Refuses a pinned map of another layout, which the loader would take as it is.
fn check(maps: &Path, &Layout(name, kind, key, value, entries): &Layout) -> Result<(), DatapathError> {
    let pin = maps.join(name);
    if !pin.exists() {
        return Ok(());
    }
    let found = MapInfo::from_pin(&pin).map_err(|_| foreign(&pin))?;
    let sizes = (found.key_size() as usize, found.value_size() as usize, found.max_entries());
    if found.map_type().is_ok_and(|found| found == kind) && sizes == (key, value, entries) {
        Ok(())
    } else {
        Err(foreign(&pin))
    }
}

/// A map of the object, as its type.
pub(super) fn map<T: TryFrom<Map>>(ebpf: &mut Ebpf, name: &'static str) -> Result<T, DatapathError> {
    ebpf.take_map(name)
        .and_then(|map| T::try_from(map).ok())
        .ok_or_else(|| unsupported(&format!("an object without map {name}")))
}

/// Removes all pins below a directory, and with the last pin of a link the program from its device.
pub fn uninstall(pin_dir: &Path) -> io::Result<()> {
    // Links first: no program may run on without the others' maps.
    for part in ["links", "progs", "maps"] {
        match fs::remove_dir_all(pin_dir.join(part)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    match fs::remove_dir(pin_dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Reads what traced programs log, and hands it to the log.
pub struct TraceReader(EbpfLogger<&'static dyn log::Log>);

impl TraceReader {
    pub(super) fn new(ebpf: &mut Ebpf) -> Option<Self> {
        EbpfLogger::init(ebpf).ok().map(Self)
    }

    /// Reads for as long as the agent runs.
    pub async fn run(mut self) {
        // By the clock: a sampled trace is looked at by people, and the ring holds hundreds of records.
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        loop {
            tick.tick().await;
            self.0.flush();
        }
    }
}
