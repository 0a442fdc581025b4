//! Programs to measure against, for benches only: nothing of them is in the agent.
//!
//! They do the least that their way needs, and guard nothing. Keys and values are bytes, so that user space needs no
//! types of this file; `tests/benches/shared/reference.rs` writes them. Addresses are in network order, interface
//! indexes and VNIs in host order.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]

use core::mem::MaybeUninit;

use aya_ebpf::{
    bindings::{
        __sk_buff, BPF_F_ADJ_ROOM_DECAP_L3_IPV4, BPF_F_ADJ_ROOM_ENCAP_L2_ETH, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4,
        BPF_F_ADJ_ROOM_ENCAP_L4_UDP, BPF_F_ADJ_ROOM_FIXED_GSO, BPF_F_ADJ_ROOM_NO_CSUM_RESET,
        BPF_F_ZERO_CSUM_TX, TC_ACT_UNSPEC, bpf_adj_room_mode::BPF_ADJ_ROOM_MAC, bpf_redir_neigh,
        bpf_tunnel_key, xdp_action,
    },
    helpers::{
        bpf_get_hash_recalc, bpf_l3_csum_replace, bpf_redirect, bpf_redirect_neigh, bpf_redirect_peer,
        bpf_skb_adjust_room, bpf_skb_get_tunnel_key, bpf_skb_set_tunnel_key, bpf_skb_store_bytes,
    },
    macros::{classifier, map, xdp},
    maps::{HashMap, LruHashMap},
    programs::{TcContext, XdpContext},
};

/// Entries of each map.
const ROOM: u32 = 1024;
/// `BPF_F_NO_PREALLOC`: an element that was looked up stays as it is until the program ends.
const NO_PREALLOC: u32 = 1;
/// `AF_INET`.
const AF_INET: u32 = 2;
/// Ethernet and IPv4 headers, which all of these programs read.
const HEADERS: usize = 14 + 20;
/// Outer Ethernet, IPv4, UDP and VXLAN headers.
const OVERHEAD: i32 = 50;
/// Those and the inner Ethernet header.
const TEMPLATE: usize = 64;
/// What outer headers are pushed, for `bpf_skb_adjust_room`.
const ENCAP: u32 = BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L4_UDP | BPF_F_ADJ_ROOM_ENCAP_L2_ETH;
/// The headers of `headers_out`: UDP from one port to VXLAN's, of which only `headers_in` sees anything.
const HEADERS_OUT: [u8; TEMPLATE] = {
    let mut bytes = [0; TEMPLATE];
    // IPv4; version and length of its header, TTL, UDP.
    (bytes[12], bytes[14], bytes[22], bytes[23]) = (8, 0x45, 64, 17);
    [bytes[34], bytes[35], bytes[36], bytes[37]] = [0xc0, 0, 0x12, 0xb5];
    // VXLAN: a VNI follows, 1; inside, IPv4 again.
    (bytes[42], bytes[48], bytes[62]) = (8, 1, 8);
    bytes
};

/// Destination -> interface index of the underlay device, next hop.
#[map]
static WAY_OUT: HashMap<[u8; 4], [[u8; 4]; 2]> = HashMap::with_max_entries(ROOM, NO_PREALLOC);
/// Destination -> interface index of the container's veth on the host, and the container's Ethernet header.
#[map]
static WAY_IN: HashMap<[u8; 4], Door> = HashMap::with_max_entries(ROOM, NO_PREALLOC);
/// Destination -> interface index of the tunnel device, VTEP, VNI.
#[map]
static TUNNEL: HashMap<[u8; 4], [[u8; 4]; 3]> = HashMap::with_max_entries(ROOM, NO_PREALLOC);

/// Addresses, ports and protocol -> what may pass.
#[map]
static LRU_POLICY: LruHashMap<[u32; 4], [u8; 4]> = LruHashMap::with_max_entries(ROOM, 0);
/// Destination -> its node.
#[map]
static LRU_NODE: LruHashMap<[u8; 4], [u8; 4]> = LruHashMap::with_max_entries(ROOM, 0);
/// Node -> interface index of the underlay device, and the headers.
#[map]
static LRU_HEADERS: LruHashMap<[u8; 4], Headers> = LruHashMap::with_max_entries(ROOM, 0);
/// Source -> as `WAY_IN`.
#[map]
static LRU_SOURCE: LruHashMap<[u8; 4], Door> = LruHashMap::with_max_entries(ROOM, 0);

/// A container's veth, and the destination and source of an Ethernet header for it.
type Door = [[u8; 4]; 4];
/// An interface index, and headers to send with.
type Headers = [[u8; 4]; 1 + TEMPLATE / 4];

/// Does nothing: what running a program costs at all.
#[classifier]
fn empty(_ctx: TcContext) -> i32 {
    TC_ACT_UNSPEC
}

/// Lets a frame come in at its device: a kernel that runs it on live frames is a generator of packets.
#[xdp]
fn pass(_ctx: XdpContext) -> u32 {
    xdp_action::XDP_PASS
}

/// The way out of overlays that cache what a slower path has decided, as `ONCache` (NSDI 2025, `tc_masq`).
#[classifier]
fn four_lru(ctx: TcContext) -> i32 {
    four_lru_of(&ctx).unwrap_or(TC_ACT_UNSPEC)
}

/// TC ingress of a container's veth on the host: to the other host, without outer headers.
#[classifier]
fn redirect_out(ctx: TcContext) -> i32 {
    redirect_out_of(&ctx).unwrap_or(TC_ACT_UNSPEC)
}

/// TC ingress of the underlay device: to the container.
#[classifier]
fn redirect_in(ctx: TcContext) -> i32 {
    destination(&ctx).and_then(|to| deliver(&ctx, to)).unwrap_or(TC_ACT_UNSPEC)
}

/// As `redirect_out`, under headers that are the same for every packet but for the lengths.
#[classifier]
fn headers_out(ctx: TcContext) -> i32 {
    headers_out_of(&ctx).unwrap_or(TC_ACT_UNSPEC)
}

/// As `redirect_in`, from under them.
#[classifier]
fn headers_in(ctx: TcContext) -> i32 {
    headers_in_of(&ctx).unwrap_or(TC_ACT_UNSPEC)
}

/// TC ingress of a container's veth on the host: to a tunnel device of the kernel, as Cilium does.
#[classifier]
fn tunnel_out(ctx: TcContext) -> i32 {
    tunnel_out_of(&ctx).unwrap_or(TC_ACT_UNSPEC)
}

/// TC ingress of the tunnel device: to the container.
#[classifier]
fn tunnel_in(ctx: TcContext) -> i32 {
    tunnel_in_of(&ctx).unwrap_or(TC_ACT_UNSPEC)
}

#[inline(always)]
fn four_lru_of(ctx: &TcContext) -> Option<i32> {
    let packet = bytes::<{ HEADERS + 4 }>(ctx)?;
    let (source, destination): ([u8; 4], [u8; 4]) = (part(packet, 26), part(packet, 30));
    let total = u16::from_be_bytes(part(packet, 16)) + OVERHEAD as u16;
    // SAFETY: the context is the one the program was called with.
    let hash = unsafe { bpf_get_hash_recalc(skb(ctx)) };
    // By words, which the verifier wants aligned on the stack.
    let flow = [source, destination, part(packet, 34), [packet[23], 0, 0, 0]].map(u32::from_ne_bytes);
    // SAFETY: an element that is used again while it is read misleads one packet of a bench.
    unsafe { LRU_POLICY.get(flow) }?;
    // SAFETY: as above.
    let node = *unsafe { LRU_NODE.get(destination) }?;
    // SAFETY: as above.
    let headers = unsafe { LRU_HEADERS.get(node) }?;
    // SAFETY: as above.
    unsafe { LRU_SOURCE.get(source) }?;

    adjust_room(ctx, OVERHEAD, ENCAP)?;
    let room = bytes_mut::<TEMPLATE>(ctx)?;
    for (place, word) in headers[1..].iter().enumerate() {
        room[place * 4..][..4].copy_from_slice(word);
    }
    store(ctx, 16, total.to_be_bytes())?;
    // SAFETY: the context is the one the program was called with.
    if unsafe { bpf_l3_csum_replace(skb(ctx), 24, 0, u64::from(total.to_be()), 2) } != 0 {
        return None;
    }
    store(ctx, 38, (total - 20).to_be_bytes())?;
    store(ctx, 34, (hash as u16 | 0xc000).to_be_bytes())?;
    let [ifindex, ..] = *headers;
    // SAFETY: the helper takes numbers only.
    Some(unsafe { bpf_redirect(u32::from_ne_bytes(ifindex), 0) } as i32)
}

#[inline(always)]
fn redirect_out_of(ctx: &TcContext) -> Option<i32> {
    send(destination(ctx)?)
}

#[inline(always)]
fn headers_out_of(ctx: &TcContext) -> Option<i32> {
    let to = destination(ctx)?;
    // 16 bits hold the length of any super-frame of TCP under these headers.
    let total = ctx.len() as u16 + OVERHEAD as u16 - 14;
    adjust_room(ctx, OVERHEAD, ENCAP | BPF_F_ADJ_ROOM_NO_CSUM_RESET)?;
    let room = bytes_mut::<TEMPLATE>(ctx)?;
    *room = HEADERS_OUT;
    room[16..18].copy_from_slice(&total.to_be_bytes());
    room[38..40].copy_from_slice(&(total - 20).to_be_bytes());
    send(to)
}

#[inline(always)]
fn headers_in_of(ctx: &TcContext) -> Option<i32> {
    adjust_room(ctx, -OVERHEAD, BPF_F_ADJ_ROOM_DECAP_L3_IPV4 | BPF_F_ADJ_ROOM_NO_CSUM_RESET)?;
    deliver(ctx, destination(ctx)?)
}

/// Sends a packet the way out to a destination.
#[inline(always)]
fn send(to: [u8; 4]) -> Option<i32> {
    // SAFETY: see `NO_PREALLOC`.
    let [ifindex, next_hop] = *unsafe { WAY_OUT.get(to) }?;
    let mut words = [const { MaybeUninit::uninit() }; 3];
    // SAFETY: all bytes zero are parameters, and there are enough.
    let params: &mut bpf_redir_neigh = unsafe { &mut *zeroed(&mut words).cast() };
    params.nh_family = AF_INET;
    params.__bindgen_anon_1.ipv4_nh = u32::from_ne_bytes(next_hop);
    let len = size_of::<bpf_redir_neigh>() as i32;
    // SAFETY: `params` is live during the call and its size is given.
    Some(unsafe { bpf_redirect_neigh(u32::from_ne_bytes(ifindex), params, len, 0) } as i32)
}

#[inline(always)]
fn tunnel_out_of(ctx: &TcContext) -> Option<i32> {
    let to = destination(ctx)?;
    // SAFETY: see `NO_PREALLOC`.
    let [ifindex, vtep, vni] = *unsafe { TUNNEL.get(to) }?;
    let mut words = [const { MaybeUninit::uninit() }; 6];
    // SAFETY: all bytes zero are a key, and there are enough.
    let key: &mut bpf_tunnel_key = unsafe { &mut *zeroed(&mut words).cast() };
    key.tunnel_id = u32::from_ne_bytes(vni);
    // The helper takes the address in host order.
    key.__bindgen_anon_1.remote_ipv4 = u32::from_be_bytes(vtep);
    key.tunnel_ttl = 64;
    let (len, flags) = (size_of::<bpf_tunnel_key>() as u32, u64::from(BPF_F_ZERO_CSUM_TX));
    // SAFETY: the context is the one the program was called with; `key` is live and its size is given.
    if unsafe { bpf_skb_set_tunnel_key(skb(ctx), key, len, flags) } != 0 {
        return None;
    }
    // SAFETY: the helper takes numbers only.
    Some(unsafe { bpf_redirect(u32::from_ne_bytes(ifindex), 0) } as i32)
}

#[inline(always)]
fn tunnel_in_of(ctx: &TcContext) -> Option<i32> {
    let mut words = [const { MaybeUninit::uninit() }; 6];
    // SAFETY: all bytes zero are a key, and there are enough.
    let key: &mut bpf_tunnel_key = unsafe { &mut *zeroed(&mut words).cast() };
    // SAFETY: the context is the one the program was called with; `key` is live and its size is given.
    if unsafe { bpf_skb_get_tunnel_key(skb(ctx), key, size_of::<bpf_tunnel_key>() as u32, 0) } != 0 {
        return None;
    }
    deliver(ctx, destination(ctx)?)
}

/// Gives a frame to the container with this address.
#[inline(always)]
fn deliver(ctx: &TcContext, to: [u8; 4]) -> Option<i32> {
    // SAFETY: see `NO_PREALLOC`.
    let [ifindex, a, b, c] = *unsafe { WAY_IN.get(to) }?;
    let header = bytes_mut::<12>(ctx)?;
    header[..4].copy_from_slice(&a);
    header[4..8].copy_from_slice(&b);
    header[8..].copy_from_slice(&c);
    // SAFETY: the helper takes numbers only.
    Some(unsafe { bpf_redirect_peer(u32::from_ne_bytes(ifindex), 0) } as i32)
}

/// Opens or closes room after the Ethernet header.
#[inline(always)]
fn adjust_room(ctx: &TcContext, by: i32, flags: u32) -> Option<()> {
    let inner_ethernet = if by > 0 { 14 << 56 } else { 0 };
    let flags = u64::from(flags | BPF_F_ADJ_ROOM_FIXED_GSO) | inner_ethernet;
    // SAFETY: the context is the one the program was called with.
    (unsafe { bpf_skb_adjust_room(skb(ctx), by, BPF_ADJ_ROOM_MAC, flags) } == 0).then_some(())
}

/// Fills words with zeros, by words: of a plain zeroing the compiler makes a call that goes byte by byte.
#[inline(always)]
fn zeroed<const N: usize>(words: &mut [MaybeUninit<u64>; N]) -> *mut u64 {
    for word in words.iter_mut() {
        // SAFETY: the place is the caller's own.
        unsafe { word.as_mut_ptr().write_volatile(0) };
    }
    words.as_mut_ptr().cast()
}

/// The destination of an IPv4 packet.
#[inline(always)]
fn destination(ctx: &TcContext) -> Option<[u8; 4]> {
    let packet = bytes::<HEADERS>(ctx)?;
    (packet[12..14] == [8, 0]).then(|| part(packet, 30))
}

/// The first bytes of the packet.
#[inline(always)]
fn bytes<const N: usize>(ctx: &TcContext) -> Option<&[u8; N]> {
    let start = ctx.data();
    // SAFETY: the bytes lie inside the packet, as is checked first.
    (start + N <= ctx.data_end()).then(|| unsafe { &*(start as *const [u8; N]) })
}

/// The first bytes of the packet, for writing.
#[expect(clippy::mut_from_ref, reason = "each caller holds one reference at a time")]
#[inline(always)]
fn bytes_mut<const N: usize>(ctx: &TcContext) -> Option<&mut [u8; N]> {
    let start = ctx.data();
    // SAFETY: as in `bytes`.
    (start + N <= ctx.data_end()).then(|| unsafe { &mut *(start as *mut [u8; N]) })
}

/// Some of the bytes.
#[inline(always)]
fn part<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&bytes[at..at + N]);
    part
}

#[inline(always)]
fn store(ctx: &TcContext, at: u32, bytes: [u8; 2]) -> Option<()> {
    // SAFETY: the context is the one the program was called with; `bytes` is live and two bytes long.
    (unsafe { bpf_skb_store_bytes(skb(ctx), at, bytes.as_ptr().cast(), 2, 0) } == 0).then_some(())
}

#[inline(always)]
fn skb(ctx: &TcContext) -> *mut __sk_buff {
    ctx.skb.skb
}

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // No panic can be reached: the verifier refuses programs with an endless loop.
    loop {}
}

/// The licence the kernel reads: helpers that are for GPL programs only need it.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// For the host there is nothing to run; it compiles so that `cargo clippy` sees it.
#[cfg(not(target_arch = "bpf"))]
fn main() {}
