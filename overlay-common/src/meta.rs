//! `Meta`: which maps and programs of a pin directory belong together, so that a later agent knows what it found.

use crate::map::map_type;

/// Programs that `Meta` has room for.
pub const META_PROGRAMS: usize = 8;
/// Maps that `Meta` has room for.
pub const META_MAPS: usize = 16;

map_type! {
    /// The value of `META`, an array of one that only agents use. No version may change its layout: it is how a
    /// version tells that others differ.
    pub struct Meta {
        /// `ABI_VERSION` of the maps.
        pub abi: u32,
        /// One frame in this many is traced by the programs, 0 for none; host order.
        pub trace_sample: u32,
        /// Hash of the object that the programs were loaded from; 0 while they are being replaced.
        pub object: u64,
        /// The kernel's numbers of the pinned programs, in the order of their names; unused places are 0.
        pub programs: [u32; META_PROGRAMS],
        /// The kernel's numbers of the pinned maps, in the order of their names; unused places are 0.
        pub maps: [u32; META_MAPS],
    } size 112, align 8
}

impl Meta {
    /// Nothing is known.
    pub const EMPTY: Self =
        Self { abi: 0, trace_sample: 0, object: 0, programs: [0; META_PROGRAMS], maps: [0; META_MAPS] };
}
