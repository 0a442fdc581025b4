//! How addresses are used, as the API shows it.

use std::collections::BTreeMap;

use ipnet::IpNet;

use super::registry::refusal;
use crate::{
    api::{
        server::{Answer, Refusal},
        types::{BlockInfo, IpamFault, IpamInfo, Reserve, SubnetInfo},
    },
    membership::ipam::{BlockState, BlockUse, Ipam, SubnetUse},
    source::gossip::Gossip,
};

/// The addresses of all networks.
pub(super) async fn all(gossip: &Gossip) -> Answer<Vec<IpamInfo>> {
    let mut infos = Vec::new();
    let networks = gossip.look_at(|cluster| cluster.networks.keys().cloned().collect::<Vec<_>>()).await;
    for network in networks {
        infos.extend(gossip.ipam(&network).await.map(info));
    }
    Ok(infos)
}

/// What is wrong with the use of addresses.
pub(super) async fn check(gossip: &Gossip) -> Vec<IpamFault> {
    let fault = |problem: &crate::membership::ipam::IpamProblem| {
        // Its tag is the code.
        let shown: BTreeMap<String, serde_json::Value> =
            serde_json::to_value(problem).and_then(serde_json::from_value).unwrap_or_default();
        let code = shown.get("code").and_then(serde_json::Value::as_str).unwrap_or("unknown");
        IpamFault { code: code.to_owned(), message: problem.to_string() }
    };
    gossip.ipam_check().await.iter().map(fault).collect()
}

/// Reserves a prefix of a network, or ends that.
pub(super) async fn reserve(gossip: &Gossip, network: &str, reserve: &Reserve) -> Answer<IpamInfo> {
    let prefix: IpNet = reserve.prefix.parse().map_err(|_| {
        Refusal::invalid(format!("PREFIX: {:?} is no prefix; write it like 10.1.0.0/28", reserve.prefix))
    })?;
    let done = if reserve.end {
        gossip.unreserve(network, prefix).await
    } else {
        gossip.reserve(network, prefix).await
    };
    done.map_err(refusal)?;
    let found = gossip.ipam(network).await.map(info);
    found.ok_or_else(|| Refusal::not_found(format!("network {network:?} is gone")))
}

fn info(ipam: Ipam) -> IpamInfo {
    IpamInfo { network: ipam.network, subnets: ipam.subnets.into_iter().map(subnet).collect() }
}

fn subnet(subnet: SubnetUse) -> SubnetInfo {
    SubnetInfo {
        subnet: subnet.subnet.to_string(),
        size: saturated(subnet.size),
        reserved: subnet.reserved.iter().map(ToString::to_string).collect(),
        gateways: subnet.gateways.iter().map(ToString::to_string).collect(),
        blocks: subnet.blocks.into_iter().map(block).collect(),
        used_outside_blocks: subnet.used_outside_blocks,
    }
}

fn block(block: BlockUse) -> BlockInfo {
    let state = match block.state {
        BlockState::Held => "held",
        BlockState::Settling => "settling",
        BlockState::Reclaimable => "reclaimable",
    };
    BlockInfo {
        block: block.block.to_string(),
        node: block.node,
        state: state.to_owned(),
        used: block.used,
        size: saturated(block.size),
    }
}

fn saturated(size: u128) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}
