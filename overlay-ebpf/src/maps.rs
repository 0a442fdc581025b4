//! Every map, and a verb for each use of it.

use aya_ebpf::{
    macros::map,
    maps::{Array, HashMap, PerCpuArray, PerCpuHashMap},
};
use overlay_common::{
    Counter, DropReason, Ip16, MacAddr,
    map::{
        DropKey, Fdb, FdbKey, MAX_ENDPOINTS, MAX_MEMBERS, MAX_NETS, MAX_PORTS, MAX_SLOTS, MAX_VTEPS, Member,
        MemberKey, Neigh, NeighKey, Net, NodeConfig, Port, Slice,
    },
    vxlan::Vtep,
};

/// `BPF_F_NO_PREALLOC`: memory for the entries there are, and no entry reused while a program reads it.
const NO_PREALLOC: u32 = 1;
/// `BPF_F_MMAPABLE`: the agent writes a slot by storing a word.
const MMAPABLE: u32 = 1 << 10;
/// `BPF_NOEXIST`.
const NOEXIST: u64 = 1;
/// Counters of drops: a few reasons a network.
const MAX_DROPS: u32 = MAX_NETS * 4;

#[map]
static CONFIG: Array<NodeConfig> = Array::with_max_entries(1, 0);
#[map]
static PORTS: HashMap<u32, Port> = HashMap::with_max_entries(MAX_PORTS, NO_PREALLOC);
#[map]
static FDB: HashMap<FdbKey, Fdb> = HashMap::with_max_entries(MAX_ENDPOINTS, NO_PREALLOC);
#[map]
static FDB_V4: Array<Fdb> = Array::with_max_entries(MAX_SLOTS, MMAPABLE);
#[map]
static NEIGH: HashMap<NeighKey, Neigh> = HashMap::with_max_entries(MAX_ENDPOINTS, NO_PREALLOC);
#[map]
static VTEPS: Array<Vtep> = Array::with_max_entries(MAX_VTEPS, 0);
#[map]
static MEMBERS: HashMap<MemberKey, Member> = HashMap::with_max_entries(MAX_MEMBERS, NO_PREALLOC);
#[map]
static NETS: HashMap<u32, Net> = HashMap::with_max_entries(MAX_NETS, NO_PREALLOC);
#[map]
static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(Counter::ALL.len() as u32, 0);
#[map]
static DROPS: PerCpuHashMap<DropKey, u64> = PerCpuHashMap::with_max_entries(MAX_DROPS, NO_PREALLOC);

/// What this node is. Zeroed until the agent has written it: then no packet is ours, since no UDP port is 0.
#[inline(always)]
pub(crate) fn config() -> Result<&'static NodeConfig, DropReason> {
    CONFIG.get(0).ok_or(DropReason::NoPort)
}

/// The port whose host side has this interface index.
#[inline(always)]
pub(crate) fn port(ifindex: u32) -> Result<&'static Port, DropReason> {
    // SAFETY: without preallocation an element that was looked up stays as it is until the program ends
    // (`htab_elem_free_rcu`).
    unsafe { PORTS.get(ifindex) }.ok_or(DropReason::NoPort)
}

/// A network as look-ups need it: whoever has the port or the member has both, without another look-up.
#[derive(Clone, Copy)]
pub(crate) struct Network<'a> {
    /// VNI in host order.
    pub(crate) vni: u32,
    /// Its part of `FDB_V4`.
    pub(crate) slice: &'a Slice,
}

impl<'a> Network<'a> {
    /// That of a port.
    #[inline(always)]
    pub(crate) const fn of(port: &'a Port) -> Self {
        Self { vni: port.vni(), slice: &port.slice }
    }
}

/// Where the endpoint with this MAC address is.
#[inline(always)]
pub(crate) fn fdb(network: Network<'_>, mac: MacAddr) -> Result<Fdb, DropReason> {
    if let Some(slot) = network.slice.slot(mac)
        && let Some(fdb) = slot_of(slot)
    {
        return Ok(fdb);
    }
    // SAFETY: as in `port`.
    let found = unsafe { FDB.get(FdbKey::new(network.vni, mac)) };
    found.and_then(|fdb| Fdb::from_word(fdb.word())).ok_or(DropReason::UnknownMac)
}

/// What a slot of `FDB_V4` says; none where it is empty.
#[inline(always)]
fn slot_of(slot: u32) -> Option<Fdb> {
    let place: *const u64 = FDB_V4.get_ptr(slot)?.cast();
    // SAFETY: it points to a slot, aligned and never freed. Volatile: the agent overwrites it meanwhile, and one load
    // of the word has it whole, either as it was or as it is.
    Fdb::from_word(unsafe { place.read_volatile() })
}

/// A MAC address that was found.
///
/// Aligned: in a `Result` a bare one lies at an odd offset, and copies of it on the stack are misaligned, which the
/// verifier refuses.
#[repr(align(8))]
pub(crate) struct Found(pub(crate) MacAddr);

/// The MAC address of the endpoint with this address.
///
/// Most addresses tell it themselves: then the FDB says whether its endpoint has them, and `NEIGH` need not.
#[inline(always)]
pub(crate) fn neigh(network: Network<'_>, ip: Ip16) -> Result<Found, DropReason> {
    let told = match MacAddr::of_ipv4(ip) {
        Some(mac) => Some((mac, Fdb::HAS_IPV4)),
        None => MacAddr::of_link_local(ip).map(|mac| (mac, Fdb::HAS_LINK_LOCAL)),
    };
    if let Some((mac, flag)) = told
        && fdb(network, mac).is_ok_and(|fdb| fdb.flags() & flag != 0)
    {
        return Ok(Found(mac));
    }
    // SAFETY: as in `port`.
    let neigh = unsafe { NEIGH.get(NeighKey::new(network.vni, ip)) };
    neigh.map(|neigh| Found(neigh.mac)).ok_or(DropReason::UnknownNeigh)
}

/// The way to a VTEP, by its place.
#[inline(always)]
pub(crate) fn vtep(place: u32) -> Result<&'static Vtep, DropReason> {
    VTEPS.get(place).ok_or(DropReason::NoRoute)
}

/// A VTEP's membership of a network; which check failed is worked out only when one did.
#[inline(always)]
pub(crate) fn member(vni: u32, vtep: Ip16) -> Result<&'static Member, DropReason> {
    if let Some(member) = membership(vni, vtep) {
        return Ok(member);
    }
    // SAFETY: as in `port`.
    if unsafe { MEMBERS.get(MemberKey::new(0, vtep)) }.is_none() {
        return Err(DropReason::UnknownVtep);
    }
    Err(if is_net(vni) { DropReason::VtepNotInVni } else { DropReason::UnknownVni })
}

/// A VTEP's membership of a network, if there is one.
#[inline(always)]
pub(crate) fn membership(vni: u32, vtep: Ip16) -> Option<&'static Member> {
    // SAFETY: as in `port`.
    let found = unsafe { MEMBERS.get(MemberKey::new(vni, vtep)) };
    // The entries of VNI 0 are those of the cluster, no network's.
    found.filter(|_| vni != 0)
}

/// What there is to know of the network of a VNI, if it is one of the cluster.
#[inline(always)]
pub(crate) fn net(vni: u32) -> Option<&'static Net> {
    // SAFETY: as in `port`.
    unsafe { NETS.get(vni) }
}

/// The network of a VNI.
#[inline(always)]
pub(crate) fn network(vni: u32) -> Result<Network<'static>, DropReason> {
    let net = net(vni).ok_or(DropReason::UnknownVni)?;
    Ok(Network { vni, slice: &net.slice })
}

/// Whether a VNI is a network of the cluster.
#[inline(always)]
pub(crate) fn is_net(vni: u32) -> bool {
    net(vni).is_some()
}

/// Counts an event.
#[inline(always)]
pub(crate) fn count(counter: Counter) {
    if let Some(count) = COUNTERS.get_ptr_mut(counter as u32) {
        // SAFETY: the value is this CPU's own, and a TC program is not interrupted by another on its CPU.
        unsafe { *count += 1 };
    }
}

/// Counts a drop under its network and reason.
#[inline(always)]
pub(crate) fn count_drop(vni: u32, reason: DropReason) {
    let key = DropKey { vni, reason: reason as u32 };
    match DROPS.get_ptr_mut(key) {
        // SAFETY: as in `count`.
        Some(count) => unsafe { *count += 1 },
        None => {
            // Another CPU may have made the entry meanwhile: then its place for this CPU is there to be raised.
            if DROPS.insert(key, 1, NOEXIST).is_err()
                && let Some(count) = DROPS.get_ptr_mut(key)
            {
                // SAFETY: as in `count`.
                unsafe { *count += 1 };
            }
        }
    }
}
