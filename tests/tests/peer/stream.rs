//! Bulk data with every offload on, each way: what arrives is what was sent, by its SHA-256.

use std::{
    fs,
    net::IpAddr,
    path::PathBuf,
    process::{Command, Stdio},
    time::Instant,
};

use overlay_tests::{Netns, figure, run};

use crate::{
    peer::{NUMBER, Peer},
    support::{Drops, addresses},
};

/// Bits of a MiB, in units of 10^9.
const GIGABITS: f64 = 8e-9 * 1_048_576.0;
const PORT: u16 = 7300;

/// A file of random bytes, removed when dropped.
struct Data {
    file: PathBuf,
    mebibytes: u32,
    sum: String,
}

impl Data {
    fn new() -> Self {
        let mebibytes = if std::env::var_os("OVERLAY_TEST_FULL").is_some() { 1024 } else { 64 };
        let file = std::env::temp_dir().join(format!("ovt-pstream-{}.data", std::process::id()));
        let of = format!("of={}", file.display());
        let count = format!("count={mebibytes}");
        let mut dd = Command::new("dd");
        run(dd.args(["if=/dev/urandom", &of, "bs=1M", &count, "status=none"])).expect("written");
        let text = run(Command::new("sha256sum").arg(&file)).expect("summed");
        Self { file, mebibytes, sum: word(&text) }
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        // Absent when the disk was full.
        let _ = fs::remove_file(&self.file);
    }
}

/// The first word: the sum that `sha256sum` prints.
fn word(text: &str) -> String {
    text.split_whitespace().next().unwrap_or_default().to_owned()
}

fn family(ip: IpAddr) -> (&'static str, String) {
    if ip.is_ipv4() { ("4", ip.to_string()) } else { ("6", format!("[{ip}]")) }
}

/// Sends the data to a shell command, and gives the first word that it prints.
fn carry(data: &Data, from: &Netns, to: &Netns, ip: IpAddr, sink: &str) -> String {
    let (version, host) = family(ip);
    let listen = format!("TCP{version}-LISTEN:{PORT},bind={host},reuseaddr");
    let receive = to
        .command("sh")
        .args(["-c", &format!("socat -u -b 262144 '{listen}' STDOUT | {sink}")])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("socat");
    let connect = format!("TCP{version}:{host}:{PORT},retry=50,interval=0.1");
    let file = format!("OPEN:{},rdonly", data.file.display());
    run(from.command("socat").args(["-u", "-b", "262144", &file, &connect])).expect("sent");
    word(&String::from_utf8_lossy(&receive.wait_with_output().expect("summed").stdout))
}

#[test]
fn a_stream_arrives_whole_each_way() {
    let peer = Peer::new("pstream");
    let data = Data::new();
    let before = Drops::read(&peer.lab.hosts[0]);
    for (from, to, number, way) in [
        (&peer.netns, peer.a(), 1, "peer to container"),
        (peer.a(), &peer.netns, NUMBER, "container to peer"),
    ] {
        for ip in addresses(number) {
            assert_eq!(carry(&data, from, to, ip, "sha256sum"), data.sum, "{way}, to {ip}");
            // The summing takes longer than the way.
            let start = Instant::now();
            carry(&data, from, to, ip, "cat >/dev/null");
            let rate = f64::from(data.mebibytes) * GIGABITS / start.elapsed().as_secs_f64();
            let (name, (version, _)) = ("a_stream_arrives_whole_each_way", family(ip));
            let what = |figure: &str| format!("{way}, IPv{version}, {figure}");
            figure(name, &what("MiB equal by SHA-256"), data.mebibytes);
            figure(name, &what("Gbit/s"), format!("{rate:.2}"));
        }
    }
    peer.assert_nothing_dropped(&before);
}
