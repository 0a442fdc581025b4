//! Real sockets on loopback.

use chitchat::{
    ChitchatConfig, ChitchatHandle, ChitchatId, ChitchatMessage, FailureDetectorConfig, spawn_chitchat,
    transport::{Socket, Transport as _},
};
use tokio::{
    net::UdpSocket,
    time::{sleep, timeout},
};

use super::{
    flood::{hostile, numbers},
    *,
};
use crate::gossip::transport::SealedTransport;

/// Longer than anything takes on a busy host.
const PATIENCE: Duration = Duration::from_secs(30);

#[expect(clippy::default_trait_access, reason = "chitchat has no name for a digest")]
fn syn(name: String) -> ChitchatMessage {
    ChitchatMessage::Syn { cluster_id: name, digest: Default::default() }
}

struct Side {
    socket: Box<dyn Socket>,
    address: SocketAddr,
    transport: SealedTransport,
    counters: Arc<Counters>,
}

/// A port of loopback that is free.
async fn free() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").await.and_then(|socket| socket.local_addr()).expect("a port")
}

impl Side {
    async fn open(security: Security) -> Self {
        let counters = Arc::new(Counters::default());
        let transport = SealedTransport::new(security, Arc::clone(&counters));
        let address = free().await;
        let socket = transport.open(address).await.expect("opens");
        Self { socket, address, transport, counters }
    }

    async fn recv(&mut self) -> Option<(SocketAddr, ChitchatMessage)> {
        timeout(PATIENCE, self.socket.recv()).await.ok().map(|received| received.expect("the socket works"))
    }
}

/// Sends from one to the other, who must get it, both taking what comes meanwhile.
async fn pass(one: &mut Side, other: &mut Side, name: String) {
    one.socket.send(other.address, syn(name.clone())).await.expect("the socket works");
    let got = tokio::select! {
        got = other.recv() => got,
        _none = one.recv() => None,
    };
    assert_eq!(got, Some((one.address, syn(name))));
}

#[tokio::test]
async fn two_sockets_exchange_long_messages() {
    for security in [security(1), Security::Insecure] {
        let (mut one, mut other) = (Side::open(security.clone()).await, Side::open(security).await);
        for length in [0, 60_000, 1, 60_000] {
            pass(&mut one, &mut other, "x".repeat(length)).await;
            pass(&mut other, &mut one, "y".repeat(length)).await;
        }
        assert_eq!(one.transport.rtts().keys().collect::<Vec<_>>(), [&other.address]);
        let (one, other) = (one.counters.snapshot(), other.counters.snapshot());
        assert_eq!((one.sent, one.sent_bytes), (other.received, other.received_bytes));
        assert_eq!((other.refused(), other.unread, other.unsent), (0, 0, 0));
    }
}

#[tokio::test]
async fn keys_change_while_sockets_exchange() {
    let rings = [shared(1), shared(1)];
    let mut one = Side::open(Security::Ring(rings[0].clone())).await;
    let mut other = Side::open(Security::Ring(rings[1].clone())).await;
    let steps: [fn(&SharedRing); 4] = [
        |_| {},
        |ring| ring.install(key(2)).expect("room"),
        |ring| ring.use_key(key(2).id()).expect("there"),
        |ring| ring.remove(key(1).id()).expect("not in use"),
    ];
    for (number, step) in steps.into_iter().enumerate() {
        for ring in &rings {
            step(ring);
            for round in 0..20 {
                pass(&mut one, &mut other, format!("{number}.{round}")).await;
                pass(&mut other, &mut one, format!("{number}.{round}")).await;
            }
        }
    }
    for counters in [one.counters.snapshot(), other.counters.snapshot()] {
        assert_eq!(counters.refused(), 0, "{counters:?}");
    }
}

#[tokio::test]
async fn sending_to_nowhere_is_no_error() {
    let mut one = Side::open(Security::Insecure).await;
    for to in ["127.0.0.1:1", "0.0.0.0:0", "[2001:db8::1]:1", "255.255.255.255:9"] {
        let to = to.parse().expect("an address");
        one.socket.send(to, syn("x".to_owned())).await.expect("lost, no more");
    }
    assert!(one.counters.snapshot().unsent > 0);
    let mut other = Side::open(Security::Insecure).await;
    pass(&mut one, &mut other, "the control".to_owned()).await;
}

#[tokio::test]
async fn what_is_no_message_is_counted() {
    let (mut one, mut other) = (Side::open(security(1)).await, Side::open(security(1)).await);
    // chitchat reads a name of any length, but not after what is no digest.
    let mut core = Core::new(security(1), Arc::default()).expect("random numbers");
    let raw = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    let mut buffer = vec![0; 2000];
    let (counters, mut going) =
        (Arc::clone(&other.counters), core.send(Duration::ZERO, other.address, b"no message"));
    while !going.is_empty() {
        for datagram in &going {
            raw.send_to(datagram, other.address).await.expect("sent");
        }
        let length = tokio::select! {
            _none = other.recv() => panic!("it is no message"),
            length = raw.recv(&mut buffer) => length.expect("an answer"),
            () = wait_for(&counters, |snapshot| snapshot.unread > 0) => break,
        };
        going = core.receive(Duration::ZERO, other.address, &mut buffer[..length]).replies;
    }
    assert_eq!(other.counters.snapshot().unread, 1);
    pass(&mut one, &mut other, "the control".to_owned()).await;
}

async fn wait_for(counters: &Counters, is_it: impl Fn(&crate::gossip::Snapshot) -> bool) {
    while !is_it(&counters.snapshot()) {
        sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_flood_does_not_keep_others_from_their_turn() {
    let (mut one, mut other) = (Side::open(security(1)).await, Side::open(security(1)).await);
    pass(&mut one, &mut other, "before".to_owned()).await;
    let hostile_to = other.address;
    let recorded = Core::new(security(1), Arc::default()).expect("random numbers").send(
        Duration::ZERO,
        hostile_to,
        b"x",
    );
    let flood = tokio::spawn(async move {
        let raw = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let mut numbers = numbers();
        loop {
            // What the host has no room for is as good as sent.
            let _sent = raw.send_to(&hostile(&mut numbers, &recorded), hostile_to).await;
        }
    });
    let mut turns = 0;
    let mut tick = tokio::time::interval(Duration::from_millis(1));
    while turns < 50 || other.counters.snapshot().received < 5000 {
        tokio::select! {
            got = other.socket.recv() => panic!("{got:?}"),
            _ = tick.tick() => turns += 1,
        }
    }
    flood.abort();
    let counters = other.counters.snapshot();
    assert_eq!(counters.received, counters.opened + counters.refused());
    pass(&mut one, &mut other, "after".to_owned()).await;
}

async fn chitchat(name: &str, security: Security, seed: Option<SocketAddr>) -> (ChitchatHandle, SocketAddr) {
    let address = free().await;
    let config = ChitchatConfig {
        chitchat_id: ChitchatId::new(name, 0, address),
        cluster_id: "overlay".to_owned(),
        gossip_interval: Duration::from_millis(20),
        listen_addr: address,
        seed_nodes: seed.iter().map(ToString::to_string).collect(),
        failure_detector_config: FailureDetectorConfig::default(),
        marked_for_deletion_grace_period: PATIENCE,
        catchup_callback: None,
        extra_liveness_predicate: None,
    };
    let values = vec![("key".to_owned(), "v".repeat(50_000))];
    let transport = SealedTransport::new(security, Arc::default());
    (spawn_chitchat(config, values, &transport).await.expect("gossips"), address)
}

async fn known(handle: &ChitchatHandle) -> Vec<String> {
    let chitchat = handle.chitchat();
    let chitchat = chitchat.lock().await;
    let whole = chitchat.node_states().iter().filter(|(_, state)| state.get("key").is_some());
    whole.map(|(id, _)| (*id.node_id).to_owned()).collect()
}

#[tokio::test]
async fn chitchat_gossips_among_those_who_have_the_key() {
    let (one, seed) = chitchat("h1", security(1), None).await;
    let (two, _) = chitchat("h2", security(1), Some(seed)).await;
    let (stranger, _) = chitchat("h3", security(2), Some(seed)).await;
    let all = timeout(PATIENCE, async {
        while known(&one).await != ["h1", "h2"] || known(&two).await != ["h1", "h2"] {
            sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(all.await.is_ok(), "{:?} and {:?}", known(&one).await, known(&two).await);
    assert_eq!(known(&stranger).await, ["h3"]);
    for handle in [one, two, stranger] {
        handle.shutdown().await.expect("ends");
    }
}
