//! Who may ask the agent for what: a member of the socket's group reads, an administrator changes.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::PathBuf,
    process::Output,
    time::Duration,
};

use overlay_tests::{Host, Lab, output_within};

use crate::support::{BLUE, addresses, endpoint, hosts, start};

/// A user and a group without names, so that no file of the machine gives them rights.
const UID: &str = "64242";
const GID: &str = "64343";
/// A group that is not the socket's.
const OTHER_GID: &str = "64344";

/// `a` (1) bound, with an agent whose socket is for `GID`, and `more` in `[api]`.
fn lab(name: &str, more: &str) -> Lab {
    let mut lab = hosts(name, 1);
    lab.declare_container(0, BLUE, "a", &addresses(1)).expect("declared");
    let mut config = OpenOptions::new().append(true).open(lab.hosts[0].config()).expect("written before");
    writeln!(config, "[api]\ngroup = {GID}\n{more}").expect("written");
    start(&mut lab);
    lab
}

/// A copy of the binary where any user may run it: the build directory may be root's alone. Removed with this.
struct PublicBinary(PathBuf);

impl PublicBinary {
    fn new(host: &Host, name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ovt-{name}-overlay"));
        fs::copy(&host.overlay, &path).expect("copied");
        Self(path)
    }
}

impl Drop for PublicBinary {
    fn drop(&mut self) {
        fs::remove_file(&self.0).expect("removed");
    }
}

/// Runs `overlay LINE` as `UID` with only the group `gid`.
fn as_user(host: &Host, binary: &PublicBinary, gid: &str, line: &str) -> Output {
    let mut command = host.netns.command("setpriv");
    command.args(["--reuid", UID, "--regid", gid, "--clear-groups"]);
    command.arg(&binary.0).args(line.split_whitespace()).envs(host.environment());
    output_within(&mut command, Duration::from_secs(10)).expect("ran")
}

fn error_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim_end().to_owned()
}

#[test]
fn a_member_of_the_group_reads_and_changes_nothing() {
    let lab = lab("member", "");
    let host = &lab.hosts[0];
    let binary = PublicBinary::new(host, "member");
    for line in
        ["status", "endpoint list", "endpoint show a", "network list", "node list", "drops", "dump fdb"]
    {
        let output = as_user(host, &binary, GID, line);
        assert_eq!(output.status.code(), Some(0), "{line}: {}", error_of(&output));
    }
    let id = endpoint(host, "a")["id"].as_str().expect("an id").to_owned();
    for (line, verb) in [(format!("endpoint delete {id}"), "DELETE"), ("network create green".into(), "POST")]
    {
        let output = as_user(host, &binary, GID, &line);
        assert_eq!(output.status.code(), Some(1), "{line}");
        assert_eq!(
            error_of(&output),
            format!(
                "overlay: {verb} is for administrators, and uid {UID} may only read; run it as root, \
                 or add {UID} to api.admins in overlay.toml and restart the agent"
            )
        );
    }
    assert_eq!(endpoint(host, "a")["state"], "ready");
    assert!(host.log().contains("refused to a caller who is no administrator"), "{}", host.log());
    // Outside of the group not even the socket opens.
    let stranger = as_user(host, &binary, OTHER_GID, "status");
    assert_eq!(stranger.status.code(), Some(2));
    assert!(error_of(&stranger).contains("no permission to use"), "{}", error_of(&stranger));
    // The control: root may.
    host.ask(&["endpoint", "delete", &id]).expect("root deletes");
    assert_eq!(endpoint(host, "a")["state"], "unbound");
    let told = |line: &str| line.contains("an administrator asks") && line.contains("uid=0 pid=");
    assert!(host.log().lines().any(told), "{}", host.log());
}

#[test]
fn a_listed_administrator_changes_what_root_may() {
    let lab = lab("admin", &format!("admins = [{UID}]"));
    let host = &lab.hosts[0];
    let binary = PublicBinary::new(host, "admin");
    let output = as_user(host, &binary, GID, "endpoint delete a");
    assert_eq!(output.status.code(), Some(0), "{}", error_of(&output));
    assert_eq!(endpoint(host, "a")["state"], "unbound");
    assert!(host.log().contains(&format!("uid={UID}")), "{}", host.log());
}

#[test]
fn an_unknown_administrator_is_refused_at_the_start() {
    let mut lab = hosts("noadmin", 1);
    let host = &lab.hosts[0];
    let good = fs::read_to_string(host.config()).expect("written before");
    fs::write(host.config(), format!("{good}[api]\nadmins = [\"no-such-user\"]\n")).expect("written");
    let output = output_within(host.overlay().arg("agent"), Duration::from_secs(10)).expect("it ends");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        error_of(&output),
        "overlay: api.admins: user \"no-such-user\" does not exist; create it with `useradd` or give a number"
    );
    assert!(!host.pin_dir.exists());
    fs::write(host.config(), good).expect("written");
    lab.hosts[0].start_agent().expect("it starts without");
}
