//! What `from_container` writes into `skb->mark` of a frame that it sends to the underlay, and `from_underlay` into that
//! of a frame that it leaves to our vxlan device.
//!
//! The programs that the frame meets after it go by the mark, so nobody else may set it. A container cannot: the
//! mark of a frame that crosses into the host's namespace is cleared (`skb_scrub_packet`). Who can set it has the
//! rights of root in the host's namespace, or a device there that does not clear it (macvlan, ipvlan).

use crate::map::MAX_VTEPS;

/// Bits that hold the place of the frame's VTEP in `VTEPS`.
const PLACE: u32 = MAX_VTEPS - 1;
/// The other bits of the mark, "ov" and a 6: no bit pattern that a common tool uses (Kubernetes: 0x4000, 0x8000;
/// Docker: small numbers; Cilium: 0x0d00 to 0x0f00).
pub const UNDERLAY_MARK: u32 = 0x6f76_6000;

/// The mark of a frame that `from_underlay` leaves to our vxlan device. The host's packet filter sees it on the way there:
/// it has none of the bits by which Kubernetes has frames dropped or masqueraded (0x8000, 0x4000).
pub const ANCHOR: u32 = 0x6f76_1000;

const _: () = assert!(ANCHOR & !PLACE != UNDERLAY_MARK && ANCHOR & 0xc000 == 0);
const _: () = assert!(MAX_VTEPS.is_power_of_two() && UNDERLAY_MARK & PLACE == 0);

/// The mark of a frame to the VTEP at this place.
#[inline(always)]
pub const fn to_vtep(place: u32) -> u32 {
    UNDERLAY_MARK | place & PLACE
}

/// The place of the VTEP that a frame with this mark goes to; `None` where the mark is not of our making.
#[inline(always)]
pub const fn vtep(mark: u32) -> Option<u32> {
    if mark & !PLACE == UNDERLAY_MARK { Some(mark & PLACE) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_tells_the_place() {
        for place in [0, 1, 42, MAX_VTEPS - 1] {
            assert_eq!(vtep(to_vtep(place)), Some(place));
        }
        for other in [0, 1, 0x4000, 0x8000, UNDERLAY_MARK - 1, UNDERLAY_MARK + MAX_VTEPS, u32::MAX] {
            assert_eq!(vtep(other), None, "{other:x}");
        }
    }
}
