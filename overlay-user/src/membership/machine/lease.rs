//! Addresses come from blocks, which a node leases by claiming them.

use std::{net::IpAddr, time::Duration};

use ipnet::IpNet;

use super::Machine;
use crate::{
    cluster::Network,
    membership::{
        blocks::{blocks_for, free_in},
        record::{BlockRecord, Key, Record},
        refusal::Refusal,
        resolve,
    },
};

/// So long a claim of a block is left to be contradicted before an address of it is given away.
const SETTLE: Duration = Duration::from_millis(1500);

impl Machine {
    /// One address of each family of a network.
    pub(super) fn lease(&mut self, network: &Network) -> Result<Vec<IpAddr>, Refusal> {
        let mut found = Vec::new();
        for is_v4 in [true, false] {
            let family = network.subnets.iter().filter(|subnet| subnet.network().is_ipv4() == is_v4);
            let family: Vec<IpNet> = family.copied().collect();
            if !family.is_empty() {
                found.push(self.lease_of(network, &family)?);
            }
        }
        // Each family is asked first, so that both wait at a time.
        found.into_iter().collect::<Option<Vec<IpAddr>>>().ok_or(Refusal::Settling)
    }

    /// An address of some subnets of a network; none while a block is being leased.
    fn lease_of(&mut self, network: &Network, subnets: &[IpNet]) -> Result<Option<IpAddr>, Refusal> {
        let name = network.name.as_str();
        let reserved = resolve::latest_network(&self.known, name)
            .and_then(|record| record.network.as_ref())
            .map_or(&[][..], |definition| definition.reserved.as_slice());
        let free_in = |block: &IpNet| free_in(block, network, reserved, |ip| self.has_ip(name, ip).is_some());
        let mut is_waiting = false;
        for block in self.own_blocks(name, subnets) {
            match free_in(&block) {
                Some(ip) if self.is_settled(name, block) => return Ok(Some(ip)),
                Some(_) => is_waiting = true,
                None => {}
            }
        }
        if is_waiting {
            return Ok(None);
        }
        let held = resolve::blocks(&self.known, &|node| self.alive(node), name);
        let mut blocks = subnets.iter().flat_map(|subnet| blocks_for(subnet, &self.name));
        let free = blocks.find(|block| !held.contains_key(block) && free_in(block).is_some());
        let block = free.ok_or_else(|| Refusal::Exhausted(name.to_owned()))?;
        let record = Record::Block(BlockRecord { count: self.stamp()?.count });
        self.publish(Key::Block(name.to_owned(), block), Some(record));
        self.unsettled.insert((name.to_owned(), block), self.liveness.now());
        Ok(None)
    }

    /// The blocks of some subnets of a network that this node holds.
    fn own_blocks(&self, network: &str, subnets: &[IpNet]) -> Vec<IpNet> {
        let alive: resolve::AliveOf<'_> = &|node| self.alive(node);
        let holds = |block: &IpNet| {
            resolve::holder(&self.known, alive, network, block).is_some_and(|(_, node)| node == self.name)
        };
        let own = self.own().filter_map(|(key, _)| match key {
            Key::Block(of, block) if of == network => Some(*block),
            Key::Node | Key::Network(_) | Key::Endpoint(_) | Key::Block(..) => None,
        });
        own.filter(|block| subnets.iter().any(|subnet| subnet.contains(block)) && holds(block)).collect()
    }

    /// Whether a claim of a block has had time to be contradicted.
    pub(super) fn is_settled(&self, network: &str, block: IpNet) -> bool {
        let since = self.unsettled.get(&(network.to_owned(), block));
        since.is_none_or(|since| self.liveness.now().saturating_sub(*since) >= SETTLE)
    }

    /// Takes back claims of blocks that another's later one has beaten, or whose network is gone.
    pub(super) fn give_up_blocks(&mut self) {
        let alive: resolve::AliveOf<'_> = &|node| self.alive(node);
        let is_lost = |network: &str, block: &IpNet| {
            let record = resolve::latest_network(&self.known, network);
            let holder = resolve::holder(&self.known, alive, network, block);
            record.is_none_or(|record| record.network.is_none())
                || holder.is_none_or(|(_, node)| node != self.name)
        };
        let lost: Vec<(String, IpNet)> = self
            .own()
            .filter_map(|(key, _)| match key {
                Key::Block(network, block) if is_lost(network, block) => Some((network.clone(), *block)),
                Key::Node | Key::Network(_) | Key::Endpoint(_) | Key::Block(..) => None,
            })
            .collect();
        for (network, block) in lost {
            self.unsettled.remove(&(network.clone(), block));
            self.publish(Key::Block(network, block), None);
        }
    }
}
