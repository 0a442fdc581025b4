//! The object itself: what is in it, and that its trace costs nothing when it is off.

use aya::{
    Ebpf,
    programs::{ProgramInfo, Xdp},
};
use overlay_common::DropReason;
use overlay_tests::figure;
use overlay_user::datapath::bpf::OBJECT;

use crate::{
    frames::udp_v4,
    harness::{Hook, Kernel, Verdict, load, program},
    scene::{NOBODY, OWN, REMOTE},
};

const MAPS: [&str; 10] =
    ["CONFIG", "PORTS", "FDB", "FDB_V4", "NEIGH", "VTEPS", "MEMBERS", "NETS", "COUNTERS", "DROPS"];
/// Names in the kernel are cut at 15 characters (`BPF_OBJ_NAME_LEN`).
const LONGEST_NAME: usize = 15;

fn info(trace: u32, hook: Hook) -> ProgramInfo {
    program(&mut load(trace), hook).info().expect("loaded")
}

/// The program that is not of TC.
fn xdp() -> ProgramInfo {
    let mut ebpf = load(0);
    let program: &mut Xdp =
        ebpf.program_mut("xdp_underlay").expect("in the object").try_into().expect("a program of XDP");
    program.load().expect("the verifier accepts the program");
    program.info().expect("loaded")
}

#[test]
fn every_program_and_map_is_there_under_its_whole_name() {
    let ebpf = load(0);
    let mut programs: Vec<_> = ebpf.programs().map(|(name, _)| name).collect();
    programs.sort_unstable();
    assert_eq!(
        programs,
        ["from_anchor", "from_container", "from_underlay", "to_underlay", "unguarded", "xdp_underlay"]
    );
    for name in MAPS {
        assert!(ebpf.map(name).is_some(), "no map {name}");
    }
    assert!(programs.iter().chain(&MAPS).all(|name| name.len() <= LONGEST_NAME));
}

#[test]
fn the_tables_load_at_their_full_size() {
    // The other tests load smaller ones.
    let ebpf = Ebpf::load(OBJECT).expect("root, and memory for the tables");
    assert!(MAPS.iter().all(|name| ebpf.map(name).is_some()));
}

#[test]
fn the_kernel_knows_the_programs_by_name() {
    let programs = Hook::ALL.map(|hook| (hook.name(), info(0, hook)));
    for (name, info) in programs.into_iter().chain([("xdp_underlay", xdp())]) {
        assert_eq!(info.name_as_str(), Some(name));
        assert_eq!(info.gpl_compatible(), Some(true));
        let verified = info.verified_instruction_count().expect("the kernel tells (Linux 5.16)");
        // Read by `cargo xtask test vm`, too.
        figure("instructions verified", name, verified);
    }
}

#[test]
fn a_program_without_trace_contains_none_of_it() {
    for hook in Hook::ALL {
        let [off, rare, all] = [0, 1000, 1].map(|trace| info(trace, hook).size_translated().expect("known"));
        println!("{}: {off} bytes without trace, {rare} and {all} with", hook.name());
        // Three log records take hundreds of instructions of 8 bytes; a check at run time would leave them in.
        assert!(off + 1000 < all && off + 1000 < rare, "{off} {rare} {all}");
    }
}

#[test]
fn a_program_with_trace_does_the_same() {
    let (mut traced, plain) = (Kernel::with_trace(1), Kernel::scene());
    traced.fill();
    let frame = udp_v4(&OWN, &REMOTE);
    assert_eq!(traced.sends(&frame), plain.sends(&frame));
    traced.refuses(&udp_v4(&OWN, &NOBODY), DropReason::UnknownMac);
    let outcome = traced.run(Hook::FromUnderlay, &frame);
    assert_eq!((outcome.verdict, outcome.frame), (Verdict::Pass, frame));
}
