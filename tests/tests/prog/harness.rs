//! The programs, loaded for one test, and what they did with a frame.

use std::{cell::RefCell, collections::BTreeMap};

use aya::{
    Ebpf, EbpfLoader, TestRun as _, TestRunOptions,
    maps::{Array, HashMap, Map, MapData, PerCpuArray, PerCpuHashMap},
    programs::SchedClassifier,
};
use overlay_common::{
    Counter, DropReason,
    map::{DropKey, Fdb, FdbKey, Member, MemberKey, Neigh, NeighKey, Net, NodeConfig, Port},
    vxlan::Vtep,
};
use overlay_user::datapath::bpf::{OBJECT, constants};

/// Size of `struct __sk_buff`, and offsets of what a test sets in it.
const CONTEXT: usize = 192;
const CONTEXT_MARK: usize = 8;
const CONTEXT_PRIORITY: usize = 32;
const CONTEXT_GSO_SEGS: usize = 164;
const CONTEXT_GSO_SIZE: usize = 176;
/// Room for what comes out: the largest frame the kernel takes in, and an outer header.
const ROOM: usize = 8192;

/// What is constant in a program: the flags by which the kernel can be told the family of an inner frame.
const DECAP_FLAGS: &str = "DECAP_FLAGS";

/// A program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hook {
    FromContainer,
    Unguarded,
    FromUnderlay,
    FromAnchor,
    ToUnderlay,
}

impl Hook {
    pub(crate) const ALL: [Self; 5] =
        [Self::FromContainer, Self::Unguarded, Self::FromUnderlay, Self::FromAnchor, Self::ToUnderlay];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::FromContainer => "from_container",
            Self::Unguarded => "unguarded",
            Self::FromUnderlay => "from_underlay",
            Self::FromAnchor => "from_anchor",
            Self::ToUnderlay => "to_underlay",
        }
    }
}

/// What a frame's socket buffer says besides its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Meta {
    /// Payload bytes of each segment of a super-frame; 0 for none.
    pub(crate) gso_size: u32,
    pub(crate) mark: u32,
    pub(crate) priority: u32,
}

/// What a program said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// `TC_ACT_UNSPEC`: the host's.
    Pass,
    /// `TC_ACT_SHOT`.
    Drop,
    /// `TC_ACT_REDIRECT`.
    Redirect,
}

/// Something counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    /// The name of a counter.
    Count(&'static str),
    /// A VNI, or 0, and the name of a reason.
    Drop(u32, &'static str),
}

/// What a program did with one frame.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) verdict: Verdict,
    /// The frame as the program left it.
    pub(crate) frame: Vec<u8>,
    /// Its mark, and its priority.
    pub(crate) mark: u32,
    pub(crate) priority: u32,
    /// What it counted, and how often.
    pub(crate) moved: BTreeMap<Event, u64>,
}

/// The loaded programs and their tables.
pub(crate) struct Kernel {
    /// A program is given to the kernel when it is first run: the verifier takes longer than most tests.
    ebpf: RefCell<Ebpf>,
    pub(crate) config: Array<MapData, NodeConfig>,
    pub(crate) ports: HashMap<MapData, u32, Port>,
    pub(crate) fdb: HashMap<MapData, FdbKey, Fdb>,
    pub(crate) slots: Array<MapData, Fdb>,
    pub(crate) neigh: HashMap<MapData, NeighKey, Neigh>,
    pub(crate) vteps: Array<MapData, Vtep>,
    pub(crate) members: HashMap<MapData, MemberKey, Member>,
    pub(crate) nets: HashMap<MapData, u32, Net>,
    counters: PerCpuArray<MapData, u64>,
    drops: PerCpuHashMap<MapData, DropKey, u64>,
}

/// Whether programs can tell this kernel the family of an inner frame (`BPF_F_ADJ_ROOM_DECAP_L3_IPV4`, Linux 6.3).
pub(crate) fn family_is_told() -> bool {
    constants(0).iter().any(|(name, flags)| *name == DECAP_FLAGS && *flags != 0)
}

/// Loads the object but its programs, nothing pinned; `trace`: one frame in this many is logged, 0 for none.
pub(crate) fn load(trace: u32) -> Ebpf {
    load_with(&constants(trace))
}

fn load_with(constants: &[(&str, u32)]) -> Ebpf {
    let mut loader = EbpfLoader::new();
    for (name, value) in constants {
        loader.override_global(name, value, true);
    }
    // The tables' full size takes tens of MB of buckets and slots, for each of the tests.
    for name in ["FDB", "FDB_V4", "NEIGH", "MEMBERS", "NETS", "DROPS", "PORTS"] {
        loader.map_max_entries(name, 1024);
    }
    loader.load(OBJECT).expect("the object loads: root is needed")
}

/// A program of the object, loaded.
pub(crate) fn program(ebpf: &mut Ebpf, hook: Hook) -> &SchedClassifier {
    let program: &mut SchedClassifier =
        ebpf.program_mut(hook.name()).expect("in the object").try_into().expect("a TC program");
    if program.fd().is_err() {
        program.load().expect("the verifier accepts the program");
    }
    program
}

impl Kernel {
    /// Loads the programs over empty tables.
    pub(crate) fn new() -> Self {
        Self::with_trace(0)
    }

    /// Loads programs that log one frame in this many.
    pub(crate) fn with_trace(trace: u32) -> Self {
        Self::of(load(trace))
    }

    /// Loads programs as for a kernel that cannot be told the family of an inner frame.
    pub(crate) fn untold() -> Self {
        Self::of(load_with(
            &constants(0).map(|(name, value)| (name, if name == DECAP_FLAGS { 0 } else { value })),
        ))
    }

    fn of(mut ebpf: Ebpf) -> Self {
        Self {
            config: take(&mut ebpf, "CONFIG"),
            ports: take(&mut ebpf, "PORTS"),
            fdb: take(&mut ebpf, "FDB"),
            slots: take(&mut ebpf, "FDB_V4"),
            neigh: take(&mut ebpf, "NEIGH"),
            vteps: take(&mut ebpf, "VTEPS"),
            members: take(&mut ebpf, "MEMBERS"),
            nets: take(&mut ebpf, "NETS"),
            counters: take(&mut ebpf, "COUNTERS"),
            drops: take(&mut ebpf, "DROPS"),
            ebpf: RefCell::new(ebpf),
        }
    }

    /// Runs a program on a frame.
    pub(crate) fn run(&self, hook: Hook, frame: &[u8]) -> Outcome {
        self.run_with(hook, frame, Meta::default())
    }

    /// Runs a program on a frame with this in its socket buffer.
    pub(crate) fn run_with(&self, hook: Hook, frame: &[u8], mut meta: Meta) -> Outcome {
        let before = self.counted();
        let mut out = vec![0; ROOM];
        let (verdict, len) = self.verdict(hook, frame, &mut meta, &mut out);
        out.truncate(len);
        let mut moved = self.counted();
        for (event, count) in before {
            *moved.get_mut(&event).expect("no counter is removed") -= count;
        }
        moved.retain(|_, count| *count > 0);
        Outcome { verdict, frame: out, mark: meta.mark, priority: meta.priority, moved }
    }

    /// Runs a program on a frame; its verdict, and the length of what it left in `out`. `meta` becomes what it left.
    pub(crate) fn verdict(
        &self,
        hook: Hook,
        frame: &[u8],
        meta: &mut Meta,
        out: &mut [u8],
    ) -> (Verdict, usize) {
        let mut context = [0; CONTEXT];
        context[CONTEXT_MARK..][..4].copy_from_slice(&meta.mark.to_ne_bytes());
        context[CONTEXT_PRIORITY..][..4].copy_from_slice(&meta.priority.to_ne_bytes());
        context[CONTEXT_GSO_SIZE..][..4].copy_from_slice(&meta.gso_size.to_ne_bytes());
        context[CONTEXT_GSO_SEGS..][..4].copy_from_slice(&u32::from(meta.gso_size > 0).to_ne_bytes());
        let mut left = [0; CONTEXT];
        let options = TestRunOptions {
            data_in: Some(frame),
            data_out: Some(out),
            ctx_in: Some(&context),
            ctx_out: Some(&mut left),
            ..TestRunOptions::new()
        };
        let mut ebpf = self.ebpf.borrow_mut();
        let result = program(&mut ebpf, hook).test_run(options).expect("the kernel runs the program");
        let verdict = match result.return_value.cast_signed() {
            -1 => Verdict::Pass,
            2 => Verdict::Drop,
            7 => Verdict::Redirect,
            other => panic!("{} answered {other}", hook.name()),
        };
        meta.priority = u32::from_ne_bytes(left[CONTEXT_PRIORITY..][..4].try_into().expect("4 bytes"));
        meta.mark = u32::from_ne_bytes(left[CONTEXT_MARK..][..4].try_into().expect("4 bytes"));
        (verdict, result.data_size_out as usize)
    }

    /// All that was counted so far, over all CPUs.
    pub(crate) fn counted(&self) -> BTreeMap<Event, u64> {
        let mut counted = BTreeMap::new();
        for counter in Counter::ALL {
            let values = self.counters.get(&(counter as u32), 0).expect("a counter");
            counted.insert(Event::Count(counter.name()), values.iter().sum());
        }
        for entry in &self.drops {
            let (key, values) = entry.expect("the drops can be read");
            let reason = DropReason::from_index(key.reason).expect("a reason of this version");
            counted.insert(Event::Drop(key.vni, reason.name()), values.iter().sum());
        }
        counted
    }

    /// Asserts that the frame is dropped, and counted once, under this network and reason and nothing else.
    #[track_caller]
    pub(crate) fn drops(&self, hook: Hook, frame: &[u8], vni: u32, reason: DropReason) {
        let outcome = self.run(hook, frame);
        let expected = BTreeMap::from([(Event::Drop(vni, reason.name()), 1)]);
        assert_eq!((outcome.verdict, outcome.moved), (Verdict::Drop, expected), "frame {frame:02x?}");
    }

    /// Asserts that the frame is sent on and counted once as this; the bytes it left with.
    #[track_caller]
    pub(crate) fn redirects(&self, hook: Hook, frame: &[u8], counter: Counter) -> Vec<u8> {
        let outcome = self.run(hook, frame);
        let expected = BTreeMap::from([(Event::Count(counter.name()), 1)]);
        assert_eq!((outcome.verdict, outcome.moved), (Verdict::Redirect, expected), "frame {frame:02x?}");
        outcome.frame
    }

    /// Asserts that the frame goes to the host as it came, and that nothing is counted.
    #[track_caller]
    pub(crate) fn passes(&self, hook: Hook, frame: &[u8]) {
        let outcome = self.run(hook, frame);
        assert_eq!((outcome.verdict, outcome.moved), (Verdict::Pass, BTreeMap::new()), "frame {frame:02x?}");
        assert_eq!(outcome.frame, frame, "a frame that is not ours was changed");
    }
}

/// A map of the object, as its type.
fn take<T: TryFrom<Map>>(ebpf: &mut Ebpf, name: &str) -> T {
    let map = ebpf.take_map(name).unwrap_or_else(|| panic!("no map {name}"));
    T::try_from(map).unwrap_or_else(|_| panic!("map {name} is of another type"))
}
