//! Addresses come from blocks, which a node leases by claiming them.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use ipnet::IpNet;

use super::{Machine, endpoint::Taken};
use crate::membership::{
    blocks::{blocks_for, free_in},
    record::{BlockRecord, Key, Record},
    refusal::Refusal,
    resolve,
};

/// So long a claim of a block is left to be contradicted before an address of it is given away.
const SETTLE: Duration = Duration::from_millis(1500);

impl Machine {
    /// One address of each family of a network.
    pub(super) fn lease(
        &mut self,
        network: &str,
        subnets: &[IpNet],
        taken: &Taken,
    ) -> Result<Vec<IpAddr>, Refusal> {
        let mut found = Vec::new();
        for is_v4 in [true, false] {
            let family: Vec<IpNet> =
                subnets.iter().filter(|subnet| subnet.network().is_ipv4() == is_v4).copied().collect();
            if !family.is_empty() {
                found.push(self.lease_of(network, &family, taken)?);
            }
        }
        // Each family is asked first, so that both wait at a time.
        found.into_iter().collect::<Option<Vec<IpAddr>>>().ok_or(Refusal::Settling)
    }

    /// An address of some subnets of a network; none while a block is being leased.
    fn lease_of(
        &mut self,
        network: &str,
        subnets: &[IpNet],
        taken: &Taken,
    ) -> Result<Option<IpAddr>, Refusal> {
        let held = resolve::blocks(&self.known, &|node| self.alive(node), network);
        let free_in =
            |subnet: &IpNet, block: &IpNet| free_in(block, subnet, &taken.unavailable, &taken.reserved);
        let mut is_waiting = false;
        for subnet in subnets {
            let own = held.iter().filter(|(block, (_, node))| subnet.contains(*block) && *node == self.name);
            for (block, _) in own {
                match free_in(subnet, block) {
                    Some(ip) if self.is_settled(network, *block) => return Ok(Some(ip)),
                    Some(_) => is_waiting = true,
                    None => {}
                }
            }
        }
        if is_waiting {
            return Ok(None);
        }
        let mut blocks = subnets
            .iter()
            .flat_map(|subnet| blocks_for(subnet, &self.name).into_iter().map(move |block| (subnet, block)));
        let free =
            blocks.find(|(subnet, block)| !held.contains_key(block) && free_in(subnet, block).is_some());
        let (_, block) = free.ok_or_else(|| Refusal::Exhausted(network.to_owned()))?;
        let record = Record::Block(BlockRecord { count: self.stamp().count });
        self.publish(Key::Block(network.to_owned(), block), Some(record));
        self.unsettled.insert((network.to_owned(), block), self.liveness.now());
        Ok(None)
    }

    /// Whether a claim of a block has had time to be contradicted.
    fn is_settled(&self, network: &str, block: IpNet) -> bool {
        let since = self.unsettled.get(&(network.to_owned(), block));
        since.is_none_or(|since| self.liveness.now().saturating_sub(*since) >= SETTLE)
    }

    /// Takes back claims of blocks that another's later one has beaten, or whose network is gone.
    pub(super) fn give_up_blocks(&mut self) {
        let networks = resolve::latest_networks(&self.known);
        // Looked over once for each network, and not for each block.
        let mut held: BTreeMap<&str, BTreeMap<IpNet, (u64, &str)>> = BTreeMap::new();
        let mut lost = Vec::new();
        for (key, _) in self.own() {
            if let Key::Block(network, block) = key {
                let there = networks.get(network.as_str()).is_some_and(|record| record.network.is_some());
                let held = held
                    .entry(network)
                    .or_insert_with(|| resolve::blocks(&self.known, &|node| self.alive(node), network));
                if !there || held.get(block).is_none_or(|(_, node)| *node != self.name) {
                    lost.push(key.clone());
                }
            }
        }
        for key in lost {
            if let Key::Block(network, block) = &key {
                self.unsettled.remove(&(network.clone(), *block));
            }
            self.publish(key, None);
        }
    }
}
