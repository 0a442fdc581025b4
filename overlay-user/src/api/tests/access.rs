//! Who may ask for what, over a real socket.

use super::*;
use crate::api::access::Admins;

#[tokio::test]
async fn who_is_no_administrator_may_read_and_nothing_else() {
    let server = Server::start_for(Admins::nobody(), Duration::from_secs(30));
    let client = server.client();
    let uid = rustix::process::geteuid().as_raw();
    client.get::<Status>("/v1/status").await.expect("reading is for everyone");
    for path in ["/v1/networks/blue", "/v1/endpoints/x", "/v1/status", "/v2"] {
        assert_eq!(
            refusal(client.delete(path).await),
            (
                403,
                format!(
                    "DELETE is for administrators, and uid {uid} may only read; run it as root, \
                     or add {uid} to api.admins in overlay.toml and restart the agent"
                )
            )
        );
    }
    let posted = client.post::<NetworkInfo>("/v1/networks", &serde_json::json!({}), &[], TIMEOUT).await;
    assert_eq!(refusal(posted).0, 403);
    let odd = server.raw(b"PATCH /v1/status HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(odd.starts_with("HTTP/1.1 403"), "{odd}");
    let head = server.raw(b"HEAD /v1/status HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    // The control: the same over a socket that takes us for an administrator.
    super::server().client().delete("/v1/networks/blue").await.expect("deleted");
}

#[tokio::test]
async fn no_body_is_awaited_from_who_may_not_send_one() {
    let server = Server::start_for(Admins::nobody(), Duration::from_secs(30));
    let mut stream = UnixStream::connect(server.path()).await.expect("it listens");
    stream
        .write_all(b"POST /v1/networks HTTP/1.1\r\nhost: x\r\ncontent-length: 60000\r\n\r\n")
        .await
        .expect("sent");
    let mut answer = [0; 12];
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_exact(&mut answer)).await;
    read.expect("at once").expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 403");
}
