//! Cases: a frame, and what must become of it.

use overlay_common::DropReason;

use crate::{
    frame::{Family, Frame},
    scene::VNI,
};

/// What must become of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Golden {
    /// The container gets these bytes; counted as `from_underlay`.
    Delivered(Vec<u8>),
    /// The same by way of our vxlan device, whom the host's stack gave `outer`; counted as `to_anchor`, too.
    Anchored { outer: Vec<u8>, inner: Vec<u8> },
    /// The host's stack gets these bytes; nothing is counted.
    Passed(Vec<u8>),
    /// Nobody gets it; counted under a VNI, or 0, and a reason.
    Dropped(u32, DropReason),
}

/// What else is so on the node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    #[default]
    Usual,
    /// Other vxlan devices are on the UDP port.
    Shared,
    /// Our vxlan device is missing.
    NoAnchor,
}

/// A case.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) family: Family,
    pub(crate) mode: Mode,
    pub(crate) frame: Vec<u8>,
    pub(crate) golden: Golden,
    /// Where XDP changes what must become of it.
    pub(crate) by_xdp: Option<Golden>,
    /// Where the kernel's own vxlan device does not: the row of the differences (those of the tier fuzz, and some more).
    pub(crate) kernel: Option<&'static str>,
}

/// As the container gets an inner frame that is not IP: no less than an IP header of the outer family behind Ethernet
/// (`bpf_skb_net_base_len`), zeros behind what there was.
pub(crate) fn filled(outer: Family, mut inner: Vec<u8>) -> Vec<u8> {
    let ip = matches!(inner.get(12..14), Some([0x08, 0x00] | [0x86, 0xdd]));
    if !ip {
        inner.resize(inner.len().max(14 + outer.header()), 0);
    }
    inner
}

/// Cases that are changes of one good frame, which is the first of them.
pub(crate) struct Group {
    name: &'static str,
    mode: Mode,
    good: Frame,
    pub(crate) cases: Vec<Case>,
}

impl Group {
    /// A group with its control: the frame is delivered as it was put in.
    pub(crate) fn new(name: &'static str, good: Frame) -> Self {
        Self::in_mode(name, Mode::Usual, good)
    }

    /// The same where something else is so.
    pub(crate) fn in_mode(name: &'static str, mode: Mode, good: Frame) -> Self {
        let mut group = Self::without_control(name, mode, good);
        let inner = filled(group.good.family, group.good.inner.clone());
        group.push("control", Golden::Delivered(inner), |_| {});
        group
    }

    /// A group whose own cases are the control, each of another's.
    pub(crate) fn without_control(name: &'static str, mode: Mode, good: Frame) -> Self {
        Self { name, mode, good, cases: Vec::new() }
    }

    fn push(&mut self, name: impl AsRef<str>, golden: Golden, edit: impl FnOnce(&mut Frame)) {
        let frame = self.edited(edit);
        self.add(name.as_ref(), golden, &frame);
    }

    fn edited(&self, edit: impl FnOnce(&mut Frame)) -> Frame {
        let mut frame = self.good.clone();
        edit(&mut frame);
        frame
    }

    fn add(&mut self, name: &str, golden: Golden, frame: &Frame) {
        self.cases.push(Case {
            name: format!("{}: {name}", self.name),
            family: frame.family,
            mode: self.mode,
            frame: frame.bytes(),
            golden,
            by_xdp: None,
            kernel: None,
        });
    }

    /// Changed so, the container gets the inner frame of the control.
    pub(crate) fn delivers(self, name: impl AsRef<str>, edit: impl FnOnce(&mut Frame)) -> Self {
        let inner = self.good.inner.clone();
        self.delivers_as(name, inner, edit)
    }

    /// Changed so, the container gets these bytes.
    pub(crate) fn delivers_as(
        mut self,
        name: impl AsRef<str>,
        bytes: Vec<u8>,
        edit: impl FnOnce(&mut Frame),
    ) -> Self {
        self.push(name, Golden::Delivered(bytes), edit);
        self
    }

    /// The container gets this inner frame instead, as it is.
    pub(crate) fn carries(self, name: impl AsRef<str>, inner: Vec<u8>) -> Self {
        let bytes = filled(self.good.family, inner.clone());
        self.delivers_as(name, bytes, |frame| frame.inner = inner)
    }

    /// Our vxlan device gets the frame, under its own VNI, without a checksum and extension headers, and the container this inner one. What
    /// XDP takes out of its tunnel has no need of the device.
    pub(crate) fn anchors(
        mut self,
        name: impl AsRef<str>,
        inner: Vec<u8>,
        edit: impl FnOnce(&mut Frame),
    ) -> Self {
        let frame = self.edited(|frame| {
            frame.inner.clone_from(&inner);
            edit(frame);
        });
        let whole = Frame { extensions: Vec::new(), ..frame.clone() };
        let (mut outer, udp) = (whole.bytes(), whole.udp_at());
        outer[udp + 6..udp + 8].fill(0);
        outer[udp + 12..udp + 15].copy_from_slice(&[0xff, 0xff, 0xfe]);
        self.add(name.as_ref(), Golden::Anchored { outer, inner }, &frame);
        self
    }

    /// Changed so, it is dropped and counted under its network.
    pub(crate) fn drops(
        mut self,
        name: impl AsRef<str>,
        reason: DropReason,
        edit: impl FnOnce(&mut Frame),
    ) -> Self {
        self.push(name, Golden::Dropped(VNI, reason), edit);
        self
    }

    /// This inner frame is dropped instead, and counted under its network.
    pub(crate) fn refuses(self, name: impl AsRef<str>, reason: DropReason, inner: Vec<u8>) -> Self {
        self.drops(name, reason, |frame| frame.inner = inner)
    }

    /// Changed so, it is dropped and counted under this VNI, 0 where no network is known.
    pub(crate) fn drops_under(
        mut self,
        vni: u32,
        name: impl AsRef<str>,
        reason: DropReason,
        edit: impl FnOnce(&mut Frame),
    ) -> Self {
        self.push(name, Golden::Dropped(vni, reason), edit);
        self
    }

    /// Changed so, it is dropped before its network is known.
    pub(crate) fn rejects(
        self,
        name: impl AsRef<str>,
        reason: DropReason,
        edit: impl FnOnce(&mut Frame),
    ) -> Self {
        self.drops_under(0, name, reason, edit)
    }

    /// Changed so, the host's stack has it as it came. (The kernel has taken the first VLAN tag off before any hook.)
    pub(crate) fn passes(mut self, name: impl AsRef<str>, edit: impl FnOnce(&mut Frame)) -> Self {
        let frame = self.edited(edit);
        let mut bytes = frame.bytes();
        if !frame.tags.is_empty() {
            bytes.drain(12..16);
        }
        self.add(name.as_ref(), Golden::Passed(bytes), &frame);
        self
    }

    /// The cases are those of `f` where it holds.
    pub(crate) fn when(self, holds: bool, f: impl FnOnce(Self) -> Self) -> Self {
        if holds { f(self) } else { self }
    }

    /// The kernel's own vxlan device does not do so with the last frame, by this row of the differences.
    pub(crate) fn kernel(mut self, row: &'static str) -> Self {
        if let Some(case) = self.cases.last_mut() {
            case.kernel = Some(row);
        }
        self
    }

    /// What must become of the last frame where XDP has it first.
    pub(crate) fn by_xdp(mut self, golden: impl FnOnce(&Golden) -> Golden) -> Self {
        if let Some(case) = self.cases.last_mut() {
            case.by_xdp = Some(golden(&case.golden));
        }
        self
    }
}
