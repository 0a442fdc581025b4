//! A cluster that has all the endpoints it may have: it takes no more, and what it has goes on.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, TryRecvError, channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use overlay_tests::{Lab, Netns, add_address, figure, inside, output_within};
use overlay_user::{
    gossip::{JoinToken, KeyRing, SealedTransport, Security, SharedRing},
    membership::{
        limits::Limits,
        machine::{MOST_ENDPOINTS, Wanted},
    },
    source::gossip::{Gossip, Options},
};
use tokio::{runtime::Builder, time::sleep};

use crate::{
    fleet::{BLUE, Fleet, millis, until},
    ring::Ring,
};

/// Engines without an agent.
const NODES: usize = Limits::GOSSIP.endpoints.div_ceil(MOST_ENDPOINTS);
const PORT: u16 = 7950;
/// How long the engines may take to publish all.
const FILLED: Duration = Duration::from_mins(4);
/// How long the agents may take to follow what came last.
const FOLLOWED: Duration = Duration::from_secs(30);
/// How long a command may take that is to be refused.
const REFUSED: Duration = Duration::from_secs(15);

fn vtep(number: usize) -> IpAddr {
    Ipv4Addr::new(10, 88, 0, 101 + number as u8).into()
}

fn address(number: usize) -> IpAddr {
    Ipv4Addr::from_bits(Ipv4Addr::new(10, 1, 64, 0).to_bits() + number as u32).into()
}

/// Nodes that are nothing but engines, and publish so many endpoints; dropped, they end.
struct Crowd {
    delete: Option<Sender<()>>,
    filled: Receiver<()>,
    thread: Option<JoinHandle<()>>,
    _netns: Netns,
}

impl Crowd {
    fn start(lab: &Lab, endpoints: usize) -> Self {
        let netns = Netns::new_over("ovt-full-crowd").expect("a namespace");
        lab.underlay.attach(&netns, "eth0", vtep(0), 24, "crowd").expect("a cable");
        (1..NODES).for_each(|number| add_address(&netns, "eth0", vtep(number), 24).expect("added"));
        let token = lab.hosts[1].join.as_ref().expect("a token").parse().expect("a token");
        let (path, (delete, deletions), (tell, filled)) = (netns.path(), channel(), channel());
        let dir = lab.hosts[1].dir.join("crowd");
        let thread = thread::spawn(move || {
            inside(&path, move || {
                let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(live(&token, &dir, endpoints, (&tell, &deletions)));
            })
            .expect("entered");
        });
        Self { delete: Some(delete), filled, thread: Some(thread), _netns: netns }
    }

    /// Has one endpoint deleted.
    fn delete_one(&self) {
        self.delete.as_ref().expect("it lives").send(()).expect("it lives");
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.delete = None;
        // A panic in the thread was printed when it happened.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

async fn live(
    token: &JoinToken,
    dir: &Path,
    endpoints: usize,
    (filled, deletions): (&Sender<()>, &Receiver<()>),
) {
    let mut nodes = Vec::new();
    for number in 0..NODES {
        let ring: SharedRing = KeyRing::unkept(token.key().clone()).into();
        let counters = Arc::default();
        let transport = SealedTransport::new(Security::Ring(ring.clone()), Arc::clone(&counters));
        let options = Options {
            node: format!("n{number}"),
            vteps: vec![vtep(number)],
            address: SocketAddr::new(vtep(number), PORT),
            seeds: token.seeds().to_vec(),
            state_dir: dir.join(number.to_string()),
            transport: Arc::new(transport.clone()),
            ring: Some(ring),
            counters,
            rtts: Arc::new(move || transport.rtts()),
        };
        let node = Gossip::join(options).await.expect("joins");
        while !node.look_at(|cluster| cluster.networks.contains_key(BLUE)).await {
            sleep(Duration::from_millis(20)).await;
        }
        nodes.push(node);
    }
    let mut ids = Vec::new();
    for number in 0..endpoints {
        let wanted = Wanted { network: BLUE.to_owned(), ips: vec![address(number)], mac: None, name: None };
        ids.push(nodes[number / MOST_ENDPOINTS].add_endpoint(&wanted).await.expect("there is room"));
        // The engines have turns to take, which nothing else yields to.
        tokio::task::yield_now().await;
    }
    filled.send(()).expect("somebody waits");
    loop {
        match deletions.try_recv() {
            Ok(()) => nodes[0].delete_endpoint(&ids[0]).await.expect("its own"),
            Err(TryRecvError::Empty) => sleep(Duration::from_millis(20)).await,
            Err(TryRecvError::Disconnected) => break,
        }
    }
    for node in nodes {
        node.stop().await;
    }
}

fn wait_for(fleet: &Fleet, count: usize) -> Duration {
    let all = || fleet.all().all(|host| fleet.status(host).counts.endpoints == count);
    until(&format!("{count} endpoints are on all"), FOLLOWED, all)
}

#[test]
fn a_full_cluster_takes_no_more_and_what_it_has_goes_on() {
    let mut fleet = Fleet::new("full", 2);
    fleet.populate();
    let (most, hosts) = (Limits::GOSSIP.endpoints, fleet.all().collect::<Vec<_>>());
    let own = fleet.list(0).len();
    let ring = Ring::start(&fleet, &hosts);
    let crowd = Crowd::start(&fleet.lab, most - own);
    crowd.filled.recv_timeout(FILLED).expect("all are published");
    figure(
        "full",
        &format!("from the last of {most} endpoints until all have all"),
        millis(wait_for(&fleet, most)),
    );
    assert_eq!(fleet.fdb(0).len(), most, "in the kernel, too");

    let container = Netns::new_over("ovt-full-c").expect("a namespace");
    let add = |host: usize| {
        let mut command = fleet.lab.hosts[host].overlay();
        let path = container.path();
        command.args(["endpoint", "add", "--network", BLUE, "--ip", "10.1.250.1", "--netns"]).arg(path);
        output_within(&mut command, REFUSED).expect("it ends")
    };
    let refused = add(0);
    let said = String::from_utf8_lossy(&refused.stderr).trim().to_owned();
    assert!(!refused.status.success(), "{said}");
    assert!(said.contains(&format!("{most} endpoints")) && said.contains("etcd"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(!container.ip("link show").expect("listed").contains("veth"), "nothing is half-made");
    assert_eq!(fleet.status(0).counts.endpoints, most);

    // The control: where one has gone, there is room for it.
    crowd.delete_one();
    wait_for(&fleet, most - 1);
    let added = add(0);
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    wait_for(&fleet, most);
    let carried = ring.stop();
    figure("full", "lost between the endpoints that it had", carried.figure());
    carried.assert_whole("a full cluster");
}
