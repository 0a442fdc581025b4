//! What an agent refuses to start on, before it changes anything.

use std::{fs, process::Stdio, time::Duration};

use overlay_tests::{Host, Lab, output_within};

use crate::support::{hosts, links, wait_for};

/// Runs `overlay agent` by `wrapper` with variables of its own; panics unless it ends with 1 and one line with `words`.
pub(crate) fn assert_refused(host: &Host, wrapper: &[&str], variables: &[(&str, &str)], words: &[&str]) {
    let before: Vec<String> = links(&host.netns).into_keys().collect();
    let overlay = host.overlay.to_str().expect("UTF-8");
    let line = [wrapper, &[overlay, "agent"]].concat();
    let mut command = host.netns.command(line[0]);
    command.args(&line[1..]).envs(host.environment()).envs(variables.iter().copied());
    let output = output_within(&mut command, Duration::from_secs(10)).expect("it ends");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{words:?}: {text}");
    assert_eq!(text.lines().count(), 1, "{words:?}: {text}");
    for word in words {
        assert!(text.contains(word), "no {word:?} in: {text}");
    }
    assert!(!host.pin_dir.exists(), "{words:?} left pins");
    assert_eq!(links(&host.netns).into_keys().collect::<Vec<_>>(), before, "{words:?} left a device");
}

fn lab(name: &str) -> Lab {
    let lab = hosts(name, 1);
    lab.write_cluster().expect("written");
    lab
}

/// Panics unless the agent starts after all.
fn assert_starts(lab: &mut Lab) {
    lab.hosts[0].start_agent().expect("started");
    let status = lab.hosts[0].status().expect("an answer");
    assert_eq!(status["state"], "healthy", "{status}");
}

#[test]
fn a_wrong_configuration_is_refused_with_its_place() {
    let mut lab = lab("config");
    let host = &lab.hosts[0];
    let good = fs::read_to_string(host.config()).expect("written");
    let cases: &[(&str, &str, &[&str])] = &[
        ("underlay = \"eth0\"", "underlay = \"eth9\"", &["eth9"]),
        ("underlay = \"eth0\"", "underlai = \"eth0\"", &["overlay.toml:3:1:", "did you mean \"underlay\"?"]),
        ("underlay = \"eth0\"", "underlay = 7", &["overlay.toml:3:12:", "node.underlay"]),
        ("underlay = \"eth0\"\n", "", &["underlay", "vtep"]),
        ("underlay = \"eth0\"", "vtep = \"10.88.0.200\"", &["10.88.0.200"]),
        ("engine = \"file\"", "engine = \"etcd\"", &["overlay.toml:5:10:", "etcd", "use \"gossip\""]),
        ("engine = \"file\"", "engine = \"gossip\"", &["of no cluster", "overlay cluster init"]),
        ("engine = \"file\"", "engine = \"fiel\"", &["overlay.toml:5:10:", "did you mean \"file\"?"]),
        ("[cluster]", "[vxlan]\nport = 0\n[cluster]", &["overlay.toml:5:8:", "vxlan.port"]),
        ("[cluster]", "[cluster", &["overlay.toml:4:", "TOML"]),
    ];
    for (from, to, words) in cases {
        assert!(good.contains(from), "{from}");
        fs::write(host.config(), good.replacen(from, to, 1)).expect("written");
        assert_refused(host, &["env"], &[], words);
    }
    fs::remove_file(host.config()).expect("removed");
    assert_refused(host, &["env"], &[], &["overlay.toml"]);
    fs::create_dir(host.config()).expect("made");
    assert_refused(host, &["env"], &[], &["overlay.toml"]);
    fs::remove_dir(host.config()).expect("removed");
    fs::write(host.config(), good).expect("written");
    assert_starts(&mut lab);
}

#[test]
fn an_underlay_that_is_down_or_has_no_address_is_refused() {
    let mut lab = lab("downlink");
    let host = &lab.hosts[0];
    host.netns.ip("link set eth0 down").expect("set");
    assert_refused(host, &["env"], &[], &["eth0", "down", "ip link set eth0 up"]);
    host.netns.ip("link set eth0 up").expect("set");
    host.netns.ip("addr flush dev eth0").expect("flushed");
    assert_refused(host, &["env"], &[], &["eth0", "address"]);
    host.netns.ip("addr add 10.88.0.1/24 dev eth0").expect("added");
    assert_starts(&mut lab);
}

#[test]
fn a_port_that_a_vxlan_device_has_for_itself_is_refused() {
    let mut lab = lab("portheld");
    let host = &lab.hosts[0];
    host.netns.ip("link add vx0 type vxlan external dstport 4789").expect("a device");
    assert_refused(host, &["env"], &[], &["4789", "vx0"]);
    host.netns.ip("link del vx0").expect("removed");
    host.netns.ip("link add vx0 type vxlan id 5 dstport 4789 local 10.88.0.1 dev eth0").expect("a device");
    host.netns.ip("link set vx0 up").expect("set");
    assert_starts(&mut lab);
}

#[test]
fn a_missing_capability_is_named() {
    let mut lab = lab("caps");
    for (flag, name) in [("-bpf", "CAP_BPF"), ("-net_admin", "CAP_NET_ADMIN"), ("-perfmon", "CAP_PERFMON")] {
        let wrapper = ["setpriv", "--bounding-set", flag, "--inh-caps", flag];
        assert_refused(&lab.hosts[0], &wrapper, &[], &[name]);
    }
    assert_starts(&mut lab);
}

#[test]
fn pins_outside_a_bpf_file_system_are_refused() {
    let mut lab = lab("nobpffs");
    let host = &lab.hosts[0];
    let pins = host.dir.join("pins");
    assert_refused(
        host,
        &["env"],
        &[("OVERLAY_PIN_DIR", pins.to_str().expect("UTF-8"))],
        &["mount -t bpf", "pins"],
    );
    assert!(!pins.exists());
    assert_starts(&mut lab);
}

#[test]
fn a_bpf_file_system_that_is_not_mounted_is_mounted() {
    let lab = lab("mounts");
    let host = &lab.hosts[0];
    // In a mount namespace of its own: what is mounted there ends with the process.
    let script = "umount /sys/fs/bpf && exec \"$0\" agent";
    let mut command = host.netns.command("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(&host.overlay).envs(host.environment());
    let mut agent =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started");
    let healthy = || host.status().is_ok_and(|status| status["state"] == "healthy");
    wait_for("an agent", Duration::from_secs(10), || {
        healthy() || agent.try_wait().expect("looked at").is_some()
    });
    assert!(healthy(), "{:?}", agent.try_wait());
    assert!(!host.pin_dir.exists(), "its pins are on its own file system");
    agent.kill().expect("killed");
    agent.wait().expect("ended");
}
