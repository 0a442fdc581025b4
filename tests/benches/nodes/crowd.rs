//! Simulated nodes on the underlay of a lab, whose endpoints come and go at a rate.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};
use overlay_tests::{Lab, Netns, add_address, inside};
use overlay_user::{cluster::EndpointId, gossip::JoinToken, source::gossip::Gossip};
use tokio::{runtime::Builder, time::sleep};

use crate::{
    node::{self, BLUE, Dir, Plan},
    table::add,
};

/// How many simulated nodes: few, so that what they do besides takes little of the CPUs that forward.
pub(crate) const NODES: usize = 3;
/// The host parts of their addresses begin here.
const FIRST: u8 = 101;
/// The port of the gossip.
const PORT: u16 = 7950;
/// How long the nodes may take to know the network.
const KNOWN: Duration = Duration::from_secs(30);
/// How often the rate is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// What the crowd's thread is told, and tells.
#[derive(Default)]
struct Shared {
    /// Changes in a second.
    rate: AtomicU32,
    changed: AtomicU64,
    end: AtomicBool,
}

/// The nodes; dropped, they end.
pub(crate) struct Crowd {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<()>>>,
    /// After the thread has ended.
    _netns: Netns,
}

impl Crowd {
    /// Joins the cluster of a lab by its token, and adds so many endpoints in all.
    pub(crate) fn start(lab: &Lab, name: &str, token: &JoinToken, endpoints: usize) -> Result<Self> {
        let netns = Netns::new_over(name)?;
        lab.underlay.attach(&netns, "eth0", vtep(0), 24, "crowd")?;
        (1..NODES).try_for_each(|number| add_address(&netns, "eth0", vtep(number), 24))?;
        let shared = Arc::new(Shared::default());
        let (ready, is_ready) = channel();
        let thread = {
            let (path, token, shared) = (netns.path(), token.clone(), Arc::clone(&shared));
            // Whatever the engines spawn stays on this one thread, and so in its namespace.
            thread::spawn(move || inside(&path, || live(&token, endpoints, &ready, &shared))?)
        };
        let mut this = Self { shared, thread: Some(thread), _netns: netns };
        this.wait(&is_ready)?;
        Ok(this)
    }

    fn wait(&mut self, is_ready: &Receiver<()>) -> Result<()> {
        if is_ready.recv().is_ok() {
            return Ok(());
        }
        let thread = self.thread.take().context("the thread has ended")?;
        thread.join().map_err(|_| anyhow!("the simulated nodes panicked"))?
    }

    /// From now on, so many changes in a second.
    pub(crate) fn set_rate(&self, rate: u32) {
        self.shared.rate.store(rate, Relaxed);
    }

    /// How many changes were made so far.
    pub(crate) fn changed(&self) -> u64 {
        self.shared.changed.load(Relaxed)
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.shared.end.store(true, Relaxed);
        // A panic in the thread was printed when it happened.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn vtep(number: usize) -> IpAddr {
    Ipv4Addr::new(10, 88, 0, FIRST + number as u8).into()
}

fn live(token: &JoinToken, endpoints: usize, ready: &Sender<()>, shared: &Shared) -> Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let dir = Dir::new("crowd")?;
        let plan = |number| {
            let address = SocketAddr::new(vtep(number), PORT);
            Plan { name: format!("n{number}"), address, vtep: vtep(number) }
        };
        let nodes = node::start((0..NODES).map(plan).collect(), token.seeds(), token.key(), &dir).await?;
        let start = Instant::now();
        for node in &nodes {
            while !node.view().await.cluster.networks.contains_key(BLUE) {
                anyhow::ensure!(start.elapsed() < KNOWN, "a simulated node does not know the network");
                sleep(LOOK).await;
            }
        }
        let mut ids = Vec::new();
        for number in 0..endpoints {
            ids.push(add(&nodes[number % NODES], number).await?);
            // The engines have turns to take, which nothing else yields to.
            tokio::task::yield_now().await;
        }
        // It fails where who waited has gone.
        let _gone = ready.send(());
        churn(&nodes, &ids, shared).await
    })
}

/// Deletes and adds one endpoint after another at the rate.
async fn churn(nodes: &[Gossip], ids: &[EndpointId], shared: &Shared) -> Result<()> {
    let (mut number, mut credit, mut last) = (0, 0.0, Instant::now());
    while !shared.end.load(Relaxed) {
        credit += last.elapsed().as_secs_f64() * f64::from(shared.rate.load(Relaxed));
        last = Instant::now();
        // What could not be done in time is not made up for in a burst.
        credit = credit.min(50.0);
        while credit >= 2.0 {
            let place = number % ids.len();
            let node = &nodes[place % NODES];
            node.delete_endpoint(&ids[place]).await?;
            add(node, place).await?;
            shared.changed.fetch_add(2, Relaxed);
            (number, credit) = (number + 1, credit - 2.0);
        }
        sleep(LOOK).await;
    }
    for node in nodes {
        node.stop().await;
    }
    Ok(())
}
