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
    let mut last = String::new();
    loop {
        sleep(PERIOD).await;
        let silent: Vec<(String, SocketAddr)> = {
            let engine = gossip.engine.lock().await;
            let silent = engine.machine.silent();
            let silent = silent.filter_map(|name| Some((name.to_owned(), engine.address(name)?))).collect();
            next(silent, &last)
        };
        if let Some((name, _)) = silent.last() {
            last.clone_from(name);
        }
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

/// Whom to ask, of all in the order of their names: those after the last that was asked, so that everybody has a turn.
fn next(mut silent: Vec<(String, SocketAddr)>, last: &str) -> Vec<(String, SocketAddr)> {
    let asked = silent.partition_point(|(name, _)| name.as_str() <= last);
    silent.rotate_left(asked);
    silent.truncate(MOST);
    silent
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

#[cfg(test)]
mod tests {
    use super::*;

    fn silent(count: usize) -> Vec<(String, SocketAddr)> {
        (0..count).map(|number| (format!("h{number:03}"), SocketAddr::from(([192, 0, 2, 1], 7950)))).collect()
    }

    #[test]
    fn of_more_than_are_asked_at_a_time_everybody_has_a_turn() {
        let all = silent(3 * MOST - 10);
        let (mut asked, mut last) = (std::collections::BTreeSet::new(), String::new());
        for _ in 0..3 {
            let turn = next(all.clone(), &last);
            assert_eq!(turn.len(), MOST);
            last = turn.last().expect("some").0.clone();
            asked.extend(turn);
        }
        assert_eq!(asked.len(), all.len());
        assert_eq!(next(silent(3), &last), silent(3), "of few, all");
        assert_eq!(next(Vec::new(), &last), []);
    }
}
