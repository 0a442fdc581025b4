//! The end that loads: reads windows from its standard input, and answers each with its figures.

use std::{
    fs,
    io::{self, BufRead as _, Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpStream},
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, bail};
use rustix::net::sockopt;

use super::{
    Figures, Kind, Window, cpu_time,
    datagrams::{Datagrams, foreign},
    socket::{CHUNK, Chunk, Purpose, stream},
};

/// Longer than any window.
const NEVER: Duration = Duration::from_secs(10);

/// The standing connections to a server.
struct Client {
    tcp: SocketAddr,
    crr: SocketAddr,
    streams: Vec<TcpStream>,
    rr: TcpStream,
    count: Counter,
    datagrams: Datagrams,
    softirq: Vec<PathBuf>,
}

/// Loads a server until its driver is gone.
pub(super) fn run(address: IpAddr, ports: [u16; 4]) -> Result<()> {
    let [tcp, crr, echo, sink] = ports.map(|port| SocketAddr::new(address, port));
    let mut client = Client {
        tcp,
        crr,
        streams: Vec::new(),
        rr: stream(tcp, Purpose::Rr)?,
        count: Counter(stream(tcp, Purpose::Count)?),
        datagrams: Datagrams::new(echo, sink)?,
        softirq: softirq_threads()?,
    };
    println!("ready");
    for line in io::stdin().lock().lines() {
        let window: Window = serde_json::from_str(&line?).context("no window was read")?;
        let figures = client.window(window).with_context(|| format!("{:?} broke", window.kind))?;
        println!("{}", serde_json::to_string(&figures)?);
    }
    Ok(())
}

impl Client {
    fn window(&mut self, window: Window) -> Result<Figures> {
        let time = Duration::from_millis(window.millis).min(NEVER);
        while self.streams.len() < window.flows {
            self.streams.push(stream(self.tcp, Purpose::Stream)?);
        }
        let before = self.cpu()?;
        let mut figures = match window.kind {
            Kind::Stream => streams(&mut self.streams[..window.flows], time, window.rate)?,
            Kind::Rr => request_response(&mut self.rr, time)?,
            Kind::LoadedRr => loaded(&mut self.rr, &mut self.streams[0], time, window.rate)?,
            Kind::Crr => connections(self.crr, time)?,
            Kind::UdpRr => self.datagrams.request_response(time)?,
            Kind::Udp => self.datagrams.one_way(&mut self.count, time, window.rate)?,
            Kind::UdpSegment => self.datagrams.segmented(&mut self.count, time)?,
            Kind::Foreign => foreign(&mut self.count, time)?,
        };
        figures.cpu_seconds = (self.cpu()? - before) as f64 / 1e9;
        Ok(figures)
    }

    /// Nanoseconds of CPU time of both ends and of `ksoftirqd`.
    fn cpu(&mut self) -> Result<u64> {
        let mut sum = self.count.read()?.1 + cpu_time();
        for path in &self.softirq {
            let text = fs::read_to_string(path)?;
            let time = text.split_whitespace().next().context("an empty schedstat")?;
            sum += time.parse::<u64>()?;
        }
        Ok(sum)
    }
}

/// What the server has counted.
pub(super) struct Counter(TcpStream);

impl Counter {
    /// Datagrams that have arrived, and nanoseconds of the server's CPU time.
    pub(super) fn read(&mut self) -> io::Result<(u64, u64)> {
        self.0.write_all(&[0])?;
        let (mut arrived, mut cpu) = ([0; 8], [0; 8]);
        self.0.read_exact(&mut arrived)?;
        self.0.read_exact(&mut cpu)?;
        Ok((u64::from_be_bytes(arrived), u64::from_be_bytes(cpu)))
    }
}

/// The files that tell the CPU time of the kernel's softirq threads.
fn softirq_threads() -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for process in fs::read_dir("/proc")? {
        let process = process?.path();
        if fs::read_to_string(process.join("comm")).is_ok_and(|name| name.starts_with("ksoftirqd/")) {
            found.push(process.join("schedstat"));
        }
    }
    Ok(found)
}

/// Streams side by side; what arrived, in the time until all of it had.
fn streams(connections: &mut [TcpStream], time: Duration, rate: u64) -> Result<Figures> {
    let start = Instant::now();
    let end = AtomicBool::new(false);
    let bytes = if let [connection] = connections {
        one_stream(connection, start + time, rate, &end)?
    } else {
        let flows = connections.len() as u64;
        thread::scope(|scope| {
            let ends = &end;
            let flow =
                |connection| scope.spawn(move || one_stream(connection, start + time, rate / flows, ends));
            let threads: Vec<_> = connections.iter_mut().map(flow).collect();
            threads.into_iter().try_fold(0, |sum, thread| {
                let bytes = thread.join().map_err(|_| anyhow!("a flow panicked"))??;
                Ok::<_, anyhow::Error>(sum + bytes)
            })
        })?
    };
    Ok(Figures { bytes, seconds: start.elapsed().as_secs_f64(), ..Figures::default() })
}

/// Chunks until `deadline` or `end`, and one more that is answered; at `rate` bytes a second where that is not 0.
fn one_stream(connection: &mut TcpStream, deadline: Instant, rate: u64, end: &AtomicBool) -> io::Result<u64> {
    let mut memory = Chunk::new();
    let chunk = memory.bytes();
    let (start, mut bytes) = (Instant::now(), 0_u64);
    while Instant::now() < deadline && !end.load(Ordering::Relaxed) {
        connection.write_all(chunk)?;
        bytes += CHUNK as u64;
        if let Some(due) = due(bytes, rate) {
            thread::sleep((start + due).saturating_duration_since(Instant::now()));
        }
    }
    chunk[0] = 1;
    connection.write_all(chunk)?;
    connection.read_exact(&mut [0])?;
    Ok(bytes + CHUNK as u64)
}

/// When `count` is reached at `rate` a second.
pub(super) fn due(count: u64, rate: u64) -> Option<Duration> {
    (rate > 0).then(|| Duration::from_secs_f64(count as f64 / rate as f64))
}

/// One byte to and fro until the time is over.
fn request_response(connection: &mut TcpStream, time: Duration) -> Result<Figures> {
    transactions(time, || {
        let mut byte = [0];
        connection.write_all(&byte)?;
        connection.read_exact(&mut byte)?;
        Ok(())
    })
}

/// The same, beside a stream.
fn loaded(rr: &mut TcpStream, background: &mut TcpStream, time: Duration, rate: u64) -> Result<Figures> {
    if rate == 0 {
        bail!("a load without a rate");
    }
    let end = AtomicBool::new(false);
    thread::scope(|scope| {
        let load = scope.spawn(|| one_stream(background, Instant::now() + NEVER, rate, &end));
        let figures = request_response(rr, time);
        end.store(true, Ordering::Relaxed);
        let bytes = load.join().map_err(|_| anyhow!("the load panicked"))??;
        Ok(Figures { bytes, ..figures? })
    })
}

/// Connect, request, close.
fn connections(server: SocketAddr, time: Duration) -> Result<Figures> {
    transactions(time, || {
        let mut connection = TcpStream::connect(server)?;
        connection.set_nodelay(true)?;
        let mut byte = [0];
        connection.write_all(&byte)?;
        connection.read_exact(&mut byte)?;
        sockopt::set_socket_linger(&connection, Some(Duration::ZERO))?;
        Ok(())
    })
}

/// Repeats a transaction until the time is over.
pub(super) fn transactions(time: Duration, mut one: impl FnMut() -> Result<()>) -> Result<Figures> {
    let mut times = Vec::with_capacity(1 << 16);
    let start = Instant::now();
    let mut last = start;
    while last - start < time {
        one()?;
        let now = Instant::now();
        times.push(now - last);
        last = now;
    }
    times.sort_unstable();
    let micros =
        |part: usize| times.get(times.len() * part / 100).map_or(0.0, |time| time.as_secs_f64() * 1e6);
    Ok(Figures {
        count: times.len() as u64,
        seconds: (last - start).as_secs_f64(),
        p50_us: micros(50),
        p99_us: micros(99),
        ..Figures::default()
    })
}
