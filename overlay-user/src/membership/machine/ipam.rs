//! The look over the addresses of a network, and prefixes of it that are reserved.

#[cfg(test)]
mod tests;

use std::{net::IpAddr, sync::Arc};

use ipnet::IpNet;

use super::Machine;
use crate::{
    cluster::{EndpointId, Network},
    membership::{
        index::OfNetwork,
        ipam::{BlockState, BlockUse, Holder, Ipam, IpamProblem, SubnetUse},
        liveness::Alive,
        record::{Definition, EndpointRecord, Key, MOST_PREFIXES, NetworkRecord, Record},
        refusal::Refusal,
        resolve,
    },
};

impl Machine {
    /// How the addresses of a network are used.
    pub fn ipam(&self, network: &str) -> Option<Ipam> {
        let definition = resolve::latest_network(&self.known, network)?.network.as_ref()?;
        let of = self.known.index().network(network)?;
        // Each address once, however many claim it.
        let used: Vec<IpAddr> =
            of.ips.iter().filter(|(_, holders)| self.is_any_there(holders)).map(|(ip, _)| *ip).collect();
        let subnets = definition.subnets.iter().map(|subnet| {
            let blocks: Vec<BlockUse> = of
                .blocks
                .iter()
                .filter(|(block, _)| subnet.contains(*block))
                .filter_map(|(block, claims)| self.block_use(network, block, claims, &used))
                .collect();
            let in_none =
                |ip: &&IpAddr| subnet.contains(*ip) && !blocks.iter().any(|of| of.block.contains(*ip));
            SubnetUse {
                subnet: *subnet,
                size: size(subnet),
                reserved: definition
                    .reserved
                    .iter()
                    .filter(|prefix| subnet.contains(*prefix))
                    .copied()
                    .collect(),
                gateways: definition.gateways.iter().filter(|ip| subnet.contains(*ip)).copied().collect(),
                used_outside_blocks: used.iter().filter(in_none).count(),
                blocks,
            }
        });
        Some(Ipam { network: network.to_owned(), subnets: subnets.collect() })
    }

    fn is_any_there(&self, holders: &[(Arc<str>, EndpointId)]) -> bool {
        holders.iter().any(|(node, _)| self.alive(node) < Alive::Gone)
    }

    fn block_use(
        &self,
        network: &str,
        block: &IpNet,
        claims: &[(u64, Arc<str>)],
        used: &[IpAddr],
    ) -> Option<BlockUse> {
        let holder = resolve::holder(&self.known, &|node| self.alive(node), network, block);
        let (node, state) = match holder {
            Some((_, node)) if node == self.name && !self.is_settled(network, *block) => {
                (node, BlockState::Settling)
            }
            Some((_, node)) => (node, BlockState::Held),
            None => (&*claims.iter().max()?.1, BlockState::Reclaimable),
        };
        let used = used.iter().filter(|ip| block.contains(*ip)).count();
        Some(BlockUse { block: *block, node: node.to_owned(), state, used, size: size(block) })
    }

    /// What is wrong with the use of addresses in the whole cluster; nodes that are gone use none.
    pub fn ipam_check(&self) -> Vec<IpamProblem> {
        let mut problems = Vec::new();
        for (name, of) in self.known.index().networks() {
            self.check_addresses(name, of, &mut problems);
            self.check_blocks(name, of, &mut problems);
        }
        let networks = resolve::networks(&self.known, self.limits).0;
        for (node, part) in self.known.parts().filter(|(node, _)| self.alive(node) < Alive::Gone) {
            for (key, record) in part.records() {
                if let (Key::Endpoint(id), Record::Endpoint(record)) = (key, record) {
                    problems.extend(check_endpoint(id, node, record, networks.get(id.network())));
                }
            }
        }
        problems.sort_unstable();
        problems
    }

    fn check_addresses(&self, network: &str, of: &OfNetwork, problems: &mut Vec<IpamProblem>) {
        let is_there = |node: &Arc<str>| self.alive(node) < Alive::Gone;
        for (ip, holders) in of.ips.iter().filter(|(_, holders)| holders.len() > 1) {
            let there = holders.iter().filter(|(node, _)| is_there(node));
            let mut there: Vec<Holder> =
                there.map(|(node, id)| Holder { id: id.clone(), node: node.to_string() }).collect();
            there.sort_unstable_by(|one, other| (&one.node, &one.id).cmp(&(&other.node, &other.id)));
            let [first, second, ..] = there.as_slice() else { continue };
            let holders = [first.clone(), second.clone()];
            problems.push(IpamProblem::AddressTwice { network: network.to_owned(), ip: *ip, holders });
            let alive: resolve::AliveOf<'_> = &|node| self.alive(node);
            let block = of.blocks.keys().find(|block| block.contains(ip));
            let owner =
                block.and_then(|block| Some((block, resolve::holder(&self.known, alive, network, block)?.1)));
            let Some((block, owner)) = owner else { continue };
            if there.iter().any(|holder| holder.node == owner) {
                problems.extend(there.iter().filter(|holder| holder.node != owner).map(|holder| {
                    let (holder, owner) = (holder.clone(), owner.to_owned());
                    IpamProblem::ForeignAddress { ip: *ip, holder, block: *block, owner }
                }));
            }
        }
        for (id, nodes) in of.ids.iter().filter(|(_, nodes)| nodes.len() > 1) {
            let mut there: Vec<String> =
                nodes.iter().filter(|node| is_there(node)).map(ToString::to_string).collect();
            there.sort_unstable();
            if let [first, second, ..] = there.as_slice() {
                let nodes = [first.clone(), second.clone()];
                problems.push(IpamProblem::MacTwice { id: id.clone(), nodes });
            }
        }
    }

    fn check_blocks(&self, network: &str, of: &OfNetwork, problems: &mut Vec<IpamProblem>) {
        for (block, claims) in &of.blocks {
            let (there, gone): (Vec<_>, Vec<_>) =
                claims.iter().map(|(_, node)| &**node).partition(|node| self.alive(node) < Alive::Gone);
            problems.extend(gone.iter().map(|node| IpamProblem::BlockOfGone {
                network: network.to_owned(),
                block: *block,
                node: (*node).to_owned(),
            }));
            let mut there: Vec<String> = there.into_iter().map(str::to_owned).collect();
            there.sort_unstable();
            if let [first, second, ..] = there.as_slice() {
                let nodes = [first.clone(), second.clone()];
                problems.push(IpamProblem::BlockTwice { network: network.to_owned(), block: *block, nodes });
            }
        }
    }

    /// Reserves a prefix of a network: no address of it is leased from now on. One that is reserved already is left.
    ///
    /// # Errors
    ///
    /// Where it is none of the network's, or an endpoint has an address of it.
    pub fn reserve(&mut self, network: &str, prefix: IpNet) -> Result<(), Refusal> {
        let (name, prefix) = (network, prefix.trunc());
        let mut definition = self.definition(name)?;
        if !definition.subnets.iter().any(|subnet| subnet.contains(&prefix)) {
            return Err(Refusal::NotOfNetwork { prefix, network: name.to_owned() });
        }
        if definition.reserved.iter().any(|reserved| reserved.contains(&prefix)) {
            return Ok(());
        }
        let ips = self.known.index().network(name).into_iter().flat_map(|of| of.ips.keys());
        let in_use: Option<IpAddr> =
            ips.filter(|ip| prefix.contains(*ip) && self.has_ip(name, **ip).is_some()).min().copied();
        if let Some((ip, (node, id))) = in_use.and_then(|ip| Some((ip, self.has_ip(name, ip)?))) {
            return Err(Refusal::PrefixInUse { prefix, ip, id: id.clone(), node: node.to_owned() });
        }
        definition.reserved.retain(|reserved| !prefix.contains(reserved));
        if definition.reserved.len() >= MOST_PREFIXES {
            return Err(Refusal::TooManyReserved(name.to_owned()));
        }
        definition.reserved.push(prefix);
        self.redefine(name, definition)
    }

    /// Leases addresses of a reserved prefix again.
    ///
    /// # Errors
    ///
    /// Where it is not reserved.
    pub fn unreserve(&mut self, network: &str, prefix: IpNet) -> Result<(), Refusal> {
        let mut definition = self.definition(network)?;
        let count = definition.reserved.len();
        definition.reserved.retain(|reserved| *reserved != prefix.trunc());
        if definition.reserved.len() == count {
            return Err(Refusal::NotReserved { prefix, network: network.to_owned() });
        }
        self.redefine(network, definition)
    }

    /// What a network that holds is.
    fn definition(&mut self, network: &str) -> Result<Definition, Refusal> {
        let holds = self.networks().contains_key(network);
        let record = resolve::latest_network(&self.known, network).filter(|_| holds);
        let definition = record.and_then(|record| record.network.clone());
        definition.ok_or_else(|| Refusal::NoNetwork(network.to_owned()))
    }

    /// Says anew what a network is. Of two that do so unseen by each other the later one's holds, whole.
    fn redefine(&mut self, network: &str, definition: Definition) -> Result<(), Refusal> {
        let record = NetworkRecord { stamp: self.stamp()?, network: Some(definition) };
        self.publish(Key::Network(network.to_owned()), Some(Record::Network(record)));
        Ok(())
    }
}

/// How many addresses a prefix has.
fn size(prefix: &IpNet) -> u128 {
    let bits = u32::from(prefix.max_prefix_len() - prefix.prefix_len());
    1_u128.checked_shl(bits).unwrap_or(u128::MAX)
}

fn check_endpoint(
    id: &EndpointId,
    node: &str,
    record: &EndpointRecord,
    network: Option<&Network>,
) -> Vec<IpamProblem> {
    let Some(network) = network.filter(|network| network.vni.get() == record.vni) else {
        return vec![IpamProblem::NoNetwork { id: id.clone(), node: node.to_owned(), vni: record.vni }];
    };
    let outside = record.ips.iter().filter_map(|ip| {
        let why = network.check_address(*ip).err()?;
        Some(IpamProblem::Outside { id: id.clone(), node: node.to_owned(), ip: *ip, why })
    });
    outside.collect()
}
