//! The client against the server, over a real socket, with a fake behind it.

mod access;
mod crowd;
mod fake;
mod openapi;

use super::{
    access::Admins,
    client::{ATTACH_TIMEOUT, Client, ClientError, TIMEOUT, segment},
    fds::{recv_with_fds, send_with_fds},
    server::serve_with,
    socket::ApiSocket,
    socket_path,
    types::{
        Change, DropInfo, EndpointAdd, EndpointInfo, IpamInfo, KeyInfo, NetworkCreate, NetworkInfo, NodeInfo,
        Row, Status,
    },
};
use fake::{Fake, blue, change, drops, ipam, key, node, rows, status, web};
use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::fd::{AsFd as _, OwnedFd},
    path::PathBuf,
    time::Duration,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    task::JoinHandle,
};

struct Server {
    dir: TempDir,
    task: JoinHandle<std::io::Result<()>>,
}

impl Server {
    fn start(lifetime: Duration) -> Self {
        Self::start_for(Admins::resolve(&[]).expect("root and we"), lifetime)
    }

    fn start_for(admins: Admins, lifetime: Duration) -> Self {
        Self::start_with(Fake::default(), admins, lifetime)
    }

    fn start_with(fake: Fake, admins: Admins, lifetime: Duration) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let socket = ApiSocket::bind(dir.path(), None).expect("a socket");
        let task = tokio::spawn(serve_with(socket, fake, admins, std::future::pending(), lifetime));
        Self { dir, task }
    }

    fn path(&self) -> PathBuf {
        socket_path(self.dir.path())
    }

    fn client(&self) -> Client {
        Client::new(self.path())
    }

    /// What the server answers to raw bytes, up to its closing the connection.
    async fn raw(&self, request: &[u8]) -> String {
        let mut stream = UnixStream::connect(self.path()).await.expect("it listens");
        // The server may close before it has read all.
        let _cut_short = stream.write_all(request).await;
        let mut answer = Vec::new();
        let _reset = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn server() -> Server {
    Server::start(Duration::from_secs(30))
}

fn add() -> EndpointAdd {
    EndpointAdd {
        network: "blue".into(),
        ifname: "eth0".into(),
        ips: Vec::new(),
        mac: None,
        name: None,
        netns: "/run/netns/c1".into(),
    }
}

fn refusal<T: std::fmt::Debug>(result: Result<T, ClientError>) -> (u16, String) {
    let error = result.expect_err("it is refused");
    let ClientError::Refused { status, message } = error else { panic!("another error: {error}") };
    (status, message)
}

#[tokio::test]
async fn every_route_answers_with_its_type() {
    let server = server();
    let client = server.client();
    assert_eq!(client.get::<Status>("/v1/status").await.expect("status"), status());
    assert_eq!(client.get::<Vec<NetworkInfo>>("/v1/networks").await.expect("networks"), [blue()]);
    assert_eq!(client.get::<NetworkInfo>("/v1/networks/blue").await.expect("network"), blue());
    assert_eq!(client.get::<Vec<EndpointInfo>>("/v1/endpoints").await.expect("endpoints"), [web()]);
    let path = format!("/v1/endpoints/{}", segment(&web().id));
    assert_eq!(client.get::<EndpointInfo>(&path).await.expect("endpoint"), web());
    assert_eq!(client.get::<Vec<NodeInfo>>("/v1/nodes").await.expect("nodes"), [node()]);
    assert_eq!(client.get::<Vec<Change>>("/v1/events").await.expect("events"), [change()]);
    assert_eq!(client.get::<Vec<IpamInfo>>("/v1/ipam").await.expect("addresses"), [ipam()]);
    assert_eq!(client.get::<Vec<KeyInfo>>("/v1/keys").await.expect("keys"), [key()]);
    assert_eq!(client.get::<Vec<DropInfo>>("/v1/drops").await.expect("drops"), drops());
    for table in ["fdb", "neigh", "vteps", "ports", "flood"] {
        let answer: Vec<Row> = client.get(&format!("/v1/dump/{table}")).await.expect("a table");
        let table = serde_json::from_value(table.into()).expect("a table");
        assert_eq!(answer, rows(table));
    }
    client.delete("/v1/networks/blue").await.expect("deleted");
}

#[tokio::test]
async fn refusals_keep_their_status_and_words() {
    let server = server();
    let client = server.client();
    let unknown = client.get::<NetworkInfo>(&format!("/v1/networks/{}", segment("no such/net?"))).await;
    assert_eq!(refusal(unknown), (404, "network \"no such/net?\" does not exist".into()));
    let create = NetworkCreate {
        name: "red".into(),
        vni: None,
        subnets: Vec::new(),
        gateways: Vec::new(),
        mtu: None,
        encrypted: false,
    };
    let created = client.post::<NetworkInfo>("/v1/networks", &create, &[], TIMEOUT).await;
    assert_eq!(refusal(created), (409, "paste red into cluster.toml".into()));
    assert_eq!(refusal(client.delete("/v1/endpoints/x").await), (500, "the kernel refused".into()));
    assert_eq!(refusal(client.get::<Status>("/v2").await), (404, "/v2 is not in this API".into()));
    assert_eq!(refusal(client.delete("/v1/status").await), (405, "DELETE is not for /v1/status".into()));
    assert_eq!(refusal(client.get::<Status>("/v1/dump/arp").await).0, 404);
    assert_eq!(refusal(client.get::<Status>("/v1/networks/%ff").await).0, 400);
    let unknown_key = serde_json::json!({ "name": "red", "vnl": 1 });
    let (status, message) =
        refusal(client.post::<NetworkInfo>("/v1/networks", &unknown_key, &[], TIMEOUT).await);
    assert_eq!(status, 400);
    assert!(message.contains("vnl"), "{message}");
}

#[tokio::test]
async fn descriptors_arrive_with_their_request() {
    let server = server();
    let route =
        rustix::net::socket(rustix::net::AddressFamily::NETLINK, rustix::net::SocketType::DGRAM, None)
            .expect("an rtnetlink socket");
    let netns = File::open("/proc/self/ns/net").expect("our namespace");
    // Both are what they must be and in their order, or else the refusal would be another one.
    let own = [route.as_fd(), netns.as_fd()];
    let answer = server.client().post::<EndpointInfo>("/v1/endpoints", &add(), &own, ATTACH_TIMEOUT).await;
    assert_eq!(
        refusal(answer),
        (
            400,
            "the namespace sent is the host's own network namespace; an endpoint needs a namespace of its own"
                .into()
        )
    );
    let swapped = [netns.as_fd(), route.as_fd()];
    for fds in [&swapped[..], &swapped[..1], &[]] {
        let answer = server.client().post::<EndpointInfo>("/v1/endpoints", &add(), fds, ATTACH_TIMEOUT).await;
        let (status, message) = refusal(answer);
        assert_eq!(status, 400);
        assert!(message.contains("must carry an rtnetlink socket and a network namespace"), "{message}");
    }
}

#[test]
fn a_pipe_works_after_its_passage_and_surplus_descriptors_are_closed() {
    let (here, there) = std::os::unix::net::UnixStream::pair().expect("a pair");
    let mut pipes: Vec<(File, OwnedFd)> = (0..3)
        .map(|_| std::io::pipe().expect("a pipe"))
        .map(|(read, write)| (File::from(OwnedFd::from(read)), OwnedFd::from(write)))
        .collect();
    for (_, write) in &pipes {
        send_with_fds(&here, b"x", &[write.as_fd()]).expect("sent");
    }
    let mut received = Vec::new();
    let mut byte = [0];
    for _ in 0..3 {
        assert_eq!(recv_with_fds(&there, &mut byte, &mut received, 2).expect("received"), 1);
    }
    assert_eq!(received.len(), 2);
    let (mut third, sent) = pipes.pop().expect("three pipes");
    drop(sent);
    // No writer is left, so reading ends: the surplus descriptor was closed.
    assert_eq!(third.read(&mut byte).expect("end of file"), 0);
    File::from(received.remove(0)).write_all(b"!").expect("written");
    pipes[0].0.read_exact(&mut byte).expect("read");
    assert_eq!(byte, *b"!");
}

#[tokio::test]
async fn garbage_is_refused_and_the_next_client_served() {
    let server = server();
    let garbage = server.raw(&[0x16, 3, 1, 0, 0xff, 0, 0, b'\n', b'\r', b'\n', b'\r', b'\n']).await;
    assert!(garbage.is_empty() || garbage.starts_with("HTTP/1.1 400"), "{garbage}");
    let mut huge = b"GET /v1/status HTTP/1.1\r\nhost: x\r\nx: ".to_vec();
    huge.resize(2 << 20, b'a');
    let huge = server.raw(&huge).await;
    assert!(huge.is_empty() || huge.starts_with("HTTP/1.1 431"), "{huge}");
    let body = vec![b' '; 100_000];
    let mut big = format!(
        "POST /v1/networks HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    big.extend(body);
    let big = server.raw(&big).await;
    assert!(big.starts_with("HTTP/1.1 413") && big.contains("\"error\""), "{big}");
    server.client().get::<Status>("/v1/status").await.expect("it still serves");
}

#[tokio::test]
async fn a_slow_client_loses_its_place() {
    let server = Server::start(Duration::from_millis(200));
    let mut slow = UnixStream::connect(server.path()).await.expect("it listens");
    slow.write_all(b"GET /v1/sta").await.expect("sent");
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(10), slow.read_to_end(&mut answer)).await;
    assert!(ended.is_ok(), "the connection stays open");
    server.client().get::<Status>("/v1/status").await.expect("it still serves");
}

#[tokio::test]
async fn without_an_agent_the_remedy_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = socket_path(dir.path());
    let expected =
        format!("agent is not running (no socket at {}); start it with `overlay agent`", path.display());
    let absent = Client::new(&path).get::<Status>("/v1/status").await.expect_err("nobody listens");
    assert_eq!(absent.to_string(), expected);
    drop(std::os::unix::net::UnixListener::bind(&path).expect("a stale socket"));
    let stale = Client::new(&path).get::<Status>("/v1/status").await.expect_err("nobody listens");
    assert_eq!(stale.to_string(), expected);
}

#[tokio::test]
async fn a_broken_answer_is_an_error_and_not_a_hang() {
    let dir = tempfile::tempdir().expect("a directory");
    let listener = tokio::net::UnixListener::bind(socket_path(dir.path())).expect("a socket");
    let server = tokio::spawn(async move {
        for answer in ["", "SSH-2.0-x\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnull"] {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut request = [0; 1024];
            let _some = stream.read(&mut request).await.expect("a request");
            stream.write_all(answer.as_bytes()).await.expect("answered");
        }
    });
    let client = Client::new(socket_path(dir.path()));
    for _ in 0..2 {
        assert!(matches!(client.get::<Status>("/").await, Err(ClientError::Broken(_))));
    }
    assert!(matches!(client.get::<Status>("/").await, Err(ClientError::BadAnswer(_))));
    server.await.expect("three clients came");
}
