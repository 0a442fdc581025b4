//! What many nodes cost each other, and how soon they find out.

use futures_util::future::join_all;

use super::*;

/// Up to so many nodes, death is found as soon as among few.
const MANY: u8 = 50;
/// So soon.
const SOON: Duration = Duration::from_secs(5);

/// So many nodes that all know each other; the last is at an address where no host answers.
async fn crowd(world: &World, count: u8) -> Vec<Gossip> {
    let nodes = join_all((1..=count).map(async |number| {
        let mut options = world.options(number);
        if number == count {
            // Of a group: no connection is ever made there.
            options.address.set_ip(IpAddr::from([239, 88, 0, number]));
        }
        Gossip::join(options).await.expect("joins")
    }))
    .await;
    for _ in 0..600 {
        let known = join_all(nodes.iter().map(async |node| node.view().await.cluster.nodes.len())).await;
        if known.iter().all(|known| *known == usize::from(count)) {
            return nodes;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("{count} nodes do not know each other");
}

/// Bytes that each sends in a second while nothing changes.
async fn idle(world: &World, nodes: usize) -> u64 {
    const SECONDS: u64 = 5;
    let before = world.transport.statistics().num_bytes_total;
    sleep(Duration::from_secs(SECONDS)).await;
    (world.transport.statistics().num_bytes_total - before) / SECONDS / nodes as u64
}

/// How a node is on all that are asked.
async fn states(nodes: &[Gossip], name: &str) -> Vec<Alive> {
    join_all(nodes.iter().map(async |node| node.engine.lock().await.machine.alive(name))).await
}

#[tokio::test(start_paused = true)]
async fn many_nodes_find_a_death_soon_and_take_nobody_else_for_silent() {
    let world = World::new();
    let mut nodes = crowd(&world, MANY).await;
    nodes.pop().expect("many").stop().await;
    sleep(SOON).await;
    let dead = states(&nodes, &format!("h{MANY}")).await;
    assert!(dead.iter().all(|alive| *alive == Alive::Dead), "{dead:?}");
    for number in 1..MANY {
        let alive = states(&nodes, &format!("h{number}")).await;
        assert!(alive.iter().all(|alive| *alive == Alive::Up), "h{number}: {alive:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_node_sends_does_not_grow_with_the_number_of_nodes() {
    let mut sent = Vec::new();
    for count in [30, 60] {
        let world = World::new();
        let nodes = crowd(&world, count).await;
        sent.push(idle(&world, nodes.len()).await);
    }
    let [few, many] = sent[..] else { panic!("of two clusters: {sent:?}") };
    assert!(few > 0 && many < few * 5 / 4, "{few} and {many} bytes in a second");
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_changes_is_told_in_few_messages() {
    let world = World::new();
    let nodes = world.of(4).await;
    nodes[0].create_network("blue", None, blue()).await.expect("made");
    agree(&nodes, 0).await;
    let messages = || world.transport.statistics().num_messages_total;
    let before = messages();
    sleep(Duration::from_secs(1)).await;
    let idle = messages() - before;
    let before = messages();
    for number in 0..200u8 {
        nodes[0].add_endpoint(&wanted(&[&format!("10.1.7.{number}")])).await.expect("added");
        sleep(Duration::from_millis(5)).await;
    }
    let busy = messages() - before;
    // Twenty times in a second three peers, each with three messages.
    assert!(busy > idle && busy <= idle + 20 * 3 * 3 * 3 / 2, "{busy} messages, idle {idle}");
    agree(&nodes, 200).await;
}

#[tokio::test(start_paused = true)]
async fn the_halves_of_a_split_find_each_other_again() {
    let world = World::new();
    let nodes = world.of(4).await;
    agree(&nodes, 0).await;
    assert_eq!(states(&nodes[..2], "h4").await, [Alive::Up; 2], "they know each other");
    let across = [(1, 3), (1, 4), (2, 3), (2, 4)].map(|(one, other)| (address(one), address(other)));
    for (one, other) in across {
        world.transport.remove_link(one, other).await;
    }
    sleep(SILENCE * 3).await;
    assert_eq!(states(&nodes[..2], "h4").await, [Alive::AgentDown; 2], "they are apart");
    assert_eq!(states(&nodes[2..], "h3").await, [Alive::Up; 2], "and whole");
    for (one, other) in across {
        world.transport.add_link(one, other).await;
    }
    sleep(Duration::from_secs(1)).await;
    for name in ["h1", "h2", "h3", "h4"] {
        assert_eq!(states(&nodes, name).await, [Alive::Up; 4], "{name}");
    }
}
