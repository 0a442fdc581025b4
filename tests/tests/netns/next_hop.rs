//! The next hop's MAC address is the kernel's to know: it changes without an agent, and traffic goes on.

use std::time::Duration;

use overlay_tests::{Capture, Container};

use crate::support::{assert_connected, container, let_capture_see, mac, pair, v4, wait_for};

/// An EtherType for experiments (IEEE 802 local experimental).
const EXPERIMENTAL: u16 = 0x88b5;

/// Frames between endpoints 1 and 2 that are not IP, from the shortest to the longest, told apart by their last byte.
fn not_ip() -> Vec<Vec<u8>> {
    [1_usize, 2, 20, 46, 47, 100, 999, 1449, 1450]
        .into_iter()
        .map(|len| {
            let payload: Vec<u8> = (0..=u8::MAX).cycle().take(len).collect();
            [&mac(2)[..], &mac(1), &EXPERIMENTAL.to_be_bytes(), &payload].concat()
        })
        .collect()
}

/// The payloads that `b` gets of frames from `a` that are not IP, as hexadecimal.
fn carried(a: &Container, b: &Container, frames: &[Vec<u8>]) -> Vec<String> {
    let mut capture = Capture::inbound(&b.netns, "eth0", "ether proto 0x88b5").expect("a capture");
    a.netns.inject("eth0", frames).expect("sent");
    let_capture_see();
    capture.fields("", &["data.data"]).expect("tshark").concat()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Frames that arrive as these: the kernel leaves no payload shorter than an IPv4 header, and zeros fill it up.
fn expected(frames: &[Vec<u8>]) -> Vec<String> {
    let padded = |frame: &Vec<u8>| {
        let mut payload = frame[14..].to_vec();
        payload.resize(payload.len().max(20), 0);
        hex(&payload)
    };
    frames.iter().map(padded).collect()
}

#[test]
fn with_no_agent_a_new_mac_address_of_the_next_hop_is_followed() {
    let mut lab = pair("nexthop");
    let frames = not_ip();
    {
        let (a, b) = (container(&lab, "a"), container(&lab, "b"));
        assert_connected(a, b);
        assert_eq!(carried(a, b, &frames), expected(&frames), "the control");
    }
    let pid = lab.hosts[0].agent_pid();
    lab.hosts[0].kill_agent().expect("killed");
    println!("agent {pid:?} of h1 killed");
    let status = lab.hosts[0].overlay().arg("status").output().expect("run").status;
    assert_eq!(status.code(), Some(2), "no agent answers");
    let (a, b) = (container(&lab, "a"), container(&lab, "b"));
    // As a host announces that takes over an address.
    lab.hosts[1].netns.sysctl("net/ipv4/conf/eth0/arp_notify", "1").expect("set");
    for address in ["02:00:00:00:00:77", "02:00:00:00:00:78"] {
        lab.hosts[1].netns.ip(&format!("link set eth0 address {address}")).expect("set");
        let limit = Duration::from_secs(2);
        let waited = wait_for("traffic to the new address", limit, || a.netns.ping(v4(2).into()));
        assert_connected(a, b);
        assert_eq!(carried(a, b, &frames), expected(&frames), "frames that are not IP to {address}");
        println!("{address}: traffic after {} ms", waited.as_millis());
    }
    lab.hosts[0].start_agent().expect("started again");
    let (a, b) = (container(&lab, "a"), container(&lab, "b"));
    assert_connected(a, b);
    assert_eq!(carried(a, b, &frames), expected(&frames), "with an agent again");
}
