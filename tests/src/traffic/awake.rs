//! CPUs that do not sleep while they are idle.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
};

/// While it lives, an idle CPU polls for work instead of sleeping, where the kernel lets us ask for it
/// (`Documentation/power/pm_qos_interface.rst`; the latency profiles of `tuned` do the same).
///
/// Waking a CPU that sleeps is the dearest step of a request and its answer. In a virtual machine it is an interrupt
/// sent by way of the hypervisor, and can take ten times as long as all the rest: on one, 93 us for a request and its
/// answer over any path, and 11 to 14 us with CPUs that poll, according to the path. It is no property of the path, and
/// a busy host does not pay it.
#[derive(Debug)]
pub struct Awake(#[expect(dead_code, reason = "the request lasts as long as the file is open")] File);

impl Awake {
    /// Asks for it; none where that is not possible.
    pub fn hold() -> Option<Self> {
        let mut file = OpenOptions::new().write(true).open("/dev/cpu_dma_latency").ok()?;
        file.write_all(&0_i32.to_ne_bytes()).ok()?;
        Some(Self(file))
    }
}
