//! Reading the tables back from their maps, and telling what cannot be of this agent.
//!
//! An entry counts as installed only if it is, byte for byte, what the agent would write for what it says. Entries
//! that refer to others (a place in `VTEPS`, a network's flags) are read by what the agent wrote of those, so that one
//! altered entry is one, however many refer to it.

use std::collections::BTreeSet;

use overlay_common::{
    MacAddr, Vni,
    map::{self, FdbKey, MAX_VTEPS, Member, MemberKey, Neigh, NeighKey},
    vxlan,
};

use super::{
    codec,
    errors::on_map,
    maps::{Maps, entries, remove},
};
use crate::{
    datapath::DatapathError,
    tables::{Ifindex, Port, Station, Tables},
};

/// An entry that says nothing an agent could have written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    Net(u32),
    Vtep(u32),
    Member(MemberKey),
    Neigh(NeighKey),
    Fdb(FdbKey),
    Slot { vni: u32, slot: u32 },
    Port(u32),
}

impl Maps {
    /// Reads the tables; not the hooks, which no map holds. Those of a million entries take a second.
    pub(super) fn read(&self) -> Result<(Tables, Vec<Unreadable>), DatapathError> {
        let mut unreadable = Vec::new();
        let mut tables = self.read_small(&mut unreadable)?;
        for (key, neigh) in entries(&self.neigh, "NEIGH")? {
            match neigh_of(key, neigh) {
                Some((key, mac)) => _ = tables.neigh.insert(key, mac),
                None => unreadable.push(Unreadable::Neigh(key)),
            }
        }
        for (key, fdb) in entries(&self.fdb, "FDB")? {
            match self.fdb_of(key, fdb) {
                Some((key, place)) => _ = tables.fdb.insert(key, place),
                None => unreadable.push(Unreadable::Fdb(key)),
            }
        }
        // What lies outside every slice no program reads, and a slice is emptied before it is given to a network.
        for (&vni, net) in &self.known_nets {
            for (slot, word) in self.slots.used(&net.slice) {
                match self.slot_of(vni, slot, word) {
                    Some((key, place)) => _ = tables.fdb.insert(key, place),
                    None => unreadable.push(Unreadable::Slot { vni, slot }),
                }
            }
        }
        Ok((tables, unreadable))
    }

    /// Reads the tables that stay small, whatever the number of endpoints; the others are left empty.
    pub(super) fn read_small(&self, unreadable: &mut Vec<Unreadable>) -> Result<Tables, DatapathError> {
        let mut tables = Tables { node: self.node()?, ..Tables::default() };
        for (vni, net) in entries(&self.nets, "NETS")? {
            match Vni::new(vni).ok().filter(|_| self.is_net(vni, net)) {
                Some(vni) => _ = tables.nets.insert(vni, codec::net_back(net)),
                None => unreadable.push(Unreadable::Net(vni)),
            }
        }
        let known: BTreeSet<_> = self.places.keys().chain(self.others.values()).copied().collect();
        let mut nodes = BTreeSet::new();
        for (key, member) in entries(&self.members, "MEMBERS")? {
            match Vni::new(key.vni) {
                Ok(vni) if self.is_member(key, member) => _ = tables.members.insert((vni, key.vtep.to_ip())),
                Err(_) if member == codec::CLUSTER && known.contains(&key.vtep.to_ip()) => {
                    nodes.insert(key.vtep.to_ip());
                }
                Ok(_) | Err(_) => unreadable.push(Unreadable::Member(key)),
            }
        }
        for place in 0..MAX_VTEPS {
            let vtep = self.vtep_at(place)?;
            let addr = vtep.addr.to_ip();
            if self.places.get(&addr) == Some(&place) {
                let back = codec::vtep_back(&vtep);
                let known = nodes.contains(&addr) && back.other.is_none_or(|other| nodes.contains(&other));
                if known && self.is_template(&vtep) {
                    tables.vteps.insert(addr, back);
                }
            } else if vtep != vxlan::Vtep::EMPTY {
                unreadable.push(Unreadable::Vtep(place));
            }
        }
        for (ifindex, port) in entries(&self.ports, "PORTS")? {
            let back = codec::port_back(&port);
            match back.filter(|back| self.is_port(back, &port)) {
                Some(back) => _ = tables.ports.insert(Ifindex(ifindex), back),
                None => unreadable.push(Unreadable::Port(ifindex)),
            }
        }
        Ok(tables)
    }

    fn vtep_at(&self, place: u32) -> Result<vxlan::Vtep, DatapathError> {
        self.vteps.get(&place, 0).map_err(on_map("VTEPS"))
    }

    /// Whether a network holds what it would be made of again, with the slice that it was given.
    fn is_net(&self, vni: u32, net: map::Net) -> bool {
        let slice = self.known_nets.get(&vni).map(|known| known.slice);
        slice.is_some_and(|slice| codec::net(&codec::net_back(net), slice) == net)
    }

    fn is_port(&self, back: &Port, port: &map::Port) -> bool {
        let again = self.net(back.vni).and_then(|net| codec::port(back, net.slice));
        again.is_ok_and(|again| again == *port)
    }

    fn is_member(&self, key: MemberKey, member: Member) -> bool {
        self.known_nets.get(&key.vni).is_some_and(|net| codec::member(*net) == member)
    }

    fn is_node(&self, key: MemberKey, member: Member) -> bool {
        member == codec::CLUSTER && self.is_of_vtep(key.vtep.to_ip())
    }

    /// Whether a template holds what it would be made of again.
    fn is_template(&self, vtep: &vxlan::Vtep) -> bool {
        let Some(node) = &self.known_node else { return true };
        codec::vtep(node, vtep.addr.to_ip(), &codec::vtep_back(vtep)) == *vtep
    }

    /// What an entry of the hash says; none where it is not what an agent writes, or not there.
    fn fdb_of(&self, key: FdbKey, fdb: map::Fdb) -> Option<((Vni, MacAddr), Station)> {
        let key = codec::fdb_key_back(key)?;
        Some((key, self.station_of(fdb)?)).filter(|_| self.slot(key.0.get(), key.1).is_none())
    }

    /// What a slot of a network says; none where it is not what an agent writes.
    fn slot_of(&self, vni: u32, slot: u32, word: u64) -> Option<((Vni, MacAddr), Station)> {
        let mac = self.known_nets.get(&vni)?.slice.mac(slot)?;
        Some(((Vni::new(vni).ok()?, mac), self.station_of(map::Fdb::from_word(word)?)?))
    }

    fn station_of(&self, fdb: map::Fdb) -> Option<Station> {
        let back = codec::fdb_back(fdb, |place| self.addrs.get(&place).copied())?;
        let again = codec::fdb(&back, |vtep| self.places.get(&vtep).copied()).ok()?;
        (again == fdb).then_some(back)
    }

    /// Removes those of the entries that nothing has overwritten meanwhile, and names them.
    pub(super) fn remove_unreadable(
        &mut self,
        entries: Vec<Unreadable>,
    ) -> Result<Vec<(&'static str, String)>, DatapathError> {
        let mut removed = Vec::new();
        for entry in entries {
            let found = match entry {
                Unreadable::Net(vni) => self.remove_net(vni)?,
                Unreadable::Vtep(place) => self.remove_vtep(place)?,
                Unreadable::Member(key) => self.remove_member(key)?,
                Unreadable::Neigh(key) => self.remove_neigh(key)?,
                Unreadable::Fdb(key) => self.remove_fdb(key)?,
                Unreadable::Slot { vni, slot } => self.remove_slot(vni, slot),
                Unreadable::Port(ifindex) => self.remove_port(ifindex)?,
            };
            removed.extend(found);
        }
        Ok(removed)
    }

    fn remove_net(&mut self, vni: u32) -> Result<Option<(&'static str, String)>, DatapathError> {
        let Ok(net) = self.nets.get(&vni, 0) else { return Ok(None) };
        if Vni::new(vni).is_ok() && self.is_net(vni, net) {
            return Ok(None);
        }
        remove(&mut self.nets, "NETS", vni)?;
        Ok(Some(("nets", format!("VNI {vni}"))))
    }

    fn remove_vtep(&mut self, place: u32) -> Result<Option<(&'static str, String)>, DatapathError> {
        let vtep = self.vtep_at(place)?;
        if vtep == vxlan::Vtep::EMPTY || self.places.get(&vtep.addr.to_ip()) == Some(&place) {
            return Ok(None);
        }
        self.vteps.set(place, vxlan::Vtep::EMPTY, 0).map_err(on_map("VTEPS"))?;
        Ok(Some(("vteps", format!("{} at place {place}", vtep.addr))))
    }

    fn remove_member(&mut self, key: MemberKey) -> Result<Option<(&'static str, String)>, DatapathError> {
        let Ok(member) = self.members.get(&key, 0) else { return Ok(None) };
        if self.is_member(key, member) || (key.vni == 0 && self.is_node(key, member)) {
            return Ok(None);
        }
        remove(&mut self.members, "MEMBERS", key)?;
        Ok(Some(("members", format!("VNI {} {}", key.vni, key.vtep))))
    }

    fn remove_neigh(&mut self, key: NeighKey) -> Result<Option<(&'static str, String)>, DatapathError> {
        let Ok(neigh) = self.neigh.get(&key, 0) else { return Ok(None) };
        if neigh_of(key, neigh).is_some() {
            return Ok(None);
        }
        remove(&mut self.neigh, "NEIGH", key)?;
        Ok(Some(("neigh", format!("VNI {} {}", key.vni, key.ip))))
    }

    fn remove_fdb(&mut self, key: FdbKey) -> Result<Option<(&'static str, String)>, DatapathError> {
        let Ok(fdb) = self.fdb.get(&key, 0) else { return Ok(None) };
        if self.fdb_of(key, fdb).is_some() {
            return Ok(None);
        }
        remove(&mut self.fdb, "FDB", key)?;
        Ok(Some(("fdb", format!("VNI {} {}", key.vni, key.mac))))
    }

    fn remove_slot(&self, vni: u32, slot: u32) -> Option<(&'static str, String)> {
        let word = self.slots.get(slot);
        if word == 0 || self.slot_of(vni, slot, word).is_some() {
            return None;
        }
        let mac = self.known_nets.get(&vni)?.slice.mac(slot)?;
        self.slots.set(slot, map::Fdb::NONE);
        Some(("fdb", format!("VNI {vni} {mac}")))
    }

    fn remove_port(&mut self, ifindex: u32) -> Result<Option<(&'static str, String)>, DatapathError> {
        let Ok(port) = self.ports.get(&ifindex, 0) else { return Ok(None) };
        let back = codec::port_back(&port);
        if back.is_some_and(|back| self.is_port(&back, &port)) {
            return Ok(None);
        }
        remove(&mut self.ports, "PORTS", ifindex)?;
        Ok(Some(("ports", format!("device #{ifindex}"))))
    }
}

/// What a `NEIGH` entry says; none where it is not what an agent writes.
pub(super) fn neigh_of(key: NeighKey, neigh: Neigh) -> Option<((Vni, std::net::IpAddr), MacAddr)> {
    let vni = Vni::new(key.vni).ok()?;
    let ip = key.ip.to_ip();
    let again = NeighKey::new(vni.get(), ip.into()) == key && Neigh::new(neigh.mac) == neigh;
    again.then_some(((vni, ip), neigh.mac))
}
