//! Asks the hosts of silent nodes whether they are there.
//!
//! An agent that is gone has not taken its host along, and what the kernel forwards there it goes on forwarding. A host
//! that is there refuses a connection to a port that nobody listens on, which needs no rights to ask and no answerer.

use std::{io::ErrorKind, net::SocketAddr, time::Duration};

use tokio::{
    net::TcpStream,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::Gossip;

/// How often silent nodes are asked.
const PERIOD: Duration = Duration::from_millis(500);
/// So long an answer may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// So many are asked at a time.
const MOST: usize = 64;

/// Asks for as long as the engine lives.
pub(super) async fn run(gossip: Gossip) {
    loop {
        sleep(PERIOD).await;
        let silent: Vec<(String, SocketAddr)> = {
            let engine = gossip.engine.lock().await;
            let silent = engine.machine.silent();
            silent.filter_map(|name| Some((name.to_owned(), engine.address(name)?))).take(MOST).collect()
        };
        let mut asked = JoinSet::new();
        for (name, address) in silent {
            asked.spawn(async move { answers(address).await.then_some(name) });
        }
        while let Some(answer) = asked.join_next().await {
            if let Ok(Some(name)) = answer {
                gossip.engine.lock().await.machine.answered(&name);
            }
        }
    }
}

/// Whether a host answers at all. Nobody listens on the TCP port of the gossip's number; if somebody does, that is an
/// answer too.
async fn answers(address: SocketAddr) -> bool {
    match timeout(PATIENCE, TcpStream::connect(address)).await {
        Ok(Ok(_connected)) => true,
        Ok(Err(error)) => error.kind() == ErrorKind::ConnectionRefused,
        Err(_late) => false,
    }
}
