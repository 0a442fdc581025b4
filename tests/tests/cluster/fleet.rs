//! Agents that gossip, asked over their sockets: a process for each question would take longer than the answer.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    thread,
    time::{Duration, Instant},
};

use overlay_tests::{Engine, Lab, Netns, Options, patient};
use overlay_user::{
    api::{
        client::{ATTACH_TIMEOUT, Client, ClientError, segment},
        types::{
            Change, ChangeKind, EndpointAdd, EndpointInfo, FdbRow, NeighRow, NodeInfo, NodeState, Status,
        },
    },
    netns,
};
use serde::de::DeserializeOwned;
use tokio::runtime::{Builder, Runtime};

/// The network of all tests.
pub(crate) const BLUE: &str = "blue";
/// Its VNI.
const VNI: u32 = 42;
/// Its subnets.
const SUBNETS: [&str; 2] = ["10.1.0.0/16", "fd00:1::/64"];
/// How long agents that start may take until each knows a way to every other.
const TOGETHER: Duration = Duration::from_secs(20);
/// How often something is looked at.
const LOOK: Duration = Duration::from_millis(2);

/// A lab whose agents gossip.
pub(crate) struct Fleet {
    pub(crate) lab: Lab,
    clients: Vec<Client>,
    runtime: Runtime,
}

/// A node in the history of another: its name, and what became of it.
pub(crate) type NodeEvent = (String, String);

impl Fleet {
    /// That many hosts with an agent each, all of which know each other and the network blue.
    pub(crate) fn new(name: &str, hosts: u8) -> Self {
        let mut fleet = Self::unstarted(name, hosts);
        fleet.lab.declare_network(BLUE, VNI, &SUBNETS);
        fleet.lab.start_agents().expect("agents");
        fleet.wait_together();
        fleet
    }

    /// The same before any agent runs; no network is declared.
    pub(crate) fn unstarted(name: &str, hosts: u8) -> Self {
        let options = Options::for_test(name, hosts).expect("options");
        let lab = Lab::new(&Options { engine: Engine::Gossip, ..options }).expect("a lab");
        let clients = lab.hosts.iter().map(|host| Client::new(host.dir.join("run/overlay.sock"))).collect();
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { lab, clients, runtime }
    }

    /// The numbers of all hosts.
    pub(crate) fn all(&self) -> impl Iterator<Item = usize> + use<> {
        0..self.lab.hosts.len()
    }

    /// The numbers of all hosts but these.
    pub(crate) fn others(&self, but: &[usize]) -> Vec<usize> {
        self.all().filter(|host| !but.contains(host)).collect()
    }

    /// The name of a host.
    pub(crate) fn name(&self, host: usize) -> &str {
        &self.lab.hosts[host].name
    }

    /// Waits until every agent knows a way to every other.
    pub(crate) fn wait_together(&self) {
        for host in self.all() {
            self.wait_for_states(host, &self.others(&[host]), NodeState::Known, TOGETHER);
        }
    }

    /// Waits until a host sees all of these in that state. Returns how long it took.
    pub(crate) fn wait_for_states(
        &self,
        host: usize,
        of: &[usize],
        state: NodeState,
        limit: Duration,
    ) -> Duration {
        let names: Vec<&str> = of.iter().map(|host| self.name(*host)).collect();
        until(&format!("{} sees {names:?} as {state:?}", self.name(host)), limit, || {
            let nodes = self.nodes(host);
            let is = |name: &&str| nodes.iter().any(|node| node.name == **name && node.state == state);
            names.iter().all(is)
        })
    }

    /// Asks the agent of a host.
    pub(crate) fn get<T: DeserializeOwned>(&self, host: usize, path: &str) -> Result<T, ClientError> {
        self.runtime.block_on(self.clients[host].get(path))
    }

    fn read<T: DeserializeOwned>(&self, host: usize, path: &str) -> T {
        self.get(host, path).unwrap_or_else(|error| panic!("{} of {}: {error}", path, self.name(host)))
    }

    pub(crate) fn status(&self, host: usize) -> Status {
        self.read(host, "/v1/status")
    }

    pub(crate) fn nodes(&self, host: usize) -> Vec<NodeInfo> {
        self.read(host, "/v1/nodes")
    }

    /// Who is in the cluster of a host, by name.
    pub(crate) fn node_names(&self, host: usize) -> BTreeSet<String> {
        self.nodes(host).into_iter().map(|node| node.name).collect()
    }

    pub(crate) fn endpoints(&self, host: usize) -> Vec<EndpointInfo> {
        self.read(host, "/v1/endpoints")
    }

    /// What all hosts must agree on: identifier, node and addresses of every endpoint that holds.
    pub(crate) fn list(&self, host: usize) -> BTreeSet<(String, String, Vec<String>)> {
        use overlay_user::api::types::EndpointState::Quarantined;
        let endpoints = self.endpoints(host).into_iter();
        let holding = endpoints.filter(|endpoint| endpoint.state != Quarantined);
        holding.map(|endpoint| (endpoint.id, endpoint.node, endpoint.ips)).collect()
    }

    /// Whether a host lists an endpoint.
    pub(crate) fn lists(&self, host: usize, id: &str) -> bool {
        match self.get::<EndpointInfo>(host, &path(id)) {
            Ok(_) => true,
            Err(ClientError::Refused { status: 404, .. }) => false,
            Err(error) => panic!("{}: {error}", self.name(host)),
        }
    }

    pub(crate) fn fdb(&self, host: usize) -> Vec<FdbRow> {
        self.read(host, "/v1/dump/fdb")
    }

    pub(crate) fn neigh(&self, host: usize) -> Vec<NeighRow> {
        self.read(host, "/v1/dump/neigh")
    }

    /// What has become of nodes as a host saw it, in order.
    pub(crate) fn node_events(&self, host: usize) -> Vec<NodeEvent> {
        let events: Vec<Change> = self.read(host, "/v1/events");
        let of_nodes = events.into_iter().filter(|event| event.kind == ChangeKind::Node);
        of_nodes.map(|event| (event.name, event.what)).collect()
    }

    /// The history of nodes on all hosts, to say later what has come to it.
    pub(crate) fn mark(&self) -> Vec<usize> {
        self.all().map(|host| self.node_events(host).len()).collect()
    }

    /// The same where not all have an agent.
    pub(crate) fn mark_of(&self, hosts: &[usize]) -> Vec<usize> {
        let of = |host| if hosts.contains(&host) { self.node_events(host).len() } else { 0 };
        self.all().map(of).collect()
    }

    /// What has become of nodes as a host saw it since.
    pub(crate) fn since(&self, mark: &[usize], host: usize) -> Vec<NodeEvent> {
        self.node_events(host).split_off(mark[host])
    }

    /// Makes an endpoint; with no addresses given, they are leased.
    pub(crate) fn add(&self, host: usize, container: &Netns, ifname: &str, ips: &[IpAddr]) -> EndpointInfo {
        let path = container.path();
        let fds = netns::open(&path).expect("a namespace");
        let add = EndpointAdd {
            network: BLUE.to_owned(),
            ifname: ifname.to_owned(),
            ips: ips.iter().map(ToString::to_string).collect(),
            mac: None,
            name: None,
            netns: path.display().to_string(),
        };
        let fds = fds.as_fds();
        let post = self.clients[host].post("/v1/endpoints", &add, &fds, ATTACH_TIMEOUT);
        self.runtime.block_on(post).unwrap_or_else(|error| panic!("{}: {error}", self.name(host)))
    }

    /// Deletes an endpoint.
    pub(crate) fn delete(&self, host: usize, id: &str) {
        let deleted = self.runtime.block_on(self.clients[host].delete(&path(id)));
        deleted.unwrap_or_else(|error| panic!("{}: {error}", self.name(host)));
    }

    /// Waits until all of these hosts list the same endpoints, so many. Returns how long it took.
    pub(crate) fn wait_agreed(&self, hosts: &[usize], count: usize, limit: Duration) -> Duration {
        until(&format!("{count} endpoints are on all"), limit, || {
            let lists: BTreeSet<_> = hosts.iter().map(|host| self.list(*host)).collect();
            lists.len() == 1 && lists.iter().all(|list| list.len() == count)
        })
    }

    /// Makes a container on every host, named `c1` and so on, with static addresses, and binds it.
    pub(crate) fn populate(&mut self) {
        for host in self.all() {
            let number = host as u8 + 1;
            let ips = [v4(number).into(), v6(number).into()];
            self.lab.declare_container(host, BLUE, &format!("c{number}"), &ips).expect("a container");
        }
        self.lab.bind_all().expect("bound");
        let all: Vec<usize> = self.all().collect();
        self.wait_agreed(&all, all.len(), TOGETHER);
    }

    /// The process of a host's agent.
    pub(crate) fn pid(&self, host: usize) -> u32 {
        self.lab.hosts[host].agent_pid().expect("an agent")
    }
}

/// The path of an endpoint in the API.
fn path(id: &str) -> String {
    format!("/v1/endpoints/{}", segment(id))
}

/// The IPv4 address of the container of a number.
pub(crate) fn v4(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 1, 200, number)
}

/// Its IPv6 address.
pub(crate) fn v6(number: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0xc8, number.into())
}

/// Waits until `done`; panics after `limit`. Returns how long it took.
pub(crate) fn until(what: &str, limit: Duration, mut done: impl FnMut() -> bool) -> Duration {
    let (start, limit) = (Instant::now(), patient(limit));
    while !done() {
        assert!(start.elapsed() < limit, "{what}: not within {limit:?}");
        thread::sleep(LOOK);
    }
    start.elapsed()
}

/// The time below which that part of all lies, in percent.
pub(crate) fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    let place = (times.len() * percent).div_ceil(100).max(1) - 1;
    times[place]
}

/// Milliseconds, for people.
pub(crate) fn millis(time: Duration) -> String {
    format!("{:.0} ms", time.as_secs_f64() * 1000.0)
}
