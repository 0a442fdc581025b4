//! How many nodes work together, and what it takes.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use overlay_user::{
    cluster::EndpointId,
    gossip::Key,
    membership::machine::Wanted,
    source::gossip::{Gossip, definition},
};
use serde::Serialize;
use tokio::time::sleep;

use crate::node::{self, BLUE, Dir, Plan, SUBNET};

/// How long nodes may take to find each other.
const TOGETHER: Duration = Duration::from_mins(3);
/// How long a change may take to be on all.
const SPREAD: Duration = Duration::from_mins(1);
/// How often something is looked at.
const LOOK: Duration = Duration::from_millis(2);
/// Changes that are timed.
const CHANGES: usize = 20;

/// What so many nodes took.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) nodes: usize,
    /// From their start, all at once, until each knows all.
    pub(crate) joined_ms: f64,
    /// From a change until it is on all.
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// Bytes that a node sends in a second.
    pub(crate) idle_bytes: f64,
    /// The same with one change a second in the cluster.
    pub(crate) busy_bytes: f64,
    /// CPUs that all nodes keep busy while nothing changes, this measuring among it.
    pub(crate) idle_cpus: f64,
}

/// Waits until `done` is so of every node.
async fn all(
    gossips: &[Gossip],
    what: &str,
    limit: Duration,
    done: impl Fn(&Gossip, usize) -> Asked,
) -> Result<()> {
    let start = Instant::now();
    for (number, gossip) in gossips.iter().enumerate() {
        while !done(gossip, number).await {
            if start.elapsed() > limit {
                bail!("{what}: node {number} of {} not within {} s", gossips.len(), limit.as_secs());
            }
            sleep(LOOK).await;
        }
    }
    Ok(())
}

/// The answer to a look at a node.
type Asked = std::pin::Pin<Box<dyn Future<Output = bool>>>;

/// The address of the endpoint of a number, beside those of the containers.
fn address(number: usize) -> IpAddr {
    Ipv4Addr::from_bits(Ipv4Addr::new(10, 64, 0, 1).to_bits() + number as u32).into()
}

/// Adds the endpoint of a number.
pub(crate) async fn add(gossip: &Gossip, number: usize) -> Result<EndpointId> {
    let wanted = Wanted { network: BLUE.to_owned(), ips: vec![address(number)], mac: None, name: None };
    Ok(gossip.add_endpoint(&wanted).await?)
}

/// Bytes that all have sent so far.
fn sent(gossips: &[Gossip]) -> u64 {
    gossips.iter().map(|gossip| gossip.counters().sent_bytes).sum()
}

pub(crate) async fn measure(count: usize, window: Duration) -> Result<Row> {
    let dir = Dir::new(&count.to_string())?;
    let key = Key::generate().context("no key can be made")?;
    let plans: Vec<Plan> = (0..count).map(Plan::on_loopback).collect();
    let seeds = [plans[0].address];
    let start = Instant::now();
    let gossips = node::start(plans, &seeds, &key, &dir).await?;
    let together = all(&gossips, "they know each other", TOGETHER, |gossip, _| {
        let gossip = gossip.clone();
        Box::pin(async move { gossip.view().await.cluster.nodes.len() == count })
    });
    if let Err(error) = together.await {
        describe(&gossips).await;
        return Err(error);
    }
    let joined = start.elapsed();
    let subnet = SUBNET.parse().context("a subnet")?;
    gossips[0].create_network(BLUE, None, definition(vec![subnet], Vec::new(), None)).await?;
    all(&gossips, "they know the network", SPREAD, |gossip, _| {
        let gossip = gossip.clone();
        Box::pin(async move { gossip.view().await.cluster.networks.contains_key(BLUE) })
    })
    .await?;
    let mut times = Vec::new();
    for number in 0..CHANGES {
        times.push(change(&gossips, number).await?);
    }
    times.sort_unstable_by(f64::total_cmp);
    let (idle_bytes, idle_cpus) = watch(&gossips, window, None).await?;
    let (busy_bytes, _) = watch(&gossips, window, Some(CHANGES)).await?;
    for gossip in &gossips {
        gossip.stop().await;
    }
    Ok(Row {
        nodes: count,
        joined_ms: joined.as_secs_f64() * 1000.0,
        p50_ms: times[times.len() / 2],
        p99_ms: times[times.len() - 1],
        idle_bytes,
        busy_bytes,
        idle_cpus,
    })
}

/// Tells how far nodes are that do not come together.
async fn describe(gossips: &[Gossip]) {
    let mut known = Vec::new();
    for gossip in gossips {
        known.push((gossip.view().await.cluster.nodes.len(), gossip.heard().await));
    }
    known.sort_unstable();
    let [least, half, most] = [0, known.len() / 2, known.len() - 1].map(|place| known[place]);
    println!(
        "nodes that are known, and were heard: {least:?} at least, {half:?} at half of them, {most:?} at most"
    );
    println!("counters of the first: {:?}", gossips[0].counters());
    println!("counters of the last: {:?}", gossips[gossips.len() - 1].counters());
}

/// Adds an endpoint; the milliseconds until it is on all.
async fn change(gossips: &[Gossip], number: usize) -> Result<f64> {
    let owner = &gossips[number * 7 % gossips.len()];
    let id = add(owner, number).await?;
    let start = Instant::now();
    all(gossips, "they know the endpoint", SPREAD, |gossip, _| {
        let (gossip, id) = (gossip.clone(), id.clone());
        Box::pin(async move { gossip.view().await.cluster.endpoints.contains_key(&id) })
    })
    .await?;
    Ok(start.elapsed().as_secs_f64() * 1000.0)
}

/// Bytes that a node sends in a second, and the CPUs in use; with one change a second from that number on.
async fn watch(gossips: &[Gossip], window: Duration, changes: Option<usize>) -> Result<(f64, f64)> {
    let (bytes, cpu, start) = (sent(gossips), cpu_seconds(), Instant::now());
    let mut number = changes;
    while start.elapsed() < window {
        if let Some(number) = &mut number {
            add(&gossips[*number % gossips.len()], *number).await?;
            *number += 1;
        }
        sleep(Duration::from_secs(1)).await;
    }
    let seconds = start.elapsed().as_secs_f64();
    let bytes = (sent(gossips) - bytes) as f64 / seconds / gossips.len() as f64;
    Ok((bytes, (cpu_seconds() - cpu) / seconds))
}

/// CPU time of this process so far.
fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The table.
pub(crate) fn lines(rows: &[Row]) -> Vec<String> {
    let mut lines = vec![format!(
        "{:>6} {:>10} {:>18} {:>14} {:>14} {:>14} {:>10}",
        "nodes",
        "joined ms",
        "change p50/p99 ms",
        "idle B/s each",
        "1/s B/s each",
        "1/s B/s all",
        "idle CPUs"
    )];
    lines.extend(rows.iter().map(|row| {
        format!(
            "{:>6} {:>10.0} {:>18} {:>14.0} {:>14.0} {:>14.0} {:>10.2}",
            row.nodes,
            row.joined_ms,
            format!("{:.0} / {:.0}", row.p50_ms, row.p99_ms),
            row.idle_bytes,
            row.busy_bytes,
            row.busy_bytes * row.nodes as f64,
            row.idle_cpus
        )
    }));
    lines
}
