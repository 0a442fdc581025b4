//! What a program calls, as the kernel translated it.

use std::process::Command;

use overlay_tests::run;

/// Calls in a whole program, by kind; a frame's way meets some of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Calls {
    /// Of helpers that do something with the frame, and of others.
    pub(crate) helpers: usize,
    /// Of look-ups in maps. Those in arrays are no calls: the verifier writes them out.
    pub(crate) lookups: usize,
}

impl Calls {
    /// Counts those of a loaded program by `bpftool`; none where that does not run.
    pub(crate) fn of(id: u32) -> Option<Self> {
        let dump =
            run(Command::new("bpftool").args(["prog", "dump", "xlated", "id", &id.to_string()])).ok()?;
        let called: Vec<&str> =
            dump.lines().filter_map(|line| line.split_once(" call ")).map(|(_, name)| name).collect();
        // `call pc+12` goes to another part of the program.
        let outside = called.iter().filter(|name| !name.starts_with("pc"));
        let (lookups, helpers): (Vec<&str>, Vec<&str>) =
            outside.partition(|name| name.contains("map_lookup"));
        Some(Self { helpers: helpers.len(), lookups: lookups.len() })
    }
}
