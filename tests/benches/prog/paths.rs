//! The ways of a frame through the programs.

use overlay_common::{MacAddr, mark};

use crate::{
    frames,
    scene::{LOCAL, Station, VNI, station, vtep_of},
};

/// What a program answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// `TC_ACT_UNSPEC`.
    Pass = -1,
    /// `TC_ACT_SHOT`.
    Drop = 2,
    /// `TC_ACT_REDIRECT`.
    Redirect = 7,
}

/// Which endpoints a frame may be about besides those here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keys {
    /// None: the frame is always the same.
    One,
    /// Any of the other nodes.
    All,
    /// Those with an IPv6 address.
    V6,
}

/// A way through a program.
pub(crate) struct Path {
    pub(crate) program: &'static str,
    /// What frame it is.
    pub(crate) name: &'static str,
    pub(crate) verdict: Verdict,
    /// The counter or the drop reason that a frame moves; none where nothing counts.
    pub(crate) counted: Option<&'static str>,
    pub(crate) keys: Keys,
    /// The frame about an endpoint of another node.
    pub(crate) frame: fn(&Station, u32) -> Vec<u8>,
    /// The mark and the priority it comes with.
    pub(crate) with: (u32, u32),
}

impl Path {
    /// Program and frame.
    pub(crate) fn title(&self) -> String {
        format!("{}: {}", self.program, self.name)
    }

    /// The frame about this endpoint of another node.
    pub(crate) fn frame(&self, number: u32) -> Vec<u8> {
        (self.frame)(&station(number), number)
    }
}

const fn from_container(
    name: &'static str,
    counted: &'static str,
    keys: Keys,
    frame: fn(&Station, u32) -> Vec<u8>,
) -> Path {
    let (program, verdict) = ("from_container", Verdict::Redirect);
    Path { program, name, verdict, counted: Some(counted), keys, frame, with: (0, 0) }
}

const fn from_underlay(name: &'static str, frame: fn(&Station, u32) -> Vec<u8>, keys: Keys) -> Path {
    Path { program: "from_underlay", counted: Some("from_underlay"), ..from_container(name, "", keys, frame) }
}

const fn dropped(path: Path, reason: &'static str) -> Path {
    Path { verdict: Verdict::Drop, counted: Some(reason), ..path }
}

const fn to_underlay(name: &'static str, mark: u32) -> Path {
    let path = from_container(name, "", Keys::One, |other, _| frames::tcp_v4(&own(), other));
    Path { program: "to_underlay", verdict: Verdict::Pass, counted: None, with: (mark, 0), ..path }
}

const fn reference(program: &'static str, name: &'static str, verdict: Verdict) -> Path {
    let path = from_container(name, "", Keys::One, |other, _| frames::udp_v4(&own(), other));
    Path { program, verdict, counted: None, ..path }
}

/// The endpoint behind the port that frames come in at.
fn own() -> Station {
    station(0)
}

/// What ours are measured against. The first costs what running a program costs at all.
pub(crate) const REFERENCE: [Path; 5] = [
    reference("empty", "IPv4 UDP", Verdict::Pass),
    reference("four_lru", "IPv4 UDP to a VTEP", Verdict::Redirect),
    reference("redirect_out", "IPv4 UDP to a host", Verdict::Redirect),
    reference("redirect_in", "IPv4 UDP delivered", Verdict::Redirect),
    reference("tunnel_out", "IPv4 UDP to a device", Verdict::Redirect),
];

/// Ours.
pub(crate) const OURS: [Path; 17] = [
    from_container("IPv4 UDP to a VTEP", "to_underlay", Keys::All, |to, _| frames::udp_v4(&own(), to)),
    from_container("IPv4 TCP to a VTEP", "to_underlay", Keys::All, |to, _| frames::tcp_v4(&own(), to)),
    from_container("IPv6 UDP to a VTEP", "to_underlay", Keys::All, |to, _| frames::udp_v6(&own(), to)),
    from_container("IPv4 UDP delivered here", "to_local", Keys::One, |_, _| {
        frames::udp_v4(&own(), &station(LOCAL - 1))
    }),
    from_container("ARP answered", "arp_answered", Keys::All, |to, _| frames::arp(&own(), to)),
    from_container("IPv6 neighbour answered", "nd_answered", Keys::V6, |to, _| {
        frames::solicitation(&own(), to)
    }),
    dropped(
        from_container("source IP of another", "", Keys::One, |to, _| {
            frames::udp_v4(&Station { v4: to.v4, ..own() }, to)
        }),
        "spoofed_ip",
    ),
    dropped(
        from_container("MAC address of nobody", "", Keys::One, |to, _| {
            frames::udp_v4(&own(), &Station { mac: MacAddr::new([2, 0, 0, 0, 0, 9]), ..*to })
        }),
        "unknown_mac",
    ),
    dropped(
        Path {
            program: "unguarded",
            ..from_container("any", "", Keys::One, |to, _| frames::udp_v4(&own(), to))
        },
        "unguarded",
    ),
    from_underlay(
        "IPv4 UDP delivered",
        |of, node| frames::vxlan(vtep_of(node), &frames::udp_v4(of, &own())),
        Keys::All,
    ),
    from_underlay(
        "IPv4 TCP delivered",
        |of, node| frames::vxlan(vtep_of(node), &frames::tcp_v4(of, &own())),
        Keys::All,
    ),
    from_underlay(
        "IPv6 UDP delivered",
        |of, node| frames::vxlan(vtep_of(node), &frames::udp_v6(of, &own())),
        Keys::All,
    ),
    Path {
        verdict: Verdict::Pass,
        counted: None,
        ..from_underlay("TCP of the host", |other, _| frames::tcp_v4(&own(), other), Keys::One)
    },
    dropped(
        from_underlay(
            "VTEP of nobody",
            |of, _| frames::vxlan([10, 99, 0, 1].into(), &frames::udp_v4(of, &own())),
            Keys::One,
        ),
        "unknown_vtep",
    ),
    Path {
        program: "from_anchor",
        with: (mark::ANCHOR, VNI),
        ..from_underlay("IPv4 UDP delivered", |of, _| frames::udp_v4(of, &own()), Keys::All)
    },
    to_underlay("VXLAN of ours", mark::to_vtep(0)),
    to_underlay("TCP of the host", 0),
];
