//! What `xdp_underlay` says of a frame that it took out of its tunnel: XDP metadata, which lies in front of the frame and
//! which `from_underlay` finds there.
//!
//! The kernel merges two frames of a flow (GRO) only where their metadata are equal (`skb_metadata_differs`): there is
//! nothing in them that differs within a flow.

use crate::map::Fdb;

/// The metadata.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Handed {
    tag: [u8; 4],
    vni: [u8; 4],
    fdb: [u8; 8],
}

impl Handed {
    /// "ovXD": tells the metadata from another program's.
    const TAG: [u8; 4] = *b"ovXD";

    /// That a frame of this VNI, in host order, is for this local endpoint.
    #[inline(always)]
    pub const fn new(vni: u32, fdb: Fdb) -> Self {
        Self { tag: Self::TAG, vni: vni.to_ne_bytes(), fdb: fdb.word().to_ne_bytes() }
    }

    /// The VNI in host order and the endpoint; `None` where the metadata is another program's.
    #[inline(always)]
    pub fn read(&self) -> Option<(u32, Fdb)> {
        let ours = u32::from_ne_bytes(self.tag) == u32::from_ne_bytes(Self::TAG);
        let fdb = Fdb::from_word(u64::from_ne_bytes(self.fdb)).filter(|_| ours)?;
        Some((u32::from_ne_bytes(self.vni), fdb))
    }
}

// The kernel takes multiples of 4 up to 32 bytes (`xdp_metalen_invalid`).
const _: () = assert!(size_of::<Handed>() == 16 && align_of::<Handed>() == 1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_handed_on_is_read_and_what_is_anothers_is_not() {
        let fdb = Fdb::local(7);
        assert_eq!(Handed::new(42, fdb).read(), Some((42, fdb)));
        assert_eq!(Handed::new(42, Fdb::NONE).read(), None);
        assert_eq!(Handed { tag: [0; 4], ..Handed::new(42, fdb) }.read(), None);
    }
}
