//! Programs at devices: tcx links, pinned as `links/PROGRAM@DEVICE`.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use aya::{
    Ebpf,
    programs::{
        LinkOrder, SchedClassifier, TcAttachType,
        links::{FdLink, PinnedLink},
        tc::{SchedClassifierLink, TcAttachOptions},
    },
};

use super::errors::{attach, failed, on_link, unsupported};
use crate::{
    datapath::DatapathError,
    netlink::{device_index, device_name},
    tables::{Hook, Ifindex, Program},
};

/// The programs there are.
pub(super) const PROGRAMS: [Program; 3] =
    [Program::FromContainer, Program::FromUnderlay, Program::ToUnderlay];

/// The side of a device that a program is attached to.
const fn side(program: Program) -> TcAttachType {
    match program {
        Program::FromContainer | Program::FromUnderlay => TcAttachType::Ingress,
        Program::ToUnderlay => TcAttachType::Egress,
    }
}

/// The pinned links of one pin directory.
pub(super) struct Hooks {
    dir: PathBuf,
}

impl Hooks {
    pub(super) fn new(pin_dir: &Path) -> io::Result<Self> {
        let dir = pin_dir.join("links");
        fs::create_dir_all(&dir)?;
        Ok(Self { dir })
    }

    /// The hooks that hold, and the ids of the programs at them. The pin of a link whose device is gone, or is
    /// another of the same name, is removed.
    pub(super) fn installed(&self) -> Result<BTreeMap<Hook, u32>, DatapathError> {
        let mut hooks = BTreeMap::new();
        for entry in fs::read_dir(&self.dir).map_err(failed("use the pinned links"))? {
            let path = entry.map_err(failed("use the pinned links"))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let Some((program, device)) = name.split_once('@') else { continue };
            let Some(program) = PROGRAMS.into_iter().find(|known| known.name() == program) else { continue };
            match Self::program_at(&path, program, device)? {
                Some((ifindex, id)) => {
                    hooks.insert(Hook { program, ifindex }, id);
                }
                None => fs::remove_file(&path).map_err(failed("use the pinned links"))?,
            }
        }
        Ok(hooks)
    }

    /// The device and program id of a pinned link; none where its device is gone, or another has the name.
    fn program_at(
        path: &Path,
        program: Program,
        device: &str,
    ) -> Result<Option<(Ifindex, u32)>, DatapathError> {
        let Some(ifindex) = device_index(device) else { return Ok(None) };
        let link = FdLink::from(PinnedLink::from_pin(path).map_err(on_link(path))?);
        let id = link.info().map_err(on_link(path))?.program_id();
        let (_, attached) = SchedClassifier::query_tcx(device, side(program)).map_err(on_link(path))?;
        Ok(attached.iter().any(|info| info.id() == id).then_some((ifindex, id)))
    }

    /// Attaches a program, or swaps the program of a link that is there.
    pub(super) fn attach(&self, ebpf: &mut Ebpf, hook: Hook) -> Result<(), DatapathError> {
        let device = device_name(hook.ifindex).ok_or(DatapathError::DeviceGone { ifindex: hook.ifindex })?;
        let path = self.path(hook.program, &device);
        let program = program(ebpf, hook.program)?;
        if let Ok(pinned) = PinnedLink::from_pin(&path) {
            let link = SchedClassifierLink::try_from(FdLink::from(pinned)).map_err(attach(hook))?;
            if let Ok(id) = program.attach_to_link(link) {
                // Dropping the link closes it; the pin keeps it.
                drop(program.take_link(id).map_err(attach(hook))?);
                return Ok(());
            }
            // A link whose device was deleted cannot be updated (ENOLINK): a new one takes its place.
            fs::remove_file(&path).map_err(failed("use the pinned links"))?;
        }
        let options = TcAttachOptions::TcxOrder(LinkOrder::default());
        let id = program.attach_with_options(&device, side(hook.program), options).map_err(attach(hook))?;
        let link = program.take_link(id).map_err(attach(hook))?;
        let link = FdLink::try_from(link).map_err(attach(hook))?;
        link.pin(&path).map_err(attach(hook))?;
        Ok(())
    }

    /// Detaches a program. A device that is gone took its link with it.
    pub(super) fn detach(&self, hook: Hook) -> Result<(), DatapathError> {
        for entry in fs::read_dir(&self.dir).map_err(failed("use the pinned links"))? {
            let path = entry.map_err(failed("use the pinned links"))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let ours = name.strip_prefix(hook.program.name()).and_then(|rest| rest.strip_prefix('@'));
            let Some(device) = ours else { continue };
            if device_index(device).is_none_or(|index| index == hook.ifindex) {
                fs::remove_file(&path).map_err(failed("use the pinned links"))?;
            }
        }
        Ok(())
    }

    fn path(&self, program: Program, device: &str) -> PathBuf {
        self.dir.join(format!("{}@{device}", program.name()))
    }
}

/// A program of the object.
pub(super) fn program(ebpf: &mut Ebpf, program: Program) -> Result<&mut SchedClassifier, DatapathError> {
    ebpf.program_mut(program.name())
        .and_then(|program| program.try_into().ok())
        .ok_or_else(|| unsupported(&format!("an object without program {}", program.name())))
}
