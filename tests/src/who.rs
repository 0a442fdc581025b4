//! A small server that says which container it is in.

use std::{
    net::{IpAddr, Ipv6Addr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result};

use crate::Netns;

/// The UDP port the servers listen on.
const PORT: u16 = 7007;
/// How long one question waits for its answer.
const PATIENCE: Duration = Duration::from_millis(300);
/// Questions asked before there is taken to be no answer.
const TRIES: usize = 3;

/// Answers every datagram with its name, until dropped.
#[derive(Debug)]
pub struct Who {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Who {
    /// Starts to answer `name` in `netns`.
    pub fn serve(netns: &Netns, name: &str) -> Result<Self> {
        let socket = netns
            .enter(|| UdpSocket::bind((Ipv6Addr::UNSPECIFIED, PORT)))?
            .with_context(|| format!("cannot listen in {}", netns.name()))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, name) = (Arc::clone(&stop), name.to_owned());
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                if let Ok((_, from)) = socket.recv_from(&mut [0; 16]) {
                    // An answer that cannot be sent is an answer lost; the asker asks again.
                    let _ = socket.send_to(name.as_bytes(), from);
                }
            }
        });
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Asks from `netns` who is at `to`; `None` when nobody answers.
    pub fn ask(netns: &Netns, to: IpAddr) -> Result<Option<String>> {
        let socket = netns
            .enter(|| UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)))?
            .with_context(|| format!("cannot open a socket in {}", netns.name()))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let to = match to {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        let mut answer = [0; 64];
        for _ in 0..TRIES {
            // Without a route there is no answer either.
            if socket.send_to(b"?", (to, PORT)).is_ok()
                && let Ok((length, _)) = socket.recv_from(&mut answer)
            {
                return Ok(Some(String::from_utf8_lossy(&answer[..length]).into_owned()));
            }
        }
        Ok(None)
    }
}

impl Drop for Who {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic in it was printed when it happened.
            let _ = thread.join();
        }
    }
}
