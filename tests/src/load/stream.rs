//! A TCP stream whose every byte is known in advance.

use std::{
    io::{self, Read as _, Write as _},
    net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use crate::{Netns, Random};

/// Bytes of one write: a whole number of words.
const CHUNK: usize = 32 * 1024;
/// What both ends' bytes follow from.
const SEED: u64 = 0x6f76_6572_6c61_7931;
/// A connection on which nothing moves for so long is broken.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running stream; dropped, it ends.
#[derive(Debug)]
pub(super) struct Stream {
    end: Arc<AtomicBool>,
    writer: Option<JoinHandle<io::Result<u64>>>,
    reader: Option<JoinHandle<Arrived>>,
}

/// What arrived.
#[derive(Clone, Debug, Default)]
pub(super) struct Arrived {
    /// Bytes before the first wrong one.
    pub(super) bytes: u64,
    /// What was wrong.
    pub(super) error: Option<String>,
}

impl Stream {
    /// Connects from an address in one namespace to an address in another, and sends `rate` bits in a second.
    pub(super) fn start(from: (&Netns, IpAddr), to: (&Netns, IpAddr), rate: u64) -> Result<Self> {
        let listener = to.0.enter(|| TcpListener::bind((to.1, 0)))?;
        let listener = listener.with_context(|| format!("cannot listen on {} in {}", to.1, to.0.name()))?;
        let target: SocketAddr = listener.local_addr()?;
        let writer = from.0.enter(|| TcpStream::connect_timeout(&target, PATIENCE))?;
        let writer = writer.with_context(|| format!("no connection from {} to {target}", from.0.name()))?;
        let (reader, _) = listener.accept()?;
        writer.set_write_timeout(Some(PATIENCE))?;
        reader.set_read_timeout(Some(PATIENCE))?;
        let end = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&end);
        let writer = thread::spawn(move || write(writer, rate, &ended));
        let reader = thread::spawn(move || read(reader));
        Ok(Self { end, writer: Some(writer), reader: Some(reader) })
    }

    /// Ends the writer, without waiting.
    pub(super) fn halt(&self) {
        self.end.store(true, Ordering::Relaxed);
    }

    /// Ends the stream and waits until all of it has arrived.
    pub(super) fn stop(mut self) -> Arrived {
        self.halt();
        let written = self.writer.take().map(JoinHandle::join);
        let arrived = self.reader.take().map(JoinHandle::join);
        let (Some(Ok(written)), Some(Ok(mut arrived))) = (written, arrived) else {
            return Arrived { bytes: 0, error: Some("a thread of the stream panicked".to_owned()) };
        };
        let wrong = match written {
            Ok(bytes) if bytes == arrived.bytes => None,
            Ok(bytes) => Some(format!("{} of {bytes} bytes arrived", arrived.bytes)),
            Err(error) => Some(format!("the sender: {error}")),
        };
        arrived.error = arrived.error.or(wrong);
        arrived
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        // A panic in a thread was printed when it happened.
        let _ = self.writer.take().map(JoinHandle::join);
        let _ = self.reader.take().map(JoinHandle::join);
    }
}

fn fill(random: &mut Random, chunk: &mut [u8]) {
    chunk.chunks_exact_mut(8).for_each(|word| word.copy_from_slice(&random.next().to_be_bytes()));
}

fn write(mut connection: TcpStream, rate: u64, end: &AtomicBool) -> io::Result<u64> {
    let (mut random, mut chunk, mut total) = (Random::new(SEED), vec![0; CHUNK], 0);
    let start = Instant::now();
    while !end.load(Ordering::Relaxed) {
        let due =
            u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX).saturating_mul(rate) / 8_000_000;
        if total < due {
            fill(&mut random, &mut chunk);
            connection.write_all(&chunk)?;
            total += CHUNK as u64;
        } else {
            thread::sleep(Duration::from_millis(1));
        }
    }
    connection.shutdown(Shutdown::Write)?;
    Ok(total)
}

fn read(mut connection: TcpStream) -> Arrived {
    let (mut random, mut arrived) = (Random::new(SEED), Arrived::default());
    let (mut chunk, mut expected) = (vec![0; CHUNK], vec![0; CHUNK]);
    loop {
        fill(&mut random, &mut expected);
        let mut filled = 0;
        while filled < CHUNK {
            match connection.read(&mut chunk[filled..]) {
                Ok(0) => break,
                Ok(length) => filled += length,
                Err(error) => {
                    arrived.error = Some(format!("the receiver: {error}"));
                    break;
                }
            }
        }
        let wrong = chunk[..filled].iter().zip(&expected).position(|(got, sent)| got != sent);
        arrived.bytes += wrong.unwrap_or(filled) as u64;
        if wrong.is_some() {
            arrived.error = Some(format!("byte {} is wrong", arrived.bytes));
        }
        if filled < CHUNK || arrived.error.is_some() {
            return arrived;
        }
    }
}
