//! The commands that ask the agent.

use super::{
    args::{
        Cluster, ClusterKey, Command, Drops, Dump, Endpoint, EndpointAdd, Ipam, Named, Network,
        NetworkCreate, Node, Output, Paths, Prefix,
    },
    output, status,
};
use crate::{
    api::{
        client::{ATTACH_TIMEOUT, Client, TIMEOUT, segment},
        socket_path,
        types::{
            self, Accepted, Change, DropInfo, EndpointInfo, Health, IpamFault, IpamInfo, KeyInfo, KeyInstall,
            KeyInstalled, NetworkInfo, NodeInfo, Reserve, Status, Table,
        },
    },
    netns,
};
use anyhow::{Context as _, bail};
use clap::ValueEnum as _;
use std::{future::Future, io, path, process::ExitCode};

/// Runs `work` to its end on this thread.
fn wait<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(work)
}

fn client(paths: &Paths) -> Client {
    Client::new(socket_path(&paths.run_dir))
}

/// `overlay status`: what to print, and the exit code.
pub(super) fn status(paths: &Paths, output: Output) -> anyhow::Result<(String, ExitCode)> {
    let status: Status = wait(async { Ok(client(paths).get("/v1/status").await?) })?;
    let code = match status.state {
        Health::Healthy => ExitCode::SUCCESS,
        Health::Degraded => ExitCode::from(super::FAILED),
    };
    Ok((output::render(output, &status, status::screen)?, code))
}

/// `overlay ipam check`: what to print, and the exit code.
pub(super) fn ipam_check(paths: &Paths, output: Output) -> anyhow::Result<(String, ExitCode)> {
    let faults: Vec<IpamFault> = wait(async { Ok(client(paths).get("/v1/ipam-check").await?) })?;
    let code = if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(super::FAILED) };
    Ok((output::render(output, &faults, |faults| output::ipam_faults(faults))?, code))
}

/// Runs any other command that asks the agent; gives what to print.
pub(super) fn run(paths: &Paths, command: &Command) -> anyhow::Result<String> {
    let client = client(paths);
    wait(async {
        match command {
            Command::Network(command) => network(&client, command).await,
            Command::Endpoint(command) => endpoint(&client, command).await,
            Command::Node(Node::List(output)) => {
                let nodes: Vec<NodeInfo> = client.get("/v1/nodes").await?;
                output::render(*output, &nodes, |nodes| output::nodes(nodes))
            }
            Command::Events(args) => {
                let mut events: Vec<Change> = client.get("/v1/events").await?;
                let older = args.last.map_or(0, |last| events.len().saturating_sub(last));
                events.drain(..older);
                output::render(args.output, &events, |events| output::events(events))
            }
            Command::Cluster(Cluster::Key(command)) => key(&client, command).await,
            Command::Cluster(Cluster::Accept(output)) => {
                let accepted: Accepted = client.post("/v1/accept", &(), &[], TIMEOUT).await?;
                output::render(*output, &accepted, |accepted| {
                    format!("{} endpoints were kept until now\n", accepted.endpoints)
                })
            }
            Command::Ipam(command) => ipam(&client, command).await,
            Command::Drops(args) => drops(&client, args).await,
            Command::Dump(args) => dump(&client, args).await,
            Command::Agent(_)
            | Command::Cluster(Cluster::Init(_) | Cluster::Token(_))
            | Command::Status(_)
            | Command::Upgrade { .. }
            | Command::Uninstall
            | Command::Completion { .. }
            | Command::NetnsHelper { .. } => unreachable!("dispatched before"),
        }
    })
}

async fn network(client: &Client, command: &Network) -> anyhow::Result<String> {
    match command {
        Network::Create(NetworkCreate { name, vni, subnets, gateways, mtu, encrypted, output }) => {
            let create = types::NetworkCreate {
                name: name.clone(),
                vni: *vni,
                subnets: subnets.clone(),
                gateways: gateways.iter().map(ToString::to_string).collect(),
                mtu: *mtu,
                encrypted: *encrypted,
            };
            let made: NetworkInfo = client.post("/v1/networks", &create, &[], TIMEOUT).await?;
            output::render(*output, &made, output::network)
        }
        Network::List(output) => {
            let networks: Vec<NetworkInfo> = client.get("/v1/networks").await?;
            output::render(*output, &networks, |networks| output::networks(networks))
        }
        Network::Show(Named { name, output }) => {
            let network: NetworkInfo = client.get(&format!("/v1/networks/{}", segment(name))).await?;
            output::render(*output, &network, output::network)
        }
        Network::Delete(Named { name, output }) => {
            client.delete(&format!("/v1/networks/{}", segment(name))).await?;
            output::deleted(*output, name)
        }
    }
}

async fn endpoint(client: &Client, command: &Endpoint) -> anyhow::Result<String> {
    match command {
        Endpoint::Add(args) => endpoint_add(client, args).await,
        Endpoint::List(output) => {
            let endpoints: Vec<EndpointInfo> = client.get("/v1/endpoints").await?;
            output::render(*output, &endpoints, |endpoints| output::endpoints(endpoints))
        }
        Endpoint::Show(Named { name, output }) => {
            let endpoint: EndpointInfo = client.get(&format!("/v1/endpoints/{}", segment(name))).await?;
            output::render(*output, &endpoint, output::endpoint)
        }
        Endpoint::Delete(Named { name, output }) => {
            client.delete(&format!("/v1/endpoints/{}", segment(name))).await?;
            output::deleted(*output, name)
        }
    }
}

async fn endpoint_add(client: &Client, args: &EndpointAdd) -> anyhow::Result<String> {
    // Whoever calls may enter the namespace; the agent need not.
    let namespace = netns::open(&args.netns)?;
    // The agent opens it again from its own working directory.
    let path =
        path::absolute(&args.netns).with_context(|| format!("cannot resolve {}", args.netns.display()))?;
    let add = types::EndpointAdd {
        network: args.network.clone(),
        ifname: args.ifname.clone(),
        ips: args.ips.clone(),
        mac: args.mac.clone(),
        name: args.name.clone(),
        netns: path.to_str().context("--netns: the path is not UTF-8; use one that is")?.to_owned(),
    };
    let made: EndpointInfo = client.post("/v1/endpoints", &add, &namespace.as_fds(), ATTACH_TIMEOUT).await?;
    output::render(args.output, &made, |made| format!("{}\n", super::table::plain(&made.id)))
}

async fn ipam(client: &Client, command: &Ipam) -> anyhow::Result<String> {
    match command {
        Ipam::Show { network, output } => {
            let mut infos: Vec<IpamInfo> = client.get("/v1/ipam").await?;
            infos.retain(|info| network.as_ref().is_none_or(|network| info.network == *network));
            if let (Some(network), true) = (network, infos.is_empty()) {
                bail!("there is no network {network:?}; see `overlay network list`");
            }
            output::render(*output, &infos, |infos| output::ipam(infos))
        }
        Ipam::Check(_) => unreachable!("dispatched before"),
        Ipam::Reserve(Prefix { network, prefix, output }) => {
            reserve(client, network, Reserve { prefix: prefix.clone(), end: false }, *output).await
        }
        Ipam::Unreserve(Prefix { network, prefix, output }) => {
            reserve(client, network, Reserve { prefix: prefix.clone(), end: true }, *output).await
        }
    }
}

async fn reserve(client: &Client, network: &str, reserve: Reserve, output: Output) -> anyhow::Result<String> {
    let path = format!("/v1/networks/{}/reserved", segment(network));
    let info: IpamInfo = client.post(&path, &reserve, &[], TIMEOUT).await?;
    output::render(output, &info, |info| output::ipam(std::slice::from_ref(info)))
}

async fn key(client: &Client, command: &ClusterKey) -> anyhow::Result<String> {
    match command {
        ClusterKey::List(output) => {
            let keys: Vec<KeyInfo> = client.get("/v1/keys").await?;
            output::render(*output, &keys, |keys| output::keys(keys))
        }
        ClusterKey::Install { key, output } => {
            let token = match key.as_deref() {
                Some("-") => Some(io::read_to_string(io::stdin()).context("cannot read standard input")?),
                key => key.map(str::to_owned),
            };
            let install = KeyInstall { token: token.map(|token| token.trim().to_owned()) };
            let made: KeyInstalled = client.post("/v1/keys", &install, &[], TIMEOUT).await?;
            output::render(*output, &made, |made| format!("{}\n{}\n", made.id, made.token))
        }
        ClusterKey::Use(Named { name, output }) => {
            let path = format!("/v1/keys/{}/use", segment(name));
            let keys: Vec<KeyInfo> = client.post(&path, &(), &[], TIMEOUT).await?;
            output::render(*output, &keys, |_| String::new())
        }
        ClusterKey::Remove(Named { name, output }) => {
            client.delete(&format!("/v1/keys/{}", segment(name))).await?;
            output::deleted(*output, name)
        }
    }
}

async fn drops(client: &Client, args: &Drops) -> anyhow::Result<String> {
    let mut drops: Vec<DropInfo> = client.get("/v1/drops").await?;
    drops.retain(|drop| args.all || drop.count > 0);
    drops.sort_by(|a, b| {
        b.count.cmp(&a.count).then_with(|| (&a.reason, &a.network).cmp(&(&b.reason, &b.network)))
    });
    output::render(args.output, &drops, |drops| output::drops(drops))
}

async fn dump(client: &Client, args: &Dump) -> anyhow::Result<String> {
    let name = args.table.to_possible_value().context("the table has no name")?;
    let rows: serde_json::Value = client.get(&format!("/v1/dump/{}", name.get_name())).await?;
    let unread = "the agent's answer cannot be read; are the agent and this command of one version?";
    let screen = match args.table {
        Table::Fdb => {
            output::fdb(&serde_json::from_value::<Vec<types::FdbRow>>(rows.clone()).context(unread)?)
        }
        Table::Neigh => {
            output::neigh(&serde_json::from_value::<Vec<types::NeighRow>>(rows.clone()).context(unread)?)
        }
        Table::Vteps => {
            output::vteps(&serde_json::from_value::<Vec<types::VtepRow>>(rows.clone()).context(unread)?)
        }
        Table::Ports => {
            output::ports(&serde_json::from_value::<Vec<types::PortRow>>(rows.clone()).context(unread)?)
        }
        // No row has a shape yet.
        Table::Flood => "no entries\n".to_owned(),
    };
    output::render(args.output, &rows, |_| screen)
}
