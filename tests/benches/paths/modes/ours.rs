//! `overlay`: its agents and programs, as they are installed.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
};

use anyhow::{Context as _, Result, bail};
use aya::maps::{Map, MapData, PerCpuArray};
use overlay_common::Counter;
use overlay_tests::{Lab, Options};

use super::{Ends, Mode};

/// Two hosts with agents, two containers on the first and one on the second.
pub(crate) struct Ours {
    lab: Lab,
    /// The first host's count of frames.
    counters: PerCpuArray<MapData, u64>,
}

/// The containers, their host and address.
const CONTAINERS: [(&str, usize, Ipv4Addr); 3] = [
    ("h1c1", 0, Ipv4Addr::new(10, 91, 0, 1)),
    ("h1c2", 0, Ipv4Addr::new(10, 91, 0, 2)),
    ("h2c1", 1, Ipv4Addr::new(10, 91, 0, 3)),
];

impl Ours {
    pub(crate) fn start() -> Result<Self> {
        let options = Options { cable: true, ..Options::of_environment("ovb-ours".to_owned(), 2)? };
        let mut lab = Lab::new(&options)?;
        lab.declare_network("bench", 42, &["10.91.0.0/24"]);
        for (name, host, ip) in CONTAINERS {
            lab.declare_container(host, "bench", name, &[ip.into()])?;
        }
        lab.write_cluster()?;
        lab.start_agents()?;
        lab.bind_all()?;
        let (client, server) = (lab.container("h1c1")?, IpAddr::V4(CONTAINERS[2].2));
        if !(0..10).any(|_| client.netns.ping(server)) {
            bail!("the containers do not reach each other:\n{}", lab.hosts[0].log_tail());
        }
        let path = lab.hosts[0].pin_dir.join("maps/COUNTERS");
        let data = MapData::from_pin(&path).with_context(|| format!("cannot open {}", path.display()))?;
        let counters = PerCpuArray::try_from(Map::PerCpuArray(data)).context("COUNTERS is another map")?;
        Ok(Self { lab, counters })
    }

    fn ends(&self, server: usize) -> Ends {
        let netns = |place: usize| self.lab.containers[place].netns.path();
        Ends { client: netns(0), server: netns(server), to: CONTAINERS[server].2.into() }
    }
}

impl Mode for Ours {
    fn name(&self) -> &'static str {
        "ours"
    }

    fn across(&self) -> Ends {
        self.ends(2)
    }

    fn host(&self) -> Option<PathBuf> {
        Some(self.lab.hosts[0].netns.path())
    }

    fn local(&self) -> Option<Ends> {
        Some(self.ends(1))
    }

    fn passed(&self) -> Result<u64> {
        let values = self.counters.get(&(Counter::ToUnderlay as u32), 0).context("cannot read COUNTERS")?;
        Ok(values.iter().sum())
    }

    fn path(&self) -> String {
        "eth0 - veth, from_container (push), eth0 - eth0, from_underlay (pop), peer eth0".to_owned()
    }
}
