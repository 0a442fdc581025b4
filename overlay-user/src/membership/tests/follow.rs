use std::{net::IpAddr, time::Duration};

use overlay_common::MacAddr;
use proptest::{collection, prelude::*};

use super::{blue, machine, tell};
use crate::membership::{
    follow::{Followed, News},
    limits::Limits,
    liveness::RECLAIM,
    machine::{Machine, Wanted},
};

const NODES: usize = 3;

/// Something that happens.
#[derive(Clone, Debug)]
enum Deed {
    /// A node adds an endpoint.
    Add { node: usize, mac: u8, ips: Vec<u8> },
    /// A node deletes one of its endpoints.
    Delete { node: usize, which: usize },
    /// A node hears all that another has published.
    Tell { from: usize, to: usize },
    /// A node deletes a network, or makes it again.
    Network { node: usize },
    /// The watcher's time passes, in which it hears of some nodes.
    Time { seconds: u64, heard: [bool; NODES] },
    /// The watcher may have more, or less.
    Limit { endpoints: usize },
    /// A node starts again.
    Restart { node: usize, start: u64 },
}

fn deed() -> impl Strategy<Value = Deed> {
    let node = || 0..NODES;
    prop_oneof![
        8 => (node(), 0..6_u8, collection::vec(2..7_u8, 1..3))
            .prop_map(|(node, mac, ips)| Deed::Add { node, mac, ips }),
        3 => (node(), 0..9_usize).prop_map(|(node, which)| Deed::Delete { node, which }),
        9 => (node(), node()).prop_map(|(from, to)| Deed::Tell { from, to }),
        1 => node().prop_map(|node| Deed::Network { node }),
        2 => (prop_oneof![1..9_u64, Just(RECLAIM.as_secs())], any::<[bool; NODES]>())
            .prop_map(|(seconds, heard)| Deed::Time { seconds, heard }),
        1 => (1..9_usize).prop_map(|endpoints| Deed::Limit { endpoints }),
        1 => (node(), 2..9_u64).prop_map(|(node, start)| Deed::Restart { node, start }),
    ]
}

/// Some nodes, the first of which is watched.
struct World {
    nodes: Vec<Machine>,
    starts: [u64; NODES],
    now: Duration,
}

impl World {
    fn new() -> Self {
        let nodes = (1..=NODES as u8).map(|number| machine(&format!("h{number}"), number)).collect();
        let mut world = Self { nodes, starts: [1; NODES], now: Duration::ZERO };
        world.nodes[0].create_network("blue", None, blue()).expect("made");
        for to in 1..NODES {
            world.tell(0, to);
        }
        world
    }

    /// All of it, as one that was away hears it.
    fn tell(&mut self, from: usize, to: usize) {
        if from == to {
            return;
        }
        drop(self.nodes[from].take_changes());
        let (name, start) = (self.nodes[from].name().to_owned(), self.starts[from]);
        let records: Vec<_> =
            self.nodes[from].own().map(|(key, record)| (key.to_string(), record.text())).collect();
        let known = self.nodes[to].known().part(&name).into_iter().flat_map(|part| part.records.keys());
        let known: Vec<String> = known.map(ToString::to_string).collect();
        let gone = known.iter().filter(|key| !records.iter().any(|(own, _)| own == *key));
        for key in gone {
            self.nodes[to].learn(&name, start, key, None);
        }
        // A node's own record, which sorts last by no means, is heard last.
        let (last, others): (Vec<_>, Vec<_>) = records.iter().partition(|(key, _)| key == "node");
        for (key, text) in others.into_iter().chain(last) {
            self.nodes[to].learn(&name, start, key, Some(text));
        }
        self.nodes[to].heard(&name);
    }

    fn happens(&mut self, deed: Deed) {
        match deed {
            Deed::Add { node, mac, ips } => {
                let ips = ips.iter().map(|number| IpAddr::from([10, 1, 0, *number])).collect();
                let mac = Some(MacAddr::new([2, 0, 0, 0, 0, mac]));
                let wanted = Wanted { network: "blue".to_owned(), ips, mac, name: None };
                // It may be known to be taken.
                let _refused = self.nodes[node].add_endpoint(wanted);
            }
            Deed::Delete { node, which } => {
                let own = self.nodes[node].own().filter_map(|(key, _)| key.endpoint()).cloned();
                if let Some(id) = own.skip(which % 3).last() {
                    self.nodes[node].delete_endpoint(&id).expect("its own");
                }
            }
            Deed::Tell { from, to } => self.tell(from, to),
            Deed::Network { node } => {
                if self.nodes[node].delete_network("blue").is_err() {
                    let _is_there = self.nodes[node].create_network("blue", None, blue());
                }
            }
            Deed::Time { seconds, heard } => {
                for _ in 0..seconds.min(20) {
                    self.now += Duration::from_secs(seconds) / seconds.min(20) as u32;
                    self.nodes[0].tick(self.now);
                }
                for (node, _) in heard.iter().enumerate().skip(1).filter(|(_, heard)| **heard) {
                    self.nodes[0].heard(&format!("h{}", node + 1));
                }
            }
            Deed::Limit { endpoints } => self.nodes[0].set_limits(Limits { endpoints, networks: 9 }),
            Deed::Restart { node, start } => {
                self.starts[node] = self.starts[node].max(start);
                self.nodes[node].restart(self.starts[node]);
            }
        }
    }
}

proptest! {
    #[test]
    fn what_is_followed_is_what_all_makes(deeds in collection::vec(deed(), 1..80)) {
        let mut world = World::new();
        let mut followed = Followed::default();
        for deed in deeds {
            world.happens(deed.clone());
            let before = followed.view().cluster.endpoints.clone();
            let news = world.nodes[0].follow(&mut followed);
            prop_assert_eq!(followed.view(), &world.nodes[0].view(), "after {:?}", deed);
            if let News::Endpoints(changes) = news {
                let now = &followed.view().cluster.endpoints;
                for (id, endpoint) in &changes {
                    prop_assert_eq!(now.get(id), endpoint.as_ref());
                    prop_assert_ne!(before.get(id), endpoint.as_ref());
                }
                let others = |id: &&_| !changes.contains_key(*id);
                prop_assert!(before.keys().filter(others).eq(now.keys().filter(others)), "after {:?}", deed);
            }
        }
    }
}

#[test]
fn a_change_of_an_endpoint_is_told_as_that() {
    let (mut one, mut two) = (machine("h1", 1), machine("h2", 2));
    one.create_network("blue", None, blue()).expect("made");
    tell(&mut one, &mut two);
    tell(&mut two, &mut one);
    let mut followed = Followed::default();
    assert_eq!(one.follow(&mut followed), News::All, "the first");
    let id = two.add_endpoint(super::wanted(&["10.1.0.2"])).expect("free");
    tell(&mut two, &mut one);
    let News::Endpoints(changes) = one.follow(&mut followed) else { panic!("nothing else has changed") };
    assert_eq!(changes.keys().collect::<Vec<_>>(), [&id]);
    assert_eq!(one.follow(&mut followed), News::Endpoints([].into()), "nothing has");
}
