//! Many connections at once, and what becomes of the others.

use super::*;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// More connections than the server has places for.
const CROWD: usize = 1000;

/// Lets this process hold both ends of so many connections.
fn allow_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let needed = 3 * CROWD as u64;
    if limit.current.is_some_and(|current| current < needed) {
        let raised = Rlimit { current: limit.maximum.map(|most| most.min(needed)), ..limit };
        setrlimit(Resource::Nofile, raised).expect("the limit is raised");
    }
}

async fn crowd(server: &Server, says: &[u8]) -> Vec<UnixStream> {
    let mut crowd = Vec::with_capacity(CROWD);
    for _ in 0..CROWD {
        let mut stream = UnixStream::connect(server.path()).await.expect("it listens");
        // Who lost its place already cannot be written to.
        let _closed = stream.write_all(says).await;
        crowd.push(stream);
    }
    crowd
}

#[tokio::test]
async fn a_thousand_half_open_connections_leave_the_agent_answering() {
    allow_descriptors();
    let server = server();
    for says in [&b""[..], b"GET /v1/sta", b"GET /v1/status HTTP/1.1\r\nhost: x\r\n\r\n"] {
        let held = crowd(&server, says).await;
        for _ in 0..3 {
            server.client().get::<Status>("/v1/status").await.expect("it answers");
        }
        drop(held);
        server.client().get::<Status>("/v1/status").await.expect("it answers");
    }
}

#[tokio::test]
async fn bodies_that_never_come_leave_the_agent_answering() {
    allow_descriptors();
    let server = Server::start_for(Admins::nobody(), Duration::from_secs(30));
    let held = crowd(&server, b"POST /v1/networks HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n").await;
    server.client().get::<Status>("/v1/status").await.expect("it answers");
    drop(held);
}
