//! The agent as a service: what it tells the service manager, and whether the unit file grants what it needs.

use std::{
    fs,
    io::ErrorKind,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use overlay_tests::{Host, output_within, skip};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{BLUE, addresses, container, endpoint, hosts, links, wait_for};

/// What a watchdog of the tests gives the agent: it then says twice in this time that it is alive.
const WATCHDOG: Duration = Duration::from_millis(400);
/// How long anything may take that is waited for.
const LIMIT: Duration = Duration::from_secs(10);

/// An agent that no lab started; it ends with this.
struct Service(Child);

impl Service {
    /// Runs the agent of `host` by `wrapper`, with `NOTIFY_SOCKET` where one is given.
    fn start(host: &Host, wrapper: &[&str], notify: Option<&Path>) -> Self {
        let mut command = host.netns.command("env");
        command.args(wrapper).arg(&host.overlay).arg("agent").envs(host.environment());
        // Named, so that a next lab of this name finds an agent that a crashed one left.
        command.arg("--run-dir").arg(host.dir.join("run"));
        if let Some(socket) = notify {
            command.env("NOTIFY_SOCKET", socket).env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string());
        }
        let log = fs::File::create(host.log_file()).expect("a log");
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("started"))
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).expect("it lives");
    }

    fn wait_until_answering(&mut self, host: &Host) {
        wait_for("an answer", LIMIT, || {
            assert!(self.0.try_wait().expect("looked at").is_none(), "it ended: {}", host.log());
            host.status().is_ok()
        });
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended.
        let _ended = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// Waits for a line that starts so; returns it.
fn heard(manager: &UnixDatagram, start: &str) -> String {
    let begun = Instant::now();
    while begun.elapsed() < LIMIT {
        if let Some(line) = receive(manager, LIMIT).into_iter().find(|line| line.starts_with(start)) {
            return line;
        }
    }
    panic!("no {start} within {LIMIT:?}");
}

/// The lines of the next message, none within `limit`.
fn receive(manager: &UnixDatagram, limit: Duration) -> Vec<String> {
    let mut message = [0; 4096];
    manager.set_read_timeout(Some(limit)).expect("set");
    match manager.recv(&mut message) {
        Ok(length) => String::from_utf8_lossy(&message[..length]).lines().map(str::to_owned).collect(),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Vec::new(),
        Err(error) => panic!("{error}"),
    }
}

/// Takes in what was sent until now.
fn drain(manager: &UnixDatagram) {
    while !receive(manager, Duration::from_millis(1)).is_empty() {}
}

#[test]
fn the_service_manager_hears_ready_alive_and_stopping() {
    let mut lab = hosts("sdnotify", 2);
    lab.declare_container(0, BLUE, "a", &addresses(1)).expect("declared");
    lab.write_cluster().expect("written");
    let host = &lab.hosts[0];
    let socket = host.dir.join("notify");
    let manager = UnixDatagram::bind(&socket).expect("a socket");
    let mut agent = Service::start(host, &[], Some(&socket));
    assert_eq!(heard(&manager, ""), "READY=1", "nothing is said before");
    let status = host.status().expect("who is ready answers");
    assert_eq!(status["programs"].as_array().map(Vec::len), Some(3), "the tables are written: {status}");
    assert_eq!(status["counts"]["endpoints"], 1, "{status}");
    heard(&manager, "STATUS=");
    for _ in 0..3 {
        heard(&manager, "WATCHDOG=1");
    }
    // A stopped agent is no longer heard, and one that goes on is again.
    agent.signal(Signal::STOP);
    thread::sleep(WATCHDOG);
    drain(&manager);
    assert!(receive(&manager, 4 * WATCHDOG).is_empty(), "a stopped agent speaks");
    agent.signal(Signal::CONT);
    heard(&manager, "WATCHDOG=1");
    // The status follows what is wrong.
    lab.write_cluster_text("[[node").expect("written");
    wait_for("the status", LIMIT, || heard(&manager, "STATUS=").starts_with("STATUS=degraded: "));
    agent.signal(Signal::TERM);
    heard(&manager, "STOPPING=1");
    assert_eq!(agent.0.wait().expect("it ends").code(), Some(0));
}

/// The unit file.
fn unit() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/overlay.service")
}

/// What setpriv(1) calls the capabilities that the unit leaves.
fn granted() -> String {
    let text = fs::read_to_string(unit()).expect("the unit file");
    let line = text.lines().find_map(|line| line.strip_prefix("CapabilityBoundingSet=")).expect("a set");
    let names =
        line.split_whitespace().map(|name| format!(",+{}", name.trim_start_matches("CAP_").to_lowercase()));
    format!("-all{}", names.collect::<String>())
}

#[test]
fn the_capabilities_of_the_unit_suffice() {
    let mut lab = hosts("unitcaps", 1);
    lab.declare_container(0, BLUE, "a", &addresses(1)).expect("declared");
    lab.declare_container(0, BLUE, "b", &addresses(2)).expect("declared");
    lab.write_cluster().expect("written");
    let (host, a, b) = (&lab.hosts[0], container(&lab, "a"), container(&lab, "b"));
    let config = fs::read_to_string(host.config()).expect("written");
    fs::write(host.config(), format!("{config}[api]\ngroup = 64343\n")).expect("written");
    let granted = granted();
    let wrapper = ["setpriv", "--no-new-privs", "--bounding-set", &granted, "--inh-caps", "-all"];
    let mut agent = Service::start(host, &wrapper, None);
    agent.wait_until_answering(host);
    // A container's process with all capabilities, as that of a privileged container: its namespace is named by
    // /proc, as a container engine would.
    let process = Service(a.netns.command("sleep").arg("600").spawn().expect("started"));
    wait_for("its namespace", LIMIT, || {
        let link = |path: &Path| fs::metadata(path).map(|found| std::os::unix::fs::MetadataExt::ino(&found));
        let path = format!("/proc/{}/ns/net", process.0.id());
        link(Path::new(&path)).is_ok_and(|inode| link(&a.netns.path()).is_ok_and(|own| own == inode))
    });
    let path = format!("/proc/{}/ns/net", process.0.id());
    for (name, path) in [("a", path.as_str()), ("b", b.netns.path().to_str().expect("UTF-8"))] {
        host.ask(&["endpoint", "add", "--network", BLUE, "--name", name, "--netns", path]).expect("bound");
    }
    assert!(a.netns.ping(addresses(2)[0]));
    // Followed by the helper, which has no more than the agent.
    host.netns.ip("link set eth0 mtu 1400").expect("set");
    for container in [a, b] {
        wait_for(&format!("the MTU of {}", container.name), LIMIT, || {
            links(&container.netns)["eth0"]["mtu"] == 1350
        });
    }
    let status = host.status().expect("an answer");
    assert_eq!(status["state"], "healthy", "{status}");
    host.ask(&["endpoint", "delete", "a"]).expect("unbound");
    assert_eq!(endpoint(host, "a")["state"], "unbound");
    agent.signal(Signal::TERM);
    assert_eq!(agent.0.wait().expect("it ends").code(), Some(0), "{}", host.log());
}

#[test]
fn three_capabilities_do_for_all_but_containers_mtus() {
    let mut lab = hosts("threecaps", 1);
    lab.declare_container(0, BLUE, "a", &addresses(1)).expect("declared");
    lab.declare_container(0, BLUE, "b", &addresses(2)).expect("declared");
    lab.write_cluster().expect("written");
    let (host, a, b) = (&lab.hosts[0], container(&lab, "a"), container(&lab, "b"));
    let wrapper = ["setpriv", "--bounding-set", "-all,+bpf,+net_admin,+perfmon", "--inh-caps", "-all"];
    for time in ["first", "adopting"] {
        let mut agent = Service::start(host, &wrapper, None);
        agent.wait_until_answering(host);
        if time == "first" {
            for (name, container) in [("a", a), ("b", b)] {
                let path = container.netns.path().display().to_string();
                host.ask(&["endpoint", "add", "--network", BLUE, "--name", name, "--netns", &path])
                    .expect("bound");
            }
        }
        assert!(a.netns.ping(addresses(2)[0]), "{time}");
        // An audit must find nothing to repair.
        wait_for("audits", LIMIT, || host.status().expect("an answer")["audit"]["runs"].as_u64() >= Some(2));
        let status = host.status().expect("an answer");
        assert_eq!(
            (&status["state"], &status["audit"]["repaired"]),
            (&"healthy".into(), &0.into()),
            "{status}"
        );
        agent.signal(Signal::TERM);
        assert_eq!(agent.0.wait().expect("it ends").code(), Some(0), "{}", host.log());
    }
}

#[test]
fn systemd_takes_the_unit() {
    let verify = |path: &Path| {
        output_within(Command::new("systemd-analyze").arg("verify").arg(path), Duration::from_secs(30))
    };
    // It looks for the binary, which is not installed here.
    let dir = std::env::temp_dir().join("ovt-unit");
    fs::create_dir_all(&dir).expect("made");
    let (good, bad) = (dir.join("overlay.service"), dir.join("overlay-bad.service"));
    let text =
        fs::read_to_string(unit()).expect("the unit file").replace("/usr/local/bin/overlay", "/bin/true");
    fs::write(&good, &text).expect("written");
    fs::write(&bad, text.replace("WatchdogSec=", "WatchdogSecs=")).expect("written");
    match verify(&good) {
        Ok(output) => {
            let said = |output: &std::process::Output| String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!((output.status.code(), said(&output)), (Some(0), String::new()));
            let output = verify(&bad).expect("it ran before");
            assert!(said(&output).contains("WatchdogSecs"), "{}", said(&output));
        }
        Err(error) => skip("service::systemd_takes_the_unit", &format!("{error:#}")),
    }
    fs::remove_dir_all(&dir).expect("removed");
}
