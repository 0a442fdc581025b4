//! The one place that touches packet memory: here through a socket buffer, in `xdp` before there is one.
//!
//! A `Packet` gives references to headers, bounds checked. Whatever may move packet memory takes the `Packet`
//! and gives back a new one: a reference kept across it does not compile, just as the verifier refuses a stale
//! packet pointer.

mod family;
pub mod xdp;

use core::mem::MaybeUninit;

use aya_ebpf::{
    bindings::{
        __sk_buff, BPF_F_ADJ_ROOM_ENCAP_L2_ETH, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4, BPF_F_ADJ_ROOM_ENCAP_L3_IPV6,
        BPF_F_ADJ_ROOM_ENCAP_L4_UDP, BPF_F_ADJ_ROOM_FIXED_GSO, BPF_F_ADJ_ROOM_NO_CSUM_RESET,
        bpf_adj_room_mode::{BPF_ADJ_ROOM_MAC, BPF_ADJ_ROOM_NET},
    },
    check_bounds_signed,
    helpers::{
        bpf_csum_diff, bpf_csum_level, bpf_skb_adjust_room, bpf_skb_change_head, bpf_skb_change_tail,
        bpf_skb_change_type, bpf_skb_load_bytes, bpf_skb_pull_data, bpf_skb_store_bytes,
    },
    programs::TcContext,
};
use overlay_common::{
    DropReason, Handed,
    header::{Eth, Header},
    vxlan::{OuterV4, OuterV6},
};

pub use self::family::Family;

/// Length of an Ethernet header.
pub const ETH: usize = Eth::LEN;

/// Flags that leave segment sizes as they are (a segment must not grow by the header it loses) and keep what is
/// known of checksums (a reset would cost a software checksum over the payload).
const KEEP: u64 = (BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_NO_CSUM_RESET) as u64;
/// `BPF_F_ADJ_ROOM_ENCAP_L2(14)`: the inner header is an Ethernet header.
const INNER_ETHERNET: u64 = (ETH as u64) << 56;
/// `BPF_F_RECOMPUTE_CSUM`.
const RECOMPUTE: u64 = 1;
/// `BPF_CSUM_LEVEL_DEC`.
const CSUM_LEVEL_DEC: u64 = 2;
/// The type of a frame whose destination MAC address is the device's own.
const PACKET_HOST: u32 = 0;

/// `-EALREADY`.
const EALREADY: i64 = -114;

/// What came of opening room for an outer header.
pub enum Grown<'a> {
    /// The room is there.
    Whole(Packet<'a>),
    /// The frame is as it was: it is one of a tunnel in the container, and a socket buffer knows of one tunnel only
    /// (`skb->encapsulation`).
    Tunnel(Packet<'a>),
}

/// An outer header, which decides how room is made for it.
pub trait OuterHeader: Header {
    /// The flag that tells the kernel its family.
    const ENCAP_L3: u32;
}

impl OuterHeader for OuterV4 {
    const ENCAP_L3: u32 = BPF_F_ADJ_ROOM_ENCAP_L3_IPV4;
}

impl OuterHeader for OuterV6 {
    const ENCAP_L3: u32 = BPF_F_ADJ_ROOM_ENCAP_L3_IPV6;
}

/// A frame, seen through its socket buffer.
///
/// A header is read before the frame is moved:
///
/// ```
/// use overlay_common::{DropReason, header::Eth, vxlan::OuterV4};
/// use overlay_ebpf::packet::Packet;
///
/// fn sender(pkt: Packet<'_>) -> Result<Eth, DropReason> {
///     let eth = *pkt.at::<Eth>(0)?;
///     let _grown = pkt.grow_ip::<OuterV4>()?;
///     Ok(eth)
/// }
/// ```
///
/// The same with a reference that outlives the move does not compile:
///
/// ```compile_fail,E0505
/// use overlay_common::{DropReason, header::Eth, vxlan::OuterV4};
/// use overlay_ebpf::packet::Packet;
///
/// fn sender(pkt: Packet<'_>) -> Result<Eth, DropReason> {
///     let eth = pkt.at::<Eth>(0)?;
///     let _grown = pkt.grow_ip::<OuterV4>()?;
///     Ok(*eth)
/// }
/// ```
pub struct Packet<'a> {
    ctx: &'a TcContext,
}

impl<'a> Packet<'a> {
    /// The frame that a program was called with.
    #[inline(always)]
    pub const fn new(ctx: &'a TcContext) -> Self {
        Self { ctx }
    }

    #[inline(always)]
    fn skb(&self) -> *mut __sk_buff {
        self.ctx.skb.skb
    }

    /// The header at an offset; `Malformed` where the frame ends before it.
    #[inline(always)]
    pub fn at<H: Header>(&self, offset: usize) -> Result<&H, DropReason> {
        let start = self.ctx.data() + offset;
        if start + H::LEN > self.ctx.data_end() {
            return Err(DropReason::Malformed);
        }
        // SAFETY: the bytes from `start` lie inside the packet, as just checked, and `Header` allows any
        // alignment and content. Nothing moves them while the `Packet` is borrowed.
        Ok(unsafe { &*(start as *const H) })
    }

    /// The header at an offset, for writing.
    #[inline(always)]
    pub fn at_mut<H: Header>(&mut self, offset: usize) -> Result<&mut H, DropReason> {
        let start = self.ctx.data() + offset;
        if start + H::LEN > self.ctx.data_end() {
            return Err(DropReason::Malformed);
        }
        // SAFETY: as in `at`; the borrow of `self` is unique.
        Ok(unsafe { &mut *(start as *mut H) })
    }

    /// A copy of the header at an offset, wherever the frame holds it and without moving it; `None` where the frame
    /// ends before it.
    #[inline(always)]
    pub fn copy<H: Header>(&self, offset: usize) -> Option<H> {
        let mut header = MaybeUninit::<H>::uninit();
        // SAFETY: the context is the one the program was called with, and `header` has room for `LEN` bytes.
        let read = unsafe {
            bpf_skb_load_bytes(self.skb().cast(), offset as u32, header.as_mut_ptr().cast(), H::LEN as u32)
        };
        // SAFETY: the helper has written all bytes where it succeeded, and `Header` allows any content.
        if read == 0 { Some(unsafe { header.assume_init() }) } else { None }
    }

    /// A copy of what the frame has from an offset on, in words, zeros behind it; `None` where that is nothing, or more than
    /// `WORDS`.
    #[expect(clippy::cast_sign_loss, reason = "a length that is more than 0")]
    #[inline(always)]
    pub fn copy_to_end<const WORDS: usize>(&self, offset: usize) -> Option<[u64; WORDS]> {
        let len = self.len().wrapping_sub(offset) as i64;
        // So written that the verifier of Linux 6.1 sees that it is not 0.
        if !check_bounds_signed(len, 1, (WORDS * 8) as i64) {
            return None;
        }
        // Words: the verifier refuses copies of bytes on the stack that the compiler leaves misaligned.
        let mut words = [0_u64; WORDS];
        // SAFETY: the context is the one the program was called with, and `words` has room for `len` bytes.
        let read = unsafe {
            bpf_skb_load_bytes(self.skb().cast(), offset as u32, words.as_mut_ptr().cast(), len as u32)
        };
        if read == 0 { Some(words) } else { None }
    }

    /// What `xdp_underlay` says of the frame; `None` where it did not take it.
    #[inline(always)]
    pub fn handed(&self) -> Option<Handed> {
        // SAFETY: the context is readable for as long as the program runs.
        let start = unsafe { (*self.skb()).data_meta } as usize;
        if start + Handed::LEN > self.ctx.data() {
            return None;
        }
        // SAFETY: the bytes from `start` are metadata, as just checked, and `Handed` takes any alignment and content.
        Some(unsafe { *(start as *const Handed) })
    }

    /// Makes a frame that XDP took out of its tunnel one to the host: the kernel saw that its MAC address is not the
    /// device's (`eth_type_trans`), and `bpf_redirect_peer` leaves it so before Linux 6.15.
    #[inline(always)]
    pub fn popped_before(self) -> Result<Self, DropReason> {
        // As in `shrink`.
        // SAFETY: the context is the one the program was called with.
        unsafe { bpf_csum_level(self.skb(), CSUM_LEVEL_DEC) };
        // SAFETY: the context is the one the program was called with.
        if self.is_for_host() || unsafe { bpf_skb_change_type(self.skb(), PACKET_HOST) } == 0 {
            Ok(self)
        } else {
            Err(DropReason::KernelRefused)
        }
    }

    /// Makes the first `len` bytes readable; `Malformed` where the frame is shorter.
    #[inline(always)]
    pub fn pull(self, len: usize) -> Result<Self, DropReason> {
        if self.ctx.data() + len <= self.ctx.data_end() {
            return Ok(self);
        }
        // Pulling what the frame does not have would linearise all of it (`bpf_try_make_writable`).
        // SAFETY: the context is the one the program was called with.
        if self.len() < len || unsafe { bpf_skb_pull_data(self.skb(), len as u32) } != 0 {
            return Err(DropReason::Malformed);
        }
        Ok(self)
    }

    /// Opens room for an outer header in front of an inner frame, whose Ethernet header the caller has saved:
    /// afterwards the outer header and the inner Ethernet header are to be written.
    #[inline(always)]
    pub fn grow_ip<O: OuterHeader>(self) -> Result<Grown<'a>, DropReason> {
        let outer = O::ENCAP_L3 | BPF_F_ADJ_ROOM_ENCAP_L4_UDP | BPF_F_ADJ_ROOM_ENCAP_L2_ETH;
        let flags = u64::from(outer) | INNER_ETHERNET | KEEP;
        // SAFETY: the context is the one the program was called with.
        match unsafe { bpf_skb_adjust_room(self.skb(), O::LEN as i32, BPF_ADJ_ROOM_MAC, flags) } {
            0 => Ok(Grown::Whole(self)),
            EALREADY => Ok(Grown::Tunnel(self)),
            _ => Err(DropReason::KernelRefused),
        }
    }

    /// Opens `by` bytes of room after the Ethernet header of an IP packet, for headers of its own family. What was known
    /// of its checksum is forgotten: its receiver sums anew.
    #[inline(always)]
    pub fn grow(self, by: usize) -> Result<Self, DropReason> {
        self.adjust_room(by as i32, BPF_ADJ_ROOM_MAC, 0)
    }

    /// The sum of 512 bytes' 16-bit words as they lie in memory and of `seed`, not folded (RFC 1071).
    #[inline(always)]
    pub fn sum(&self, offset: usize, seed: u32) -> Result<u32, DropReason> {
        let bytes = self.at::<[u8; 512]>(offset)?;
        // SAFETY: the bytes are readable, as just checked, and nothing is taken from the null pointer, of size 0.
        let sum = unsafe {
            bpf_csum_diff(
                core::ptr::null_mut(),
                0,
                bytes.as_ptr().cast_mut().cast(),
                bytes.len() as u32,
                seed,
            )
        };
        u32::try_from(sum).map_err(|_| DropReason::KernelRefused)
    }

    /// Opens room in front of an inner frame that is not IP: afterwards the outer header is to be written.
    #[inline(always)]
    pub fn grow_other<O: OuterHeader>(self) -> Result<Self, DropReason> {
        // SAFETY: the context is the one the program was called with.
        match unsafe { bpf_skb_change_head(self.skb(), O::LEN as u32, 0) } {
            0 => Ok(self),
            _ => Err(DropReason::KernelRefused),
        }
    }

    /// Takes `by` bytes out after the Ethernet header; the caller writes the inner one over it.
    #[inline(always)]
    pub fn shrink(self, by: usize, inner: Family) -> Result<Self, DropReason> {
        let pkt = self.adjust_room(-(by as i32), BPF_ADJ_ROOM_MAC, inner.told() | KEEP)?;
        // What hardware verified was the outer checksum; it must not vouch for the inner one. The result says
        // only that nothing had been verified.
        // SAFETY: the context is the one the program was called with.
        unsafe { bpf_csum_level(pkt.skb(), CSUM_LEVEL_DEC) };
        Ok(pkt)
    }

    /// Takes `by` bytes out after the outer IPv6 header, whose fields the caller sets.
    #[inline(always)]
    pub fn take_out_extensions(self, by: usize) -> Result<Self, DropReason> {
        self.adjust_room(-(by as i32), BPF_ADJ_ROOM_NET, KEEP)
    }

    #[inline(always)]
    fn adjust_room(self, by: i32, mode: u32, flags: u64) -> Result<Self, DropReason> {
        // SAFETY: the context is the one the program was called with.
        match unsafe { bpf_skb_adjust_room(self.skb(), by, mode, flags) } {
            0 => Ok(self),
            _ => Err(DropReason::KernelRefused),
        }
    }

    /// Makes the frame `len` bytes long.
    #[inline(always)]
    pub fn resize(self, len: usize) -> Result<Self, DropReason> {
        // SAFETY: the context is the one the program was called with.
        match unsafe { bpf_skb_change_tail(self.skb(), len as u32, 0) } {
            0 => Ok(self),
            _ => Err(DropReason::KernelRefused),
        }
    }

    /// Writes two bytes that a transport checksum over the whole packet does not account for by itself.
    #[inline(always)]
    pub fn store(self, offset: usize, bytes: [u8; 2]) -> Result<Self, DropReason> {
        // SAFETY: the context is the one the program was called with; `bytes` is live and two bytes long.
        match unsafe { bpf_skb_store_bytes(self.skb(), offset as u32, bytes.as_ptr().cast(), 2, RECOMPUTE) } {
            0 => Ok(self),
            _ => Err(DropReason::KernelRefused),
        }
    }

    /// Length of the frame in bytes, with its Ethernet header.
    #[expect(clippy::len_without_is_empty, reason = "no frame is empty")]
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.ctx.len() as usize
    }

    /// Payload bytes of each segment of a super-frame; 0 where the frame is none.
    #[inline(always)]
    pub fn gso_size(&self) -> usize {
        // SAFETY: the context is readable for as long as the program runs.
        unsafe { (*self.skb()).gso_size as usize }
    }

    /// The frame's mark.
    #[inline(always)]
    pub fn mark(&self) -> u32 {
        // SAFETY: as in `gso_size`.
        unsafe { (*self.skb()).mark }
    }

    /// Marks the frame, for programs that it meets later.
    #[inline(always)]
    pub fn set_mark(&mut self, mark: u32) {
        // SAFETY: the context is writable here for as long as the program runs (`tc_cls_act_is_valid_access`).
        unsafe { (*self.skb()).mark = mark }
    }

    /// The frame's priority: a number that the host's stack hands on with it.
    #[inline(always)]
    pub fn priority(&self) -> u32 {
        // SAFETY: as in `gso_size`.
        unsafe { (*self.skb()).priority }
    }

    /// Sets the frame's priority.
    #[inline(always)]
    pub fn set_priority(&mut self, priority: u32) {
        // SAFETY: as in `set_mark`.
        unsafe { (*self.skb()).priority = priority }
    }

    /// Interface index of the device the program is attached to.
    #[inline(always)]
    pub fn ifindex(&self) -> u32 {
        // SAFETY: as in `gso_size`.
        unsafe { (*self.skb()).ifindex }
    }

    /// Interface index of the device that the frame came in at (`skb_iif`); 0 where the host made it.
    #[inline(always)]
    pub fn ingress_ifindex(&self) -> u32 {
        // SAFETY: as in `gso_size`.
        unsafe { (*self.skb()).ingress_ifindex }
    }

    /// Whether a VLAN tag was taken off the frame into the socket buffer (`skb_vlan_untag`).
    #[inline(always)]
    pub fn has_vlan_tag(&self) -> bool {
        // SAFETY: as in `gso_size`.
        unsafe { (*self.skb()).vlan_present != 0 }
    }

    /// Whether the frame's destination MAC address is the device's own.
    #[inline(always)]
    pub fn is_for_host(&self) -> bool {
        // SAFETY: as in `gso_size`.
        unsafe { (*self.skb()).pkt_type == PACKET_HOST }
    }
}
