//! Bytes on the agent's socket, as any user who may open it sends them: framing, descriptors, HTTP, routes, bodies.

use std::{
    cell::OnceCell,
    fs::{self, File},
    io::IoSlice,
    mem::MaybeUninit,
    os::fd::{AsFd as _, BorrowedFd},
    time::Duration,
};

use overlay_user::{
    api::{
        access::Admins,
        server::{Answer, Control, Refusal, serve},
        socket::ApiSocket,
        socket_path,
        types::{
            Accepted, Change, DropInfo, EndpointAdd, EndpointInfo, IpamFault, IpamInfo, KeyInfo, KeyInstall,
            KeyInstalled, NetworkCreate, NetworkInfo, NodeInfo, Reserve, Row, Status, Table,
        },
    },
    netns::NamespaceFds,
};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use tempfile::TempDir;
use tokio::{
    io::AsyncReadExt as _, io::AsyncWriteExt as _, net::UnixStream, runtime::Runtime, time::timeout,
};

use crate::Decoder;

/// A byte that says how many descriptors come, one that says where what is sent is cut in two, and what is sent.
pub(crate) const REQUESTS: Decoder = Decoder {
    name: "requests",
    longest: 512,
    words: &[
        "GET ",
        "POST ",
        "DELETE ",
        " HTTP/1.1\r\n",
        "Content-Length: ",
        "Transfer-Encoding: chunked\r\n",
        "Host: x\r\n",
        "Expect: 100-continue\r\n",
        "\r\n\r\n",
        "/v1/status",
        "/v1/networks",
        "/v1/endpoints",
        "/v1/dump/",
        "%2e",
        "0\r\n\r\n",
    ],
    seeds,
    read,
};

/// How long an answer may take on a busy machine: less than libFuzzer's time for an input.
const PATIENCE: Duration = Duration::from_secs(5);
/// More descriptors than a connection may bring.
const MOST_FDS: usize = 4;

fn seeds() -> Vec<Vec<u8>> {
    let body = r#"{"network":"blue","ifname":"eth0","netns":"/run/netns/c1"}"#;
    let add =
        format!("POST /v1/endpoints HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let chunked = "POST /v1/networks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{\"name\":\r\n4\r\n\"r\"}\r\n0\r\n\r\n";
    let of = |fds: u8, cut: u8, text: &str| [&[fds, cut], text.as_bytes()].concat();
    vec![
        of(0, 9, "GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/dump/fdb HTTP/1.0\r\n\r\n"),
        of(0, 40, "DELETE /v1/endpoints/blue.02420a010001 HTTP/1.1\r\nHost: x\r\n\r\n"),
        of(2, 60, &add),
        of(4, 0, &add),
        of(0, 80, chunked),
    ]
}

/// An agent that has nothing and refuses everything.
#[derive(Clone, Copy)]
struct Nothing;

fn refused<T>() -> Answer<T> {
    Err(Refusal::conflict("nothing is here"))
}

impl Control for Nothing {
    async fn status(&self) -> Answer<Status> {
        refused()
    }
    async fn networks(&self) -> Answer<Vec<NetworkInfo>> {
        Ok(Vec::new())
    }
    async fn network(&self, _: String) -> Answer<NetworkInfo> {
        refused()
    }
    async fn network_create(&self, _: NetworkCreate) -> Answer<NetworkInfo> {
        refused()
    }
    async fn network_delete(&self, _: String) -> Answer<()> {
        Ok(())
    }
    async fn endpoints(&self) -> Answer<Vec<EndpointInfo>> {
        Ok(Vec::new())
    }
    async fn endpoint(&self, _: String) -> Answer<EndpointInfo> {
        refused()
    }
    async fn endpoint_add(&self, _: EndpointAdd, _: NamespaceFds) -> Answer<EndpointInfo> {
        refused()
    }
    async fn endpoint_delete(&self, _: String) -> Answer<()> {
        Ok(())
    }
    async fn nodes(&self) -> Answer<Vec<NodeInfo>> {
        Ok(Vec::new())
    }
    async fn events(&self) -> Answer<Vec<Change>> {
        Ok(Vec::new())
    }
    async fn ipam(&self) -> Answer<Vec<IpamInfo>> {
        Ok(Vec::new())
    }
    async fn ipam_check(&self) -> Answer<Vec<IpamFault>> {
        Ok(Vec::new())
    }
    async fn ipam_reserve(&self, _: String, _: Reserve) -> Answer<IpamInfo> {
        refused()
    }
    async fn accept(&self) -> Answer<Accepted> {
        refused()
    }
    async fn keys(&self) -> Answer<Vec<KeyInfo>> {
        Ok(Vec::new())
    }
    async fn key_install(&self, _: KeyInstall) -> Answer<KeyInstalled> {
        refused()
    }
    async fn key_use(&self, _: String) -> Answer<Vec<KeyInfo>> {
        refused()
    }
    async fn key_remove(&self, _: String) -> Answer<()> {
        Ok(())
    }
    async fn drops(&self) -> Answer<Vec<DropInfo>> {
        Ok(Vec::new())
    }
    async fn dump(&self, _: Table) -> Answer<Vec<Row>> {
        Ok(Vec::new())
    }
}

/// The server, on the thread that asks it: each input runs in one order.
struct Server {
    runtime: Runtime,
    dir: TempDir,
    null: File,
}

impl Server {
    fn start() -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().event_interval(1).build()?;
        let dir = tempfile::tempdir()?;
        let null = File::open("/dev/null")?;
        let inside = runtime.enter();
        let socket = ApiSocket::bind(dir.path(), None).map_err(std::io::Error::other)?;
        let admins = Admins::resolve(&[]).map_err(std::io::Error::other)?;
        runtime.spawn(serve(socket, Nothing, admins, std::future::pending()));
        drop(inside);
        Ok(Self { runtime, dir, null })
    }

    /// What the server answers up to its closing the connection; whether it did.
    async fn exchange(&self, fds: usize, parts: [&[u8]; 2]) -> std::io::Result<Option<Vec<u8>>> {
        let mut stream = UnixStream::connect(socket_path(self.dir.path())).await?;
        let fds = vec![self.null.as_fd(); fds];
        send(&stream, parts[0], &fds)?;
        // The server is to see the first part by itself.
        let_server_run().await;
        // It may close before it has read all.
        let _cut_short = stream.write_all(parts[1]).await;
        // Of a request that is under way when its client ends, nothing comes any more.
        let_server_run().await;
        let _closed = stream.shutdown().await;
        let mut answer = Vec::new();
        match timeout(PATIENCE, stream.read_to_end(&mut answer)).await {
            Ok(_reset) => Ok(Some(answer)),
            Err(_) => Ok(None),
        }
    }
}

/// Gives the server turns enough to accept, to read, to do and to answer.
async fn let_server_run() {
    for _ in 0..16 {
        tokio::task::yield_now().await;
    }
}

/// Sends bytes in one message, and descriptors with them.
fn send(stream: &UnixStream, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> std::io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(fds));
    }
    rustix::net::sendmsg(stream, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Open descriptors of this process.
fn open_fds() -> usize {
    fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

thread_local! {
    static SERVER: OnceCell<Server> = const { OnceCell::new() };
}

fn read(input: &[u8]) -> bool {
    let [fds, cut, sent @ ..] = input else { return false };
    let fds = usize::from(*fds) % (MOST_FDS + 1);
    // A message without a byte carries nothing.
    let cut = usize::from(*cut).clamp(1, sent.len().max(1)).min(sent.len());
    if cut == 0 {
        return false;
    }
    SERVER.with(|server| {
        let server =
            server.get_or_init(|| Server::start().unwrap_or_else(|error| panic!("no server: {error}")));
        let before = open_fds();
        let answer = server.runtime.block_on(server.exchange(fds, [&sent[..cut], &sent[cut..]]));
        let answer = answer.unwrap_or_else(|error| panic!("no connection: {error}"));
        let answer = answer.unwrap_or_else(|| panic!("the server answers nothing and does not close"));
        // The server lets go of a connection once it has run again.
        server.runtime.block_on(let_server_run());
        assert!(open_fds() <= before, "{} descriptors are left", open_fds() - before);
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1."), "{}", String::from_utf8_lossy(&answer));
        !answer.is_empty()
    })
}
