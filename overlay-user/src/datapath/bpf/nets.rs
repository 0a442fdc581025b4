//! Networks in their maps, and what each has of `FDB_V4`.
//!
//! A network gets its slice when it is first set and keeps it until it is deleted, whatever becomes of its subnet: so
//! no port and no member need ever be written again because of it.

use std::net::IpAddr;

use overlay_common::{
    DropReason, Vni,
    map::{self, DropKey, Fdb, MemberKey, Slice},
};

use super::{
    codec,
    errors::unsupported,
    maps::{Maps, absent_is_done, entries, put, remove},
    slots,
};
use crate::{datapath::DatapathError, tables::Net};

impl Maps {
    /// Takes up the networks there are. One whose slice cannot be is left out, and so set anew.
    pub(super) fn know_nets(&mut self) -> Result<(), DatapathError> {
        let mut nets = entries(&self.nets, "NETS")?;
        nets.sort_unstable_by_key(|(vni, _)| *vni);
        for (vni, net) in nets {
            if self.slices.claim(&net.slice) {
                self.known_nets.insert(vni, net);
            }
        }
        // By these, programs still read what is no network's, or another's. It is nobody's for as long as we run.
        let ports = entries(&self.ports, "PORTS")?.into_iter().map(|(_, port)| (port.vni(), port.slice));
        let members =
            entries(&self.members, "MEMBERS")?.into_iter().map(|(key, member)| (key.vni, member.slice));
        for (vni, slice) in ports.chain(members) {
            if self.known_nets.get(&vni).is_none_or(|net| net.slice != slice) {
                self.slices.hold(&slice);
            }
        }
        Ok(())
    }

    /// A network as it was last written.
    pub(super) fn net(&self, vni: Vni) -> Result<map::Net, DatapathError> {
        let known = self.known_nets.get(&vni.get()).copied();
        known.ok_or_else(|| unsupported(&format!("an entry of VNI {vni}, which is not installed")))
    }

    /// Sets a network, and before it the flags of its members: a change that is interrupted leaves members whose
    /// flags are not their network's, which `read` takes for no members.
    pub(super) fn set_net(&mut self, vni: Vni, net: &Net) -> Result<(), DatapathError> {
        let known = self.known_nets.get(&vni.get()).copied();
        let slice = known.map_or_else(|| self.take_slice(net), |known| known.slice);
        let value = codec::net(net, slice);
        let written = self.write_net(vni, known, value);
        match written {
            Ok(()) => _ = self.known_nets.insert(vni.get(), value),
            Err(_) if known.is_none() => self.slices.free(&slice),
            Err(_) => {}
        }
        written
    }

    fn write_net(&mut self, vni: Vni, known: Option<map::Net>, net: map::Net) -> Result<(), DatapathError> {
        // A new network has no members yet.
        if known.is_some_and(|known| codec::member(known) != codec::member(net)) {
            let members = entries(&self.members, "MEMBERS")?;
            for (key, _) in members.into_iter().filter(|(key, _)| key.vni == vni.get()) {
                put(&mut self.members, "MEMBERS", key, codec::member(net))?;
            }
        }
        put(&mut self.nets, "NETS", vni.get(), net)
    }

    /// A slice for a new network: empty, and of no program's any more. None where its subnet is too large or there is
    /// no room: it then lives in the hash.
    fn take_slice(&mut self, net: &Net) -> Slice {
        let Some(subnet) = net.subnet else { return Slice::NONE };
        let len = 1_u32.checked_shl(u32::from(32 - subnet.prefix_len())).unwrap_or(u32::MAX);
        let Some(slice) = self.slices.take(subnet.network().into(), len) else { return Slice::NONE };
        if self.slices.was_freed(&slice) {
            if let Err(error) = slots::wait_for_programs() {
                // Kept from anybody: it cannot be told when it is safe.
                tracing::debug!(%error, "cannot wait for programs; a network goes without a slice");
                return Slice::NONE;
            }
            self.slices.settle();
        }
        self.clear(&slice);
        slice
    }

    /// Empties the slots of a slice.
    fn clear(&self, slice: &Slice) {
        for slot in slice.offset..slice.offset + slice.len {
            self.slots.set(slot, Fdb::NONE);
        }
    }

    pub(super) fn add_member(&mut self, vni: Vni, vtep: IpAddr) -> Result<(), DatapathError> {
        let member = codec::member(self.net(vni)?);
        put(&mut self.members, "MEMBERS", MemberKey::new(vni.get(), vtep.into()), member)
    }

    /// Deletes a network, and what was counted under it.
    pub(super) fn delete_net(&mut self, vni: Vni) -> Result<(), DatapathError> {
        remove(&mut self.nets, "NETS", vni.get())?;
        if let Some(net) = self.known_nets.remove(&vni.get()) {
            self.clear(&net.slice);
            self.slices.free(&net.slice);
        }
        for reason in DropReason::ALL {
            let key = DropKey { vni: vni.get(), reason: reason as u32 };
            absent_is_done("DROPS", self.drops.remove(&key))?;
        }
        Ok(())
    }
}
