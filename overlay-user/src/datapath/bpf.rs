//! The kernel's tables through BPF maps, and programs through tcx links; all pinned.
//!
//! Maps and programs that belong together are a set. An agent adopts the set that it finds in force if it would make
//! the same. Otherwise it makes its own beside it, in `next/`: new programs over the maps in force, or, where those
//! are of another version, new maps too. The tables are filled first, then the links are swapped one by one; each
//! frame meets one whole set or the other. Then the sets change places, and the old one is removed.

mod batch;
mod clsact;
mod codec;
#[cfg(feature = "decoders")]
pub mod decoders;
mod errors;
mod hooks;
mod layouts;
mod link;
mod load;
mod maps;
mod meta;
mod nets;
mod pins;
mod read;
mod slices;
mod slots;
mod stations;
mod tcx;
mod xdp;

use overlay_common::ABI_VERSION;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use self::{
    errors::unsupported,
    maps::Maps,
    meta::Found,
    pins::{Pins, Set},
    read::Unreadable,
};
use crate::{
    datapath::{Datapath, DatapathError, DropCount, ProgramInfo},
    failpoint::{failpoint, fails},
    plan::Op,
    tables::{Hook, Program, Tables},
};

#[cfg(feature = "broken")]
pub use self::load::BROKEN;
#[cfg(feature = "reference")]
pub use self::load::REFERENCE;
pub use self::{
    hooks::By,
    load::{OBJECT, TraceReader, constants},
    pins::uninstall,
};

/// How a pin directory is to be opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// One frame in this many is traced; 0 for none.
    pub trace_sample: u32,
    /// Whether maps of a later version, or with room for more, may be replaced.
    pub downgrade: bool,
    /// By what the programs are attached.
    pub by: By,
    /// Whether an agent has the directory: then only its programs may be swapped.
    pub beside_agent: bool,
}

/// The data plane in the kernel.
pub struct Bpf {
    pins: Pins,
    maps: Maps,
    stage: Stage,
    /// What the last reading could not make sense of.
    unreadable: Vec<Unreadable>,
    options: OpenOptions,
    trace: Option<TraceReader>,
}

/// What was made ready and is not in force yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing.
    Settled,
    /// Programs over the maps in force.
    Programs,
    /// Maps and programs.
    All {
        /// Whether the set in force is a whole one of another version, of which nothing need be kept.
        whole: bool,
        /// Whether the first link is still to be swapped.
        untouched: bool,
    },
}

impl Stage {
    const fn maps(self) -> Set {
        match self {
            Self::Settled | Self::Programs => Set::Current,
            Self::All { .. } => Set::Next,
        }
    }

    const fn progs(self) -> Set {
        match self {
            Self::Settled => Set::Current,
            Self::Programs | Self::All { .. } => Set::Next,
        }
    }
}

impl Bpf {
    /// Adopts what is pinned in a directory, or makes this version's maps and programs ready beside it.
    pub fn open(pin_dir: &Path, options: OpenOptions) -> Result<Self, DatapathError> {
        let pins = if options.beside_agent { Pins::lock_beside(pin_dir)? } else { Pins::lock(pin_dir)? };
        let (maps, progs) = (pins.maps(Set::Current), pins.progs(Set::Current));
        let found = meta::find(&maps, &progs, options.trace_sample, options.downgrade)?;
        let stage = match found {
            Found::Same => Stage::Settled,
            Found::OtherPrograms => Stage::Programs,
            Found::Nothing | Found::OtherMaps { .. } if options.beside_agent => {
                return Err(DatapathError::Kept);
            }
            Found::Nothing => Stage::All { whole: true, untouched: true },
            Found::OtherMaps { whole } => Stage::All { whole, untouched: true },
        };
        tracing::debug!(?found, "looked at the pins");
        let trace = if stage == Stage::Settled {
            pins.clear_next()?;
            None
        } else {
            let trace = make_next(&pins, stage.maps(), options.trace_sample)?;
            failpoint("loaded");
            trace
        };
        let maps = Maps::open(&pins.maps(stage.maps()))?;
        hooks::sweep(&pins)?;
        Ok(Self { pins, maps, stage, unreadable: Vec::new(), options, trace })
    }

    /// The reader of sampled traces, where the programs were loaded with any.
    pub fn take_trace(&mut self) -> Option<TraceReader> {
        self.trace.take()
    }

    /// What the programs count besides drops.
    pub fn counters(&mut self) -> Result<BTreeMap<String, u64>, DatapathError> {
        self.maps.counters()
    }

    /// The links that run this set's programs. One that runs another's is yet to be swapped.
    fn current_hooks(&self) -> Result<BTreeSet<Hook>, DatapathError> {
        let ids = meta::program_ids(&self.pins.progs(self.stage.progs())).unwrap_or_default();
        let ids: BTreeMap<Program, u32> = hooks::PROGRAMS.into_iter().zip(ids).collect();
        let installed = hooks::installed(&self.pins)?.into_iter();
        let current = |(hook, at): &(Hook, (u32, By))| {
            ids.get(&hook.program).is_some_and(|id| *at == (*id, self.options.by.of(hook.program)))
        };
        Ok(installed.filter(current).map(|(hook, _)| hook).collect())
    }

    fn attach(&mut self, hook: Hook) -> Result<(), DatapathError> {
        let first = if let Stage::All { whole, untouched: true } = self.stage {
            self.maps.carry_over(&self.pins.maps(Set::Current))?;
            self.stage = Stage::All { whole, untouched: false };
            failpoint("filled");
            true
        } else {
            false
        };
        if hook.program == Program::ToUnderlay && fails("last-swap") {
            return Err(unsupported("the last link: told to fail"));
        }
        let result =
            hooks::attach_pinned(&self.pins, &self.pins.progs(self.stage.progs()), hook, self.options.by);
        if matches!(result, Err(DatapathError::HeldElsewhere { .. })) && self.stage == Stage::Settled {
            // Nobody knows for how long. A copy behind it takes over when that link goes.
            let _trace = make_next(&self.pins, Set::Current, self.options.trace_sample)?;
            self.stage = Stage::Programs;
        }
        result?;
        if first {
            failpoint("swapped-one");
        }
        Ok(())
    }

    /// Forgets what was made ready, as if no agent had been started: where nothing was pinned before, nothing is.
    pub fn abandon(mut self) -> Result<(), DatapathError> {
        self.roll_back()?;
        self.pins.remove_empty();
        Ok(())
    }

    /// Puts the programs in force that were before, at every link, and forgets what was made ready.
    pub fn roll_back(&mut self) -> Result<(), DatapathError> {
        if self.stage == Stage::Settled {
            return Ok(());
        }
        let before = self.pins.progs(Set::Current);
        for hook in self.current_hooks()? {
            if before.join(hook.program.name()).exists() {
                hooks::attach_pinned(&self.pins, &before, hook, self.options.by)?;
            } else {
                hooks::detach(&self.pins, hook)?;
            }
        }
        self.pins.clear_next()
    }
}

/// Loads programs into `next/`, over the maps of a set. What a swap that was cut short left there goes; programs of it
/// that are attached hold their own maps.
fn make_next(pins: &Pins, maps: Set, trace_sample: u32) -> Result<Option<TraceReader>, DatapathError> {
    pins.clear_next()?;
    pins.create(Set::Next)?;
    load::load(&pins.maps(maps), &pins.progs(Set::Next), trace_sample)
}

impl Datapath for Bpf {
    fn read(&mut self) -> Result<Tables, DatapathError> {
        let (mut tables, unreadable) = self.maps.read()?;
        tables.hooks = self.current_hooks()?;
        self.unreadable = unreadable;
        Ok(tables)
    }

    fn read_small(&mut self) -> Result<Option<Tables>, DatapathError> {
        let mut unreadable = Vec::new();
        let mut tables = self.maps.read_small(&mut unreadable)?;
        tables.hooks = self.current_hooks()?;
        self.unreadable = unreadable;
        Ok(Some(tables))
    }

    fn remove_unreadable(&mut self) -> Result<Vec<(&'static str, String)>, DatapathError> {
        hooks::sweep(&self.pins)?;
        let entries = std::mem::take(&mut self.unreadable);
        self.maps.remove_unreadable(entries)
    }

    fn apply(&mut self, op: &Op) -> Result<(), DatapathError> {
        if let Op::Attach(hook) = op {
            self.attach(*hook)
        } else if let Op::Detach(hook) = op {
            hooks::detach(&self.pins, *hook)
        } else {
            self.maps.apply(op)
        }
    }

    fn apply_some(&mut self, ops: &[Op]) -> (usize, Result<(), DatapathError>) {
        match ops {
            [Op::SetFdb(..), Op::SetFdb(..), ..] => self.maps.set_fdb(ops),
            [Op::SetNeigh(..), Op::SetNeigh(..), ..] => self.maps.set_neigh(ops),
            [] => (0, Ok(())),
            [op, ..] => match self.apply(op) {
                Ok(()) => (1, Ok(())),
                Err(error) => (0, Err(error)),
            },
        }
    }

    fn drops(&mut self) -> Result<Vec<DropCount>, DatapathError> {
        self.maps.drops()
    }

    fn programs(&mut self) -> Result<Vec<ProgramInfo>, DatapathError> {
        let installed = hooks::installed(&self.pins)?;
        Ok(installed
            .into_iter()
            .map(|(Hook { program, ifindex }, (id, by))| ProgramInfo {
                name: program.name().into(),
                id,
                device: ifindex,
                hook: format!("{} {}", by.name(), program.side()),
            })
            .collect())
    }

    fn is_staged(&self) -> bool {
        self.stage != Stage::Settled
    }

    fn settle(&mut self, desired: &Tables) -> Result<(), DatapathError> {
        if self.stage == Stage::Settled {
            return Ok(());
        }
        failpoint("swapped");
        if let Some(hook) = desired.hooks.difference(&self.current_hooks()?).next() {
            return Err(DatapathError::NotSwapped { program: hook.program.name(), ifindex: hook.ifindex });
        }
        // What was attached where nothing is wanted any more; its tables go with the old set.
        for hook in hooks::installed(&self.pins)?.into_keys().filter(|hook| !desired.hooks.contains(hook)) {
            hooks::detach(&self.pins, hook)?;
        }
        let maps = self.pins.maps(Set::Current);
        if let Stage::All { .. } = self.stage {
            self.pins.exchange_maps()?;
            failpoint("renamed");
        } else {
            meta::begin(&maps)?;
        }
        self.pins.exchange_progs()?;
        meta::finish(&maps, &self.pins.progs(Set::Current), self.options.trace_sample)?;
        if let Stage::All { whole: false, .. } = self.stage {
            let aside = self.pins.set_next_aside()?;
            tracing::warn!(aside = %aside.display(), "pins that did not belong together were replaced and set aside");
        } else {
            self.pins.clear_next()?;
        }
        failpoint("cleaned");
        if self.stage == Stage::Programs {
            tracing::info!("the programs were swapped, the tables stay");
        } else {
            tracing::info!(abi = ABI_VERSION, "tables and programs of this version are in force");
        }
        self.stage = Stage::Settled;
        Ok(())
    }
}
