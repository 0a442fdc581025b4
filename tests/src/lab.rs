//! A lab: hosts on an underlay, and containers on the hosts.

use std::{
    fs::{self, File, TryLockError},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::{
    Cluster, Endpoint, Host, Netns, Network, Node, Underlay, command::run, leftovers, patience::patient,
    underlay::add_address,
};

/// How long what was made on one host may take to be on all.
const GOSSIP_LIMIT: Duration = Duration::from_secs(10);
/// How often that is looked at.
const POLL: Duration = Duration::from_millis(50);
/// The longest name of a lab: with `-h250c99` after it, it still reads well in `ip netns list`.
const NAME_LIMIT: usize = 24;

/// What a lab is made of before its containers.
#[derive(Clone, Debug)]
pub struct Options {
    /// Goes before the name of everything the lab makes; two labs at a time need two names.
    pub name: String,
    /// The `overlay` binary.
    pub overlay: PathBuf,
    /// How many hosts, at most 250.
    pub hosts: u8,
    /// The MTU of the underlay.
    pub underlay_mtu: u32,
    /// The VTEP addresses of the host of a number.
    pub vteps: fn(u8) -> Vec<IpAddr>,
    /// The two hosts of the lab are joined by one veth pair instead of a bridge.
    pub cable: bool,
    /// Where the agents have the cluster from.
    pub engine: Engine,
}

/// Where the agents of a lab have the cluster from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// A file that all watch.
    #[default]
    File,
    /// Each other.
    Gossip,
}

impl Options {
    /// A lab of that many hosts with the binary of `OVERLAY_BIN`, which xtask sets.
    pub fn for_test(name: &str, hosts: u8) -> Result<Self> {
        Self::of_environment(format!("ovt-{name}"), hosts)
    }

    /// The same under a name of its own, as the benches have.
    pub fn of_environment(name: String, hosts: u8) -> Result<Self> {
        let overlay = std::env::var_os("OVERLAY_BIN").context(
            "OVERLAY_BIN does not name the overlay binary: run this by `cargo xtask test` or `cargo xtask bench`",
        )?;
        Ok(Self {
            name,
            overlay: overlay.into(),
            hosts,
            underlay_mtu: 1500,
            vteps: over_v4,
            cable: false,
            engine: Engine::File,
        })
    }
}

/// VTEPs over IPv4 only.
pub fn over_v4(number: u8) -> Vec<IpAddr> {
    vec![Ipv4Addr::new(10, 88, 0, number).into()]
}

/// VTEPs over IPv6 only.
pub fn over_v6(number: u8) -> Vec<IpAddr> {
    vec![Ipv6Addr::new(0xfd88, 0, 0, 0, 0, 0, 0, number.into()).into()]
}

/// A container: a namespace declared as an endpoint of a host.
#[derive(Debug)]
pub struct Container {
    /// Its name in the cluster, as in `h1c1`.
    pub name: String,
    /// The index of its host.
    pub host: usize,
    /// The name of its network.
    pub network: String,
    /// Its addresses.
    pub ips: Vec<IpAddr>,
    /// Its namespace.
    pub netns: Netns,
}

/// Hosts, containers and their agents; dropped, nothing of them is left.
#[derive(Debug)]
pub struct Lab {
    /// The hosts' network.
    pub underlay: Underlay,
    /// The hosts, `h1` first.
    pub hosts: Vec<Host>,
    /// The containers, in the order they were declared.
    pub containers: Vec<Container>,
    /// What `write_cluster` writes.
    pub cluster: Cluster,
    name: String,
    dir: PathBuf,
    engine: Engine,
    /// Held while the lab is up, so that a second lab of the name does not take it for a crashed one.
    _lock: File,
}

impl Lab {
    /// Makes the underlay and the hosts, each with its overlay.toml; no agent runs yet.
    pub fn new(options: &Options) -> Result<Self> {
        let name = &options.name;
        if name.len() > NAME_LIMIT {
            bail!("the lab's name {name:?} is longer than {NAME_LIMIT} characters");
        }
        let lock = lock(name)?;
        leftovers::clear(name).with_context(|| format!("cannot clear what an earlier lab {name} left"))?;
        let dir = leftovers::lab_dir(name);
        fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let underlay = Underlay::new(&format!("{name}-ul"), options.underlay_mtu, options.cable)?;
        let mut lab = Self {
            underlay,
            hosts: Vec::new(),
            containers: Vec::new(),
            cluster: Cluster::default(),
            name: name.clone(),
            dir,
            engine: options.engine,
            _lock: lock,
        };
        for number in 1..=options.hosts {
            lab.add_host(number, (options.vteps)(number), &options.overlay)?;
        }
        lab.write_cluster()?;
        Ok(lab)
    }

    fn add_host(&mut self, number: u8, vteps: Vec<IpAddr>, overlay: &Path) -> Result<()> {
        let name = format!("h{number}");
        let (vtep, more) = vteps.split_first().context("a host needs a VTEP address")?;
        let length = |vtep: &IpAddr| if vtep.is_ipv4() { 24 } else { 64 };
        let netns = Netns::new(&format!("{}-{name}", self.name))?;
        self.underlay.attach(&netns, "eth0", *vtep, length(vtep), &name)?;
        more.iter().try_for_each(|vtep| add_address(&netns, "eth0", *vtep, length(vtep)))?;
        let pins = leftovers::pin_dir(&self.name).join(&name);
        let host = Host::new(&name, *vtep, netns, self.dir.join(&name), pins, overlay)?;
        match self.engine {
            Engine::File => host.write_config(&self.cluster_file())?,
            Engine::Gossip => host.write_gossip_config()?,
        }
        self.hosts.push(host);
        self.cluster.nodes.push(Node { name, vteps, external: false });
        Ok(())
    }

    /// The path of the cluster.toml that all hosts watch.
    pub fn cluster_file(&self) -> PathBuf {
        self.dir.join("cluster.toml")
    }

    /// Writes the cluster into its file, whole or not at all.
    pub fn write_cluster(&self) -> Result<()> {
        self.write_cluster_text(&self.cluster.to_toml())
    }

    /// Writes any text, broken too, into the cluster's file.
    pub fn write_cluster_text(&self, text: &str) -> Result<()> {
        let (path, draft) = (self.cluster_file(), self.dir.join(".cluster.toml"));
        fs::write(&draft, text).with_context(|| format!("cannot write {}", draft.display()))?;
        fs::rename(&draft, &path).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Declares a network; `write_cluster` makes it known.
    pub fn declare_network(&mut self, name: &str, vni: u32, subnets: &[&str]) {
        let subnets = subnets.iter().map(|subnet| (*subnet).to_owned()).collect();
        self.cluster.networks.push(Network { name: name.to_owned(), vni, subnets, options: String::new() });
    }

    /// Makes a container's namespace on a host and declares its endpoint; `write_cluster` makes it known.
    pub fn declare_container(
        &mut self,
        host: usize,
        network: &str,
        name: &str,
        ips: &[IpAddr],
    ) -> Result<()> {
        let node = self.hosts.get(host).with_context(|| format!("the lab has no host {}", host + 1))?;
        let endpoint = Endpoint {
            network: network.to_owned(),
            node: node.name.clone(),
            name: Some(name.to_owned()),
            ips: ips.to_vec(),
            ..Endpoint::default()
        };
        let netns = Netns::new(&format!("{}-{name}", self.name))?;
        self.cluster.endpoints.push(endpoint);
        self.containers.push(Container {
            name: name.to_owned(),
            host,
            network: network.to_owned(),
            ips: ips.to_vec(),
            netns,
        });
        Ok(())
    }

    /// Starts the agents of all hosts and waits until each answers.
    pub fn start_agents(&mut self) -> Result<()> {
        if self.engine == Engine::Gossip {
            self.join_all()?;
        }
        self.hosts.iter_mut().try_for_each(Host::spawn_agent)?;
        self.hosts.iter_mut().try_for_each(Host::wait_agent)?;
        if self.engine == Engine::Gossip {
            self.create_networks()?;
        }
        Ok(())
    }

    /// Makes a cluster on the first host, and has the others join it when they start.
    fn join_all(&mut self) -> Result<()> {
        let Some((first, others)) = self.hosts.split_first_mut() else { return Ok(()) };
        let seed = first.vtep.to_string();
        let token = run(first.overlay().args(["cluster", "init", "--seed", &seed]))?;
        for host in others {
            host.join = Some(token.trim().to_owned());
        }
        Ok(())
    }

    /// Makes the declared networks on the first host, and waits until all have them.
    fn create_networks(&self) -> Result<()> {
        let Some(first) = self.hosts.first() else { return Ok(()) };
        for network in &self.cluster.networks {
            let mut command = first.overlay();
            command.args(["network", "create", &network.name, "--vni", &network.vni.to_string()]);
            network.subnets.iter().for_each(|subnet| _ = command.args(["--subnet", subnet]));
            run(&mut command).with_context(|| format!("cannot create network {}", network.name))?;
        }
        let start = Instant::now();
        for host in &self.hosts {
            while host.ask(&["network", "list"])?.as_array().map_or(0, Vec::len) < self.cluster.networks.len()
            {
                if start.elapsed() > patient(GOSSIP_LIMIT) {
                    bail!("{} does not have the networks that were made on {}", host.name, first.name);
                }
                thread::sleep(POLL);
            }
        }
        Ok(())
    }

    /// Binds a container's namespace to its endpoint, by its host's agent: `overlay endpoint add`.
    pub fn bind(&self, container: &Container) -> Result<()> {
        let network = self.cluster.network(&container.network);
        let network = network.with_context(|| format!("the lab has no network {}", container.network))?;
        let mut command = self.hosts[container.host].overlay();
        command.args(["endpoint", "add", "--network", &container.network, "--name", &container.name]);
        command.arg("--netns").arg(container.netns.path());
        for ip in &container.ips {
            command.args(["--ip", &format!("{ip}/{}", network.prefix_length(*ip))]);
        }
        run(&mut command).with_context(|| format!("cannot bind {}", container.name))?;
        Ok(())
    }

    /// Binds every container.
    pub fn bind_all(&self) -> Result<()> {
        self.containers.iter().try_for_each(|container| self.bind(container))
    }

    /// The container of that name.
    pub fn container(&self, name: &str) -> Result<&Container> {
        let found = self.containers.iter().find(|container| container.name == name);
        found.with_context(|| format!("the lab has no container {name}"))
    }
}

impl Container {
    /// Its first IPv4 or IPv6 address.
    pub fn ip(&self, v6: bool) -> Option<IpAddr> {
        self.ips.iter().copied().find(|ip| ip.is_ipv6() == v6)
    }
}

impl Drop for Lab {
    /// Never stops early: what one step cannot remove, the next may.
    fn drop(&mut self) {
        if thread::panicking() {
            for host in &self.hosts {
                eprintln!("--- the end of the log of {}\n{}", host.name, host.log_tail());
            }
        }
        self.hosts.iter_mut().for_each(Host::signal_agent);
        for host in &mut self.hosts {
            if let Err(error) = host.stop_agent() {
                eprintln!("lab: cannot stop the agent of {}: {error:#}", host.name);
            }
            host.uninstall();
        }
        self.containers.clear();
        self.hosts.clear();
        for dir in [leftovers::pin_dir(&self.name), self.dir.clone()] {
            if let Err(error) = leftovers::remove_dir(&dir) {
                eprintln!("lab: {error:#}");
            }
        }
    }
}

/// Takes the lab's name for this process.
fn lock(name: &str) -> Result<File> {
    let path = leftovers::lock_file(name);
    let dir = path.parent().context("the lock file has no directory")?;
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}: root is needed", dir.display()))?;
    let file = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!("a lab named {name} is up: end it first, with Ctrl-C where it runs")
        }
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}
