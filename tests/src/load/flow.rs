//! Numbered UDP datagrams one way, at a fixed rate.

use std::{
    io,
    net::{IpAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};
use rustix::net::sockopt::set_socket_recv_buffer_size_force;

use super::{QUIET, datagram, tally::Tally};
use crate::{Netns, Random};

/// The pause between bursts, of the sender and of the receiver's looks into its socket.
const TICK: Duration = Duration::from_millis(1);
/// Datagrams of one burst at most: a sender that was held up makes up for it without flooding a queue.
const BURST: u64 = 50;
/// The receiver's buffer: seconds of the flow, for a receiver that is held up.
const BUFFER: usize = 64 << 20;

/// A running flow; dropped, it ends.
#[derive(Debug)]
pub struct Flow {
    asked: u64,
    ends: [Arc<AtomicBool>; 2],
    arrived: Arc<AtomicU64>,
    sender: Option<JoinHandle<Sent>>,
    receiver: Option<JoinHandle<Tally>>,
}

/// What a sender did.
#[derive(Debug)]
struct Sent {
    count: u64,
    time: Duration,
    refusal: Option<String>,
}

/// What became of a flow.
#[derive(Clone, Debug)]
pub struct FlowReport {
    /// Datagrams in a second that were asked for.
    pub asked: u64,
    /// Datagrams sent, or refused by the sender's own stack.
    pub sent: u64,
    /// Datagrams that arrived, each counted once.
    pub received: u64,
    /// Datagrams that arrived again.
    pub duplicated: u64,
    /// Datagrams that a later one overtook.
    pub reordered: u64,
    /// Datagrams with other bytes than were sent.
    pub corrupted: u64,
    /// The first error that the sender met.
    pub refusal: Option<String>,
    time: Duration,
}

impl Flow {
    /// Starts to send from an address in one namespace to an address in another, `rate` datagrams in a second.
    pub fn start(from: (&Netns, IpAddr), to: (&Netns, IpAddr), rate: u32) -> Result<Self> {
        let receiver = to.0.enter(|| UdpSocket::bind((to.1, 0)))?;
        let receiver = receiver.with_context(|| format!("cannot listen on {} in {}", to.1, to.0.name()))?;
        set_socket_recv_buffer_size_force(&receiver, BUFFER).context("cannot have a large buffer")?;
        receiver.set_nonblocking(true)?;
        let target = receiver.local_addr()?;
        let sender = from.0.enter(|| UdpSocket::bind((from.1, 0)))?;
        let sender = sender.with_context(|| format!("cannot send from {} in {}", from.1, from.0.name()))?;
        sender.connect(target).with_context(|| format!("{} has no way to {target}", from.0.name()))?;
        // Told apart from what an earlier flow left under way.
        let seed = Random::new(u64::from(target.port()) << 32 | u64::from(rate)).next();
        let ends = [Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false))];
        let arrived = Arc::new(AtomicU64::new(0));
        let (end, count) = (Arc::clone(&ends[1]), Arc::clone(&arrived));
        let receiver = thread::spawn(move || receive(&receiver, seed, &end, &count));
        let end = Arc::clone(&ends[0]);
        let sender = thread::spawn(move || send(&sender, seed, rate.into(), &end));
        Ok(Self { asked: rate.into(), ends, arrived, sender: Some(sender), receiver: Some(receiver) })
    }

    /// How many datagrams have arrived so far.
    pub fn arrived(&self) -> u64 {
        self.arrived.load(Ordering::Relaxed)
    }

    /// Ends the sender, without waiting.
    pub(super) fn halt(&self) {
        self.ends[0].store(true, Ordering::Relaxed);
    }

    /// Ends the sender, waits for what is under way, and counts.
    pub fn stop(mut self) -> Result<FlowReport> {
        self.halt();
        let sent = join(self.sender.take())?;
        let (mut arrived, mut since) = (self.arrived(), Instant::now());
        while arrived < sent.count && since.elapsed() < QUIET {
            thread::sleep(TICK);
            if self.arrived() > arrived {
                (arrived, since) = (self.arrived(), Instant::now());
            }
        }
        // A duplicate of the last comes after it.
        thread::sleep(10 * TICK);
        self.ends[1].store(true, Ordering::Relaxed);
        let tally = join(self.receiver.take())?;
        Ok(FlowReport {
            asked: self.asked,
            sent: sent.count,
            received: tally.received,
            duplicated: tally.duplicated,
            reordered: tally.reordered,
            corrupted: tally.corrupted,
            refusal: sent.refusal,
            time: sent.time,
        })
    }
}

impl FlowReport {
    /// Datagrams that never arrived.
    pub fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.received)
    }

    /// Datagrams that were sent in a second.
    pub fn rate(&self) -> u64 {
        let micros = u64::try_from(self.time.as_micros()).unwrap_or(u64::MAX).max(1);
        self.sent.saturating_mul(1_000_000) / micros
    }

    /// Says so when the sender reached less than this part of its rate, in percent.
    pub(super) fn too_slow(&self, percent: u64) -> Option<String> {
        let (asked, rate) = (self.asked, self.rate());
        (rate * 100 < asked * percent).then(|| format!("{rate} datagrams in a second were sent, not {asked}"))
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.ends.iter().for_each(|end| end.store(true, Ordering::Relaxed));
        // A panic in a thread was printed when it happened.
        let _ = self.sender.take().map(JoinHandle::join);
        let _ = self.receiver.take().map(JoinHandle::join);
    }
}

fn join<T>(thread: Option<JoinHandle<T>>) -> Result<T> {
    let thread = thread.context("the flow has ended")?;
    thread.join().map_err(|_| anyhow!("a thread of the flow panicked"))
}

fn send(socket: &UdpSocket, seed: u64, rate: u64, end: &AtomicBool) -> Sent {
    let mut sent = Sent { count: 0, time: Duration::ZERO, refusal: None };
    let mut buffer = [0; datagram::LONGEST];
    let start = Instant::now();
    while !end.load(Ordering::Relaxed) {
        let due =
            u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX).saturating_mul(rate) / 1_000_000;
        for _ in 0..due.saturating_sub(sent.count).min(BURST) {
            let length = datagram::write(seed, sent.count, &mut buffer);
            if let Err(error) = socket.send(&buffer[..length]) {
                sent.refusal.get_or_insert_with(|| format!("datagram {}: {error}", sent.count));
            }
            sent.count += 1;
        }
        thread::sleep(TICK);
    }
    sent.time = start.elapsed();
    sent
}

fn receive(socket: &UdpSocket, seed: u64, end: &AtomicBool, arrived: &AtomicU64) -> Tally {
    let mut tally = Tally::default();
    // Longer than any of ours, so that a longer one does not pass for it.
    let mut buffer = [0; datagram::LONGEST + 1];
    loop {
        let ended = end.load(Ordering::Relaxed);
        loop {
            match socket.recv_from(&mut buffer) {
                Ok((length, _)) => {
                    tally.take(datagram::read(seed, &buffer[..length]));
                    arrived.store(tally.received, Ordering::Relaxed);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // What an ICMP message said of something else; the next look is another.
                Err(_) => break,
            }
        }
        if ended {
            return tally;
        }
        thread::sleep(TICK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_that_was_held_up_says_so() {
        let flow = |sent| FlowReport {
            asked: 1000,
            sent,
            received: sent,
            duplicated: 0,
            reordered: 0,
            corrupted: 0,
            refusal: None,
            time: Duration::from_secs(2),
        };
        assert_eq!(flow(1990).rate(), 995);
        assert_eq!(flow(1900).too_slow(90), None);
        assert!(flow(1700).too_slow(90).is_some_and(|text| text.contains("850 ") && text.contains("1000")));
    }
}
