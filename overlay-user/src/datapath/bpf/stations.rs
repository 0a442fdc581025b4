//! The entries of `FDB` and `FDB_V4`, and those of `NEIGH`: the tables that a million endpoints make large.

use overlay_common::{
    MacAddr, Vni,
    map::{Fdb, FdbKey, Neigh, NeighKey},
};

use super::{
    batch, codec,
    maps::{Maps, put, put_many, remove},
};
use crate::{datapath::DatapathError, plan::Op, tables::Station};

impl Maps {
    /// The slot of a MAC address; none where it belongs into the hash.
    pub(super) fn slot(&self, vni: u32, mac: MacAddr) -> Option<u32> {
        self.known_nets.get(&vni)?.slice.slot(mac)
    }

    fn value(&self, station: &Station) -> Result<Fdb, DatapathError> {
        codec::fdb(station, |vtep| self.places.get(&vtep).copied())
    }

    pub(super) fn set_station(
        &mut self,
        vni: Vni,
        mac: MacAddr,
        station: &Station,
    ) -> Result<(), DatapathError> {
        let (slice, value) = (self.net(vni)?.slice, self.value(station)?);
        match slice.slot(mac) {
            Some(slot) => self.slots.set(slot, value),
            None => put(&mut self.fdb, "FDB", FdbKey::new(vni.get(), mac), value)?,
        }
        Ok(())
    }

    pub(super) fn delete_station(&mut self, vni: Vni, mac: MacAddr) -> Result<(), DatapathError> {
        match self.slot(vni.get(), mac) {
            Some(slot) => self.slots.set(slot, Fdb::NONE),
            None => remove(&mut self.fdb, "FDB", FdbKey::new(vni.get(), mac))?,
        }
        Ok(())
    }

    /// Carries out the FDB steps that come first, as far as they are all of slots or all of the hash: how many, and why
    /// the next failed, if it did.
    pub(super) fn set_fdb(&mut self, ops: &[Op]) -> (usize, Result<(), DatapathError>) {
        let done = self.set_slots(ops);
        if done > 0 {
            return (done, Ok(()));
        }
        let (mut keys, mut values, mut unknown) = (Vec::new(), Vec::new(), Ok(()));
        for op in ops.iter().take(batch::ENTRIES) {
            let Op::SetFdb(vni, mac, station) = op else { break };
            match self.net(*vni).and_then(|net| Ok((net.slice.slot(*mac), self.value(station)?))) {
                Ok((None, value)) => values.push(value),
                Ok((Some(_), _)) => break,
                Err(error) => {
                    unknown = Err(error);
                    break;
                }
            }
            keys.push(FdbKey::new(vni.get(), *mac));
        }
        let (done, result) = put_many(&self.fdb, "FDB", &keys, &values);
        (done, result.and(unknown))
    }

    /// Carries out the FDB steps that come first and are of slots; how many.
    fn set_slots(&self, ops: &[Op]) -> usize {
        let mut done = 0;
        for op in ops {
            let Op::SetFdb(vni, mac, station) = op else { break };
            let Some(slot) = self.slot(vni.get(), *mac) else { break };
            let Ok(value) = self.value(station) else { break };
            self.slots.set(slot, value);
            done += 1;
        }
        done
    }

    /// Carries out the NEIGH steps that come first, as `set_fdb` does.
    pub(super) fn set_neigh(&mut self, ops: &[Op]) -> (usize, Result<(), DatapathError>) {
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        for op in ops.iter().take(batch::ENTRIES) {
            let Op::SetNeigh(vni, ip, mac) = op else { break };
            keys.push(NeighKey::new(vni.get(), (*ip).into()));
            values.push(Neigh::new(*mac));
        }
        put_many(&self.neigh, "NEIGH", &keys, &values)
    }
}
