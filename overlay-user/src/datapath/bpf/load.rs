//! The object: its maps and programs, loaded and pinned.

use std::{path::Path, time::Duration};

use aya::{
    Ebpf, EbpfLoader, include_bytes_aligned,
    programs::{TestRun, TestRunOptions, TestRunResult, Xdp, tc::SchedClassifier},
};
use aya_log::EbpfLogger;

use super::{
    errors::{refused_by_kernel, unsupported},
    hooks::PROGRAMS,
    layouts::LAYOUTS,
};
use crate::{datapath::DatapathError, kernel, tables::Program};

/// The kernel programs, as `build.rs` compiled them.
pub static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/overlay.o"));

/// The programs that ours are measured against, for benches.
#[cfg(feature = "reference")]
pub static REFERENCE: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/reference.o"));

/// The programs with a fault that the differential tests must find.
#[cfg(feature = "broken")]
pub static BROKEN: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/broken.o"));

/// `TC_ACT_UNSPEC`: not ours.
const TC_PASS: u32 = u32::MAX;
/// `XDP_PASS`.
const XDP_PASS: u32 = 2;

/// `BPF_F_ADJ_ROOM_DECAP_L3_IPV4` and `BPF_F_ADJ_ROOM_DECAP_L3_IPV6`.
const DECAP_L3_IPV4: u32 = 1 << 7;
const DECAP_L3_IPV6: u32 = 1 << 8;

/// What is constant in the programs once they are loaded: the verifier removes the code that it rules out.
pub fn constants(trace_sample: u32) -> [(&'static str, u32); 2] {
    let told = kernel::has(&kernel::release(), kernel::TELLS_FAMILY);
    let flags = if told { DECAP_L3_IPV4 | DECAP_L3_IPV6 } else { 0 };
    [("TRACE_SAMPLE", trace_sample), ("DECAP_FLAGS", flags)]
}

/// Loads the object over the maps pinned in `maps`, making those that are not there, and pins the programs in
/// `progs`, where none may be. The reader of traces is there where the programs have any.
pub(super) fn load(
    maps: &Path,
    progs: &Path,
    trace_sample: u32,
) -> Result<Option<TraceReader>, DatapathError> {
    let mut loader = EbpfLoader::new();
    for layout in &LAYOUTS {
        loader.map_pin_path(layout.0, maps.join(layout.0));
    }
    let constants = constants(trace_sample);
    for (name, value) in &constants {
        loader.override_global(name, value, true);
    }
    let mut ebpf = loader.load(OBJECT).map_err(|error| refused_by_kernel(&error))?;
    for program in PROGRAMS {
        let pin = progs.join(program.name());
        if program == Program::XdpUnderlay {
            let loaded: &mut Xdp = program_of(&mut ebpf, program)?;
            loaded.load().map_err(|error| refused_by_kernel(&error))?;
            verify(loaded, program)?;
            loaded.pin(pin).map_err(|error| refused_by_kernel(&error))?;
        } else {
            let loaded: &mut SchedClassifier = program_of(&mut ebpf, program)?;
            loaded.load().map_err(|error| refused_by_kernel(&error))?;
            verify(loaded, program)?;
            loaded.pin(pin).map_err(|error| refused_by_kernel(&error))?;
        }
    }
    Ok(if trace_sample > 0 { TraceReader::new(&mut ebpf) } else { None })
}

/// Runs a program that was loaded once: what the verifier lets through may still be wrong for this kernel.
fn verify<P>(loaded: &P, program: Program) -> Result<(), DatapathError>
where
    P: for<'a> TestRun<Opts<'a> = TestRunOptions<'a>, Result = TestRunResult>,
{
    // Not ours by its EtherType (IEEE 802, for experiments): the host has it.
    let mut frame = [0; 64];
    frame[12..14].copy_from_slice(&[0x88, 0xb5]);
    let passed = match program {
        // They would drop the frame, and count it.
        Program::FromContainer | Program::Unguarded | Program::FromAnchor => return Ok(()),
        Program::FromUnderlay | Program::ToUnderlay => TC_PASS,
        Program::XdpUnderlay => XDP_PASS,
    };
    let options = TestRunOptions { data_in: Some(&frame), ..TestRunOptions::default() };
    let result = loaded.test_run(options).map_err(|error| refused_by_kernel(&error))?;
    if result.return_value == passed {
        Ok(())
    } else {
        Err(unsupported(&format!("program {}, which does not pass what is not ours", program.name())))
    }
}

/// A program of the object.
fn program_of<'a, P>(ebpf: &'a mut Ebpf, program: Program) -> Result<&'a mut P, DatapathError>
where
    &'a mut P: TryFrom<&'a mut aya::programs::Program>,
{
    ebpf.program_mut(program.name())
        .and_then(|program| program.try_into().ok())
        .ok_or_else(|| unsupported(&format!("an object without program {}", program.name())))
}

/// Reads what traced programs log, and hands it to the log.
pub struct TraceReader(EbpfLogger<&'static dyn log::Log>);

impl TraceReader {
    fn new(ebpf: &mut Ebpf) -> Option<Self> {
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
