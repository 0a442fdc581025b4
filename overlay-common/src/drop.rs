//! Why a frame was dropped: the one list that the programs return, the counters are indexed by, metrics and
//! listings are labelled with, and tests assert on.

/// Defines `DropReason` with its names and descriptions, so that none of the three can drift.
macro_rules! drop_reasons {
    ($($variant:ident = $index:literal, $name:literal, $describe:literal;)+) => {
        /// Why a frame was dropped.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u32)]
        pub enum DropReason {
            $(#[doc = $describe] $variant = $index,)+
        }

        impl DropReason {
            /// Every reason, in the order of their numbers.
            pub const ALL: [Self; [$($index),+].len()] = [$(Self::$variant),+];

            /// The name that listings and metrics carry.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// What the reason means, as one clause.
            pub const fn describe(self) -> &'static str {
                match self {
                    $(Self::$variant => $describe,)+
                }
            }
        }
    };
}

drop_reasons! {
    Malformed = 0, "malformed", "a length, checksum, flag or address that its protocol does not allow";
    UnknownVtep = 1, "unknown_vtep", "VXLAN from an address that is no VTEP of the cluster";
    VtepNotInVni = 2, "vtep_not_in_vni", "VXLAN from a VTEP that has no endpoint in this network";
    UnknownVni = 3, "unknown_vni", "VXLAN with a VNI that is no network of the cluster";
    UnknownMac = 4, "unknown_mac", "a destination MAC address that no endpoint of the network has";
    SpoofedMac = 5, "spoofed_mac", "a source MAC address that is not the sender's own";
    SpoofedIp = 6, "spoofed_ip", "a source IP address that is not the sender's own";
    SpoofedArp = 7, "spoofed_arp", "ARP that names as its sender another than who sent it";
    SpoofedNd = 8, "spoofed_nd", "neighbour discovery that claims an address which is not the sender's own";
    RogueRa = 9, "rogue_ra", "a router advertisement or redirect from a container that may not send any";
    RogueDhcp = 10, "rogue_dhcp", "a DHCP server's message from a container that may not send any";
    SplitHorizon = 11, "split_horizon", "a frame from a VTEP for an endpoint behind another VTEP";
    Hairpin = 12, "hairpin", "a frame for an endpoint behind the port it came from";
    Bum = 13, "bum", "broadcast or multicast other than ARP and neighbour discovery";
    UnknownNeigh = 14, "unknown_neigh", "ARP or neighbour solicitation for an address that no endpoint has";
    OwnNeigh = 15, "own_neigh", "ARP or neighbour solicitation for the sender's own address, which needs no answer";
    VlanTagged = 16, "vlan_tagged", "an inner frame with a VLAN tag";
    TooBig = 17, "too_big", "a frame that does not fit the underlay's MTU once encapsulated";
    NotEncrypted = 18, "not_encrypted", "a frame of an encrypted network that would cross the underlay in clear";
    CeNotEct = 19, "ce_not_ect", "congestion marked on the underlay, on a flow that cannot carry the mark (RFC 6040)";
    OuterFragment = 20, "outer_fragment", "a fragmented VXLAN packet (RFC 7348 section 4.3)";
    NoPort = 21, "no_port", "a frame from a device that the port table does not hold";
    NoRoute = 22, "no_route", "a VTEP that the underlay has no route or next hop to";
    KernelRefused = 23, "kernel_refused", "a kernel helper refused to change or redirect the frame";
    VxlanFromContainer = 24, "vxlan_from_container", "VXLAN of one of our networks, leaving the host, that the programs did not make";
    Unguarded = 25, "unguarded", "a frame of a container whose guard, `from_container`, is not at its port";
    NoAnchor = 26, "no_anchor", "a frame that only the device `overlay-anchor` or `overlay-anchor6` can unpack, while that is missing";
    ForgedAnchor = 27, "forged_anchor", "a frame at either of those devices that `from_underlay` did not send there";
}

impl DropReason {
    /// The reason of a counter's index; `None` for a number that this version does not know.
    pub fn from_index(index: u32) -> Option<Self> {
        Self::ALL.get(index as usize).copied()
    }
}

const _: () = {
    let mut index = 0;
    while index < DropReason::ALL.len() {
        assert!(DropReason::ALL[index] as usize == index);
        index += 1;
    }
};
