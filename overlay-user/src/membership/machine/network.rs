//! Networks are made and deleted.

use overlay_common::Vni;

use super::Machine;
use crate::membership::{
    networks,
    record::{Definition, Key, NetworkRecord, Record},
    refusal::Refusal,
    resolve,
};

impl Machine {
    /// Makes a network; one that is there already and is the same is left.
    ///
    /// # Errors
    ///
    /// Where a network of the name or of the VNI is there, or none can be of that definition.
    pub fn create_network(
        &mut self,
        name: &str,
        vni: Option<Vni>,
        definition: Definition,
    ) -> Result<Vni, Refusal> {
        if let Some(there) = self.networks().get(name).map(|network| network.vni) {
            let as_is = resolve::latest_network(&self.known, name).and_then(|record| record.network.as_ref());
            // What was reserved since makes no other network of it.
            let is_same = as_is.is_some_and(|as_is| {
                let reserved = as_is.reserved.clone();
                *as_is == Definition { vni: there.get(), reserved, ..definition }
            });
            return if is_same && vni.is_none_or(|vni| vni == there) {
                Ok(there)
            } else {
                Err(Refusal::NetworkExists { name: name.to_owned(), vni: there })
            };
        }
        let latest = resolve::latest_networks(&self.known);
        // One that lost its VNI to another is there all the same.
        if let Some(there) = latest.get(name).and_then(|record| record.network.as_ref())
            && let Ok(vni) = Vni::new(there.vni)
        {
            return Err(Refusal::NetworkExists { name: name.to_owned(), vni });
        }
        if latest.values().filter(|record| record.network.is_some()).count() >= self.limits.networks {
            return Err(Refusal::FullOfNetworks(self.limits.networks));
        }
        let networks = self.networks();
        let taken = |vni: Vni| networks.values().find(|network| network.vni == vni);
        let vni = match vni {
            Some(vni) => vni,
            None => networks::free_vni(name, |vni| taken(vni).is_some()).ok_or(Refusal::NoVni)?,
        };
        if let Some(holder) = taken(vni) {
            return Err(Refusal::VniTaken { vni, network: holder.name.clone() });
        }
        let network = Definition { vni: vni.get(), ..definition };
        let record = Record::Network(NetworkRecord { stamp: self.stamp()?, network: Some(network) });
        if !record.is_sound() {
            return Err(Refusal::NoSubnets);
        }
        self.publish(Key::Network(name.to_owned()), Some(record));
        Ok(vni)
    }

    /// Deletes a network that has no endpoints.
    ///
    /// # Errors
    ///
    /// Where it has some, or is not there.
    pub fn delete_network(&mut self, name: &str) -> Result<(), Refusal> {
        let latest = resolve::latest_network(&self.known, name);
        let there = latest.is_some_and(|record| record.network.is_some());
        if !there {
            return Err(Refusal::NoNetwork(name.to_owned()));
        }
        // Those of nodes that are away count: they come back.
        if let Some((id, node)) = self.any_endpoint(name) {
            let (id, node) = (id.clone(), node.to_owned());
            return Err(Refusal::NetworkInUse { name: name.to_owned(), id, node });
        }
        let own: Vec<Key> = self.own().map(|(key, _)| key.clone()).collect();
        for key in own.into_iter().filter(|key| matches!(key, Key::Block(network, _) if network == name)) {
            self.publish(key, None);
        }
        #[cfg_attr(not(feature = "broken"), expect(unused_mut, reason = "only a broken rule changes it"))]
        let mut stamp = self.stamp()?;
        #[cfg(feature = "broken")]
        if self.is_broken {
            stamp.count = 0;
        }
        let record = NetworkRecord { stamp, network: None };
        self.publish(Key::Network(name.to_owned()), Some(Record::Network(record)));
        Ok(())
    }
}
