//! Bulk data with every offload on, each way: what arrives is what was sent, by its SHA-256.

use std::time::Instant;

use overlay_tests::{Data, figure};

use crate::{
    peer::{NUMBER, Peer},
    support::{Drops, addresses},
};

/// Bits of a MiB, in units of 10^9.
const GIGABITS: f64 = 8e-9 * 1_048_576.0;

#[test]
fn a_stream_arrives_whole_each_way() {
    let peer = Peer::new("pstream");
    let data = Data::new("pstream").expect("a file");
    let before = Drops::read(&peer.lab.hosts[0]);
    for (from, to, number, way) in [
        (&peer.netns, peer.a(), 1, "peer to container"),
        (peer.a(), &peer.netns, NUMBER, "container to peer"),
    ] {
        for ip in addresses(number) {
            assert_eq!(data.carry(from, to, ip, "sha256sum").expect("sent"), data.sum, "{way}, to {ip}");
            // The summing takes longer than the way.
            let start = Instant::now();
            data.carry(from, to, ip, "cat >/dev/null").expect("sent");
            let rate = f64::from(data.mebibytes) * GIGABITS / start.elapsed().as_secs_f64();
            let version = if ip.is_ipv4() { 4 } else { 6 };
            let name = "a_stream_arrives_whole_each_way";
            let what = |figure: &str| format!("{way}, IPv{version}, {figure}");
            figure(name, &what("MiB equal by SHA-256"), data.mebibytes);
            figure(name, &what("Gbit/s"), format!("{rate:.2}"));
        }
    }
    peer.assert_nothing_dropped(&before);
}
