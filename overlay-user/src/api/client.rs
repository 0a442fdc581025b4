//! The client of the API, for the command line.

use super::{fds::send_with_fds, types::ErrorBody};
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, StatusCode, body::Bytes, header};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    io,
    os::fd::BorrowedFd,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::net::UnixStream;

/// How long the agent may take for an answer.
pub const TIMEOUT: Duration = Duration::from_secs(5);

/// How long the agent may take to attach a container.
pub const ATTACH_TIMEOUT: Duration = Duration::from_secs(15);

/// A client of the agent that listens on one socket.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error("agent is not running (no socket at {}); start it with `overlay agent`", .0.display())]
    NotRunning(PathBuf),
    /// This user may not connect.
    #[error("no permission to use {}; run as root or as a member of its group{}", .0.display(), .1)]
    Permission(PathBuf, String),
    /// The agent refused; its own words.
    #[error("{message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// What is wrong and what to do.
        message: String,
    },
    /// The agent does not answer.
    #[error("the agent did not answer within {0:?}; see its log, then restart it")]
    TimedOut(Duration),
    /// The agent answers something else.
    #[error("the agent's answer cannot be read: {0}; are the agent and this command of one version?")]
    BadAnswer(String),
    /// The connection failed.
    #[error("the connection to the agent broke: {0}")]
    Broken(String),
}

impl Client {
    /// A client of the agent that listens on `socket`. Nothing is sent yet.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into() }
    }

    /// Reads `path`.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let body = self.exchange(Method::GET, path, Bytes::new(), &[], TIMEOUT).await?;
        parse(&body)
    }

    /// Sends `body` to `path`, and `fds` with it.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + Sync),
        fds: &[BorrowedFd<'_>],
        timeout: Duration,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| ClientError::Broken(error.to_string()))?;
        let body = self.exchange(Method::POST, path, body.into(), fds, timeout).await?;
        parse(&body)
    }

    /// Deletes `path`.
    pub async fn delete(&self, path: &str) -> Result<(), ClientError> {
        self.exchange(Method::DELETE, path, Bytes::new(), &[], TIMEOUT).await.map(|_| ())
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        fds: &[BorrowedFd<'_>],
        timeout: Duration,
    ) -> Result<Bytes, ClientError> {
        let answer = tokio::time::timeout(timeout, self.send(method, path, body, fds)).await;
        let (status, body) = answer.map_err(|_| ClientError::TimedOut(timeout))??;
        if status.is_success() {
            return Ok(body);
        }
        let message = match serde_json::from_slice::<ErrorBody>(&body) {
            Ok(body) => body.error,
            Err(_) => format!("the agent answered {status}"),
        };
        Err(ClientError::Refused { status: status.as_u16(), message })
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
        fds: &[BorrowedFd<'_>],
    ) -> Result<(StatusCode, Bytes), ClientError> {
        let broken = |error: &dyn std::error::Error| ClientError::Broken(error.to_string());
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| self.connect_error(&error))?;
        if !fds.is_empty() {
            // Descriptors need a byte to travel with; a server skips an empty line before a request
            // (RFC 9112 section 2.2). A new connection has room for it.
            send_with_fds(&stream, b"\r\n", fds).map_err(|error| broken(&error))?;
        }
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| broken(&error))?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "overlay")
            .header(header::CONNECTION, "close")
            .body(Full::new(body))
            .map_err(|error| broken(&error))?;
        let exchange = async {
            let response = sender.send_request(request).await?;
            let status = response.status();
            Ok((status, response.into_body().collect().await?.to_bytes()))
        };
        let (answer, _closed) = tokio::join!(exchange, connection);
        answer.map_err(|error: hyper::Error| broken(&error))
    }

    fn connect_error(&self, error: &io::Error) -> ClientError {
        let kind = error.kind();
        if kind == io::ErrorKind::NotFound || kind == io::ErrorKind::ConnectionRefused {
            ClientError::NotRunning(self.socket.clone())
        } else if kind == io::ErrorKind::PermissionDenied {
            ClientError::Permission(self.socket.clone(), group_of(&self.socket))
        } else {
            ClientError::Broken(error.to_string())
        }
    }
}

/// Reads the body of an answer.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(body).map_err(|error| ClientError::BadAnswer(error.to_string()))
}

/// The group of the socket in words, where it can be read: ` ("overlay", gid 977)`.
fn group_of(socket: &Path) -> String {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(gid) = std::fs::metadata(socket).map(|found| found.gid()) else { return String::new() };
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let name = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(gid)).then_some(name)
    });
    match name {
        Some(name) => format!(" ({name}, gid {gid})"),
        None => format!(" (gid {gid})"),
    }
}

/// One segment of a path, whatever is in it (RFC 3986 section 2.1).
pub fn segment(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            // A String takes everything.
            let _infallible = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
