//! Docker's own overlay: two engines, joined as a swarm, with a container each on an attachable network.

mod engine;
mod leftovers;

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use overlay_tests::{Netns, run};

use self::engine::Engine;
use super::{Ends, Mode};
use crate::cable;

/// Where the engines keep everything, also for the next run to find after a crash.
const DIR: &str = "/run/overlay-lab/ovb-docker";
/// The network's name.
const NETWORK: &str = "bench";
/// How long the engines may take to tell each other where containers are.
const GOSSIP_LIMIT: Duration = Duration::from_secs(20);

/// Two engines and their containers; dropped, nothing of them is left.
pub(crate) struct Docker {
    first: Station,
    second: Station,
    /// The second container of the first host.
    beside: Station,
    /// The namespace of the network's bridge and VXLAN device on the first host.
    sandbox: PathBuf,
    // In this order: the engines go before what they stand on.
    engines: [Engine; 2],
    _left: Left,
    _hosts: [Netns; 2],
}

/// A container.
struct Station {
    /// The file that holds its network namespace.
    netns: PathBuf,
    ip: Ipv4Addr,
}

/// Files and cgroups of the engines, removed when it is dropped.
struct Left;

impl Docker {
    pub(crate) fn start() -> Result<Self> {
        let dir = Path::new(DIR);
        leftovers::clear(dir).context("cannot clear what an earlier run of Docker left")?;
        let (first, second) = cable::pair("docker")?;
        let left = Left;
        let mut engines = [Engine::spawn(&first, &dir.join("h1"))?, Engine::spawn(&second, &dir.join("h2"))?];
        engines.iter_mut().try_for_each(Engine::wait)?;
        let rootfs = busybox(dir)?;
        engines.iter().try_for_each(|engine| engine.import(&rootfs))?;
        join(&engines)?;
        let id =
            engines[0].docker(&["network", "create", "--driver", "overlay", "--attachable"], &[NETWORK])?;
        let (first_container, second_container, beside) =
            (station(&engines[0], "c1")?, station(&engines[1], "c2")?, station(&engines[0], "c3")?);
        // The engine names it by the network, whose first it is (libnetwork: `network.initSandbox`, `osl.GenerateKey`).
        let sandbox = engines[0].netns(&format!("1-{}", id.get(..10).unwrap_or_default()));
        let this = Self {
            first: first_container,
            second: second_container,
            beside,
            sandbox,
            engines,
            _left: left,
            _hosts: [first, second],
        };
        this.wait_for_ways()?;
        Ok(this)
    }

    /// Waits until the engines know each other's containers.
    fn wait_for_ways(&self) -> Result<()> {
        let start = Instant::now();
        while !reaches(&self.first.netns, self.second.ip) || !reaches(&self.second.netns, self.first.ip) {
            if start.elapsed() > GOSSIP_LIMIT {
                let [first, second] = self.engines.each_ref().map(Engine::log_tail);
                bail!("Docker's containers do not reach each other; the engines said:\n{first}\n{second}");
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }
}

/// A directory with what an image needs to sleep.
fn busybox(dir: &Path) -> Result<PathBuf> {
    let rootfs = dir.join("rootfs");
    let bin = rootfs.join("bin");
    fs::create_dir_all(&bin).with_context(|| format!("cannot make {}", bin.display()))?;
    // Statically linked: the image has nothing else.
    fs::copy("/bin/busybox", bin.join("sleep"))
        .context("cannot copy /bin/busybox of package busybox-static")?;
    Ok(rootfs)
}

/// Makes a swarm of the two engines.
fn join(engines: &[Engine; 2]) -> Result<()> {
    let first = cable::HOSTS[0].to_string();
    engines[0].docker(&["swarm", "init", "--advertise-addr", &first], &[])?;
    let token = engines[0].docker(&["swarm", "join-token", "--quiet", "worker"], &[])?;
    engines[1].docker(&["swarm", "join", "--token", &token, &format!("{first}:2377")], &[])?;
    Ok(())
}

/// Starts a container that sleeps.
fn station(engine: &Engine, name: &str) -> Result<Station> {
    let image = [engine::IMAGE, "sleep", "1000000"];
    engine.docker(&["run", "--detach", "--name", name, "--network", NETWORK], &image)?;
    let inspect = |what: &str| engine.docker(&["inspect", "--format", what], &[name]);
    let key = inspect("{{.NetworkSettings.SandboxKey}}")?;
    let ip = inspect(&format!("{{{{.NetworkSettings.Networks.{NETWORK}.IPAddress}}}}"))?;
    let ip = ip.parse().with_context(|| format!("Docker gave {name} no address, but {ip:?}"))?;
    Ok(Station { netns: engine.path(Path::new(&key)), ip })
}

/// Whether one echo request is answered within a second.
fn reaches(netns: &Path, to: Ipv4Addr) -> bool {
    run(inside(netns).args(["ping", "-n", "-q", "-c", "1", "-W", "1", &to.to_string()])).is_ok()
}

fn inside(netns: &Path) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={}", netns.display()));
    command
}

impl Mode for Docker {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn across(&self) -> Ends {
        ends(&self.first, &self.second)
    }

    fn host(&self) -> Option<PathBuf> {
        Some(self.sandbox.clone())
    }

    fn local(&self) -> Option<Ends> {
        Some(ends(&self.first, &self.beside))
    }

    fn passed(&self) -> Result<u64> {
        let text =
            run(inside(&self.sandbox).args(["ip", "-json", "-stats", "link", "show", "type", "vxlan"]))?;
        cable::sent(&text).context("Docker's network has no VXLAN device that counts")
    }

    fn path(&self) -> String {
        let version = &self.engines[0].version;
        format!("Docker {version}: eth0 - veth - br0 - vxlan0 - eth0 - eth0 - vxlan0 - br0 - veth - eth0")
    }
}

fn ends(client: &Station, server: &Station) -> Ends {
    Ends { client: client.netns.clone(), server: server.netns.clone(), to: IpAddr::V4(server.ip) }
}

impl Drop for Left {
    fn drop(&mut self) {
        if let Err(error) = leftovers::clear(Path::new(DIR)) {
            eprintln!("docker: {error:#}");
        }
    }
}
