//! What `overlay` takes: the commands and their flags.

use crate::api::types::Table;
use clap::{Args, Parser, Subcommand, ValueEnum};
use overlay_common::{MacAddr, Vni};
use std::{net::IpAddr, path::PathBuf, str::FromStr as _};

/// Where everything of one agent is.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub struct Paths {
    /// The configuration file
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "OVERLAY_CONFIG",
        default_value = "/etc/overlay/overlay.toml"
    )]
    #[arg(hide_env_values = true, help_heading = "Global options")]
    pub config: PathBuf,
    /// Where the agent's socket is
    #[arg(long, global = true, value_name = "DIR", env = "OVERLAY_RUN_DIR", default_value = "/run/overlay")]
    #[arg(hide_env_values = true, help_heading = "Global options")]
    pub run_dir: PathBuf,
    /// Where the agent keeps its state
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "OVERLAY_STATE_DIR",
        default_value = "/var/lib/overlay"
    )]
    #[arg(hide_env_values = true, help_heading = "Global options")]
    pub state_dir: PathBuf,
    /// Where the maps and links are pinned
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "OVERLAY_PIN_DIR",
        default_value = "/sys/fs/bpf/overlay"
    )]
    #[arg(hide_env_values = true, help_heading = "Global options")]
    pub pin_dir: PathBuf,
}

#[derive(Debug, Parser)]
#[command(name = "overlay", version, about = "One private network for containers on different hosts")]
#[command(subcommand_required = true, arg_required_else_help = true)]
#[command(after_help = "Example: overlay status")]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) paths: Paths,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the node agent in the foreground
    #[command(
        after_help = "Example: overlay agent --join overlay1.TOKEN\n         overlay agent --config /etc/overlay/overlay.toml"
    )]
    Agent(Agent),
    /// Make a cluster, print its join token, change its keys
    #[command(subcommand, after_help = "Example: overlay cluster init")]
    Cluster(Cluster),
    /// Show how this node is; exit code 0 if healthy, 1 if degraded, 2 if no agent answers
    #[command(after_help = "Example: overlay status -o json")]
    Status(Output),
    /// Create, list, show and delete networks
    #[command(subcommand, after_help = "Example: overlay network list")]
    Network(Network),
    /// Attach, list, show and detach containers
    #[command(subcommand, after_help = "Example: overlay endpoint list")]
    Endpoint(Endpoint),
    /// Show how the addresses of networks are used, check that, and reserve some
    #[command(subcommand, after_help = "Example: overlay ipam show blue")]
    Ipam(Ipam),
    /// List the nodes of the cluster
    #[command(subcommand, after_help = "Example: overlay node list")]
    Node(Node),
    /// Show what has changed in the cluster, and when
    #[command(after_help = "Example: overlay events --last 20")]
    Events(Events),
    /// Show how many frames were dropped, by reason
    #[command(after_help = "Example: overlay drops --all -o json")]
    Drops(Drops),
    /// Show a table as the kernel holds it
    #[command(after_help = "Example: overlay dump fdb")]
    Dump(Dump),
    /// Swap to the programs of this binary, while everything goes on forwarding; undone if it fails
    #[command(after_help = "Example: overlay upgrade")]
    Upgrade {
        /// Also replace what a later version left
        #[arg(long)]
        downgrade: bool,
    },
    /// Remove every link, pin, device and file of ours
    #[command(after_help = "Example: overlay uninstall --pin-dir /sys/fs/bpf/overlay")]
    Uninstall,
    /// Print a completion script for a shell
    #[command(after_help = "Example: overlay completion bash > /etc/bash_completion.d/overlay")]
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Open a network namespace and send it over the Unix socket at standard input
    #[command(hide = true)]
    NetnsHelper {
        /// The namespace
        path: PathBuf,
    },
}

/// How the agent is run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct Agent {
    /// Join the cluster of this token, which `overlay cluster init` prints; kept for later starts
    #[arg(long, value_name = "TOKEN", env = "OVERLAY_JOIN", hide_env_values = true)]
    pub join: Option<String>,
    /// Gossip in clear, and with whoever does; for closed labs
    #[arg(long)]
    pub insecure: bool,
}

#[derive(Debug, Subcommand)]
pub(super) enum Cluster {
    /// Make a cluster on this host, and print the token by which others join it
    #[command(after_help = "Example: overlay cluster init --seed 10.88.0.1")]
    Init(ClusterInit),
    /// Print the token by which others join the cluster of this host
    #[command(after_help = "Example: overlay agent --join $(ssh h1 overlay cluster token)")]
    Token(Output),
    /// Say that it is meant where most endpoints are gone at once; until then they are kept, for a minute at most
    #[command(after_help = "Example: overlay cluster accept")]
    Accept(Output),
    /// Change the keys of the gossip: install a new one on every node, use it on every node, remove the old one
    #[command(subcommand, after_help = "Example: overlay cluster key list")]
    Key(ClusterKey),
}

#[derive(Debug, Subcommand)]
pub(super) enum Ipam {
    /// Show the subnets, the blocks that nodes have leased, and how many addresses are used
    #[command(after_help = "Example: overlay ipam show blue -o json")]
    Show {
        /// Only this network
        network: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Say what is wrong with the use of addresses; exit code 0 if nothing is
    #[command(after_help = "Example: overlay ipam check")]
    Check(Output),
    /// Reserve a prefix of a network: no address of it is leased
    #[command(after_help = "Example: overlay ipam reserve blue 10.1.0.0/28")]
    Reserve(Prefix),
    /// End a reservation
    #[command(after_help = "Example: overlay ipam unreserve blue 10.1.0.0/28")]
    Unreserve(Prefix),
}

#[derive(Debug, Args)]
pub(super) struct Prefix {
    /// The network
    pub(super) network: String,
    /// The prefix
    #[arg(value_parser = cidr)]
    pub(super) prefix: String,
    #[command(flatten)]
    pub(super) output: Output,
}

#[derive(Debug, Args)]
pub(super) struct ClusterInit {
    /// Where the others reach this host; without it the address of its underlay, or that of its default route
    #[arg(long, value_name = "ADDR[:PORT]")]
    pub(super) seed: Option<String>,
    #[command(flatten)]
    pub(super) output: Output,
}

#[derive(Debug, Subcommand)]
pub(super) enum ClusterKey {
    /// List the keys that this node has
    #[command(after_help = "Example: overlay cluster key list -o json")]
    List(Output),
    /// Install a key; without one a new one is made, and printed for the other nodes
    #[command(after_help = "Example: overlay cluster key install")]
    Install {
        /// The key, as another node printed it; `-` reads it from standard input
        #[arg(value_name = "KEY")]
        key: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Seal with a key from now on; refused while a node has it not
    #[command(after_help = "Example: overlay cluster key use 1a2b3c4d")]
    Use(Named),
    /// Remove a key; refused while a node seals with it
    #[command(after_help = "Example: overlay cluster key remove 1a2b3c4d")]
    Remove(Named),
}

#[derive(Debug, Subcommand)]
pub(super) enum Network {
    /// Create a network
    #[command(after_help = "Example: overlay network create blue --vni 42 --subnet 10.1.0.0/24")]
    Create(NetworkCreate),
    /// List the networks
    #[command(after_help = "Example: overlay network list -o json")]
    List(Output),
    /// Show one network
    #[command(after_help = "Example: overlay network show blue")]
    Show(Named),
    /// Delete a network
    #[command(after_help = "Example: overlay network delete blue")]
    Delete(Named),
}

#[derive(Debug, Args)]
pub(super) struct NetworkCreate {
    /// Its name
    pub(super) name: String,
    /// Its VXLAN network identifier, 1 to 16777215; without one the agent chooses
    #[arg(long, value_name = "N", value_parser = vni)]
    pub(super) vni: Option<u32>,
    /// A subnet of it
    #[arg(long = "subnet", value_name = "CIDR", value_parser = cidr)]
    pub(super) subnets: Vec<String>,
    /// An address of its gateway, which no endpoint gets and which tells who sends packets that are too long
    #[arg(long = "gateway", value_name = "IP")]
    pub(super) gateways: Vec<IpAddr>,
    /// The MTU of its endpoints; without one it follows the underlay
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(68..))]
    pub(super) mtu: Option<u16>,
    /// Encrypt its frames between nodes
    #[arg(long)]
    pub(super) encrypted: bool,
    #[command(flatten)]
    pub(super) output: Output,
}

#[derive(Debug, Subcommand)]
pub(super) enum Endpoint {
    /// Attach a container: make its interface and set its addresses
    #[command(
        after_help = "Example: overlay endpoint add --network blue --netns /run/netns/c1 --ip 10.1.0.1"
    )]
    Add(EndpointAdd),
    /// List the endpoints of all nodes
    #[command(after_help = "Example: overlay endpoint list -o json")]
    List(Output),
    /// Show one endpoint
    #[command(after_help = "Example: overlay endpoint show blue.02420a010001")]
    Show(Named),
    /// Detach a container: remove its interface
    #[command(after_help = "Example: overlay endpoint delete blue.02420a010001")]
    Delete(Named),
}

#[derive(Debug, Args)]
pub(super) struct EndpointAdd {
    /// The network
    #[arg(long, value_name = "NAME")]
    pub(super) network: String,
    /// The container's network namespace, such as /run/netns/c1 or /proc/PID/ns/net
    #[arg(long, value_name = "PATH")]
    pub(super) netns: PathBuf,
    /// The name of the interface in the container
    #[arg(long, value_name = "NAME", default_value = "eth0")]
    pub(super) ifname: String,
    /// An address of the endpoint
    #[arg(long = "ip", value_name = "ADDR[/LEN]", value_parser = address)]
    pub(super) ips: Vec<String>,
    /// The MAC address of the endpoint
    #[arg(long, value_name = "MAC", value_parser = mac)]
    pub(super) mac: Option<String>,
    /// The name of the endpoint
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
    #[command(flatten)]
    pub(super) output: Output,
}

#[derive(Debug, Subcommand)]
pub(super) enum Node {
    /// List the nodes
    #[command(after_help = "Example: overlay node list")]
    List(Output),
}

#[derive(Debug, Args)]
pub(super) struct Named {
    /// Its name or identifier
    #[arg(value_name = "NAME")]
    pub(super) name: String,
    #[command(flatten)]
    pub(super) output: Output,
}

#[derive(Debug, Args)]
pub(super) struct Events {
    /// Show so many, the latest ones
    #[arg(long, value_name = "N")]
    pub(super) last: Option<usize>,
    #[command(flatten)]
    pub(super) output: Output,
}

#[derive(Debug, Args)]
pub(super) struct Drops {
    /// Show counters at zero too
    #[arg(long)]
    pub(super) all: bool,
    #[command(flatten)]
    pub(super) output: Output,
}

#[derive(Debug, Args)]
pub(super) struct Dump {
    /// The table
    #[arg(value_enum)]
    pub(super) table: Table,
    #[command(flatten)]
    pub(super) output: Output,
}

#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Output {
    /// How to print
    #[arg(short = 'o', long = "output", value_enum, value_name = "FORMAT", default_value = "table")]
    pub(super) format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Table,
    /// For programs
    Json,
}

fn vni(text: &str) -> Result<u32, String> {
    let number: u32 = text.parse().map_err(|_| format!("VNI {text} is outside 1..{}", Vni::MAX))?;
    Vni::new(number).map(Vni::get).map_err(|error| error.to_string())
}

fn cidr(text: &str) -> Result<String, String> {
    let example = "write it like 10.1.0.0/24 or fd00:1::/64";
    let net = ipnet::IpNet::from_str(text).map_err(|_| format!("not a subnet; {example}"))?;
    if net.trunc() == net {
        Ok(text.to_owned())
    } else {
        Err(format!("has host bits set; use {}", net.trunc()))
    }
}

fn address(text: &str) -> Result<String, String> {
    let valid = text.parse::<IpAddr>().is_ok() || ipnet::IpNet::from_str(text).is_ok();
    if valid {
        Ok(text.to_owned())
    } else {
        Err("not an address; write it like 10.1.0.1/24 or fd00:1::1/64".into())
    }
}

fn mac(text: &str) -> Result<String, String> {
    MacAddr::from_str(text).map(|mac| mac.to_string()).map_err(|error| error.to_string())
}
