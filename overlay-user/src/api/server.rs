//! The server of the API: what the agent answers, and how clients are kept from holding it up.

use super::{
    access::{Admins, Caller},
    fdstream::{Connection, FdStream},
    places::Places,
    router::router,
    socket::ApiSocket,
    types::{
        Accepted, Change, DropInfo, EndpointAdd, EndpointInfo, IpamFault, IpamInfo, KeyInfo, KeyInstall,
        KeyInstalled, NetworkCreate, NetworkInfo, NodeInfo, Reserve, Row, Status, Table,
    },
};
use crate::netns::NamespaceFds;
use axum::{
    extract::connect_info::Connected,
    http::Method,
    serve::{IncomingStream, Listener},
};
use std::{future::Future, io, time::Duration};

/// How many clients are served at once; who comes then gets the place of one that asks nothing.
const MAX_CONNECTIONS: usize = 256;

/// How long a connection may live: longer than any request takes.
const LIFETIME: Duration = Duration::from_secs(30);

/// How long open connections may take to end once the agent stops.
const GRACE: Duration = Duration::from_secs(1);

/// Why the agent does not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status: 400, 403, 404, 405, 409, 413, 500 or 503.
    pub status: u16,
    /// What is wrong and what to do, in one sentence.
    pub message: String,
}

impl Refusal {
    /// The request is wrong in itself.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self { status: 400, message: message.into() }
    }

    /// It is for administrators.
    pub(super) fn forbidden(verb: &Method, uid: u32) -> Self {
        let message = format!(
            "{verb} is for administrators, and uid {uid} may only read; \
             run it as root, or add {uid} to api.admins in overlay.toml and restart the agent"
        );
        Self { status: 403, message }
    }

    /// There is no such thing.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self { status: 404, message: message.into() }
    }

    /// It does not fit the present state.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self { status: 409, message: message.into() }
    }

    /// It went wrong.
    pub fn failed(message: impl Into<String>) -> Self {
        Self { status: 500, message: message.into() }
    }

    /// It is not possible yet.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self { status: 503, message: message.into() }
    }
}

/// The answer to a request.
pub type Answer<T> = Result<T, Refusal>;

/// What the agent answers.
///
/// A handler may be dropped at any await, when its client goes away; what must be done as a whole belongs into
/// a task of its own.
pub trait Control: Clone + Send + Sync + 'static {
    /// How the node is.
    fn status(&self) -> impl Future<Output = Answer<Status>> + Send;
    /// All networks.
    fn networks(&self) -> impl Future<Output = Answer<Vec<NetworkInfo>>> + Send;
    /// One network.
    fn network(&self, name: String) -> impl Future<Output = Answer<NetworkInfo>> + Send;
    /// Creates a network.
    fn network_create(&self, create: NetworkCreate) -> impl Future<Output = Answer<NetworkInfo>> + Send;
    /// Deletes a network.
    fn network_delete(&self, name: String) -> impl Future<Output = Answer<()>> + Send;
    /// All endpoints.
    fn endpoints(&self) -> impl Future<Output = Answer<Vec<EndpointInfo>>> + Send;
    /// One endpoint.
    fn endpoint(&self, id: String) -> impl Future<Output = Answer<EndpointInfo>> + Send;
    /// Attaches a container; answers when the endpoint can send and receive.
    fn endpoint_add(
        &self,
        add: EndpointAdd,
        namespace: NamespaceFds,
    ) -> impl Future<Output = Answer<EndpointInfo>> + Send;
    /// Detaches a container.
    fn endpoint_delete(&self, id: String) -> impl Future<Output = Answer<()>> + Send;
    /// All nodes.
    fn nodes(&self) -> impl Future<Output = Answer<Vec<NodeInfo>>> + Send;
    /// What has changed in the cluster.
    fn events(&self) -> impl Future<Output = Answer<Vec<Change>>> + Send;
    /// How the addresses of all networks are used.
    fn ipam(&self) -> impl Future<Output = Answer<Vec<IpamInfo>>> + Send;
    /// What is wrong with the use of addresses.
    fn ipam_check(&self) -> impl Future<Output = Answer<Vec<IpamFault>>> + Send;
    /// Reserves a prefix of a network, or ends that.
    fn ipam_reserve(
        &self,
        network: String,
        reserve: Reserve,
    ) -> impl Future<Output = Answer<IpamInfo>> + Send;
    /// What is held up by the guard against an emptied store is meant; how many endpoints that were.
    fn accept(&self) -> impl Future<Output = Answer<Accepted>> + Send;
    /// The keys of the gossip.
    fn keys(&self) -> impl Future<Output = Answer<Vec<KeyInfo>>> + Send;
    /// Installs a key.
    fn key_install(&self, install: KeyInstall) -> impl Future<Output = Answer<KeyInstalled>> + Send;
    /// Seals with a key from now on.
    fn key_use(&self, id: String) -> impl Future<Output = Answer<Vec<KeyInfo>>> + Send;
    /// Removes a key.
    fn key_remove(&self, id: String) -> impl Future<Output = Answer<()>> + Send;
    /// All drop counters, also those at zero.
    fn drops(&self) -> impl Future<Output = Answer<Vec<DropInfo>>> + Send;
    /// The rows of a table as the kernel holds it.
    fn dump(&self, table: Table) -> impl Future<Output = Answer<Vec<Row>>> + Send;
}

/// Serves `control` on `socket` until `shutdown` is done; only `admins` may change something.
pub async fn serve<C: Control>(
    socket: ApiSocket,
    control: C,
    admins: Admins,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    serve_with(socket, control, admins, shutdown, LIFETIME).await
}

pub(super) async fn serve_with<C: Control>(
    socket: ApiSocket,
    control: C,
    admins: Admins,
    shutdown: impl Future<Output = ()> + Send + 'static,
    lifetime: Duration,
) -> io::Result<()> {
    let listener =
        FdListener { socket, lifetime, admins: admins.clone(), places: Places::new(MAX_CONNECTIONS) };
    let service = router(control, admins).into_make_service_with_connect_info::<Connection>();
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let serving = axum::serve(listener, service).with_graceful_shutdown(async move {
        shutdown.await;
        // Fails only when nobody serves any more.
        let _nobody = stop.send(true);
    });
    tokio::select! {
        result = serving.into_future() => result,
        () = async {
            if stopped.wait_for(|stopped| *stopped).await.is_err() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(GRACE).await;
        } => Ok(()),
    }
}

struct FdListener {
    socket: ApiSocket,
    lifetime: Duration,
    admins: Admins,
    places: Places,
}

impl Listener for FdListener {
    type Io = FdStream;
    type Addr = ();

    async fn accept(&mut self) -> (FdStream, ()) {
        loop {
            let accepted = self.socket.listener.accept().await;
            match accepted.and_then(|(stream, _)| Ok((Caller::of(&stream)?, stream))) {
                Ok((caller, stream)) => {
                    let place = self.places.take(self.admins.allow(caller)).await;
                    return (FdStream::new(stream, caller, self.lifetime, place), ());
                }
                Err(error) => {
                    // Out of descriptors or memory: connections that end give some back.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

impl Connected<IncomingStream<'_, FdListener>> for Connection {
    fn connect_info(stream: IncomingStream<'_, FdListener>) -> Self {
        stream.io().connection()
    }
}
