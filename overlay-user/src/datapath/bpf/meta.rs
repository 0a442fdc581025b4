//! `META`: what an earlier agent noted of the maps and programs it left, and what that makes of them.

use std::{fs, path::Path};

use aya::{
    maps::{Array, MapData},
    programs::ProgramInfo,
};
use overlay_common::{ABI_VERSION, hash::fnv1a, meta::Meta};

use super::{
    errors::{failed, on_map, refused_by_kernel},
    hooks::PROGRAMS,
    layouts::{Fit, LAYOUTS, Layout},
    load::OBJECT,
};
use crate::{datapath::DatapathError, files::absent_is_done};

/// The name of the pin among the maps.
const NAME: &str = "META";

/// What is pinned, seen from this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing.
    Nothing,
    /// Maps and programs that this version would make itself.
    Same,
    /// Maps of this version, with programs of another object.
    OtherPrograms,
    /// Maps of another version, or that do not belong together.
    OtherMaps {
        /// Whether they are a whole set of an earlier version, and not remains.
        whole: bool,
    },
}

/// Looks at what is pinned. What a later version left, or has room for more, is refused unless `downgrade`.
pub(super) fn find(
    maps: &Path,
    progs: &Path,
    trace_sample: u32,
    downgrade: bool,
) -> Result<Found, DatapathError> {
    let fits: Vec<Fit> = LAYOUTS.iter().map(|layout| layout.fit(maps)).collect();
    let meta = read(maps);
    if !downgrade {
        refuse_later(meta.as_ref(), &fits)?;
    }
    if meta.is_none() && fits.iter().all(|fit| *fit == Fit::Absent) {
        return Ok(Found::Nothing);
    }
    // The first version left no META, and had the same maps.
    let whole = match &meta {
        Some(meta) => {
            let there = |(layout, fit): (&Layout, &Fit)| !layout.is_in(meta.abi) || *fit != Fit::Absent;
            meta.abi != ABI_VERSION && LAYOUTS.iter().zip(&fits).all(there)
        }
        None => fits.iter().all(|fit| matches!(fit, Fit::Same(_))),
    };
    let ours = |meta: &Meta| meta.abi == ABI_VERSION && meta.maps == map_ids(&fits);
    let Some(meta) = meta.filter(ours) else { return Ok(Found::OtherMaps { whole }) };
    // The trace of programs that another process loaded cannot be read.
    let same = trace_sample == 0 && meta.trace_sample == 0 && meta.object == object();
    Ok(if same && program_ids(progs) == Some(meta.programs) { Found::Same } else { Found::OtherPrograms })
}

fn refuse_later(meta: Option<&Meta>, fits: &[Fit]) -> Result<(), DatapathError> {
    if let Some(meta) = meta.filter(|meta| meta.abi > ABI_VERSION) {
        return Err(DatapathError::Newer { found: meta.abi, known: ABI_VERSION });
    }
    // An earlier version's entries are written into new maps before anything is swapped: whether they fit is seen then.
    if meta.is_some_and(|meta| meta.abi < ABI_VERSION) {
        return Ok(());
    }
    for (layout, fit) in LAYOUTS.iter().zip(fits) {
        if let Fit::Larger(found) = *fit {
            return Err(DatapathError::Shrunk { map: layout.0, found, known: layout.4 });
        }
    }
    Ok(())
}

/// Notes that the programs are being replaced, whatever comes.
pub(super) fn begin(maps: &Path) -> Result<(), DatapathError> {
    write(maps, &Meta { object: 0, ..read(maps).unwrap_or(Meta::EMPTY) })
}

/// Notes what is pinned now as this version's.
pub(super) fn finish(maps: &Path, progs: &Path, trace_sample: u32) -> Result<(), DatapathError> {
    let fits: Vec<Fit> = LAYOUTS.iter().map(|layout| layout.fit(maps)).collect();
    let programs = program_ids(progs).unwrap_or_default();
    let meta = Meta { abi: ABI_VERSION, trace_sample, object: object(), programs, maps: map_ids(&fits) };
    write(maps, &meta)
}

/// The kernel's numbers of the pinned programs, in the order of `PROGRAMS`; none unless all are there.
pub(super) fn program_ids(progs: &Path) -> Option<[u32; overlay_common::meta::META_PROGRAMS]> {
    let mut ids = [0; overlay_common::meta::META_PROGRAMS];
    for (id, program) in ids.iter_mut().zip(PROGRAMS) {
        *id = pinned_id(&progs.join(program.name()))?;
    }
    Some(ids)
}

/// The kernel's number of a pinned program.
fn pinned_id(pin: &Path) -> Option<u32> {
    Some(ProgramInfo::from_pin(pin).ok()?.id())
}

fn map_ids(fits: &[Fit]) -> [u32; overlay_common::meta::META_MAPS] {
    let mut ids = [0; overlay_common::meta::META_MAPS];
    for (id, fit) in ids.iter_mut().zip(fits) {
        *id = if let Fit::Same(id) = *fit { id } else { 0 };
    }
    ids
}

/// What tells this agent's object from others.
fn object() -> u64 {
    fnv1a(OBJECT.iter().copied())
}

/// What is noted; none where nothing is, or something else is pinned there.
fn read(maps: &Path) -> Option<Meta> {
    let map = MapData::from_pin(maps.join(NAME)).ok()?;
    Array::<_, Meta>::try_from(aya::maps::Map::Array(map)).ok()?.get(&0, 0).ok()
}

fn write(maps: &Path, meta: &Meta) -> Result<(), DatapathError> {
    let pin = maps.join(NAME);
    if read(maps).is_none() {
        absent_is_done(fs::remove_file(&pin)).map_err(failed("use the pin directory"))?;
        let made = Array::<_, Meta>::create(1, 0).map_err(on_map(NAME))?;
        made.pin(&pin).map_err(|error| refused_by_kernel(&error))?;
    }
    let map = MapData::from_pin(&pin).map_err(on_map(NAME))?;
    let mut map = Array::<_, Meta>::try_from(aya::maps::Map::Array(map)).map_err(on_map(NAME))?;
    map.set(0, meta, 0).map_err(on_map(NAME))
}
