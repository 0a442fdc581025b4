//! Status and listings: the agent's state and the kernel's tables, as the API shows them.

mod nodes;
mod tables;

use std::collections::BTreeSet;

use overlay_common::{ABI_VERSION, DropReason, Vni};

use super::{core::Agent, wanted};
use crate::{
    api::{
        server::{Answer, Refusal},
        types::{
            Counts, DropInfo, EndpointInfo, EndpointState, Health, NetworkCreate, NetworkInfo, Problem,
            Program, SourceStatus, Status, StatusNode,
        },
    },
    cluster::{self, Endpoint, EndpointId},
    datapath::{Datapath as _, DatapathError},
    membership::{
        record::{Key, Record},
        resolve::Refused,
    },
    netlink::device_name,
    tables::Ifindex,
    vteps::Vteps,
};

pub(super) use self::{nodes::nodes, tables::dump};

pub(super) fn status(agent: &mut Agent) -> Answer<Status> {
    let programs = agent.reconciler.datapath.programs().map_err(refusal)?;
    let problems = problems(agent);
    let state = &agent.state;
    let underlay = state.underlay();
    let error = state.source_error();
    let cluster = state.cluster();
    Ok(Status {
        state: if problems.is_empty() { Health::Healthy } else { Health::Degraded },
        node: StatusNode {
            name: state.node_name().into(),
            vtep: underlay.map(|underlay| underlay.vteps.first().to_string()),
            vteps: underlay.map_or_else(Vec::new, |underlay| strings(underlay.vteps)),
            underlay: agent.underlay_name.clone(),
            mtu: state.inner_mtu(),
        },
        problems,
        programs: programs
            .into_iter()
            .map(|program| Program {
                name: program.name,
                id: program.id,
                device: name_of(program.device),
                hook: program.hook,
            })
            .collect(),
        forwarded: agent.reconciler.datapath.counters().map_err(refusal)?,
        audit: agent.reconciler.findings.report(),
        source: SourceStatus {
            engine: agent.engine.into(),
            ok: error.is_none(),
            error: error.map(|error| error.message.clone()),
            line: error.and_then(|error| error.line),
            column: error.and_then(|error| error.column),
        },
        gossip: None,
        counts: Counts {
            nodes: cluster.map_or(0, |cluster| cluster.nodes.len()),
            networks: cluster.map_or(0, |cluster| cluster.networks.len()),
            endpoints: cluster.map_or(0, |cluster| cluster.endpoints.len()),
            ports: agent.reconciler.installed().ports.len(),
        },
        version: env!("CARGO_PKG_VERSION").into(),
        abi: ABI_VERSION,
    })
}

/// How the node is, in one line.
pub(super) fn line(agent: &Agent) -> String {
    match problems(agent).as_slice() {
        [] => format!("healthy, {} endpoints attached", agent.reconciler.installed().ports.len()),
        [only] => format!("degraded: {}", only.message),
        [first, more @ ..] => {
            format!("degraded: {} (and {} more: overlay status)", first.message, more.len())
        }
    }
}

/// What is wrong: with what the state says, with the kernel, with what the agent could not do.
fn problems(agent: &Agent) -> Vec<Problem> {
    let known = agent.state.problems();
    let mut problems: Vec<Problem> = known
        .iter()
        .chain(&agent.troubles)
        .map(|problem| Problem {
            code: problem.code.into(),
            message: problem.message.clone(),
            fix: problem.fix.clone(),
        })
        .collect();
    problems.extend(agent.reconciler.error().map(|error| Problem {
        code: "datapath".into(),
        message: error.into(),
        fix: "see the agent's log; it tries again every few seconds".into(),
    }));
    problems
}

pub(super) fn networks(agent: &Agent) -> Vec<NetworkInfo> {
    let networks = agent.state.cluster().into_iter().flat_map(|cluster| cluster.networks.values());
    networks
        .map(|network| NetworkInfo {
            name: network.name.clone(),
            vni: network.vni.get(),
            subnets: network.subnets.iter().map(ToString::to_string).collect(),
            gateways: network.gateways.iter().map(ToString::to_string).collect(),
            mtu: agent.state.mtu(&network.name),
            encrypted: network.encrypted,
        })
        .collect()
}

/// The block of a cluster file that declares a network as wanted; without a VNI, the first free one is proposed.
pub(super) fn network_block(agent: &Agent, create: &NetworkCreate) -> Answer<String> {
    let taken: BTreeSet<u32> = networks(agent).into_iter().map(|network| network.vni).collect();
    let free = || (1..=Vni::MAX).find(|vni| !taken.contains(vni)).unwrap_or_default();
    if networks(agent).iter().any(|network| network.name == create.name) {
        return Err(Refusal::conflict(format!(
            "there is a network {:?} already; choose another name",
            create.name
        )));
    }
    wanted::has_subnets(create)?;
    let vni = wanted::vni(create.vni.unwrap_or_else(free))?;
    if taken.contains(&vni.get()) {
        let owner = network_name(agent, vni).unwrap_or_default();
        return Err(Refusal::conflict(format!(
            "--vni: VNI {vni} belongs to network {owner:?}; choose another"
        )));
    }
    let (subnets, gateways) = (wanted::subnets(create)?, wanted::gateways(create)?);
    let mut block = cluster::network_block(&create.name, vni, &subnets, &gateways, create.mtu);
    if create.encrypted {
        block += "encrypted = true\n";
    }
    // What is proposed must be what the file takes.
    wanted::check_block(&block)?;
    Ok(block)
}

pub(super) fn endpoints(agent: &Agent) -> Vec<EndpointInfo> {
    let endpoints = agent.state.cluster().into_iter().flat_map(|cluster| &cluster.endpoints);
    endpoints.map(|(id, endpoint)| endpoint_info(agent, id, endpoint)).collect()
}

/// One endpoint, where the cluster has it.
pub(super) fn endpoint(agent: &Agent, id: &EndpointId) -> Option<EndpointInfo> {
    let endpoint = agent.state.cluster()?.endpoints.get(id)?;
    Some(endpoint_info(agent, id, endpoint))
}

fn endpoint_info(agent: &Agent, id: &EndpointId, endpoint: &Endpoint) -> EndpointInfo {
    let binding = agent.bindings.get(id);
    let local = endpoint.node == agent.state.node_name();
    EndpointInfo {
        id: id.to_string(),
        network: endpoint.network.clone(),
        node: endpoint.node.clone(),
        ifname: binding.map(|binding| binding.ifname.clone()),
        mac: endpoint.mac.to_string(),
        ips: endpoint.ips.iter().map(ToString::to_string).collect(),
        name: endpoint.name.clone(),
        local,
        state: match (local, agent.state.bound(id)) {
            (false, _) => EndpointState::Remote,
            (true, Some(_)) => EndpointState::Ready,
            (true, None) => EndpointState::Unbound,
        },
        netns: binding.map(|binding| binding.netns.display().to_string()),
        host_ifname: binding.map(|binding| binding.host_ifname.clone()),
        why: None,
    }
}

/// The endpoints that are published and do not hold.
pub(super) fn quarantined(agent: &Agent, refused: &[(Refused, Record)]) -> Vec<EndpointInfo> {
    let info = |(refused, record): &(Refused, Record)| {
        let (Key::Endpoint(id), Record::Endpoint(record)) = (&refused.key, record) else { return None };
        let local = refused.node == agent.state.node_name();
        let binding = agent.bindings.get(id).filter(|_| local);
        Some(EndpointInfo {
            id: id.to_string(),
            network: id.network().to_owned(),
            node: refused.node.clone(),
            ifname: binding.map(|binding| binding.ifname.clone()),
            mac: id.mac().to_string(),
            ips: record.ips.iter().map(ToString::to_string).collect(),
            name: record.name.clone(),
            local,
            state: EndpointState::Quarantined,
            netns: binding.map(|binding| binding.netns.display().to_string()),
            host_ifname: binding.map(|binding| binding.host_ifname.clone()),
            why: Some(refused.why.to_string()),
        })
    };
    refused.iter().filter_map(info).collect()
}

/// The drop counters: each reason under each network it was counted for, and those never counted once at 0.
pub(super) fn drops(agent: &mut Agent) -> Answer<Vec<DropInfo>> {
    let counts = agent.reconciler.datapath.drops().map_err(refusal)?;
    let mut rows: Vec<DropInfo> = counts
        .into_iter()
        .map(|drop| DropInfo {
            reason: drop.reason.into(),
            network: drop.vni.map(|vni| network_name(agent, vni).unwrap_or_else(|| format!("vni {vni}"))),
            count: drop.count,
        })
        .collect();
    let seen: BTreeSet<String> = rows.iter().map(|row| row.reason.clone()).collect();
    let unseen = DropReason::ALL.into_iter().filter(|reason| !seen.contains(reason.name()));
    rows.extend(unseen.map(|reason| DropInfo { reason: reason.name().into(), network: None, count: 0 }));
    rows.sort_by(|a, b| (&a.reason, &a.network).cmp(&(&b.reason, &b.network)));
    Ok(rows)
}

fn network_name(agent: &Agent, vni: Vni) -> Option<String> {
    let mut networks = agent.state.cluster()?.networks.values();
    networks.find(|network| network.vni == vni).map(|network| network.name.clone())
}

fn strings(vteps: Vteps) -> Vec<String> {
    vteps.iter().map(|vtep| vtep.to_string()).collect()
}

/// The name of a device, or its number where it is gone.
fn name_of(ifindex: Ifindex) -> String {
    device_name(ifindex).unwrap_or_else(|| format!("#{ifindex}"))
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
fn refusal(error: DatapathError) -> Refusal {
    Refusal::failed(error.to_string())
}
